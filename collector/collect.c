/* SPDX-License-Identifier: MIT */
/*
 * The collector's life: find the segments of its session, drain them, notice
 * their ends, and go when none is left.
 *
 * It sleeps on the control file's futex. Targets ring it when a ring is half
 * full, when a process is announced, when one ends, and when they record after a
 * pause; a target that is killed rings nobody, so it looks around every 50 ms.
 */
#include "collector/collector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/look.h"
#include "collector/outname.h"
#include "collector/proc.h"
#include "collector/target.h"
#include "collector/tidy.h"
#include "trace/clock.h"

#define ACTIVE_SLEEP_NS	 INT64_C(8000000)    /* while events come: bounds a stamp's age */
#define IDLE_SLEEP_NS	 INT64_C(50000000)   /* a killed target is noticed within this */
#define QUIET_ROUNDS	 5		     /* without an event: the clock may sleep */
#define LINGER_NS	 UINT64_C(300000000) /* see struct collector */
#define RECLAIM_EVERY_NS UINT64_C(100000000)

struct name {
	struct name *next;
	uint8_t id[16]; /* of the trace that has it */
	char path[];
};

struct collector {
	char folder[128];
	struct ph_control *control;
	char base_directory[4096]; /* relative names are resolved against it */
	struct target **targets;
	size_t target_count, target_room;
	struct name *names; /* traces of this session, by path */
	uint32_t announced; /* control->announced when the folder was last read */
	uint64_t last_reclaim, empty_since;
	uint32_t clock_kind; /* asked for once: it takes 20 us under a hypervisor */
	bool linger;	     /* none has come yet, or one forked and its child may be on its way */
};

static volatile sig_atomic_t asked_to_stop;

static void on_stop(int signal)
{
	(void)signal;
	asked_to_stop = 1;
}

/* ---- names -------------------------------------------------------------- */

static bool name_is_used(const struct collector *c, const char *path)
{
	for (const struct name *n = c->names; n != NULL; n = n->next)
		if (strcmp(n->path, path) == 0)
			return true;
	return false;
}

/* The trace's path, of a process that may have ended; NULL: none of this session. */
static const char *path_of(const struct collector *c, const uint8_t id[16])
{
	for (const struct name *n = c->names; n != NULL; n = n->next)
		if (memcmp(n->id, id, sizeof(n->id)) == 0)
			return n->path;
	return NULL;
}

static bool use_name(struct collector *c, const char *path, const uint8_t id[16])
{
	size_t length = strlen(path);
	struct name *n = malloc(sizeof(*n) + length + 1);

	if (n == NULL)
		return false;
	memcpy(n->path, path, length + 1);
	memcpy(n->id, id, sizeof(n->id));
	n->next = c->names;
	c->names = n;
	return true;
}

/* The first image of the first process uses the name as it is given; where it
 * would be used again, .PID.N is appended. */
static bool choose_name(struct collector *c, struct target *t)
{
	const struct ph_segment *s = t->segment;
	const struct outname n = {
		.pattern = s->output,
		.directory = c->base_directory,
		.executable = s->executable,
		.host = s->host,
		.pid = s->pid,
		.started_ns = s->start_realtime_ns,
	};
	size_t length;

	if (!outname_expand(&n, t->trace_path, sizeof(t->trace_path) - 32))
		return false;
	if (!name_is_used(c, t->trace_path) && (s->first_process || outname_has_pid(s->output)))
		return true;
	length = strlen(t->trace_path);
	for (unsigned i = 1; i < 1000000; i++) {
		snprintf(t->trace_path + length, 32, ".%d.%u", s->pid, i);
		if (!name_is_used(c, t->trace_path))
			return true;
	}
	return false;
}

/* A name that another session writes to is in use as well: it is this process's
 * from before an exec that dropped the session's mark, or another program's. */
