/* SPDX-License-Identifier: MIT */
/*
 * A client and a server over loopback, in two threads of one program: the
 * server answers each request of 64 bytes with 4096.
 *
 *     make programs
 *     LD_PRELOAD=build/libperfhook.so PERFHOOK_OUT=tcp.trace build/examples/tcp
 *     build/perfhook report tcp.trace
 *
 * Among the sockets the report should show both ends of one connection, each
 * the other's peer: the client's, opened by connect, and the server's, opened
 * by accept; what one sent the other received. The client's latency is mostly
 * time waited for the answer.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 500, REQUEST = 64, ANSWER = 4096 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Exactly count bytes; 0 when the other side has closed. */
static int receive_all(int fd, char *into, size_t count)
{
	for (size_t got = 0; got < count;) {
		ssize_t n = recv(fd, into + got, count - got, 0);

		if (n < 0)
			die("recv");
		if (n == 0)
			return 0;
		got += (size_t)n;
	}
	return 1;
}

static void send_all(int fd, const char *from, size_t count)
{
	while (count > 0) {
		ssize_t n = send(fd, from, count, 0);

		if (n < 0)
			die("send");
		from += n;
		count -= (size_t)n;
	}
}

static void *serve(void *argument)
{
	int fd = accept(*(int *)argument, NULL, NULL);
	char request[REQUEST], answer[ANSWER] = "answer";

	if (fd < 0)
		die("accept");
	while (receive_all(fd, request, sizeof(request)))
		send_all(fd, answer, sizeof(answer));
	close(fd);
	return NULL;
}

static int listen_somewhere(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || bind(fd, (struct sockaddr *)address, length) != 0 || listen(fd, 1) != 0)
		die("listen");
	getsockname(fd, (struct sockaddr *)address, &length);
	return fd;
}

static void ask(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char request[REQUEST] = "request", answer[ANSWER];

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
		die("connect");
	for (int i = 0; i < REQUESTS; i++) {
		send_all(fd, request, sizeof(request));
		if (!receive_all(fd, answer, sizeof(answer)))
			exit(1);
	}
	close(fd);
}

int main(void)
{
	struct sockaddr_in address;
	int listener = listen_somewhere(&address);
	pthread_t server;

	pthread_create(&server, NULL, serve, &listener);
	ask(&address);
	pthread_join(server, NULL);
	close(listener);
	printf("truth: address=127.0.0.1:%d\n", ntohs(address.sin_port));
	printf("truth: client.sent_bytes=%d\n", REQUESTS * REQUEST);
	printf("truth: client.received_bytes=%d\n", REQUESTS * ANSWER);
	return 0;
}
