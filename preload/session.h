/* SPDX-License-Identifier: MIT */
/*
 * A session: a process tree and its collector, which meet in a folder of
 * /dev/shm with a control file and a segment for each process. A fork's child
 * inherits the mapping of the control file: it needs neither descriptors nor
 * paths to go on in the session.
 */
#ifndef PH_PRELOAD_SESSION_H
#define PH_PRELOAD_SESSION_H

#include <stdbool.h>

#include "preload/segment.h"

/* "" while there is none. Unchanged by a fork. */
const char *ph_session_folder(void);

/* The session that this process was born into, if somebody still drains it. NULL:
 * none. */
struct ph_control *ph_session_inherited(void);

/* The one that PERFHOOK_ROOT ("PID:FOLDER") names, likewise. */
struct ph_control *ph_session_join(const char *root);

/* A folder and a control file of its own, without a collector yet. */
struct ph_control *ph_session_make(void);
void ph_session_remove(void);

/* No folder: recording without a collector. */
void ph_session_forget(void);

/* A name for a segment in the folder. */
void ph_session_segment_path(char *path, size_t room);

/* Join with this segment: true when the collector still looks. */
bool ph_session_enter(struct ph_segment *s, struct ph_control *c);

/* A segment that is not to be looked at after all. */
void ph_session_remove_segment(const char *path);

#endif
