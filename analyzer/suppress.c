/* SPDX-License-Identifier: MIT */
/* A report's leaks, suppressed; and suppressions made of its suspects. */
#include "analyzer/suppress.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/canonical.h"
#include "analyzer/vector.h"

enum { VALGRIND_FRAMES = 24 }; /* of a suppression at most */

/* A stack as patterns see it, and the names that were made for it. */
struct seen {
	struct suppressed_frame *frames;
	size_t count, room;
	char **made;
	size_t made_count, made_room;
	bool failed;
};

static void free_seen(struct seen *s)
{
	for (size_t i = 0; i < s->made_count; i++)
		free(s->made[i]);
	free(s->made);
	free(s->frames);
	*s = (struct seen){0};
}

/* Room for a name that is no longer than this one. */
static char *name_like(struct seen *s, const char *name)
{
	char *made = malloc(strlen(name) + 1);

	if (made == NULL || !vector_reserve(s->made, s->made_room, s->made_count + 1)) {
		free(made);
		s->failed = true;
		return NULL;
	}
	s->made[s->made_count++] = made;
	return made;
}

/* Valgrind shows a function by the linker's name, and one that is inlined by its bare one.
 * Files written by hand have the readable ones. */
static void add_names(struct seen *s, struct suppressed_frame *to, const struct frame *f,
		      const char *linker)
{
	size_t count = 0;
	char *canonical, *scoped;

	if (linker != NULL)
		to->names[count++] = linker;
	if (f->function == NULL)
		return;
	to->names[count++] = f->function;
	canonical = name_like(s, f->function);
	scoped = name_like(s, f->function);
	if (canonical == NULL || scoped == NULL)
		return;
	to->names[count++] = canonical_name(canonical, f->function);
	to->names[count++] = scoped_name(scoped, canonical);
	if (f->inlined)
		to->names[count++] = bare_name(scoped);
}

static void add_frame(struct seen *s, const struct frame *f, const char *linker)
{
	struct suppressed_frame *to;

	if (!vector_reserve(s->frames, s->room, s->count + 1)) {
		s->failed = true;
		return;
	}
	to = &s->frames[s->count++];
	*to = (struct suppressed_frame){
		.file = f->file, .line = f->line, .module = f->module, .inlined = f->inlined};
	add_names(s, to, f, linker);
}

/* The C++ runtime's operators are what allocates there, as Valgrind sees it. */
static bool is_operator_new(const struct frame *f)
{
	return f->function != NULL && strncmp(f->function, "operator new", 12) == 0;
}

