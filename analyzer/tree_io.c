/* SPDX-License-Identifier: MIT */
/* Adding processes up: files, connections, and what belongs to them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/access.h"
#include "analyzer/folders.h"
#include "analyzer/io.h"
#include "analyzer/latency.h"
#include "analyzer/tree.h"
#include "analyzer/vector.h"

/* Files. */

static bool add_recorder(struct recorder **to, const struct recorder *from)
{
	if (from == NULL)
		return true;
	if (*to == NULL)
		*to = calloc(1, sizeof(**to));
	return *to != NULL && latency_merge(*to, from);
}

void tree_add_traffic(struct tree *t, struct traffic *to, const struct traffic *from)
{
	traffic_add(to, from);
	t->failed |= !add_recorder(&to->recorder, from->recorder);
}

static uint64_t calls_of(const struct traffic *t)
{
	return t->read_calls + t->write_calls;
}

/* What has no name but its descriptor is not the same file elsewhere. */
static const char *file_name(struct tree *t, const struct run *run, const char *path)
{
	if (path == NULL)
		path = "(unknown)";
	return strncmp(path, "fd ", 3) == 0 ? arena_print(t->arena, "%s of %d", path, run->pid)
					    : path;
}

static struct file *file_of(struct tree *t, const char *path)
{
	struct run *run = &t->run;
	uint64_t hash = map_hash_bytes(path, strlen(path));
	size_t at = SIZE_MAX;
	uint32_t place;

	while ((place = index_find(&t->file_by_path, hash, &at)) != 0) {
		if (strcmp(run->files[place - 1].path, path) == 0)
			return &run->files[place - 1];
	}
	if (run->file_count >= UINT32_MAX - 1 ||
	    !vector_reserve(run->files, t->file_room, run->file_count + 1) ||
	    !index_insert(&t->file_by_path, hash, (uint32_t)run->file_count + 1)) {
		t->failed = true;
		return NULL;
	}
	run->files[run->file_count] =
		(struct file){.path = arena_copy(t->arena, path, strlen(path)),
			      .number = (uint32_t)run->file_count};
	return &run->files[run->file_count++];
}

static void add_use(struct file *to, const struct file *f)
{
	to->opens += f->opens;
	to->failed_opens += f->failed_opens;
	to->closes += f->closes;
	to->open_s += f->open_s;
	to->open_longest_s = fmax(to->open_longest_s, f->open_longest_s);
	to->metadata_calls += f->metadata_calls;
	to->metadata_errors += f->metadata_errors;
	to->metadata_time_s += f->metadata_time_s;
}

/* A file's timeline is in the report of each process. */
static void add_access(struct tree *t, struct file *to, const struct file_access *a)
{
	if (a == NULL)
		return;
	if (to->access == NULL && (to->access = arena_alloc(t->arena, sizeof(*a))) == NULL) {
		t->failed = true;
		return;
	}
	access_add(&to->access->read, &a->read);
	access_add(&to->access->written, &a->written);
	t->failed |= !add_recorder(&to->access->sync_recorder, a->sync_recorder);
}

/* Room for one more in a list that only grows by this: it doubles at powers of two. */
static void *one_more(struct tree *t, void *list, size_t count, size_t size)
{
	void *moved;

	if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
		return list;
	moved = arena_alloc(t->arena, (count != 0 ? 2 * count : 4) * size);
	if (moved != NULL && count != 0)
		memcpy(moved, list, count * size);
	t->failed |= moved == NULL;
	return moved;
}

static void add_stack(struct tree *t, struct io_facts *to, const struct io_stack *s)
{
	struct io_stack *least = NULL, *list;

	for (size_t i = 0; i < to->stack_count; i++) {
		struct io_stack *x = &to->stacks[i];

		if (x->node == s->node && strcmp(x->function, s->function) == 0) {
			x->calls += s->calls;
			x->errors += s->errors;
			x->bytes += s->bytes;
			x->time_s += s->time_s;
			return;
		}
		if (least == NULL || x->time_s < least->time_s)
			least = x;
	}
	if (to->stack_count >= IO_STACKS_MAX) {
		if (s->time_s > least->time_s)
			*least = *s;
		return;
	}
	list = one_more(t, to->stacks, to->stack_count, sizeof(*list));
	if (list == NULL)
		return;
	to->stacks = list;
	list[to->stack_count++] = *s;
}

