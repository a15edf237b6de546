/* SPDX-License-Identifier: MIT */
/*
 * Sockets of every family and fate, and for each what is to be reported of it:
 *     truth: connection=FAMILY TYPE SENT RECEIVED LOCAL PEER OPENED_BY CLOSED_BY ERROR MORE
 * with - for what is not known; MORE: "listening", "several" peers, or -.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "truth.h"

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	socklen_t length;
};

struct expected {
	const char *family, *type;
	unsigned sent, received;
	const char *local, *peer, *opened_by, *closed_by, *error, *more;
};

static char buffer[1024];

/* ---- names ----------------------------------------------------------------------- */

static const char *or_none(const char *s)
{
	return s != NULL ? s : "-";
}

static void is_expected(struct expected e)
{
	say("truth: connection=%s %s %u %u %s %s %s %s %s %s\n", or_none(e.family), or_none(e.type),
	    e.sent, e.received, or_none(e.local), or_none(e.peer), or_none(e.opened_by),
	    or_none(e.closed_by), or_none(e.error), or_none(e.more));
}

static const char *family_name(const struct address *a)
{
	return a->any.sa_family == AF_INET    ? "inet"
	       : a->any.sa_family == AF_INET6 ? "inet6"
					      : "unix";
}

/* As the report is to print it, in memory that stays. */
static const char *address_name(const struct address *a)
{
	char *text = keep(malloc(128)), number[64];
	size_t path = a->length - offsetof(struct sockaddr_un, sun_path);

	if (a->any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->in.sin_addr, number, sizeof(number));
		snprintf(text, 128, "%s:%u", number, ntohs(a->in.sin_port));
	} else if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->in6.sin6_addr, number, sizeof(number));
		snprintf(text, 128, "[%s]:%u", number, ntohs(a->in6.sin6_port));
	} else if (a->length <= offsetof(struct sockaddr_un, sun_path) || path > 100) {
		return NULL;
	} else if (a->un.sun_path[0] == '\0') {
		snprintf(text, 128, "@%.*s", (int)path - 1, a->un.sun_path + 1);
	} else {
		snprintf(text, 128, "%.*s", (int)path, a->un.sun_path);
	}
	return text;
}

static const char *local_name(int fd)
{
	struct address a = {.length = sizeof(struct sockaddr_un)};

	expect(getsockname(fd, &a.any, &a.length) == 0);
	return address_name(&a);
}

static struct address in_address(void)
{
	return (struct address){
		.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.length = sizeof(struct sockaddr_in)};
}

static struct address in6_address(void)
{
	return (struct address){
		.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT},
		.length = sizeof(struct sockaddr_in6)};
}

/* A name that begins with @ is abstract. */
static struct address unix_address(const char *path)
{
	struct address a = {.un = {.sun_family = AF_UNIX}};

	strcpy(a.un.sun_path, path);
	a.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		a.un.sun_path[0] = '\0';
	else
		a.length++;
	return a;
}

/* ---- streams --------------------------------------------------------------------- */

/* Bound and listening; `address` becomes what it is bound to. */
static int make_listener(struct address *address)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM, 0);

	expect(fd >= 0 && bind(fd, &address->any, address->length) == 0 && listen(fd, 1) == 0);
	address->length = sizeof(struct sockaddr_un);
	getsockname(fd, &address->any, &address->length);
	is_expected((struct expected){.family = family_name(address),
				      .type = "stream",
				      .local = address_name(address),
				      .more = "listening"});
	return fd;
}

struct both {
	int client, server;
	struct expected of_client, of_server;
};

static struct both make_connection(struct address address)
{
	int listener = make_listener(&address);
	struct both b = {.client = socket(address.any.sa_family, SOCK_STREAM, 0)};
	const char *family = family_name(&address), *name = address_name(&address);

