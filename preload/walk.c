/* SPDX-License-Identifier: MIT */
#include "preload/walk.h"

#include <dlfcn.h>
#include <pthread.h>

#include "preload/cfi.h"
#include "preload/compiler.h"
#include "preload/nodes.h"
#include "preload/sys.h"

/* Of a struct ph_walk_frame. */
enum {
	NEEDS_FP = 1, /* it, or a frame further out, is found by this frame's rbp */
	CHECK = 2,    /* not a frame: a word that a rule read */
	EXACT = 4,    /* interrupted, not calling: its word is a signal's saved rip */
	FP_KNOWN = 8, /* of a fresh one: its rbp could be told */
};

/* Frames are counted from here where the outermost was not met. */
#define CUT_OFF (1u << 30)

#define PAGE	   UINT64_C(4096)
#define ALL_GOOD   UINT32_MAX
#define RANGE_STEP (64 * PAGE) /* a stack pointer further below a range is of another stack */

bool ph_walk_ready;

bool ph_walk_begin(void)
{
	/* The declarations differ in names only; see struct ph_cfi_object. */
	ph_cfi_find_object *find = (ph_cfi_find_object *)dlsym(RTLD_DEFAULT, "_dl_find_object");

#if !defined(__x86_64__)
	return false; /* cfi.h has no rules */
#endif
	if (find == NULL) {
		dlerror();
		return false;
	}
	ph_cfi_begin(find, NULL);
	ph_walk_ready = true;
	return true;
}

static inline uintptr_t load(uintptr_t at)
{
	return *(const uintptr_t *)at;
}

/* ---- what can be read --------------------------------------------------- */

/* The kernel looks at the new mask before it looks at the (invalid) first argument:
 * EFAULT or EINVAL, and nothing is changed. */
static bool page_is_readable(uintptr_t address)
{
	return sys4(SYS_rt_sigprocmask, ~0l, address & ~(PAGE - 1), NULL, 8) == -EINVAL;
}

/* A thread's own stack ends where libc keeps its control block. Only where the
 * kernel cannot be asked. */
static uintptr_t own_end(uintptr_t sp)
{
	uintptr_t end = (uintptr_t)pthread_self();

	return end > sp && end - sp < (UINT64_C(8) << 20) ? end : sp;
}

static PH_COLD bool extend(struct ph_walk_range *r, uintptr_t to)
{
	while (r->high < to) {
		if (ph_confined || !page_is_readable(r->high))
			return false;
		r->high += PAGE;
	}
	return true;
}

/* The stack that `sp` is on: known already, or from its page on. */
static PH_COLD void find_range(struct ph_walk *w, uintptr_t sp)
{
	uintptr_t page = sp & ~(PAGE - 1);

	for (uint32_t i = 0; i < w->range_count; i++) {
		struct ph_walk_range *r = &w->ranges[i];

		if (page >= r->low && page < r->high) {
			w->range = i;
			return;
		}
		/* It grows downward. */
		if (!ph_confined && page < r->low && r->low - page <= RANGE_STEP) {
			struct ph_walk_range lower = {page, page};

			if (extend(&lower, r->low)) {
				r->low = page;
				w->range = i;
				return;
			}
		}
	}
	w->range = w->range_count < PH_WALK_RANGES ? w->range_count++
						   : (w->range + 1) % PH_WALK_RANGES;
	w->ranges[w->range] =
		(struct ph_walk_range){page, ph_confined ? own_end(sp) & ~(PAGE - 1) : page + PAGE};
}

static inline bool can_read(struct ph_walk *w, uintptr_t at)
{
	struct ph_walk_range *r = &w->ranges[w->range];

	if (unlikely((at & 7) != 0))
		return false;
	if (likely(at - r->low < r->high - r->low))
		return true;
	/* Not over all of memory because of a wild value. */
	return at >= r->high && at - r->high < (UINT64_C(64) << 20) && extend(r, at + 8);
}

/* ---- caches --------------------------------------------------------------- */

static inline uint32_t mixed(uint64_t key, uint32_t size)
{
	return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 40) & (size - 1);
}

static inline uint64_t rule_of(struct ph_walk *w, uintptr_t pc)
{
	uint64_t key = pc | (uint64_t)w->epoch << 48, rule;
	struct ph_walk_rule *r = &w->rules[mixed(pc, PH_WALK_RULES)];

	if (likely(r->key == key))
		return r->rule;
	rule = ph_cfi_rule(pc);
	/* A library may yet come there. */
	if (ph_cfi_kind(rule) == PH_CFI_NONE)
		return rule;
	r->key = 0;
	signal_fence();
	r->rule = rule;
	r->address = 0;
	signal_fence();
	r->key = key;
	return rule;
}

