/* SPDX-License-Identifier: MIT */
/* What changed between two runs: files and peers, matched by their names. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/arena.h"
#include "analyzer/diff.h"
#include "analyzer/map.h"
#include "analyzer/vector.h"

enum {
	EPHEMERAL_PORT = 32768, /* from here on the kernel chooses */
	RANDOM_MAX = 16,	/* characters that a name has for being unique */
	RANDOM_LEAST = 6,
	COMPARED_MAX = 5000000, /* pairs of names, each of one run only */
};

/* Names of both runs, in the making. */
struct places {
	struct diff *d;
	struct arena *arena; /* of the names they are found by */
	struct diff_place *list;
	const char **keys;
	bool *steady; /* a call more or less is no chance */
	size_t count, room, key_room, steady_room;
	struct index by_key;
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static struct diff_place *place_of(struct places *p, const char *key, bool steady)
{
	uint64_t hash = map_hash_bytes(key, strlen(key));
	size_t at = SIZE_MAX;
	uint32_t place;

	while (p->keys != NULL && (place = index_find(&p->by_key, hash, &at)) != 0)
		if (strcmp(p->keys[place - 1], key) == 0)
			return &p->list[place - 1];
	if (!vector_reserve(p->list, p->room, p->count + 1) ||
	    !vector_reserve(p->keys, p->key_room, p->count + 1) ||
	    !vector_reserve(p->steady, p->steady_room, p->count + 1) ||
	    !index_insert(&p->by_key, hash, (uint32_t)p->count + 1))
		return NULL;
	p->list[p->count] = (struct diff_place){0};
	p->keys[p->count] = key;
	p->steady[p->count] = steady;
	return &p->list[p->count++];
}

static void merge(struct diff_place *to, const struct diff_place *from)
{
	for (int side = 0; side < DIFF_SIDES; side++) {
		if (to->name[side] == NULL)
			to->name[side] = from->name[side];
		if (to->node[side] == 0)
			to->node[side] = from->node[side];
		/* Of several that are one here, the one with most time in it. */
		if (to->facts[side] == NULL || from->time_s[side] > to->time_s[side])
			to->facts[side] =
				from->facts[side] != NULL ? from->facts[side] : to->facts[side];
		if (to->peer[side] == NULL)
			to->peer[side] = from->peer[side];
		to->time_s[side] += from->time_s[side];
		for (int i = 0; i < FIGURE_COUNT; i++)
			to->figures[i][side] += from->figures[i][side];
	}
}

/* ---- Names of one run only, that may be one in both ---- */

static bool is_in_one(const struct diff_place *p)
{
	return (p->name[DIFF_BEFORE] == NULL) != (p->name[DIFF_AFTER] == NULL);
}

static bool costs_the_same(const struct diff_place *a, const struct diff_place *b)
{
	for (int i = FIGURE_READ; i <= FIGURE_WRITTEN; i++)
		if (a->figures[i][DIFF_BEFORE] + b->figures[i][DIFF_BEFORE] !=
		    a->figures[i][DIFF_AFTER] + b->figures[i][DIFF_AFTER])
			return false;
	return true;
}

/* Of a folder for what does not last. */
static bool is_temporary(const char *path)
{
	return starts_with(path, "/tmp/") || starts_with(path, "/var/tmp/") ||
	       starts_with(path, "/dev/shm/") || starts_with(path, "/run/") ||
	       strstr(path, "/tmp/") != NULL;
}

/* One name but for a few letters that make it unique: "/tmp/x.a8Xk2p/out". */
static bool differ_by_chance(const char *a, const char *b)
{
	size_t length = strlen(a), head = 0, tail = 0, middle;

	if (strlen(b) != length)
		return false;
	while (a[head] != '\0' && a[head] == b[head])
		head++;
	while (tail < length - head && a[length - 1 - tail] == b[length - 1 - tail])
		tail++;
	middle = length - head - tail;
	if (middle > RANDOM_MAX || (middle < RANDOM_LEAST && !is_temporary(a)))
		return false;
	for (size_t i = head; i < head + middle; i++)
		if (!(isalnum((unsigned char)a[i]) || a[i] == '_') ||
		    !(isalnum((unsigned char)b[i]) || b[i] == '_'))
			return false;
	return true;
}

static bool random_names(const char *a, const char *b, bool same_cost)
{
	return (same_cost || is_temporary(a)) && differ_by_chance(a, b);
}

/* The program was built or run in another folder. */
static bool other_folders(const char *a, const char *b, bool same_cost)
{
	return same_cost && a[0] == '/' && b[0] == '/' && strcmp(base_name(a), base_name(b)) == 0;
}

static bool is_terminal(const char *name)
{
	return starts_with(name, "pipe:") || starts_with(name, "/dev/pts/") ||
	       starts_with(name, "/dev/tty") || starts_with(name, "/dev/null") ||
	       starts_with(name, "socket:");
}

/* Standard output, to a terminal here and to a pipe there. */
static bool other_output(const char *a, const char *b, bool same_cost)
{
	return same_cost && (is_terminal(a) || is_terminal(b));
}

typedef bool twins_fn(const char *a, const char *b, bool same_cost);

/* Those of one run only, in order. */
static size_t list_lone(const struct places *p, int side, size_t *list)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		if (is_in_one(&p->list[i]) && p->list[i].name[side] != NULL)
			list[count++] = i;
	return count;
}

