/* SPDX-License-Identifier: MIT */
/* The library's constructor: what can only be done once the loader is done. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "preload/config.h"
#include "preload/hooks.h"
#include "preload/log.h"
#include "preload/real.h"
#include "preload/record.h"
#include "preload/session.h"
#include "preload/spawn.h"
#include "preload/unseen.h"
#include "preload/unwind.h"
#include "preload/walk.h"

#pragma weak on_exit

#define COLLECTOR_WAIT_NS INT64_C(3000000000)
#define LOOK_BEGINS_NS	  UINT64_C(5000000000)	/* for a collector that is busy */
#define LOOK_WAIT_NS	  UINT64_C(60000000000) /* for all of the memory to be copied */

static bool holds_relative_path(const char *list)
{
	for (const char *at = list; *at != '\0'; at += strspn(at, ": ")) {
		size_t length = strcspn(at, ": ");

		if (length > 0 && at[0] != '/' && memchr(at, '/', length) != NULL)
			return true;
		at += length;
	}
	return false;
}

/* Each relative path of LD_PRELOAD made absolute: a child may start elsewhere. */
static const char *absolute_preload(const char *list, char *out, size_t room)
{
	size_t n = ph_append(out, room, 0, "LD_PRELOAD=");

	while (*list != '\0') {
		size_t length = strcspn(list, ": ");

		if (length > 0 && list[0] != '/' && memchr(list, '/', length) != NULL) {
			n = ph_append(out, room, n, ph_process->segment->directory);
			n = ph_append(out, room, n, "/");
		}
		for (size_t i = 0; i < length && n + 1 < room; i++)
			out[n++] = list[i];
		list += length;
		if (*list != '\0' && n + 1 < room)
			out[n++] = *list++;
		out[n] = '\0';
	}
	return out;
}

char *ph_root_entry;

static char *root_entry(char *out, size_t room)
{
	size_t n = ph_append(out, room, 0, "PERFHOOK_ROOT=");

	n = ph_append_number(out, room, n, (unsigned long long)ph_process->control->root_pid, 10);
	n = ph_append(out, room, n, ":");
	ph_append(out, room, n, ph_session_folder());
	return out;
}

/*
 * The only changes to the environment that children see. In memory of ours, not
 * by setenv(), whose blocks would stand among the program's.
 */
static void export_environment(void)
{
	const size_t text = 8192, root_room = 256;
	size_t count = 0, at = 0;
	char **copy;
	char *page;

	while (environ[count] != NULL)
		count++;
	page = sys_mmap(NULL, (count + 2) * sizeof(*copy) + text + root_room,
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == NULL)
		return;
	copy = (char **)page;
	page += (count + 2) * sizeof(*copy);
	ph_root_entry = root_entry(page + text, root_room);
	for (size_t i = 0; i < count; i++) {
		if (strncmp(environ[i], "PERFHOOK_ROOT=", 14) == 0)
			continue;
		if (strncmp(environ[i], "LD_PRELOAD=", 11) == 0 &&
		    holds_relative_path(environ[i] + 11) && strlen(environ[i]) < text / 2)
			copy[at++] = (char *)absolute_preload(environ[i] + 11, page, text);
		else
			copy[at++] = environ[i];
	}
	copy[at++] = ph_root_entry;
	copy[at] = NULL;
	environ = copy;
}

/* The trace file is there, or it is said why not. */
static void await_collector(void)
{
	struct ph_segment *g = ph_process->segment;
	uint64_t began = sys_clock_ns(CLOCK_MONOTONIC);
	uint32_t seen;

	while ((seen = atomic_load_explicit(&g->collector, memory_order_acquire)) ==
	       PH_COLLECTOR_NONE) {
		if (sys_clock_ns(CLOCK_MONOTONIC) - began > (uint64_t)COLLECTOR_WAIT_NS ||
		    !ph_collector_alive(ph_process->control))
			break;
		sys_futex_wait(&g->collector, PH_COLLECTOR_NONE, 50000000);
	}
	atomic_store(&g->awaited_ns, sys_clock_ns(CLOCK_MONOTONIC) - began);
	if (seen == PH_COLLECTOR_ATTACHED)
		return;
	if (seen == PH_COLLECTOR_REFUSED)
		ph_log(g->refusal, "; the program runs unrecorded", NULL);
	else
		ph_log("the collector could not begin (a limit on its memory or processes?); the "
		       "program runs unrecorded",
		       NULL);
	ph_process_abandon();
}

