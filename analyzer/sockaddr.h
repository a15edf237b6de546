/* SPDX-License-Identifier: MIT */
/* Socket addresses and kinds as text. */
#ifndef PH_ANALYZER_SOCKADDR_H
#define PH_ANALYZER_SOCKADDR_H

#include <stddef.h>
#include <stdint.h>

#include "analyzer/arena.h"

/* The bytes of a struct sockaddr as they were recorded: "1.2.3.4:80", "[::1]:80",
 * a path, "@abstract"; NULL: unnamed, cut short or of another family. */
const char *sockaddr_text(struct arena *a, const uint8_t *bytes, size_t length);

const char *sockaddr_family(unsigned family); /* "inet"; NULL: unknown */
const char *sockaddr_type(unsigned type);     /* "stream"; NULL: unknown */

#endif
