/* SPDX-License-Identifier: MIT */
/* `perfhook record`: run a command and record it. */
#include "analyzer/commands.h"
#include "collector/collector.h"

int command_record(const struct options *o, struct error *e)
{
	const struct record_options options = {
		.output = o->output, .duration_s = o->duration_s, .leaks = o->leaks};

	(void)e; /* the collector says itself what went wrong */
	return collector_record(&options, o->arguments);
}
