/* SPDX-License-Identifier: MIT */
/* p = realloc(p, n): what p was is lost where n is more than there is. */
#include "work.h"

static volatile size_t too_much = PTRDIFF_MAX / 2;

NOINLINE static char *leak_message(void)
{
	return (char *)cleared(sized(150));
}

NOINLINE static char *benign_buffer(char *old, size_t size)
{
	return (char *)keep(realloc(old, size));
}

/* A claimed length that nobody checked. */
static void receive(int i)
{
	char *p = leak_message();

	p = (char *)keep(realloc(p, one_in(i, 60) ? too_much : sized(150) * 2));
	free(p);
}

/* The same buffer for all, as large as the largest so far. */
static void answer(int i)
{
	static char *buffer;
	static size_t room;
	size_t wanted = 100 + scatter((unsigned)i) % 6000;

	if (wanted > room) {
		buffer = benign_buffer(buffer, wanted);
		room = wanted;
	}
	memset(buffer, 0, wanted);
}

int main(void)
{
	benign_pool(3, 4 << 20);
	for (int i = 0; i < requests(4500); i++) {
		receive(i);
		answer(i);
		serve(i);
	}
	return leave();
}
