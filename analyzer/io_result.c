/* SPDX-License-Identifier: MIT */
/* What the replay of files and sockets found out, as the model of the run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/endpoints.h"
#include "analyzer/folders.h"
#include "analyzer/io_parts.h"
#include "analyzer/names.h"
#include "trace/format.h"

void traffic_add(struct traffic *to, const struct traffic *from)
{
	to->read_bytes += from->read_bytes;
	to->written_bytes += from->written_bytes;
	to->read_calls += from->read_calls;
	to->write_calls += from->write_calls;
	to->errors += from->errors;
	to->time_s += from->time_s;
	to->read_time_s += from->read_time_s;
	to->write_time_s += from->write_time_s;
	to->sync_calls += from->sync_calls;
	to->sync_time_s += from->sync_time_s;
}

static void fold_tracked(struct replay_io *io, struct io_sink *s, struct io_sink *to)
{
	if (s->tracked == NULL)
		return;
	if (to->tracked == NULL) {
		to->tracked = s->tracked;
		s->tracked = NULL;
		return;
	}
	access_add(&to->tracked->access->read, &s->tracked->access->read);
	access_add(&to->tracked->access->written, &s->tracked->access->written);
	io->failed |= !latency_merge(&to->tracked->sync, &s->tracked->sync);
	if (s->tracked->rates != NULL && to->tracked->rates == NULL) {
		to->tracked->rates = s->tracked->rates;
		s->tracked->rates = NULL;
	}
}

static void fold_sink(struct replay_io *io, struct io_sink *s)
{
	struct io_sink *to = &io->sinks[s->into - 1];

	if (s->uses != 0) {
		if (to->uses == 0 || s->first_ns < to->first_ns)
			to->first_ns = s->first_ns;
		if (to->uses == 0 || s->last_ns > to->last_ns)
			to->last_ns = s->last_ns;
		to->uses += s->uses;
	}
	to->opens += s->opens;
	to->closes += s->closes;
	to->open_ns += s->open_ns;
	to->open_longest_ns = fmax(to->open_longest_ns, s->open_longest_ns);
	to->metadata_calls += s->metadata_calls;
	to->metadata_errors += s->metadata_errors;
	to->metadata_ns += s->metadata_ns;
	traffic_add(&to->traffic, &s->traffic);
	io->failed |= !latency_merge(&to->latency, &s->latency);
	latency_free(&s->latency);
	fold_tracked(io, s, to);
}

/* What never got a name is called by its descriptor; then each sink but the
 * folded ones stands for a path or a socket. */
static void fold_sinks(struct replay_io *io)
{
	/* The spare ones are empty, and lead nowhere. */
	for (uint32_t i = io->spare_sink, next; i != 0; i = next) {
		next = io->sinks[i].into;
		io->sinks[i].into = 0;
	}
	io->spare_sink = 0;
	for (size_t i = 1, n = io->sink_count; i < n; i++) {
		struct io_sink *s = &io->sinks[i];
		char name[32];
		uint32_t to;

		if (s->path == NULL && s->into == 0 && s->connection == 0 &&
		    (s->uses != 0 || s->opens != 0 || s->metadata_calls != 0)) {
			snprintf(name, sizeof(name), "fd %d", s->fd);
			to = io_path_sink(io, name);
			io->sinks[i].into = to + 1; /* path_sink may have moved them */
		}
		if (io->sinks[i].into != 0)
			fold_sink(io, &io->sinks[i]);
	}
}