static void see_node(struct seen *s, struct report *r, uint32_t node)
{
	const struct symbols_place place = node_place(r->run, node);
	const char *linker = symbols_linker_name(r->symbols, &place);
	const struct frame *frames;
	size_t count;

	frames = node_frames(r, node, &count);
	if (frames == NULL) {
		s->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (s->count != 1 || !is_operator_new(&frames[i]))
			add_frame(s, &frames[i], frames[i].inlined ? NULL : linker);
}

/* False: out of memory. */
static bool see_stack(struct seen *s, struct report *r, uint32_t node)
{
	*s = (struct seen){0};
	if (!vector_reserve(s->frames, s->room, 1))
		return false;
	s->frames[s->count++] = (struct suppressed_frame){.allocates = true};
	for (size_t i = 0; i < STACK_MAX && node_address(r->run, node) != NULL; i++) {
		if (address_class(r->run, node_address(r->run, node)) != MODULE_OURS)
			see_node(s, r, node);
		node = r->run->nodes[node].parent;
	}
	return !s->failed;
}

/* What a search for pointers found of its blocks: of those that are lost, if some are; 0:
 * none was made. */
static unsigned kinds_of(const struct site *site)
{
	const unsigned reachable = 1u << REACH_STILL;
	unsigned kinds = 0;

	for (int class = 0; class < REACH_CLASSES; class ++)
		if (site->reach[class].blocks > 0)
			kinds |= 1u << class;
	return kinds & ~reachable ? kinds & ~reachable : kinds;
}

struct matching {
	struct report *report;
	struct suppressions *suppressions;
	bool failed;
};

static const struct suppression *suppressed(void *context, const struct leak *leak)
{
	struct matching *m = context;
	struct suppression *by = NULL;
	struct seen seen;

	if (see_stack(&seen, m->report, leak->site->node))
		by = suppressions_match(m->suppressions, seen.frames, seen.count,
					kinds_of(leak->site));
	else
		m->failed = true;
	free_seen(&seen);
	if (by != NULL) {
		by->stacks++;
		by->blocks += leak->site->live_blocks;
		by->bytes += leak->site->live_bytes;
	}
	return by;
}

int report_suppress(struct report *r, struct suppressions *s, struct error *e)
{
	struct matching m = {.report = r, .suppressions = s};

	suppress_leaks(r, s, suppressed, &m);
	return m.failed ? fail(e, ERROR_MEMORY, 0, "out of memory") : 0;
}

/* ---- Writing ---- */

/* A name as a pattern: what would end the line or is no text matches any character. */
static void put_pattern(FILE *out, const char *name)
{
	for (; *name != '\0'; name++)
		fputc(isprint((unsigned char)*name) ? *name : '?', out);
}

static void put_frame(FILE *out, const struct suppressed_frame *f)
{
	size_t last = 0;

	while (last + 1 < SUPPRESSED_NAMES && f->names[last + 1] != NULL)
		last++;
	if (f->names[0] != NULL) {
		const char *name = f->names[f->inlined ? last : 0];

		fputs("   fun:", out);
		put_pattern(out, name);
		/* Of C++: a template has its arguments there, in the compiler's way. */
		fputs(f->inlined && strcmp(name, f->names[0]) != 0 ? "*\n" : "\n", out);
		return;
	}
	fputs("   obj:", out);
	put_pattern(out, f->module != NULL ? f->module : "*");
	fputc('\n', out);
}

/* What is outside of these is another one on each machine. */
static bool is_outermost(const struct suppressed_frame *f)
{
	static const char *const names[] = {"main", "start_thread", "clone", "clone3"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (f->names[0] != NULL && strcmp(f->names[0], names[i]) == 0)
			return true;
	return false;
}

static void put_stack(FILE *out, const struct seen *seen)
{
	/* Which of malloc, calloc, ... it was does not matter. */
	fputs("   fun:*\n", out);
	for (size_t i = 1; i < seen->count && i < VALGRIND_FRAMES; i++) {
		put_frame(out, &seen->frames[i]);
		if (is_outermost(&seen->frames[i]))
			break;
	}
}

static void put_kinds(FILE *out, unsigned kinds)
{
	static const char *const names[REACH_CLASSES] = {
		[REACH_LOST] = "definite",
		[REACH_INDIRECT] = "indirect",
		[REACH_POSSIBLE] = "possible",
		[REACH_STILL] = "reachable",
	};
	const char *before = "   match-leak-kinds: ";

	for (int class = 0; class < REACH_CLASSES; class ++) {
		if (!(kinds & 1u << class))
			continue;
		fprintf(out, "%s%s", before, names[class]);
		before = ",";
	}
	if (kinds != 0)
		fputc('\n', out);
}

/* With a name to find it by. */
static void put_head(struct report *r, FILE *out, uint32_t node)
{
	const char *function = node_function(r, telling_node(r, node));

	fputs("{\n   leak in ", out);
	put_pattern(out, function != NULL ? function : "an unnamed function");
	fputs("\n   Memcheck:Leak\n", out);
}

int suppressions_write(struct report *r, FILE *out, struct error *e)
{
	for (size_t i = 0; i < r->leak_count; i++) {
		const struct leak *l = &r->leaks[i];
		struct seen seen;
		bool good = true;

		if (leaked_bytes(r, l) == 0)
			continue;
		good = see_stack(&seen, r, l->site->node);
		if (good) {
			put_head(r, out, l->site->node);
			put_kinds(out, kinds_of(l->site));
			put_stack(out, &seen);
			fputs("}\n", out);
		}
		free_seen(&seen);
		if (!good)
			return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	return 0;
}
