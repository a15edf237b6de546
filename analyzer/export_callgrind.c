/* SPDX-License-Identifier: MIT */
/*
 * Callgrind's profile format: what each line cost by itself, and what each call from
 * it cost. Costs that are known are events, the asked-for one first. A function that
 * is met again further in on a stack is "f'2", then "f'3", as callgrind itself says it,
 * so that inclusive costs count nothing twice; from LEVELS on only nearly so.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"
#include "analyzer/map.h"
#include "analyzer/string_table.h"
#include "analyzer/vector.h"

#define LEVELS 16

/* Names are numbers in the table of texts. */
struct function {
	uint32_t name, file, object;
	unsigned level;	      /* 2: "f'2" */
	uint64_t stack;	      /* the last one that it was met in: */
	unsigned met;	      /* so many times, of level 1 */
	uint64_t counted;     /* the last one that counted */
	uint32_t first_entry; /* + 1 */
};

/* What was spent on a line of a function: by itself, or in a call from there. */
struct entry {
	uint32_t function, line;
	uint32_t callee; /* + 1; 0: by itself */
	uint32_t next;	 /* of the same function, + 1 */
	uint64_t count;
	uint64_t costs[COST_COUNT];
};

struct callgrind {
	struct export *x;
	struct string_table texts;
	struct function *functions;
	size_t function_count, function_room;
	struct index function_index;
	struct entry *entries;
	size_t entry_count, entry_room;
	struct index entry_index;
	enum cost_id events[COST_COUNT];
	size_t event_count;
	uint64_t totals[COST_COUNT];
	uint64_t stack; /* counts those that were added */
	uint32_t *path; /* the functions of the one in hand */
	size_t path_room;
	bool *said[3]; /* of functions, files, objects: their names */
	bool failed;
};

/* Functions and entries. */

static uint64_t hash3(uint64_t a, uint64_t b, uint64_t c)
{
	return map_hash(map_hash(map_hash(a) ^ b) ^ c);
}

static uint32_t find_function(struct callgrind *c, const struct function *wanted)
{
	uint64_t hash =
		hash3((uint64_t)wanted->name << 8 | wanted->level, wanted->file, wanted->object);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&c->function_index, hash, &at)) != 0) {
		const struct function *f = &c->functions[place - 1];

		if (f->name == wanted->name && f->file == wanted->file &&
		    f->object == wanted->object && f->level == wanted->level)
			return place - 1;
	}
	if (c->failed || !vector_reserve(c->functions, c->function_room, c->function_count + 1) ||
	    !index_insert(&c->function_index, hash, (uint32_t)c->function_count + 1)) {
		c->failed = true;
		return 0;
	}
	c->functions[c->function_count] = *wanted;
	return (uint32_t)c->function_count++;
}

static uint32_t text_number(struct callgrind *c, const char *text)
{
	uint32_t number = string_number(&c->texts, text != NULL ? text : "???");

	c->failed |= number == STRING_TABLE_FULL;
	return number;
}

/* The function of a frame of the stack in hand. */
static uint32_t function_of(struct callgrind *c, const char *label, const char *file,
			    const char *module)
{
	struct function wanted = {
		.name = text_number(c, label),
		.file = text_number(c, file),
		.object = text_number(c, module),
		.level = 1,
	};
	uint32_t first = find_function(c, &wanted);
	struct function *f;

	if (c->failed)
		return 0;
	f = &c->functions[first];
	f->met = f->stack == c->stack ? f->met + 1 : 1;
	f->stack = c->stack;
	wanted.level = f->met < LEVELS ? f->met : LEVELS;
	return f->met > 1 ? find_function(c, &wanted) : first;
}

