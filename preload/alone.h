/* SPDX-License-Identifier: MIT */
/*
 * Recording without a collector: where none can live (no perfhook beside the
 * library, no /dev/shm, a limit) or should not (a process that adopts orphans
 * would find it among its children). The segment is a file beside the trace, and
 * a thread whose ring is full writes it out itself: slower, and nothing is lost.
 * The trace holds no more than where these are until somebody reads it; then the
 * analyzer does the collector's work.
 */
#ifndef PH_PRELOAD_ALONE_H
#define PH_PRELOAD_ALONE_H

#include <stdbool.h>
#include <stddef.h>

#include "trace/segment.h"

#define PH_ALONE_SEGMENT ".segment"
#define PH_ALONE_SPILL	 ".spill"

/*
 * Choose the trace's name, as the collector would: `again` when the name may
 * have been used by this process tree already. Fills `out`; false when it does
 * not fit or belongs to something else (a line has been said).
 */
bool ph_alone_name(const struct ph_segment *s, bool again, char *out, size_t room);

/* What an earlier run under the same name left, if it is what it seems. */
void ph_alone_remove_old(const char *segment, const char *spill);

/* Write the trace's head, which names the segment. */
bool ph_alone_begin(const struct ph_segment *s, const char *trace);

/* Move cells [tail, head) of a ring to the spill file. False: the disk would not
 * take them, or another thread of ours did not let go of it. */
bool ph_alone_spill(struct ph_segment *s, struct ph_slot *slot, bool may_wait);

/* Slots of threads that are gone, for others to use. Returns one, or NULL. */
struct ph_slot *ph_alone_reclaim(struct ph_segment *s);

#endif