static void add_function(struct tree *t, struct io_facts *to, const struct io_function *f)
{
	struct io_function *list;

	for (size_t i = 0; i < to->function_count; i++) {
		struct io_function *x = &to->functions[i];

		if (strcmp(x->name, f->name) == 0) {
			x->calls += f->calls;
			x->errors += f->errors;
			x->bytes += f->bytes;
			x->time_s += f->time_s;
			return;
		}
	}
	list = one_more(t, to->functions, to->function_count, sizeof(*list));
	if (list == NULL)
		return;
	to->functions = list;
	list[to->function_count++] = *f;
}

static void add_error(struct tree *t, struct io_facts *to, const struct io_error *e)
{
	struct io_error *list;

	for (size_t i = 0; i < to->error_count; i++) {
		if (to->errors[i].number == e->number) {
			to->errors[i].calls += e->calls;
			return;
		}
	}
	list = one_more(t, to->errors, to->error_count, sizeof(*list));
	if (list == NULL)
		return;
	to->errors = list;
	list[to->error_count++] = *e;
}

static void add_facts(struct tree *t, struct io_facts *to, const struct io_facts *f)
{
	for (size_t i = 0; i < f->stack_count; i++)
		add_stack(t, to, &f->stacks[i]);
	for (size_t i = 0; i < f->function_count; i++)
		add_function(t, to, &f->functions[i]);
	for (size_t i = 0; i < f->error_count; i++)
		add_error(t, to, &f->errors[i]);
}

/* The stack with most time in it is taken from the process with most. Until all
 * are added, that time stands where the longest latency will. */
static void add_file(struct tree *t, const struct tree_image *image, const struct file *f)
{
	struct file *to = file_of(t, file_name(t, &image->run, f->path));
	double most;

	if (to == NULL)
		return;
	tree_number(t, &image->run, ACTIVITY_FILE, f->number, to->number);
	most = to->traffic.latency.max;
	if (calls_of(&f->traffic) != 0) {
		bool first = calls_of(&to->traffic) == 0;

		if (first || f->first_at_s + image->at_s < to->first_at_s)
			to->first_at_s = f->first_at_s + image->at_s;
		if (first || f->last_at_s + image->at_s > to->last_at_s)
			to->last_at_s = f->last_at_s + image->at_s;
	}
	if (f->top_node != 0 && (to->top_node == 0 || f->traffic.time_s > most)) {
		to->top_node = f->top_node;
		to->traffic.latency.max = f->traffic.time_s;
	}
	add_use(to, f);
	add_access(t, to, f->access);
	add_facts(t, &to->facts, &f->facts);
	tree_add_traffic(t, &to->traffic, &f->traffic);
}

/* All files and sockets. */

static void add_total(struct tree *t, const struct io_total *f)
{
	struct run *run = &t->run;
	uint64_t hash = map_hash_bytes(f->of.name, strlen(f->of.name));
	struct io_total *to = NULL;
	size_t at = SIZE_MAX;
	uint32_t place;

	while (to == NULL && (place = index_find(&t->function_by_name, hash, &at)) != 0)
		if (strcmp(run->functions[place - 1].of.name, f->of.name) == 0)
			to = &run->functions[place - 1];
	if (to == NULL) {
		if (!vector_reserve(run->functions, t->function_room, run->function_count + 1) ||
		    !index_insert(&t->function_by_name, hash, (uint32_t)run->function_count + 1)) {
			t->failed = true;
			return;
		}
		to = &run->functions[run->function_count++];
		*to = (struct io_total){.of = {.name = f->of.name, .kind = f->of.kind}};
	}
	to->of.calls += f->of.calls;
	to->of.errors += f->of.errors;
	to->of.bytes += f->of.bytes;
	to->of.time_s += f->of.time_s;
	t->failed |= !add_recorder(&to->recorder, f->recorder);
}

