/* SPDX-License-Identifier: MIT */
/*
 * A program that starts slowly, as programs do: something cheap, done ten thousand times.
 *
 * It makes 10,000 widgets, and looks each one's label up in a file of messages, which
 * label() opens and reads from the beginning every time.
 *
 *     make programs
 *     build/perfhook record -o start.trace build/examples/slow_start
 *     build/perfhook report start.trace
 *
 * The report begins with that: a file of 6 KB is read ten thousand times. With the
 * argument "fixed" the file is read once: for perfhook diff. It writes messages.txt into
 * the working directory.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDGETS = 10000, MESSAGES = 200, LINE = 64 };

static const char path[] = "messages.txt";
static char table[MESSAGES][LINE]; /* fixed: read once */
static bool fixed;
static unsigned long opens;

static void write_messages(void)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		exit(1);
	for (int i = 0; i < MESSAGES; i++)
		fprintf(f, "%d=the label of widgets of kind %d\n", i, i);
	fclose(f);
}

/* Line `wanted` of the file; all lines before it go into the table on the way. */
static void read_messages(int wanted)
{
	FILE *f = fopen(path, "r");

	if (f == NULL)
		exit(1);
	opens++;
	for (int i = 0; i <= wanted; i++)
		if (fgets(table[i], LINE, f) == NULL)
			exit(1);
	fclose(f);
}

static const char *label(int kind)
{
	if (!fixed)
		read_messages(kind); /* the mistake: every time */
	return strchr(table[kind], '=') + 1;
}

static size_t make_widget(int n)
{
	return strlen(label(n % MESSAGES));
}

int main(int argc, char **argv)
{
	size_t total = 0;

	fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
	write_messages();
	if (fixed)
		read_messages(MESSAGES - 1);
	for (int n = 0; n < WIDGETS; n++)
		total += make_widget(n);
	printf("%d widgets, labels of %zu characters\n", WIDGETS, total);
	printf("truth: opens=%lu\n", opens);
	return 0;
}
