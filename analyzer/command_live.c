/* SPDX-License-Identifier: MIT */
/* Looking at a process that runs. */
#include "analyzer/command_live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "analyzer/arena.h"
#include "analyzer/commands.h"
#include "analyzer/format_text.h"
#include "analyzer/reach_found.h"
#include "analyzer/scan.h"
#include "analyzer/spans.h"
#include "collector/proc.h"
#include "collector/target.h"
#include "inspect/keeper.h"
#include "trace/clock.h"

#define FLUSH_PATIENCE_NS UINT64_C(20000000000)
#define SAME_MOST	  10 /* stops at which the same realloc seems to be under way */

/* What the keeper notes while the process stands: shared memory. */
struct noted {
	uint64_t ticks;
	uint32_t streams, count;
	uint32_t moving;    /* a slot, + 1, in which a realloc is under way */
	uint64_t moving_at; /* its head */
	uint32_t same;	    /* stops at which it was the same */
	bool other;	    /* it is another process by now, or another program */
	struct run_stream_end ends[];
};

struct looker {
	int pid;    /* as we know it */
	int thread; /* one of its, for /proc */
	struct target *target;
	char folder[4300]; /* of the segment, as we see it */
	char root[32];	   /* before the process's paths: "" or "/proc/PID/root" */
	struct noted *noted;
	size_t noted_bytes;
	struct kept kept;
	bool for_collector; /* the process waits for it, at its end */
};

/* ---- finding it ---------------------------------------------------------------- */

static bool ends_with(const char *text, const char *tail)
{
	size_t n = strlen(text), m = strlen(tail);

	return n >= m && strcmp(text + n - m, tail) == 0;
}

/* Of a process that forked its parent's segment may be mapped as well. */
static bool is_its_segment(const struct looker *k, const struct target *t)
{
	uint64_t start = proc_start_time(k->pid);

	return t->segment->process_start == start && start != 0;
}

/* In the mount namespace that we are in, or in the process's. */
static bool open_segment(struct looker *k, const char *path)
{
	char full[sizeof(k->folder)];

	for (int inside = 0; inside < 2; inside++) {
		k->root[0] = '\0';
		if (inside)
			snprintf(k->root, sizeof(k->root), "/proc/%d/root", k->thread);
		if (snprintf(full, sizeof(full), "%s%s", k->root, path) >= (int)sizeof(full))
			return false;
		k->target = target_map(full, "");
		if (k->target != NULL && is_its_segment(k, k->target)) {
			snprintf(k->folder, sizeof(k->folder), "%.*s",
				 (int)(strrchr(full, '/') - full), full);
			return true;
		}
		if (k->target != NULL)
			target_free(k->target);
		k->target = NULL;
	}
	return false;
}

/* Why there are no mappings. Frees `text`. */
static int fail_unmapped(const struct looker *k, char *text, struct error *e)
{
	int error = errno;

	if (text == NULL && error == ENOENT)
		fail(e, ERROR_SYSTEM, 0, "there is no process %d", k->pid);
	else if (text == NULL)
		fail(e, ERROR_SYSTEM, 0,
		     "process %d may not be looked at: %s; run this as its user or as root", k->pid,
		     strerror(error));
	else
		fail(e, ERROR_SYSTEM, 0,
		     "process %d has ended: report reads its trace (or it is the kernel's)",
		     k->pid);
	free(text);
	return -1;
}

static int find_segment(struct looker *k, struct error *e)
{
	struct maps maps = {.list = NULL};
	char *text;

	k->thread = proc_living_thread(k->pid);
	text = maps_text(k->thread != 0 ? k->thread : k->pid);
	if (text == NULL || *text == '\0')
		return fail_unmapped(k, text, e);
	if (!maps_parse(&maps, text)) {
		maps_free(&maps);
		fail(e, ERROR_MEMORY, 0, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < maps.count && k->target == NULL; i++)
		if (maps.list[i].shared && ends_with(maps.list[i].name, PH_SEGMENT_SUFFIX))
			open_segment(k, maps.list[i].name);
	maps_free(&maps);
	if (k->target != NULL)
		return 0;
	fail(e, ERROR_USAGE, 0,
	     "process %d is not recorded by this perfhook: start it with 'perfhook record' "
	     "or under LD_PRELOAD",
	     k->pid);
	return -1;
}

static int check_recorded(const struct looker *k, struct error *e)
{
	const struct ph_segment *s = k->target->segment;

	if (s->alone != 0)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d records without a collector: what it recorded can only be "
			    "read when it has ended",
			    k->pid);
	if (atomic_load(&s->collector) != PH_COLLECTOR_ATTACHED)
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d is not recorded any more: its collector has gone", k->pid);
	if ((s->events & PH_EVENTS_MEMORY) == 0)
		return fail(
			e, ERROR_USAGE, 0,
			"process %d is recorded without 'memory' in PERFHOOK_EVENTS: its blocks "
			"are not known",
			k->pid);
	return 0;
}

