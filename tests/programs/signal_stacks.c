/* SPDX-License-Identifier: MIT */
/*
 * signal_stacks ROOM: handlers on alternate stacks with so many bytes beyond what
 * the kernel itself puts there (where that is little, ROOM is what MINSIGSTKSZ's
 * 2 KiB leave), above a page that may not be touched. They allocate, write and
 * open, amid allocations and writes.
 */
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "hostile.h"

enum { SIGNALS = 400, PAGE = 4096 };

static volatile sig_atomic_t signals, wrong_in_handler;
static int out;

static void handle(int number)
{
	int fd = open("/dev/null", O_RDONLY);

	(void)number;
	signals++;
	if (write(out, "s", 1) != 1 || fd < 0 || close(fd) != 0)
		wrong_in_handler = 1;
}

static void take_stack(size_t room)
{
	size_t size = getauxval(AT_MINSIGSTKSZ) + room;
	size_t mapped = (size + PAGE - 1) / PAGE * PAGE + PAGE;
	char *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = map + PAGE, .ss_size = size};

	expect(map != MAP_FAILED && mprotect(map, PAGE, PROT_NONE) == 0);
	expect(sigaltstack(&stack, NULL) == 0);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};

	take_stack(argc > 1 ? strtoul(argv[1], NULL, 10) : 2048);
	out = open("storm", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	sigaction(SIGALRM, &action, NULL);
	raise(SIGALRM);
	setitimer(ITIMER_REAL, &often, NULL);
	while (signals < SIGNALS) {
		use_heap(50);
		use_file("file");
	}
	setitimer(ITIMER_REAL, &never, NULL);
	signal(SIGALRM, SIG_IGN);
	expect(!wrong_in_handler && lseek(out, 0, SEEK_END) == signals);
	expect(ftruncate(out, 0) == 0);
	say("all signals\n");
	use_all();
	return wrongs != 0;
}
