/* SPDX-License-Identifier: MIT */
/* Functions and variables by an ELF file's symbol tables: what there is without debug
 * information. */
#ifndef PH_ANALYZER_SYMBOL_TABLE_H
#define PH_ANALYZER_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "analyzer/address_ranges.h"
#include "analyzer/arena.h"
#include "analyzer/debug_files.h"

struct symbol {
	uint64_t start, size; /* size 0: not known */
	const char *name;     /* as in the file */
	const char *shown;    /* demangled; NULL: not asked for yet */
	const char *whole;    /* likewise, without what the compiler appended for a part or copy */
	uint32_t name_length; /* less than all of it where a version is appended */
	unsigned char type, binding;
};

struct symbol_table { /* zeroed: empty */
	struct symbol *symbols;
	size_t count, room;
	struct address_ranges ranges; /* values are indices into symbols */
};

/* The names stay in the files, which must stay open. False: out of memory. */
bool symbol_table_load(struct symbol_table *t, const struct debug_files *files,
		       const struct address_ranges *code);
/* The same of variables. */
bool symbol_table_load_data(struct symbol_table *t, const struct debug_files *files);
void symbol_table_free(struct symbol_table *t);

/* The symbol that covers an address; NULL: none. */
struct symbol *symbol_table_find(const struct symbol_table *t, uint64_t address);
const char *symbol_shown(struct symbol *symbol, struct arena *arena);
/* Of a mangled name: the function's, for "f() [clone .cold]" too. */
const char *symbol_shown_whole(struct symbol *symbol, struct arena *arena);

#endif
