/* SPDX-License-Identifier: MIT */
/*
 * What the PERFHOOK_* variables say, read once from the environment the process
 * started with (a program may have overwritten it later).
 */
#ifndef PH_PRELOAD_CONFIG_H
#define PH_PRELOAD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct ph_config {
	const char *output; /* NULL: the default name */
	const char *root;   /* PERFHOOK_ROOT; NULL: this process begins a session */
	uint32_t events;
	uint32_t depth;
	uint32_t overflow;
	uint32_t ring_bytes; /* that a thread's ring may grow to; 0: by the overflow */
	bool free_stacks;
	bool follow_children;
	bool start;
	bool leaks; /* lost blocks are searched for at the end */
};

/* The only instance; constant once ph_config_read() returned true. */
extern struct ph_config ph_config;

/* False, and a line has been said, when a value is not understood. `environment`
 * is kept by reference. */
bool ph_config_read(char **environment);

#endif
