/* SPDX-License-Identifier: MIT */
/* Errors as values: what went wrong, in which file and where, in one sentence.
 * They travel up; only a command prints them. */
#ifndef PH_ANALYZER_ERROR_H
#define PH_ANALYZER_ERROR_H

#include <stdint.h>

enum error_code {
	ERROR_NONE = 0,
	ERROR_SYSTEM = 1,  /* a system call failed */
	ERROR_FORMAT = 2,  /* not a trace, or damaged beyond use */
	ERROR_VERSION = 3, /* from a newer major version */
	ERROR_MEMORY = 4,
	ERROR_USAGE = 5, /* the command line */
};

#define ERROR_TEXT 1024

struct error {
	enum error_code code;
	uint64_t offset;       /* in the file; 0 where it means nothing */
	char text[ERROR_TEXT]; /* names the file, says what and what to do */
};

/* Fill `e` (unless it is NULL or already filled: the first cause counts) and return -1. */
int fail(struct error *e, enum error_code code, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
