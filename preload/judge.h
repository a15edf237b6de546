/* SPDX-License-Identifier: MIT */
/*
 * A build for the tests (make JUDGE=1): each stack that was verified or walked is
 * compared with libunwind's, and differences are written to standard error. Included
 * by stack.c alone.
 */
#include "preload/log.h"

static _Atomic uint64_t judged, differed, fell_back;

static void judge_line(const char *what, uint64_t a, uint64_t b)
{
	char line[160];
	size_t n = ph_append(line, sizeof(line), 0, "judge: ");

	n = ph_append(line, sizeof(line), n, what);
	n = ph_append(line, sizeof(line), n, " ");
	n = ph_append_number(line, sizeof(line), n, a, 16);
	n = ph_append(line, sizeof(line), n, " ");
	n = ph_append_number(line, sizeof(line), n, b, 16);
	n = ph_append(line, sizeof(line), n, "\n");
	sys_write(2, line, n);
}

static void judge_stack(uint32_t node)
{
	const struct ph_segment *g = ph_process->segment;
	const uint64_t *nodes = (const uint64_t *)((const char *)g + g->nodes.offset);
	const uint64_t *addresses = (const uint64_t *)((const char *)g + g->addresses.offset);

	for (int i = 0; node != 0 && i < 40; i++) {
		uint64_t word = nodes[node - 1];

		judge_line("  frame", PH_ADDRESS_PC(addresses[(uint32_t)word - 1]), 0);
		node = (uint32_t)(word >> 32);
	}
}

static void judge(struct ph_stream *s, uint32_t node, void *caller, uint32_t epoch)
{
	uint32_t other;
	int saved = errno;

	if (ph_is_nested(s) || !has_room(&ph_self, UNWINDER_ROOM) || ph_confined)
		return;
	atomic_fetch_add(&judged, 1);
	other = unwind(ph_self.kept, caller, epoch);
	if (other != node && atomic_fetch_add(&differed, 1) < 5) {
		judge_line("differs", node, other);
		judge_stack(node);
		judge_line("libunwind", 0, 0);
		judge_stack(other);
	}
	errno = saved;
}

static void judge_fallback(const struct ph_walk *w, const void *caller)
{
	if (w != NULL && ph_walk_ready && atomic_fetch_add(&fell_back, 1) < 3)
		judge_line("fell back at", (uintptr_t)caller, 0);
}

static __attribute__((destructor)) void judge_says(void)
{
	judge_line("judged", judged, differed);
	judge_line("fell back", fell_back, 0);
}
