/* SPDX-License-Identifier: MIT */
/* cxx_host LIBRARY: a program in C that loads a library in C++, has it throw,
 * and says who raises its exceptions: libgcc, and nobody in between. */
#include <dlfcn.h>

#include "truth.h"

int main(int argc, char **argv)
{
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	int (*throw_and_catch)(int);
	const char *(*raised_by)(void);

	if (library == NULL) {
		say("wrong: %s\n", argc > 1 ? dlerror() : "no library given");
		return 2;
	}
	throw_and_catch = (int (*)(int))dlsym(library, "throw_and_catch");
	raised_by = (const char *(*)(void))dlsym(library, "raised_by");
	truth("caught", (unsigned long long)throw_and_catch(1000));
	say("truth: raised_by=%s\n", raised_by());
	/* What the program itself would find. */
	say("truth: global=%d\n", dlsym(RTLD_DEFAULT, "_Unwind_RaiseException") != NULL);
	say("truth: unw_step=%d\n", dlsym(RTLD_DEFAULT, "unw_step") != NULL);
	say("truth: zstd=%d\n", dlsym(RTLD_DEFAULT, "ZSTD_compress") != NULL);
	return wrongs != 0;
}
