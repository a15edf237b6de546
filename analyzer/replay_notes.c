/* SPDX-License-Identifier: MIT */
/* What a report has to say of the trace itself: its end, its holes, what was not seen. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "analyzer/replay.h"
#include "analyzer/vector.h"

void replay_notice(struct replay *r, bool lost, int about, const char *text)
{
	struct run *run = r->run;

	if (!vector_reserve(run->notices, r->notice_room, run->notice_count + 1))
		return;
	run->notices[run->notice_count++] = (struct notice){lost, text, about};
}

/* "1 event was", "2 events were". */
static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static bool is_running(const struct replay *r)
{
	char path[32], link[4096];
	struct utsname host;
	ssize_t n;

	if (r->meta.has_end || r->meta.pid <= 0 || uname(&host) != 0 ||
	    strcmp(host.nodename, r->meta.host) != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/exe", r->meta.pid);
	n = readlink(path, link, sizeof(link) - 1);
	if (n > 0) {
		/* The number may be another process's by now. */
		link[n] = '\0';
		return strcmp(link, r->meta.executable) == 0;
	}
	snprintf(path, sizeof(path), "/proc/%d", r->meta.pid);
	return access(path, F_OK) == 0;
}

static void note_end(struct replay *r)
{
	struct run *run = r->run;

	run->complete = r->reader.ended && r->meta.has_end && r->reader.damaged == 0 &&
			!r->reader.truncated && r->merge.dropped == 0;
	if (r->options != NULL && r->options->instant != NULL) {
		run->end = "running";
		run->complete = r->reader.damaged == 0 && r->merge.dropped == 0;
		return;
	}
	if (r->meta.has_end)
		return;
	if (is_running(r)) {
		run->end = "running";
		notice(r, false, "still running: this is what was written so far");
		return;
	}
	notice(r, true,
	       "the trace has no end: whoever wrote it was ended first, or it was cut short; what "
	       "it holds up to there is reported");
}

static void note_damage(struct replay *r)
{
	uint64_t n = r->reader.damaged;

	if (n != 0)
		notice(r, true,
		       "%llu %s of the trace could not be read, the first at byte %llu: what %s "
		       "held is missing",
		       (unsigned long long)n, plural(n, "part", "parts"),
		       (unsigned long long)r->reader.damage_at, plural(n, "it", "they"));
	n = r->merge.dropped;
	if (n != 0)
		notice(r, true, "%llu %s of events overlap what came before and %s left out",
		       (unsigned long long)n, plural(n, "block", "blocks"),
		       plural(n, "was", "were"));
	n = r->unknown_blocks;
	if (n != 0)
		notice(r, false, "%llu %s of a kind that this perfhook does not know; update it",
		       (unsigned long long)n, plural(n, "block is", "blocks are"));
	n = r->unknown_events;
	if (n != 0)
		notice(r, false, "%llu %s of functions that this perfhook does not know; update it",
		       (unsigned long long)n, plural(n, "event is", "events are"));
}

static void note_lost(struct replay *r)
{
	uint64_t lost = r->meta.lost > r->lost ? r->meta.lost : r->lost;
	uint64_t nested = r->meta.nested_lost, unslotted = r->meta.unslotted_lost;

	r->run->dropped = lost + nested + unslotted;
	r->run->stalled_s = (double)r->meta.stalled_ns / 1e9;
	if (lost != 0 && r->lost != 0)
		notice(r, true, "%llu %s lost between %.3f s and %.3f s: the ring was full",
		       (unsigned long long)lost, plural(lost, "event was", "events were"),
		       clock_s(&r->clock, r->lost_from), clock_s(&r->clock, r->lost_to));
	else if (lost != 0)
		notice(r, true, "%llu %s lost: the ring was full", (unsigned long long)lost,
		       plural(lost, "event was", "events were"));
	if (unslotted != 0)
		notice(r, true,
		       "%llu %s of threads that there was no room for, or of another process on "
		       "the same memory, %s lost",
		       (unsigned long long)unslotted, plural(unslotted, "event", "events"),
		       plural(unslotted, "was", "were"));
	if (nested != 0)
		notice(r, true, "%llu %s of signal handlers that interrupted a hook %s lost",
		       (unsigned long long)nested, plural(nested, "event", "events"),
		       plural(nested, "was", "were"));
}

/* Programs and processes that are not recorded, and why. */
static void note_unrecorded(struct replay *r)
{
	uint64_t n = r->meta.children_unrecorded;

	for (size_t i = 0; i < r->unrecorded_count; i++) {
		const struct unrecorded *u = &r->unrecorded[i];

		notice_program(r, "%s, which it started%s, is not recorded: %s", u->path,
			       u->times > 1 ? arena_print(r->arena, " %llu times",
							  (unsigned long long)u->times)
					    : "",
			       u->reason);
	}
	if (strcmp(r->run->end, "exec") == 0) {
		if (r->exec.path != NULL && r->exec.reason != NULL)
			notice_program(r, "it became %s, which is not recorded: %s", r->exec.path,
				       r->exec.reason);
		else
			r->run->became = r->exec.path != NULL ? r->exec.path : "another program";
	}
	if (n != 0)
		notice_program(r, "%llu %s that it forked could not be recorded",
			       (unsigned long long)n, plural(n, "process", "processes"));
	if (r->confined == CONFINED_BLIND)
		notice(r, true,
		       "at %.3f s it gave up all system calls and the processor's counter "
		       "(seccomp's "
		       "strict mode, PR_SET_TSC): recording ends there",
		       clock_s(&r->clock, r->confined_at));
	if (r->confined == CONFINED_FILTER)
		notice(r, false,
		       "at %.3f s it installed a seccomp filter: since then files and sockets are "
		       "called as the program called them, some stacks may be one frame deep, "
		       "and processes that it starts are not recorded",
		       clock_s(&r->clock, r->confined_at));
}

static void note_unseen(struct replay *r)
{
	uint64_t n = r->run->heap.unmatched_frees;
	const char *text;

	if (r->clock.unevenness > 0.01)
		notice(r, false,
		       "the processor's counter did not run evenly (by up to %.0f%%): times "
		       "between "
		       "two looks at the clock are that much uncertain",
		       r->clock.unevenness * 100);

	if (n != 0)
		notice(r, false,
		       "%llu %s freed that %s allocated before recording began, or by calls that "
		       "are not seen",
		       (unsigned long long)n, plural(n, "block was", "blocks were"),
		       plural(n, "was", "were"));
	n = r->heap.missed_frees;
	if (n != 0)
		notice(r, false, "the %s of %llu %s not seen: the address was allocated again",
		       plural(n, "free", "frees"), (unsigned long long)n,
		       plural(n, "block was", "blocks were"));
	n = r->meta.short_stacks;
	if (n != 0)
		notice(r, false, "%llu %s cut short: the table of stacks was full",
		       (unsigned long long)n, plural(n, "stack was", "stacks were"));
	n = r->meta.objects_unknown;
	if (n != 0)
		notice(r, false, "%llu %s not be named: the table of descriptors was full",
		       (unsigned long long)n, plural(n, "file could", "files could"));
	for (unsigned i = 0; (text = coverage_known(&r->meta, i, r->arena)) != NULL; i++)
		notice(r, false, "%s", text);
	text = coverage_text(&r->run->coverage, r->run->dropped, r->arena);
	if (text != NULL)
		replay_notice(r, false, NOTICE_BYTES, text);
	for (size_t i = 0; i < r->meta.note_count; i++)
		notice(r, false, "%s", r->meta.notes[i]);
}

void replay_note_all(struct replay *r)
{
	note_lost(r);
	note_end(r);
	note_damage(r);
	note_unrecorded(r);
	note_unseen(r);
}
