/* SPDX-License-Identifier: MIT */
/* Starting a collector that the target never notices. */
#ifndef PH_PRELOAD_SPAWN_H
#define PH_PRELOAD_SPAWN_H

#include <stdbool.h>

#include "trace/segment.h"

/* Can and should this process have one? Not where there is no perfhook program,
 * nor where the process adopts orphans (pid 1, a subreaper): the collector would
 * become its child, for its wait() to find. */
bool ph_collector_possible(void);

/* Start `perfhook collect FOLDER` as nobody's child. False: no process could be
 * made. */
bool ph_spawn_collector(const char *folder);

/* Is the control file's collector still there? */
bool ph_collector_alive(const struct ph_control *c);

/* This library's file name, without folders; and whether LD_PRELOAD is how it came
 * to be here (otherwise /etc/ld.so.preload, say, brings it to every program). */
const char *ph_library_name(void);
bool ph_library_is_preloaded(void);
/* Once, before the program runs: later the loader must not be asked. */
void ph_library_learn(char *const *environment);

#endif
