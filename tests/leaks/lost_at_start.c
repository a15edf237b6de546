/* SPDX-License-Identifier: MIT */
/* What was read at start-up is read again at once, and the first reading is forgotten: lost,
 * but all of it before the first request. Only a search for pointers can tell. */
#include "work.h"

enum { RULES = 120 };

static void *rules[RULES];

NOINLINE static void *leak_rule(void)
{
	return cleared(sized(90));
}

NOINLINE static void *benign_rule(void)
{
	return cleared(sized(90));
}

static void read_rules(void *(*make)(void))
{
	for (int k = 0; k < RULES; k++)
		rules[k] = make();
}

int main(void)
{
	read_rules(leak_rule);
	read_rules(benign_rule);
	keep(rules);
	benign_pool(24, 24000);
	for (int i = 0; i < requests(3000); i++)
		serve(i);
	return leave();
}