/* The node of one more frame; `parent` itself where the tables are full. */
static inline uint32_t node_of(struct ph_walk *w, uint32_t parent, uint32_t address)
{
	uint64_t key = (uint64_t)parent << 32 | address;
	struct ph_walk_node *n = &w->nodes[mixed(key ^ key >> 29, PH_WALK_NODES)];

	if (unlikely(n->key != key)) {
		uint32_t node = ph_node_child(parent, address);

		n->key = 0;
		signal_fence();
		n->node = node;
		signal_fence();
		n->key = key;
	}
	return n->node;
}

static inline uint32_t address_of(struct ph_walk *w, uintptr_t pc)
{
	struct ph_walk_rule *r = &w->rules[mixed(pc, PH_WALK_RULES)];

	if (unlikely(r->key != (pc | (uint64_t)w->epoch << 48)))
		return ph_node_address(pc, w->epoch);
	if (unlikely(r->address == 0))
		r->address = ph_node_address(pc, w->epoch);
	return r->address;
}

/* ---- verifying -------------------------------------------------------------- */

/* Do the words further out than `top` still hold? ALL_GOOD, or the first from the
 * inside that does not. */
static inline uint32_t verify(const struct ph_walk *w, uint32_t top)
{
	const struct ph_walk_word *word = &w->words[top];

	while (word > w->words) {
		word--;
		if (unlikely(load(word->at) != word->value))
			return (uint32_t)(word - w->words);
	}
	return ALL_GOOD;
}

/* Is this frame the innermost one kept? */
static inline bool is_top(const struct ph_walk *w, uintptr_t at, uintptr_t ip, uintptr_t fp,
			  bool fp_known)
{
	const struct ph_walk_frame *f = &w->frames[w->count - 1];
	const struct ph_walk_word *word = &w->words[w->count - 1];

	return word->at == at && word->value == ip && !(f->flags & (CHECK | EXACT)) &&
	       (!(f->flags & NEEDS_FP) || (fp_known && f->fp == fp));
}

/* Frames further in than `at` are over. By order of addresses only, which is a
 * guess where there are several stacks: a match that is missed costs a walk. */
static inline void drop_inner(struct ph_walk *w, uintptr_t at)
{
	while (w->count > 0 &&
	       ((w->frames[w->count - 1].flags & CHECK) || w->words[w->count - 1].at < at))
		w->count--;
}

/* ---- walking ------------------------------------------------------------------ */

/* A frame and the registers in it. */
struct state {
	uintptr_t at, ip, sp, fp;
	bool fp_known, exact;
};

/* To the caller, by its rule; what was read goes to `f`. False: no rule leads on. */
static bool step(struct ph_walk *w, struct state *s, struct ph_walk_fresh *f)
{
	uint64_t rule = f->rule;
	uintptr_t cfa, saved = 0;

	if (likely(rule & PH_CFI_SIMPLE)) {
		cfa = s->sp + (uintptr_t)ph_cfi_n(rule);
		if (rule & PH_CFI_RBP_SAVED)
			saved = cfa + (uintptr_t)ph_cfi_m(rule);
	} else {
		switch (ph_cfi_kind(rule)) {
		case PH_CFI_RSP:
			cfa = s->sp + (uintptr_t)ph_cfi_n(rule);
			break;
		case PH_CFI_RBP:
			if (!s->fp_known)
				return false;
			cfa = s->fp + (uintptr_t)ph_cfi_n(rule);
			break;
		case PH_CFI_AT_RSP:
		case PH_CFI_AT_RBP:
			if (ph_cfi_kind(rule) == PH_CFI_AT_RBP && !s->fp_known)
				return false;
			f->cfa.at = (ph_cfi_kind(rule) == PH_CFI_AT_RBP ? s->fp : s->sp) +
				    (uintptr_t)ph_cfi_n(rule);
			if (!can_read(w, f->cfa.at))
				return false;
			f->cfa.value = load(f->cfa.at);
			cfa = f->cfa.value + (uintptr_t)ph_cfi_c(rule);
			break;
		default:
			return false;
		}
		switch (ph_cfi_rbp(rule)) {
		case PH_CFI_RBP_SAME:
			break;
		case PH_CFI_RBP_AT_CFA:
			saved = cfa + (uintptr_t)ph_cfi_m(rule);
			break;
		case PH_CFI_RBP_AT_RBP:
			if (!s->fp_known)
				return false;
			saved = s->fp + (uintptr_t)ph_cfi_m(rule);
			break;
		case PH_CFI_RBP_AT_RSP:
			saved = s->sp + (uintptr_t)ph_cfi_m(rule);
			break;
		default:
			s->fp_known = false;
		}
	}
	/* The stack grows downward. */
	if (cfa <= s->sp || !can_read(w, cfa - 8))
		return false;
	if (saved != 0) {
		if (!can_read(w, saved))
			return false;
		s->fp = load(saved);
		s->fp_known = true;
		f->saved = (struct ph_walk_word){saved, s->fp};
	}
	s->at = cfa - 8;
	s->ip = load(s->at);
	s->sp = cfa;
	s->exact = false;
	return true;
}

