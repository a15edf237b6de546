/* SPDX-License-Identifier: MIT */
/* Filling in a struct error: the first cause counts. */
#include "analyzer/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int fail(struct error *e, enum error_code code, uint64_t offset, const char *format, ...)
{
	va_list args;

	if (e == NULL || e->code != ERROR_NONE)
		return -1;
	e->code = code;
	e->offset = offset;
	va_start(args, format);
	vsnprintf(e->text, sizeof(e->text), format, args);
	va_end(args);
	return -1;
}
