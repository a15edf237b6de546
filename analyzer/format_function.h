/* SPDX-License-Identifier: MIT */
/* Names of functions, demangled, in the room that there is. */
#ifndef PH_ANALYZER_FORMAT_FUNCTION_H
#define PH_ANALYZER_FORMAT_FUNCTION_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A function's name as format_name() makes it safe, at most `columns` wide (0: no
 * limit). Of a C++ name that is too long, what says least goes first: a string's own
 * template, parameters, template arguments, the type it returns; then the middle.
 * Malloc'ed; NULL: out of memory.
 */
char *format_function(const char *name, size_t columns, bool utf8);

#endif