/* What at_quick_exit() is made of; other C libraries do not have it. */
extern int __cxa_at_quick_exit(void (*function)(void *), void *library) /* NOLINT: its name */
	__attribute__((weak));

/*
 * The program's own functions for the end have been called, and nothing of it is left to
 * free blocks: whoever searches our memory for what is lost may do so now. Bounded: the
 * collector may not be there, or not be allowed to.
 */
static void await_look(uintptr_t frame)
{
	const struct ph_process *p = ph_process;
	struct ph_segment *g = p->segment;
	uint64_t began = sys_clock_ns(CLOCK_MONOTONIC);
	uint32_t seen = PH_LOOK_WANTED;

	/* yama(7) lets only its parents trace a process, and whom it names. */
	sys2(SYS_prctl, PR_SET_PTRACER, atomic_load(&p->control->collector_pid));
	g->look_tid = (uint32_t)sys_gettid();
	g->look_stack = frame;
	atomic_store(&g->look, PH_LOOK_WANTED);
	ph_wake_collector(p->control);
	do {
		uint64_t waited = sys_clock_ns(CLOCK_MONOTONIC) - began;

		if (waited > LOOK_WAIT_NS || !ph_collector_alive(p->control))
			break;
		/* Nobody is to begin later, when it is not there any more. */
		if (seen == PH_LOOK_WANTED && waited > LOOK_BEGINS_NS &&
		    atomic_compare_exchange_strong(&g->look, &seen, PH_LOOK_LATE))
			break;
		sys_futex_wait(&g->look, seen, 50000000);
		seen = atomic_load_explicit(&g->look, memory_order_acquire);
	} while (seen != PH_LOOK_OVER);
	sys2(SYS_prctl, PR_SET_PTRACER, 0);
}

static void at_exit(int status, void *unused)
{
	const struct ph_process *p = ph_process;

	(void)unused;
	ph_threads_ending();
	ph_note_end(status);
	if (p->generation > PH_OFF && p->segment->leaks && !p->segment->alone && !ph_confined &&
	    !ph_unseen_filtered() && sys_getpid() == p->segment->pid)
		await_look(PH_FRAME() + 2 * sizeof(void *)); /* behind the return address */
}

extern char _end[] __attribute__((visibility("hidden"))); /* of our .bss, by the linker */

/* Where what stands, for who looks at our memory from outside. */
static void publish_layout(struct ph_segment *s)
{
	s->allocator_start = ph_modules.allocator_start;
	s->allocator_end = ph_modules.allocator_end;
	s->own_end = (uintptr_t)_end;
	ph_held_memory(&s->held[0].start, &s->held[0].end);
	/* The loader's lists lead through what it allocated for us. */
	s->held[1].start = (uintptr_t)ph_arena;
	s->held[1].end = s->held[1].start + PH_ARENA_BYTES;
}

static __attribute__((constructor)) void begin(void)
{
	ph_quiet_begin();
	ph_real_resolve();
	ph_library_learn(environ);
	ph_unseen_look_for_malloc();
	if (ph_process_start()) {
		ph_process->segment->unwinder = (ph_unwind_load() ? PH_UNWINDER_LIBUNWIND : 0u) |
						(ph_walk_begin() ? PH_UNWINDER_OWN : 0u);
		await_collector();
	}
	if (ph_process->generation > PH_OFF) {
		ph_modules_scan_all();
		publish_layout(ph_process->segment);
		export_environment();
		/* First registered, last called: after the program's own. */
		on_exit(at_exit, NULL);
		if (__cxa_at_quick_exit != NULL)
			__cxa_at_quick_exit(ph_at_quick_exit, NULL);
		if (ph_config.events & (PH_EVENTS_IO | PH_EVENTS_NET)) {
			ph_stdio_begin();
			if (!ph_stdio_is_seen)
				ph_unseen_stdio();
		}
		ph_unseen_begin(ph_process->segment);
		/* It stands where it stood before the collector was waited for. */
		ph_wake_clock();
	}
	ph_quiet_end();
	ph_record_flush_early();
}
