/* SPDX-License-Identifier: MIT */
#include "analyzer/moment.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analyzer/format_text.h"

#define MARK_PREFIX  "mark:"
#define MARKS_LISTED 8
#define NAME_SHOWN   40 /* columns of a name in a message */

/* Digits with a point, whatever the locale says. Returns what follows; NULL: it is none. */
static const char *parse_number(const char *text, double *value)
{
	const char *at = text;
	double scale = 1;

	*value = 0;
	for (; isdigit((unsigned char)*at); at++)
		*value = *value * 10 + (*at - '0');
	if (*at == '.')
		for (at++; isdigit((unsigned char)*at); at++)
			*value += (*at - '0') * (scale /= 10);
	return at > text && (at > text + 1 || *text != '.') ? at : NULL;
}

static bool parse_unit(const char *unit, double *value)
{
	static const struct {
		const char *name;
		double s;
	} units[] = {{"", 1},	  {"s", 1},  {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9},
		     {"min", 60}, {"m", 60}, {"h", 3600},  {"d", 86400}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name) == 0) {
			*value *= units[i].s;
			return true;
		}
	}
	return false;
}

static bool parse_span(const char *text, struct moment *m)
{
	bool before = *text == '-';
	const char *unit = parse_number(text + (before || *text == '+'), &m->value);

	if (unit == NULL)
		return false;
	if (strcmp(unit, "%") == 0 && !before) {
		m->kind = MOMENT_PERCENT;
		return true;
	}
	m->kind = before ? MOMENT_BEFORE : MOMENT_SECONDS;
	return parse_unit(unit, &m->value);
}

/* "Z", "+hh:mm", "-hhmm", "+hh" or nothing, in seconds east of Greenwich. */
static bool parse_zone(const char *text, long *east_s)
{
	int hours, minutes = 0, length = 0;

	*east_s = 0;
	if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if (*text != '+' && *text != '-')
		return false;
	if (sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 &&
	    sscanf(text + 1, "%2d%2d%n", &hours, &minutes, &length) != 2 &&
	    sscanf(text + 1, "%2d%n", &hours, &length) != 1)
		return false;
	*east_s = (*text == '-' ? -1 : 1) * (hours * 3600L + minutes * 60L);
	return text[1 + length] == '\0' && hours >= 0 && minutes >= 0;
}

static bool parse_date(const char *text, struct moment *m)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	double part = 0;
	long east_s;

	if (rest == NULL)
		rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (rest != NULL && *rest == '.') {
		char digits[24] = "0";
		size_t n = strspn(rest + 1, "0123456789");

		snprintf(digits + 1, sizeof(digits) - 1, "%.*s", (int)(n < 10 ? n + 1 : 10), rest);
		parse_number(digits, &part);
		rest += n + 1;
	}
	if (rest == NULL || !parse_zone(rest, &east_s))
		return false;
	m->kind = MOMENT_DATE;
	return !__builtin_mul_overflow((int64_t)timegm(&tm) - east_s, 1000000000, &m->date_ns) &&
	       !__builtin_add_overflow(m->date_ns, (int64_t)(part * 1e9 + 0.5), &m->date_ns);
}

struct moment moment_parse(const char *text)
{
	struct moment m = {.kind = MOMENT_MARK, .text = text};

	if (strcmp(text, "start") == 0)
		m.kind = MOMENT_SECONDS;
	else if (strcmp(text, "end") == 0)
		m.kind = MOMENT_BEFORE;
	else if (strcmp(text, "peak") == 0)
		m.kind = MOMENT_PEAK;
	else if (!parse_span(text, &m) && !parse_date(text, &m))
		m.kind = MOMENT_MARK;
	return m;
}

bool moment_needs_duration(const struct moment *m)
{
	return m->kind == MOMENT_BEFORE || m->kind == MOMENT_PERCENT;
}