/* ---- who did it ------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct io_use *x = a, *y = b;

	if (x->sink != y->sink)
		return x->sink < y->sink ? -1 : 1;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->op - y->op;
}

/* What was done before the sink was known to be another one adds up. */
static void fold_uses(struct replay_io *io)
{
	bool folded = false;
	size_t kept = 0;

	for (size_t i = 0; i < io->use_count; i++) {
		uint32_t into = io->sinks[io->uses[i].sink].into;

		if (into != 0)
			io->uses[i].sink = into - 1;
		folded |= into != 0;
	}
	if (!folded)
		return;
	qsort(io->uses, io->use_count, sizeof(*io->uses), by_place);
	for (size_t i = 1; i < io->use_count; i++) {
		struct io_use *to = &io->uses[kept], *from = &io->uses[i];

		if (by_place(to, from) != 0) {
			io->uses[++kept] = *from;
			continue;
		}
		to->calls += from->calls;
		to->errors += from->errors;
		to->bytes += from->bytes;
		to->ns += from->ns;
		to->moved[0] += from->moved[0];
		to->moved[1] += from->moved[1];
		to->transfer_ns += from->transfer_ns;
	}
	io->use_count = kept + 1;
}

static int by_sink_and_time(const void *a, const void *b)
{
	const struct io_use *x = a, *y = b;

	if (x->sink != y->sink)
		return x->sink < y->sink ? -1 : 1;
	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return by_place(x, y);
}

static const char *name_of(const struct replay_io *io, unsigned op)
{
	return io->names[op] != NULL ? io->names[op] : "?";
}

static void take_stacks(struct replay_io *io, const struct io_use *uses, size_t count,
			struct io_facts *to)
{
	size_t n = count < IO_STACKS_MAX ? count : IO_STACKS_MAX;

	to->stacks = arena_alloc(io->arena, n * sizeof(*to->stacks));
	if (to->stacks == NULL) {
		io->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		to->stacks[i] = (struct io_stack){
			.node = uses[i].node,
			.function = name_of(io, uses[i].op),
			.calls = uses[i].calls,
			.errors = uses[i].errors,
			.bytes = uses[i].bytes,
			.time_s = uses[i].ns / 1e9,
		};
	to->stack_count = n;
}

static int by_calls(const void *a, const void *b)
{
	const struct io_function *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls < y->calls ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void take_functions(struct replay_io *io, const struct io_use *uses, size_t count,
			   struct io_facts *to)
{
	struct io_function sums[256] = {{.name = NULL}};
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		struct io_function *f = &sums[uses[i].op];

		n += f->calls == 0;
		f->calls += uses[i].calls;
		f->errors += uses[i].errors;
		f->bytes += uses[i].bytes;
		f->time_s += uses[i].ns / 1e9;
	}
	to->functions = arena_alloc(io->arena, n * sizeof(*to->functions));
	if (to->functions == NULL) {
		io->failed = true;
		return;
	}
	for (unsigned op = 0; op < 256; op++) {
		if (sums[op].calls == 0)
			continue;
		sums[op].name = name_of(io, op);
		sums[op].kind = io->kinds[op];
		to->functions[to->function_count++] = sums[op];
	}
	qsort(to->functions, n, sizeof(*to->functions), by_calls);
}

/* Where bytes were moved, or were to be. */
static uint32_t top_node(const struct replay_io *io, const struct io_use *uses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned kind = io->kinds[uses[i].op];

		if (kind == PH_KIND_READ || kind == PH_KIND_WRITE || kind == PH_KIND_MOVE ||
		    kind == PH_KIND_SYNC || kind == PH_KIND_RESIZE)
			return uses[i].node;
	}
	return 0;
}

static int by_node(const void *a, const void *b)
{
	const struct io_use *x = a, *y = b;

	return (x->node > y->node) - (x->node < y->node);
}

/* Of each stack, what it moved of files and over sockets. Uses are sorted by it. */
static void take_stack_traffic(struct replay_io *io, struct run *run)
{
	struct stack_traffic *to = NULL;

	run->stack_traffic = calloc(io->use_count + 1, sizeof(*run->stack_traffic));
	if (run->stack_traffic == NULL) {
		io->failed = true;
		return;
	}
	if (io->use_count != 0)
		qsort(io->uses, io->use_count, sizeof(*io->uses), by_node);
	for (size_t i = 0; i < io->use_count; i++) {
		const struct io_use *use = &io->uses[i];
		bool socket = io->sinks[use->sink].connection != 0;

		if (use->moved[0] == 0 && use->moved[1] == 0 && !(use->transfer_ns > 0))
			continue;
		if (to == NULL || to->node != use->node) {
			to = &run->stack_traffic[run->stack_traffic_count++];
			to->node = use->node;
		}
		*(socket ? &to->received_bytes : &to->read_bytes) += use->moved[0];
		*(socket ? &to->sent_bytes : &to->written_bytes) += use->moved[1];
		to->calls += use->calls;
		*(socket ? &to->network_s : &to->files_s) += use->transfer_ns / 1e9;
	}
}

