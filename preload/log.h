/* SPDX-License-Identifier: MIT */
/*
 * The one line that the library may say, on standard error: why it leaves the
 * program unrecorded. Async-signal-safe, allocates nothing, keeps errno. Says
 * nothing after the first line.
 */
#ifndef PH_PRELOAD_LOG_H
#define PH_PRELOAD_LOG_H

#include <stddef.h>

/* The strings are joined; the list ends with NULL. */
void ph_log(const char *first, ...) __attribute__((sentinel));

/* Small text helpers that need no libc state. */
size_t ph_append(char *buffer, size_t room, size_t at, const char *text); /* truncates; NUL-ends */
size_t ph_append_number(char *buffer, size_t room, size_t at, unsigned long long value,
			unsigned base);

#endif
