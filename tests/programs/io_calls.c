/* SPDX-License-Identifier: MIT */
/* Every function that moves bytes or makes descriptors, on a file "data", pipes
 * and sockets in the working directory. io_fortified.c is the same source
 * compiled so that libc's checked names are imported. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "truth.h"

#ifdef FORTIFIED
#define CHECKED(name)	   "__" name "_chk"
#define CHECKED_OPEN(name) "__" name "_2"
#else
#define CHECKED(name)	   name
#define CHECKED_OPEN(name) name
#endif

/* Values that the compiler cannot see: it then has to call the checked names. */
static volatile size_t room = 4096;
static volatile int read_only = O_RDONLY;

static unsigned long long read_bytes, written_bytes, read_calls, write_calls;
static unsigned long long sent_bytes, received_bytes, send_calls, receive_calls;

static ssize_t moved(const char *name, ssize_t result, unsigned long long *bytes,
		     unsigned long long *calls)
{
	called(name);
	expect(result > 0);
	*bytes += result > 0 ? (unsigned long long)result : 0;
	++*calls;
	return result;
}

#define READ(name, call)  moved(name, call, &read_bytes, &read_calls)
#define WRITE(name, call) moved(name, call, &written_bytes, &write_calls)
#define SEND(name, call)  moved(name, call, &sent_bytes, &send_calls)
#define RECV(name, call)  moved(name, call, &received_bytes, &receive_calls)

static int opened(const char *name, int fd)
{
	called(name);
	expect(fd >= 0);
	return fd;
}

static void closed(int fd)
{
	called("close");
	expect(close(fd) == 0);
}

static void write_file(void)
{
	char buffer[4096] = "content";
	struct iovec parts[] = {{buffer, 100}, {buffer, 11}};
	int fd = opened("open", open("data", O_RDWR | O_CREAT | O_TRUNC, 0644));

	WRITE("write", write(fd, buffer, room));
	WRITE("pwrite", pwrite(fd, buffer, 1000, 5000));
	WRITE("pwrite", pwrite64(fd, buffer, 500, 10000));
	WRITE("writev", writev(fd, parts, 2));
	closed(fd);
}

static void read_back(void)
{
	char buffer[4096];
	struct iovec parts[] = {{buffer, 64}, {buffer + 64, 64}};
	int fd = opened(CHECKED_OPEN("open"), open("data", read_only));

	READ(CHECKED("read"), read(fd, buffer, room));
	READ(CHECKED("pread"), pread(fd, buffer, room / 2, 100));
	READ(CHECKED("pread"), pread64(fd, buffer, room / 4, 200));
	READ("readv", readv(fd, parts, 2));
	/* Past the end: a call that moves nothing. */
	called(CHECKED("pread"));
	read_calls++;
	expect(pread(fd, buffer, room, 1 << 20) == 0);
	closed(fd);
	fd = opened(CHECKED_OPEN("open"), open64("data", read_only));
	READ("read", read(fd, buffer, 10));
	closed(fd);
	fd = opened(CHECKED_OPEN("openat"), openat(AT_FDCWD, "data", read_only));
	closed(fd);
	fd = opened(CHECKED_OPEN("openat"), openat64(AT_FDCWD, "data", read_only));
	closed(fd);
	fd = opened("openat", openat(AT_FDCWD, "data", O_RDONLY));
	READ("pread", pread(fd, buffer, 20, 0));
	closed(fd);
}

static void descriptors(void)
{
	int fd = opened("creat", creat("other", 0644)), copy;
	FILE *stream;

	closed(opened("creat", creat64("other", 0644)));
	copy = opened("dup", dup(fd));
	expect(opened("dup2", dup2(fd, 40)) == 40);
	expect(opened("dup3", dup3(fd, 41, O_CLOEXEC)) == 41);
	expect(write(copy, "1", 1) == 1 && write(40, "22", 2) == 2 && write(41, "333", 3) == 3);
	for (int i = 0; i < 3; i++)
		called("write");
	truth("other.written_bytes", 6);
	closed(copy);
	closed(40);
	closed(41);
	closed(fd);
	stream = fopen("other", "r");
	called("fopen");
	expect(stream != NULL && fclose(stream) == 0);
	called("fclose");
	stream = fopen64("other", "r");
	called("fopen");
	expect(stream != NULL && fclose(stream) == 0);
	called("fclose");
}

