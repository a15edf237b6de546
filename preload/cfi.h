/* SPDX-License-Identifier: MIT */
/*
 * Call frame information of x86-64 code: what finds a frame's caller, as one word
 * to keep for an address. Read from .eh_frame, found by .eh_frame_hdr (LSB Core
 * 5.0, 10.6 "Exception Frames"; DWARF 5, 6.4). On other machines all is NONE.
 *
 * Everything here may run inside the target's malloc and in its signal handlers:
 * no allocation, no lock, no system call, no function of libc (but the one that
 * ph_cfi_begin() is given), errno untouched, less than 1 KiB of stack. Whatever
 * the data say, only [low, high) of a module is read, and the time is bounded.
 *
 * Words are for one address. After a call that is the return address - 1, since
 * the call may be a function's last instruction; where a signal interrupted, it
 * is the interrupted address itself. A word is good until a module is loaded or
 * unloaded at the address.
 */
#ifndef PH_PRELOAD_CFI_H
#define PH_PRELOAD_CFI_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A rule word; 0 is none, so 0 can stand for "not looked up yet".
 *
 *   63        32 31      16 15     8 7   5 4    1   0
 *  |  n, signed | m, signed| c, sgd.| rbp | kind | simple |
 *
 * n, m and c are bytes. The CFA is the caller's rsp; the return address is always
 * at CFA - 8. "simple" is: kind RSP, and rbp unchanged or at CFA + m, so that
 *
 *	cfa = rsp + ph_cfi_n(rule);
 *	if (rule & PH_CFI_RBP_SAVED)
 *		rbp = *(uint64_t *)(cfa + ph_cfi_m(rule));
 *
 * is all there is to do.
 */
#define PH_CFI_SIMPLE	 UINT64_C(1)
#define PH_CFI_RBP_SAVED UINT64_C(0x20) /* in a simple word; otherwise see ph_cfi_rbp() */

enum ph_cfi_kind {
	PH_CFI_RSP = 1, /* CFA = rsp + n */
	PH_CFI_RBP,	/* CFA = rbp + n */
	PH_CFI_AT_RSP,	/* CFA = [rsp + n] + c */
	PH_CFI_AT_RBP,	/* CFA = [rbp + n] + c: a stack that was realigned */
	PH_CFI_SIGNAL,	/* the signal trampoline: all of the interrupted frame's is
			 * at the offsets below, and its address is exact */
	PH_CFI_END,	/* the outermost frame */
	PH_CFI_NONE,	/* there is no unwind data for the address */
	PH_CFI_OTHER,	/* there is, but it needs another register, is damaged, or is
			 * beyond what is read here */
};

enum ph_cfi_rbp {
	PH_CFI_RBP_SAME,      /* the caller's rbp is what rbp is */
	PH_CFI_RBP_AT_CFA,    /* it is at CFA + m */
	PH_CFI_RBP_AT_RBP,    /* at rbp + m */
	PH_CFI_RBP_AT_RSP,    /* at rsp + m */
	PH_CFI_RBP_UNDEFINED, /* it is lost, and the callers do not need it */
	PH_CFI_RBP_ELSEWHERE, /* in another register, or too far */
};

/* Where the kernel's ucontext keeps them, from rsp in the signal trampoline. */
#define PH_CFI_SIGNAL_RBP 120
#define PH_CFI_SIGNAL_RSP 160
#define PH_CFI_SIGNAL_RIP 168

static inline enum ph_cfi_kind ph_cfi_kind(uint64_t rule)
{
	return (enum ph_cfi_kind)(rule >> 1 & 15);
}

static inline enum ph_cfi_rbp ph_cfi_rbp(uint64_t rule)
{
	return (enum ph_cfi_rbp)(rule >> 5 & 7);
}

static inline int64_t ph_cfi_n(uint64_t rule)
{
	return (int64_t)rule >> 32;
}

static inline int64_t ph_cfi_m(uint64_t rule)
{
	return (int16_t)(rule >> 16);
}

static inline int64_t ph_cfi_c(uint64_t rule)
{
	return (int8_t)(rule >> 8);
}

/* Where a module's unwind data are. */
struct ph_cfi_module {
	uintptr_t low, high; /* bytes that can be read and do not change: the segment
			      * with the unwind data. All else is never touched */
	uintptr_t header;    /* .eh_frame_hdr (PT_GNU_EH_FRAME); 0: it has none */
	uintptr_t frames;    /* .eh_frame; only looked at without a header */
	uintptr_t entry;     /* where the kernel or the loader starts it; 0: nowhere */
};

/* Has the layout of glibc's struct dl_find_object on x86-64. */
struct ph_cfi_object {
	uint64_t flags;
	uintptr_t map_start, map_end;
	void *link_map;
	uintptr_t eh_frame; /* .eh_frame_hdr, in fact */
	uint64_t reserved[7];
};

/*
 * How modules are found; call it before the first ph_cfi_rule(). `find_object` is
 * glibc's _dl_find_object (2.35 and later; no lock, safe in signal handlers), NULL
 * where there is none. `find_module` is asked where that is missing or knows no
 * module; false: none has the address. May be NULL. It must keep the promises
 * above.
 */
typedef int ph_cfi_find_object(void *pc, struct ph_cfi_object *object);
typedef bool ph_cfi_find_module(uintptr_t pc, struct ph_cfi_module *module);
void ph_cfi_begin(ph_cfi_find_object *find_object, ph_cfi_find_module *find_module);

/* The word for an address of this process; never 0. */
uint64_t ph_cfi_rule(uintptr_t pc);

/* The same, from this module's data, wherever they are. */
uint64_t ph_cfi_rule_of(const struct ph_cfi_module *module, uintptr_t pc);

/* Describe a loaded module. Its first page can be read; if the ELF header and the
 * program headers are in it, they tell the segment, else all of the range is
 * taken for it. False: `header` is not in the range. */
bool ph_cfi_describe(uintptr_t start, uintptr_t end, uintptr_t header,
		     struct ph_cfi_module *module);

#endif
