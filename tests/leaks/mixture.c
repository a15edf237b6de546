/* SPDX-License-Identifier: MIT */
/*
 * A server made by chance, of the number that it is given: nine parts that hold memory for
 * good reason, each in one of the ways that programs do, and three that leak, each in one
 * of the ways that programs do. Rates, sizes, numbers and pace are drawn. What leaks does
 * so ten times at least.
 */
#include "work.h"

enum { LEAKS = 3, BENIGN = 9, ROOM = 2000 };

static uint64_t state;
static int total; /* requests */

/* From 0 up to below n. */
static unsigned draw(unsigned n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 11) % n;
}

static int between(int least, int most)
{
	return least + (int)draw((unsigned)(most - least + 1));
}

struct part {
	void *(*make)(size_t size); /* with a name of its own in the stack */
	void (*serve)(struct part *p, int i);
	void (*begin)(struct part *p);
	int every; /* it has to do with one request in so many, on average */
	int bound; /* how many blocks it holds */
	int leak;  /* what it makes is lost once in so many times */
	size_t least, most;
	void *slots[ROOM];
	int count, lives;
	void *list;
};

static void *make(struct part *p)
{
	return p->make((size_t)between((int)p->least, (int)p->most));
}

/* No address of it stays: another block may get the same one. */
static void drop(void **slot)
{
	free(*slot);
	*slot = NULL;
}

/* ---- what is held for good reason ------------------------------------------- */

static void serve_nothing(struct part *p, int i)
{
	(void)p, (void)i;
}

static void begin_pool(struct part *p)
{
	for (int k = 0; k < p->bound; k++)
		p->slots[k] = make(p);
}

/* The last ones, in order. */
static void serve_window(struct part *p, int i)
{
	void **s = &p->slots[p->count++ % p->bound];

	(void)i;
	free(*s);
	*s = make(p);
}

/* Any of them may end. */
static void serve_sessions(struct part *p, int i)
{
	void **s = &p->slots[draw((unsigned)p->bound)];

	(void)i;
	free(*s);
	*s = make(p);
}

/* Each once. */
static void serve_cache(struct part *p, int i)
{
	void **s = &p->slots[draw((unsigned)p->bound)];

	(void)i;
	if (*s == NULL)
		*s = make(p);
}

/* All that a generation made is freed at its end. */
static void serve_generation(struct part *p, int i)
{
	(void)i;
	if (p->count == p->bound)
		while (p->count > 0)
			drop(&p->slots[--p->count]);
	p->slots[p->count++] = make(p);
}

/* Made anew as a whole, now and then. */
static void serve_reload(struct part *p, int i)
{
	if (i % (total / (p->lives + 2)) != 0)
		return;
	for (int k = 0; k < p->bound; k++) {
		free(p->slots[k]);
		p->slots[k] = make(p);
	}
}

/* A queue: filled by chance, emptied by chance, and quite so some twenty times. */
static void serve_queue(struct part *p, int i)
{
	(void)i;
	if (p->count < p->bound && draw(100) < 55)
		p->slots[p->count++] = make(p);
	else if (p->count > 0)
		drop(&p->slots[--p->count]);
	if (draw((unsigned)(total / p->every / 20)) == 0)
		while (p->count > 0)
			drop(&p->slots[--p->count]);
}

/* Like a pool, at the first request that needs it. */
static void serve_late_pool(struct part *p, int i)
{
	if (i == total / 100 * p->lives)
		begin_pool(p);
}

/* ---- what leaks ---------------------------------------------------------------- */

static bool leaks_now(const struct part *p)
{
	return draw((unsigned)p->leak) == 0;
}

/* Freed at once, or not at all. */
static void serve_forgotten(struct part *p, int i)
{
	void *made = make(p);

	(void)i;
	if (!leaks_now(p))
		free(made);
}

/* A path that does nothing else. */
static void serve_pure(struct part *p, int i)
{
	(void)i;
	if (leaks_now(p))
		make(p);
}

/* A list of all that ever was. */
static void serve_list(struct part *p, int i)
{
	void **made;

	(void)i;
	if (!leaks_now(p))
		return;
	made = (void **)make(p);
	made[0] = p->list;
	p->list = made;
}

