/* SPDX-License-Identifier: MIT */
/*
 * stack_reload SMALL LARGE: two libraries in turn at the same address, with the same
 * return address on the stack, and frames of other sizes. What was known of the first
 * is wrong for the second.
 */
#include <dlfcn.h>

#include "truth.h"

enum { ROUNDS = 20, BLOCKS = 10 };

static void *address[2];

__attribute__((noinline)) static void allocate(void)
{
	char byte;

	keep(malloc(1234));
	expect(read(-1, &byte, 1) == -1);
	__asm__ volatile("" : : : "memory");
}

__attribute__((noinline)) static void call(const char *path, int which)
{
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	void (*frame)(void (*)(void)) =
		library != NULL ? (void (*)(void (*)(void)))dlsym(library, "frame_call") : NULL;

	expect(frame != NULL);
	if (frame == NULL)
		return;
	for (int i = 0; i < BLOCKS; i++)
		frame(allocate);
	address[which] = (void *)frame;
	expect(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
	int reused = 0;

	if (argc < 3)
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		call(argv[1], 0);
		call(argv[2], 1);
		reused += address[0] == address[1];
	}
	truth("reused", (unsigned long long)reused);
	return wrongs != 0;
}
