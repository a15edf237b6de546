/* SPDX-License-Identifier: MIT */
/* Values as people read them. */
#include "analyzer/format_text.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *format_bytes(char buf[FORMAT_ROOM], double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t unit = 0;

	if (!(fabs(bytes) < 1e24)) /* NaN, or nothing that was measured */
		return strcpy(buf, "-");
	/* 1023.95 would print as 1024.0. */
	while (fabs(bytes) >= (unit == 0 ? 1023.5 : 1023.95) &&
	       unit + 1 < sizeof(units) / sizeof(*units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(buf, FORMAT_ROOM, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
	return buf;
}

char *format_rate(char buf[FORMAT_ROOM], double bytes_per_s)
{
	format_bytes(buf, bytes_per_s);
	return strcmp(buf, "-") == 0 ? buf : strcat(buf, "/s");
}

char *format_count(char buf[FORMAT_ROOM], uint64_t n)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, n);
	char *out = buf;

	for (size_t i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return buf;
}

char *format_percent(char buf[FORMAT_ROOM], double part, double whole)
{
	double percent = 100 * part / whole;

	if (!(whole > 0))
		return strcpy(buf, "-");
	if (percent > 0 && percent < 0.05)
		return strcpy(buf, "<0.1%");
	snprintf(buf, FORMAT_ROOM, "%.1f%%", percent);
	return buf;
}

char *format_growth(char buf[FORMAT_ROOM], uint64_t before, uint64_t after)
{
	double times = (double)after / (double)before;

	*buf = '\0';
	if (before == 0 || before == after)
		return buf;
	if (times >= 1e7)
		snprintf(buf, FORMAT_ROOM, "%.1ex", times);
	else if (times >= 10)
		snprintf(buf, FORMAT_ROOM, "%.*fx", times < 100, times);
	else
		snprintf(buf, FORMAT_ROOM, "%+.1f%%", (times - 1) * 100);
	return buf;
}

static char *format_long_time(char buf[FORMAT_ROOM], double s)
{
	uint64_t whole;

	if (s > 1e15)
		return strcpy(buf, "-");
	whole = (uint64_t)(s + 0.5);
	if (whole < 3600)
		snprintf(buf, FORMAT_ROOM, "%" PRIu64 " min %02u s", whole / 60,
			 (unsigned)(whole % 60));
	else if (whole < 86400)
		snprintf(buf, FORMAT_ROOM, "%" PRIu64 " h %02u min", whole / 3600,
			 (unsigned)(whole / 60 % 60));
	else
		snprintf(buf, FORMAT_ROOM, "%" PRIu64 " d %02u h", whole / 86400,
			 (unsigned)(whole / 3600 % 24));
	return buf;
}

/* Three significant digits. */
static char *format_short_time(char buf[FORMAT_ROOM], double value, const char *unit)
{
	int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

	snprintf(buf, FORMAT_ROOM, "%.*f %s", decimals, value, unit);
	return buf;
}

char *format_seconds(char buf[FORMAT_ROOM], double s, bool utf8)
{
	if (isnan(s))
		return strcpy(buf, "-");
	if (s <= 0)
		return strcpy(buf, "0 s");
	if (s < 999.5e-9) {
		snprintf(buf, FORMAT_ROOM, "%.0f ns", s * 1e9);
		return buf;
	}
	if (s < 999.5e-6)
		return format_short_time(buf, s * 1e6, utf8 ? "\xc2\xb5s" : "us");
	if (s < 999.5e-3)
		return format_short_time(buf, s * 1e3, "ms");
	if (s < 99.95)
		return format_short_time(buf, s, "s");
	return format_long_time(buf, s);
}

char *format_exact(char buf[FORMAT_ROOM], double value)
{
	snprintf(buf, FORMAT_ROOM, "%.15g", value);
	if (strtod(buf, NULL) != value)
		snprintf(buf, FORMAT_ROOM, "%.17g", value);
	if (buf[strcspn(buf, ".e")] == '\0')
		strcat(buf, ".0");
	return buf;
}

char *format_signal(char buf[FORMAT_ROOM], int number)
{
	const char *name = sigabbrev_np(number);

	if (name != NULL)
		snprintf(buf, FORMAT_ROOM, "SIG%s", name);
	else if (number >= SIGRTMIN && number <= SIGRTMAX)
		snprintf(buf, FORMAT_ROOM, "SIGRTMIN+%d", number - SIGRTMIN);
	else
		snprintf(buf, FORMAT_ROOM, "signal %d", number);
	return buf;
}

size_t utf8_decode(const char *s, uint32_t *character)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)s[0];
	size_t length = first < 0x80   ? 1
			: first < 0xc2 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
				       : 4;
	uint32_t c = length <= 1 ? first : first & (0x7fu >> length);

	if (length == 0 || first > 0xf4)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if (((unsigned char)s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((unsigned char)s[i] & 0x3f);
	}
	if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*character = c;
	return length;
}

