/* SPDX-License-Identifier: MIT */
/* What a process has mapped, as /proc/PID/maps lists it (proc_pid_maps(5)). */
#ifndef PH_INSPECT_MAPS_H
#define PH_INSPECT_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mapping {
	uint64_t start, end;
	bool read, write, execute, shared;
	uint32_t device;  /* major << 20 | minor */
	uint64_t inode;	  /* 0: memory of nobody else's */
	const char *name; /* the path; "[heap]" and its like; "" */
};

/* All zero is empty. */
struct maps {
	struct mapping *list; /* ascending */
	size_t count, room;
	char *text; /* the names' */
};

/* The list as text, malloc'ed and NUL-terminated; NULL: not to be had (errno). Cheap:
 * parsing may wait until the process runs again. */
char *maps_text(int pid);

/* Takes `text`. False: out of memory; maps_free() in any case. */
bool maps_parse(struct maps *m, char *text);
void maps_free(struct maps *m);

/* The one that an address is in; NULL. */
const struct mapping *maps_at(const struct maps *m, uint64_t address);

#endif
