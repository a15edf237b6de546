/* SPDX-License-Identifier: MIT */
/*
 * Suppressions of leaks, in the files that projects have: LeakSanitizer's ("leak:NAME")
 * and Valgrind's ("{ name Memcheck:Leak fun:... }"), alone or mixed. What each means is
 * what its own tool means by it. Not thread-safe.
 */
#ifndef PH_ANALYZER_SUPPRESSIONS_H
#define PH_ANALYZER_SUPPRESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/arena.h"
#include "analyzer/error.h"
#include "analyzer/run.h"

enum suppression_line_kind {
	SUPPRESSION_FUNCTION, /* fun: */
	SUPPRESSION_OBJECT,   /* obj: */
	SUPPRESSION_SOURCE,   /* src: file or file:line */
	SUPPRESSION_ANY,      /* ...: any number of frames */
};

struct suppression_line {
	enum suppression_line_kind kind;
	const char *pattern;
};

struct suppression {
	const char *name; /* of LeakSanitizer's: its pattern */
	const char *file;
	unsigned line;			/* where it begins */
	bool is_substring;		/* LeakSanitizer's: `name` is somewhere in any frame */
	unsigned kinds;			/* a bit for each enum reach_class */
	struct suppression_line *lines; /* innermost frame first */
	size_t line_count;
	/* What it matched. */
	uint64_t stacks, blocks, bytes;
};

/* An entry that could not be understood. */
struct suppression_problem {
	const char *file;
	unsigned line;
	const char *text; /* one sentence */
};

/* All zero is empty. */
struct suppressions {
	struct arena *arena;
	struct suppression *list;
	size_t count, room;
	struct suppression_problem *problems; /* the first SUPPRESSION_PROBLEMS */
	size_t problem_count, problem_room;
	size_t bad;   /* entries left out for a problem */
	size_t other; /* of other kinds than leaks, or of other tools */
	bool failed;  /* out of memory */
};

enum { SUPPRESSION_PROBLEMS = 100 };

/* Add a file's. 0, or -1 with *e filled: it cannot be read, or memory ran out. An entry
 * that is malformed is a problem, and left out. */
int suppressions_read(struct suppressions *s, const char *path, struct error *e);
/* The same of what a file holds. */
int suppressions_parse(struct suppressions *s, const char *text, size_t length, const char *path,
		       struct error *e);
void suppressions_free(struct suppressions *s);

enum { SUPPRESSED_NAMES = 5 };

/* A frame as patterns see it. */
struct suppressed_frame {
	const char *names[SUPPRESSED_NAMES]; /* of the function, the linker's first; NULL ends */
	const char *file;		     /* NULL: not known */
	int line;
	const char *module; /* path; NULL: none */
	bool inlined;
	bool allocates; /* the allocating function itself, by whichever name */
};

/* The first that matches a stack (innermost frame first, beginning with the allocating
 * function), whose blocks are of these kinds; 0: not known. NULL: none. */
struct suppression *suppressions_match(const struct suppressions *s,
				       const struct suppressed_frame *frames, size_t count,
				       unsigned kinds);

/* "definite,possible" of Valgrind, "all", "none". False: something else. */
bool suppression_kinds(const char *text, unsigned *kinds);

/* Does a whole text match a pattern with * and ?, as Valgrind's do? */
bool suppression_glob(const char *pattern, const char *text);
/* Is a pattern in a text, with * ^ $, as LeakSanitizer's are? */
bool suppression_template(const char *pattern, const char *text);

#endif
