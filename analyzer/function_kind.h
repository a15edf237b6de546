/* SPDX-License-Identifier: MIT */
/* What an intercepted function does, by its name: for who sees events one by one. */
#ifndef PH_ANALYZER_FUNCTION_KIND_H
#define PH_ANALYZER_FUNCTION_KIND_H

#include "trace/format.h"

/* PH_KIND_NONE: none of ours. */
enum ph_kind function_kind(const char *function);

#endif
