/* SPDX-License-Identifier: MIT */
/*
 * Addresses to functions, inlined ones too, files and lines. libdw looks through
 * a whole compilation unit for each address; here each unit is walked once,
 * when the first address in it is asked for.
 */
#ifndef PH_ANALYZER_DWARF_INDEX_H
#define PH_ANALYZER_DWARF_INDEX_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/address_ranges.h"
#include "analyzer/arena.h"

struct dwarf_index;

struct dwarf_frame {
	const char *function; /* demangled; NULL: not known */
	bool bare;	      /* the debug information has no linker name: scopes may be missing */
	const char *file;     /* NULL: not known */
	int line;	      /* 0: not known */
	bool inlined;
};

/* All four must stay: `folder` is the debug file's (or NULL), `code` says where
 * functions can be, names go to `arena`. NULL: out of memory. */
struct dwarf_index *dwarf_index_new(Dwarf *dwarf, const char *folder,
				    const struct address_ranges *code, struct arena *arena);
void dwarf_index_free(struct dwarf_index *index);

/* Innermost first. 0: nothing known there. Of a longer chain the outermost
 * function and the innermost inlined ones are given. */
size_t dwarf_index_find(struct dwarf_index *index, uint64_t address, struct dwarf_frame *frames,
			size_t room);

#endif
