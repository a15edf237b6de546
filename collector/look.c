/* SPDX-License-Identifier: MIT */
#include "collector/look.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace/clock.h"

#define PATIENCE_NS UINT64_C(600000000000)
#define FOUND_FD    3		/* where the looker writes to */
#define FOUND_MOST  (256 << 20) /* bytes; more is not believed */

static void set_state(struct target *t, enum ph_look state)
{
	atomic_store_explicit(&t->segment->look, state, memory_order_release);
	syscall(SYS_futex, &t->segment->look, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

bool look_is_under_way(const struct target *t)
{
	return t->looker != 0;
}

static _Noreturn void be_looker(const struct target *t, int found)
{
	char pid[16], fd[16];
	char *argv[] = {(char *)"perfhook", (char *)"look", pid, fd, NULL};
	sigset_t none;

	snprintf(pid, sizeof(pid), "%d", t->segment->pid);
	snprintf(fd, sizeof(fd), "%d", FOUND_FD);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (found == FOUND_FD)
		fcntl(found, F_SETFD, 0);
	else if (dup2(found, FOUND_FD) < 0)
		_exit(2);
	execv("/proc/self/exe", argv);
	_exit(2);
}

static void begin(struct target *t)
{
	int found = memfd_create("perfhook found", MFD_CLOEXEC);
	pid_t child = found >= 0 ? fork() : -1;

	if (child == 0)
		be_looker(t, found);
	if (child < 0) {
		if (found >= 0)
			close(found);
		set_state(t, PH_LOOK_OVER);
		return;
	}
	t->looker = child;
	t->looker_fd = found;
	t->looker_since = ph_clock_ns(CLOCK_MONOTONIC);
}

/* A block for each line. */
static void take_in(struct target *t)
{
	struct stat st;
	char *text = MAP_FAILED;

	if (fstat(t->looker_fd, &st) != 0 || st.st_size == 0 || st.st_size > FOUND_MOST)
		return;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, t->looker_fd, 0);
	if (text == MAP_FAILED)
		return;
	for (const char *at = text, *end = text + st.st_size; at < end;) {
		const char *line = memchr(at, '\n', (size_t)(end - at));

		/* A line without its end was cut short. */
		if (line == NULL)
			break;
		target_add_found(t, at, (size_t)(line - at));
		at = line + 1;
	}
	munmap(text, (size_t)st.st_size);
}

static void end_if_over(struct target *t)
{
	int status;

	if (ph_clock_ns(CLOCK_MONOTONIC) - t->looker_since > PATIENCE_NS)
		kill(t->looker, SIGKILL);
	if (waitpid(t->looker, &status, WNOHANG) == 0)
		return;
	take_in(t);
	close(t->looker_fd);
	t->looker = 0;
	set_state(t, PH_LOOK_OVER);
}

void look_serve(struct target *t)
{
	static const char late[] = "{\"failed\":\"the collector did not come to it within 5 s: was "
				   "the machine busy, or "
				   "the disk full?\"}";
	uint32_t wanted = PH_LOOK_WANTED, given_up = PH_LOOK_LATE;

	if (t->looker != 0)
		end_if_over(t);
	else if (atomic_compare_exchange_strong(&t->segment->look, &given_up, PH_LOOK_OVER))
		target_add_found(t, late, strlen(late));
	else if (atomic_compare_exchange_strong(&t->segment->look, &wanted, PH_LOOK_BEGUN))
		begin(t);
}
