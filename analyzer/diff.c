/* SPDX-License-Identifier: MIT */
/* What changed between two runs: sums and stacks. */
#include "analyzer/diff.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/map.h"
#include "analyzer/vector.h"

#define BIT(cost)     (1u << (cost))
#define THREADS_NOISE 0.05 /* of the peak, by which a stack's part of it varies */

enum {
	COSTS_MEMORY = BIT(COST_LEAKED) | BIT(COST_ALLOCATED) | BIT(COST_TEMPORARY),
	COSTS_IO = BIT(COST_READ) | BIT(COST_WRITTEN) | BIT(COST_SENT) | BIT(COST_RECEIVED),
	COSTS_TIME = BIT(COST_TIME) | BIT(COST_WAITED),
};

_Static_assert(2 * COST_COUNT <= MATCH_VALUES, "a value and a count of each cost");

/* ---- Stacks ---- */

/* What is in the making. */
struct building {
	struct diff *d;
	struct stack_keys *keys;
	struct keyed_report keyed[DIFF_SIDES];
	struct match_entry *entries; /* as d->stacks */
	size_t entry_room, stack_room;
	struct map by_key;		   /* key + 1 -> place + 1 */
	struct map suppressed[DIFF_SIDES]; /* nodes whose leaks are */
};

static struct diff_stack *stack_of_key(struct building *b, uint32_t key)
{
	struct diff *d = b->d;
	uint64_t place = map_get(&b->by_key, (uint64_t)key + 1);

	if (place != 0)
		return &d->stacks[place - 1];
	if (!vector_reserve(d->stacks, b->stack_room, d->stack_count + 1) ||
	    !vector_reserve(b->entries, b->entry_room, d->stack_count + 1) ||
	    !map_put(&b->by_key, (uint64_t)key + 1, d->stack_count + 1))
		return NULL;
	d->stacks[d->stack_count] = (struct diff_stack){0};
	b->entries[d->stack_count] = (struct match_entry){.key = key};
	return &d->stacks[d->stack_count++];
}

static bool add_sample(struct building *b, int side, enum cost_id cost,
		       const struct cost_sample *sample)
{
	uint32_t key = keyed_report_key(&b->keyed[side], sample->node);
	struct diff_stack *s = stack_of_key(b, key);

	if (s == NULL)
		return false;
	if (s->node[side] == 0)
		s->node[side] = sample->node;
	s->in[side] = true;
	s->costs[cost].value[side] += sample->value;
	s->costs[cost].count[side] += sample->count;
	return true;
}

static int add_cost(struct building *b, int side, enum cost_id id, struct error *e)
{
	struct diff *d = b->d;
	struct cost_samples samples;
	bool good = true;

	if (costs_of(d->reports[side]->run, &costs[id], &samples, e) != 0)
		return -1;
	d->totals[id].value[side] = samples.total;
	for (size_t i = 0; i < samples.count && good; i++) {
		if (id == COST_LEAKED && map_get(&b->suppressed[side], samples.list[i].node) != 0) {
			d->totals[id].value[side] -= samples.list[i].value;
			continue;
		}
		d->totals[id].count[side] += samples.list[i].count;
		good = add_sample(b, side, id, &samples.list[i]);
	}
	costs_free(&samples);
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory");
}

static int add_costs(struct building *b, struct error *e)
{
	struct diff *d = b->d;

	for (int id = 0; id < COST_COUNT; id++) {
		d->known[id] = cost_is_known(d->reports[DIFF_BEFORE]->run, &costs[id]) &&
			       cost_is_known(d->reports[DIFF_AFTER]->run, &costs[id]);
		for (int side = 0; side < DIFF_SIDES; side++)
			if (d->known[id] && add_cost(b, side, (enum cost_id)id, e) != 0)
				return -1;
	}
	return 0;
}

/* What files hold that say something else at each look was not read twice the same. */
static bool is_volatile(const struct file *f)
{
	return (strncmp(f->path, "/proc/", 6) == 0 || strncmp(f->path, "/sys/", 5) == 0) &&
	       f->traffic.written_bytes == 0;
}

