/* SPDX-License-Identifier: MIT */
/* A library that is opened, leaks, and is closed, forty times; one that stays open. */
#include <dlfcn.h>

#include "work.h"

static char folder[4096];

static void *load(const char *name)
{
	char path[4200];
	void *library;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL)
		exit(1);
	return library;
}

static void use_once(int i)
{
	void *library = load("lib_plugin.so");
	void *(*run)(int) = (void *(*)(int))dlsym(library, "plugin_run");

	free(run(i));
	dlclose(library);
}

int main(int argc, char **argv)
{
	char *slash = strrchr(strcpy(folder, argv[0]), '/');
	int (*use)(int);
	void *codec;

	if (argc < 1 || slash == NULL)
		return 1;
	*slash = '\0';
	codec = load("lib_codec.so");
	((void (*)(void))dlsym(codec, "codec_start"))();
	use = (int (*)(int))dlsym(codec, "codec_use");
	for (int i = 0; i < requests(3000); i++) {
		if (one_in(i, 75))
			use_once(i);
		use(i);
		serve(i);
	}
	return leave();
}
