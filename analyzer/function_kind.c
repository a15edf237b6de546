/* SPDX-License-Identifier: MIT */
#include "analyzer/function_kind.h"

#include <string.h>

enum ph_kind function_kind(const char *function)
{
	static const struct {
		const char *name;
		enum ph_kind kind;
	} rows[] = {
#define PH_IO(id, kind, ...)	  {#id, PH_KIND_##kind},
#define PH_BY_HAND(id, kind, ...) {#id, PH_KIND_##kind},
#include "trace/functions.def"
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (strcmp(rows[i].name, function) == 0)
			return rows[i].kind;
	return PH_KIND_NONE;
}
