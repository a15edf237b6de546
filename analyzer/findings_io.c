/* SPDX-License-Identifier: MIT */
/* Findings about files and what is written to them and to connections. */
#include <math.h>
#include <string.h>

#include "analyzer/findings.h"
#include "analyzer/findings_habits.h"
#include "analyzer/format_text.h"
#include "trace/format.h"

#define FULL_CALL 65536.0  /* bytes: larger calls gain little */
#define FULL_READ 131072.0 /* bytes: the kernel reads ahead as much */

/* What stands for something else than bytes kept: to read it again may give others, and a
 * write is an act. */
static bool is_special(const char *path)
{
	static const char *const prefixes[] = {"/proc/", "/sys/", "/dev/", "anon_inode:"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* ---- time after time -------------------------------------------------------- */

static double writes_needed(const struct habit_group *g)
{
	double full = (double)g->sum.bytes / FULL_CALL;

	return full > (double)g->sum.series ? full : (double)g->sum.series;
}

static void tiny_writes(struct finder *f, const struct habit_group *g)
{
	const struct habit *sum = &g->sum;
	double calls = (double)sum->count, needed = writes_needed(g);
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];
	struct finding *to;

	if (calls < finding_limit(f, TINY_WRITE_CALLS) ||
	    (!sum->socket && is_special(sum->subject)))
		return;
	to = finding_add(f, g->top->node, sum->ns / 1e9 * (1 - needed / calls),
			 arena_print(f->arena, "%s of %s on average to %s",
				     format_counted(n, sum->count, "write"),
				     format_bytes(bytes, (double)sum->bytes / calls),
				     sum->subject));
	evidence_text(to, "object", sum->subject);
	evidence_count(to, "calls", sum->count);
	evidence_count(to, "bytes", sum->bytes);
	evidence_number(to, "mean_bytes", (double)sum->bytes / calls);
	evidence_count(to, "series", sum->series);
	evidence_count(to, "longest_series", sum->longest);
	evidence_number(to, "time_s", sum->ns / 1e9);
	evidence_count(to, "stack_calls", g->top->count);
}

void find_tiny_writes(struct finder *f)
{
	each_habit_group(f, HABIT_TINY_WRITE, false, tiny_writes);
}

static void syncs(struct finder *f, const struct habit_group *g)
{
	const struct habit *sum = &g->sum;
	double calls = (double)sum->count;
	char n[FORMAT_ROOM], bytes[FORMAT_ROOM];
	struct finding *to;

	if (calls < finding_limit(f, SYNC_CALLS) || sum->socket || is_special(sum->subject))
		return;
	to = finding_add(f, g->top->node, sum->ns / 1e9 * (1 - (double)sum->series / calls),
			 arena_print(f->arena, "%s, each after %s on average, of %s",
				     format_counted(n, sum->count, "sync"),
				     format_bytes(bytes, (double)sum->bytes / calls),
				     sum->subject));
	evidence_text(to, "object", sum->subject);
	evidence_count(to, "calls", sum->count);
	evidence_count(to, "bytes", sum->bytes);
	evidence_number(to, "mean_bytes", (double)sum->bytes / calls);
	evidence_count(to, "series", sum->series);
	evidence_count(to, "longest_series", sum->longest);
	evidence_number(to, "time_s", sum->ns / 1e9);
	evidence_count(to, "stack_calls", g->top->count);
}

void find_syncs(struct finder *f)
{
	each_habit_group(f, HABIT_SYNC, false, syncs);
}

/* ---- reads ------------------------------------------------------------------------ */

/* Is it one that reads? */
static bool is_read(const struct io_facts *facts, const char *function)
{
	for (size_t i = 0; i < facts->function_count; i++)
		if (strcmp(facts->functions[i].name, function) == 0)
			return facts->functions[i].kind == PH_KIND_READ ||
			       facts->functions[i].kind == PH_KIND_MOVE;
	return false;
}

/* The stack that read most, and how much; 0: none. */
static uint32_t reading_node(const struct file *file, uint64_t *bytes)
{
	uint32_t node = 0;

	*bytes = 0;
	for (size_t i = 0; i < file->facts.stack_count; i++) {
		const struct io_stack *s = &file->facts.stacks[i];

		if (s->bytes <= *bytes || !is_read(&file->facts, s->function))
			continue;
		*bytes = s->bytes;
		node = s->node;
	}
	return node;
}

/* Up to 1 KiB: as the sizes are counted. */
static uint64_t tiny_reads_of(const struct access *a)
{
	return a->sizes[0] + a->sizes[1];
}

static bool is_read_in_bits(const struct finder *f, const struct file *file)
{
	const struct access *a = file->access != NULL ? &file->access->read : NULL;
	const char *pattern = a != NULL ? access_pattern(a) : NULL;

	return pattern != NULL && strcmp(pattern, "consecutive") == 0 && !is_special(file->path) &&
	       (double)tiny_reads_of(a) >= finding_limit(f, TINY_READ_CALLS);
}

static void tiny_reads(struct finder *f, const struct file *file)
{
	const struct traffic *t = &file->traffic;
	uint64_t tiny = tiny_reads_of(&file->access->read), by_stack;
	double calls = (double)file->access->read.calls;
	double saved = fmax((double)tiny - (double)t->read_bytes / FULL_CALL, 0) / calls;
	char n[FORMAT_ROOM];
	uint32_t node = reading_node(file, &by_stack);
	struct finding *to = finding_add(f, node, t->read_time_s * saved,
					 arena_print(f->arena, "%s of up to 1 KiB, in order, of %s",
						     format_counted(n, tiny, "read"), file->path));

	evidence_text(to, "object", file->path);
	evidence_count(to, "calls", file->access->read.calls);
	evidence_count(to, "tiny_calls", tiny);
	evidence_count(to, "bytes", t->read_bytes);
	evidence_number(to, "mean_bytes", (double)t->read_bytes / calls);
	evidence_number(to, "time_s", t->read_time_s);
	evidence_count(to, "stack_bytes", by_stack);
}

void find_tiny_reads(struct finder *f)
{
	for (size_t i = 0; i < f->run->file_count; i++)
		if (is_read_in_bits(f, &f->run->files[i]))
			tiny_reads(f, &f->run->files[i]);
}

/* What was read without a need: what was written in between may be read anew. */
static double bytes_in_excess(const struct file *file)
{
	const struct traffic *t = &file->traffic;

	return (double)t->read_bytes - (double)file->access->read.distinct_bytes -
	       (double)t->written_bytes;
}

static bool is_reread(const struct finder *f, const struct file *file)
{
	const struct access *a = file->access != NULL ? &file->access->read : NULL;
	double size;

	if (a == NULL || a->calls == 0 || a->again_unknown || is_special(file->path))
		return false;
	size = (double)(a->distinct_bytes + file->traffic.written_bytes);
	return (double)file->traffic.read_bytes >= finding_limit(f, REREAD_FACTOR) * size &&
	       (bytes_in_excess(file) >= finding_limit(f, REREAD_BYTES) ||
		(double)file->opens >= finding_limit(f, REREAD_OPENS));
}

/* In opening and closing it. */
static double opening_s(const struct file *file)
{
	double time_s = 0;

	for (size_t i = 0; i < file->facts.function_count; i++) {
		const struct io_function *function = &file->facts.functions[i];

		if (function->kind == PH_KIND_OPEN || function->kind == PH_KIND_CLOSE)
			time_s += function->time_s;
	}
	return time_s;
}

static void reread(struct finder *f, const struct file *file)
{
	const struct traffic *t = &file->traffic;
	char read[FORMAT_ROOM], distinct[FORMAT_ROOM], opens[FORMAT_ROOM];
	uint64_t by_stack;
	uint32_t node = reading_node(file, &by_stack);
	double reading_s = t->read_time_s * bytes_in_excess(file) / (double)t->read_bytes;
	double again_s = file->opens > 1 ? opening_s(file) * (1 - 1 / (double)file->opens) : 0;
	struct finding *to = finding_add(
		f, node, reading_s + again_s,
		arena_print(f->arena, "%s read where there are %s, opened %s: %s",
			    format_bytes(read, (double)t->read_bytes),
			    format_bytes(distinct, (double)file->access->read.distinct_bytes),
			    format_counted(opens, file->opens, "time"), file->path));

	evidence_text(to, "object", file->path);
	evidence_count(to, "opens", file->opens);
	evidence_count(to, "calls", t->read_calls);
	evidence_count(to, "bytes", t->read_bytes);
	evidence_count(to, "distinct_bytes", file->access->read.distinct_bytes);
	evidence_count(to, "again_bytes", file->access->read.again_bytes);
	evidence_count(to, "written_bytes", t->written_bytes);
	evidence_number(to, "time_s", t->read_time_s);
	evidence_number(to, "open_close_time_s", opening_s(file));
	evidence_count(to, "stack_bytes", by_stack);
}

void find_rereads(struct finder *f)
{
	for (size_t i = 0; i < f->run->file_count; i++)
		if (is_reread(f, &f->run->files[i]))
			reread(f, &f->run->files[i]);
}

/* What is read several times over is another kind; what was written too is worked on. */
static bool is_random(const struct finder *f, const struct file *file)
{
	const struct access *a = file->access != NULL ? &file->access->read : NULL;
	const char *pattern = a != NULL ? access_pattern(a) : NULL;

	return pattern != NULL && strcmp(pattern, "random") == 0 && !a->again_unknown &&
	       !is_special(file->path) && file->traffic.written_bytes == 0 &&
	       (double)a->calls >= finding_limit(f, RANDOM_READ_CALLS) &&
	       (double)file->traffic.read_bytes <
		       finding_limit(f, REREAD_FACTOR) * (double)a->distinct_bytes &&
	       (double)a->distinct_bytes * 100 >=
		       finding_limit(f, RANDOM_READ_PERCENT) * (double)a->end_bytes;
}

static void random_reads(struct finder *f, const struct file *file)
{
	const struct access *a = &file->access->read;
	double needed = (double)a->distinct_bytes / FULL_READ / (double)a->calls;
	char n[FORMAT_ROOM], size[FORMAT_ROOM];
	uint64_t by_stack;
	uint32_t node = reading_node(file, &by_stack);
	struct finding *to =
		finding_add(f, node, needed < 1 ? file->traffic.read_time_s * (1 - needed) : 0,
			    arena_print(f->arena, "%s in random order for all of %s: %s",
					format_counted(n, a->calls, "read"),
					format_bytes(size, (double)a->end_bytes), file->path));

	evidence_text(to, "object", file->path);
	evidence_count(to, "calls", a->calls);
	evidence_count(to, "steps", a->steps);
	evidence_count(to, "consecutive", a->consecutive);
	evidence_count(to, "bytes", file->traffic.read_bytes);
	evidence_count(to, "distinct_bytes", a->distinct_bytes);
	evidence_count(to, "size_bytes", a->end_bytes);
	evidence_number(to, "time_s", file->traffic.read_time_s);
	evidence_count(to, "stack_bytes", by_stack);
}

void find_random_reads(struct finder *f)
{
	for (size_t i = 0; i < f->run->file_count; i++)
		if (is_random(f, &f->run->files[i]))
			random_reads(f, &f->run->files[i]);
}
