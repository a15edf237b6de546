/* SPDX-License-Identifier: MIT */
#include "preload/config.h"

#include <string.h>

#include "preload/log.h"
#include "trace/segment.h"

struct ph_config ph_config = {
	.events = PH_EVENTS_MEMORY | PH_EVENTS_IO | PH_EVENTS_NET | PH_EVENTS_WAIT,
	.depth = 256,
	.overflow = PH_OVERFLOW_BLOCK,
	.follow_children = true,
	.start = true,
};

#define DEPTH_MAX 4096u

static bool set_output(const char *value)
{
	ph_config.output = *value != '\0' ? value : NULL;
	return strlen(value) < 4096;
}

/* "off": an ancestor has a seccomp filter, under which nothing can be set up. */
static bool set_root(const char *value)
{
	if (strcmp(value, "off") == 0)
		ph_config.start = false;
	ph_config.root = *value != '\0' ? value : NULL;
	return true;
}

static bool set_events(const char *value)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} names[] = {
		{"memory", PH_EVENTS_MEMORY},
		{"io", PH_EVENTS_IO},
		{"net", PH_EVENTS_NET},
		{"wait", PH_EVENTS_WAIT},
	};
	uint32_t events = 0;

	for (;;) {
		size_t length = strcspn(value, ",");
		uint32_t bit = 0;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strlen(names[i].name) == length &&
			    memcmp(names[i].name, value, length) == 0)
				bit = names[i].bit;
		if (bit == 0)
			return false;
		events |= bit;
		if (value[length] == '\0')
			break;
		value += length + 1;
	}
	ph_config.events = events;
	return true;
}

static bool set_depth(const char *value)
{
	uint32_t depth = 0;

	if (*value == '\0')
		return false;
	for (; *value != '\0'; value++) {
		if (*value < '0' || *value > '9')
			return false;
		depth = depth * 10 + (uint32_t)(*value - '0');
		if (depth > DEPTH_MAX)
			return false;
	}
	ph_config.depth = depth;
	return true;
}

/* A power of two, in bytes or with a K or M behind it. */
static bool set_ring(const char *value)
{
	uint64_t bytes = 0;
	unsigned shift = 0;

	for (; *value >= '0' && *value <= '9' && bytes <= PH_RING_MOST; value++)
		bytes = bytes * 10 + (uint64_t)(*value - '0');
	if (*value == 'K' || *value == 'M')
		shift = *value++ == 'K' ? 10 : 20;
	if (*value != '\0' || bytes > PH_RING_MOST)
		return false;
	bytes <<= shift;
	ph_config.ring_bytes = (uint32_t)bytes;
	return bytes >= PH_RING_LEAST && bytes <= PH_RING_MOST && (bytes & (bytes - 1)) == 0;
}

static bool set_choice(const char *value, const char *zero, const char *one, uint32_t *out)
{
	*out = strcmp(value, one) == 0;
	return *out || strcmp(value, zero) == 0;
}

static bool set_free_stacks(const char *value)
{
	uint32_t on;
	bool ok = set_choice(value, "off", "on", &on);

	ph_config.free_stacks = on;
	return ok;
}

static bool set_overflow(const char *value)
{
	return set_choice(value, "block", "drop", &ph_config.overflow);
}

static bool set_children(const char *value)
{
	uint32_t follow;
	bool ok = set_choice(value, "skip", "follow", &follow);

	ph_config.follow_children = follow;
	return ok;
}

static bool set_start(const char *value)
{
	uint32_t on;
	bool ok = set_choice(value, "off", "on", &on);

	ph_config.start = on;
	return ok;
}

static bool set_leaks(const char *value)
{
	uint32_t exit;
	bool ok = set_choice(value, "off", "exit", &exit);

	ph_config.leaks = exit;
	return ok;
}

static const struct {
	const char *name;
	bool (*set)(const char *value);
	const char *allowed;
} variables[] = {
	{"PERFHOOK_OUT", set_output, "a file name shorter than 4096 bytes"},
	{"PERFHOOK_EVENTS", set_events, "a comma list of memory, io, net, wait"},
	{"PERFHOOK_DEPTH", set_depth, "a number from 0 to 4096"},
	{"PERFHOOK_FREE_STACKS", set_free_stacks, "on or off"},
	{"PERFHOOK_OVERFLOW", set_overflow, "block or drop"},
	{"PERFHOOK_RING", set_ring, "a power of two from 16K to 1M"},
	{"PERFHOOK_CHILDREN", set_children, "follow or skip"},
	{"PERFHOOK_START", set_start, "on or off"},
	{"PERFHOOK_LEAKS", set_leaks, "off or exit"},
	{"PERFHOOK_ROOT", set_root, ""},
};

bool ph_config_read(char **environment)
{
	for (char **entry = environment; *entry != NULL; entry++) {
		if (strncmp(*entry, "PERFHOOK_", 9) != 0)
			continue;
		for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
			size_t n = strlen(variables[i].name);
			const char *value = *entry + n + 1;

			if (strncmp(*entry, variables[i].name, n) != 0 || (*entry)[n] != '=')
				continue;
			if (!variables[i].set(value)) {
				ph_log(variables[i].name, "=", value, " is not understood: give ",
				       variables[i].allowed, "; the program runs unrecorded", NULL);
				return false;
			}
		}
	}
	return true;
}
