/* SPDX-License-Identifier: MIT */
/* Sends SIGUSR1 while it is being loaded. */
#include <signal.h>

__attribute__((constructor)) static void begin(void)
{
	raise(SIGUSR1);
}