static void take_uses(struct replay_io *io, struct run *run)
{
	fold_uses(io);
	take_stack_traffic(io, run);
	if (io->use_count != 0)
		qsort(io->uses, io->use_count, sizeof(*io->uses), by_sink_and_time);
	for (size_t i = 0, n; i < io->use_count; i += n) {
		struct io_sink *s = &io->sinks[io->uses[i].sink];

		for (n = 1; i + n < io->use_count && io->uses[i + n].sink == io->uses[i].sink;)
			n++;
		s->top_node = top_node(io, &io->uses[i], n);
		take_stacks(io, &io->uses[i], n, &s->facts);
		take_functions(io, &io->uses[i], n, &s->facts);
	}
}

struct error_count {
	uint32_t sink;
	struct io_error error;
};

static int by_sink_and_calls(const void *a, const void *b)
{
	const struct error_count *x = a, *y = b;

	if (x->sink != y->sink)
		return x->sink < y->sink ? -1 : 1;
	if (x->error.calls != y->error.calls)
		return x->error.calls < y->error.calls ? 1 : -1;
	return x->error.number - y->error.number;
}

/* Of a sink that was folded into another with the same error there are two: they add up. */
static struct error_count *list_errors(struct replay_io *io, size_t *count)
{
	struct map folded = {0};
	struct error_count *list;
	uint64_t key, calls;

	for (size_t at = 0; map_next(&io->errors, &at, &key, &calls);) {
		uint32_t into = io->sinks[key >> 32].into;

		if (into != 0)
			key = (uint64_t)(into - 1) << 32 | (uint32_t)key;
		io->failed |= !map_add(&folded, key, calls);
	}
	*count = 0;
	list = calloc(folded.count + 1, sizeof(*list));
	io->failed |= list == NULL;
	for (size_t at = 0; list != NULL && map_next(&folded, &at, &key, &calls);)
		list[(*count)++] =
			(struct error_count){(uint32_t)(key >> 32), {(int)(uint32_t)key, calls}};
	map_free(&folded);
	return list;
}

static void take_errors(struct replay_io *io)
{
	size_t count;
	struct error_count *list = list_errors(io, &count);

	if (count != 0)
		qsort(list, count, sizeof(*list), by_sink_and_calls);
	for (size_t i = 0, n; i < count; i += n) {
		struct io_facts *f = &io->sinks[list[i].sink].facts;

		for (n = 1; i + n < count && list[i + n].sink == list[i].sink;)
			n++;
		f->errors = arena_alloc(io->arena, n * sizeof(*f->errors));
		if (f->errors == NULL) {
			io->failed = true;
			break;
		}
		for (size_t k = 0; k < n; k++)
			f->errors[k] = list[i + k].error;
		f->error_count = n;
	}
	free(list);
}

/* ---- files -------------------------------------------------------------------- */

/* NULL: it is empty, or there is no memory. */
static struct recorder *move_recorder(struct replay_io *io, struct recorder *from)
{
	struct recorder *to = from->count != 0 ? malloc(sizeof(*to)) : NULL;

	io->failed |= from->count != 0 && to == NULL;
	if (to != NULL) {
		*to = *from;
		*from = (struct recorder){0};
	}
	return to;
}

/* The distribution, and what it was made of: folders are made of it. */
static void take_latency(struct replay_io *io, struct recorder *from, struct traffic *to)
{
	latency_result(from, &to->latency);
	to->recorder = move_recorder(io, from);
}

