/* SPDX-License-Identifier: MIT */
/* Threads cancelled inside a blocked read, and threads that leave from deep
 * frames by pthread_exit; clean-up handlers free what they held. */
#include <fcntl.h>

#include "lane.h"
#include "truth.h"

enum { THREADS = 16, DEPTH = 40, HELD = 4321, LEFT = 17, DEEP = 999 };

static struct lane lanes[THREADS];
static int ends[2], out;
static pthread_barrier_t all_there;

static void release(void *block)
{
	expect(write(out, "u", 1) == 1);
	free(block);
}

__attribute__((noinline)) static void *hold(size_t size)
{
	return take(size);
}

__attribute__((noinline)) static void hold_and_block(void)
{
	char byte;

	pthread_cleanup_push(release, hold(HELD));
	pthread_barrier_wait(&all_there);
	read(ends[0], &byte, 1);
	/* Nobody writes. */
	expect(false);
	pthread_cleanup_pop(1);
}

__attribute__((noinline)) static void *leave_behind(void)
{
	return take(LEFT);
}

static void *to_be_cancelled(void *argument)
{
	(void)argument;
	keep(leave_behind());
	hold_and_block();
	return NULL;
}

static void descend(int depth);
/* The compiler would otherwise notice that nothing here ever returns. */
static void (*volatile deeper)(int) = descend;

static void descend(int depth)
{
	if (depth == 0)
		pthread_exit(leave_behind());
	pthread_cleanup_push(release, hold(DEEP));
	deeper(depth - 1);
	pthread_cleanup_pop(1);
}

static void *to_exit(void *argument)
{
	(void)argument;
	descend(DEPTH);
	return NULL;
}

int main(int argc, char **argv)
{
	struct tally t = {0};

	truth_begin(argc, argv);
	out = open("unwound", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	expect(out >= 0 && pipe(ends) == 0);
	pthread_barrier_init(&all_there, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		lane_start(&lanes[i], to_be_cancelled, NULL);
	pthread_barrier_wait(&all_there);
	for (int i = 0; i < THREADS; i++)
		pthread_cancel(lanes[i].thread);
	for (int i = 0; i < THREADS; i++) {
		expect(lane_join(&lanes[i]) == PTHREAD_CANCELED);
		tally_alloc(&t, HELD);
		tally_free(&t, HELD);
		tally_alloc(&t, LEFT);
	}
	for (int i = 0; i < THREADS; i++)
		lane_start(&lanes[i], to_exit, NULL);
	for (int i = 0; i < THREADS; i++) {
		expect(baseline || lane_join(&lanes[i]) != NULL);
		if (baseline)
			lane_join(&lanes[i]);
		tally_alloc(&t, LEFT);
		for (int depth = 0; depth < DEPTH; depth++) {
			tally_alloc(&t, DEEP);
			tally_free(&t, DEEP);
		}
	}
	truth("unwound.written_bytes", THREADS * (DEPTH + 1));
	truth("left_blocks", 2 * THREADS);
	truth("left_bytes", 2 * THREADS * LEFT);
	tally_say(&t);
	return wrongs != 0;
}
