/* SPDX-License-Identifier: MIT */
/*
 * For the tests (-DPH_JUDGE, $(BUILD)/judge/libperfhook.so): each stack that was
 * verified or walked is compared with libunwind's, and differences are shown on
 * standard error. At exit one line says how many stacks there were, in hexadecimal,
 * and what became of each: they add up. Included by stack.c alone.
 */
#include <fcntl.h>
#include <stdlib.h>

#include <dlfcn.h>
#include <unwind.h>

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

/* ---- a second opinion ---------------------------------------------------- */

static struct {
	_Unwind_Reason_Code (*walk)(_Unwind_Trace_Fn visit, void *context);
	_Unwind_Ptr (*ip_of)(struct _Unwind_Context *frame, int *exact);
} libgcc;

static __attribute__((constructor)) void judge_begins(void)
{
	void *library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return;
	libgcc.ip_of = (_Unwind_Ptr(*)(struct _Unwind_Context *, int *))dlsym(library,
									      "_Unwind_GetIPInfo");
	libgcc.walk = (_Unwind_Reason_Code(*)(_Unwind_Trace_Fn, void *))dlsym(library,
									      "_Unwind_Backtrace");
}

struct judge_frames {
	uintptr_t pc[DEPTH_ROOM], caller;
	int count;
	bool found;
};

static _Unwind_Reason_Code judge_visit(struct _Unwind_Context *frame, void *context)
{
	struct judge_frames *f = context;
	int exact = 0;
	uintptr_t ip = libgcc.ip_of(frame, &exact);

	f->found |= ip == f->caller;
	if (f->found && ip != 0 && f->count < (int)ph_config.depth)
		f->pc[f->count++] = ip - !exact;
	return _URC_NO_REASON;
}

/* The trampoline is reported by where it begins, as everywhere here. */
static uint32_t node_by_libgcc(void *caller, uint32_t epoch)
{
	/* One at a time: it is asked seldom, and is too large for a thread's storage. */
	static struct judge_frames frames;
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	uint32_t node = 0;

	if (libgcc.walk == NULL || libgcc.ip_of == NULL)
		return 0;
	while (atomic_flag_test_and_set(&busy))
		;
	frames.count = 0;
	frames.found = false;
	frames.caller = (uintptr_t)caller;
	libgcc.walk(judge_visit, &frames);
	for (int i = frames.count - 1; i >= 0; i--) {
		uintptr_t pc = frames.pc[i];

		if (is_in_trampoline((const void *)(pc + 1)) && !is_in_trampoline((const void *)pc))
			pc++;
		node = ph_node_child(node, ph_node_address(pc & UINT64_C(0xffffffffffff), epoch));
	}
	atomic_flag_clear(&busy);
	return node;
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
	 * the other, and a frame is skipped. libgcc's keeps nothing. */
	if (other != node) {
		other = node_by_libgcc(caller, epoch);
		atomic_fetch_add(&verdict.corrected, other == node);
	}
	judging = false;
	atomic_fetch_add(&verdict.judged, 1);
	atomic_fetch_add(&verdict.nested, nested);
	if (other != node && atomic_fetch_add(&verdict.differed, 1) < 5) {
		judge_stack("differs: ours is ", node);
		judge_stack("libgcc's is ", other);
	}
	errno = saved;
}

static void judge_asked(void)
{
	atomic_fetch_add(&verdict.asked, 1);
}

/* Before our constructor nothing can be walked, and fork's hooks are reached by a jump
 * and have no frame of their own. */
static void judge_fallback(uint32_t node, uintptr_t frame, const void *caller)
{
	static _Atomic unsigned shown;
	bool known = frame != 0 && ph_walk_knows(frame, caller);

	atomic_fetch_add(known ? &verdict.fell_back : &verdict.unjudged, 1);
	if (atomic_fetch_add(&shown, 1) < 2)
		judge_stack("fell back, to ", node);
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
