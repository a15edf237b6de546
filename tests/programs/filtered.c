/* SPDX-License-Identifier: MIT */
/* Forbids itself to open files, at the pain of death and by a call that nobody sees;
 * then allocates, and ends as told by the first argument. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tests/programs/truth.h"

static const struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	const struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]),
					  .filter = (struct sock_filter *)(size_t)code};

	if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
		return 77;
	for (int i = 1; i <= 1000; i++)
		free(keep(malloc((size_t)i)));
	if (argc > 1 && strcmp(argv[1], "_exit") == 0)
		_exit(5);
	return 6;
}
