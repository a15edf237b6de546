/* SPDX-License-Identifier: MIT */
/* Whose code an address is in: the program's, or what every program has. */
#ifndef PH_ANALYZER_MODULE_CLASS_H
#define PH_ANALYZER_MODULE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/run.h"

/* What a module is to a program's author, by its base name. */
enum module_class {
	MODULE_PROGRAM, /* the program's own, and every library not named below */
	MODULE_OURS,
	MODULE_LIBC,
	MODULE_LOADER,
	MODULE_CXX, /* libstdc++, libgcc_s, libc++ */
};

enum module_class module_class(const char *path); /* path may be NULL */
const char *base_name(const char *path);
/* Is a source file one of the C++ or of Rust's library, whose code is in the program? May be
 * NULL. */
bool is_library_file(const char *file);

/* The module that an address is in; NULL: none. */
const struct module *address_module(const struct run *run, const struct address *a);

/* The class of an address's module. */
enum module_class address_class(const struct run *run, const struct address *address);

/* The address of a node, or NULL: node 0, or one that the run does not have. */
const struct address *node_address(const struct run *run, uint32_t node);

/* The innermost frame of the program or of a library of its own, else the innermost but
 * ours: whose module asked. 0: none. */
uint32_t asking_node(const struct run *run, uint32_t node);

#endif
