/* SPDX-License-Identifier: MIT */
#include "preload/walk.h"

#include <dlfcn.h>
#include <pthread.h>

#include "preload/cfi.h"
#include "preload/compiler.h"
#include "preload/modules.h"
#include "preload/nodes.h"
#include "preload/sys.h"
#include "trace/segment.h"

/* Of a struct ph_walk_frame. */
enum {
	NEEDS_FP = 1, /* it, or a frame further out, is found by this frame's rbp */
	CHECK = 2,    /* not a frame: a word that a rule read */
	EXACT = 4,    /* interrupted, not calling: its word is a signal's saved rip */
	FP_LOST = 8,  /* its rbp cannot be told */
	HARD = 16,    /* of a fresh one: its step was no packed one */
	FROM_FP = 32, /* likewise: it was, from rbp */
};

/* Frames are counted from here where the outermost was not met. */
#define CUT_OFF (1u << 30)

#define PAGE	     UINT64_C(4096)
#define ADDRESS_MASK UINT64_C(0xffffffffffff)
#define RANGE_STEP   (64 * PAGE) /* a stack pointer further below a range is of another stack */

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

static inline __attribute__((always_inline)) bool can_read(struct ph_walk *w, uintptr_t at)
{
	struct ph_walk_range *r = &w->ranges[w->range];

	if (unlikely((at & 7) != 0))
		return false;
	if (likely(at - r->low < r->high - r->low))
		return true;
	/* Not over all of memory because of a wild value. */
	return at >= r->high && at - r->high < (UINT64_C(64) << 20) && extend(r, at + 8);
}

/* ---- looking up ------------------------------------------------------------- */

/* A simple rule's reads are between the frame and the next one's, or it is no simple
 * one: looking where the CFA is will do. */
static uint64_t made_safe(uint64_t rule)
{
	int64_t n = ph_cfi_n(rule), m = ph_cfi_m(rule);

	if ((rule & PH_CFI_SIMPLE) && (n < 8 || ((rule & PH_CFI_RBP_SAVED) && (m < -n || m > -16))))
		rule &= ~PH_CFI_SIMPLE;
	return rule;
}

static PH_NOINLINE uint64_t rule_of(uintptr_t pc, uint32_t address)
{
	uint64_t rule = ph_address_noted(address, pc);

	if (rule == 0) {
		rule = made_safe(ph_cfi_rule(pc));
		/* A library may yet come there. */
		if (ph_cfi_kind(rule) != PH_CFI_NONE)
			ph_address_note(address, pc, rule);
	}
	return rule;
}

/*
 * An address and its rule in one word, if that is a simple one or has its CFA at
 * rbp + n and the caller's rbp there; nodes.h keeps others.
 *
 *   63     41    40      39      24   23      22    21       0
 *  |  n      | from fp | m, signed | there | saved | address  |
 */
#define PACKED	       (UINT64_C(1) << 23)
#define PACKED_SAVED   (UINT64_C(1) << 22)
#define PACKED_FROM_FP (UINT64_C(1) << 40)
#define PACKED_N_SHIFT 41
_Static_assert(PH_ADDRESS_BITS <= 22, "an address fits");

static uint64_t pack(uint64_t rule, uint32_t address)
{
	int64_t n = ph_cfi_n(rule), m = ph_cfi_m(rule);
	bool saved = ph_cfi_rbp(rule) == PH_CFI_RBP_AT_CFA;
	bool from_fp = ph_cfi_kind(rule) == PH_CFI_RBP && saved && n >= 16 && m <= -16 && m >= -n;

	if ((!(rule & PH_CFI_SIMPLE) && !from_fp) || n >= 1 << (64 - PACKED_N_SHIFT))
		return address;
	return (uint64_t)n << PACKED_N_SHIFT | (from_fp ? PACKED_FROM_FP : 0) |
	       (uint64_t)(uint16_t)m << 24 | PACKED | (saved ? PACKED_SAVED : 0) | address;
}

static inline uint32_t packed_address(uint64_t word)
{
	return (uint32_t)word & ((1u << 22) - 1);
}

static inline uintptr_t packed_n(uint64_t word)
{
	return word >> PACKED_N_SHIFT;
}

