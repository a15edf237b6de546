/* SPDX-License-Identifier: MIT */
/*
 * Writes programs of random calls: functions whose frames are hard to unwind, which call
 * each other, directly and not, and allocate and free blocks. tests/programs/call_graph.h
 * is what they share, and says how they name their paths. Equal seeds give equal programs.
 */
#ifndef PH_TESTS_CALL_GRAPH_WRITER_H
#define PH_TESTS_CALL_GRAPH_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum call_graph_file { CALL_GRAPH_PROGRAM, CALL_GRAPH_FIRST, CALL_GRAPH_SECOND };

/* One of the program's three files: itself, and two libraries that it opens and closes by
 * turns. With `cxx` it is C++, which throws instead of jumping. */
void call_graph_write(FILE *out, enum call_graph_file file, uint64_t seed, bool cxx);

#endif