static int open_trace(struct collector *c, struct target *t, char *why, size_t room)
{
	static const uint8_t another[16];
	const struct ph_segment *s = t->segment;
	/* Another user's trace may be this process's from before it became somebody
	 * else, unless the name was given for this very process. */
	bool may_differ = outname_has_pid(s->output) || !s->first_process;
	int fd = OUTNAME_BUSY;

	while ((fd == OUTNAME_BUSY || (fd == OUTNAME_FOREIGN && may_differ)) && choose_name(c, t)) {
		fd = outname_create(t->trace_path, why, room);
		if (fd != -1 && !use_name(c, t->trace_path, fd < 0 ? another : s->id) && fd < 0)
			break; /* it would be asked for again */
	}
	return fd >= 0 ? fd : -1;
}

/* ---- attaching ---------------------------------------------------------- */

static void wake_all(const _Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

static void answer(struct target *t, enum ph_collector_state state)
{
	atomic_store_explicit(&t->segment->collector, state, memory_order_release);
	wake_all(&t->segment->collector);
}

static void retire(struct collector *c, size_t index)
{
	target_free(c->targets[index]);
	c->targets[index] = c->targets[--c->target_count];
	c->empty_since = ph_clock_ns(CLOCK_MONOTONIC);
}

static struct target *parent_of(const struct collector *c, const struct ph_segment *s)
{
	for (size_t i = 0; i < c->target_count; i++)
		if (memcmp(c->targets[i]->segment->id, s->parent_id, sizeof(s->parent_id)) == 0)
			return c->targets[i];
	return NULL;
}

static void end_target(struct collector *c, size_t index, const struct target_end *end)
{
	struct target *t = c->targets[index];

	c->linger |= atomic_load(&t->segment->forks) != 0;
	/* Without the disk's consent the segment stays, for the trace's next reader. */
	if (target_finish(t, end))
		unlink(t->segment_path);
	atomic_store_explicit(&t->segment->collector, PH_COLLECTOR_GONE, memory_order_release);
	retire(c, index);
}

/* A new image of a process: the one before it is over. */
static void end_former_image(struct collector *c, const struct ph_segment *s)
{
	const struct target_end end = {.kind = "exec", .status = -1};

	for (size_t i = 0; i < c->target_count; i++) {
		const struct ph_segment *o = c->targets[i]->segment;

		if (o != s && o->pid == s->pid && o->process_start == s->process_start) {
			end_target(c, i, &end);
			return;
		}
	}
}

static void refuse(struct collector *c, struct target *t, const char *why)
{
	const struct target *parent = parent_of(c, t->segment);

	if (parent != NULL)
		atomic_fetch_add(&parent->segment->children_unrecorded, 1);
	snprintf(t->segment->refusal, sizeof(t->segment->refusal), "%s", why);
	answer(t, PH_COLLECTOR_REFUSED);
	unlink(t->segment_path);
	target_free(t);
}

static void attach(struct collector *c, struct target *t)
{
	char why[512] = "the name of the trace is too long";

	c->linger = false;
	if (c->base_directory[0] == '\0')
		snprintf(c->base_directory, sizeof(c->base_directory), "%s", t->segment->directory);
	/* It had no /proc to look into. */
	if (t->segment->process_start == 0)
		t->segment->process_start = proc_start_time(t->segment->pid);
	if (proc_start_time(t->segment->pid) == t->segment->process_start)
		t->pidfd = proc_open(t->segment->pid);
	t->io_fd = proc_io_open(t->segment->pid);
	t->status_fd = proc_status_open(t->segment->pid);
	proc_thread_name(t->segment->pid, t->segment->pid, t->name, sizeof(t->name));
	end_former_image(c, t->segment);
	t->fd = open_trace(c, t, why, sizeof(why));
	/* Until the end: no reader takes it for abandoned. */
	if (t->fd >= 0)
		flock(t->fd, LOCK_EX | LOCK_NB);
	if (t->fd < 0) {
		refuse(c, t, why);
		return;
	}
	snprintf(t->segment->trace, sizeof(t->segment->trace), "%s", t->trace_path);
	target_begin(t, path_of(c, t->segment->parent_id));
	if (c->target_count == c->target_room) {
		size_t room = c->target_room != 0 ? c->target_room * 2 : 16;
		struct target **more = realloc(c->targets, room * sizeof(*more));

		if (more == NULL) {
			refuse(c, t, "the collector ran out of memory");
			return;
		}
		c->targets = more;
		c->target_room = room;
	}
	c->targets[c->target_count++] = t;
	answer(t, PH_COLLECTOR_ATTACHED);
}

static bool is_attached(const struct collector *c, const char *segment_path)
{
	for (size_t i = 0; i < c->target_count; i++)
		if (strcmp(c->targets[i]->segment_path, segment_path) == 0)
			return true;
	return false;
}

static bool ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), m = strlen(tail);

	return n > m && strcmp(text + n - m, tail) == 0;
}