/* Sessions, of which some are not freed. */
static void serve_sessions_badly(struct part *p, int i)
{
	void **s = &p->slots[draw((unsigned)p->bound)];

	(void)i;
	if (!leaks_now(p))
		free(*s);
	*s = make(p);
}

/* A window, likewise. */
static void serve_window_badly(struct part *p, int i)
{
	void **s = &p->slots[p->count++ % p->bound];

	(void)i;
	if (!leaks_now(p))
		free(*s);
	*s = make(p);
}

/* ---- drawing parts -------------------------------------------------------------- */

#define FUNCTION(name)                                                                             \
	NOINLINE static void *name(size_t size)                                                    \
	{                                                                                          \
		return cleared(size);                                                              \
	}
FUNCTION(leak_0)
FUNCTION(leak_1)
FUNCTION(leak_2)
FUNCTION(benign_0)
FUNCTION(benign_1)
FUNCTION(benign_2)
FUNCTION(benign_3)
FUNCTION(benign_4)
FUNCTION(benign_5)
FUNCTION(benign_6)
FUNCTION(benign_7)
FUNCTION(benign_8)

static void *(*const leaking[LEAKS])(size_t) = {leak_0, leak_1, leak_2};
static void *(*const holding[BENIGN])(size_t) = {benign_0, benign_1, benign_2, benign_3, benign_4,
						 benign_5, benign_6, benign_7, benign_8};

static struct part parts[LEAKS + BENIGN];

static void draw_sizes(struct part *p)
{
	p->least = (size_t)between(8, 1 << between(4, 12));
	p->most = draw(2) == 0 ? p->least : p->least * (size_t)between(1, 4);
}

/* Bounds are such that all is as it will be by the middle of the run. */
static void draw_benign(struct part *p, void *(*function)(size_t))
{
	static void (*const ways[])(struct part *, int) = {
		serve_nothing,	  serve_window, serve_sessions, serve_cache,
		serve_generation, serve_reload, serve_queue,	serve_late_pool,
	};
	int uses;

	p->make = function;
	draw_sizes(p);
	p->every = between(1, 12);
	uses = total / p->every;
	p->serve = ways[draw(sizeof(ways) / sizeof(*ways))];
	p->bound = between(5, uses / 5 < ROOM ? uses / 5 : ROOM);
	p->lives = between(5, 25);
	if (p->serve == serve_sessions)
		p->bound = between(5, uses / 10 < ROOM ? uses / 10 : ROOM);
	if (p->serve == serve_cache)
		p->bound = between(5, uses / 16 < ROOM ? uses / 16 : ROOM);
	if (p->serve == serve_nothing)
		begin_pool(p);
	if (p->serve == serve_late_pool || p->serve == serve_reload)
		p->every = 1;
}

static void draw_leak(struct part *p, void *(*function)(size_t))
{
	static void (*const ways[])(struct part *, int) = {
		serve_forgotten, serve_pure, serve_list, serve_sessions_badly, serve_window_badly,
	};
	int uses;

	p->make = function;
	draw_sizes(p);
	p->every = between(1, 12);
	uses = total / p->every;
	p->serve = ways[draw(sizeof(ways) / sizeof(*ways))];
	p->bound = between(2, uses / 12);
	p->leak = between(2, uses / 25);
}

int main(int argc, char **argv)
{
	int pace;

	state = 88172645463325252ull + 7919 * (uint64_t)(argc > 1 ? atoi(argv[1]) : 0);
	for (int i = 0; i < 20; i++)
		draw(2);
	total = requests(between(3000, 8000));
	pace = between(5, 40);
	for (int i = 0; i < BENIGN; i++)
		draw_benign(&parts[LEAKS + i], holding[i]);
	for (int i = 0; i < LEAKS; i++)
		draw_leak(&parts[i], leaking[i]);
	for (int i = 0; i < total; i++) {
		for (int k = 0; k < LEAKS + BENIGN; k++)
			if (draw((unsigned)parts[k].every) == 0)
				parts[k].serve(&parts[k], i);
		temporaries(i);
		if (i % pace == 0)
			pause_us(2000);
	}
	return leave();
}
