/* SPDX-License-Identifier: MIT */
/* regcomp() without regfree() where a rule has no match: some thirty blocks of libc's, in
 * as many stacks, that only the function further out can name. */
#include <regex.h>

#include "work.h"

NOINLINE static bool leak_regex(const char *text)
{
	regex_t r;

	if (regcomp(&r, "^item-([0-9]+)$", REG_EXTENDED) != 0)
		return false;
	if (regexec(&r, text, 0, NULL, 0) != 0)
		return false; /* the leak */
	regfree(&r);
	return true;
}

NOINLINE static regex_t *benign_regex(int i)
{
	regex_t *r = (regex_t *)cleared(sizeof(*r));
	char rule[40];

	snprintf(rule, sizeof(rule), "^rule-%d-[a-z]*$", i);
	if (regcomp(r, rule, REG_EXTENDED) != 0)
		exit(1);
	return r;
}

int main(void)
{
	static regex_t *rules[20];
	char text[40];

	for (int i = 0; i < 20; i++)
		rules[i] = benign_regex(i);
	for (int i = 0; i < requests(3500); i++) {
		if (i % 10 == 0) {
			snprintf(text, sizeof(text), "%s-%d", one_in(i / 10, 8) ? "thing" : "item",
				 i);
			(void)leak_regex(text);
			(void)regexec(rules[i % 20], text, 0, NULL, 0);
		}
		serve(i);
	}
	return leave();
}