static int by_start(const void *a, const void *b)
{
	const struct target *const *x = a, *const *y = b;
	uint64_t s = (*x)->segment->start_ticks, t = (*y)->segment->start_ticks;

	return s < t ? -1 : s > t;
}

/* The folder's segments that are new, oldest first: a process may have gone on
 * to another image before its first one was seen. */
static size_t find_new(const struct collector *c, struct target **found, size_t room)
{
	char path[512], control_path[256];
	struct dirent *entry;
	DIR *folder = opendir(c->folder);
	size_t count = 0;

	if (folder == NULL)
		return 0;
	snprintf(control_path, sizeof(control_path), "%s/control", c->folder);
	while (count < room && (entry = readdir(folder)) != NULL) {
		if (!ends_with(entry->d_name, PH_SEGMENT_SUFFIX))
			continue;
		snprintf(path, sizeof(path), "%s/%s", c->folder, entry->d_name);
		if (strlen(path) < 256 && !is_attached(c, path)) {
			found[count] = target_map(path, control_path);
			/* One that a full disk kept from its end waits for its reader. */
			if (found[count] != NULL &&
			    atomic_load(&found[count]->segment->collector) != PH_COLLECTOR_NONE) {
				target_free(found[count]);
				found[count] = NULL;
			}
			count += found[count] != NULL;
		}
	}
	closedir(folder);
	qsort(found, count, sizeof(*found), by_start);
	return count;
}

/* Segments that were announced since the folder was last read. */
static void look_for_segments(struct collector *c)
{
	enum { AT_ONCE = 64 };
	struct target *found[AT_ONCE];
	uint32_t announced = atomic_load_explicit(&c->control->announced, memory_order_acquire);
	size_t count;

	if (announced == c->announced)
		return;
	c->announced = announced;
	do {
		count = find_new(c, found, AT_ONCE);
		for (size_t i = 0; i < count; i++)
			attach(c, found[i]);
	} while (count == AT_ONCE);
}

/* ---- ends --------------------------------------------------------------- */

/* How did it end? The kernel knows best, then what the library noted. */
static struct target_end end_of(const struct collector *c, const struct target *t)
{
	const struct ph_segment *s = t->segment;
	int status;
	bool known = proc_wait_status(t->pidfd, s->pid, &status);

	if (!known && s->pid == c->control->root_pid) {
		/* `perfhook record` is its parent and will say. */
		for (int i = 0; i < 50 && !known; i++) {
			known = atomic_load(&c->control->root_ended) != 0;
			status = atomic_load(&c->control->root_status);
			if (known || atomic_load(&c->control->has_parent) == 0)
				break;
			usleep(10000);
		}
	}
	/* It had become something that is not recorded. */
	if (atomic_load(&s->exec_begun) != 0)
		return (struct target_end){.kind = "exec", .status = -1};
	if (known && WIFSIGNALED(status))
		return (struct target_end){.kind = "signal", .status = WTERMSIG(status)};
	if (known)
		return (struct target_end){.kind = "exit", .status = WEXITSTATUS(status)};
	if (atomic_load(&s->ended) != 0)
		return (struct target_end){.kind = "exit", .status = atomic_load(&s->end_status)};
	return (struct target_end){.kind = "unknown", .status = -1};
}

