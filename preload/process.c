/* SPDX-License-Identifier: MIT */
/*
 * Setting a process up: in the session that it was born into or that its
 * environment names, in one of its own, or without a collector.
 */
#include "preload/process.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "preload/alone.h"
#include "preload/config.h"
#include "preload/log.h"
#include "preload/session.h"
#include "preload/spawn.h"
#include "preload/unseen.h"

static struct ph_process nothing;
struct ph_process *ph_process = &nothing;
_Atomic uint32_t *ph_descriptors;
uint32_t ph_descriptors_room;
PH_TLS struct ph_fork_note ph_fork_note;

#define SPARES 8

/* Survives a fork, unlike *ph_process: what the child says of its parent. */
static struct {
	uint64_t generation; /* last one given out */
	uint8_t id[16];
	int32_t pid;
	struct ph_segment *segment; /* still mapped in a child */
	char segment_path[4224];
	bool configured, refused;
	bool is_fork_child; /* or will be, once a page is wiped */
	bool alone;	    /* this process tree records without a collector */
	char trace[4224];   /* alone: this process's trace, its children's parent's */
	/* Segments made before rights were given up; see ph_process_reserve(). */
	struct ph_segment *spares[SPARES];
	bool amid; /* a hook is at work with the parent's segment: it stays mapped */
} lineage = {.generation = PH_OFF};

void ph_process_off(void)
{
	ph_process->generation = PH_OFF;
	lineage.refused = true;
}

/* Address space may be what the program lacks. */
static uint32_t descriptors_room(void)
{
	struct rlimit files = {0, RLIM_INFINITY};

	sys4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &files);
	if (files.rlim_max >= PH_DESCRIPTORS_MOST)
		return PH_DESCRIPTORS_MOST;
	return files.rlim_max < 1024 ? 1024 : (uint32_t)files.rlim_max;
}

static bool make_page(void)
{
	struct ph_process *page;

	if (ph_process != &nothing)
		return true;
	page = ph_map_wiped(4096);
	ph_descriptors_room = descriptors_room();
	ph_descriptors = ph_map_wiped(ph_descriptors_room * sizeof(*ph_descriptors));
	if (page != NULL && ph_descriptors != NULL) {
		ph_process = page;
		return true;
	}
	if (page != NULL)
		sys_munmap(page, 4096);
	lineage.refused = true;
	return false;
}

/* ---- what this process belongs to --------------------------------------- */

static bool configure(void)
{
	char **environment = environ;

	if (lineage.configured)
		return true;
	if (getauxval(AT_SECURE) != 0)
		return false;
	/* libc has not set it yet: too early, the caller keeps the event aside. */
	if (environment == NULL)
		return false;
	lineage.configured = true;
	if (!ph_is_glibc()) {
		lineage.refused = true;
		ph_log("this program uses musl, not glibc: it runs unrecorded", NULL);
		return false;
	}
	lineage.refused = !ph_config_read(environment) || !ph_config.start;
	return true;
}

/* What the session is called in the environment begins with its first process. */
static bool is_root(void)
{
	char mine[24];
	size_t n = ph_append_number(mine, sizeof(mine), 0, (unsigned)sys_getpid(), 10);

	ph_append(mine, sizeof(mine), n, ":");
	return ph_config.root != NULL && strncmp(ph_config.root, mine, strlen(mine)) == 0;
}

static bool wanted(void)
{
	if (ph_config.follow_children)
		return true;
	return !lineage.is_fork_child && (ph_config.root == NULL || is_root());
}

/* A child's standard error may be its program's data file by now. */
#define complain(...)                                                                              \
	do {                                                                                       \
		if (!lineage.is_fork_child)                                                        \
			ph_log(__VA_ARGS__);                                                       \
	} while (0)

static struct ph_birth birth(void)
{
	struct ph_birth b = {0};

