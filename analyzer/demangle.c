/* SPDX-License-Identifier: MIT */
/* Linker names to the names a reader knows: C++ and Rust, with libiberty. */
#include "analyzer/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>

enum {
	/* The parser's stack grows with the length, so it must have an end. */
	MANGLED_MAX = 8192,
	/* libiberty refuses longer names unless told otherwise; templates do get longer. */
	MANGLED_SMALL = 1024,
	/* Back references let a short name grow exponentially. */
	DEMANGLED_MAX = 16 * 1024,
};

struct sink {
	jmp_buf full;
	size_t length;
	char text[DEMANGLED_MAX];
};

/* The only way to stop libiberty in the middle. It prints from its own stack,
 * so that leaving it by a jump loses at most a small buffer of a Rust name. */
static void sink_put(const char *text, size_t length, void *context)
{
	struct sink *sink = context;

	if (length > sizeof(sink->text) - sink->length)
		longjmp(sink->full, 1);
	memcpy(sink->text + sink->length, text, length);
	sink->length += length;
}

static bool demangle_into(struct sink *sink, const char *name, const int options)
{
	sink->length = 0;
	if (setjmp(sink->full) != 0)
		return false;
	/* Rust first: its older names are C++ names with a hash at the end. */
	if (rust_demangle_callback(name, options, sink_put, sink))
		return true;
	sink->length = 0; /* of what came before it failed */
	return cplus_demangle_v3_callback(name, options, sink_put, sink);
}

bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

const char *demangle(struct arena *arena, const char *name)
{
	int options = DMGL_PARAMS | DMGL_ANSI;
	struct sink sink;
	const char *copy;
	size_t length;

	if (!is_mangled(name))
		return name;
	length = strnlen(name, MANGLED_MAX + 1);
	if (length > MANGLED_SMALL)
		options |= DMGL_NO_RECURSE_LIMIT;
	if (length > MANGLED_MAX || !demangle_into(&sink, name, options) || sink.length == 0)
		return name;
	copy = arena_copy(arena, sink.text, sink.length);
	return copy[0] != '\0' ? copy : name;
}