/* ---- while it stands ----------------------------------------------------------------- */

/* The cell before the head, if it is there. */
static bool last_cell(const struct looker *k, const struct ph_slot *slot, uint64_t head,
		      struct ph_cell *out)
{
	uint32_t rings = atomic_load(&slot->ring_count);
	const struct ph_ring *ring;
	uint64_t at;

	if (head == 0 || rings == 0 || rings > PH_RING_GROWTHS)
		return false;
	ring = &slot->rings[rings - 1];
	if (head - 1 < ring->first && rings > 1)
		ring--;
	at = ring->offset + ((head - 1 - ring->first) & ring->mask) * sizeof(*out);
	if (at > k->target->layout.bytes - sizeof(*out))
		return false;
	memcpy(out, (const char *)k->target->segment + at, sizeof(*out));
	return true;
}

/* In the midst of a realloc the block's bytes are on their way to an address that is not
 * recorded yet. The cell may also be the end of another event, which looks the same. */
static bool is_moving(const struct looker *k, const struct ph_slot *slot, uint64_t head)
{
	struct ph_cell cell;

	return last_cell(k, slot, head, &cell) && (cell.w0 & 0xffff) == PH_OP_REALLOC_BEGIN &&
	       cell.w1 == 0;
}

/* How far each stream has come. False: one of them is in the midst of a realloc. */
static bool note_instant(void *context)
{
	struct looker *k = context;
	struct noted *n = k->noted;
	struct ph_segment *s = k->target->segment;
	uint32_t used = target_slots(k->target), moving = 0;

	n->other = !is_its_segment(k, k->target) || atomic_load(&s->exec_begun) != 0;
	if (n->other)
		return true;
	n->ticks = ph_clock_now(s->clock_kind);
	n->streams = atomic_load(&s->streams);
	n->count = 0;
	for (uint32_t i = 0; i < used; i++) {
		struct ph_slot *slot = target_slot(k->target, i);
		uint64_t head = atomic_load(&slot->head);

		if (atomic_load(&slot->state) == PH_SLOT_FREE)
			continue;
		atomic_store(&slot->cut, head);
		n->ends[n->count++] = (struct run_stream_end){slot->stream, head};
		if (moving == 0 && is_moving(k, slot, head)) {
			moving = i + 1;
			n->same = n->moving == moving && n->moving_at == head ? n->same + 1 : 0;
			n->moving_at = head;
		}
	}
	n->moving = moving;
	return moving == 0 || n->same >= SAME_MOST;
}

static bool is_ours(const void *context, const struct mapping *m)
{
	(void)context;
	return m->shared && (ends_with(m->name, PH_SEGMENT_SUFFIX) ||
			     strncmp(m->name, "/dev/shm/" PH_SESSION_PREFIX,
				     strlen("/dev/shm/" PH_SESSION_PREFIX)) == 0);
}

static int stop_it(struct looker *k, bool copy, struct error *e)
{
	const struct keep_wish wish = {
		.pid = k->pid,
		.thread = k->thread,
		.now = note_instant,
		.skip = is_ours,
		.context = k,
		.copy = copy,
	};

	k->noted_bytes =
		sizeof(*k->noted) + k->target->layout.slot_count * sizeof(struct run_stream_end);
	k->noted = mmap(NULL, k->noted_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (k->noted == MAP_FAILED) {
		k->noted = NULL;
		fail(e, ERROR_MEMORY, 0, "out of memory");
		return -1;
	}
	if (keep_begin(&k->kept, &wish, e) != 0)
		return -1;
	if (!k->noted->other)
		return 0;
	keep_free(&k->kept);
	return fail(e, ERROR_SYSTEM, 0,
		    "process %d has ended, or becomes another program: try again", k->pid);
}

/* ---- what was recorded by then ------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void ring_collector(const struct looker *k)
{
	char path[sizeof(k->folder) + 16];
	struct ph_control *c;
	int fd;

	snprintf(path, sizeof(path), "%s/control", k->folder);
	fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (c == MAP_FAILED)
		return;
	atomic_fetch_add(&c->wake, 1);
	syscall(SYS_futex, &c->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
	munmap(c, sizeof(*c));
}

/* It ended meanwhile, and its trace is whole: else the segment would have been left. */
static bool is_finished(const struct target *t)
{
	return atomic_load(&t->segment->collector) == PH_COLLECTOR_GONE &&
	       access(t->segment_path, F_OK) != 0 && errno == ENOENT;
}

/* The collector writes what it has of a process. False: it does not. */
static bool flush(const struct looker *k, struct target *t)
{
	uint32_t wanted = atomic_fetch_add(&t->segment->flush_wanted, 1) + 1, seen;
	const struct timespec once = {.tv_sec = 0, .tv_nsec = 50000000};
	uint64_t began = now_ns();

	ring_collector(k);
	while ((int32_t)((seen = atomic_load(&t->segment->flushed)) - wanted) < 0) {
		if (atomic_load(&t->segment->collector) != PH_COLLECTOR_ATTACHED)
			return is_finished(t);
		if (now_ns() - began > FLUSH_PATIENCE_NS)
			return false;
		syscall(SYS_futex, &t->segment->flushed, FUTEX_WAIT, seen, &once, NULL, 0);
	}
	return true;
}

/* Where it was forked: what its ancestors had then is in their traces, at the latest now. */
static void flush_others(const struct looker *k)
{
	DIR *folder = opendir(k->folder);
	const struct dirent *entry;

	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		char path[sizeof(k->folder) + sizeof(entry->d_name) + 1];
		struct target *t = NULL;

		snprintf(path, sizeof(path), "%s/%s", k->folder, entry->d_name);
		if (ends_with(entry->d_name, PH_SEGMENT_SUFFIX))
			t = target_map(path, "");
		if (t == NULL)
			continue;
		if (atomic_load(&t->segment->collector) == PH_COLLECTOR_ATTACHED &&
		    t->segment->pid != k->target->segment->pid)
			flush(k, t);
		target_free(t);
	}
	if (folder != NULL)
		closedir(folder);
}

