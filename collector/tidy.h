/* SPDX-License-Identifier: MIT */
/* What dead sessions left in shared memory. */
#ifndef PH_COLLECTOR_TIDY_H
#define PH_COLLECTOR_TIDY_H

/* Remove this user's sessions whose collector is gone, with their segments,
 * unless a process still uses one or a trace that is still there needs it. */
void tidy_sessions(void);

#endif