static struct entry *find_entry(struct callgrind *c, uint32_t function, uint32_t line,
				uint32_t callee)
{
	uint64_t hash = hash3(function, line, callee);
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&c->entry_index, hash, &at)) != 0) {
		struct entry *e = &c->entries[place - 1];

		if (e->function == function && e->line == line && e->callee == callee)
			return e;
	}
	if (c->failed || !vector_reserve(c->entries, c->entry_room, c->entry_count + 1) ||
	    !index_insert(&c->entry_index, hash, (uint32_t)c->entry_count + 1)) {
		c->failed = true;
		return NULL;
	}
	c->entries[c->entry_count] = (struct entry){
		.function = function,
		.line = line,
		.callee = callee,
		.next = c->functions[function].first_entry,
	};
	c->functions[function].first_entry = (uint32_t)++c->entry_count;
	return &c->entries[c->entry_count - 1];
}

/* Stacks. */

/* The functions of a stack, into c->path, innermost first as its frames. */
static bool find_path(struct callgrind *c, const struct stack *stack)
{
	if (!vector_reserve(c->path, c->path_room, stack->count))
		return false;
	for (size_t i = stack->count; i-- > 0 && !c->failed;) {
		const struct frame *f = &stack->frames[i];
		char *label = frame_label(f);

		c->failed |= label == NULL;
		if (label != NULL)
			c->path[i] = function_of(c, label, f->file, f->module);
		free(label);
	}
	return !c->failed;
}

/* Allocations, transfers and waits, each once: the other costs are of some of these. */
static bool is_counted(enum cost_id cost)
{
	return cost == COST_ALLOCATED || cost == COST_TIME || cost == COST_WAITED;
}

/* Of each function on it one entry, that of its innermost frame: what it spent itself
 * and what its calls did add up to what was spent in it. */
static bool add_stack(struct callgrind *c, const struct stack *stack, enum cost_id cost,
		      const struct cost_sample *s)
{
	bool good = find_path(c, stack);

	for (size_t i = 0; i < stack->count && good; i++) {
		struct function *f = &c->functions[c->path[i]];
		int line = stack->frames[i].line;
		struct entry *e;

		if (f->counted == c->stack)
			continue;
		f->counted = c->stack;
		e = find_entry(c, c->path[i], line > 0 ? (uint32_t)line : 0,
			       i > 0 ? c->path[i - 1] + 1 : 0);
		good = e != NULL;
		if (!good)
			break;
		e->costs[cost] += s->value;
		if (is_counted(cost))
			e->count += s->count;
	}
	return good;
}

static bool add_sample(struct callgrind *c, enum cost_id cost, const struct cost_sample *s)
{
	struct frame none = {.function = CALL_NO_STACK};
	const struct stack alone = {.frames = &none, .count = 1};
	struct stack stack;
	bool good;

	c->stack++;
	if (report_stack(c->x->report, s->node, &stack) != 0)
		return false;
	good = add_stack(c, stack.count > 0 ? &stack : &alone, cost, s);
	stack_free(&stack);
	return good;
}

static int add_cost(struct callgrind *c, enum cost_id id, struct error *e)
{
	struct cost_samples samples;
	bool good = true;

	if (costs_of(c->x->report->run, &costs[id], &samples, e) != 0)
		return -1;
	c->totals[id] = samples.total;
	for (size_t i = 0; i < samples.count && good; i++)
		good = add_sample(c, id, &samples.list[i]);
	costs_free(&samples);
	return good ? 0 : export_out_of_memory(e);
}

/* Printing. */

static void print_costs(struct callgrind *c, const uint64_t *values)
{
	for (size_t i = 0; i < c->event_count; i++)
		fprintf(c->x->out, " %" PRIu64, values[c->events[i]]);
	fputc('\n', c->x->out);
}

/* "fn=(7) name", and only "fn=(7)" from the second time on. */
enum name_kind { NAME_FUNCTION, NAME_FILE, NAME_OBJECT };
static void print_name(struct callgrind *c, const char *key, enum name_kind kind, uint32_t number,
		       uint32_t text, const char *suffix)
{
	char *safe;

	fprintf(c->x->out, "%s=(%" PRIu32 ")", key, number + 1);
	if (!c->said[kind][number]) {
		c->said[kind][number] = true;
		safe = format_line(c->texts.strings[text], "");
		c->failed |= safe == NULL;
		fprintf(c->x->out, " %s%s", safe != NULL ? safe : "", suffix);
		free(safe);
	}
	fputc('\n', c->x->out);
}

