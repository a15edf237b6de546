/* SPDX-License-Identifier: MIT */
/* Functions and variables by an ELF file's symbol tables. */
#include "analyzer/symbol_table.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/demangle.h"
#include "analyzer/vector.h"

static bool is_function(const GElf_Sym *symbol)
{
	switch (GELF_ST_TYPE(symbol->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
	case STT_NOTYPE: /* assembly often says nothing */
		return symbol->st_shndx != SHN_UNDEF;
	default:
		return false;
	}
}

/* Of the thread-local ones the value is no address. */
static bool is_variable(const GElf_Sym *symbol)
{
	return GELF_ST_TYPE(symbol->st_info) == STT_OBJECT && symbol->st_shndx != SHN_UNDEF &&
	       symbol->st_size != 0;
}

/* `code` NULL: variables are asked for. */
static bool is_wanted(const GElf_Sym *symbol, const struct address_ranges *code)
{
	if (code == NULL)
		return is_variable(symbol);
	return is_function(symbol) && address_ranges_find(code, symbol->st_value) != NULL;
}

/* Linkers append @VERSION, which is no part of the name. */
static uint32_t length_without_version(const char *name)
{
	size_t length = strcspn(name, "@");

	if (length == 0)
		length = strlen(name);
	return length < UINT32_MAX ? (uint32_t)length : UINT32_MAX;
}

static bool add_symbol(struct symbol_table *t, const GElf_Sym *symbol, const char *name)
{
	if (!vector_reserve(t->symbols, t->room, t->count + 1))
		return false;
	t->symbols[t->count++] = (struct symbol){
		.start = symbol->st_value,
		.size = symbol->st_size,
		.name = name,
		.name_length = length_without_version(name),
		.type = GELF_ST_TYPE(symbol->st_info),
		.binding = GELF_ST_BIND(symbol->st_info),
	};
	return true;
}

static bool add_section(struct symbol_table *t, Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
			const struct address_ranges *code)
{
	Elf_Data *data = elf_getdata(section, NULL);
	size_t count = header->sh_entsize != 0 ? header->sh_size / header->sh_entsize : 0;
	GElf_Sym symbol;

	if (data == NULL)
		return true;
	for (size_t i = 1; i < count && i < INT32_MAX; i++) {
		const char *name;

		if (gelf_getsym(data, (int)i, &symbol) == NULL)
			break;
		if (!is_wanted(&symbol, code))
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		/* "$x" and the like mark what is code and data on some machines. */
		if (name == NULL || name[0] == '\0' || name[0] == '$')
			continue;
		if (!add_symbol(t, &symbol, name))
			return false;
	}
	return true;
}

static bool add_sections(struct symbol_table *t, Elf *elf, GElf_Word type,
			 const struct address_ranges *code)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	if (elf == NULL)
		return true;
	while ((section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &header) != NULL && header.sh_type == type &&
		    !add_section(t, elf, section, &header, code))
			return false;
	return true;
}

static int underscores(const char *name)
{
	return (int)strspn(name, "_");
}

static int binding_rank(const struct symbol *s)
{
	return s->binding == STB_GLOBAL ? 0 : s->binding == STB_WEAK ? 1 : 2;
}

/* Which of several names of one address is the one to show: less is better.
 * "malloc" rather than "__libc_malloc", and always the same. */
static int by_preference(const struct symbol *a, const struct symbol *b)
{
	int order = (a->type == STT_NOTYPE) - (b->type == STT_NOTYPE);

	if (order == 0)
		order = (a->size == 0) - (b->size == 0);
	if (order == 0)
		order = (binding_rank(a) == 2) - (binding_rank(b) == 2);
	if (order == 0 && !is_mangled(a->name) && !is_mangled(b->name))
		order = underscores(a->name) - underscores(b->name);
	if (order == 0)
		order = binding_rank(a) - binding_rank(b);
	if (order == 0)
		order = (a->name_length > b->name_length) - (a->name_length < b->name_length);
	return order != 0 ? order : strcmp(a->name, b->name);
}

