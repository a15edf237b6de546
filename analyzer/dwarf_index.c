/* SPDX-License-Identifier: MIT */
/* An index of each compilation unit's functions and of what is inlined in them. */
#include "analyzer/dwarf_index.h"

#include <dwarf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "analyzer/demangle.h"
#include "analyzer/map.h"
#include "analyzer/vector.h"

enum {
	NONE = UINT32_MAX,
	/* Hostile files nest without end, and let every function have all ranges. */
	NESTING_MAX = 256,
	RANGES_MAX = 1 << 22, /* a unit */
};

/* A function, or one inlined at one place. */
struct scope {
	Dwarf_Die die;
	uint32_t parent;  /* what it is inlined in, always a lower index; NONE: a function */
	bool named, bare; /* the name has been looked for; there was only a bare one */
	const char *name;
};

struct function {
	uint32_t scope;
	bool flat;
	struct address_ranges inlined; /* values are scopes */
};

struct unit {
	Dwarf_Die die;	    /* with the functions */
	Dwarf_Die skeleton; /* with the lines; the same but in split DWARF */
	bool walked;
	struct scope *scopes;
	size_t scope_count, scope_room;
	struct function *functions;
	size_t function_count, function_room;
	struct address_ranges ranges; /* values are functions */
};

struct dwarf_index {
	Dwarf *dwarf;
	const char *folder; /* where libdw looks for split DWARF first */
	struct arena *arena;
	const struct address_ranges *code;
	struct unit *units;
	size_t unit_count, unit_room;
	struct address_ranges ranges; /* values are units */
	struct map full_paths;	      /* of libdw's file name, by its address */
};

/* Of where code is: the linker leaves descriptions of functions it threw away,
 * at 0 or another impossible place. */
static bool add_ranges(const struct dwarf_index *index, Dwarf_Die *die, uint32_t depth,
		       uint32_t value, struct address_ranges *ranges, size_t *budget)
{
	Dwarf_Addr base = 0, start, end;
	ptrdiff_t at = 0;

	while (*budget > 0 && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		--*budget;
		if (address_ranges_find(index->code, start) != NULL &&
		    !address_ranges_add(ranges, start, end, depth, value))
			return false;
	}
	return true;
}

/* ---- Units ---- */

static bool add_unit(struct dwarf_index *index, Dwarf_Die *die)
{
	size_t budget = RANGES_MAX;

	if (index->unit_count >= NONE ||
	    !vector_reserve(index->units, index->unit_room, index->unit_count + 1) ||
	    !add_ranges(index, die, 0, (uint32_t)index->unit_count, &index->ranges, &budget))
		return false;
	index->units[index->unit_count++] = (struct unit){.die = *die, .skeleton = *die};
	return true;
}

static bool has_code_address(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_ranges) || dwarf_hasattr(die, DW_AT_low_pc);
}

