/* SPDX-License-Identifier: MIT */
/* Names that the program resolved, and which addresses they gave. */
#ifndef PH_ANALYZER_NAMES_H
#define PH_ANALYZER_NAMES_H

#include "analyzer/arena.h"
#include "analyzer/run.h"

struct names;

struct names *names_new(void); /* NULL: out of memory */
void names_free(struct names *n);

/* A look-up of `name` gave these addresses ("1.2.3.4:80"; the port does not matter), none
 * where it failed. Strings are copied. False: out of memory. */
bool names_add(struct names *n, struct arena *arena, const char *name, const char *const *addresses,
	       size_t count, bool failed, double time_s);

/* The same of a look-up that does not count. */
bool names_learn(struct names *n, struct arena *arena, const char *name,
		 const char *const *addresses, size_t count);

/* The name that gave an address last; NULL: none did. */
const char *names_of(const struct names *n, const char *address);

/* All whose look-ups count, most time first; NULL with *count 0: none, or no memory. By free(3). */
struct resolved *names_take(struct names *n, size_t *count);

#endif
