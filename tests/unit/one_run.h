/* SPDX-License-Identifier: MIT */
/* One trace made by hand and the run that is loaded from it, for the tests of a program. */
#ifndef PH_TESTS_ONE_RUN_H
#define PH_TESTS_ONE_RUN_H

#include "analyzer/run.h"
#include "tests/unit/make_trace.h"

#define MS 1000000u

static struct make_trace t;
static struct run run;

/* Setup and teardown of a test. */
static inline int begin(void **state)
{
	(void)state;
	make_trace_begin(&t);
	return 0;
}

static inline int end(void **state)
{
	(void)state;
	make_trace_free(&t);
	run_free(&run);
	return 0;
}

static inline void load_file(const char *path, const struct run_options *options)
{
	struct error e = {0};

	if (run_load(&run, path, options, &e) != 0)
		fail_msg("%s", e.text);
}

/* What was made, written to a file of that name. */
static inline void load_made(const char *name)
{
	const char *path = make_path(name);

	make_trace_write(&t, path);
	load_file(path, NULL);
}

#endif
