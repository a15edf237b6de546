/* SPDX-License-Identifier: MIT */
/* io_calls.c as a distribution compiles its programs: reads whose buffers the
 * compiler knows go through libc's checked names. */
#undef _FORTIFY_SOURCE
#define _FORTIFY_SOURCE 2
#define FORTIFIED	1
#include "io_calls.c"
