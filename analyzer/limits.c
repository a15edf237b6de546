/* SPDX-License-Identifier: MIT */
#include "analyzer/limits.h"

#include <string.h>

#include "analyzer/costs.h"
#include "analyzer/quantity.h"

const struct limit_row limit_rows[LIMIT_COUNT] = {
#define LIMIT(id, option, argument, unit, key, cost, compared, help)                               \
	{option, LIMIT_UNIT_##unit, key, cost, compared},
#include "analyzer/limits.def"
#undef LIMIT
};

static int find_row(const char *name)
{
	int id = 0;

	while (id < LIMIT_COUNT && strcmp(limit_rows[id].name, name) != 0)
		id++;
	return id;
}

static bool parse_amount(enum limit_unit unit, const char *text, double *amount)
{
	switch (unit) {
	case LIMIT_UNIT_BYTES:
		return quantity_bytes(text, amount);
	case LIMIT_UNIT_COUNT:
		return quantity_count(text, amount);
	case LIMIT_UNIT_SHARE:
		return quantity_percent(text, amount);
	case LIMIT_UNIT_SECONDS:
	case LIMIT_UNIT_LATENCY:
		return quantity_seconds(text, amount);
	}
	return false;
}

int limits_set(struct limits *l, const char *name, const char *value, struct error *e)
{
	static const char *const wanted[] = {
		[LIMIT_UNIT_BYTES] = "bytes, as 200M or 64 KiB",
		[LIMIT_UNIT_COUNT] = "a number, as 5000 or 10k",
		[LIMIT_UNIT_SHARE] = "a part, as 20%",
		[LIMIT_UNIT_SECONDS] = "a time, as 20ms or 1.5s",
		[LIMIT_UNIT_LATENCY] = "a path or peer and a time, as '/var/db/*=20ms'",
	};
	struct limit made = {.id = (enum limit_id)find_row(name)};
	const char *amount = value, *equals = strrchr(value, '=');
	enum limit_unit unit;

	if (made.id == LIMIT_COUNT)
		return fail(e, ERROR_USAGE, 0, "there is no limit --%s", name);
	unit = limit_rows[made.id].unit;
	if (unit == LIMIT_UNIT_LATENCY && equals != NULL) {
		made.pattern = value;
		made.pattern_length = (size_t)(equals - value);
		amount = equals + 1;
	}
	if ((unit == LIMIT_UNIT_LATENCY && made.pattern_length == 0) ||
	    !parse_amount(unit, amount, &made.most))
		return fail(e, ERROR_USAGE, 0, "--%s takes %s: not '%s'", name, wanted[unit],
			    value);
	l->list[l->count++] = made;
	return 0;
}

int tolerance_set(struct tolerance *t, const char *value, struct error *e)
{
	double amount;

	if (quantity_percent(value, &amount) && strchr(value, '%') != NULL)
		t->fraction = amount;
	else if (quantity_bytes(value, &amount)) {
		t->bytes = amount;
		t->count = value[strspn(value, "0123456789.")] == '\0' ? amount : t->count;
	} else
		return fail(e, ERROR_USAGE, 0,
			    "--tolerance takes a part (5%%), bytes (64K) or a number: not '%s'",
			    value);
	return 0;
}