bool moment_needs_peak(const struct moment *m)
{
	return m->kind == MOMENT_PEAK;
}

/* Marks. */

/* "a, b, c and 3 more"; malloc'ed, NULL: out of memory. */
static char *list_marks(const struct moment_span *span)
{
	char *list = NULL;
	size_t size, shown = span->mark_count < MARKS_LISTED ? span->mark_count : MARKS_LISTED;
	FILE *out = open_memstream(&list, &size);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < shown; i++) {
		char *name = format_name(span->marks[i].name, NAME_SHOWN, true);

		fprintf(out, "%s%s", i > 0 ? ", " : "", name != NULL ? name : "?");
		free(name);
	}
	if (shown < span->mark_count)
		fprintf(out, " and %zu more", span->mark_count - shown);
	fclose(out);
	return list;
}

static int fail_mark(const struct moment *m, const char *option, const struct moment_span *span,
		     struct error *e)
{
	static const char forms[] =
		"a moment is seconds (12.5, 500ms, 2m; -10s: before the end), a part of the run "
		"(50%), start, end, peak, a date (2024-05-01T12:00:00Z) or a mark";
	char *name = format_name(m->text, NAME_SHOWN, true), *marks = list_marks(span);

	if (span->mark_count == 0)
		fail(e, ERROR_USAGE, 0, "%s '%s' is no moment, and the trace has no marks: %s",
		     option, name != NULL ? name : "?", forms);
	else
		fail(e, ERROR_USAGE, 0, "%s '%s' is no moment and no mark: %s (%s)", option,
		     name != NULL ? name : "?", forms, marks != NULL ? marks : "?");
	free(name);
	free(marks);
	return -1;
}

/* The `nth` mark of that name, from 1. NULL: there are not so many. */
static const struct mark *find_mark(const struct moment_span *span, const char *name, size_t length,
				    uint64_t nth)
{
	for (size_t i = 0; i < span->mark_count; i++) {
		const struct mark *mark = &span->marks[i];

		if (strncmp(mark->name, name, length) == 0 && mark->name[length] == '\0' &&
		    --nth == 0)
			return mark;
	}
	return NULL;
}

/* "NAME", the first of that name, or "NAME#2". */
static int resolve_mark(const struct moment *m, const char *option, const struct moment_span *span,
			double *at_s, struct error *e)
{
	size_t prefix = strlen(MARK_PREFIX);
	const char *name = m->text + (strncmp(m->text, MARK_PREFIX, prefix) == 0 ? prefix : 0);
	const char *number = strrchr(name, '#');
	const struct mark *mark = find_mark(span, name, strlen(name), 1);

	if (mark == NULL && number != NULL) {
		uint64_t nth = strtoull(number + 1, NULL, 10);

		mark = find_mark(span, name, (size_t)(number - name), nth);
	}
	if (mark == NULL)
		return fail_mark(m, option, span, e);
	*at_s = mark->at_s;
	return 0;
}

int moment_resolve(const struct moment *m, const char *option, const struct moment_span *span,
		   double *at_s, struct error *e)
{
	switch (m->kind) {
	case MOMENT_NONE:
	case MOMENT_SECONDS:
		*at_s = m->value;
		return 0;
	case MOMENT_BEFORE:
		*at_s = span->duration_s - m->value;
		return 0;
	case MOMENT_PERCENT:
		*at_s = span->duration_s * m->value / 100;
		return 0;
	case MOMENT_PEAK:
		*at_s = span->peak_s;
		return 0;
	case MOMENT_DATE:
		if (span->started_ns == 0)
			return fail(e, ERROR_USAGE, 0,
				    "%s '%s': the trace does not say when it began", option,
				    m->text);
		*at_s = (double)(m->date_ns - (int64_t)span->started_ns) / 1e9;
		return 0;
	case MOMENT_MARK:
		break;
	}
	return resolve_mark(m, option, span, at_s, e);
}
