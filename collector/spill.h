/* SPDX-License-Identifier: MIT */
/* What a process that recorded without a collector wrote out of its rings. */
#ifndef PH_COLLECTOR_SPILL_H
#define PH_COLLECTOR_SPILL_H

#include "collector/target.h"

/* Move a spill file's cells into the trace, and leave each stream that is still
 * in a ring with the stamp that its next cells begin with. Stops at what is no
 * whole record. False: no memory, or a full disk. */
bool spill_read(struct target *t, const char *path);

#endif
