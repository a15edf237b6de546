/* SPDX-License-Identifier: MIT */
/* A bar on standard error for long work. */
#include "analyzer/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR	   30
#define REDRAW_NS  100000000
#define PATIENCE_S 1

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what, .on_terminal = isatty(STDERR_FILENO) != 0};
	clock_gettime(CLOCK_MONOTONIC, &p->next);
	p->next.tv_sec += PATIENCE_S;
}

void progress_update(void *progress, uint64_t done, uint64_t total)
{
	struct progress *p = progress;
	struct timespec now;
	int filled;

	if (!p->on_terminal || total == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (is_before(&now, &p->next))
		return;
	if (done > total)
		done = total;
	filled = (int)((double)done / (double)total * BAR);
	fprintf(stderr, "\r\x1b[K%s [%.*s%*s] %3d%%", p->what, filled,
		"##############################", BAR - filled, "",
		(int)((double)done / (double)total * 100));
	p->drawn = true;
	p->next = now;
	p->next.tv_nsec += REDRAW_NS;
	if (p->next.tv_nsec >= 1000000000) {
		p->next.tv_nsec -= 1000000000;
		p->next.tv_sec++;
	}
}

void progress_end(struct progress *p)
{
	if (p->drawn)
		fputs("\r\x1b[K", stderr);
	p->drawn = false;
}
