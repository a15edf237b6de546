/* SPDX-License-Identifier: MIT */
/*
 * What one process has: its segment and its session's control file. The struct
 * stands on a private page under MADV_WIPEONFORK (madvise(2)): a child of
 * whatever kind of fork finds it zero and knows that the rings it inherited are
 * not its own, without an atfork handler, which _Fork and clone skip.
 */
#ifndef PH_PRELOAD_PROCESS_H
#define PH_PRELOAD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "preload/compiler.h"
#include "preload/segment.h"

struct ph_process {
	uint64_t generation; /* 0: nothing set up here; PH_OFF: stay transparent */
	struct ph_segment *segment;
	struct ph_control *control;
};

#define PH_OFF UINT64_C(1)

/* Never NULL; points at a zero struct until there is a page. */
extern struct ph_process *ph_process;

/*
 * What each descriptor is, see objects.h; there once a process has been set up.
 * A fork's child, whose trace has objects of its own, finds it zero too.
 */
#define PH_DESCRIPTORS_MOST (1u << 20)
extern uint32_t ph_descriptors_room; /* as many as there can be */
extern _Atomic uint32_t *ph_descriptors;

/*
 * Set this process up at its first event: an image just begun, or a child after
 * a fork. Returns false when it cannot be recorded (now or for good); the
 * program goes on either way. Makes system calls, allocates nothing from libc.
 */
PH_COLD bool ph_process_start(void);

/* The same in a fork's child that will go on in a hook which its parent was in: the
 * parent's segment stays mapped. */
PH_COLD bool ph_process_start_amid(void);

/* Stop recording for good; events after it pass through. */
PH_COLD void ph_process_off(void);

/* The same, when no collector will ever look: its segment goes too. */
PH_COLD void ph_process_abandon(void);

/*
 * Before the program gives up what a child would need to be recorded (chroot,
 * another user): makes a few segments that later children can take without
 * opening anything. Makes system calls; cheap when it is called again.
 */
PH_COLD void ph_process_reserve(void);

/* Ring the collector. Async-signal-safe. */
static inline void ph_wake_collector(struct ph_control *c);

#include "preload/sys.h"

static inline void ph_wake_collector(struct ph_control *c)
{
	if (ph_confined)
		return; /* it looks for itself */
	atomic_fetch_add_explicit(&c->wake, 1, memory_order_release);
	if (atomic_load_explicit(&c->sleeping, memory_order_seq_cst))
		sys_futex_wake(&c->wake);
}

/* What a fork carries into the child: set by the parent just before. */
struct ph_fork_note {
	uint32_t number; /* of the PH_OP_FORKED event; 0: none */
};
extern PH_TLS struct ph_fork_note ph_fork_note;

#endif
