/* SPDX-License-Identifier: MIT */
/* A plugin that is loaded, used and unloaded; its cache stays behind. */
#include "work.h"

void *plugin_run(int i);

static void *cache;

NOINLINE static void *leak_plugin_cache(void)
{
	return cleared(sized(500));
}

void *plugin_run(int i)
{
	void *result = cleared(100);

	cache = leak_plugin_cache();
	memset(cache, i, 10);
	return result;
}
