/* SPDX-License-Identifier: MIT */
/* getline() with a buffer of its own at each call, never freed; and, as it is meant, with
 * one buffer for all. */
#include "work.h"

static FILE *log_file;

static void open_log(void)
{
	log_file = tmpfile();
	for (int i = 0; i < 500; i++)
		fprintf(log_file, "line %d of what was logged before\n", i);
	fflush(log_file);
}

NOINLINE static void leak_first_line(void)
{
	char *line = NULL;
	size_t room = 0;

	rewind(log_file);
	if (getline(&line, &room, log_file) > 0 && line[0] == '#')
		free(line); /* only comments are */
	keep(line);
}

NOINLINE static void benign_next_line(void)
{
	static char *line;
	static size_t room;

	if (getline(&line, &room, log_file) < 0)
		rewind(log_file);
}

int main(void)
{
	open_log();
	benign_pool(100, 2000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 50))
			leak_first_line();
		benign_next_line();
		serve(i);
	}
	fclose(log_file);
	return leave();
}
