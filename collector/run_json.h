/* SPDX-License-Identifier: MIT */
/* The trace's JSON blocks; their fields stand in docs/trace-format.md. Each
 * returns a new cJSON object that the caller deletes. */
#ifndef PH_COLLECTOR_RUN_JSON_H
#define PH_COLLECTOR_RUN_JSON_H

#include <cjson/cJSON.h>

#include "collector/target.h"

cJSON *run_json(const struct ph_segment *s, const char *segment_path, const char *control_path,
		const char *parent_path);

/* Append the module of the record at `offset` of a log of `used` bytes. Returns
 * the record's length, 0 when it is none. */
uint32_t module_json(cJSON *list, const char *log, uint64_t offset, uint64_t used);

cJSON *threads_json(const struct thread_entry *threads, size_t count);

/* All marks so far. */
cJSON *marks_json(const struct ph_segment *s, uint32_t count);

struct end_facts {
	const char *kind;
	int status;
	uint64_t ended_ticks, ended_ns, lost, stalled_ticks;
	uint64_t suspended_ns; /* of the time since its first look */
	bool other_time;       /* a time namespace of its own, and nothing else to go by */
	bool damaged;
};
cJSON *end_json(const struct ph_segment *s, const struct end_facts *facts);

#endif