static void pipes(void)
{
	char buffer[64];
	int ends[2];

	for (int flags = 0; flags < 2; flags++) {
		expect((flags ? pipe2(ends, O_CLOEXEC) : pipe(ends)) == 0);
		called(flags ? "pipe2" : "pipe");
		expect(write(ends[1], "through", 7) == 7);
		called("write");
		expect(read(ends[0], buffer, 7) == 7);
		called("read");
		closed(ends[0]);
		closed(ends[1]);
	}
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	called("socketpair");
	closed(ends[0]);
	closed(ends[1]);
	truth("pipe_bytes", 14);
}

/* Each way to send, received in each way. */
static void converse(int a, int b)
{
	char buffer[4096] = "hello";
	struct iovec part = {buffer, 300};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	SEND("send", send(a, buffer, 100, 0));
	RECV(CHECKED("recv"), recv(b, buffer, room, 0));
	SEND("sendto", sendto(a, buffer, 200, 0, NULL, 0));
	RECV(CHECKED("recvfrom"), recvfrom(b, buffer, room, 0, NULL, NULL));
	SEND("sendmsg", sendmsg(a, &message, 0));
	RECV("recvmsg", recvmsg(b, &message, 0));
	SEND("write", write(a, buffer, 10));
	RECV("read", read(b, buffer, 10));
	SEND("send", send(a, buffer, 20, 0));
	RECV("recv", recv(b, buffer, 20, 0));
	SEND("sendto", sendto(a, buffer, 30, 0, NULL, 0));
	RECV("recvfrom", recvfrom(b, buffer, 30, 0, NULL, NULL));
}

static void over_tcp(bool flags)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = opened("socket", socket(AF_INET, SOCK_STREAM, 0));
	int client = opened("socket", socket(AF_INET, SOCK_STREAM, 0)), server;

	expect(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(listen(listener, 1) == 0);
	getsockname(listener, (struct sockaddr *)&address, &length);
	called("connect");
	expect(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
	if (flags)
		server = opened("accept4", accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	else
		server = opened("accept", accept(listener, NULL, NULL));
	converse(client, server);
	closed(client);
	closed(server);
	closed(listener);
}

/* Where the compiler knows the buffer. */
static void links(void)
{
	char target[64];
	ssize_t length;

	expect(symlink("data", "link") == 0);
	length = readlink("link", target, room < sizeof(target) ? room : sizeof(target) - room % 7);
	called("readlink");
	expect(length == 4 && memcmp(target, "data", 4) == 0);
	unlink("link");
}

/* A number that the compiler does not know, in an array that it does. */
static void wait_for_nothing(nfds_t count)
{
	const struct timespec a_while = {0, 5000000};
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};

	called(CHECKED("poll"));
	expect(poll(fds, count, 5) == 0);
	called(CHECKED("ppoll"));
	expect(ppoll(fds, count, &a_while, NULL) == 0);
}

int main(int argc, char **argv)
{
	truth_begin(argc, argv);
	if (baseline)
		return 0;
	write_file();
	read_back();
	descriptors();
	pipes();
	over_tcp(false);
	over_tcp(true);
	links();
	wait_for_nothing((nfds_t)argc);
	truth("data.read_bytes", read_bytes);
	truth("data.written_bytes", written_bytes);
	truth("data.read_calls", read_calls);
	truth("data.write_calls", write_calls);
	truth("sent_bytes", sent_bytes);
	truth("received_bytes", received_bytes);
	truth("send_calls", send_calls);
	truth("receive_calls", receive_calls);
	called_say();
	return wrongs != 0;
}
