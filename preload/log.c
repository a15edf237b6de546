/* SPDX-License-Identifier: MIT */
#include "preload/log.h"

#include <stdarg.h>
#include <stdatomic.h>

#include "preload/sys.h"

size_t ph_append(char *buffer, size_t room, size_t at, const char *text)
{
	while (*text != '\0' && at + 1 < room)
		buffer[at++] = *text++;
	if (at < room)
		buffer[at] = '\0';
	return at;
}

size_t ph_append_number(char *buffer, size_t room, size_t at, unsigned long long value,
			unsigned base)
{
	char digits[24];
	size_t n = sizeof(digits);

	digits[--n] = '\0';
	do {
		digits[--n] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	return ph_append(buffer, room, at, digits + n);
}

void ph_log(const char *first, ...)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;
	char line[1024];
	va_list rest;
	size_t n;

	if (atomic_flag_test_and_set(&said))
		return;
	n = ph_append(line, sizeof(line) - 1, 0, "perfhook: ");
	va_start(rest, first);
	for (const char *s = first; s != NULL; s = va_arg(rest, const char *))
		n = ph_append(line, sizeof(line) - 1, n, s);
	va_end(rest);
	line[n++] = '\n';
	sys_write(2, line, n);
}
