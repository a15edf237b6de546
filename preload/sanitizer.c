/* SPDX-License-Identifier: MIT */
/*
 * A program that gcc built with -fsanitize=address refuses to run when a preloaded
 * library stands before its runtime. Where it does, all that matters is that
 * malloc is found in the order ours, theirs, libc's, which it is. The runtime asks
 * this function for its defaults (sanitizer/asan_interface.h); a definition in the
 * program itself comes first, and ASAN_OPTIONS over both.
 */
#include "preload/compiler.h"

PH_EXPORT const char *__asan_default_options(void); /* NOLINT: its name */
PH_EXPORT const char *__asan_default_options(void)  /* NOLINT: its name */
{
	return "verify_asan_link_order=0";
}