	expect(connect(b.client, &address.any, address.length) == 0);
	b.server = accept(listener, NULL, NULL);
	expect(b.server >= 0 && close(listener) == 0);
	b.of_client = (struct expected){.family = family,
					.type = "stream",
					.local = local_name(b.client),
					.peer = name,
					.opened_by = "connect"};
	b.of_server = (struct expected){.family = family,
					.type = "stream",
					.local = name,
					.peer = b.of_client.local,
					.opened_by = "accept"};
	return b;
}

static void send_some(struct expected *from, int fd, struct expected *to, int other, unsigned bytes)
{
	expect(send(fd, buffer, bytes, 0) == (ssize_t)bytes);
	expect(recv(other, buffer, bytes, MSG_WAITALL) == (ssize_t)bytes);
	from->sent += bytes;
	to->received += bytes;
}

/* The client closes first; the server learns it. */
static void converse(struct address address, unsigned ask, unsigned answer)
{
	struct both b = make_connection(address);

	send_some(&b.of_client, b.client, &b.of_server, b.server, ask);
	send_some(&b.of_server, b.server, &b.of_client, b.client, answer);
	close(b.client);
	expect(recv(b.server, buffer, sizeof(buffer), 0) == 0);
	close(b.server);
	b.of_client.closed_by = "local";
	b.of_server.closed_by = "peer";
	is_expected(b.of_client);
	is_expected(b.of_server);
}

