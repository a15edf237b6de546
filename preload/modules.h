/* SPDX-License-Identifier: MIT */
/*
 * Which module stood where, and when. The list is compared with the loader's
 * own counters when an event came from inside ld.so (each dlopen and dlclose
 * allocates or frees there), so dlopen itself need not be wrapped, which would
 * change whose RUNPATH it looks in.
 */
#ifndef PH_PRELOAD_MODULES_H
#define PH_PRELOAD_MODULES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/compiler.h"

struct ph_modules_state {
	uintptr_t loader_start, loader_bytes;	  /* ld.so's text */
	uintptr_t libc_start, libc_end;		  /* libc's; 0 before the first scan */
	uintptr_t allocator_start, allocator_end; /* of whoever serves malloc() */
	uintptr_t own_start, own_end;
	/* The segment's epoch << 1, and PH_MODULES_DIRTY: ld.so was at work since the last
	 * look. In one word, so that one comparison says whether a kept stack still holds. */
	_Atomic uint32_t version;
};
extern struct ph_modules_state ph_modules;

#define PH_MODULES_DIRTY 1u

static inline uint32_t ph_modules_version(void)
{
	return atomic_load_explicit(&ph_modules.version, memory_order_acquire);
}

static inline uint32_t ph_modules_epoch(uint32_t version)
{
	return version >> 1;
}

/* Write down all modules; from the constructor. A fork's child inherits the list. */
PH_COLD void ph_modules_scan_all(void);

/* A thread's first event in this process, which may be a fork's child. */
PH_COLD void ph_modules_begin(void);

/* The list may have changed: look, and write down what came and went. */
PH_COLD void ph_modules_update(void);

static inline bool ph_modules_is_loader(const void *address)
{
	return (uintptr_t)address - ph_modules.loader_start < ph_modules.loader_bytes;
}

/* Is a malloc called from here the allocator's own doing: a malloc-family function
 * that calls another (by a jump even, so that ours seems to have called it), the
 * allocator itself, the loader? True before the first scan. */
static inline bool ph_modules_is_allocator(const void *address)
{
	uintptr_t a = (uintptr_t)address;

	return ph_modules.libc_end == 0 ||
	       a - ph_modules.libc_start < ph_modules.libc_end - ph_modules.libc_start ||
	       a - ph_modules.allocator_start <
		       ph_modules.allocator_end - ph_modules.allocator_start ||
	       a - ph_modules.own_start < ph_modules.own_end - ph_modules.own_start ||
	       ph_modules_is_loader(address);
}

/* An event's caller: notices the loader at work, and acts at the first event
 * from elsewhere. */
static inline void ph_modules_notice(const void *caller)
{
	if (unlikely(ph_modules_is_loader(caller)))
		atomic_fetch_or_explicit(&ph_modules.version, PH_MODULES_DIRTY,
					 memory_order_relaxed);
	else if (unlikely(ph_modules_version() & PH_MODULES_DIRTY))
		ph_modules_update();
}

/* Is it in a module, as far as the last look went? Does not wait. */
bool ph_modules_holds(const void *address);

/* Could this address be libc's signal trampoline (readable code of libc)? */
bool ph_modules_maybe_trampoline(const void *ip);

#endif
