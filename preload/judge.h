/* SPDX-License-Identifier: MIT */
/*
 * For the tests (-DPH_JUDGE, $(BUILD)/judge/libperfhook.so): each stack that was
 * verified or walked is compared with libunwind's, and differences are shown on
 * standard error. At exit one line says how many stacks there were, in hexadecimal,
 * and what became of each: they add up. Included by stack.c alone.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "preload/log.h"

static struct {
	_Atomic uint64_t asked;	    /* stacks that were taken */
	_Atomic uint64_t judged;    /* compared */
	_Atomic uint64_t differed;  /* of these */
	_Atomic uint64_t fell_back; /* no rule led on: nothing to compare */
	_Atomic uint64_t unjudged;  /* libunwind could not run there, or it is not for us */
	_Atomic uint64_t corrected; /* libunwind itself was wrong, by its cache: see judge() */
	_Atomic uint64_t nested;    /* of those judged, in a handler that interrupted a hook */
} verdict;

/* libunwind is at work in this thread, so a handler must keep out of it. One that was
 * left by siglongjmp is known by the next event outside of any hook. */
static PH_TLS bool judging;

static size_t judge_word(char *line, size_t room, size_t n, const char *what, uint64_t value)
{
	n = ph_append(line, room, n, what);
	return ph_append_number(line, room, n, value, 16);
}

static void judge_line(const char *what, uint64_t value)
{
	char line[160];
	size_t n = ph_append(line, sizeof(line), 0, "judge: ");

	n = judge_word(line, sizeof(line), n, what, value);
	n = ph_append(line, sizeof(line), n, "\n");
	sys_write(2, line, n);
}

static void judge_stack(const char *whose, uint32_t node)
{
	const struct ph_segment *g = ph_process->segment;
	const uint64_t *nodes = (const uint64_t *)((const char *)g + g->nodes.offset);
	const uint64_t *addresses = (const uint64_t *)((const char *)g + g->addresses.offset);

	judge_line(whose, node);
	for (int i = 0; node != 0 && i < 40; i++) {
		uint64_t word = nodes[node - 1];

		judge_line("  frame ", PH_ADDRESS_PC(addresses[(uint32_t)word - 1]));
		node = (uint32_t)(word >> 32);
	}
}

static void judge(struct ph_stream *s, uint32_t node, void *caller, uint32_t epoch)
{
	bool nested = ph_is_nested(s);
	uint32_t other;
	int saved = errno;

	if ((nested && judging) || !has_room(&ph_self, UNWINDER_ROOM) || ph_confined) {
		atomic_fetch_add(&verdict.unjudged, 1);
		return;
	}
	judging = true;
	other = unwind(ph_self.kept, caller, epoch);
	/* It keeps one rule for a return address and an interrupted instruction. Where a
	 * function ends with a call that does not return, its return address is the next
	 * function's first instruction, so that whichever came first is also taken for
	 * the other, and a frame is skipped. With nothing kept it is right. */
	if (other != node) {
		ph_unwind_flush();
		other = unwind(ph_self.kept, caller, epoch);
		atomic_fetch_add(&verdict.corrected, other == node);
	}
	judging = false;
	atomic_fetch_add(&verdict.judged, 1);
	atomic_fetch_add(&verdict.nested, nested);
	if (other != node && atomic_fetch_add(&verdict.differed, 1) < 5) {
		judge_stack("differs: ours is ", node);
		judge_stack("libunwind's is ", other);
	}
	errno = saved;
}

/* Before our constructor nothing can be walked, and fork's hooks are reached by a jump
 * and have no frame of their own. */
static void judge_fallback(uintptr_t frame, const void *caller)
{
	bool known = frame != 0 && ph_walk_knows(frame, caller);

	atomic_fetch_add(known ? &verdict.fell_back : &verdict.unjudged, 1);
}

static void judge_show(uint32_t node)
{
	static _Atomic unsigned shown;

	if (atomic_fetch_add(&shown, 1) < 2)
		judge_stack("fell back, libunwind's is ", node);
}

static __attribute__((destructor)) void judge_says(void)
{
	char line[256];
	size_t n = ph_append(line, sizeof(line), 0, "judge: verdict");
	const char *log = getenv("JUDGE_LOG"); /* programs close their standard error */
	int fd = log != NULL ? (int)sys_open(log, O_WRONLY | O_CREAT | O_APPEND, 0644) : 2;

	n = judge_word(line, sizeof(line), n, " asked ", verdict.asked);
	n = judge_word(line, sizeof(line), n, " judged ", verdict.judged);
	n = judge_word(line, sizeof(line), n, " differed ", verdict.differed);
	n = judge_word(line, sizeof(line), n, " fell_back ", verdict.fell_back);
	n = judge_word(line, sizeof(line), n, " unjudged ", verdict.unjudged);
	n = judge_word(line, sizeof(line), n, " corrected ", verdict.corrected);
	n = judge_word(line, sizeof(line), n, " nested ", verdict.nested);
	n = ph_append(line, sizeof(line), n, "\n");
	sys_write(fd, line, n);
}