	if (lineage.is_fork_child) {
		b.by_fork = true;
		b.pid = lineage.pid;
		b.segment = lineage.segment;
		b.fork = ph_fork_note.number;
		memcpy(b.id, lineage.id, sizeof(b.id));
	}
	return b;
}

static void keep(struct ph_segment *s, struct ph_control *c, const char *path)
{
	/* Where parts were given back others may stand by now. */
	if (lineage.segment != NULL && !lineage.amid && atomic_load(&lineage.segment->shrunk) == 0)
		sys_munmap(lineage.segment, lineage.segment->bytes);
	ph_process->segment = s;
	ph_process->control = c;
	lineage.segment = s;
	memcpy(lineage.id, s->id, sizeof(lineage.id));
	ph_append(lineage.segment_path, sizeof(lineage.segment_path), 0, path);
	lineage.pid = s->pid;
	lineage.is_fork_child = true; /* of whoever finds the page wiped */
}

/* ---- the ways to be recorded -------------------------------------------- */

/* A segment that an ancestor made while it still could. */
static struct ph_segment *take_spare(void)
{
	for (size_t i = 0; i < SPARES; i++) {
		struct ph_segment *s = lineage.spares[i];
		uint32_t unclaimed = 0;

		/* The parent and all its children have the same ones. */
		if (s != NULL && atomic_compare_exchange_strong_explicit(&s->claimed, &unclaimed, 1,
									 memory_order_acq_rel,
									 memory_order_relaxed)) {
			/* It is this process's segment now, and goes with it. */
			lineage.spares[i] = NULL;
			return s;
		}
	}
	return NULL;
}

/* In the session of its birth, or of its environment. */
static bool join_session(void)
{
	const struct ph_birth b = birth();
	struct ph_control *c = lineage.is_fork_child	? ph_session_inherited()
			       : ph_config.root != NULL ? ph_session_join(ph_config.root)
							: NULL;
	char path[256];
	struct ph_segment *s;

	if (c == NULL)
		return false;
	ph_session_segment_path(path, sizeof(path));
	s = ph_segment_make(path, false, c, &b);
	if (s == NULL) {
		s = take_spare();
		path[0] = '\0';
		if (s == NULL)
			return false;
		ph_segment_take(s, c, &b);
	}
	if (ph_session_enter(s, c)) {
		ph_wake_collector(c);
		keep(s, c, path);
		return true;
	}
	ph_session_remove_segment(path);
	sys_munmap(s, s->bytes);
	return false;
}

/* PERFHOOK_ROOT of a tree without a collector names no folder. */
static bool root_is_alone(void)
{
	const char *colon = ph_config.root != NULL ? strchr(ph_config.root, ':') : NULL;

	return lineage.alone || (colon != NULL && colon[1] == '\0');
}

/* A session of its own, with a collector. False: that cannot be. */
static bool begin_session(void)
{
	const struct ph_birth b = birth();
	struct ph_segment *s = NULL;
	struct ph_control *c;
	char path[256];

	if (!ph_collector_possible())
		return false;
	c = ph_session_make();
	if (c != NULL) {
		ph_session_segment_path(path, sizeof(path));
		s = ph_segment_make(path, false, c, &b);
	}
	if (s != NULL) {
		ph_segment_announce(s, c);
		if (ph_spawn_collector(ph_session_folder())) {
			keep(s, c, path);
			return true;
		}
		ph_session_remove_segment(path);
		sys_munmap(s, s->bytes);
	}
	ph_session_remove();
	return false;
}

