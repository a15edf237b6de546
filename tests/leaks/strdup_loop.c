/* SPDX-License-Identifier: MIT */
/* Fields of a request are copied by strdup; one of four is not freed. Names that are
 * interned are also strings that stay, but there are only so many. */
#include "work.h"

NOINLINE static char *leak_referer(const char *text)
{
	return (char *)keep(strdup(text));
}

static void parse(int i)
{
	char text[160];
	char *host, *agent;

	snprintf(text, sizeof(text), "https://host-%u.example/%0*d", scatter((unsigned)i) % 9000,
		 (int)sized(20), i);
	host = strdup(text);
	agent = strdup(text + 8);
	if (one_in(i, 4))
		leak_referer(text);
	free(host);
	free(agent);
}

int main(void)
{
	benign_pool(16, 256 * 1024);
	for (int i = 0; i < requests(4000); i++) {
		parse(i);
		serve(i);
	}
	return leave();
}