static void add_resolved(struct tree *t, const struct resolved *r)
{
	struct run *run = &t->run;
	uint64_t hash = map_hash_bytes(r->name, strlen(r->name));
	struct resolved *to = NULL;
	size_t at = SIZE_MAX;
	uint32_t place;

	while (to == NULL && (place = index_find(&t->resolved_by_name, hash, &at)) != 0)
		if (strcmp(run->resolved[place - 1].name, r->name) == 0)
			to = &run->resolved[place - 1];
	if (to == NULL) {
		if (!vector_reserve(run->resolved, t->resolved_room, run->resolved_count + 1) ||
		    !index_insert(&t->resolved_by_name, hash, (uint32_t)run->resolved_count + 1)) {
			t->failed = true;
			return;
		}
		to = &run->resolved[run->resolved_count++];
		*to = (struct resolved){.name = r->name};
	}
	if (to->addresses == NULL)
		to->addresses = r->addresses;
	to->calls += r->calls;
	to->errors += r->errors;
	to->time_s += r->time_s;
}

static void add_endpoint(struct tree *t, const struct endpoint *e)
{
	struct endpoint *to = endpoints_get(&t->endpoints, e);

	t->failed |= to == NULL || !endpoint_merge(to, e);
}

static void translate(struct tree *t, const struct run *run, uint32_t *node, struct map *known)
{
	*node = stacks_import(&t->stacks, run, *node, known, t->arena);
}

static void translate_facts(struct tree *t, const struct run *run, struct io_facts *f,
			    struct map *known)
{
	for (size_t i = 0; i < f->stack_count; i++)
		translate(t, run, &f->stacks[i].node, known);
}

static void add_stack_traffic(struct tree *t, const struct run *run, const struct stack_traffic *s,
			      struct map *known)
{
	uint32_t node = stacks_import(&t->stacks, run, s->node, known, t->arena);
	size_t place = map_get(&t->traffic_by_node, (uint64_t)node + 1);
	struct run *sum = &t->run;
	struct stack_traffic *to;

	if (place == 0) {
		place = sum->stack_traffic_count + 1;
		if (!vector_reserve(sum->stack_traffic, t->traffic_room, place) ||
		    !map_put(&t->traffic_by_node, (uint64_t)node + 1, place)) {
			t->failed = true;
			return;
		}
		sum->stack_traffic[sum->stack_traffic_count++] =
			(struct stack_traffic){.node = node};
	}
	to = &sum->stack_traffic[place - 1];
	to->read_bytes += s->read_bytes;
	to->written_bytes += s->written_bytes;
	to->sent_bytes += s->sent_bytes;
	to->received_bytes += s->received_bytes;
	to->calls += s->calls;
	to->files_s += s->files_s;
	to->network_s += s->network_s;
}

void tree_add_io(struct tree *t, struct tree_image *image, struct map *known)
{
	struct run *run = &image->run;

	for (size_t i = 0; i < run->stack_traffic_count; i++)
		add_stack_traffic(t, run, &run->stack_traffic[i], known);

	for (size_t i = 0; i < run->file_count; i++) {
		translate(t, run, &run->files[i].top_node, known);
		translate_facts(t, run, &run->files[i].facts, known);
		add_file(t, image, &run->files[i]);
	}
	for (size_t i = 0; i < run->connection_count; i++) {
		tree_number(t, run, ACTIVITY_SOCKET, run->connections[i].number,
			    t->connection_number);
		run->connections[i].number = t->connection_number++;
		translate(t, run, &run->connections[i].top_node, known);
		translate(t, run, &run->connections[i].opened_node, known);
		translate_facts(t, run, &run->connections[i].facts, known);
	}
	for (size_t i = 0; i < run->endpoint_count; i++)
		add_endpoint(t, &run->endpoints[i]);
	for (size_t i = 0; i < run->function_count; i++)
		add_total(t, &run->functions[i]);
	for (size_t i = 0; i < run->resolved_count; i++)
		add_resolved(t, &run->resolved[i]);
}