static uint32_t unit_at(const struct dwarf_index *index, Dwarf_Off offset)
{
	size_t low = 0, high = index->unit_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		Dwarf_Off there = dwarf_dieoffset(&index->units[middle].die);

		if (there == offset)
			return (uint32_t)middle;
		if (there < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return NONE;
}

/* For units that do not say themselves where their code is. */
static bool add_address_table(struct dwarf_index *index)
{
	Dwarf_Aranges *table = NULL;
	size_t count = 0;

	if (dwarf_getaranges(index->dwarf, &table, &count) != 0)
		return true;
	for (size_t i = 0; i < count; i++) {
		Dwarf_Addr start = 0;
		Dwarf_Word length = 0;
		Dwarf_Off offset = 0;
		uint32_t unit = NONE;

		if (dwarf_getarangeinfo(dwarf_onearange(table, i), &start, &length, &offset) == 0)
			unit = unit_at(index, offset);
		if (unit == NONE || has_code_address(&index->units[unit].die) ||
		    length > UINT64_MAX - start)
			continue;
		if (!address_ranges_add(&index->ranges, start, start + length, 0, unit))
			return false;
	}
	return true;
}

static bool add_units(struct dwarf_index *index)
{
	Dwarf_CU *unit = NULL, *next = NULL;
	bool table_needed = false;
	Dwarf_Die die;

	while (dwarf_get_units(index->dwarf, unit, &next, NULL, NULL, &die, NULL) == 0) {
		int tag = dwarf_tag(&die);

		unit = next;
		if (tag != DW_TAG_compile_unit && tag != DW_TAG_skeleton_unit)
			continue;
		if (!add_unit(index, &die))
			return false;
		table_needed |= !has_code_address(&die) && dwarf_haschildren(&die) > 0;
	}
	return !table_needed || add_address_table(index);
}

struct dwarf_index *dwarf_index_new(Dwarf *dwarf, const char *folder,
				    const struct address_ranges *code, struct arena *arena)
{
	struct dwarf_index *index = calloc(1, sizeof(*index));

	if (index == NULL)
		return NULL;
	index->dwarf = dwarf;
	index->folder = folder;
	index->code = code;
	index->arena = arena;
	if (add_units(index) && address_ranges_flatten(&index->ranges))
		return index;
	dwarf_index_free(index);
	return NULL;
}

static void free_unit(struct unit *unit)
{
	for (size_t i = 0; i < unit->function_count; i++)
		address_ranges_free(&unit->functions[i].inlined);
	free(unit->functions);
	free(unit->scopes);
	address_ranges_free(&unit->ranges);
}

void dwarf_index_free(struct dwarf_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->unit_count; i++)
		free_unit(&index->units[i]);
	free(index->units);
	address_ranges_free(&index->ranges);
	map_free(&index->full_paths);
	free(index);
}

/* ---- The walk through one unit ---- */

struct walk {
	const struct dwarf_index *index;
	struct unit *unit;
	size_t budget; /* ranges that may still come */
	Dwarf_Off last;
};

/* Where the walk stands; NONE: in no function. */
struct place {
	uint32_t function, scope;
	uint32_t depth; /* of inlining */
};

static bool add_scope(struct unit *unit, const Dwarf_Die *die, uint32_t parent)
{
	if (unit->scope_count >= NONE ||
	    !vector_reserve(unit->scopes, unit->scope_room, unit->scope_count + 1))
		return false;
	unit->scopes[unit->scope_count++] = (struct scope){.die = *die, .parent = parent};
	return true;
}

static bool enter_function(struct walk *w, Dwarf_Die *die, struct place *place)
{
	struct unit *unit = w->unit;
	uint32_t function = (uint32_t)unit->function_count, scope = (uint32_t)unit->scope_count;
	size_t before = unit->ranges.count;

	*place = (struct place){NONE, NONE, 0};
	if (!add_ranges(w->index, die, 0, function, &unit->ranges, &w->budget))
		return false;
	if (unit->ranges.count == before)
		return true; /* a declaration, or only inlined elsewhere */
	if (!vector_reserve(unit->functions, unit->function_room, unit->function_count + 1) ||
	    !add_scope(unit, die, NONE))
		return false;
	unit->functions[unit->function_count++] = (struct function){.scope = scope};
	*place = (struct place){function, scope, 0};
	return true;
}

static bool enter_inlined(struct walk *w, Dwarf_Die *die, struct place *place)
{
	uint32_t scope = (uint32_t)w->unit->scope_count;

	if (place->function == NONE)
		return true;
	if (!add_scope(w->unit, die, place->scope))
		return false;
	place->scope = scope;
	place->depth++;
	return add_ranges(w->index, die, place->depth, scope,
			  &w->unit->functions[place->function].inlined, &w->budget);
}

/* What has children, but never code in them. */
static bool is_barren(int tag)
{
	switch (tag) {
	case DW_TAG_enumeration_type:
	case DW_TAG_array_type:
	case DW_TAG_subroutine_type:
	case DW_TAG_call_site:
	case DW_TAG_GNU_call_site:
	case DW_TAG_variable:
	case DW_TAG_formal_parameter:
	case DW_TAG_GNU_formal_parameter_pack:
	case DW_TAG_GNU_template_parameter_pack:
		return true;
	default:
		return false;
	}
}

static bool walk_children(struct walk *w, Dwarf_Die *parent, struct place place, int nesting);