/* Out of a signal's handler: the registers are the kernel's copy, and the stack may
 * be another one. */
static bool step_signal(struct ph_walk *w, struct state *s, struct ph_walk_fresh *f)
{
	uintptr_t fp_at = s->sp + PH_CFI_SIGNAL_RBP, sp_at = s->sp + PH_CFI_SIGNAL_RSP;

	s->at = s->sp + PH_CFI_SIGNAL_RIP;
	if (!can_read(w, fp_at) || !can_read(w, s->at))
		return false;
	s->ip = load(s->at);
	s->fp = load(fp_at);
	s->fp_known = true;
	s->exact = true;
	f->cfa = (struct ph_walk_word){sp_at, load(sp_at)};
	f->saved = (struct ph_walk_word){fp_at, s->fp};
	s->sp = f->cfa.value;
	find_range(w, s->sp);
	return true;
}

/* Walk from `s` outward until a kept frame is met or the stack is over. Returns how
 * many fresh frames there are, from the inside; -1: no rule leads on. */
static int collect(struct ph_walk *w, struct state *s)
{
	uint32_t n = 0;

	for (;;) {
		struct ph_walk_fresh *f = &w->fresh[n];
		uint32_t bad;

		drop_inner(w, s->at);
		if (w->count > 0 && !s->exact && is_top(w, s->at, s->ip, s->fp, s->fp_known)) {
			bad = verify(w, w->count - 1);
			if (bad == ALL_GOOD)
				return (int)n;
			w->count = bad;
		}
		if (n == PH_WALK_FRAMES) {
			w->count = 0; /* what is further out is cut off */
			return (int)n;
		}
		f->at = s->at;
		f->ip = s->ip;
		f->pc = (s->exact ? s->ip : s->ip - 1) & UINT64_C(0xffffffffffff);
		f->fp = s->fp;
		f->flags = (s->exact ? EXACT : 0) | (s->fp_known ? FP_KNOWN : 0);
		f->cfa.at = f->saved.at = 0;
		f->rule = rule_of(w, f->pc);
		n++;
		if (unlikely(!(f->rule & PH_CFI_SIMPLE))) {
			enum ph_cfi_kind kind = ph_cfi_kind(f->rule);

			if (kind == PH_CFI_END) {
				w->count = 0;
				return (int)n;
			}
			if (kind == PH_CFI_SIGNAL) {
				/* It was never called: its unwind data begin a byte early. */
				f->pc = s->ip & UINT64_C(0xffffffffffff);
				if (!step_signal(w, s, f))
					return -1;
				continue;
			}
		}
		if (!step(w, s, f))
			return -1;
		if (s->ip == 0) {
			/* It ends there as long as that stays so. */
			w->count = 0;
			f->cfa = f->cfa.at != 0 ? f->cfa : (struct ph_walk_word){s->at, 0};
			return (int)n;
		}
	}
}

/* ---- keeping ------------------------------------------------------------------- */

static inline void push(struct ph_walk *w, struct ph_walk_word word, struct ph_walk_frame frame)
{
	w->words[w->count] = word;
	w->frames[w->count] = frame;
	/* What counts is whole, should a handler jump out from here. */
	signal_fence();
	w->count++;
}

static inline void push_check(struct ph_walk *w, struct ph_walk_word word)
{
	push(w, word, (struct ph_walk_frame){.flags = CHECK});
}