static struct rate_sample *take_slices(const struct buckets *b, struct rate_sample *to)
{
	double width_s = (double)b->width_ns / 1e9, from_s = b->origin_ns / 1e9;

	for (size_t i = 0; i < b->count; i++)
		to[i] = (struct rate_sample){
			.at_s = from_s + (double)i * width_s,
			.read_bytes_per_s = (double)b->values[i][0] / width_s,
			.written_bytes_per_s = (double)b->values[i][1] / width_s,
		};
	return to;
}

/* What is not needed any more is freed: there may be many files. */
static struct file_access *take_access(struct replay_io *io, struct io_tracked *t)
{
	struct file_access *a = t->access;

	latency_result(&t->sync, &a->sync_latency);
	if (io->keep_recorders)
		a->sync_recorder = move_recorder(io, &t->sync);
	ranges_clear(&t->ranges[0]);
	ranges_clear(&t->ranges[1]);
	if (t->rates == NULL)
		return a;
	a->timeline = arena_alloc(io->arena, t->rates->count * sizeof(*a->timeline));
	if (a->timeline == NULL) {
		io->failed = true;
		return a;
	}
	take_slices(t->rates, a->timeline);
	a->timeline_count = t->rates->count;
	free(t->rates);
	t->rates = NULL;
	return a;
}

static void take_file(struct replay_io *io, struct io_sink *s, struct file *f)
{
	*f = (struct file){
		.path = s->path,
		.number = (uint32_t)(s - io->sinks),
		.traffic = s->traffic,
		.first_at_s = s->first_ns / 1e9,
		.last_at_s = s->last_ns / 1e9,
		.opens = s->opens,
		.failed_opens = s->failed_opens,
		.closes = s->closes,
		.open_s = s->open_ns / 1e9,
		.open_longest_s = s->open_longest_ns / 1e9,
		.metadata_calls = s->metadata_calls,
		.metadata_errors = s->metadata_errors,
		.metadata_time_s = s->metadata_ns / 1e9,
		.top_node = s->top_node,
		.access = s->tracked != NULL ? take_access(io, s->tracked) : NULL,
		.facts = s->facts,
	};
	take_latency(io, &s->latency, &f->traffic);
}

int file_by_bytes(const void *a, const void *b)
{
	const struct file *x = a, *y = b;
	uint64_t p = x->traffic.read_bytes + x->traffic.written_bytes;
	uint64_t q = y->traffic.read_bytes + y->traffic.written_bytes;

	if (p != q)
		return p < q ? 1 : -1;
	if (x->traffic.time_s != y->traffic.time_s)
		return x->traffic.time_s < y->traffic.time_s ? 1 : -1;
	return strcmp(x->path, y->path);
}

/* Those opened at one time stand by descriptor. */
static int by_opening(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	if (x->opened_at_s != y->opened_at_s)
		return x->opened_at_s < y->opened_at_s ? -1 : 1;
	return (x->fd > y->fd) - (x->fd < y->fd);
}

static void take_rates(struct replay_io *io, struct buckets *b, double end_ns, struct io *to)
{
	if (b->count == 0)
		return;
	buckets_at(b, end_ns);
	to->timeline = calloc(b->count, sizeof(*to->timeline));
	if (to->timeline == NULL) {
		io->failed = true;
		return;
	}
	to->timeline_count = b->count;
	take_slices(b, to->timeline);
}

/* ---- connections ------------------------------------------------------------ */

static void take_turns(const struct replay_io *io, struct io_sink *s, struct connection *c,
		       double end_ns)
{
	static const struct turns none = {.count = 0};
	const struct turns *t = s->turns != NULL ? s->turns : &none;
	double opened = fmax(c->opened_at_s * 1e9, io->from_ns);
	double closed = isnan(c->closed_at_s) ? end_ns : c->closed_at_s * 1e9;

	c->turns = t->count;
	latency_result(&t->latency, &c->turn_latency);
	c->first_byte_s =
		t->first_byte != 0 ? fmax(t->first_byte / 1e9 - c->opened_at_s, 0) : (double)NAN;
	c->idle_s = turns_idle_ns(t, opened, closed) / 1e9;
}

