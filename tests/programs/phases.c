/* SPDX-License-Identifier: MIT */
/*
 * Does different things in three phases, and has each one's beginning and end marked:
 *     phases PERFHOOK [tree]
 * runs `PERFHOOK mark PID NAME` between them, with NAME phase0 before the first, phase1
 * between it and the second, ... It says what each phase did:
 *     truth: N.allocations=  frees, allocated_bytes, kept_bytes (of these: at the phase's end)
 *     truth: N.live_bytes=   what main and its helpers hold at the phase's end
 *     truth: N.written_bytes=, write_calls
 *     truth: N.helper_bytes= allocated by the thread named "helper"
 *     truth: N.large_bytes=  allocated in blocks of 1000 bytes and more
 * With "tree" a forked child does the same work beside it, and has marks child0 ...
 */
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "truth.h"

#define PHASES 3
#define BLOCKS 120

struct work {
	unsigned long long allocations, frees, allocated_bytes, kept_bytes, written_bytes,
		write_calls, helper_bytes, large_bytes;
};

static struct work done[PHASES];
static void *held[PHASES][2 * BLOCKS];
static size_t held_count[PHASES], held_bytes[PHASES][2 * BLOCKS];
static char *marker;

static void hold(int phase, void *p, size_t size)
{
	size_t n = held_count[phase]++;

	held[phase][n] = p;
	held_bytes[phase][n] = size;
	done[phase].kept_bytes += size;
}

/* Of three blocks two are given back: one at once, one by a later phase. */
__attribute__((noinline)) static void take_blocks(int phase, size_t size, bool helper)
{
	struct work *w = &done[phase];

	for (int i = 0; i < BLOCKS / 2; i++, size += 7) {
		void *p = keep(malloc(size));

		w->allocations++;
		w->allocated_bytes += size;
		w->helper_bytes += helper ? size : 0;
		w->large_bytes += size >= 1000 ? size : 0;
		if (i % 3 == 0) {
			free(p);
			w->frees++;
		} else {
			hold(phase, p, size);
		}
	}
}

__attribute__((noinline)) static void release_some(int phase, int of)
{
	for (size_t i = 0; i < held_count[of]; i += 2 + (size_t)phase) {
		if (held[of][i] == NULL)
			continue;
		free(held[of][i]);
		held[of][i] = NULL;
		done[phase].frees++;
		if (of == phase)
			done[phase].kept_bytes -= held_bytes[of][i];
	}
}

__attribute__((noinline)) static void write_some(int phase, int fd)
{
	static const char text[100];

	for (int i = 0; i < 10 + phase; i++) {
		size_t length = (size_t)(i + 1) * 7;

		if (write(fd, text, length) == (ssize_t)length)
			done[phase].written_bytes += length;
		done[phase].write_calls++;
	}
}

static void *help(void *phase)
{
	pthread_setname_np(pthread_self(), "helper");
	take_blocks(*(int *)phase, 900, true);
	return NULL;
}

static void work(int phase, int fd)
{
	pthread_t helper;

	take_blocks(phase, 50 + 300 * (size_t)phase, false);
	/* Its stack and what libc allocates for it are none of ours. */
	if (pthread_create(&helper, NULL, help, &phase) == 0)
		pthread_join(helper, NULL);
	write_some(phase, fd);
	for (int of = 0; of <= phase; of++)
		release_some(phase, of);
}

static unsigned long long live(void)
{
	unsigned long long sum = 0;

	for (int phase = 0; phase < PHASES; phase++)
		for (size_t i = 0; i < held_count[phase]; i++)
			sum += held[phase][i] != NULL ? held_bytes[phase][i] : 0;
	return sum;
}

static void mark_process(pid_t process, const char *what, int number)
{
	char pid[16], name[16], *argv[] = {marker, "mark", pid, name, NULL}, *none[] = {NULL};
	int status = -1;
	pid_t child;

	snprintf(pid, sizeof(pid), "%d", process);
	snprintf(name, sizeof(name), "%s%d", what, number);
	expect(posix_spawn(&child, marker, NULL, NULL, argv, none) == 0 &&
	       waitpid(child, &status, 0) == child && status == 0);
}

/* The child second: what it does then is later than the first mark by its own clock too. */
static void mark(int number, pid_t child)
{
	mark_process(getpid(), "phase", number);
	if (child > 0)
		mark_process(child, "child", number);
}

/* The child goes on when it is told to, and says when it is done. */
static void be_child(int orders, int answers)
{
	int fd = open("written.child", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char byte;

	if (write(answers, "x", 1) != 1)
		_exit(1);
	for (int phase = 0; phase < PHASES && read(orders, &byte, 1) == 1; phase++) {
		work(phase, fd);
		if (write(answers, "x", 1) != 1)
			break;
	}
	/* It stays until its last mark is set. */
	_exit(read(orders, &byte, 1) != 1 || close(fd) != 0);
}

static void say_work(void)
{
	for (int i = 0; i < PHASES; i++) {
		const struct work *w = &done[i];

		say("truth: %d.allocations=%llu\ntruth: %d.frees=%llu\n", i, w->allocations, i,
		    w->frees);
		say("truth: %d.allocated_bytes=%llu\ntruth: %d.kept_bytes=%llu\n", i,
		    w->allocated_bytes, i, w->kept_bytes);
		say("truth: %d.written_bytes=%llu\ntruth: %d.write_calls=%llu\n", i,
		    w->written_bytes, i, w->write_calls);
		say("truth: %d.helper_bytes=%llu\ntruth: %d.large_bytes=%llu\n", i, w->helper_bytes,
		    i, w->large_bytes);
	}
}

int main(int argc, char **argv)
{
	int fd = open("written", O_WRONLY | O_CREAT | O_TRUNC, 0600), orders[2], answers[2];
	bool tree = argc > 2 && strcmp(argv[2], "tree") == 0;
	pid_t child = 0;
	char byte;

	if (argc < 2)
		return 2;
	marker = argv[1];
	expect(pipe(orders) == 0 && pipe(answers) == 0);
	if (tree && (child = fork()) == 0)
		be_child(orders[0], answers[1]);
	/* It is being recorded once it has recorded something. */
	if (tree)
		expect(read(answers[0], &byte, 1) == 1);
	mark(0, child);
	for (int phase = 0; phase < PHASES; phase++) {
		if (tree)
			expect(write(orders[1], "x", 1) == 1);
		work(phase, fd);
		if (tree)
			expect(read(answers[0], &byte, 1) == 1);
		say("truth: %d.live_bytes=%llu\n", phase, live());
		mark(phase + 1, child);
	}
	close(fd);
	if (tree)
		expect(write(orders[1], "x", 1) == 1 && wait(NULL) == child);
	say_work();
	return wrongs;
}
