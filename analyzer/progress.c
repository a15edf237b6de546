/* SPDX-License-Identifier: MIT */
/* A bar on standard error for long work. */
#include "analyzer/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "analyzer/format_text.h"

#define BAR	   30
#define BAR_LEAST  8
#define REDRAW_NS  100000000
#define PATIENCE_S 1

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

static int terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what, .on_terminal = isatty(STDERR_FILENO) != 0};
	if (p->on_terminal)
		p->columns = terminal_columns();
	clock_gettime(CLOCK_MONOTONIC, &p->begun);
	p->next = p->begun;
	p->next.tv_sec += PATIENCE_S;
}

static double seconds_between(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) + 1e-9 * (double)(b->tv_nsec - a->tv_nsec);
}

/* "name [#####     ]  50%, 12.0 s left", as much of it as one line has room for. */
static void draw(const struct progress *p, double share, double left_s)
{
	char left[FORMAT_ROOM], tail[FORMAT_ROOM + 16];
	int name = (int)strlen(p->what), room, bar, filled;

	snprintf(tail, sizeof(tail), " %3d%%", (int)(share * 100));
	if (left_s >= 1)
		snprintf(tail + 5, sizeof(tail) - 5, ", %s left",
			 format_seconds(left, left_s, false));
	room = p->columns - 1 - (int)strlen(tail);
	bar = room - name - 3 < BAR ? room - name - 3 : BAR;
	filled = (int)(share * bar);
	fprintf(stderr, "\r\x1b[K%.*s", room > 0 ? room : 0, p->what);
	if (bar >= BAR_LEAST)
		fprintf(stderr, " [%.*s%*s]", filled, "##############################",
			bar - filled, "");
	fputs(tail, stderr);
}

void progress_update(void *progress, uint64_t done, uint64_t total)
{
	struct progress *p = progress;
	struct timespec now;
	double share;

	if (!p->on_terminal || total == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (is_before(&now, &p->next))
		return;
	share = done < total ? (double)done / (double)total : 1;
	draw(p, share, share > 0 ? seconds_between(&p->begun, &now) * (1 - share) / share : 0);
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
