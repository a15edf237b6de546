/* SPDX-License-Identifier: MIT */
/* A report as JSON: files and connections. */
#include "analyzer/report_sections.h"

#include <math.h>
#include <string.h>

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void json_latency(struct emit_json *e, const char *key, const struct latency *l)
{
	const struct {
		const char *key;
		double value;
	} figures[] = {
		{"mean", l->mean}, {"median", l->median}, {"stdev", l->stdev}, {"min", l->min},
		{"p50", l->p50},   {"p75", l->p75},	  {"p90", l->p90},     {"p95", l->p95},
		{"p99", l->p99},   {"max", l->max},
	};

	emit_object(e, key);
	emit_u64(e, "count", l->count);
	for (size_t i = 0; i < sizeof(figures) / sizeof(*figures); i++)
		emit_double(e, figures[i].key, l->count > 0 ? figures[i].value : NAN);
	emit_end(e);
}

/* The same figures go by other names on sockets. */
struct traffic_keys {
	const char *in_bytes, *out_bytes, *in_calls, *out_calls, *in_rate, *out_rate;
};

static const struct traffic_keys file_keys = {"read_bytes",	  "written_bytes",
					      "read_calls",	  "write_calls",
					      "read_bytes_per_s", "written_bytes_per_s"};
static const struct traffic_keys socket_keys = {"received_bytes",	"sent_bytes",
						"receive_calls",	"send_calls",
						"received_bytes_per_s", "sent_bytes_per_s"};

static void json_traffic(struct emit_json *e, const struct traffic *t,
			 const struct traffic_keys *keys)
{
	emit_u64(e, keys->in_bytes, t->read_bytes);
	emit_u64(e, keys->out_bytes, t->written_bytes);
	emit_u64(e, keys->in_calls, t->read_calls);
	emit_u64(e, keys->out_calls, t->write_calls);
	emit_u64(e, "errors", t->errors);
	emit_double(e, "time_s", t->time_s);
}

static void json_function(struct emit_json *e, const struct io_function *f)
{
	emit_string(e, "function", f->name);
	emit_u64(e, "calls", f->calls);
	emit_u64(e, "errors", f->errors);
	emit_u64(e, "bytes", f->bytes);
	emit_double(e, "time_s", f->time_s);
}

static void json_totals(struct emit_json *e, const struct run *run)
{
	emit_array(e, "functions");
	for (size_t i = 0; i < run->function_count; i++) {
		emit_object(e, NULL);
		json_function(e, &run->functions[i].of);
		json_latency(e, "latency_us", &run->functions[i].latency);
		emit_end(e);
	}
	emit_end(e);
}

static void json_facts(struct report *r, struct emit_json *e, const struct io_facts *f)
{
	emit_array(e, "errors_by_errno");
	for (size_t i = 0; i < f->error_count; i++) {
		emit_object(e, NULL);
		emit_string(e, "error", strerrorname_np(f->errors[i].number));
		emit_i64(e, "errno", f->errors[i].number);
		emit_u64(e, "calls", f->errors[i].calls);
		emit_end(e);
	}
	emit_end(e);
	emit_array(e, "functions");
	for (size_t i = 0; i < f->function_count; i++) {
		emit_object(e, NULL);
		json_function(e, &f->functions[i]);
		emit_end(e);
	}
	emit_end(e);
	emit_array(e, "stacks");
	for (size_t i = 0; i < f->stack_count; i++) {
		emit_object(e, NULL);
		emit_string(e, "function", f->stacks[i].function);
		emit_u64(e, "calls", f->stacks[i].calls);
		emit_u64(e, "errors", f->stacks[i].errors);
		emit_u64(e, "bytes", f->stacks[i].bytes);
		emit_double(e, "time_s", f->stacks[i].time_s);
		json_stack(r, e, f->stacks[i].node);
		emit_end(e);
	}
	emit_end(e);
}

static void json_sizes(struct emit_json *e, const struct access *a)
{
	emit_array(e, "sizes");
	for (unsigned i = 0; i < ACCESS_SIZES; i++) {
		emit_object(e, NULL);
		if (access_size_limits[i] != UINT64_MAX)
			emit_u64(e, "up_to_bytes", access_size_limits[i] - 1);
		else
			emit_null(e, "up_to_bytes");
		emit_u64(e, "calls", a->sizes[i]);
		emit_end(e);
	}
	emit_end(e);
}