static bool record_opening(struct endpoint *e, const struct connection *c)
{
	double s = isnan(c->accept_s) ? c->connect_s : c->accept_s;
	struct recorder one = {0};
	bool good;

	if (isnan(s) || c->connect_errno != 0)
		return true;
	good = latency_record(&one, (uint64_t)fmax(s * 1e9, 0)) &&
	       endpoint_record(&e->open_recorder, &one);
	latency_free(&one);
	return good;
}

/* The addresses that a socket exchanged datagrams with, each by itself. */
static void take_peers(struct replay_io *io, struct endpoints *endpoints)
{
	for (size_t i = 0; i < io->peer_count; i++) {
		const struct io_peer *p = &io->peers[i];
		const struct connection *c = io_connection_of(io, p->sink);
		struct endpoint wanted = {.name = p->address}, *e;

		if (c == NULL || c->peers <= 1)
			continue;
		wanted.side = c->opened_by;
		wanted.family = c->family;
		wanted.type = c->type;
		e = endpoints_get(endpoints, &wanted);
		if (e == NULL) {
			io->failed = true;
			return;
		}
		e->host = names_of(io->resolved, p->address);
		e->connections++;
		traffic_add(&e->traffic, &p->traffic);
	}
}

/* Before what counts. */
static bool is_over(const struct replay_io *io, const struct connection *c)
{
	return c->closed_at_s * 1e9 < io->from_ns;
}

static void take_connection(struct replay_io *io, struct io_sink *s, struct connection *c,
			    struct endpoints *endpoints, double end_ns)
{
	struct endpoint *e;

	c->traffic = s->traffic;
	c->number = (uint32_t)(s - io->sinks);
	c->top_node = s->top_node;
	c->facts = s->facts;
	latency_result(&s->latency, &c->traffic.latency);
	take_turns(io, s, c, end_ns);
	c->endpoint = UINT32_MAX;
	if (is_over(io, c))
		return;
	e = endpoints_of(endpoints, io->arena, c);
	if (e == NULL) {
		io->failed = true;
		return;
	}
	c->endpoint = (uint32_t)(e - endpoints->list);
	if (c->peers > 1)
		return;
	endpoint_add(e, c, end_ns / 1e9);
	io->failed |= !endpoint_record(&e->traffic.recorder, &s->latency) ||
		      !record_opening(e, c) ||
		      (s->turns != NULL && !endpoint_record(&e->turn_recorder, &s->turns->latency));
}

/* What a sink was found to be is known now. */
static void settle_thing(void *context, struct activity_key *key)
{
	const struct replay_io *io = context;

	if ((key->kind != ACTIVITY_FILE && key->kind != ACTIVITY_SOCKET) ||
	    key->thing >= io->sink_count)
		return;
	if (io->sinks[key->thing].into != 0)
		key->thing = io->sinks[key->thing].into - 1;
	key->kind = io->sinks[key->thing].connection != 0 ? ACTIVITY_SOCKET : ACTIVITY_FILE;
}

/* ---- all of it ----------------------------------------------------------------- */

static void take_sinks(struct replay_io *io, struct run *run, struct endpoints *endpoints,
		       double end_ns)
{
	struct recorder files = {0}, sockets = {0};

	for (size_t i = 1; i < io->sink_count; i++) {
		struct io_sink *s = &io->sinks[i];
		bool socket = s->connection != 0;
		struct connection *c = io_connection_of(io, (uint32_t)i);

		if (s->into != 0 || (!socket && s->uses == 0 && s->opens == 0 &&
				     s->metadata_calls == 0 && s->failed_opens == 0))
			continue;
		traffic_add(socket ? &run->sockets.total : &run->io.total, &s->traffic);
		io->failed |= !latency_merge(socket ? &sockets : &files, &s->latency);
		if (socket)
			take_connection(io, s, c, endpoints, end_ns);
		else
			take_file(io, s, &run->files[run->file_count++]);
	}
	run->io.total.time_s -= io->twice_s[0];
	run->sockets.total.time_s -= io->twice_s[1];
	take_latency(io, &files, &run->io.total);
	take_latency(io, &sockets, &run->sockets.total);
	latency_free(&files);
	latency_free(&sockets);
}

