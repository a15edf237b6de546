/* SPDX-License-Identifier: MIT */
/*
 * stdio in all its ways: files in the working directory, by streams only. What its
 * system calls were, strace says; what each file got and gave, by size:
 *     truth: written.NAME=BYTES    read.NAME=BYTES
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <wchar.h>

#include "truth.h"

static char buffer[100000];

/* What -D_FORTIFY_SOURCE makes of dprintf(). */
int __dprintf_chk(int fd, int flag, const char *format, ...); /* NOLINT: libc's */

static void written(const char *name, unsigned long long bytes)
{
	say("truth: written.%s=%llu\n", name, bytes);
}

static void was_read(const char *name, unsigned long long bytes)
{
	say("truth: read.%s=%llu\n", name, bytes);
}

static FILE *opens(const char *name, const char *mode)
{
	FILE *f = fopen(name, mode);

	expect(f != NULL);
	return f;
}

/* Blocks larger and smaller than the buffer, characters, formats. */
static void writes(void)
{
	FILE *f = opens("blocks", "w");

	for (int i = 0; i < 10; i++)
		expect(fwrite(buffer, 1, 10007, f) == 10007);
	expect(fprintf(f, "%d %s\n", 4711, "of format") == 15);
	expect(fputs("a line\n", f) >= 0 && fputc('c', f) == 'c');
	expect(fflush(f) == 0 && fputc('d', f) == 'd');
	expect(fclose(f) == 0);
	written("blocks", 100070 + 15 + 7 + 2);
	f = opens("unbuffered", "w");
	setvbuf(f, NULL, _IONBF, 0);
	for (int i = 0; i < 5; i++)
		expect(fputs("one call each\n", f) >= 0);
	expect(fclose(f) == 0);
	written("unbuffered", 70);
	f = opens("lines", "w");
	setvbuf(f, NULL, _IOLBF, 512);
	for (int i = 0; i < 50; i++)
		fprintf(f, "line %d\n", i);
	expect(fclose(f) == 0);
	written("lines", 10 * 7 + 40 * 8);
	f = opens("large buffer", "w");
	setvbuf(f, buffer, _IOFBF, sizeof(buffer));
	for (int i = 0; i < 20000; i++)
		fputc(i, f);
	expect(fclose(f) == 0);
	written("large buffer", 20000);
}

static void reads(void)
{
	char *line = NULL, text[64];
	size_t room = 0, count = 0;
	FILE *f = opens("blocks", "r");

	expect(fread(buffer, 1, 50, f) == 50);
	expect(fread(buffer, 1, 60000, f) == 60000);
	expect(ungetc('u', f) == 'u' && getc(f) == 'u');
	while (fread(buffer, 1, 4000, f) > 0)
		;
	expect(feof(f) && fclose(f) == 0);
	was_read("blocks", 100070 + 15 + 7 + 2);
	f = opens("lines", "r");
	while (getline(&line, &room, f) > 0)
		count++;
	expect(count == 50 && fclose(f) == 0);
	f = opens("lines", "re");
	while (fgets(text, sizeof(text), f) != NULL)
		count++;
	expect(count == 100 && fclose(f) == 0);
	f = opens("lines", "rc"); /* read by the call that is no cancellation point */
	expect(fscanf(f, "line %zu", &count) == 1 && count == 0);
	expect(fclose(f) == 0);
	was_read("lines", 3 * (10 * 7 + 40 * 8));
	f = opens("unbuffered", "rm"); /* mapped */
	expect(fgets(text, sizeof(text), f) != NULL && fclose(f) == 0);
	free(line);
}

static void both(void)
{
	FILE *f = opens("both", "w+");
	char text[64];

	expect(fputs("0123456789", f) >= 0);
	rewind(f);
	expect(fgets(text, 5, f) != NULL && strcmp(text, "0123") == 0);
	expect(fseek(f, 7, SEEK_SET) == 0 && fputc('x', f) == 'x');
	expect(fseek(f, 0, SEEK_SET) == 0 && fgets(text, sizeof(text), f) != NULL);
	expect(strcmp(text, "0123456x89") == 0 && fclose(f) == 0);
	f = opens("both", "a");
	expect(fputs("appended", f) >= 0 && fclose(f) == 0);
	written("both", 19);
	f = tmpfile();
	expect(f != NULL);
	if (f == NULL)
		return;
	expect(fputs("temporary", f) >= 0);
	rewind(f);
	expect(fread(text, 1, 9, f) == 9 && fclose(f) == 0);
}