static void json_access(struct emit_json *e, const char *key, const struct access *a)
{
	if (a == NULL || a->calls == 0) {
		emit_null(e, key);
		return;
	}
	emit_object(e, key);
	emit_string(e, "pattern", access_pattern(a));
	emit_u64(e, "calls", a->calls);
	emit_u64(e, "located_calls", a->located);
	emit_u64(e, "appended_calls", a->appended);
	emit_u64(e, "steps", a->steps);
	emit_u64(e, "sequential", a->sequential);
	emit_u64(e, "consecutive", a->consecutive);
	emit_u64(e, "strided", a->strided);
	emit_u64(e, "repeated", a->repeated);
	emit_u64(e, "unaligned_calls", a->unaligned);
	emit_u64(e, "tiny_calls", a->tiny);
	json_sizes(e, a);
	if (a->again_unknown) {
		emit_null(e, "distinct_bytes");
		emit_null(e, "again_bytes");
	} else {
		emit_u64(e, "distinct_bytes", a->distinct_bytes);
		emit_u64(e, "again_bytes", a->again_bytes);
	}
	emit_end(e);
}

static void json_slices(struct emit_json *e, const struct rate_sample *list, size_t count,
			const struct traffic_keys *keys)
{
	emit_array(e, "timeline");
	for (size_t i = 0; i < count; i++) {
		emit_object(e, NULL);
		emit_double(e, "at_s", list[i].at_s);
		emit_double(e, keys->in_rate, list[i].read_bytes_per_s);
		emit_double(e, keys->out_rate, list[i].written_bytes_per_s);
		emit_end(e);
	}
	emit_end(e);
}

static void json_file_use(struct emit_json *e, const struct file *f)
{
	static const struct latency none = {.count = 0};
	const struct file_access *a = f->access;

	emit_u64(e, "failed_opens", f->failed_opens);
	emit_u64(e, "closes", f->closes);
	emit_double(e, "open_s", f->open_s);
	emit_double(e, "open_longest_s", f->open_longest_s);
	emit_object(e, "metadata");
	emit_u64(e, "calls", f->metadata_calls);
	emit_u64(e, "errors", f->metadata_errors);
	emit_double(e, "time_s", f->metadata_time_s);
	emit_end(e);
	json_latency(e, "sync_latency_us", a != NULL ? &a->sync_latency : &none);
	emit_object(e, "access");
	json_access(e, "read", a != NULL ? &a->read : NULL);
	json_access(e, "written", a != NULL ? &a->written : NULL);
	emit_end(e);
	json_slices(e, a != NULL ? a->timeline : NULL, a != NULL ? a->timeline_count : 0,
		    &file_keys);
}

static void json_file(struct report *r, struct emit_json *e, const struct file *f)
{
	double span = f->last_at_s - f->first_at_s;

	emit_object(e, NULL);
	emit_string(e, "path", f->path);
	json_traffic(e, &f->traffic, &file_keys);
	emit_u64(e, "sync_calls", f->traffic.sync_calls);
	emit_double(e, "sync_time_s", f->traffic.sync_time_s);
	emit_double(e, file_keys.in_rate,
		    span > 0 ? (double)f->traffic.read_bytes / span : (double)NAN);
	emit_double(e, file_keys.out_rate,
		    span > 0 ? (double)f->traffic.written_bytes / span : (double)NAN);
	json_latency(e, "latency_us", &f->traffic.latency);
	emit_u64(e, "opens", f->opens);
	json_file_use(e, f);
	json_facts(r, e, &f->facts);
	json_stack(r, e, f->top_node);
	emit_end(e);
}

static void json_folders(struct report *r, struct emit_json *e)
{
	emit_array(e, "directories");
	for (size_t i = 0; i < least(r->run->folder_count, r->top); i++) {
		const struct folder *f = &r->run->folders[i];

		emit_object(e, NULL);
		emit_string(e, "path", f->path);
		emit_u64(e, "files", f->files);
		emit_u64(e, "opens", f->opens);
		emit_u64(e, "metadata_calls", f->metadata_calls);
		json_traffic(e, &f->traffic, &file_keys);
		emit_u64(e, "sync_calls", f->traffic.sync_calls);
		emit_double(e, "sync_time_s", f->traffic.sync_time_s);
		json_latency(e, "latency_us", &f->traffic.latency);
		emit_end(e);
	}
	emit_end(e);
}

