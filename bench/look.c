/* SPDX-License-Identifier: MIT */
#include "bench/look.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "bench/process.h"

enum { READY_S = 60 };

static char *content_of(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (f == NULL)
		return calloc(1, 1);
	if (getdelim(&text, &room, '\0', f) < 0 && text != NULL)
		*text = '\0';
	fclose(f);
	return text != NULL ? text : calloc(1, 1);
}

static double number_after(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at != NULL ? strtod(at + strlen(name), NULL) : -1;
}

/* What it says once it stays. */
static char *await_ready(const char *out)
{
	double start = wall_s();

	for (;;) {
		char *text = content_of(out);

		if (strstr(text, "\n") != NULL || wall_s() - start > READY_S)
			return text;
		free(text);
		usleep(10000);
	}
}

static double number_at(const cJSON *json, const char *a, const char *b, const char *c)
{
	const cJSON *n = cJSON_GetObjectItem(cJSON_GetObjectItem(json, a), b);

	n = c != NULL ? cJSON_GetObjectItem(n, c) : n;
	return cJSON_IsNumber(n) ? n->valuedouble : -1;
}

static void look_once(pid_t pid, const char *said, struct look *l)
{
	char *perfhook = text_of("%s/perfhook", place.build), *number = text_of("%d", (int)pid);
	char *path = text_of("%s/look.json", place.folder), *text;
	char *argv[] = {perfhook,
			(char *)"leaks",
			(char *)"--json",
			(char *)"--top=1",
			(char *)"--pid",
			number,
			NULL};
	const struct command c = {.argv = argv, .out = path, .core = -1};
	struct usage u = {.status = -1};
	double start = wall_s();
	cJSON *json;

	l->fine = process_wait(process_start(&c), &u) && u.status == 0;
	l->wall_s = wall_s() - start;
	text = content_of(path);
	json = cJSON_Parse(text);
	l->pause_ms = number_at(json, "reachability", "pause_s", NULL) * 1e3;
	l->gib = (number_at(json, "reachability", "bytes", "still_reachable") +
		  number_at(json, "reachability", "bytes", "lost")) /
		 (1 << 30);
	/* One or the other may be found on the stack by chance. */
	l->fine = l->fine && number_at(json, "reachability", "blocks", "lost") >=
				     number_after(said, "lost=") * 0.999 - 2;
	cJSON_Delete(json);
	unlink(path);
	free(text);
	free(path);
	free(number);
	free(perfhook);
}

void look_at(const struct workload *w, struct look *looks, unsigned count)
{
	char **argv = words_of(w->command), *out = text_of("%s/said", place.folder), *said;
	char *preload = text_of("LD_PRELOAD=%s/libperfhook.so", place.build);
	char *trace = text_of("%s/looked.trace", place.folder);
	char *where = text_of("PERFHOOK_OUT=%s", trace);
	const char *env[] = {preload, where, NULL};
	struct usage u;
	pid_t pid;

	unlink(out);
	pid = process_start(&(struct command){.argv = argv, .env = env, .out = out, .core = -1});
	said = await_ready(out);
	for (unsigned i = 0; i < count; i++)
		look_once(pid, said, &looks[i]);
	kill(pid, SIGKILL);
	process_wait(pid, &u);
	process_wait_all(&u);
	unlink(trace);
	unlink(out);
	words_free(argv);
	free(said);
	free(out);
	free(preload);
	free(where);
	free(trace);
}
