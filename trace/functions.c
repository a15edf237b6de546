/* SPDX-License-Identifier: MIT */
/* The rows of functions.def as a table. */
#include "trace/functions.h"

#define PH_IO(id, kind, ...)	  [PH_OP_##id] = {#id, PH_KIND_##kind},
#define PH_BY_HAND(id, kind, ...) [PH_OP_##id] = {#id, PH_KIND_##kind},

const struct ph_function ph_functions[PH_OP_FUNCTIONS] = {
	[PH_OP_NONE] = {"", PH_KIND_NONE},
#include "trace/functions.def"
};
