/* SPDX-License-Identifier: MIT */
/*
 * Compatibility: each row runs a program twice in a fresh folder of the same
 * name, as it is and recorded. Output, errors, status, everything in the folder
 * and what still runs afterwards have to be the same, and a readable trace has to
 * stand there. A row is one cmocka test and one line of the table; it is all that
 * a further program needs.
 */
#ifndef PH_TESTS_COMPAT_H
#define PH_TESTS_COMPAT_H

#include "tests/integration/harness.h"

/*
 * Scripts are for /bin/sh, run in the row's folder, and find there:
 *   $BIN   the built programs of tests/programs     $LIB  the library
 *   $SRC   their sources                            $FULL "yes" in full mode
 *   $PORT  a port that is free on 127.0.0.1, the same in both runs
 */
struct row {
	const char *name;
	const char *needs;   /* programs, and files by absolute path; lacking one skips the row */
	bool root;	     /* needs to be root */
	const char *version; /* a command; the first line of what it says goes into the table */
	const char *prepare; /* not recorded: makes what the program works on */
	const char *command; /* recorded as a whole */
	const char *settle;  /* not recorded: writes down what else must be the same, and
			      * removes what legitimately is not */
	int status;	     /* of the run as it is; a signal's number negative */
	const char *varies;  /* what of the output may differ: a regular expression (ERE) */
	const struct limit *limits;
	int processes;	 /* recorded process images, at least; 0: 2, the shell's and one more */
	uint64_t events; /* recorded in all of them, at least; 0: 1 */
	bool unrecorded; /* none is asked for: it cannot be recorded */
	int timeout_s;	 /* 0: 60 */
};

#define LIMITS(...) ((const struct limit[]){__VA_ARGS__, {-1, 0}})

/* All rows as tests, then the table. Returns main's status. */
int run_rows(const char *name, const struct row *rows, size_t count);

#endif