/* Of what was done before the sink was known to be another one too. */
static void name_habits(struct replay_io *io, const struct endpoints *endpoints)
{
	for (size_t i = 1; i < io->sink_count; i++)
		if (io->sinks[i].habits != NULL)
			habits_end(&io->habits, io->sinks[i].habits, (uint32_t)i);
	for (size_t i = 0; i < io->habits.count; i++) {
		struct habit *h = &io->habits.list[i];
		uint32_t into = io->sinks[h->sink].into;
		const struct io_sink *s = &io->sinks[into != 0 ? into - 1 : h->sink];
		const struct connection *c =
			s->connection != 0 ? &io->connections[s->connection - 1] : NULL;

		h->socket = c != NULL;
		if (c == NULL)
			h->subject = s->path;
		else if (c->endpoint < endpoints->count) /* else there was no memory for it */
			h->subject = endpoints->list[c->endpoint].name;
	}
	io->failed |= io->habits.failed;
}

static int by_function_time(const void *a, const void *b)
{
	const struct io_total *x = a, *y = b;

	if (x->of.time_s != y->of.time_s)
		return x->of.time_s < y->of.time_s ? 1 : -1;
	return strcmp(x->of.name, y->of.name);
}

static void take_totals(struct replay_io *io, struct run *run)
{
	run->functions = calloc(256, sizeof(*run->functions));
	if (run->functions == NULL) {
		io->failed = true;
		return;
	}
	for (unsigned op = 0; op < 256; op++) {
		struct io_total *to = &run->functions[run->function_count];

		if (io->totals[op].calls == 0)
			continue;
		run->function_count++;
		to->of = io->totals[op];
		to->of.name = name_of(io, op);
		latency_result(&io->by_op[op], &to->latency);
		if (io->keep_recorders)
			to->recorder = move_recorder(io, &io->by_op[op]);
	}
	qsort(run->functions, run->function_count, sizeof(*run->functions), by_function_time);
}

void io_result(struct replay_io *io, struct run *run, double end_ns)
{
	struct endpoints endpoints = {0};

	fold_sinks(io);
	if (io->activity != NULL)
		activity_translate(io->activity, settle_thing, io);
	take_uses(io, run);
	take_errors(io);
	run->files = calloc(io->sink_count, sizeof(*run->files));
	if (run->files == NULL) {
		io->failed = true;
		return;
	}
	take_sinks(io, run, &endpoints, end_ns);
	take_peers(io, &endpoints);
	name_habits(io, &endpoints);
	qsort(run->files, run->file_count, sizeof(*run->files), file_by_bytes);
	io->failed |= !folders_make(run, io->arena);
	take_rates(io, &io->file_bytes, end_ns, &run->io);
	take_rates(io, &io->socket_bytes, end_ns, &run->sockets);
	take_totals(io, run);
	run->connections = io->connections;
	for (size_t i = 0; i < io->connection_count; i++)
		if (!is_over(io, &io->connections[i]))
			run->connections[run->connection_count++] = io->connections[i];
	io->connections = NULL;
	io->connection_count = 0;
	io->failed |= !endpoints_finish(&endpoints, run, io->keep_recorders);
	if (run->connection_count != 0)
		qsort(run->connections, run->connection_count, sizeof(*run->connections),
		      by_opening);
	run->resolved = names_take(io->resolved, &run->resolved_count);
	if (!io->keep_recorders)
		run_free_recorders(run);
}