static inline uintptr_t packed_m(uint64_t word)
{
	return (uintptr_t)(int64_t)(int16_t)(word >> 24);
}

/* Two places a key: the newer one first. */
static PH_NOINLINE uint64_t fill_rule(struct ph_walk *w, struct ph_walk_rule *r, uint64_t key)
{
	uintptr_t pc = key & ADDRESS_MASK;
	uint32_t address = ph_node_address(pc, ph_modules_epoch(w->version));
	uint64_t rule = rule_of(pc, address), word = pack(rule, address);

	/* A library may yet come there. */
	if (ph_cfi_kind(rule) == PH_CFI_NONE)
		return word;
	r[1].key = 0;
	signal_fence();
	r[1].word = r[0].word;
	signal_fence();
	r[1].key = r[0].key;
	signal_fence();
	r[0].key = 0;
	signal_fence();
	r[0].word = word;
	signal_fence();
	r[0].key = key;
	return word;
}

/* The packed word of a pc; `epoch` << 48. */
static inline uint64_t find_rule(struct ph_walk *w, uintptr_t pc, uint64_t epoch)
{
	uint64_t key = pc | epoch;
	struct ph_walk_rule *r =
		w->rules[key * UINT64_C(0x9e3779b97f4a7c15) >> (64 - PH_WALK_RULE_BITS)];

	if (likely(r[0].key == key))
		return r[0].word;
	if (likely(r[1].key == key))
		return r[1].word;
	return fill_rule(w, r, key);
}

/*
 * Parent and address make 46 bits, which times an odd number are 46 other bits, of
 * which the upper ones say where and the rest who: eight bytes hold all of it.
 *
 *   63    61   60 . 24   23   0
 *  | there     | who   | node  |
 */
#define KEY_BITS (PH_NODE_BITS + PH_ADDRESS_BITS)
#define WHO_BITS (KEY_BITS - PH_WALK_NODE_BITS)
#define THERE	 (UINT64_C(1) << WHO_BITS)
_Static_assert(WHO_BITS + 1 + PH_NODE_BITS <= 64, "it fits");

static PH_NOINLINE uint32_t fill_node(uint64_t *entry, uint64_t who, uint32_t parent,
				      uint32_t address)
{
	uint32_t node = ph_node_child(parent, address);

	entry[1] = entry[0];
	entry[0] = (who | THERE) << PH_NODE_BITS | node;
	return node;
}

/* The node of one more frame; `parent` itself where the tables are full. */
static inline uint32_t node_of(struct ph_walk *w, uint32_t parent, uint32_t address)
{
	uint64_t key = (uint64_t)parent << PH_ADDRESS_BITS | address;
	uint64_t mixed = key * UINT64_C(0x9e3779b97f4a7c15) & ((UINT64_C(1) << KEY_BITS) - 1);
	uint64_t *entry = w->nodes[mixed >> WHO_BITS];
	uint64_t who = mixed & (THERE - 1);

	if (likely(entry[0] >> PH_NODE_BITS == (who | THERE)))
		return entry[0] & ((1u << PH_NODE_BITS) - 1);
	if (likely(entry[1] >> PH_NODE_BITS == (who | THERE)))
		return entry[1] & ((1u << PH_NODE_BITS) - 1);
	return fill_node(entry, who, parent, address);
}

/* ---- verifying -------------------------------------------------------------- */

/* The words further out than `word`: the first from the inside that does not hold, which
 * is words[0] if all do. */
static inline const struct ph_walk_word *verify(const struct ph_walk_word *word)
{
	do
		word--;
	while (likely(load(word->at) == word->value));
	return word;
}

/* ---- walking ------------------------------------------------------------------ */

/* A frame and the registers in it. */
struct state {
	uintptr_t at, ip, sp, fp;
	uint32_t flags; /* EXACT, FP_LOST */
};

