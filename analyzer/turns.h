/* SPDX-License-Identifier: MIT */
/*
 * Requests and responses on a connection: whenever the direction of its bytes changes
 * from that of the requests to the other, a request was answered. A client's requests
 * are what it sends, a server's what it receives.
 */
#ifndef PH_ANALYZER_TURNS_H
#define PH_ANALYZER_TURNS_H

#include "analyzer/latency.h"

enum turns_side { TURNS_BY_FIRST, TURNS_CLIENT, TURNS_SERVER };

/* All zero: nothing has happened. Times are nanoseconds since the start. */
struct turns {
	enum turns_side side; /* TURNS_BY_FIRST: whoever's bytes come first asks */
	enum { TURNS_NONE, TURNS_REQUEST, TURNS_RESPONSE } phase;
	double began;	      /* of the request under way */
	double last, idle_ns; /* end of the last transfer; 0: none */
	double first_byte;    /* received; 0: none */
	bool quiet;	      /* what happens now is only followed, */
	double from;	      /* until then */
	uint64_t count;
	struct recorder latency;
};

/* Bytes moved, in a call from `begin` to `end`. False: out of memory. */
bool turns_note(struct turns *t, bool received, double begin, double end);

/* Idle until `closed`, of the time since `opened`. */
double turns_idle_ns(const struct turns *t, double opened, double closed);

#endif
