/* SPDX-License-Identifier: MIT */
#include "analyzer/turns.h"

#include <math.h>

/* The first byte of a request: sent when the call began, received when it was over. */
static void begin_request(struct turns *t, bool received, double begin, double end)
{
	t->began = received ? end : begin;
	if (t->last != 0 && !t->quiet)
		t->idle_ns += fmax(t->began - fmax(t->last, t->from), 0);
	t->phase = TURNS_REQUEST;
}

static bool end_turn(struct turns *t, bool received, double begin, double end)
{
	double answered = received ? end : begin;

	t->phase = TURNS_RESPONSE;
	if (t->quiet)
		return true;
	t->count++;
	return latency_record(&t->latency, (uint64_t)fmax(answered - t->began, 0));
}

bool turns_note(struct turns *t, bool received, double begin, double end)
{
	bool request, good = true;

	if (t->side == TURNS_BY_FIRST)
		t->side = received ? TURNS_SERVER : TURNS_CLIENT;
	if (received && t->first_byte == 0)
		t->first_byte = end;
	request = received == (t->side == TURNS_SERVER);
	if (request && t->phase != TURNS_REQUEST)
		begin_request(t, received, begin, end);
	else if (!request && t->phase == TURNS_REQUEST)
		good = end_turn(t, received, begin, end);
	t->last = fmax(t->last, end);
	return good;
}

double turns_idle_ns(const struct turns *t, double opened, double closed)
{
	if (t->last == 0)
		return fmax(closed - opened, 0);
	return t->idle_ns + fmax(closed - fmax(t->last, opened), 0);
}
