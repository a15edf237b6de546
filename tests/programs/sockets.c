/* SPDX-License-Identifier: MIT */
/* Conversations over TCP, UNIX sockets, UDP and a socket pair, each of another
 * size, with the addresses they go by. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "truth.h"

enum { TCP_ASK = 1000, TCP_ANSWER = 50000, UNIX_ASK = 333, UNIX_ANSWER = 4444, UDP_ASK = 77 };

static char buffer[2][65536];

static void receive(int fd, char *into, size_t count)
{
	while (count > 0) {
		ssize_t got = recv(fd, into, count, 0);

		expect(got > 0);
		if (got <= 0)
			return;
		count -= (size_t)got;
	}
}

struct server {
	int listener;
	size_t ask, answer;
};

static void *serve(void *argument)
{
	const struct server *s = argument;
	int fd = accept(s->listener, NULL, NULL);

	expect(fd >= 0);
	receive(fd, buffer[1], s->ask);
	expect(send(fd, buffer[1], s->answer, 0) == (ssize_t)s->answer);
	close(fd);
	return NULL;
}

static void converse(int listener, const struct sockaddr *address, socklen_t length, size_t ask,
		     size_t answer)
{
	struct server s = {listener, ask, answer};
	int fd = socket(address->sa_family, SOCK_STREAM, 0);
	pthread_t thread;

	expect(pthread_create(&thread, NULL, serve, &s) == 0);
	expect(connect(fd, address, length) == 0);
	expect(send(fd, buffer[0], ask, 0) == (ssize_t)ask);
	receive(fd, buffer[0], answer);
	pthread_join(thread, NULL);
	close(fd);
	close(listener);
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	expect(bind(fd, (struct sockaddr *)address, length) == 0);
	getsockname(fd, (struct sockaddr *)address, &length);
	return fd;
}

static void over_tcp(void)
{
	struct sockaddr_in address;
	int fd = bound(SOCK_STREAM, &address);

	expect(listen(fd, 1) == 0);
	say("truth: tcp.address=127.0.0.1:%d\n", ntohs(address.sin_port));
	converse(fd, (struct sockaddr *)&address, sizeof(address), TCP_ASK, TCP_ANSWER);
}

static void over_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "here.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(address.sun_path);
	expect(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0);
	converse(fd, (struct sockaddr *)&address, sizeof(address), UNIX_ASK, UNIX_ANSWER);
	unlink(address.sun_path);
}

static void over_udp(void)
{
	struct sockaddr_in address;
	int to = bound(SOCK_DGRAM, &address), from = socket(AF_INET, SOCK_DGRAM, 0);

	expect(sendto(from, buffer[0], UDP_ASK, 0, (struct sockaddr *)&address, sizeof(address)) ==
	       UDP_ASK);
	expect(recvfrom(to, buffer[1], sizeof(buffer[1]), 0, NULL, NULL) == UDP_ASK);
	close(to);
	close(from);
}

static void over_pair(void)
{
	int pair[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	expect(write(pair[0], buffer[0], 55) == 55);
	expect(read(pair[1], buffer[1], 100) == 55);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	over_tcp();
	over_unix();
	over_udp();
	over_pair();
	truth("tcp.ask", TCP_ASK);
	truth("tcp.answer", TCP_ANSWER);
	truth("unix.ask", UNIX_ASK);
	truth("unix.answer", UNIX_ANSWER);
	truth("udp.ask", UDP_ASK);
	truth("pair", 55);
	truth("sent_bytes", TCP_ASK + TCP_ANSWER + UNIX_ASK + UNIX_ANSWER + UDP_ASK + 55);
	return wrongs != 0;
}
