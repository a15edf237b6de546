/* SPDX-License-Identifier: MIT */
/* Single events of what was recorded, each with the function that made the call. */
#ifndef PH_TESTS_EVENTS_H
#define PH_TESTS_EVENTS_H

#include "tests/integration/harness.h"

struct seen {
	const char *function; /* as the trace calls it; "?": none of the table */
	const char *caller;   /* of its stack the innermost frame; "": not known */
	bool block;	      /* an allocation or a free: of these, address and size */
	uint64_t address, size;
	int64_t result; /* -errno where it failed */
	unsigned op;
	int fd;
};

/* Of all traces of an outcome; the array lives until the test ends. */
size_t read_events(const struct outcome *outcome, struct seen **events);

#endif
