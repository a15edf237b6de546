/* SPDX-License-Identifier: MIT */
/* A client and a server that time their own requests, over TCP and UNIX sockets, and a
 * socket of datagrams with several peers. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "timed.h"

enum { CONNECTIONS = 5, TURNS = 20, REQUEST = 100, RESPONSE = 3000 };

static int listener, port;
static struct timed asked, answered;

static void pause_ms(long ms)
{
	struct timespec ts = {0, ms * 1000000};

	clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

static bool receive_all(int fd, char *buffer, size_t bytes, unsigned long long *first)
{
	for (size_t have = 0; have < bytes;) {
		ssize_t r = recv(fd, buffer + have, bytes - have, 0);

		if (r <= 0)
			return false;
		if (have == 0 && first != NULL)
			*first = now_ns();
		have += (size_t)r;
	}
	return true;
}

/* Two sends a request: without it each would wait for an acknowledgement. */
static void send_at_once(int fd)
{
	int on = 1;

	expect(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
}

static void *serve(void *unused)
{
	char buffer[RESPONSE] = {0};

	(void)unused;
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = accept(listener, NULL, NULL);
		unsigned long long first = 0;

		send_at_once(fd);
		for (long turn = 0; receive_all(fd, buffer, REQUEST, &first); turn++) {
			pause_ms(2 + turn % 5);
			timed_add(&answered, first);
			for (int k = 0; k < 3; k++)
				expect(send(fd, buffer, RESPONSE / 3, 0) == RESPONSE / 3);
		}
		close(fd);
	}
	return NULL;
}

static void ask(int fd)
{
	char buffer[RESPONSE] = {0};
	unsigned long long since = now_ns();

	expect(send(fd, buffer, REQUEST / 2, 0) == REQUEST / 2);
	expect(send(fd, buffer, REQUEST / 2, 0) == REQUEST / 2);
	expect(recv(fd, buffer, 1, 0) == 1);
	timed_add(&asked, since);
	expect(receive_all(fd, buffer, RESPONSE - 1, NULL));
}

/* By name; the last one is ended with a reset. */
static void talk(void)
{
	const struct linger at_once = {.l_onoff = 1};
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
	char service[16];

	snprintf(service, sizeof(service), "%d", port);
	expect(getaddrinfo("localhost", service, &hints, &found) == 0);
	for (int i = 0; i < CONNECTIONS && found != NULL; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		expect(connect(fd, found->ai_addr, found->ai_addrlen) == 0);
		send_at_once(fd);
		for (int turn = 0; turn < TURNS; turn++) {
			ask(fd);
			if (turn == 0)
				pause_ms(30);
		}
		if (i == CONNECTIONS - 1)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
	}
	freeaddrinfo(found);
}

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, type, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	expect(bind(fd, (struct sockaddr *)address, length) == 0);
	expect(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static void datagrams(void)
{
	struct sockaddr_in to[3], own;
	char buffer[64] = {0};
	int fd = bound(SOCK_DGRAM, &own), peers[3];

	for (int i = 0; i < 3; i++)
		peers[i] = bound(SOCK_DGRAM, &to[i]);
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k <= i; k++)
			expect(sendto(fd, buffer, 10, 0, (struct sockaddr *)&to[i],
				      sizeof(to[i])) == 10);
		say("truth: peer%d=127.0.0.1:%d\n", i, ntohs(to[i].sin_port));
	}
	for (int i = 0; i < 3; i++)
		close(peers[i]);
	close(fd);
}

/* Many at once, over a socket with a path and over one without. */
static void many(bool abstract)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), clients[20], served[20];
	socklen_t length = sizeof(sa_family_t) + 8;
	char byte;

	memcpy(address.sun_path, abstract ? "\0pooled" : "pooled\0", 7);
	if (abstract) {
		snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "pooled%d", getpid());
		length = (socklen_t)(sizeof(sa_family_t) + 1 + strlen(address.sun_path + 1));
		say("truth: abstract=@%s\n", address.sun_path + 1);
	}
	expect(bind(fd, (struct sockaddr *)&address, length) == 0 && listen(fd, 32) == 0);
	for (int i = 0; i < 20; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		expect(connect(clients[i], (struct sockaddr *)&address, length) == 0);
		served[i] = accept(fd, NULL, NULL);
		expect(write(clients[i], "?", 1) == 1 && read(served[i], &byte, 1) == 1);
		expect(write(served[i], "!", 1) == 1 && read(clients[i], &byte, 1) == 1);
		if (i % 2 == 1) {
			close(clients[i]);
			close(served[i]);
		}
	}
	for (int i = 0; i < 20; i += 2) {
		close(clients[i]);
		close(served[i]);
	}
	close(fd);
}

int main(void)
{
	struct sockaddr_in address;
	pthread_t server;

	listener = bound(SOCK_STREAM, &address);
	port = ntohs(address.sin_port);
	expect(listen(listener, 16) == 0);
	expect(pthread_create(&server, NULL, serve, NULL) == 0);
	talk();
	pthread_join(server, NULL);
	close(listener);
	datagrams();
	many(false);
	many(true);
	truth("port", (unsigned long long)port);
	timed_say(&asked, "asked");
	timed_say(&answered, "answered");
	return wrongs != 0;
}
