/* SPDX-License-Identifier: MIT */
#include "analyzer/habits.h"

#include <stdlib.h>

#include "analyzer/vector.h"

static double limit(const struct habits *h, enum threshold which)
{
	return h->thresholds->values[which];
}

void habits_init(struct habits *h, const struct thresholds *thresholds)
{
	*h = (struct habits){.thresholds = thresholds};
}

void habits_free(struct habits *h)
{
	for (size_t i = 0; i < HABIT_KINDS; i++)
		map_free(&h->place_by_key[i]);
	map_free(&h->work_by_thread);
	free(h->list);
	*h = (struct habits){.thresholds = h->thresholds};
}

/* Its place + 1; 0: out of memory. */
static uint32_t habit_of(struct habits *h, enum habit_kind kind, uint32_t sink, uint32_t node)
{
	uint64_t key = (uint64_t)sink << 32 | node;
	uint64_t place = map_get(&h->place_by_key[kind], key);

	if (place != 0)
		return (uint32_t)place;
	if (h->count >= UINT32_MAX - 1 || !vector_reserve(h->list, h->room, h->count + 1) ||
	    !map_put(&h->place_by_key[kind], key, h->count + 1)) {
		h->failed = true;
		return 0;
	}
	h->list[h->count] = (struct habit){.kind = kind, .sink = sink, .node = node};
	return (uint32_t)++h->count;
}

/* `near`: where one just like it may have been counted. */
static void count(struct habits *h, enum habit_kind kind, uint32_t sink, struct habit_item *item,
		  const struct habit_item *near)
{
	struct habit *to;

	item->counted = true;
	item->habit = near->habit != 0 && near->node == item->node
			      ? near->habit
			      : habit_of(h, kind, sink, item->node);
	if (item->habit == 0)
		return;
	to = &h->list[item->habit - 1];
	to->count++;
	to->series += item->in_series == 1;
	to->longest = item->in_series > to->longest ? item->in_series : to->longest;
	to->bytes += item->bytes;
	to->received_bytes += item->received_bytes;
	to->ns += item->ns;
}

/* The one before may be the first of the series. */
static void join(struct habits *h, enum habit_kind kind, uint32_t sink, struct habit_item *before,
		 struct habit_item *item)
{
	if (!before->counted) {
		before->in_series = 1;
		count(h, kind, sink, before, before);
	}
	item->in_series = before->in_series + 1;
	count(h, kind, sink, item, before);
}

static struct habit_item item_of(const struct habit_call *call)
{
	return (struct habit_item){
		.set = true,
		.thread = call->thread,
		.node = call->node,
		.bytes = call->bytes,
		.begin = call->begin,
		.end = call->begin + call->ns,
		.ns = call->ns,
	};
}

static bool soon_after(const struct habit_item *before, const struct habit_item *item, double ms)
{
	return before->set && before->thread == item->thread &&
	       item->begin - before->end <= ms * 1e6;
}

/* ---- writes and syncs ----------------------------------------------------------- */

void habits_written(struct habits *h, struct habit_state *s, const struct habit_call *call,
		    uint64_t place)
{
	struct habit_item item = item_of(call);
	const struct habit_item *before = &s->write;
	bool goes_on =
		place == HABIT_NOWHERE || before->place == HABIT_NOWHERE || place == before->place;

	s->unsynced_bytes += call->bytes;
	if ((double)call->bytes > limit(h, TINY_WRITE_BYTES)) {
		s->write.set = false;
		return;
	}
	item.place = place != HABIT_NOWHERE ? place + call->bytes : HABIT_NOWHERE;
	if (goes_on && soon_after(before, &item, limit(h, TINY_WRITE_GAP_MS)))
		join(h, HABIT_TINY_WRITE, call->sink, &s->write, &item);
	s->write = item;
}

void habits_interrupted(struct habit_state *s)
{
	s->write.set = false;
}

void habits_synced(struct habits *h, struct habit_state *s, const struct habit_call *call)
{
	struct habit_item item = item_of(call);

	item.bytes = s->unsynced_bytes;
	item.small = (double)item.bytes <= limit(h, SYNC_BYTES);
	if (item.small && s->sync.small && soon_after(&s->sync, &item, limit(h, SYNC_GAP_MS)))
		join(h, HABIT_SYNC, call->sink, &s->sync, &item);
	s->sync = item;
	s->unsynced_bytes = 0;
	s->write.set = false;
}

/* ---- requests ------------------------------------------------------------------- */

/* How large the response is turns out with the next request. */
static void end_trip(struct habits *h, struct habit_state *s, uint32_t sink)
{
	struct habit_item *trip = &s->trip;

	if (!trip->set || !trip->answered)
		return;
	trip->small = (double)(trip->bytes + trip->received_bytes) <= limit(h, ROUND_TRIP_BYTES);
	if (trip->small && s->last_trip.small && trip->follows)
		join(h, HABIT_ROUND_TRIP, sink, &s->last_trip, trip);
	s->last_trip = *trip;
}

void habits_asked(struct habits *h, struct habit_state *s, const struct habit_call *call)
{
	struct habit_item item;

	if (s->trip.set && !s->trip.answered) {
		s->trip.bytes += call->bytes;
		return;
	}
	end_trip(h, s, call->sink);
	item = item_of(call);
	item.work = map_get(&h->work_by_thread, (uintptr_t)call->thread);
	item.follows = s->trip.set && s->trip.work == item.work &&
		       soon_after(&s->trip, &item, limit(h, ROUND_TRIP_GAP_MS));
	s->trip = item;
}

void habits_answered(struct habit_state *s, const struct habit_call *call)
{
	struct habit_item *trip = &s->trip;

	if (!trip->set)
		return;
	trip->end = call->begin + call->ns;
	if (!trip->answered)
		trip->ns = trip->end - trip->begin;
	trip->answered = true;
	trip->received_bytes += call->bytes;
}

void habits_got_work(struct habits *h, const struct thread *thread)
{
	h->failed |= !map_add(&h->work_by_thread, (uintptr_t)thread, 1);
}

void habits_end(struct habits *h, struct habit_state *s, uint32_t sink)
{
	end_trip(h, s, sink);
	s->trip.set = false;
}