/* To the caller, by any rule; what was read goes to `f`. False: none leads on. */
static PH_NOINLINE bool step(struct ph_walk *w, struct state *s, struct ph_walk_fresh *f)
{
	uint64_t rule = f->rule;
	uintptr_t cfa, saved = 0;

	switch (ph_cfi_kind(rule)) {
	case PH_CFI_RSP:
		cfa = s->sp + (uintptr_t)ph_cfi_n(rule);
		break;
	case PH_CFI_RBP:
		if (s->flags & FP_LOST)
			return false;
		cfa = s->fp + (uintptr_t)ph_cfi_n(rule);
		break;
	case PH_CFI_AT_RSP:
	case PH_CFI_AT_RBP:
		if (ph_cfi_kind(rule) == PH_CFI_AT_RBP && (s->flags & FP_LOST))
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
		if (s->flags & FP_LOST)
			return false;
		saved = s->fp + (uintptr_t)ph_cfi_m(rule);
		break;
	case PH_CFI_RBP_AT_RSP:
		saved = s->sp + (uintptr_t)ph_cfi_m(rule);
		break;
	default:
		s->flags |= FP_LOST;
	}
	/* The stack grows downward. */
	if (cfa <= s->sp || !can_read(w, cfa - 8))
		return false;
	if (saved != 0) {
		if (!can_read(w, saved))
			return false;
		s->fp = load(saved);
		s->flags &= ~FP_LOST;
		f->saved_at = saved;
	}
	s->at = cfa - 8;
	s->ip = load(s->at);
	s->sp = cfa;
	s->flags &= ~EXACT;
	return true;
}

/* Out of a signal's handler: the registers are the kernel's copy, and the stack may
 * be another one. */
static PH_COLD bool step_signal(struct ph_walk *w, struct state *s, struct ph_walk_fresh *f)
{
	uintptr_t fp_at = s->sp + PH_CFI_SIGNAL_RBP, sp_at = s->sp + PH_CFI_SIGNAL_RSP;

	s->at = s->sp + PH_CFI_SIGNAL_RIP;
	if (!can_read(w, fp_at) || !can_read(w, s->at))
		return false;
	s->ip = load(s->at);
	s->fp = load(fp_at);
	s->flags = EXACT;
	f->cfa = (struct ph_walk_word){sp_at, load(sp_at)};
	f->saved_at = fp_at;
	s->sp = f->cfa.value;
	find_range(w, s->sp);
	return true;
}

enum step { STEP_NONE, STEP_END, STEP_DONE };

/* To the caller, by another rule than a simple one, or on stack that is new. NONE: none
 * leads on. */
static PH_NOINLINE enum step step_hard(struct ph_walk *w, struct state *s, struct ph_walk_fresh *f)
{
	uintptr_t pc = (s->ip - !(s->flags & EXACT)) & ADDRESS_MASK;
	bool done;

	f->flags |= HARD;
	f->rule = rule_of(pc, packed_address(f->word));
	f->saved_at = f->cfa.at = 0;
	switch (ph_cfi_kind(f->rule)) {
	case PH_CFI_END:
		return STEP_END;
	case PH_CFI_SIGNAL:
		/* It was never called: its unwind data begin a byte early. */
		f->word = ph_node_address(s->ip & ADDRESS_MASK, ph_modules_epoch(w->version));
		done = step_signal(w, s, f);
		break;
	default:
		done = step(w, s, f);
	}
	return done ? STEP_DONE : STEP_NONE;
}

static inline struct ph_walk_frame *frame_of(struct ph_walk *w, const struct ph_walk_word *word)
{
	_Static_assert(sizeof(struct ph_walk_frame) == sizeof(struct ph_walk_word),
		       "one distance leads from each word to its frame");
	return (struct ph_walk_frame *)((uintptr_t)word - (uintptr_t)w->words +
					(uintptr_t)w->frames);
}

/* Is this frame, of the same word, the kept one? */
static inline bool is_same(struct ph_walk *w, const struct ph_walk_word *kept,
			   const struct state *s)
{
	uint32_t flags = frame_of(w, kept)->flags;

	if (likely((flags | s->flags) == 0))
		return true;
	return flags == 0 ? !(s->flags & EXACT)
			  : flags == NEEDS_FP && s->flags == 0 && w->fps[kept - w->words] == s->fp;
}

/* The outermost frame's return address is 0: it ends there as long as that stays so. */
static PH_COLD void note_end(struct ph_walk_fresh *f, uintptr_t at)
{
	if (!(f->flags & HARD)) {
		f->flags |= HARD;
		f->rule = 0; /* nothing needs the rbp of what is outermost */
		f->saved_at = f->cfa.at = 0;
	}
	if (f->cfa.at == 0)
		f->cfa = (struct ph_walk_word){at, 0};
}

