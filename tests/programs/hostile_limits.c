/* SPDX-License-Identifier: MIT */
/* hostile_limits WHAT: narrows one of its own limits at run time, then goes on. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "hostile.h"

static void limit(int what, unsigned long value)
{
	struct rlimit both = {.rlim_cur = value, .rlim_max = value};

	expect(setrlimit((__rlimit_resource_t)what, &both) == 0);
}

/* A quarter of a GiB is plenty for what it does; twice that is too much. */
static void narrow_memory(void)
{
	char *p;

	limit(RLIMIT_AS, 256ul << 20);
	p = keep(malloc(64 << 20));
	expect(p != NULL);
	if (p != NULL)
		memset(p, 1, 64 << 20);
	free(p);
	expect(keep(malloc(512ul << 20)) == NULL && errno == ENOMEM);
}

static void narrow_files(void)
{
	int fds[16], count = 0;

	limit(RLIMIT_NOFILE, 8);
	while (count < 16 && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	/* 0 to 2 are taken. */
	expect(count == 5 && errno == EMFILE);
	use_heap(3000);
	use_threads(4);
	use_exec(environ);
	while (count > 0)
		close(fds[--count]);
}

static void narrow_sizes(void)
{
	char block[4096] = "";
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	limit(RLIMIT_FSIZE, 10000);
	fd = open("long", O_WRONLY | O_CREAT | O_TRUNC, 0644);
	expect(write(fd, block, 4096) == 4096 && write(fd, block, 4096) == 4096);
	expect(write(fd, block, 4096) == 10000 - 8192 && write(fd, block, 4096) == -1);
	expect(errno == EFBIG && close(fd) == 0);
	use_heap(200000);
}

int main(int argc, char **argv)
{
	if (is_mode(argc, argv, "as"))
		narrow_memory();
	else if (is_mode(argc, argv, "nofile"))
		narrow_files();
	else if (is_mode(argc, argv, "fsize"))
		narrow_sizes();
	else if (is_mode(argc, argv, "nproc"))
		limit(RLIMIT_NPROC, 20);
	else if (is_mode(argc, argv, "core"))
		limit(RLIMIT_CORE, 0);
	else if (is_mode(argc, argv, "stack"))
		limit(RLIMIT_STACK, 128 << 10);
	else
		return 2;
	use_heap(20000);
	use_file("file");
	use_threads(2);
	use_fork("file.child");
	use_exec(environ);
	return wrongs != 0;
}
