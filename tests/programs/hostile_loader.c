/* SPDX-License-Identifier: MIT */
/*
 * hostile_loader HOW LIBRARY...: gets at functions by ways that lead around a
 * preloaded library, or loads and unloads without end.
 *   deepbind  a library that prefers its own symbols
 *   dlmopen   a library in a name space of its own, with another libc
 *   dlsym     malloc and write from libc's own handle, mixed with the usual ones
 *   storm     threads that load and unload while others allocate
 */
#include <dlfcn.h>

#include "hostile.h"

typedef void *allocator(void);

static void *find(void *library, const char *name)
{
	void *found = library != NULL ? dlsym(library, name) : NULL;

	if (found == NULL)
		say("%s\n", dlerror());
	expect(found != NULL);
	return found;
}

static void call_in(void *library, const char *name, bool free_here)
{
	allocator *f = (allocator *)find(library, name);

	for (int i = 0; f != NULL && i < 1000; i++) {
		void *p = keep(f());

		expect(p != NULL);
		if (free_here)
			free(p);
	}
}

static void own_name_space(const char *path)
{
	void *library = dlmopen(LM_ID_NEWLM, path, RTLD_NOW | RTLD_LOCAL);

	/* A block of the other libc is none of ours to free. */
	call_in(library, "first_allocates", false);
	use_threads(2);
	expect(library != NULL && dlclose(library) == 0);
}

static void around(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW);
	void *(*take_direct)(size_t) = (void *(*)(size_t))find(libc, "malloc");
	void *(*resize_direct)(void *, size_t) = (void *(*)(void *, size_t))find(libc, "realloc");
	void (*free_direct)(void *) = (void (*)(void *))find(libc, "free");
	ssize_t (*write_direct)(int, const void *, size_t) =
		(ssize_t(*)(int, const void *, size_t))find(libc, "write");

	for (size_t i = 0; i < 20000; i++) {
		void *p = keep(take_direct(i % 500 + 1)), *q = keep(malloc(i % 700 + 1));

		p = keep(realloc(p, 900));
		q = keep(resize_direct(q, i % 1000 + 1));
		free(i % 2 ? p : q);
		free_direct(i % 2 ? q : p);
	}
	expect(write_direct(1, "direct\n", 7) == 7);
	expect(dlsym(RTLD_DEFAULT, "malloc") != NULL && dlsym(RTLD_NEXT, "malloc") != NULL);
	expect(dlvsym(libc, "malloc", "GLIBC_2.2.5") != NULL);
	expect(dlclose(libc) == 0);
}

static char **libraries;
static volatile int stop;

static void *load_and_unload(void *which)
{
	static const char *const functions[] = {"first_allocates", "second_allocates"};
	size_t n = (size_t)which;

	for (int i = 0; i < 1500; i++) {
		void *library = dlopen(libraries[n], RTLD_NOW | RTLD_LOCAL);
		allocator *f = (allocator *)find(library, functions[n]);

		if (f != NULL)
			free(keep(f()));
		expect(library != NULL && dlclose(library) == 0);
	}
	return NULL;
}

static void *allocate(void *unused)
{
	while (!stop)
		use_heap(100);
	return unused;
}

static void storm(void)
{
	pthread_t loaders[2], other;

	expect(pthread_create(&other, NULL, allocate, NULL) == 0);
	for (size_t i = 0; i < 2; i++)
		expect(pthread_create(&loaders[i], NULL, load_and_unload, (void *)i) == 0);
	for (int i = 0; i < 10; i++)
		use_fork("file.child");
	for (int i = 0; i < 2; i++)
		expect(pthread_join(loaders[i], NULL) == 0);
	stop = 1;
	expect(pthread_join(other, NULL) == 0);
}

int main(int argc, char **argv)
{
	libraries = argv + 2;
	if (argc < 3 && !is_mode(argc, argv, "dlsym"))
		return 2;
	if (is_mode(argc, argv, "dlsym"))
		around();
	else if (is_mode(argc, argv, "deepbind"))
		call_in(dlopen(argv[2], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND), "first_allocates",
			true);
	else if (is_mode(argc, argv, "dlmopen"))
		own_name_space(argv[2]);
	else if (is_mode(argc, argv, "storm") && argc > 3)
		storm();
	else
		return 2;
	use_all();
	return wrongs != 0;
}
