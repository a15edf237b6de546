/* SPDX-License-Identifier: MIT */
/*
 * Zeroed memory for tables that are read and written all over: in huge pages, where
 * the kernel has any, since else most of the time goes into page faults and into
 * finding pages.
 */
#ifndef PH_ANALYZER_PAGES_H
#define PH_ANALYZER_PAGES_H

#include <stddef.h>

void *pages_new(size_t bytes); /* NULL: out of memory */
void pages_free(void *p, size_t bytes);

/* What stands there is not needed any more. Whole pages. */
void pages_drop(void *p, size_t bytes);

#endif