/* The client goes without a word: the server's next call fails. */
static void reset(void)
{
	struct both b = make_connection(in_address());
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	send_some(&b.of_client, b.client, &b.of_server, b.server, 11);
	expect(setsockopt(b.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
	close(b.client);
	expect(recv(b.server, buffer, sizeof(buffer), 0) == -1 && errno == ECONNRESET);
	close(b.server);
	b.of_client.closed_by = "local";
	b.of_server.closed_by = "reset";
	is_expected(b.of_client);
	is_expected(b.of_server);
}

/* Nobody listens where somebody did. */
static void refused(void)
{
	struct address address = in_address();
	int listener = make_listener(&address), fd = socket(AF_INET, SOCK_STREAM, 0);

	close(listener);
	expect(connect(fd, &address.any, address.length) == -1 && errno == ECONNREFUSED);
	is_expected((struct expected){.family = "inet",
				      .type = "stream",
				      .local = local_name(fd),
				      .peer = address_name(&address),
				      .opened_by = "connect",
				      .error = "ECONNREFUSED"});
	close(fd);
}

/* Whichever function moves the bytes: they are a socket's. */
static void by_other_functions(void)
{
	struct both b = make_connection(in_address());
	struct iovec parts[] = {{buffer, 10}, {buffer, 22}};
	int file = open("sent", O_RDWR | O_CREAT | O_TRUNC, 0644), ends[2];

	expect(file >= 0 && syscall(SYS_ftruncate, file, 1000) == 0 && pipe(ends) == 0);
	expect(write(b.client, buffer, 31) == 31 && writev(b.client, parts, 2) == 32);
	expect(sendfile(b.client, file, NULL, 33) == 33);
	expect(splice(file, NULL, ends[1], NULL, 34, 0) == 34);
	expect(splice(ends[0], NULL, b.client, NULL, 34, 0) == 34);
	b.of_client.sent = 31 + 32 + 33 + 34;
	expect(recv(b.server, buffer, 130, MSG_PEEK | MSG_WAITALL) == 130);
	expect(read(b.server, buffer, 31) == 31 && readv(b.server, parts, 2) == 32);
	expect(splice(b.server, NULL, ends[1], NULL, 67, 0) == 67);
	expect(splice(ends[0], NULL, file, NULL, 67, 0) == 67);
	b.of_server.received = 130 + 130; /* looked at, and taken */
	close(b.server);
	expect(read(b.client, buffer, 1) == 0);
	close(b.client);
	b.of_server.closed_by = "local";
	b.of_client.closed_by = "peer";
	is_expected(b.of_client);
	is_expected(b.of_server);
	close(file);
	close(ends[0]);
	close(ends[1]);
	truth("sent.read_bytes", 33 + 34);
	truth("sent.written_bytes", 67);
}

static void pair(void)
{
	struct expected one = {.family = "unix", .type = "stream", .opened_by = "socketpair"};
	struct expected other = one;
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	send_some(&one, fds[0], &other, fds[1], 21);
	/* Marked, not closed: it is still the same. */
	expect(close_range((unsigned)fds[0], (unsigned)fds[1], CLOSE_RANGE_CLOEXEC) == 0);
	send_some(&one, fds[0], &other, fds[1], 22);
	expect(shutdown(fds[0], SHUT_WR) == 0 && read(fds[1], buffer, 1) == 0);
	close(fds[0]);
	close(fds[1]);
	one.closed_by = "local";
	other.closed_by = "peer";
	is_expected(one);
	is_expected(other);
}

/* ---- datagrams -------------------------------------------------------------------- */

static int make_datagram_socket(struct address *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*address = in_address();
	expect(fd >= 0 && bind(fd, &address->any, address->length) == 0);
	expect(getsockname(fd, &address->any, &address->length) == 0);
	return fd;
}

static void send_to(int fd, const struct address *to, unsigned bytes)
{
	expect(sendto(fd, buffer, bytes, 0, &to->any, to->length) == (ssize_t)bytes);
}

static void receive_from(int fd, const struct address *from, unsigned bytes)
{
	struct address a = {.length = sizeof(struct sockaddr_un)};

	expect(recvfrom(fd, buffer, sizeof(buffer), 0, &a.any, &a.length) == (ssize_t)bytes);
	expect(a.in.sin_port == from->in.sin_port);
}

static void datagram_expected(const struct address *local, const struct address *peer,
			      unsigned sent, unsigned received, const char *opened_by,
			      const char *more)
{
	is_expected((struct expected){.family = "inet",
				      .type = "dgram",
				      .sent = sent,
				      .received = received,
				      .local = address_name(local),
				      .peer = peer != NULL ? address_name(peer) : NULL,
				      .opened_by = opened_by,
				      .more = more});
}

/* The first speaks with the second alone, the third to the second and the fourth, and
 * the last is connected to the fourth. */
static void datagrams(void)
{
	struct address of[5];
	int fds[5];

	for (int i = 0; i < 5; i++)
		fds[i] = make_datagram_socket(&of[i]);
	send_to(fds[0], &of[1], 41);
	receive_from(fds[1], &of[0], 41);
	send_to(fds[0], &of[1], 42);
	receive_from(fds[1], &of[0], 42);
	send_to(fds[1], &of[0], 40);
	receive_from(fds[0], &of[1], 40);
	send_to(fds[2], &of[1], 43);
	receive_from(fds[1], &of[2], 43);
	send_to(fds[2], &of[3], 44);
	receive_from(fds[3], &of[2], 44);
	expect(connect(fds[4], &of[3].any, of[3].length) == 0);
	expect(send(fds[4], buffer, 45, 0) == 45);
	receive_from(fds[3], &of[4], 45);
	datagram_expected(&of[0], &of[1], 41 + 42, 40, NULL, NULL);
	datagram_expected(&of[1], NULL, 40, 41 + 42 + 43, NULL, "several");
	datagram_expected(&of[2], NULL, 43 + 44, 0, NULL, "several");
	datagram_expected(&of[3], NULL, 0, 44 + 45, NULL, "several");
	datagram_expected(&of[4], &of[3], 45, 0, "connect", NULL);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

static bool have_ipv6(void)
{
	struct address a = in6_address();
	int fd = (int)system_call(SYS_socket, AF_INET6, SOCK_STREAM, 0);
	bool have = fd >= 0 && system_call(SYS_bind, fd, &a.any, a.length) == 0;

	system_call(SYS_close, fd);
	return have;
}

int main(int argc, char **argv)
{
	truth_begin(argc, argv);
	converse(in_address(), 101, 102);
	if (have_ipv6())
		converse(in6_address(), 103, 104);
	converse(unix_address("path.sock"), 105, 106);
	converse(unix_address("@perfhook-test"), 107, 108);
	reset();
	refused();
	by_other_functions();
	pair();
	datagrams();
	return wrongs != 0;
}