static void look_for_ends(struct collector *c)
{
	for (size_t i = c->target_count; i-- > 0;) {
		struct target *t = c->targets[i];
		struct target_end end;

		if (!proc_ended(t->pidfd, t->segment->pid, t->segment->process_start) ||
		    look_is_under_way(t))
			continue;
		/* A last look: it may have announced another image, or a child. */
		look_for_segments(c);
		if (i >= c->target_count || c->targets[i] != t)
			return;
		target_look(t, true);
		end = end_of(c, t);
		end_target(c, i, &end);
	}
}

/* ---- the loop ----------------------------------------------------------- */

static uint64_t drain_all(struct collector *c)
{
	uint64_t moved = 0, now = ph_clock_ns(CLOCK_MONOTONIC);
	bool reclaim = now - c->last_reclaim > RECLAIM_EVERY_NS;

	for (size_t i = 0; i < c->target_count; i++) {
		moved += target_drain(c->targets[i], false);
		target_flush(c->targets[i]);
		look_serve(c->targets[i]);
		if (reclaim)
			target_reclaim(c->targets[i]);
	}
	if (reclaim)
		c->last_reclaim = now;
	return moved;
}

/* Has anything been recorded since the clock was last moved on? A head that
 * moved does not show in what was drained, so the clock word itself tells: while
 * asleep, whoever records first wakes it. */
static void advance_clocks(struct collector *c)
{
	for (size_t i = 0; i < c->target_count; i++) {
		struct ph_segment *s = c->targets[i]->segment;
		uint64_t word = atomic_load_explicit(&s->clock, memory_order_relaxed);

		if ((word & PH_CLOCK_ASLEEP) == 0)
			ph_clock_advance(&s->clock, ph_clock_now(s->clock_kind));
	}
}

static void clocks_to_sleep(struct collector *c)
{
	for (size_t i = 0; i < c->target_count; i++)
		atomic_fetch_or_explicit(&c->targets[i]->segment->clock, PH_CLOCK_ASLEEP,
					 memory_order_seq_cst);
}

static bool any_clock_awake(const struct collector *c)
{
	for (size_t i = 0; i < c->target_count; i++)
		if ((atomic_load(&c->targets[i]->segment->clock) & PH_CLOCK_ASLEEP) == 0)
			return true;
	return false;
}

/* Events come, or would without a bell being rung. */
static bool is_awaited(const struct collector *c)
{
	for (size_t i = 0; i < c->target_count; i++)
		if (atomic_load(&c->targets[i]->segment->confined) != 0 ||
		    look_is_under_way(c->targets[i]))
			return true;
	return any_clock_awake(c);
}

static void doze(struct collector *c, uint32_t seen, int64_t ns)
{
	struct timespec ts = {.tv_sec = 0, .tv_nsec = ns};

	syscall(SYS_futex, &c->control->wake, FUTEX_WAIT, seen, &ts, NULL, 0);
	atomic_store_explicit(&c->control->sleeping, 0, memory_order_relaxed);
}

static bool is_over(const struct collector *c)
{
	if (c->target_count > 0)
		return false;
	if (atomic_load(&c->control->has_parent) != 0 &&
	    atomic_load(&c->control->root_ended) == 0 &&
	    proc_alive(c->control->parent_pid, c->control->parent_start))
		return false;
	return !c->linger || ph_clock_ns(CLOCK_MONOTONIC) - c->empty_since > LINGER_NS ||
	       asked_to_stop;
}

