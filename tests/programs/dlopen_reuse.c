/* SPDX-License-Identifier: MIT */
/*
 * dlopen_reuse FIRST SECOND: loads one library, allocates in it, unloads it, and
 * loads another, which the loader usually puts at the same address: the
 * allocations must still go by their own functions' names.
 */
#include <dlfcn.h>

#include "truth.h"

enum { ROUNDS = 5 };

static void *address[2];

static void call(const char *path, const char *function, int which)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void *(*allocate)(void) =
		library != NULL ? (void *(*)(void))dlsym(library, function) : NULL;

	expect(allocate != NULL);
	if (allocate == NULL)
		return;
	keep(allocate());
	address[which] = (void *)allocate;
	expect(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
	int reused = 0;

	if (argc < 3)
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		call(argv[1], "first_allocates", 0);
		call(argv[2], "second_allocates", 1);
		reused += address[0] == address[1];
	}
	truth("reused", (unsigned long long)reused);
	truth("first_allocates.live_bytes", ROUNDS * 1111);
	truth("second_allocates.live_bytes", ROUNDS * 2222);
	return wrongs != 0;
}
