/* SPDX-License-Identifier: MIT */
/* A builder of strings: where a format is refused, what was built so far is forgotten. */
#include "work.h"

struct builder {
	char *text;
	size_t used, room;
};

NOINLINE static char *leak_grown(char *text, size_t room)
{
	return (char *)keep(realloc(text, room));
}

static void append(struct builder *b, const char *text)
{
	size_t length = strlen(text);

	while (b->used + length + 1 > b->room) {
		b->room = b->room > 0 ? 2 * b->room : sized(64);
		b->text = leak_grown(b->text, b->room);
	}
	memcpy(b->text + b->used, text, length + 1);
	b->used += length;
}

/* NULL: refused. */
static char *render(int i)
{
	struct builder b = {NULL, 0, 0};

	for (int k = 0; k < 12; k++) {
		if (k == 9 && one_in(i, 55))
			return NULL; /* the leak */
		append(&b, "and one more field; ");
	}
	return b.text;
}

int main(void)
{
	benign_pool(12, 500000);
	for (int i = 0; i < requests(4500); i++) {
		free(render(i));
		serve(i);
	}
	return leave();
}
