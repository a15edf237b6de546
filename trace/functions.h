/* SPDX-License-Identifier: MIT */
/* What this build's function numbers mean. A trace brings its own table: only
 * those who record may use this one. */
#ifndef PH_TRACE_FUNCTIONS_H
#define PH_TRACE_FUNCTIONS_H

#include "trace/cell.h"
#include "trace/format.h"

struct ph_function {
	const char *name;
	enum ph_kind kind;
};

/* By number; the row 0 is no function (name "", kind NONE). */
extern const struct ph_function ph_functions[PH_OP_FUNCTIONS];

#endif