void tree_take_connection(struct tree *t, const struct tree_image *image,
			  const struct connection *c)
{
	struct connection *to = &t->run.connections[t->run.connection_count++];
	const struct endpoint *e;

	*to = *c;
	to->pid = image->run.pid;
	to->opened_at_s += image->at_s;
	to->closed_at_s += image->at_s; /* still open: NaN stays NaN */
	to->until_s = isnan(to->closed_at_s) ? tree_until_s(t, image) : to->closed_at_s;
	e = endpoints_of(&t->endpoints, t->arena, c);
	t->failed |= e == NULL;
	to->endpoint = e != NULL ? (uint32_t)(e - t->endpoints.list) : 0;
}

/* The end. */

static void settle(const struct recorder *from, struct latency *to)
{
	static const struct recorder none = {0};

	latency_result(from != NULL ? from : &none, to);
}

static int by_time(const void *a, const void *b)
{
	const struct io_stack *x = a, *y = b;

	if (x->time_s != y->time_s)
		return x->time_s < y->time_s ? 1 : -1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static int by_calls(const void *a, const void *b)
{
	const struct io_function *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return strcmp(x->name, y->name);
}

static int by_number_of_errors(const void *a, const void *b)
{
	const struct io_error *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return x->number - y->number;
}

static int by_function_time(const void *a, const void *b)
{
	const struct io_total *x = a, *y = b;

	if (x->of.time_s != y->of.time_s)
		return x->of.time_s < y->of.time_s ? 1 : -1;
	return strcmp(x->of.name, y->of.name);
}

static void sort(void *list, size_t count, size_t size, int (*order)(const void *, const void *))
{
	if (count != 0)
		qsort(list, count, size, order);
}

static void settle_file(struct file *f)
{
	settle(f->traffic.recorder, &f->traffic.latency);
	if (f->access != NULL)
		settle(f->access->sync_recorder, &f->access->sync_latency);
	sort(f->facts.stacks, f->facts.stack_count, sizeof(*f->facts.stacks), by_time);
	sort(f->facts.functions, f->facts.function_count, sizeof(*f->facts.functions), by_calls);
	sort(f->facts.errors, f->facts.error_count, sizeof(*f->facts.errors), by_number_of_errors);
}

bool tree_settle_files(struct tree *t)
{
	struct run *run = &t->run;
	bool good;

	for (size_t i = 0; i < run->file_count; i++)
		settle_file(&run->files[i]);
	for (size_t i = 0; i < run->function_count; i++)
		settle(run->functions[i].recorder, &run->functions[i].latency);
	settle(run->io.total.recorder, &run->io.total.latency);
	settle(run->sockets.total.recorder, &run->sockets.total.latency);
	good = folders_make(run, t->arena);
	run_free_recorders(run);
	sort(run->files, run->file_count, sizeof(*run->files), file_by_bytes);
	sort(run->functions, run->function_count, sizeof(*run->functions), by_function_time);
	return good;
}

bool tree_settle_connections(struct tree *t)
{
	return endpoints_finish(&t->endpoints, &t->run, false);
}

void tree_free_io(struct tree *t)
{
	for (size_t i = 0; i < t->endpoints.count; i++)
		endpoint_free_recorders(&t->endpoints.list[i]);
	free(t->endpoints.list);
	index_free(&t->endpoints.by_name);
	map_free(&t->traffic_by_node);
	map_free(&t->thing_by_number);
	index_free(&t->file_by_path);
	index_free(&t->function_by_name);
	index_free(&t->resolved_by_name);
}
