/* SPDX-License-Identifier: MIT */
/* A server of sockets: what is known of a client is freed when it goes, but for the name
 * that was looked up. Some clients stay to the end, with their state. */
#include <sys/socket.h>
#include <unistd.h>

#include "work.h"

enum { OPEN = 40 };

struct client {
	int fds[2];
	char *peer, *input;
};

NOINLINE static char *leak_peer_name(int i)
{
	char *name = (char *)cleared(sized(70));

	snprintf(name, 24, "client-%d", i);
	return name;
}

NOINLINE static struct client *benign_client(void)
{
	struct client *c = (struct client *)cleared(sizeof(*c));

	c->input = (char *)cleared(sized(4096));
	return c;
}

static struct client *accept_client(int i)
{
	struct client *c = benign_client();

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, c->fds) != 0)
		exit(1);
	c->peer = leak_peer_name(i);
	return c;
}

static void close_client(struct client *c)
{
	if (c == NULL)
		return;
	close(c->fds[0]);
	close(c->fds[1]);
	free(c->input);
	free(c);
}

static void exchange(struct client *c, int i)
{
	if (c == NULL || write(c->fds[0], &i, sizeof(i)) != sizeof(i) ||
	    read(c->fds[1], c->input, 16) != sizeof(i))
		return;
	temporaries(i);
}

/* The first ten are there for the whole run; of the others, any may go. */
static struct client **slot_of(struct client **clients, int i)
{
	return &clients[i < OPEN ? i : 10 + (int)(scatter((unsigned)i) % (OPEN - 10))];
}

int main(void)
{
	static struct client *clients[OPEN];

	benign_pool(20, 64000);
	for (int i = 0; i < requests(4000); i++) {
		if (i < 4 * OPEN ? i % 4 == 0 : one_in(i, 20)) {
			struct client **c = slot_of(clients, i / 4);

			close_client(*c);
			*c = accept_client(i);
		}
		exchange(clients[i % OPEN], i);
		serve(i);
	}
	return leave();
}