static void print_place(struct callgrind *c, uint32_t number, bool called)
{
	const struct function *f = &c->functions[number];
	char level[16] = "";

	if (f->level > 1)
		snprintf(level, sizeof(level), "'%u", f->level);
	print_name(c, called ? "cob" : "ob", NAME_OBJECT, f->object, f->object, "");
	print_name(c, called ? "cfi" : "fl", NAME_FILE, f->file, f->file, "");
	print_name(c, called ? "cfn" : "fn", NAME_FUNCTION, number, f->name, level);
}

static void print_function(struct callgrind *c, uint32_t number)
{
	fputc('\n', c->x->out);
	print_place(c, number, false);
	for (uint32_t at = c->functions[number].first_entry; at != 0;) {
		const struct entry *e = &c->entries[at - 1];

		if (e->callee != 0) {
			print_place(c, e->callee - 1, true);
			/* After "calls=0" a reader takes the costs for the function's own. */
			fprintf(c->x->out, "calls=%" PRIu64 " 0\n", e->count > 0 ? e->count : 1);
		}
		fprintf(c->x->out, "%" PRIu32, e->line);
		print_costs(c, e->costs);
		at = e->next;
	}
}

static void print_head(struct callgrind *c)
{
	const struct run *run = c->x->report->run;

	fprintf(c->x->out, "# callgrind format\nversion: 1\ncreator: perfhook %s\npid: %d\ncmd:",
		PERFHOOK_VERSION, run->pid);
	for (const char **word = run->command; word != NULL && *word != NULL; word++) {
		char *safe = format_line(*word, "");

		c->failed |= safe == NULL;
		fprintf(c->x->out, " %s", safe != NULL ? safe : "");
		free(safe);
	}
	fputs("\npositions: line\n", c->x->out);
	for (size_t i = 0; i < c->event_count; i++)
		fprintf(c->x->out, "event: %s : %s (%s)\n", costs[c->events[i]].name,
			costs[c->events[i]].title, cost_unit_name(costs[c->events[i]].unit));
	fputs("events:", c->x->out);
	for (size_t i = 0; i < c->event_count; i++)
		fprintf(c->x->out, " %s", costs[c->events[i]].name);
	fputs("\nsummary:", c->x->out);
	print_costs(c, c->totals);
}

static bool begin_names(struct callgrind *c)
{
	const size_t room[] = {
		[NAME_FUNCTION] = c->function_count,
		[NAME_FILE] = c->texts.count,
		[NAME_OBJECT] = c->texts.count,
	};

	for (int i = 0; i < 3; i++)
		if ((c->said[i] = calloc(room[i] + 1, sizeof(*c->said[i]))) == NULL)
			return false;
	return true;
}

static void choose_events(struct callgrind *c)
{
	c->events[c->event_count++] = (enum cost_id)(c->x->cost - costs);
	for (int i = 0; i < COST_COUNT; i++)
		if (&costs[i] != c->x->cost && cost_is_known(c->x->report->run, &costs[i]))
			c->events[c->event_count++] = (enum cost_id)i;
}

static int write_all(struct callgrind *c, struct error *e)
{
	choose_events(c);
	for (size_t i = 0; i < c->event_count; i++)
		if (add_cost(c, c->events[i], e) != 0)
			return -1;
	if (!begin_names(c))
		return export_out_of_memory(e);
	print_head(c);
	for (size_t i = 0; i < c->function_count; i++)
		print_function(c, (uint32_t)i);
	fputs("\ntotals:", c->x->out);
	print_costs(c, c->totals);
	return c->failed ? export_out_of_memory(e) : 0;
}

int export_callgrind(struct export *x, struct error *e)
{
	struct callgrind c = {.x = x};
	int rc = write_all(&c, e);

	for (int i = 0; i < 3; i++)
		free(c.said[i]);
	free(c.path);
	free(c.functions);
	free(c.entries);
	string_table_free(&c.texts);
	index_free(&c.function_index);
	index_free(&c.entry_index);
	return rc;
}
