/* SPDX-License-Identifier: MIT */
/*
 * Stands where the library stands when a case runs under memcheck: it has thread-local
 * storage and opens libunwind, and records nothing. What the loader allocates depends on
 * both.
 */
#include <dlfcn.h>

int *stand_in_address(void);

static __thread int here;

int *stand_in_address(void)
{
	return &here;
}

__attribute__((constructor)) static void begin(void)
{
	dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
}
