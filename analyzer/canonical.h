/* SPDX-License-Identifier: MIT */
/*
 * Names of functions as two builds of one program agree on them: without what a
 * compiler or an optimisation level adds to them. Pure functions over the caller's
 * buffer, which must be as large as the name with its NUL; the result is never longer.
 */
#ifndef PH_ANALYZER_CANONICAL_H
#define PH_ANALYZER_CANONICAL_H

#include <stdbool.h>

/*
 * The same function: of a clone or a part (".constprop.0", ".isra.0", ".part.1",
 * ".cold", ".lto_priv.0", "[clone ...]") the function it was made of, lambdas and
 * unnamed types without their numbers, Rust's without its hash.
 */
char *canonical_name(char *out, const char *name);

/*
 * Of a canonical name the scopes and the name itself, without parameters, return type,
 * template arguments and ABI tags; a lambda is "{}". Of what is inlined and local to a
 * file, gcc's debug information has no scopes.
 */
char *scoped_name(char *out, const char *name);

/* The last part of a scoped name: what is within it. */
const char *bare_name(const char *scoped);

/* Of the C++ or Rust library: what it calls by way of what is its own affair, and
 * whether any of it is inlined the compiler's. */
bool is_library_name(const char *name);

#endif