/* Walk from `s` outward until a kept frame is met or the stack is over; what is kept
 * further in is over. Returns the end of the fresh frames, which stand from the inside;
 * NULL: no rule leads on. */
static inline __attribute__((always_inline)) struct ph_walk_fresh *collect(struct ph_walk *w,
									   struct state s)
{
	const uint64_t epoch = (uint64_t)ph_modules_epoch(w->version) << 48;
	struct ph_walk_word *last = w->last;
	struct ph_walk_fresh *f = w->fresh;
	uintptr_t low = w->ranges[w->range].low;
	uintptr_t room = w->ranges[w->range].high - low - sizeof(uintptr_t);

	do {
		struct state next;
		uint64_t word;

		/* By order of addresses only, which is a guess where there are several
		 * stacks: a match that is missed costs a walk. */
		while (last->at < s.at && last > w->words)
			last--;
		if (last->value == s.ip && last->at == s.at && likely(is_same(w, last, &s))) {
			const struct ph_walk_word *bad = verify(last);

			if (likely(bad == w->words)) {
				w->last = last;
				return f;
			}
			last = &w->words[bad - w->words - 1];
		}
		word = find_rule(w, (s.ip - !unlikely(s.flags & EXACT)) & ADDRESS_MASK, epoch);
		f->at = s.at;
		f->ip = s.ip;
		f->fp = s.fp;
		f->word = word;
		f->flags = s.flags & EXACT;
		s.at = s.sp + packed_n(word) - 8;
		if (unlikely(word & PACKED_FROM_FP)) {
			f->flags |= FROM_FP;
			s.at = s.fp + packed_n(word) - 8;
			if (s.at < s.sp || (s.flags & FP_LOST))
				return NULL;
		}
		if (likely((word & PACKED) && s.at - low <= room)) {
			s.sp = s.at + 8;
			if (word & PACKED_SAVED) {
				s.fp = load(s.sp + packed_m(word));
				s.flags = 0;
			}
			s.flags &= ~EXACT;
			s.ip = load(s.at);
			f++;
		} else {
			next = s;
			switch (step_hard(w, &next, f)) {
			case STEP_NONE:
				return NULL;
			case STEP_END:
				w->last = w->words;
				return f + 1;
			default:
				break;
			}
			s = next;
			f++;
			low = w->ranges[w->range].low;
			room = w->ranges[w->range].high - low - sizeof(uintptr_t);
			if (s.flags & EXACT)
				continue; /* what was interrupted may be anywhere, at 0 even */
		}
		if (unlikely(s.ip == 0)) {
			note_end(f - 1, s.at);
			break;
		}
	} while (likely(f < w->fresh + PH_WALK_FRAMES)); /* what is further out is cut off */
	w->last = w->words;
	return f;
}

/* ---- keeping ------------------------------------------------------------------- */

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

static void push_check(struct ph_walk *w, struct ph_walk_word **last, struct ph_walk_word word)
{
	*++*last = word;
	frame_of(w, *last)->flags = CHECK;
}

/* The words that the step from `f` read, inside of the next outer frame's (`last`), from
 * the outside in. `needed`: that frame's rbp, which is `fp`. Is this frame's needed? */
static PH_NOINLINE bool keep_words(struct ph_walk *w, struct ph_walk_word **last,
				   const struct ph_walk_fresh *f, bool needed, uintptr_t fp)
{
	/* A simple one's rbp stands where its rule says, its CFA being 8 from the outer word. */
	if (!(f->flags & HARD)) {
		if (needed && (f->word & PACKED_SAVED))
			push_check(w, last,
				   (struct ph_walk_word){(*last)->at + 8 + packed_m(f->word), fp});
		return (f->flags & FROM_FP) || (needed && !(f->word & PACKED_SAVED));
	}
	if (needed && f->saved_at != 0)
		push_check(w, last, (struct ph_walk_word){f->saved_at, fp});
	if (f->cfa.at != 0)
		push_check(w, last, f->cfa);
	return uses_fp(f->rule) || (needed && passes_fp(f->rule));
}