static int have_written(struct looker *k, struct error *e)
{
	if (k->target->segment->parent_fork != 0)
		flush_others(k);
	if (flush(k, k->target))
		return 0;
	return fail(e, ERROR_SYSTEM, 0,
		    "process %d: its collector does not write what was recorded (has the process "
		    "ended, or is the disk full?)",
		    k->pid);
}

/* ---- judging ---------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void note(struct run *run, const char *format, ...)
{
	struct reach *r = &run->heap.reach;
	const char **more = arena_alloc(run->arena, (r->note_count + 1) * sizeof(*more));
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (more == NULL)
		return;
	for (size_t i = 0; i < r->note_count; i++)
		more[i] = r->notes[i];
	more[r->note_count++] = arena_copy(run->arena, text, strlen(text));
	r->notes = more;
}

static size_t count_asleep(const struct stop *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->threads[i].asleep;
	return n;
}

/* What could not be told. */
static void note_limits(struct run *run, const struct looker *k, const struct scan *s)
{
	char bytes[FORMAT_ROOM], n[FORMAT_ROOM];
	size_t asleep = count_asleep(&k->kept.stop);

	if (k->kept.snapshot == 0)
		note(run, "its memory was read while it stood still: %s", k->kept.why_copy);
	if (!k->kept.good)
		note(run, "a realloc was under way: what only its block leads to counts as lost");
	if (asleep != 0)
		note(run, "%s of its threads slept in the kernel: their registers are not known",
		     format_count(n, asleep));
	if (k->kept.shared_later)
		note(run, "%s of shared memory was read while it ran on",
		     format_bytes(bytes, (double)s->shared_bytes));
	if (s->foreign_blocks != 0)
		note(run,
		     "%s %s not of glibc's allocator: where those of another are, its own lists "
		     "may be taken for the program's variables",
		     format_counted(n, s->foreign_blocks, "block"),
		     s->foreign_blocks == 1 ? "is" : "are");
	if (s->unreadable_bytes != 0)
		note(run, "%s of its memory could not be read",
		     format_bytes(bytes, (double)s->unreadable_bytes));
	if (run->heap.inherited_unknown)
		note(run, "blocks that its parent left it are not known");
}

/* The thread that waits for us is in a function of ours: what that has on the stack and in
 * registers is not the program's, and what lies there from before is nobody's. */
static void leave_out_waiting(struct looker *k)
{
	const struct ph_segment *s = k->target->segment;

	if (atomic_load(&s->look) == PH_LOOK_NONE)
		return;
	for (size_t i = 0; i < k->kept.stop.count; i++) {
		struct stopped_thread *t = &k->kept.stop.threads[i];

		if (t->tid != (pid_t)s->look_tid || t->stack > s->look_stack)
			continue;
		t->stack = s->look_stack + ROOTS_RED_ZONE;
		t->register_count = 0;
		t->vector_words = 0;
	}
}

