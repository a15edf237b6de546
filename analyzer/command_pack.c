/* SPDX-License-Identifier: MIT */
/* `perfhook pack`: the same trace, smaller. */
#include <stdlib.h>
#include <string.h>

#include "analyzer/commands.h"
#include "analyzer/format_text.h"
#include "analyzer/pack.h"
#include "analyzer/progress.h"
#include "collector/collector.h"

/* x.trace becomes x.packed.trace, and any other name x x.packed. */
static char *packed_name(const char *path)
{
	static const char trace[] = ".trace";
	size_t length = strlen(path), tail = sizeof(trace) - 1;
	bool has = length > tail && strcmp(path + length - tail, trace) == 0;
	char *name;

	if (asprintf(&name, "%.*s.packed%s", (int)(has ? length - tail : length), path,
		     has ? trace : "") < 0)
		return NULL;
	return name;
}

static int say(const char *to, const char *from, const struct pack_sizes *sizes, struct error *e)
{
	struct output out = {.file = stdout};
	char *safe_to = format_name(to, 0, true), *safe_from = format_name(from, 0, true);

	if (safe_to == NULL || safe_from == NULL)
		fail(e, ERROR_MEMORY, 0, "out of memory");
	else if (sizes->after < sizes->before)
		printf("%s: %llu bytes, %.1f %% of %s\n", safe_to, (unsigned long long)sizes->after,
		       100.0 * (double)sizes->after / (double)sizes->before, safe_from);
	else
		printf("%s: %llu bytes, as it was: it does not get smaller\n", safe_to,
		       (unsigned long long)sizes->after);
	free(safe_to);
	free(safe_from);
	return output_close(&out, e);
}

static int pack_with_bar(const char *from, const char *to, struct pack_sizes *sizes,
			 struct error *e)
{
	char *what = format_name(from, 40, false);
	struct progress progress;
	const struct pack_progress told = {progress_update, &progress};
	int rc;

	progress_begin(&progress, what != NULL ? what : "packing");
	rc = pack_trace(from, to, sizes, &told, e);
	progress_end(&progress);
	free(what);
	return rc;
}

int command_pack(const struct options *o, struct error *e)
{
	const char *from = o->arguments[0];
	char *to = o->output != NULL ? strdup(o->output) : packed_name(from);
	struct pack_sizes sizes;
	int rc = -1;

	if (to == NULL)
		return fail(e, ERROR_MEMORY, 0, "%s: out of memory", from);
	if (collector_finish_wait(from, e) == 0 && pack_with_bar(from, to, &sizes, e) == 0)
		rc = STATUS_DONE;
	if (rc == STATUS_DONE)
		rc = say(to, from, &sizes, e);
	free(to);
	return rc;
}