void json_io(struct report *r, struct emit_json *e)
{
	json_traffic(e, &r->run->io.total, &file_keys);
	json_latency(e, "latency_us", &r->run->io.total.latency);
	json_slices(e, r->run->io.timeline, r->run->io.timeline_count, &file_keys);
	emit_array(e, "files");
	for (size_t i = 0; i < least(r->run->file_count, r->top); i++)
		json_file(r, e, &r->run->files[i]);
	emit_end(e);
	json_folders(r, e);
	json_totals(e, r->run);
}

static void json_connection(struct report *r, struct emit_json *e, const struct connection *c)
{
	emit_object(e, NULL);
	if (r->tree != NULL)
		emit_i64(e, "pid", c->pid);
	emit_i64(e, "fd", c->fd);
	emit_string(e, "family", c->family);
	emit_string(e, "type", c->type);
	emit_string(e, "local", c->local);
	emit_string(e, "peer", c->peer);
	emit_bool(e, "several_peers", c->peers > 1);
	emit_bool(e, "listening", c->listening);
	emit_string(e, "opened_by", c->opened_by);
	emit_double(e, "opened_at_s", c->opened_at_s);
	emit_double(e, "closed_at_s", c->closed_at_s);
	emit_string(e, "closed_by", c->closed_by);
	emit_double(e, "connect_s", c->connect_s);
	emit_string(e, "connect_error",
		    c->connect_errno != 0 ? strerrorname_np(c->connect_errno) : NULL);
	json_traffic(e, &c->traffic, &socket_keys);
	json_latency(e, "latency_us", &c->traffic.latency);
	emit_string(e, "peer_name", c->peer_name);
	emit_double(e, "accept_s", c->accept_s);
	emit_double(e, "first_byte_s", c->first_byte_s);
	emit_u64(e, "turns", c->turns);
	json_latency(e, "turn_latency_us", &c->turn_latency);
	emit_double(e, "idle_s", c->idle_s);
	json_facts(r, e, &c->facts);
	emit_object(e, "opened");
	json_stack(r, e, c->opened_node);
	emit_end(e);
	json_stack(r, e, c->top_node);
	emit_end(e);
}

static void json_endpoint(struct emit_json *e, const struct endpoint *p)
{
	emit_object(e, NULL);
	emit_string(e, "name", p->name);
	emit_string(e, "host", p->host);
	emit_string(e, "opened_by", p->side);
	emit_string(e, "family", p->family);
	emit_string(e, "type", p->type);
	emit_u64(e, "connections", p->connections);
	emit_u64(e, "failed_connections", p->failed);
	emit_u64(e, "most_open", p->most_open);
	emit_u64(e, "closed_local", p->closed_local);
	emit_u64(e, "closed_peer", p->closed_peer);
	emit_u64(e, "reset", p->reset);
	emit_double(e, "open_s", p->open_s);
	emit_double(e, "idle_s", p->idle_s);
	emit_u64(e, "turns", p->turns);
	emit_double(e, "turns_per_connection",
		    p->connections > p->failed
			    ? (double)p->turns / (double)(p->connections - p->failed)
			    : (double)NAN);
	json_traffic(e, &p->traffic, &socket_keys);
	json_latency(e, "latency_us", &p->traffic.latency);
	json_latency(e, "turn_latency_us", &p->turn_latency);
	json_latency(e, "open_latency_us", &p->open_latency);
	emit_end(e);
}

static void json_resolved(struct report *r, struct emit_json *e)
{
	emit_array(e, "resolved");
	for (size_t i = 0; i < least(r->run->resolved_count, r->top); i++) {
		const struct resolved *n = &r->run->resolved[i];

		emit_object(e, NULL);
		emit_string(e, "name", n->name);
		emit_string(e, "addresses", n->addresses);
		emit_u64(e, "calls", n->calls);
		emit_u64(e, "errors", n->errors);
		emit_double(e, "time_s", n->time_s);
		emit_end(e);
	}
	emit_end(e);
}

void json_sockets(struct report *r, struct emit_json *e)
{
	json_traffic(e, &r->run->sockets.total, &socket_keys);
	json_latency(e, "latency_us", &r->run->sockets.total.latency);
	json_slices(e, r->run->sockets.timeline, r->run->sockets.timeline_count, &socket_keys);
	emit_array(e, "connections");
	for (size_t i = 0; i < least(r->connection_count, r->top); i++)
		json_connection(r, e, r->connections[i]);
	emit_end(e);
	emit_array(e, "endpoints");
	for (size_t i = 0; i < least(r->run->endpoint_count, r->top); i++)
		json_endpoint(e, &r->run->endpoints[i]);
	emit_end(e);
	json_resolved(r, e);
}
