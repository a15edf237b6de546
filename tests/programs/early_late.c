/* SPDX-License-Identifier: MIT */
/* Allocations before main (the first of them before the preloaded library's own
 * constructor) and after it (atexit, destructors, thread-local destructors
 * of a thread that outlives nothing). */
#include "lane.h"
#include "truth.h"

static struct tally tally;
static pthread_key_t key;
static struct lane lane;

static void *early[3];

__attribute__((noinline)) static void *allocate_early(size_t size)
{
	tally_alloc(&tally, size);
	return take(size);
}

static void first(int argc, char **argv, char **environment)
{
	(void)environment;
	truth_begin(argc, argv);
	early[0] = allocate_early(1001);
}

/* What stands here runs before the constructors of the shared libraries. */
__attribute__((section(".preinit_array"), used)) static void (*const before_all)(int, char **,
										 char **) = first;

__attribute__((constructor)) static void second(void)
{
	early[1] = allocate_early(1002);
	early[2] = allocate_early(1003);
	free(early[2]);
	tally_free(&tally, 1003);
}

__attribute__((noinline)) static void *allocate_late(size_t size)
{
	return take(size);
}

__attribute__((destructor)) static void last(void)
{
	free(early[0]);
	early[0] = allocate_late(2001);
}

static void at_exit(void)
{
	free(early[1]);
	early[1] = allocate_late(2002);
}

static void thread_ends(void *value)
{
	free(value);
	early[2] = allocate_late(3001);
}

static void *thread(void *argument)
{
	(void)argument;
	pthread_setspecific(key, baseline ? &key : take(3000));
	return NULL;
}

static void thread_ends_baseline(void *value)
{
	(void)value;
}

int main(void)
{
	pthread_key_create(&key, baseline ? thread_ends_baseline : thread_ends);
	lane_start(&lane, thread, NULL);
	lane_join(&lane);
	atexit(at_exit);
	tally_alloc(&tally, 3000);
	tally_free(&tally, 3000);
	tally_alloc(&tally, 3001);
	/* What is still to come. */
	tally_free(&tally, 1002);
	tally_alloc(&tally, 2002);
	tally_free(&tally, 1001);
	tally_alloc(&tally, 2001);
	tally_say(&tally);
	return wrongs != 0;
}