static void leave_out_volatile(struct building *b, int side)
{
	struct diff *d = b->d;
	const struct run *run = d->reports[side]->run;

	for (size_t i = 0; d->known[COST_READ] && i < run->file_count; i++) {
		const struct io_facts *facts = &run->files[i].facts;

		if (!is_volatile(&run->files[i]))
			continue;
		d->totals[COST_READ].value[side] -= run->files[i].traffic.read_bytes;
		for (size_t s = 0; s < facts->stack_count; s++) {
			uint32_t key = keyed_report_key(&b->keyed[side], facts->stacks[s].node);
			uint64_t place = map_get(&b->by_key, (uint64_t)key + 1);
			uint64_t *read;

			if (place == 0)
				continue;
			read = &d->stacks[place - 1].costs[COST_READ].value[side];
			*read -= facts->stacks[s].bytes < *read ? facts->stacks[s].bytes : *read;
		}
	}
}

/* The program's own module of a run, its names looked for; NULL: it is not there. */
static const struct module *program_of(struct report *r)
{
	for (size_t i = 0; i < r->run->module_count && r->run->executable != NULL; i++) {
		const struct module *m = &r->run->modules[i];
		struct frame frame;

		if (strcmp(m->path, r->run->executable) != 0)
			continue;
		symbols_lookup(r->symbols, m->path, m->build_id, m->base, m->base, &frame, 1);
		return m;
	}
	return NULL;
}

static void look_at_program(struct diff *d, int side)
{
	struct report *r = d->reports[side];
	const struct module *m = program_of(r);

	if (m == NULL)
		return;
	d->lineless[side] = !symbols_has_lines(r->symbols, m->path, m->build_id);
	d->nameless[side] = symbols_problem(r->symbols, m->path, m->build_id) != NULL;
	d->build_id[side] = m->build_id;
}

static void to_entries(struct building *b)
{
	for (size_t i = 0; i < b->d->stack_count; i++) {
		const struct diff_stack *s = &b->d->stacks[i];
		struct match_entry *entry = &b->entries[i];

		for (int side = 0; side < DIFF_SIDES; side++) {
			entry->in[side] = s->in[side];
			for (size_t id = 0; id < COST_COUNT; id++) {
				entry->value[side][2 * id] = s->costs[id].value[side];
				entry->value[side][2 * id + 1] = s->costs[id].count[side];
			}
		}
	}
}

/* The entry that another one became part of. */
static size_t root_of(const struct building *b, size_t i)
{
	while (b->entries[i].into != 0)
		i = b->entries[i].into - 1;
	return i;
}

static void from_entries(struct building *b)
{
	struct diff *d = b->d;

	for (size_t i = 0; i < d->stack_count; i++) {
		const struct match_entry *entry = &b->entries[i];
		struct diff_stack *s = &d->stacks[i], *root = &d->stacks[root_of(b, i)];

		s->how = entry->how;
		for (int side = 0; side < DIFF_SIDES; side++) {
			if (root->node[side] == 0)
				root->node[side] = s->node[side];
			s->in[side] = entry->in[side] && entry->into == 0;
			for (size_t id = 0; id < COST_COUNT; id++) {
				s->costs[id].value[side] = entry->value[side][2 * id];
				s->costs[id].count[side] = entry->value[side][2 * id + 1];
			}
		}
	}
}

/* Bytes and blocks are the same in two runs of a program that does the same; into how
 * many calls a stream is cut, and what stood at the peak besides, is not. */
static uint32_t exact_values(void)
{
	uint32_t exact = 0;

	for (int id = 0; id < COST_COUNT; id++) {
		if (BIT(id) & (COSTS_MEMORY | COSTS_IO))
			exact |= 1u << 2 * id;
		if (BIT(id) & COSTS_MEMORY)
			exact |= 1u << (2 * id + 1);
	}
	return exact;
}

