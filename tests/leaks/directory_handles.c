/* SPDX-License-Identifier: MIT */
/* opendir() and fopen() without their close where nothing was found: few and large. */
#include <dirent.h>

#include "work.h"

NOINLINE static void leak_directory(bool found)
{
	DIR *d = opendir("/");

	keep(d);
	if (found)
		closedir(d);
}

NOINLINE static void leak_file(bool found)
{
	FILE *f = fopen("/proc/self/status", "r");

	if (f != NULL && (fgetc(f) == EOF || found))
		fclose(f);
}

NOINLINE static FILE *benign_log(void)
{
	FILE *f = fopen("/dev/null", "w");

	if (f != NULL)
		fputs("started\n", f);
	return f;
}

int main(void)
{
	static FILE *log_file;

	log_file = benign_log();
	benign_pool(9, 900000);
	for (int i = 0; i < requests(4000); i++) {
		if (i % 10 == 0) {
			leak_directory(!one_in(i / 10, 12));
			leak_file(!one_in(i / 10, 15));
		}
		fputs("served\n", log_file);
		serve(i);
	}
	fclose(log_file);
	return leave();
}