/* The fresh frames before `f`, outermost first, onto what is kept. */
static inline __attribute__((always_inline)) void keep(struct ph_walk *w, struct ph_walk_fresh *f)
{
	struct ph_walk_word *last = w->last;
	struct ph_walk_frame *frame = frame_of(w, last);
	uint32_t parent = 0, number = f == w->fresh + PH_WALK_FRAMES ? CUT_OFF : 0;
	uint32_t needed = 0;
	uintptr_t fp = 0;

	if (likely(last != w->words)) {
		parent = frame->node;
		number = frame->number;
		needed = frame->flags & NEEDS_FP;
		fp = w->fps[last - w->words];
	}
	while (f-- > w->fresh) {
		if (unlikely(needed | (f->flags & (HARD | FROM_FP))))
			needed = keep_words(w, &last, f, needed, fp) ? NEEDS_FP : 0;
		last++;
		if (unlikely(needed))
			w->fps[last - w->words] = f->fp;
		fp = f->fp;
		last->at = f->at;
		last->value = f->ip;
		parent = node_of(w, parent, packed_address(f->word));
		frame = frame_of(w, last);
		frame->node = parent;
		frame->address = packed_address(f->word);
		frame->number = ++number;
		frame->flags = (f->flags & EXACT) | needed;
	}
	/* What counts is whole, should a handler jump out from here. */
	signal_fence();
	w->last = last;
}

/* Of the innermost `depth` frames only. 0: so many are not kept, and there were more. */
static PH_COLD uint32_t shortened(struct ph_walk *w, uint32_t depth)
{
	uint32_t last = (uint32_t)(w->last - w->words), from = last + 1, found = 0, node = 0;

	while (found < depth && from > 1)
		found += !(w->frames[--from].flags & CHECK);
	if (found < depth)
		return 0;
	for (uint32_t i = from; i <= last; i++)
		if (!(w->frames[i].flags & CHECK))
			node = ph_node_child(node, w->frames[i].address);
	return node;
}

/* With nothing kept it fits: what was is too long, or was cut off too near. */
static PH_COLD uint32_t again(struct ph_walk *w, uintptr_t frame, uint32_t depth, uint32_t version)
{
	w->last = w->words;
	return ph_walk(w, frame, depth, version, NULL);
}

static PH_COLD void begin_afresh(struct ph_walk *w, uint32_t version)
{
	w->version = version;
	w->words[0] = (struct ph_walk_word){(uintptr_t)&w->words[0].at, 0};
	w->last = w->words;
}

uint32_t ph_walk(struct ph_walk *w, uintptr_t frame, uint32_t depth, uint32_t version,
		 const struct ph_walk_word *bad)
{
	struct state s = {
		.at = frame + 8, .ip = load(frame + 8), .sp = frame + 16, .fp = load(frame)};
	struct ph_walk_fresh *end;
	struct ph_walk_frame *innermost;
	uint32_t node;

	/* A handler that jumps out leaves nothing half made to be believed. */
	w->top.at = 0;
	signal_fence();
	if (bad != NULL)
		w->last = &w->words[bad - w->words - 1];
	if (unlikely(w->version != version || w->last == NULL))
		begin_afresh(w, version);
	if (unlikely(s.at - w->ranges[w->range].low >=
		     w->ranges[w->range].high - w->ranges[w->range].low))
		find_range(w, s.at);
	end = collect(w, s);
	if (unlikely(end == NULL)) {
		w->last = w->words;
		return 0;
	}
	if (unlikely((size_t)(w->last - w->words) + 3 * (size_t)(end - w->fresh) > PH_WALK_WORDS))
		return again(w, frame, depth, version);
	keep(w, end);
	innermost = frame_of(w, w->last);
	node = innermost->node;
	if (unlikely(innermost->number > depth)) {
		node = shortened(w, depth);
		if (node == 0)
			return end < w->fresh + PH_WALK_FRAMES ? again(w, frame, depth, version)
							       : 0;
	}
	w->top.ip = w->last->value;
	w->top.fp = load(frame);
	w->top.fp_mask = innermost->flags & NEEDS_FP ? UINTPTR_MAX : 0;
	w->top.below = w->last - 1;
	w->top.version = version;
	w->top.node = node;
	signal_fence();
	w->top.at = frame + 8;
	return node;
}