static inline bool uses_fp(uint64_t rule)
{
	enum ph_cfi_kind kind = ph_cfi_kind(rule);

	return !(rule & PH_CFI_SIMPLE) && (kind == PH_CFI_RBP || kind == PH_CFI_AT_RBP ||
					   ph_cfi_rbp(rule) == PH_CFI_RBP_AT_RBP);
}

/* Does the caller's rbp come from this frame's? */
static inline bool passes_fp(uint64_t rule)
{
	return ph_cfi_rbp(rule) == PH_CFI_RBP_SAME && ph_cfi_kind(rule) != PH_CFI_SIGNAL &&
	       ph_cfi_kind(rule) != PH_CFI_END;
}

/* The fresh frames, outermost first, onto what is kept. */
static void keep(struct ph_walk *w, int n)
{
	const struct ph_walk_frame *outer = w->count > 0 ? &w->frames[w->count - 1] : NULL;
	uint32_t parent = outer != NULL ? outer->node : 0;
	uint32_t number = outer != NULL ? outer->number : n == PH_WALK_FRAMES ? CUT_OFF : 0;
	bool needed = outer != NULL && (outer->flags & NEEDS_FP);

	for (int i = n - 1; i >= 0; i--) {
		const struct ph_walk_fresh *f = &w->fresh[i];
		struct ph_walk_frame frame = {.fp = f->fp, .flags = f->flags & EXACT};

		/* Inside of the next outer frame's word, from the outside in. */
		if (needed && f->saved.at != 0)
			push_check(w, f->saved);
		if (f->cfa.at != 0)
			push_check(w, f->cfa);
		needed = uses_fp(f->rule) || (needed && passes_fp(f->rule));
		frame.flags |= needed ? NEEDS_FP : 0;
		frame.address = address_of(w, f->pc);
		frame.number = ++number;
		frame.node = parent = node_of(w, parent, frame.address);
		push(w, (struct ph_walk_word){f->at, f->ip}, frame);
	}
}

/* Of the innermost `depth` frames only. False: so many are not kept, and there were
 * more. */
static PH_COLD bool shortened(struct ph_walk *w, uint32_t depth, uint32_t *node)
{
	uint32_t from = w->count, found = 0;

	while (found < depth && from > 0)
		found += !(w->frames[--from].flags & CHECK);
	if (found < depth)
		return false;
	*node = 0;
	for (uint32_t i = from; i < w->count; i++)
		if (!(w->frames[i].flags & CHECK))
			*node = node_of(w, *node, w->frames[i].address);
	return true;
}

static inline bool innermost(struct ph_walk *w, uint32_t depth, uint32_t *node)
{
	const struct ph_walk_frame *f = &w->frames[w->count - 1];

	if (unlikely(f->number > depth))
		return shortened(w, depth, node);
	*node = f->node;
	return true;
}

/* From `s` outward, onto what is kept. -1: no rule leads on; 0: what is kept stands in
 * the way, being too long or cut off too near. */
static int walk(struct ph_walk *w, struct state s, uint32_t depth, uint32_t *node)
{
	int fresh;

	if (unlikely(s.at - w->ranges[w->range].low >=
		     w->ranges[w->range].high - w->ranges[w->range].low))
		find_range(w, s.at);
	fresh = collect(w, &s);
	if (fresh < 0)
		return -1;
	if (w->count + 3 * (uint32_t)fresh > PH_WALK_WORDS)
		return 0;
	keep(w, fresh);
	return innermost(w, depth, node);
}

bool ph_walk(struct ph_walk *w, uintptr_t frame, uint32_t depth, uint32_t epoch, uint32_t *node)
{
	struct state s = {
		.at = frame + 8,
		.ip = load(frame + 8),
		.sp = frame + 16,
		.fp = load(frame),
		.fp_known = true,
	};
	uint32_t kept = w->count;
	int done;

	if (unlikely(w->epoch != epoch)) {
		w->epoch = epoch;
		kept = w->count = 0;
	}
	if (likely(kept > 0) && is_top(w, s.at, s.ip, s.fp, true)) {
		uint32_t bad = verify(w, kept - 1);

		if (likely(bad == ALL_GOOD) && likely(innermost(w, depth, node)))
			return true;
		w->count = bad == ALL_GOOD ? 0 : bad;
	}
	done = walk(w, s, depth, node);
	if (unlikely(done <= 0)) {
		w->count = 0;
		/* With nothing kept it fits. */
		done = done < 0 ? done : walk(w, s, depth, node);
	}
	return done > 0;
}