static int match_stacks(struct building *b, struct error *e)
{
	struct diff *d = b->d;
	struct match_options options = {.exact = exact_values()};

	for (int side = 0; side < DIFF_SIDES; side++) {
		look_at_program(d, side);
		options.lineless[side] = d->lineless[side];
	}
	d->stacks_unknown = d->nameless[DIFF_BEFORE] != d->nameless[DIFF_AFTER];
	d->same_build = d->build_id[DIFF_BEFORE] != NULL && d->build_id[DIFF_AFTER] != NULL &&
			d->build_id[DIFF_BEFORE][0] != '\0' &&
			strcmp(d->build_id[DIFF_BEFORE], d->build_id[DIFF_AFTER]) == 0;
	to_entries(b);
	if (!stack_match(b->keys, b->entries, d->stack_count, &options))
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	from_entries(b);
	return 0;
}

static bool note_suppressed(struct building *b, int side)
{
	const struct report *r = b->d->reports[side];

	for (size_t i = 0; i < r->leak_count; i++)
		if (r->leaks[i].suppressed != NULL &&
		    !map_put(&b->suppressed[side], r->leaks[i].site->node, 1))
			return false;
	return true;
}

static int build_stacks(struct building *b, struct error *e)
{
	b->keys = stack_keys_new();
	if (b->keys == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (int side = 0; side < DIFF_SIDES; side++)
		if (!keyed_report_open(&b->keyed[side], b->keys, b->d->reports[side],
				       b->d->reports[!side]->run) ||
		    !note_suppressed(b, side))
			return fail(e, ERROR_MEMORY, 0, "out of memory");
	if (add_costs(b, e) != 0)
		return -1;
	for (int side = 0; side < DIFF_SIDES; side++)
		leave_out_volatile(b, side);
	return match_stacks(b, e);
}

static void free_building(struct building *b)
{
	for (int side = 0; side < DIFF_SIDES; side++) {
		keyed_report_close(&b->keyed[side]);
		map_free(&b->suppressed[side]);
	}
	stack_keys_free(b->keys);
	free(b->entries);
	map_free(&b->by_key);
}

/* ---- What changed, in its lists ---- */

/* Which blocks of several threads live at once depends on which thread comes when. */
static bool is_chance(const struct diff *d, const struct diff_value *v)
{
	double change = fabs((double)v->value[DIFF_AFTER] - (double)v->value[DIFF_BEFORE]);
	const uint64_t *peak = d->totals[COST_PEAK].value;

	return (d->reports[DIFF_BEFORE]->run->thread_count > 1 ||
		d->reports[DIFF_AFTER]->run->thread_count > 1) &&
	       change < THREADS_NOISE * fmax((double)peak[DIFF_BEFORE], (double)peak[DIFF_AFTER]);
}

static bool is_changed(const struct diff *d, const struct diff_stack *s, int id)
{
	const struct diff_value *v = &s->costs[id];

	if (id == COST_PEAK && is_chance(d, v))
		return false;
	if (BIT(id) & COSTS_TIME)
		return diff_is_slower(&d->noise, v->value[DIFF_BEFORE], v->value[DIFF_AFTER],
				      v->count[v->count[DIFF_AFTER] > v->count[DIFF_BEFORE]]);
	if (diff_is_change(&d->noise, v->value[DIFF_BEFORE], v->value[DIFF_AFTER]))
		return true;
	/* As many bytes in other pieces. */
	return !(BIT(id) & COSTS_IO) && d->noise.bytes == 0 &&
	       diff_is_change(&d->noise, v->count[DIFF_BEFORE], v->count[DIFF_AFTER]);
}

uint32_t diff_group_costs(enum diff_group group)
{
	static const uint32_t of[DIFF_GROUPS] = {
		[DIFF_MEMORY] = COSTS_MEMORY | BIT(COST_PEAK),
		[DIFF_PEAK] = BIT(COST_PEAK),
		[DIFF_IO] = COSTS_IO,
		[DIFF_TIME] = COSTS_TIME,
	};

	return of[group];
}

static bool is_in(const struct diff_stack *s, enum diff_group group)
{
	if (group == DIFF_MEMORY)
		return (s->changed & COSTS_MEMORY) != 0;
	if (group == DIFF_PEAK && (s->changed & COSTS_MEMORY))
		return false;
	return (s->changed & diff_group_costs(group)) != 0;
}

static double signed_change(const uint64_t of[DIFF_SIDES])
{
	return (double)of[DIFF_AFTER] - (double)of[DIFF_BEFORE];
}

/* The largest change of a group's costs in bytes or nanoseconds; without any, of blocks. */
static double growth_of(const struct diff_stack *s, enum diff_group group)
{
	double most = 0, counts = 0;

	for (int id = 0; id < COST_COUNT; id++) {
		double value = signed_change(s->costs[id].value);
		double count = signed_change(s->costs[id].count);

		if (!(diff_group_costs(group) & s->changed & BIT(id)))
			continue;
		if (costs[id].unit != COST_ALLOCATIONS && fabs(value) > fabs(most))
			most = value;
		if (fabs(count) > fabs(counts))
			counts = count;
	}
	return most != 0 ? most : counts;
}

/* What grew first, most first; then what shrank, most first. */
static int by_growth(const void *a, const void *b)
{
	const struct diff_entry *x = a, *y = b;

	if ((x->growth > 0) != (y->growth > 0))
		return x->growth > 0 ? -1 : 1;
	if (fabs(x->growth) != fabs(y->growth))
		return fabs(x->growth) > fabs(y->growth) ? -1 : 1;
	return x->stack < y->stack ? -1 : x->stack > y->stack;
}

static int list_group(struct diff *d, enum diff_group group, struct error *e)
{
	struct diff_entry *list = calloc(d->stack_count + 1, sizeof(*list));
	size_t count = 0;

	d->lists[group] = list;
	if (list == NULL)
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	for (size_t i = 0; i < d->stack_count && !d->stacks_unknown; i++)
		if (is_in(&d->stacks[i], group))
			list[count++] =
				(struct diff_entry){&d->stacks[i], growth_of(&d->stacks[i], group)};
	qsort(list, count, sizeof(*list), by_growth);
	d->list_counts[group] = count;
	return 0;
}

static int list_changes(struct diff *d, struct error *e)
{
	for (size_t i = 0; i < d->stack_count; i++)
		for (int id = 0; id < COST_COUNT; id++)
			if (d->known[id] &&
			    (d->stacks[i].in[DIFF_BEFORE] || d->stacks[i].in[DIFF_AFTER]) &&
			    is_changed(d, &d->stacks[i], id))
				d->stacks[i].changed |= BIT(id);
	for (int group = 0; group < DIFF_GROUPS; group++)
		if (list_group(d, (enum diff_group)group, e) != 0)
			return -1;
	return 0;
}

/* Others had the machine: then all takes longer, waits too. */
static double load_of(const struct run *run)
{
	double sum = 0;

	for (size_t i = 0; i < run->thread_count; i++) {
		const struct thread *t = &run->threads[i];

		sum += isnan(t->runnable_s) ? 0 : t->runnable_s;
		sum += isnan(t->recording_s) ? 0 : t->recording_s;
	}
	return sum;
}

int diff_open(struct diff *d, struct report *before, struct report *after,
	      const struct diff_noise *noise, struct error *e)
{
	struct building b = {.d = d};
	int rc;

	*d = (struct diff){.reports = {before, after}, .noise = *noise};
	d->noise.load_s = fmax(load_of(before->run), load_of(after->run));
	d->keyed = b.keyed;
	rc = build_stacks(&b, e);
	if (rc == 0)
		rc = list_changes(d, e);
	if (rc == 0)
		rc = diff_files(d, e);
	if (rc == 0)
		rc = diff_peers(d, e);
	d->keyed = NULL;
	free_building(&b);
	return rc;
}

void diff_close(struct diff *d)
{
	free(d->stacks);
	for (int group = 0; group < DIFF_GROUPS; group++)
		free(d->lists[group]);
	free(d->files.list);
	free(d->peers.list);
	*d = (struct diff){0};
}

bool diff_is_empty(const struct diff *d)
{
	size_t count = d->files.count + d->peers.count;

	for (int group = 0; group < DIFF_GROUPS; group++)
		count += d->list_counts[group];
	return count == 0 && !d->stacks_unknown;
}
