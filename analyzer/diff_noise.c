/* SPDX-License-Identifier: MIT */
#include "analyzer/diff_noise.h"

#include <math.h>
#include <string.h>

#include "analyzer/quantity.h"

#define TIME_NOISE_S	    0.05
#define CALL_NOISE_S	    0.001 /* times the root of the calls */
#define TIME_NOISE_FRACTION 0.5

void diff_noise_default(struct diff_noise *noise)
{
	*noise = (struct diff_noise){.seconds = (double)NAN};
}

int diff_noise_set(struct diff_noise *noise, const char *text, struct error *e)
{
	double amount;

	if (quantity_percent(text, &amount) && strchr(text, '%') != NULL)
		noise->fraction = amount;
	else if (quantity_bytes(text, &amount))
		noise->bytes = amount;
	else if (quantity_seconds(text, &amount))
		noise->seconds = amount;
	else
		return fail(e, ERROR_USAGE, 0,
			    "--min-change takes bytes (64K), a part (5%%) or a time (20ms): not "
			    "'%s'",
			    text);
	return 0;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static double larger(uint64_t a, uint64_t b)
{
	return (double)(a > b ? a : b);
}

bool diff_is_change(const struct diff_noise *noise, uint64_t before, uint64_t after)
{
	double change = (double)distance(before, after);

	return before != after && change >= noise->bytes &&
	       change >= noise->fraction * larger(before, after);
}

bool diff_is_slower(const struct diff_noise *noise, uint64_t before, uint64_t after, uint64_t calls)
{
	double change = (double)distance(before, after) / 1e9;
	double least = noise->seconds, fraction = noise->fraction;

	if (isnan(least)) {
		least = TIME_NOISE_S + CALL_NOISE_S * sqrt((double)calls) + noise->load_s;
		if (fraction == 0)
			fraction = TIME_NOISE_FRACTION;
	}
	return change > 0 && change >= least && change >= fraction * larger(before, after) / 1e9;
}
