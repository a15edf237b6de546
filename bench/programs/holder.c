/* SPDX-License-Identifier: MIT */
/*
 * holder MIB: so much memory in blocks of 32 bytes to 8 KiB, half of them small, in lists, of
 * which one in a hundred is lost; three threads that wait. Says "ready" and stays.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LISTS = 1000 };

static void *lists[LISTS];
static uint64_t seed = 1;

static uint32_t roll(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33);
}

static void *wait_here(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	size_t left = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1) << 20, lost = 0, made = 0;
	pthread_t t;

	while (left > 16384) {
		size_t size = roll() % 2 == 0 ? 32 + roll() % 96 : 32 + roll() % 8160;
		void **block = malloc(size), **list = (void **)&lists[roll() % LISTS];

		if (block == NULL)
			return 1;
		memset(block, 0, size);
		left -= size + 16;
		made++;
		if (roll() % 100 == 0) {
			lost++;
			continue;
		}
		block[0] = *list;
		*list = block;
	}
	for (int i = 0; i < 3; i++)
		pthread_create(&t, NULL, wait_here, NULL);
	printf("ready lost=%zu blocks=%zu\n", lost, made);
	fflush(stdout);
	wait_here(NULL);
	return 0;
}