static void run(struct collector *c)
{
	unsigned quiet = 0;

	c->empty_since = ph_clock_ns(CLOCK_MONOTONIC);
	look_for_segments(c);
	while (!is_over(c)) {
		uint32_t seen;
		uint64_t moved;

		atomic_store_explicit(&c->control->sleeping, 1, memory_order_seq_cst);
		seen = atomic_load_explicit(&c->control->wake, memory_order_seq_cst);
		look_for_segments(c);
		moved = drain_all(c);
		advance_clocks(c);
		look_for_ends(c);
		atomic_store_explicit(&c->control->beat, ph_clock_now(c->clock_kind),
				      memory_order_relaxed);
		quiet = moved != 0 ? 0 : quiet + 1;
		if (quiet >= QUIET_ROUNDS * 10 && any_clock_awake(c))
			clocks_to_sleep(c);
		if (is_over(c))
			break;
		doze(c, seen, is_awaited(c) ? ACTIVE_SLEEP_NS : IDLE_SLEEP_NS);
	}
}

/* Nobody joins any more; false when somebody just did. Pairs with the library's
 * look at the pid after it has announced itself: one of the two sees the other. */
static bool close_session(struct collector *c)
{
	atomic_store_explicit(&c->control->collector_pid, PH_COLLECTOR_CLOSED,
			      memory_order_seq_cst);
	if (atomic_load_explicit(&c->control->announced, memory_order_seq_cst) == c->announced)
		return true;
	atomic_store_explicit(&c->control->collector_pid, getpid(), memory_order_seq_cst);
	return false;
}

/* Segments that were made for children who never came. */
static void remove_unused(const struct collector *c)
{
	char path[512];
	struct dirent *entry;
	DIR *folder = opendir(c->folder);

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		struct target *t;

		if (!ends_with(entry->d_name, PH_SEGMENT_SUFFIX))
			continue;
		snprintf(path, sizeof(path), "%s/%s", c->folder, entry->d_name);
		t = target_map(path, "");
		if (t != NULL)
			target_free(t);
		else
			unlink(path);
	}
	if (folder != NULL)
		closedir(folder);
}

static void clean_up(struct collector *c)
{
	char path[256];

	remove_unused(c);
	snprintf(path, sizeof(path), "%s/control", c->folder);
	unlink(path);
	rmdir(c->folder);
}

/* Nothing that a shell or a terminal does to the target's group concerns us; a
 * service manager's SIGTERM means: finish. */
static void set_signals(void)
{
	static const int ignored[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGPIPE, SIGTSTP,
				      SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXFSZ};
	struct sigaction stop = {.sa_handler = on_stop};
	struct rlimit cpu, files;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigaction(SIGTERM, &stop, NULL);
	if (getrlimit(RLIMIT_CPU, &cpu) == 0) {
		cpu.rlim_cur = cpu.rlim_max;
		setrlimit(RLIMIT_CPU, &cpu);
	}
	/* Three descriptors a process. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	umask(077);
}

static bool open_session(struct collector *c, const char *folder)
{
	char path[256];
	int fd;

	if (snprintf(c->folder, sizeof(c->folder), "%s", folder) >= (int)sizeof(c->folder))
		return false;
	snprintf(path, sizeof(path), "%s/control", folder);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	c->control = mmap(NULL, sizeof(*c->control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (c->control == MAP_FAILED || c->control->magic != PH_CONTROL_MAGIC)
		return false;
	atomic_store(&c->control->collector_start, proc_start_time(getpid()));
	atomic_store_explicit(&c->control->collector_pid, getpid(), memory_order_release);
	snprintf(c->base_directory, sizeof(c->base_directory), "%s", c->control->directory);
	return true;
}

int collector_main(int argc, char **argv)
{
	struct collector c = {.linger = true, .clock_kind = ph_clock_choose()};

	if (argc != 2 || !open_session(&c, argv[1])) {
		fprintf(stderr, "perfhook: collect: not a session's folder\n");
		return 2;
	}
	set_signals();
	/* Whoever waits for the program's output must not wait for us. */
	for (int fd = 0; fd <= 2; fd++) {
		int null = open("/dev/null", O_RDWR);

		if (null >= 0 && null != fd) {
			dup2(null, fd);
			close(null);
		}
	}
	tidy_sessions();
	do
		run(&c);
	while (!close_session(&c));
	clean_up(&c);
	return 0;
}
