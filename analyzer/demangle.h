/* SPDX-License-Identifier: MIT */
/* Linker names to the names a reader knows: C++ and Rust, with libiberty. */
#ifndef PH_ANALYZER_DEMANGLE_H
#define PH_ANALYZER_DEMANGLE_H

#include <stdbool.h>

#include "analyzer/arena.h"

/* A mangled C++ or Rust name begins so; C names that only resemble one are not touched. */
bool is_mangled(const char *name);

/* The readable name, in `arena`; `name` itself where it is not mangled, cannot
 * be understood, or would become absurdly long. Never NULL. */
const char *demangle(struct arena *arena, const char *name);

#endif