/* The first of `list` that is a's twin; its place, or `count`: none. */
static size_t find_twin(const struct places *p, const struct diff_place *a, const size_t *list,
			size_t count, twins_fn *are_twins, size_t *compared)
{
	for (size_t k = 0; k < count && *compared < COMPARED_MAX; k++, ++*compared) {
		const struct diff_place *b = &p->list[list[k]];

		if (b->name[DIFF_AFTER] != NULL &&
		    are_twins(a->name[DIFF_BEFORE], b->name[DIFF_AFTER], costs_the_same(a, b)))
			return k;
	}
	return count;
}

static void pair(struct places *p, twins_fn *are_twins)
{
	size_t *before = calloc(2 * p->count + 2, sizeof(*before)), *after;
	size_t before_count, after_count, done = 0, compared = 0;

	if (before == NULL)
		return; /* each is in one run only, then */
	after = &before[p->count + 1];
	before_count = list_lone(p, DIFF_BEFORE, before);
	after_count = list_lone(p, DIFF_AFTER, after);
	for (size_t i = 0; i < before_count; i++) {
		struct diff_place *a = &p->list[before[i]];
		size_t k = find_twin(p, a, &after[done], after_count - done, are_twins, &compared);

		if (k < after_count - done) {
			merge(a, &p->list[after[done + k]]);
			p->list[after[done + k]] = (struct diff_place){0};
		}
		while (done < after_count && p->list[after[done]].name[DIFF_AFTER] == NULL)
			done++;
	}
	free(before);
}

/* ---- What changed ---- */

static bool judge(struct places *p, size_t i)
{
	struct diff_place *place = &p->list[i];
	enum diff_figure most = FIGURE_READ, most_calls = FIGURE_READ;
	double growth = 0, calls = 0;

	for (int f = 0; f < FIGURE_COUNT; f++) {
		uint64_t before = place->figures[f][DIFF_BEFORE];
		uint64_t after = place->figures[f][DIFF_AFTER];
		double change = (double)after - (double)before;
		bool bytes = f <= FIGURE_WRITTEN;

		if (!bytes && (!p->steady[i] || p->d->noise.bytes > 0))
			continue;
		if (!diff_is_change(&p->d->noise, before, after))
			continue;
		place->changed |= 1u << f;
		if (bytes && fabs(change) > fabs(growth)) {
			growth = change;
			most = (enum diff_figure)f;
		} else if (!bytes && fabs(change) > fabs(calls)) {
			calls = change;
			most_calls = (enum diff_figure)f;
		}
	}
	place->growth = growth != 0 ? growth : calls;
	place->most = growth != 0 ? most : most_calls;
	return place->changed != 0;
}

