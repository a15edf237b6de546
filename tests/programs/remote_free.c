/* SPDX-License-Identifier: MIT */
/*
 * remote_free THREADS ALLOCATIONS [churn]: each thread allocates, and hands each
 * block to another thread, which frees it, except the few that a rule keeps.
 * What is left at the end is the same in every run, and printed. With "churn"
 * each thread ends after a little of its work and another takes its place.
 */
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

#include "lane.h"
#include "truth.h"

enum { MOST = 64, PIECES = 20, WAITING_MOST = 4096 };

/* Lives at the start of the block that is handed over. */
struct letter {
	struct letter *next;
	size_t size;
};

static struct worker {
	_Alignas(64) _Atomic(struct letter *) inbox;
	atomic_int waiting;
	struct lane lane;
	long done, piece;
	uint64_t random;
	struct tally tally;
	struct tally kept[3];
	struct letter *remembered;
} workers[MOST];

static long threads = 8, allocations = 10000;
static atomic_long finished;
static sem_t ended;
static atomic_int last_ended[MOST];
static bool churn;

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

__attribute__((noinline)) static void *make_small(size_t size)
{
	return keep(malloc(size));
}

__attribute__((noinline)) static void *make_zeroed(size_t size)
{
	return keep(calloc(1, size));
}

__attribute__((noinline)) static void *make_grown(size_t size)
{
	return keep(realloc(keep(malloc(16)), size));
}

static void *(*const makers[])(size_t) = {make_small, make_zeroed, make_grown};

static void send_to(struct worker *to, struct letter *l)
{
	atomic_fetch_add(&to->waiting, 1);
	l->next = atomic_load(&to->inbox);
	while (!atomic_compare_exchange_weak(&to->inbox, &l->next, l))
		;
}

static void free_letters(struct worker *w)
{
	struct letter *l = atomic_exchange(&w->inbox, NULL);

	while (l != NULL) {
		struct letter *next = l->next;

		tally_free(&w->tally, l->size);
		atomic_fetch_sub(&w->waiting, 1);
		free(l);
		l = next;
	}
}

/* One in 500 stays. */
static void one(struct worker *w)
{
	uint64_t r = next_random(w);
	size_t size = 24 + r % 100;
	unsigned how = (r >> 20) % 3;
	struct letter *l = makers[how](size);

	if (how == 2) {
		tally_alloc(&w->tally, 16);
		tally_free(&w->tally, 16);
	}
	tally_alloc(&w->tally, size);
	l->size = size;
	if ((r >> 32) % 500 == 0) {
		tally_alloc(&w->kept[how], size);
		l->next = w->remembered;
		w->remembered = l;
		return;
	}
	send_to(&workers[(r >> 40) % (uint64_t)threads], l);
}

static void *work(void *argument)
{
	struct worker *w = argument;
	long end = churn && w->done + w->piece < allocations ? w->done + w->piece : allocations;

	for (; w->done < end; w->done++) {
		if (!baseline)
			one(w);
		if (w->done % 32 == 0 || atomic_load(&w->waiting) > WAITING_MOST)
			free_letters(w);
	}
	/* Nobody may wait for a thread that is no more: stay until all are done. */
	if (w->done == allocations) {
		atomic_fetch_add(&finished, 1);
		while (atomic_load(&finished) < threads) {
			free_letters(w);
			sched_yield();
		}
		free_letters(w);
	}
	atomic_store(&last_ended[w - workers], 1);
	sem_post(&ended);
	return NULL;
}

/* Join whoever ended, and let the next one take its place. */
static void look_after(void)
{
	for (long left = threads; left > 0;) {
		sem_wait(&ended);
		for (long i = 0; i < threads; i++) {
			if (!atomic_exchange(&last_ended[i], 0))
				continue;
			lane_join(&workers[i].lane);
			if (workers[i].done < allocations)
				lane_start(&workers[i].lane, work, &workers[i]);
			else
				left--;
		}
	}
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"make_small", "make_zeroed", "make_grown"};
	struct tally sum = {0}, kept[3] = {{0}};

	truth_begin(argc, argv);
	threads = argc > 1 ? atol(argv[1]) : threads;
	allocations = argc > 2 ? atol(argv[2]) : allocations;
	churn = argc > 3 && strcmp(argv[3], "churn") == 0;
	if (threads < 1 || threads > MOST)
		return 2;
	sem_init(&ended, 0, 0);
	for (long i = 0; i < threads; i++) {
		workers[i].random = 88172645463325252ull + (uint64_t)i * 7919;
		workers[i].piece = allocations / PIECES + 1;
		lane_start(&workers[i].lane, work, &workers[i]);
	}
	look_after();
	for (long i = 0; i < threads; i++) {
		tally_add(&sum, &workers[i].tally);
		for (int how = 0; how < 3; how++)
			tally_add(&kept[how], &workers[i].kept[how]);
	}
	tally_say(&sum);
	for (int how = 0; how < 3; how++) {
		say("truth: %s.live_bytes=%llu\n", names[how], kept[how].allocated_bytes);
		say("truth: %s.live_blocks=%llu\n", names[how], kept[how].allocations);
	}
	return wrongs != 0;
}
