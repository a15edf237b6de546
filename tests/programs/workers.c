/* SPDX-License-Identifier: MIT */
/* Named threads, each of which writes a file of its own size and keeps some
 * memory: workers [N]. */
#include <fcntl.h>

#include "lane.h"
#include "truth.h"

enum { MOST = 64 };

static struct lane lanes[MOST];
static void *kept[MOST];
static struct tally tallies[MOST];
static pthread_barrier_t all_there;

__attribute__((noinline)) static void *remember(size_t size)
{
	return keep(take(size));
}

static void *work(void *argument)
{
	long me = (long)argument;
	char line[64] = "", name[16];
	int fd;

	snprintf(name, sizeof(name), "worker-%ld", me);
	pthread_setname_np(pthread_self(), name);
	pthread_barrier_wait(&all_there);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	for (int i = 0; i < 100 * (me + 1); i++) {
		void *p = take(32);

		tally_alloc(&tallies[me], 32);
		expect(write(fd, line, 16) == 16);
		free(p);
		tally_free(&tallies[me], 32);
	}
	close(fd);
	kept[me] = remember((size_t)(1000 + me));
	tally_alloc(&tallies[me], (size_t)(1000 + me));
	return NULL;
}

int main(int argc, char **argv)
{
	long count = argc > 1 && atol(argv[1]) > 0 ? atol(argv[1]) : 4;
	struct tally sum = {0};

	truth_begin(argc, argv);
	if (count > MOST)
		return 2;
	pthread_barrier_init(&all_there, NULL, (unsigned)count);
	for (long i = 0; i < count; i++)
		lane_start(&lanes[i], work, (void *)i);
	for (long i = 0; i < count; i++) {
		lane_join(&lanes[i]);
		tally_add(&sum, &tallies[i]);
	}
	truth("threads", (unsigned long long)count + 1);
	truth("written_bytes", (unsigned long long)(1600 * count * (count + 1) / 2));
	tally_say(&sum);
	return wrongs != 0;
}
