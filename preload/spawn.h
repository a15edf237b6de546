/* SPDX-License-Identifier: MIT */
/* Starting a collector that the target never notices. */
#ifndef PH_PRELOAD_SPAWN_H
#define PH_PRELOAD_SPAWN_H

#include <stdbool.h>

#include "trace/segment.h"

/* Start `perfhook collect FOLDER` as nobody's child. False, and a line has been
 * said, when it cannot be started. */
bool ph_spawn_collector(const char *folder, struct ph_control *c, struct ph_segment *s);

/* Is the control file's collector still there? */
bool ph_collector_alive(const struct ph_control *c);

#endif
