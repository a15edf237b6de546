/* SPDX-License-Identifier: MIT */
/* getaddrinfo() without freeaddrinfo() where the first address would do; a resolver's
 * cache of a dozen addresses, whose entries are replaced. */
#include <netdb.h>
#include <sys/socket.h>

#include "work.h"

static struct addrinfo *ask(const char *host)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	if (getaddrinfo(host, "80", &hints, &found) != 0)
		exit(1);
	return found;
}

NOINLINE static void leak_address(int i)
{
	char host[32];
	struct addrinfo *a;

	snprintf(host, sizeof(host), "127.0.%d.%d", i / 250 % 250, i % 250);
	a = ask(host);
	keep(a);
	if (!one_in(i, 30))
		freeaddrinfo(a);
}

NOINLINE static struct addrinfo *benign_address(int i)
{
	char host[32];

	snprintf(host, sizeof(host), "127.1.0.%d", i % 12);
	return ask(host);
}

int main(void)
{
	static struct addrinfo *known[12];

	benign_pool(90, 1000);
	for (int i = 0; i < requests(4000); i++) {
		if (i % 2 == 0)
			leak_address(i / 2);
		if (i % 5 == 0) {
			struct addrinfo **a = &known[i / 5 % 12];

			if (*a != NULL)
				freeaddrinfo(*a);
			*a = benign_address(i / 5);
		}
		serve(i);
	}
	return leave();
}