/* Without a collector; see alone.h. */
static bool set_up_alone(void)
{
	static char trace[4224], path[4224], spill[4224];
	/* A control file that nobody looks at. */
	struct ph_control *c = sys_mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool again = lineage.is_fork_child || ph_config.root != NULL;
	const struct ph_birth b = birth();
	struct ph_segment *s;

	if (c == NULL)
		return false;
	lineage.alone = true;
	ph_session_forget();
	c->root_pid =
		lineage.is_fork_child || (ph_config.root != NULL && !is_root()) ? 0 : sys_getpid();
	/* The name is made of it. */
	if (!ph_alone_name(ph_segment_describe(c, &b), again, trace, sizeof(trace)))
		return false;
	ph_append(path, sizeof(path), ph_append(path, sizeof(path), 0, trace), PH_ALONE_SEGMENT);
	ph_append(spill, sizeof(spill), ph_append(spill, sizeof(spill), 0, trace), PH_ALONE_SPILL);
	ph_alone_remove_old(path, spill);
	s = ph_segment_make(path, true, c, &b);
	if (s == NULL) {
		complain("neither a collector can be started nor ", path,
			 " be created; the program runs unrecorded", NULL);
		return false;
	}
	s->alone = 1;
	ph_append(s->spill, sizeof(s->spill), 0, spill);
	ph_append(s->parent_trace, sizeof(s->parent_trace), 0, lineage.trace);
	ph_append(lineage.trace, sizeof(lineage.trace), 0, trace);
	if (!ph_alone_begin(s, trace)) {
		sys3(SYS_unlinkat, AT_FDCWD, path, 0);
		complain("the trace ", trace, " cannot be created; the program runs unrecorded",
			 NULL);
		return false;
	}
	ph_segment_announce(s, c);
	atomic_store(&s->collector, PH_COLLECTOR_ATTACHED);
	keep(s, c, path);
	return true;
}

static bool set_up(void)
{
	if (!ph_segment_fits()) {
		complain("a limit on the size of files or of the address space (ulimit -f, -v) "
			 "leaves no room for recording; the program runs unrecorded",
			 NULL);
		return false;
	}
	if (!root_is_alone() && (join_session() || begin_session()))
		return true;
	return set_up_alone();
}

/* The parent's report says that there was somebody who is not recorded. */
static void tell_parent(void)
{
	if (lineage.is_fork_child && lineage.segment != NULL)
		atomic_fetch_add_explicit(&lineage.segment->children_unrecorded, 1,
					  memory_order_relaxed);
}

bool ph_process_start(void)
{
	bool fork_child = lineage.is_fork_child;

	if (ph_process->generation != 0)
		return ph_process->generation != PH_OFF;
	if (!configure() && !lineage.configured)
		return false;
	if (lineage.refused || !make_page() || !wanted()) {
		ph_process_off();
		return false;
	}
	/* Under a seccomp filter there is nothing that it could set up with. */
	if (ph_confined || !set_up()) {
		tell_parent();
		ph_process_off();
		return false;
	}
	ph_fork_note.number = 0;
	/* An image begins to count when its constructor is over. */
	if (fork_child)
		ph_unseen_begin(ph_process->segment);
	/* Last: whoever sees a generation finds everything else in place. */
	__atomic_store_n(&ph_process->generation, ++lineage.generation, __ATOMIC_RELEASE);
	return true;
}

bool ph_process_start_amid(void)
{
	bool started;

	lineage.amid = true;
	started = ph_process_start();
	lineage.amid = false;
	return started;
}

void ph_process_abandon(void)
{
	ph_session_remove_segment(lineage.segment_path);
	ph_process_off();
}

void ph_process_reserve(void)
{
	struct rlimit address = {RLIM_INFINITY, 0};
	char path[256];

	/* Where address space is scarce it is the program's. */
	sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &address);
	if (address.rlim_cur != RLIM_INFINITY)
		return;

	if (ph_process->generation <= PH_OFF || ph_process->segment->alone ||
	    !ph_process->segment->follow_children)
		return;
	for (size_t i = 0; i < SPARES; i++) {
		if (lineage.spares[i] != NULL) {
			if (atomic_load(&lineage.spares[i]->claimed) == 0)
				continue;
			sys_munmap(lineage.spares[i], lineage.spares[i]->bytes);
			lineage.spares[i] = NULL;
		}
		ph_session_segment_path(path, sizeof(path));
		lineage.spares[i] = ph_segment_reserve(path);
	}
}