static int by_growth(const void *a, const void *b)
{
	const struct diff_place *x = a, *y = b;
	const char *n = x->name[x->name[DIFF_AFTER] != NULL];
	const char *m = y->name[y->name[DIFF_AFTER] != NULL];

	if ((x->growth > 0) != (y->growth > 0))
		return x->growth > 0 ? -1 : 1;
	if (fabs(x->growth) != fabs(y->growth))
		return fabs(x->growth) > fabs(y->growth) ? -1 : 1;
	return strcmp(n, m);
}

static void keep_changed(struct places *p, struct diff_places *to)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++)
		if (judge(p, i))
			p->list[kept++] = p->list[i];
	if (kept > 0)
		qsort(p->list, kept, sizeof(*p->list), by_growth);
	for (size_t i = 0; i < kept && i < p->d->reports[DIFF_AFTER]->top; i++)
		diff_blame(p->d, &p->list[i]);
	*to = (struct diff_places){p->list, kept};
	p->list = NULL;
}

static void close_places(struct places *p)
{
	free(p->list);
	free(p->keys);
	free(p->steady);
	index_free(&p->by_key);
	if (p->arena != NULL)
		arena_free(p->arena);
}

/* ---- Files ---- */

static bool is_own_pid(const struct report *r, unsigned long number)
{
	if (r->tree == NULL)
		return number == (unsigned long)r->run->pid;
	for (size_t i = 0; i < r->tree->image_count; i++)
		if (number == (unsigned long)r->tree->images[i].run.pid)
			return true;
	return false;
}

/* Without what is another one in each run: "pipe:[123]", "/proc/4711/maps", a pid in a
 * name, " (deleted)". */
static const char *file_key(struct places *p, const struct report *r, const char *path)
{
	static const char deleted[] = " (deleted)";
	char *key = arena_alloc(p->arena, strlen(path) + 1), *to = key;
	size_t length = strlen(path);

	if (key == NULL)
		return NULL;
	if (length > strlen(deleted) && strcmp(path + length - strlen(deleted), deleted) == 0)
		length -= strlen(deleted);
	for (size_t i = 0; i < length;) {
		size_t digits = strspn(path + i, "0123456789");

		if (digits == 0) {
			*to++ = path[i++];
			continue;
		}
		if (digits > 9 || !((i > 0 && path[i - 1] == '[' && path[i + digits] == ']') ||
				    is_own_pid(r, strtoul(path + i, NULL, 10)))) {
			memcpy(to, path + i, digits);
			to += digits;
		} else {
			*to++ = '#';
		}
		i += digits;
	}
	*to = '\0';
	return key;
}

/* What the kernel makes up at each look. */
static bool is_made_up(const char *path)
{
	return starts_with(path, "/proc/") || starts_with(path, "/sys/");
}

static struct diff_place of_file(const struct file *f, int side)
{
	struct diff_place p = {0};

	p.name[side] = f->path;
	p.node[side] = f->top_node;
	p.facts[side] = &f->facts;
	p.time_s[side] = f->traffic.time_s;
	p.figures[FIGURE_READ][side] = f->traffic.read_bytes;
	p.figures[FIGURE_WRITTEN][side] = f->traffic.written_bytes;
	p.figures[FIGURE_READ_CALLS][side] = f->traffic.read_calls;
	p.figures[FIGURE_WRITE_CALLS][side] = f->traffic.write_calls;
	p.figures[FIGURE_OPENS][side] = f->opens;
	p.figures[FIGURE_METADATA][side] = f->metadata_calls;
	p.figures[FIGURE_ERRORS][side] = f->traffic.errors;
	return p;
}

