/* SPDX-License-Identifier: MIT */
#include "analyzer/module_class.h"

#include <string.h>

const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

bool is_library_file(const char *file)
{
	/* "/usr/include/x86_64-linux-gnu/c++/12/bits/gthr.h", without the machine's folder too */
	const char *include = file != NULL ? strstr(file, "/include/") : NULL;

	return file != NULL &&
	       ((include != NULL && strstr(include, "/c++/") != NULL) ||
		strstr(file, "/rustc/") != NULL || strstr(file, "/rustlib/src/") != NULL ||
		strncmp(file, "/rust/deps/", 11) == 0);
}

enum module_class module_class(const char *path)
{
	static const struct {
		const char *prefix;
		enum module_class class;
	} known[] = {
		{"libperfhook.so", MODULE_OURS}, {"libc.so.", MODULE_LIBC},
		{"libc-2.", MODULE_LIBC},	 {"libm.so.", MODULE_LIBC},
		{"libpthread.so.", MODULE_LIBC}, {"libdl.so.", MODULE_LIBC},
		{"librt.so.", MODULE_LIBC},	 {"libresolv.so.", MODULE_LIBC},
		{"libnss_", MODULE_LIBC},	 {"ld-linux", MODULE_LOADER},
		{"ld-2.", MODULE_LOADER},	 {"ld64.so.", MODULE_LOADER},
		{"libstdc++.so.", MODULE_CXX},	 {"libc++.so.", MODULE_CXX},
		{"libc++abi.so.", MODULE_CXX},	 {"libgcc_s.so.", MODULE_CXX},
	};
	const char *base = path != NULL ? base_name(path) : "";

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strncmp(base, known[i].prefix, strlen(known[i].prefix)) == 0)
			return known[i].class;
	return MODULE_PROGRAM;
}

const struct module *address_module(const struct run *run, const struct address *a)
{
	return a->module >= 0 && (size_t)a->module < run->module_count ? &run->modules[a->module]
								       : NULL;
}

enum module_class address_class(const struct run *run, const struct address *address)
{
	const struct module *module = address_module(run, address);

	return module != NULL ? module_class(module->path) : MODULE_PROGRAM;
}

const struct address *node_address(const struct run *run, uint32_t node)
{
	if (node == 0 || node >= run->node_count || run->nodes[node].address >= run->address_count)
		return NULL;
	return &run->addresses[run->nodes[node].address];
}

uint32_t asking_node(const struct run *run, uint32_t node)
{
	uint32_t innermost = 0;
	const struct address *a;

	for (; (a = node_address(run, node)) != NULL; node = run->nodes[node].parent) {
		enum module_class class = address_class(run, a);

		if (class == MODULE_PROGRAM)
			return node;
		if (class != MODULE_OURS && innermost == 0)
			innermost = node;
	}
	return innermost;
}
