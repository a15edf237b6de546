/* SPDX-License-Identifier: MIT */
/* perfhook: the one binary. */
#include <string.h>

#include "analyzer/command_live.h"
#include "analyzer/commands.h"
#include "collector/collector.h"

int main(int argc, char **argv)
{
	/* Started by the library within every recorded process: nothing before it. */
	if (argc >= 2 && strcmp(argv[1], "collect") == 0)
		return collector_main(argc - 1, argv + 1);
	/* By the collector, for a process that is about to end. */
	if (argc >= 2 && strcmp(argv[1], "look") == 0)
		return command_look(argc - 1, argv + 1);
	return commands_main(argc, argv);
}