static bool add_file(struct places *p, int side, const struct file *f)
{
	const char *key = file_key(p, p->d->reports[side], f->path);
	const struct diff_place of = of_file(f, side);
	struct diff_place *place;

	if (key == NULL)
		return false;
	place = place_of(p, key, key[0] == '/' && !starts_with(key, "/dev/"));
	if (place != NULL)
		merge(place, &of);
	return place != NULL;
}

int diff_files(struct diff *d, struct error *e)
{
	struct places p = {.d = d, .arena = arena_new()};
	bool good = p.arena != NULL;

	for (int side = 0; side < DIFF_SIDES; side++) {
		const struct run *run = d->reports[side]->run;

		for (size_t i = 0; d->known[COST_READ] && i < run->file_count && good; i++)
			if (!is_made_up(run->files[i].path))
				good = add_file(&p, side, &run->files[i]);
	}
	if (good) {
		pair(&p, random_names);
		pair(&p, other_folders);
		pair(&p, other_output);
		keep_changed(&p, &d->files);
	}
	close_places(&p);
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory");
}

/* ---- Peers ---- */

static const char *or_empty(const char *s)
{
	return s != NULL ? s : "";
}

/* Where the port begins in "127.0.0.1:40000", or in "port 40000" of this side; NULL: it
 * has none, or one that someone chose. */
static const char *kernels_port(const struct endpoint *n)
{
	const char *port = NULL;

	if (starts_with(n->name, "port "))
		port = strchr(n->name, ' ');
	else if (starts_with(or_empty(n->family), "inet"))
		port = strrchr(n->name, ':');
	return port != NULL && strtoul(port + 1, NULL, 10) >= EPHEMERAL_PORT ? port + 1 : NULL;
}

/* Whose side, and the address; a port that the kernel chose is any. */
static const char *peer_key(struct places *p, const struct endpoint *n)
{
	const char *port = kernels_port(n);
	size_t length = port != NULL ? (size_t)(port - n->name) : strlen(n->name);
	const char *key =
		arena_print(p->arena, "%s %s %s %.*s%s", or_empty(n->side), or_empty(n->family),
			    or_empty(n->type), (int)length, n->name, port != NULL ? "*" : "");

	return key[0] != '\0' ? key : NULL;
}

static struct diff_place of_peer(const struct endpoint *n, int side)
{
	struct diff_place p = {0};

	p.name[side] = n->name;
	p.peer[side] = n;
	p.time_s[side] = n->traffic.time_s;
	p.figures[FIGURE_READ][side] = n->traffic.read_bytes;
	p.figures[FIGURE_WRITTEN][side] = n->traffic.written_bytes;
	p.figures[FIGURE_READ_CALLS][side] = n->traffic.read_calls;
	p.figures[FIGURE_WRITE_CALLS][side] = n->traffic.write_calls;
	p.figures[FIGURE_OPENS][side] = n->connections;
	p.figures[FIGURE_ERRORS][side] = n->traffic.errors;
	return p;
}

static bool add_peer(struct places *p, int side, const struct endpoint *n)
{
	const char *key = peer_key(p, n);
	struct diff_place *place = key != NULL ? place_of(p, key, false) : NULL;
	struct diff_place of;

	if (place == NULL)
		return false;
	of = of_peer(n, side);
	merge(place, &of);
	return true;
}

int diff_peers(struct diff *d, struct error *e)
{
	struct places p = {.d = d, .arena = arena_new()};
	bool good = p.arena != NULL;

	for (int side = 0; side < DIFF_SIDES; side++) {
		const struct run *run = d->reports[side]->run;

		for (size_t i = 0; d->known[COST_SENT] && i < run->endpoint_count && good; i++)
			if (run->endpoints[i].name != NULL)
				good = add_peer(&p, side, &run->endpoints[i]);
	}
	if (good) {
		pair(&p, random_names);
		pair(&p, other_output);
		keep_changed(&p, &d->peers);
	}
	close_places(&p);
	return good ? 0 : fail(e, ERROR_MEMORY, 0, "out of memory");
}
