/* SPDX-License-Identifier: MIT */
/*
 * Addresses to names, offline, with elfutils' libdw: function, file, line and
 * inlined frames; C++ and Rust demangled. Looked up only for what is printed,
 * with an index of each compilation unit's ranges built once. Not thread-safe, but it
 * may begin by itself on a thread of its own: symbols_expect().
 */
#ifndef PH_ANALYZER_SYMBOLS_H
#define PH_ANALYZER_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols;

/* No answer has more frames: of a longer chain of inlined functions the
 * outermost ones are left out, but never the function itself. */
enum { SYMBOLS_FRAMES_MAX = 64 };

struct symbols_options {
	const char *const *sysroots; /* --sysroot DIR: modules are looked for below these first */
	size_t sysroot_count;
	const char *const *debug_paths; /* --debug-path DIR: besides /usr/lib/debug */
	size_t debug_path_count;
};

/* One frame as it is shown. Strings live as long as the struct symbols. */
struct frame {
	const char *function;	/* demangled; NULL: not known */
	uint64_t offset;	/* from the function's start, where only a symbol table was there */
	const char *file;	/* NULL: not known */
	int line;		/* 0: not known */
	const char *module;	/* path; NULL: in no module */
	uint64_t address;	/* in the process */
	uint64_t module_offset; /* address in the module's file (address - base) */
	bool inlined;
};

struct symbols *symbols_open(const struct symbols_options *options); /* NULL: out of memory */
void symbols_close(struct symbols *s);

/* An address that is going to be asked for, as symbols_lookup() takes it. */
struct symbols_place {
	const char *path, *build_id;
	uint64_t base, pc;
};

/*
 * Look up in the background, so that the files with names are open, read and indexed
 * when they are needed. Returns at once; the next function that is called with the
 * struct symbols, whichever it is, waits for the end. To be called once, before any
 * look-up, with a few places only. No answer depends on it.
 */
void symbols_expect(struct symbols *s, const struct symbols_place *places, size_t count);

/*
 * The frames at `pc` (the call, not the return address) of a module, innermost
 * first, inlined ones before the one they are in; at least one, at most `room`,
 * as many as there are with room for SYMBOLS_FRAMES_MAX. Returns how many.
 * `build_id` is hex or ""; a file whose build-id differs, or that has none
 * where one was recorded, is not used. `path` NULL: generated code.
 */
size_t symbols_lookup(struct symbols *s, const char *path, const char *build_id, uint64_t base,
		      uint64_t pc, struct frame *frames, size_t room);

enum { SYMBOLS_JUMPS_MAX = 8 };

/*
 * Functions without a frame: `call` went to one that ended in a jump, to another one or to
 * the function that `inner` is in (path NULL: a function of another module). Told by
 * direct calls and jumps within one module only; a function that jumps to several is the
 * last one. Their own frames, at their beginnings, outermost first. Returns how many.
 */
size_t symbols_jumped(struct symbols *s, const struct symbols_place *call,
		      const struct symbols_place *inner, struct frame frames[SYMBOLS_JUMPS_MAX]);

/* The function at `pc` (as for symbols_lookup()) by the name that the linker has for it,
 * with what the compiler appended, without a version; NULL: none is known. */
const char *symbols_linker_name(struct symbols *s, const struct symbols_place *place);

/* The variable at an address of a module, and how far into it that is; NULL: none is
 * known. */
const char *symbols_variable(struct symbols *s, const char *path, const char *build_id,
			     uint64_t base, uint64_t address, uint64_t *offset);

/* Why a module has no names: NULL when it has, else a static sentence ("file
 * not found", "build-id differs", "stripped: no symbols" …). Valid after a lookup. */
const char *symbols_problem(struct symbols *s, const char *path, const char *build_id);

/* Whether a module has debug information, and not only a symbol table: that
 * alone is no problem. Valid after a lookup. */
bool symbols_has_lines(struct symbols *s, const char *path, const char *build_id);

#endif