static bool walk_die(struct walk *w, Dwarf_Die *die, struct place place, int nesting)
{
	int tag = dwarf_tag(die);

	if (tag == DW_TAG_subprogram && !enter_function(w, die, &place))
		return false;
	if (tag == DW_TAG_inlined_subroutine && !enter_inlined(w, die, &place))
		return false;
	/* A function without an address can still have a class with functions in it. */
	return is_barren(tag) || walk_children(w, die, place, nesting + 1);
}

/* False: out of memory; what has been found stays good. */
static bool walk_children(struct walk *w, Dwarf_Die *parent, struct place place, int nesting)
{
	Dwarf_Die die;

	if (nesting > NESTING_MAX || dwarf_child(parent, &die) != 0)
		return true;
	do {
		/* Only forward, or a file that lies about siblings keeps us for ever. */
		if (dwarf_dieoffset(&die) <= w->last)
			return true;
		w->last = dwarf_dieoffset(&die);
		if (!walk_die(w, &die, place, nesting))
			return false;
	} while (dwarf_siblingof(&die, &die) == 0);
	return true;
}

/* ---- Split DWARF ---- */

static const char *text_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr(die, name, &attribute));
}

/* libdw opens the .dwo file itself, without a look at what it is. */
static bool may_open(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) >= sizeof(path))
		return false;
	return stat(path, &st) != 0 || S_ISREG(st.st_mode);
}

static bool split_is_safe(Dwarf_Die *skeleton, const char *beside)
{
	const char *name = text_of(skeleton, DW_AT_dwo_name);
	const char *folder = text_of(skeleton, DW_AT_comp_dir);

	if (name == NULL)
		name = text_of(skeleton, DW_AT_GNU_dwo_name);
	if (name == NULL || beside == NULL)
		return false;
	if (name[0] == '/')
		return may_open("", name);
	return may_open(beside, name) && folder != NULL && folder[0] == '/' &&
	       may_open(folder, name);
}

static void open_split(struct unit *unit, const char *beside)
{
	uint8_t type = 0;
	Dwarf_Die split;

	if (dwarf_cu_info(unit->skeleton.cu, NULL, &type, NULL, NULL, NULL, NULL, NULL) != 0 ||
	    type != DW_UT_skeleton || !split_is_safe(&unit->skeleton, beside))
		return;
	if (dwarf_cu_info(unit->skeleton.cu, NULL, NULL, NULL, &split, NULL, NULL, NULL) == 0 &&
	    dwarf_tag(&split) != DW_TAG_invalid)
		unit->die = split;
}

static void walk_unit(const struct dwarf_index *index, struct unit *unit)
{
	struct walk w = {.index = index, .unit = unit, .budget = RANGES_MAX};

	unit->walked = true;
	open_split(unit, index->folder);
	walk_children(&w, &unit->die, (struct place){NONE, NONE, 0}, 0);
	if (!address_ranges_flatten(&unit->ranges))
		address_ranges_free(&unit->ranges);
}

/* ---- Look-ups ---- */

static const char *scope_text(struct scope *scope, unsigned int name)
{
	Dwarf_Attribute attribute;

	/* Follows to the abstract function and to the declaration in a class. */
	return dwarf_formstring(dwarf_attr_integrate(&scope->die, name, &attribute));
}

static const char *scope_name(const struct dwarf_index *index, struct scope *scope)
{
	const char *name, *source;

	if (scope->named)
		return scope->name;
	scope->named = true;
	name = scope_text(scope, DW_AT_linkage_name);
	if (name == NULL)
		name = scope_text(scope, DW_AT_MIPS_linkage_name);
	scope->bare = name == NULL;
	/* What is not mangled is an alias such as __GI___libc_malloc: the source's name then. */
	source = name == NULL || !is_mangled(name) ? scope_text(scope, DW_AT_name) : NULL;
	if (source != NULL)
		name = source;
	scope->name = name != NULL ? demangle(index->arena, name) : NULL;
	return scope->name;
}

static bool scope_number(struct scope *scope, unsigned int name, Dwarf_Word *value)
{
	Dwarf_Attribute attribute;

	return dwarf_formudata(dwarf_attr(&scope->die, name, &attribute), value) == 0;
}

