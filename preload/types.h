/* SPDX-License-Identifier: MIT */
/* The system headers that the rows of trace/functions.def speak of. */
#ifndef PH_PRELOAD_TYPES_H
#define PH_PRELOAD_TYPES_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#endif