size_t utf8_encode(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t format_columns(const char *s)
{
	size_t columns = 0;

	for (; *s != '\0'; s++)
		columns += ((unsigned char)*s & 0xc0) != 0x80;
	return columns;
}

/* Moves the cursor, hides text or turns its direction: never sent to a terminal. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0xfeff ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2060 && c <= 0x206f) || (c >= 0xe0000 && c <= 0xe007f);
}

/* Write one character of `s`, escaped if need be; how far to go on in both. */
static size_t escape_one(const char *s, bool utf8, char *out, size_t *written)
{
	uint32_t c = 0;
	size_t length = utf8_decode(s, &c);

	if (length == 0 || (length == 1 && is_control(c))) {
		const char *letter = c == '\n'	 ? "\\n"
				     : c == '\t' ? "\\t"
				     : c == '\r' ? "\\r"
						 : NULL;

		if (length == 1 && letter != NULL)
			*written = (size_t)sprintf(out, "%s", letter);
		else
			*written = (size_t)sprintf(out, "\\x%02x", (unsigned char)*s);
		return 1;
	}
	if (length > 1 && (!utf8 || is_control(c))) {
		*written = (size_t)sprintf(out, "\\u{%x}", c);
		return length;
	}
	memcpy(out, s, length);
	*written = length;
	return length;
}

/* Keep the first and the last columns, the last ones more: paths and symbols
 * differ at their ends. */
static void shorten(char *s, size_t columns)
{
	size_t have = format_columns(s);
	size_t head = columns > 3 ? (columns - 3) / 3 : 0;
	size_t tail = columns > 3 ? columns - 3 - head : 0;
	char *cut, *rest;

	if (have <= columns)
		return;
	for (cut = s; head > 0; head--)
		do
			cut++;
		while (((unsigned char)*cut & 0xc0) == 0x80);
	for (rest = s + strlen(s); tail > 0; tail--)
		do
			rest--;
		while (((unsigned char)*rest & 0xc0) == 0x80);
	if (rest - cut < 3) /* too narrow a column for anything but what is there */
		return;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the rest follows */
	memcpy(cut, "...", 3);
	memmove(cut + 3, rest, strlen(rest) + 1);
}

char *format_name(const char *name, size_t columns, bool utf8)
{
	/* The longest escape, \u{10ffff}, is 10 bytes for 4; \xff is 4 for 1. */
	char *out = malloc(strlen(name) * 4 + 1), *end = out;

	if (out == NULL)
		return NULL;
	while (*name != '\0') {
		size_t written;

		name += escape_one(name, utf8, end, &written);
		end += written;
	}
	*end = '\0';
	if (columns > 0)
		shorten(out, columns);
	return out;
}

char *format_utf8(const char *s)
{
	char *out = malloc(strlen(s) * 3 + 1), *end = out;

	if (out == NULL)
		return NULL;
	while (*s != '\0') {
		uint32_t c;
		size_t length = utf8_decode(s, &c);

		end += utf8_encode(end, length > 0 ? c : 0xfffd);
		s += length > 0 ? length : 1;
	}
	*end = '\0';
	return out;
}

char *format_line(const char *s, const char *reserved)
{
	char *out = malloc(strlen(s) * 4 + 1), *end = out;

	if (out == NULL)
		return NULL;
	while (*s != '\0') {
		uint32_t c;
		size_t length = utf8_decode(s, &c), written;

		if (length == 0) {
			end += utf8_encode(end, 0xfffd);
			s++;
		} else if (length == 1 && strchr(reserved, *s) != NULL) {
			end += sprintf(end, "\\x%02x", (unsigned char)*s++);
		} else {
			s += escape_one(s, true, end, &written);
			end += written;
		}
	}
	*end = '\0';
	return out;
}

static double bucket_max(const double *values, size_t from, size_t to)
{
	double max = 0;

	for (size_t i = from; i < to; i++)
		if (values[i] > max)
			max = values[i];
	return max;
}

char *format_sparkline(const double *values, size_t count, size_t columns, bool utf8)
{
	static const char ascii[] = " .:-=+*#@";
	double top = bucket_max(values, 0, count);
	size_t width = count < columns ? count : columns;
	char *out = malloc(width * 3 + 1), *end = out;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < width; i++) {
		double v = bucket_max(values, i * count / width, (i + 1) * count / width);
		int level = top > 0 && v > 0 ? (int)ceil(v / top * 8) : 0;

		if (level > 8)
			level = 8;
		if (!utf8 || level == 0)
			*end++ = ascii[level];
		else
			end += utf8_encode(end, 0x2580u + (unsigned)level);
	}
	*end = '\0';
	return out;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

char *format_list(char *buf, size_t room, const char *const *names)
{
	size_t used = 0;

	*buf = '\0';
	for (size_t i = 0; names[i] != NULL && used < room; i++)
		used += (size_t)snprintf(buf + used, room - used, "%s%s",
					 i == 0			? ""
					 : names[i + 1] == NULL ? " or "
								: ", ",
					 names[i]);
	return buf;
}

#define WORD_MAX 32

/* How many letters are missing, too many, wrong or in the other's place; both words are
 * at most WORD_MAX long. */
static size_t distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1], length = strlen(b), i;

	for (size_t j = 0; j <= length; j++)
		rows[0][j] = j;
	for (i = 0; a[i] != '\0'; i++) {
		size_t *row = rows[(i + 1) % 3], *above = rows[i % 3], *before = rows[(i + 2) % 3];

		row[0] = i + 1;
		for (size_t j = 0; j < length; j++) {
			row[j + 1] = min3(above[j + 1] + 1, row[j] + 1, above[j] + (a[i] != b[j]));
			if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] &&
			    before[j - 1] + 1 < row[j + 1])
				row[j + 1] = before[j - 1] + 1;
		}
	}
	return rows[i % 3][length];
}

const char *format_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t least = strlen(word) / 3 + 2;

	if (strlen(word) > WORD_MAX)
		return NULL;
	for (; *names != NULL; names++) {
		size_t d = strlen(*names) <= WORD_MAX ? distance(word, *names) : least;

		/* Of equals one that is as long: its letters were only mixed up. */
		if (d < least || (d == least && best != NULL && strlen(best) != strlen(word) &&
				  strlen(*names) == strlen(word))) {
			least = d;
			best = *names;
		}
	}
	return best;
}

char *format_counted(char out[FORMAT_ROOM], uint64_t n, const char *noun)
{
	char count[FORMAT_ROOM];

	snprintf(out, FORMAT_ROOM, "%s %s%s", format_count(count, n), noun, n == 1 ? "" : "s");
	return out;
}