/* libdw leaves some names relative to where the compiler ran. */
static const char *full_path(struct dwarf_index *index, struct unit *unit, const char *file)
{
	uint64_t known;
	const char *folder;

	if (file == NULL || file[0] == '/')
		return file;
	known = map_get(&index->full_paths, (uintptr_t)file);
	if (known != 0)
		return (const char *)(uintptr_t)known;
	folder = text_of(&unit->skeleton, DW_AT_comp_dir);
	if (folder != NULL && folder[0] == '/') {
		const char *joined = arena_print(index->arena, "%s/%s", folder, file);

		if (joined[0] != '\0' &&
		    map_put(&index->full_paths, (uintptr_t)file, (uintptr_t)joined))
			return joined;
	}
	return file;
}

/* The place in the outer function where a scope was inlined. */
static void call_place(struct dwarf_index *index, struct unit *unit, struct scope *scope,
		       struct dwarf_frame *outer)
{
	Dwarf_Files *files = NULL;
	Dwarf_Word value = 0;
	size_t count = 0;

	if (scope_number(scope, DW_AT_call_line, &value) && value <= INT_MAX)
		outer->line = (int)value;
	/* Numbered from 0 or from 1, by version: libdw has an entry 0 in both. */
	if (scope_number(scope, DW_AT_call_file, &value) &&
	    dwarf_getsrcfiles(&unit->die, &files, &count) == 0 && value < count)
		outer->file = full_path(index, unit, dwarf_filesrc(files, value, NULL, NULL));
	if (outer->file == NULL)
		outer->line = 0;
}

/* The innermost scope at an address; NONE: no function there. */
static uint32_t scope_at(struct unit *unit, uint64_t address)
{
	const struct address_range *range = address_ranges_find(&unit->ranges, address);
	struct function *function;

	if (range == NULL)
		return NONE;
	function = &unit->functions[range->value];
	if (!function->flat) {
		function->flat = true;
		if (!address_ranges_flatten(&function->inlined))
			address_ranges_free(&function->inlined);
	}
	range = address_ranges_find(&function->inlined, address);
	return range != NULL ? range->value : function->scope;
}

static void line_at(struct dwarf_index *index, struct unit *unit, uint64_t address,
		    struct dwarf_frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(&unit->skeleton, address);

	if (line == NULL || dwarf_lineno(line, &frame->line) != 0)
		return;
	frame->file = full_path(index, unit, dwarf_linesrc(line, NULL, NULL));
	if (frame->file == NULL || frame->line < 0)
		frame->line = 0;
}

static uint32_t outermost(const struct unit *unit, uint32_t scope)
{
	while (unit->scopes[scope].parent != NONE)
		scope = unit->scopes[scope].parent;
	return scope;
}

static size_t fill_chain(struct dwarf_index *index, struct unit *unit, uint32_t scope,
			 struct dwarf_frame *frames, size_t room)
{
	size_t count = 0;

	for (;;) {
		struct scope *s = &unit->scopes[scope];

		frames[count].function = scope_name(index, s);
		frames[count].bare = s->bare;
		frames[count].inlined = s->parent != NONE;
		count++;
		if (s->parent == NONE || count == room)
			return count;
		frames[count] = (struct dwarf_frame){0};
		scope = s->parent;
		if (count + 1 == room)
			scope = outermost(unit, scope);
		if (scope == s->parent)
			call_place(index, unit, s, &frames[count]);
	}
}

size_t dwarf_index_find(struct dwarf_index *index, uint64_t address, struct dwarf_frame *frames,
			size_t room)
{
	const struct address_range *range = address_ranges_find(&index->ranges, address);
	struct unit *unit;
	uint32_t scope;

	if (range == NULL || room == 0)
		return 0;
	unit = &index->units[range->value];
	if (!unit->walked)
		walk_unit(index, unit);
	frames[0] = (struct dwarf_frame){0};
	line_at(index, unit, address, &frames[0]);
	scope = scope_at(unit, address);
	if (scope == NONE)
		return frames[0].file != NULL ? 1 : 0;
	return fill_chain(index, unit, scope, frames, room);
}