static void wide(void)
{
	FILE *f = opens("wide", "w");
	wchar_t text[64];

	for (int i = 0; i < 2000; i++)
		expect(fwprintf(f, L"wide %04d\n", i) == 10);
	expect(fclose(f) == 0);
	written("wide", 20000);
	f = opens("wide", "r");
	for (int i = 0; i < 2000; i++)
		expect(fgetws(text, 64, f) != NULL);
	expect(fgetwc(f) == WEOF && fclose(f) == 0);
	was_read("wide", 20000);
}

/* A stream's descriptor changes its file, or its file its stream. */
static void descriptors(void)
{
	int fd = open("given", O_RDWR | O_CREAT | O_TRUNC, 0644);
	FILE *f = fdopen(fd, "w+"), *g;

	expect(f != NULL && fputs("to the given one", f) >= 0 && fclose(f) == 0);
	written("given", 16);
	f = opens("before", "w");
	fd = fileno(f);
	expect(fputs("still in the buffer", f) >= 0);
	f = freopen("after", "w", f);
	expect(f != NULL && fileno(f) == fd && fputs("of the second file", f) >= 0);
	expect(fclose(f) == 0);
	written("before", 19);
	written("after", 18);
	f = opens("lost", "w");
	expect(fputs("written as it goes", f) >= 0);
	f = freopen("no/such", "w", f);
	expect(f == NULL);
	written("lost", 18);
	/* Each has a buffer of its own, on numbers that are used again. */
	for (int i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "again.%d", i);
		f = opens(name, "w");
		g = opens("blocks", "r");
		expect(getc(g) != EOF && fputs("again", f) >= 0);
		expect(fclose(f) == 0 && fclose(g) == 0);
		written(name, 5);
	}
	fd = open("dprintf", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	expect(dprintf(fd, "%d by descriptor\n", 5) == 16);
	expect(__dprintf_chk(fd, 1, "%d checked\n", 6) == 10 && close(fd) == 0);
	written("dprintf", 26);
}

/* libc's own: the stream is opened and closed where nobody can look. */
static void inside(void)
{
	char name[] = "inside.next";
	FILE *f;

	expect(getpwuid(0) != NULL);
	f = opens(name, "w");
	expect(fputs("not of passwd", f) >= 0 && fclose(f) == 0);
	written(name, 13);
}

static void pipes(void)
{
	char text[4096];
	size_t count = 0, n;
	FILE *f = popen("cat blocks", "r");

	expect(f != NULL);
	if (f == NULL)
		return;
	while ((n = fread(text, 1, sizeof(text), f)) > 0)
		count += n;
	expect(count == 100094 && pclose(f) == 0);
	was_read("blocks", 100094);
	f = popen("cat > piped", "w");
	expect(f != NULL && fwrite(buffer, 1, 70000, f) == 70000 && pclose(f) == 0);
	written("piped", 70000);
}

/* Without a descriptor: nothing of these reaches the kernel. */
static ssize_t take_all(void *cookie, const char *from, size_t size)
{
	(void)cookie;
	(void)from;
	return (ssize_t)size;
}

static void in_memory(void)
{
	char text[100], *grown = NULL;
	size_t size = 0;
	FILE *f = fmemopen(text, sizeof(text), "w+");

	expect(f != NULL && fputs("memory", f) >= 0 && fclose(f) == 0);
	f = open_memstream(&grown, &size);
	expect(f != NULL && fputs("more memory", f) >= 0 && fclose(f) == 0 && size == 11);
	free(grown);
	f = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_all});
	expect(f != NULL && fputs("a cookie", f) >= 0 && fclose(f) == 0);
}

/* A write that fails, at once or after a part was written. */
static void failures(void)
{
	const struct rlimit small = {30000, 30000};
	FILE *f = opens("/dev/full", "w");

	expect(fputs("no room", f) >= 0 && fclose(f) == EOF);
	f = opens("blocks", "r");
	expect(fputs("not to be written", f) == EOF && fclose(f) == 0);
	if (fork() == 0) {
		signal(SIGXFSZ, SIG_IGN);
		expect(setrlimit(RLIMIT_FSIZE, &small) == 0);
		f = opens("limited", "w");
		setvbuf(f, NULL, _IONBF, 0);
		expect(fwrite(buffer, 1, 50000, f) < 50000 && ferror(f));
		fclose(f);
		written("limited", 30000);
		/* What a buffer still has is the child's to write as well. */
		exit(wrongs != 0);
	}
	expect(wait(NULL) > 0);
}

int main(void)
{
	FILE *left = opens("left open", "w");

	writes();
	reads();
	both();
	wide();
	descriptors();
	inside();
	pipes();
	in_memory();
	failures();
	errno = 0;
	perror("standard error");
	/* Written by exit(). */
	expect(fputs("at the end", left) >= 0);
	written("left open", 10);
	printf("standard output\n");
	return wrongs != 0;
}