static int judge(struct looker *k, struct run *run, struct run_live *live, struct error *e)
{
	const struct ph_segment *s = k->target->segment;
	struct spans held = {.list = NULL};
	struct roots_source source = {
		.is_ours = is_ours,
		.own_end = s->own_end,
		.held = &held,
		.mapped = live->mapped,
	};
	struct reach *r = &run->heap.reach;
	struct scan scan;
	int rc;

	for (size_t i = 0; i < 2; i++)
		spans_add(&held, s->held[i].start, s->held[i].end);
	spans_settle(&held);
	leave_out_waiting(k);
	rc = scan_blocks(&scan, live->blocks, live->count, &k->kept, &source, e);
	spans_free(&held);
	if (rc != 0)
		return rc;
	if (!keep_is_whole(&k->kept))
		return fail(e, ERROR_SYSTEM, 0,
			    "process %d: the copy of its memory was killed while it was searched, "
			    "for want of memory or with its process group: try again, or --copy",
			    k->pid);
	*r = (struct reach){
		.how = k->kept.snapshot != 0 ? "snapshot" : "copy",
		.at_s = run->duration_s,
		.pause_s = (double)k->kept.stood_ns / 1e9,
	};
	scan_sum_up(run, live->blocks, live->count);
	note_limits(run, k, &scan);
	return 0;
}

static int load_and_judge(struct looker *k, struct loaded *l, struct run_live *live,
			  const struct options *o, struct error *e)
{
	const struct run_instant instant = {
		.ends = k->noted->ends,
		.count = k->noted->count,
		.streams = k->noted->streams,
		.ticks = k->noted->ticks,
	};
	struct spans mapped = {.list = NULL};
	char path[sizeof(k->target->segment->trace) + sizeof(k->root)];
	int rc;

	snprintf(path, sizeof(path), "%s%.*s", k->root, (int)sizeof(k->target->segment->trace) - 1,
		 k->target->segment->trace);
	*live = (struct run_live){
		.mapped = &mapped,
		.allocator_start = k->target->segment->allocator_start,
		.allocator_end = k->target->segment->allocator_end,
	};
	rc = loaded_open_live(l, path, &instant, live, o, e);
	if (rc == 0)
		rc = judge(k, &l->run, live, e);
	keep_release(&k->kept);
	spans_free(&mapped);
	return rc;
}

/* It waits for its end to be looked at: it has been copied, or never will be. */
static void let_it_end(struct looker *k)
{
	_Atomic uint32_t *look = &k->target->segment->look;
	uint32_t begun = PH_LOOK_BEGUN;

	if (atomic_compare_exchange_strong(look, &begun, PH_LOOK_OVER))
		syscall(SYS_futex, look, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

static int look(struct looker *k, struct loaded *l, struct run_live *live, const struct options *o,
		struct error *e)
{
	int rc;

	if (k->target == NULL || check_recorded(k, e) != 0)
		return -1;
	rc = stop_it(k, o->copy, e);
	if (k->for_collector)
		let_it_end(k);
	if (rc != 0 || k->noted == NULL)
		return -1;
	rc = have_written(k, e);
	if (rc == 0)
		rc = load_and_judge(k, l, live, o, e);
	keep_free(&k->kept);
	return rc;
}

static void close_looker(struct looker *k)
{
	if (k->noted != NULL)
		munmap(k->noted, k->noted_bytes);
	if (k->target != NULL)
		target_free(k->target);
}

int live_open(struct loaded *l, struct live_blocks *b, int pid, const struct options *o,
	      struct error *e)
{
	struct looker k = {.pid = pid, .kept = {.socket = -1}};
	struct run_live live = {.blocks = NULL};
	int rc;

	*l = (struct loaded){.is_tree = false};
	rc = find_segment(&k, e);
	if (rc == 0)
		rc = look(&k, l, &live, o, e);
	if (rc == 0)
		rc = loaded_rank(l, o, e);
	*b = (struct live_blocks){live.blocks, live.count};
	free(live.file_nodes);
	close_looker(&k);
	return rc;
}

/* ---- for the collector ------------------------------------------------------------------- */

static int look_at_end(int pid, FILE *out, struct error *e)
{
	struct looker k = {.pid = pid, .for_collector = true, .kept = {.socket = -1}};
	struct options o = {.cost = NULL};
	struct run_live live = {.blocks = NULL};
	struct loaded l = {.is_tree = false};
	int rc;

	thresholds_default(&o.thresholds);
	rc = find_segment(&k, e);
	if (rc == 0)
		rc = look(&k, &l, &live, &o, e);
	if (rc == 0)
		found_write(out, &l.run, &live, k.noted->ticks);
	free(live.blocks);
	free(live.file_nodes);
	loaded_close(&l);
	close_looker(&k);
	return rc;
}

int command_look(int argc, char **argv)
{
	struct error e = {.code = ERROR_NONE};
	FILE *out = argc == 3 ? fdopen(atoi(argv[2]), "w") : NULL;

	if (out == NULL) {
		fprintf(stderr, "perfhook: look: not by a collector\n");
		return STATUS_UNUSABLE;
	}
	if (look_at_end(atoi(argv[1]), out, &e) != 0)
		found_write_failure(out, e.text);
	return fclose(out) == 0 ? STATUS_DONE : STATUS_UNUSABLE;
}
