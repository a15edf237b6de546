/* SPDX-License-Identifier: MIT */
/* A thread that waits in the kernel when the program ends has its buffer in a register and
 * nowhere else. The requests leak. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "work.h"

static int ready[2];

NOINLINE static void *leak_note(void)
{
	return cleared(sized(88));
}

NOINLINE static void *benign_buffer(void)
{
	return cleared(100000);
}

/* Once it has said so, the buffer's address is in one register, which the kernel keeps, for
 * as long as the read has nothing to read: for ever. */
static void wait_with(void *buffer)
{
#if defined(__x86_64__)
	register void *only __asm__("r12") = buffer;
	long call = SYS_pause;

	buffer = NULL;
	__asm__ volatile("syscall" : "+a"(call) : "r"(only) : "rcx", "r11", "memory");
#else
	for (;;)
		pause();
	keep(buffer);
#endif
}

static void *hold(void *unused)
{
	void *buffer = benign_buffer();
	char stack[32 * 1024];

	(void)unused;
	memset(stack, 0, sizeof(stack));
	keep(stack);
	if (write(ready[1], "!", 1) == 1)
		wait_with(buffer);
	return NULL;
}

int main(void)
{
	pthread_t holder;
	char byte;

	if (pipe(ready) != 0 || pthread_create(&holder, NULL, hold, NULL) != 0 ||
	    read(ready[0], &byte, 1) != 1)
		return 1;
	benign_pool(10, 10000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 70))
			leak_note();
		serve(i);
	}
	return leave();
}
