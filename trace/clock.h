/* SPDX-License-Identifier: MIT */
/*
 * The trace's counter. The time-stamp counter where it runs at one rate through
 * all power states (CPUID 0x80000007 EDX bit 8, Intel SDM vol. 3 "Invariant
 * TSC"), else CLOCK_MONOTONIC in nanoseconds. Async-signal-safe.
 */
#ifndef PH_TRACE_CLOCK_H
#define PH_TRACE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "trace/format.h"
#include "trace/segment.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

static inline uint32_t ph_clock_choose(void)
{
#if defined(__x86_64__)
	unsigned a, b, c, d;

	if (__get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8)))
		return PH_CLOCK_TSC;
#endif
	return PH_CLOCK_MONOTONIC;
}

static inline uint64_t ph_clock_now(uint32_t kind)
{
	struct timespec ts;

#if defined(__x86_64__)
	if (__builtin_expect(kind == PH_CLOCK_TSC, 1))
		return __rdtsc();
#endif
	(void)kind;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The same, not before everything that came before it: a load that found a block
 * which another thread has just freed must not be overtaken (rdtsc is ordered
 * with nothing; lfence waits for earlier loads: Intel SDM vol. 2, RDTSC). */
static inline uint64_t ph_clock_now_ordered(uint32_t kind)
{
#if defined(__x86_64__)
	_mm_lfence();
#endif
	return ph_clock_now(kind);
}

static inline uint64_t ph_clock_ns(clockid_t clock)
{
	struct timespec ts = {0, 0};

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* This instant on all clocks. Whoever is interrupted between two of them sets them apart, by
 * milliseconds on a busy machine: of some tries the quickest counts. */
static inline struct ph_clock_pair ph_clock_pair(uint32_t kind)
{
	struct ph_clock_pair best = {0, 0, 0};
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = ph_clock_now_ordered(kind);
		uint64_t monotonic = ph_clock_ns(CLOCK_MONOTONIC);
		uint64_t realtime = ph_clock_ns(CLOCK_REALTIME);
		uint64_t took = ph_clock_now_ordered(kind) - before;

		if (took < least) {
			least = took;
			best = (struct ph_clock_pair){before + took / 2, monotonic, realtime};
		}
	}
	return best;
}

/* Bring the shared word to at least `now`, awake. Returns the stamp that stands there
 * then: stamps taken from the word never go back. */
static inline uint64_t ph_clock_advance(_Atomic uint64_t *word, uint64_t now)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	now &= ~PH_CLOCK_FLAGS;
	for (;;) {
		uint64_t stamp = seen & ~PH_CLOCK_FLAGS;
		uint64_t next;

		stamp = stamp > now ? stamp : now;
		next = stamp | (seen & PH_CLOCK_THREADS);
		if (seen == next)
			return stamp;
		if (atomic_compare_exchange_weak_explicit(word, &seen, next, memory_order_relaxed,
							  memory_order_relaxed))
			return stamp;
	}
}

/* Bring the word to a stamp that nothing has yet: what is recorded from now on has it or
 * a later one. Returns it. */
static inline uint64_t ph_clock_mark(_Atomic uint64_t *word, uint32_t kind)
{
	uint64_t step = PH_CLOCK_FLAGS + 1, now = ph_clock_now(kind) & ~PH_CLOCK_FLAGS;
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed), stamp;

	do {
		stamp = (seen & ~PH_CLOCK_FLAGS) + step;
		stamp = stamp > now ? stamp : now;
	} while (!atomic_compare_exchange_weak_explicit(
		word, &seen, stamp | (seen & PH_CLOCK_THREADS), memory_order_relaxed,
		memory_order_relaxed));
	return stamp;
}

#endif
