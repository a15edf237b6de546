/* SPDX-License-Identifier: MIT */
/* `perfhook mark`: a moment of a running process gets a name. */
#include <errno.h>
#include <stdlib.h>

#include "analyzer/commands.h"
#include "analyzer/format_text.h"
#include "collector/collector.h"

static int parse_pid(const char *text, int *pid, struct error *e)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || value <= 0 || value > INT32_MAX)
		return fail(e, ERROR_USAGE, 0, "mark: a process is named by its number, not '%s'",
			    text);
	*pid = (int)value;
	return 0;
}

int command_mark(const struct options *o, struct error *e)
{
	const char *name = o->argument_count > 1 ? o->arguments[1] : "mark";
	char at[FORMAT_ROOM], *safe;
	struct output out;
	double at_s;
	int pid = 0;

	if (parse_pid(o->arguments[0], &pid, e) != 0 || output_open(&out, o, e) != 0)
		return -1;
	if (collector_mark(pid, name, &at_s, e) != 0) {
		output_close(&out, NULL);
		return -1;
	}
	safe = format_name(name, 0, true);
	fprintf(out.file, "%d: '%s' is %s after its start\n", pid, safe != NULL ? safe : "?",
		format_seconds(at, at_s, false));
	free(safe);
	return output_close(&out, e);
}
