/* SPDX-License-Identifier: MIT */
/* The table of what is looked for, and the order of what is found. */
#include "analyzer/findings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/vector.h"

#define ANY_IO (RUN_OFF_IO | RUN_OFF_NET)

const struct finding_kind finding_kinds[] = {
	{"tiny-writes", "tiny writes",
	 "Collect them in a buffer (stdio, a buffered stream, writev) and write that when it is "
	 "full "
	 "or the record is complete.",
	 ANY_IO, find_tiny_writes},
	{"tiny-reads", "tiny reads",
	 "Read large pieces into a buffer (stdio, a buffered stream) and take the small ones from "
	 "there.",
	 RUN_OFF_IO, find_tiny_reads},
	{"reread-file", "files read again and again",
	 "Keep what was read, or what was made of it, and read again only when the file has "
	 "changed.",
	 RUN_OFF_IO, find_rereads},
	{"random-reads", "whole files read in random order",
	 "Read it once from the beginning to the end in large pieces, or map it, and look things "
	 "up "
	 "in memory.",
	 RUN_OFF_IO, find_random_reads},
	{"sync-per-record", "a sync for each record",
	 "Sync once for many records: write a batch, then sync, then confirm all of it.",
	 RUN_OFF_IO, find_syncs},
	{"round-trips", "small requests one by one",
	 "Ask for all of it in one request (a join, a multi-get, a batch), or send the requests "
	 "without waiting for each response (pipelining).",
	 RUN_OFF_NET, find_round_trips},
	{"reconnects", "a connection for each request",
	 "Keep the connection open and use it again: a pool, or keep-alive.", RUN_OFF_NET,
	 find_reconnects},
	{"slow-peer", "a slow peer",
	 "Look at that peer: the same requests are answered much faster by the others.",
	 RUN_OFF_NET, find_slow_peers},
	{"lock-contention", "lock contention",
	 "Hold the lock for less long, or divide what it protects among several locks or threads.",
	 RUN_OFF_WAIT, find_contention},
	{"blocked-loop", "waits in event loops",
	 "Hand this to another thread, or use the non-blocking form and go on when the loop says "
	 "so.",
	 RUN_OFF_WAIT, find_blocked_loops},
	{"temporary-allocations", "temporary allocations",
	 "Allocate once and use it again, or use the stack: each block is freed before the next is "
	 "allocated.",
	 RUN_OFF_MEMORY, find_temporary},
	{"leak", "leaks",
	 "Free each block when what it was made for is over, or bound what keeps them; perfhook "
	 "leaks has the evidence.",
	 RUN_OFF_MEMORY, find_leaks},
	{"lost-blocks", "lost blocks",
	 "Free each block before the last pointer to it goes; perfhook leaks lists them.",
	 RUN_OFF_MEMORY, find_lost},
};
const size_t finding_kind_count = sizeof(finding_kinds) / sizeof(*finding_kinds);

double finding_limit(const struct finder *f, enum threshold which)
{
	return f->thresholds->values[which];
}

static const char *severity_of(const struct finder *f, double saves_s)
{
	double span_s = run_span_s(f->run);
	double percent = span_s > 0 ? 100 * saves_s / span_s : 0;

	if (isnan(saves_s) || saves_s * 1e3 < finding_limit(f, SEVERITY_LEAST_MS))
		return "low";
	return percent >= finding_limit(f, SEVERITY_HIGH_PERCENT)     ? "high"
	       : percent >= finding_limit(f, SEVERITY_MEDIUM_PERCENT) ? "medium"
								      : "low";
}

struct finding *finding_add(struct finder *f, uint32_t node, double saves_s, const char *what)
{
	struct run *run = f->run;
	struct finding *to;

	if (!vector_reserve(run->findings, f->room, run->finding_count + 1)) {
		f->failed = true;
		return NULL;
	}
	to = &run->findings[run->finding_count++];
	*to = (struct finding){
		.kind = f->kind->name,
		.severity = severity_of(f, saves_s),
		.what = what,
		.advice = f->kind->advice,
		.saves_s = saves_s < 0 ? 0 : saves_s,
		.node = node,
	};
	return to;
}

static void add_evidence(struct finding *to, const struct evidence *e)
{
	if (to != NULL && to->evidence_count < FINDING_EVIDENCE)
		to->evidence[to->evidence_count++] = *e;
}

void evidence_text(struct finding *to, const char *key, const char *text)
{
	add_evidence(to, &(struct evidence){.key = key, .type = EVIDENCE_TEXT, .text = text});
}

void evidence_count(struct finding *to, const char *key, uint64_t count)
{
	add_evidence(to, &(struct evidence){.key = key, .type = EVIDENCE_COUNT, .count = count});
}

void evidence_number(struct finding *to, const char *key, double number)
{
	add_evidence(to, &(struct evidence){.key = key, .type = EVIDENCE_NUMBER, .number = number});
}

static bool is_untimed_high(const struct finding *f)
{
	return isnan(f->saves_s) && strcmp(f->severity, "high") == 0;
}

int finding_by_savings(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int by;

	/* Time is not all: what is serious comes first. */
	if (is_untimed_high(x) != is_untimed_high(y))
		return is_untimed_high(x) ? -1 : 1;
	if (isnan(x->saves_s) != isnan(y->saves_s))
		return isnan(x->saves_s) ? 1 : -1;
	if (x->saves_s < y->saves_s || x->saves_s > y->saves_s)
		return x->saves_s < y->saves_s ? 1 : -1;
	by = strcmp(x->kind, y->kind);
	if (by == 0)
		by = strcmp(x->what, y->what);
	return by != 0 ? by : (x->node > y->node) - (x->node < y->node);
}

bool finding_kind_known(const struct finding_kind *kind, const struct run *run)
{
	return (run->off & kind->of) != kind->of;
}

bool findings_find(struct finder *f)
{
	for (size_t i = 0; i < finding_kind_count; i++) {
		f->kind = &finding_kinds[i];
		if (finding_kind_known(f->kind, f->run))
			f->kind->find(f);
	}
	if (f->run->finding_count != 0)
		qsort(f->run->findings, f->run->finding_count, sizeof(*f->run->findings),
		      finding_by_savings);
	return !f->failed;
}