static int by_address(const void *x, const void *y)
{
	const struct symbol *a = x, *b = y;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return by_preference(a, b);
}

static void keep_best_of_each_address(struct symbol_table *t)
{
	size_t kept = 0;

	qsort(t->symbols, t->count, sizeof(*t->symbols), by_address);
	for (size_t i = 0; i < t->count; i++)
		if (kept == 0 || t->symbols[kept - 1].start != t->symbols[i].start)
			t->symbols[kept++] = t->symbols[i];
	t->count = kept;
}

/* A symbol of unknown size goes on to the next one, within its section; a
 * label inside of a function is none. `covered`: up to where sized ones reach. */
static uint64_t end_of(const struct symbol_table *t, size_t i, uint64_t covered,
		       const struct address_ranges *code)
{
	const struct symbol *s = &t->symbols[i];
	const struct address_range *section;
	uint64_t end;

	if (s->size != 0)
		return s->size <= UINT64_MAX - s->start ? s->start + s->size : UINT64_MAX;
	section = address_ranges_find(code, s->start);
	end = section != NULL ? section->end : s->start;
	if (s->start < covered)
		return s->start;
	if (i + 1 < t->count && t->symbols[i + 1].start < end)
		end = t->symbols[i + 1].start;
	return end;
}

static bool index_symbols(struct symbol_table *t, const struct address_ranges *code)
{
	uint64_t covered = 0;

	if (t->count == 0)
		return true;
	keep_best_of_each_address(t);
	for (size_t i = 0; i < t->count && i < UINT32_MAX; i++) {
		uint64_t end = end_of(t, i, covered, code);

		if (!address_ranges_add(&t->ranges, t->symbols[i].start, end, 0, (uint32_t)i))
			return false;
		if (t->symbols[i].size != 0 && end > covered)
			covered = end;
	}
	return address_ranges_flatten(&t->ranges);
}

/* .dynsym has but the exported part of .symtab, which strip moves to the debug file. */
static bool load(struct symbol_table *t, const struct debug_files *files,
		 const struct address_ranges *code)
{
	if (!add_sections(t, files->module, SHT_SYMTAB, code))
		return false;
	if (t->count == 0 && !add_sections(t, files->debug, SHT_SYMTAB, code))
		return false;
	if (t->count == 0 && !add_sections(t, files->module, SHT_DYNSYM, code))
		return false;
	return index_symbols(t, code);
}

bool symbol_table_load(struct symbol_table *t, const struct debug_files *files,
		       const struct address_ranges *code)
{
	return load(t, files, code);
}

bool symbol_table_load_data(struct symbol_table *t, const struct debug_files *files)
{
	return load(t, files, NULL);
}

void symbol_table_free(struct symbol_table *t)
{
	free(t->symbols);
	address_ranges_free(&t->ranges);
	*t = (struct symbol_table){0};
}

struct symbol *symbol_table_find(const struct symbol_table *t, uint64_t address)
{
	const struct address_range *range = address_ranges_find(&t->ranges, address);

	return range != NULL ? &t->symbols[range->value] : NULL;
}

static const char *shown(const struct symbol *symbol, size_t length, struct arena *arena)
{
	const char *name = symbol->name;

	if (name[length] != '\0')
		name = arena_copy(arena, name, length);
	return demangle(arena, name);
}

const char *symbol_shown(struct symbol *symbol, struct arena *arena)
{
	if (symbol->shown == NULL)
		symbol->shown = shown(symbol, symbol->name_length, arena);
	return symbol->shown;
}

const char *symbol_shown_whole(struct symbol *symbol, struct arena *arena)
{
	size_t length = strcspn(symbol->name, ".");

	if (length > symbol->name_length)
		length = symbol->name_length;
	if (symbol->whole == NULL)
		symbol->whole = shown(symbol, length, arena);
	return symbol->whole;
}
