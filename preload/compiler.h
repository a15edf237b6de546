/* SPDX-License-Identifier: MIT */
#ifndef PH_PRELOAD_COMPILER_H
#define PH_PRELOAD_COMPILER_H

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PH_EXPORT	  __attribute__((visibility("default")))
#define PH_REACHED_BY_ASM __attribute__((used))
#define PH_COLD		  __attribute__((cold, noinline))
#define PH_NOINLINE	  __attribute__((noinline))

/* initial-exec: the general model may call malloc on a thread's first touch,
 * and malloc is us. It takes static TLS, which is scarce: stay well under 1 KiB. */
#define PH_TLS __thread __attribute__((tls_model("initial-exec")))

/*
 * What only glibc has is imported weakly (`#pragma weak` where it is used), so that
 * the library can also be loaded into a program that uses musl, which then runs
 * unrecorded.
 */
extern const char *gnu_get_libc_version(void) __attribute__((weak));
static inline int ph_is_glibc(void)
{
	return gnu_get_libc_version != 0;
}

/* Orders our stores for a signal handler of the same thread; costs nothing. */
#define signal_fence() __atomic_signal_fence(__ATOMIC_SEQ_CST)

#endif
