/* SPDX-License-Identifier: MIT */
/*
 * The calls that move bytes between two descriptors, or several buffers or
 * messages at once: each with a size of its own, over files, pipes, TCP and UDP.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "truth.h"

static char buffer[1 << 16];

static struct iovec halves(size_t total, int which)
{
	size_t first = total / 3;

	return (struct iovec){.iov_base = buffer + (which ? first : 0),
			      .iov_len = which ? total - first : first};
}

#define BOTH(total)                                                                                \
	(struct iovec[])                                                                           \
	{                                                                                          \
		halves(total, 0), halves(total, 1)                                                 \
	}

static int new_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(fd >= 0);
	return fd;
}

static void vectors(int source)
{
	int fd = new_file("vectors");

	expect(pwritev(fd, BOTH(1001), 2, 0) == 1001);
	expect(pwritev2(fd, BOTH(1003), 2, 1001, 0) == 1003);
	expect(pwritev2(fd, BOTH(107), 2, -1, 0) == 107);
	expect(writev(fd, BOTH(109), 2) == 109);
	expect(preadv(source, BOTH(2003), 2, 10) == 2003);
	expect(preadv2(source, BOTH(2011), 2, 100, 0) == 2011);
	expect(preadv2(source, BOTH(211), 2, -1, 0) == 211);
	expect(readv(source, BOTH(223), 2) == 223);
	expect(preadv(fd, BOTH(5000), 2, 100000) == 0);
	expect(preadv(-1, BOTH(5000), 2, 0) == -1);
	close(fd);
}

static void file_to_file(int source)
{
	int copied = new_file("copied"), sent = new_file("sent");
	off_t from = 50, to = 7;

	expect(copy_file_range(source, &from, copied, &to, 3001, 0) == 3001);
	expect(copy_file_range(source, &from, copied, NULL, 311, 0) == 311);
	from = 1000;
	expect(sendfile(sent, source, &from, 4001) == 4001);
	expect(lseek(source, 0, SEEK_SET) == 0);
	expect(sendfile(sent, source, NULL, 4003) == 4003);
	expect(sendfile(sent, -1, NULL, 4003) == -1);
	close(copied);
	close(sent);
}

static void through_pipes(int source)
{
	int one[2], two[2], out = new_file("spliced");
	off_t from = 3;

	expect(pipe(one) == 0 && pipe(two) == 0);
	expect(splice(source, &from, one[1], NULL, 5003, 0) == 5003);
	expect(tee(one[0], two[1], 5003, 0) == 5003);
	expect(splice(one[0], NULL, out, NULL, 5003, 0) == 5003);
	expect(read(two[0], buffer, sizeof(buffer)) == 5003);
	expect(vmsplice(one[1], BOTH(6007), 2, 0) == 6007);
	expect(splice(one[0], NULL, two[1], NULL, 6007, 0) == 6007);
	expect(splice(two[0], NULL, out, NULL, 6007, 0) == 6007);
	close(out);
	for (int i = 0; i < 2; i++)
		expect(close(one[i]) == 0 && close(two[i]) == 0);
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

static void receive(int fd, size_t count)
{
	while (count > 0) {
		ssize_t got = recv(fd, buffer, count, 0);

		expect(got > 0);
		if (got <= 0)
			return;
		count -= (size_t)got;
	}
}

static void over_tcp(int source)
{
	struct sockaddr_in address;
	int listener = bound(SOCK_STREAM, &address), client = socket(AF_INET, SOCK_STREAM, 0);
	int server, pipe_of[2], out = new_file("received");
	off_t from = 11;

	expect(listen(listener, 1) == 0 && pipe(pipe_of) == 0);
	expect(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
	server = accept(listener, NULL, NULL);
	expect(sendfile(server, source, &from, 7001) == 7001);
	receive(client, 7001);
	expect(splice(source, &from, pipe_of[1], NULL, 701, 0) == 701);
	expect(splice(pipe_of[0], NULL, client, NULL, 701, 0) == 701);
	expect(splice(server, NULL, pipe_of[1], NULL, 701, 0) == 701);
	expect(splice(pipe_of[0], NULL, out, NULL, 701, 0) == 701);
	expect(writev(client, BOTH(719), 2) == 719);
	receive(server, 719);
	close(server), close(client), close(listener), close(out);
	close(pipe_of[0]), close(pipe_of[1]);
}

static void over_udp(void)
{
	struct sockaddr_in addresses[2];
	int a = bound(SOCK_DGRAM, &addresses[0]), b = bound(SOCK_DGRAM, &addresses[1]);
	struct iovec parts[4], rooms[4];
	struct mmsghdr out[4] = {0}, in[4] = {0};

	expect(connect(a, (struct sockaddr *)&addresses[1], sizeof(addresses[1])) == 0);
	expect(connect(b, (struct sockaddr *)&addresses[0], sizeof(addresses[0])) == 0);
	for (int i = 0; i < 4; i++) {
		parts[i] = (struct iovec){buffer, 800 + 10 * (size_t)i};
		rooms[i] = (struct iovec){buffer + 4096 * (i + 1), 4096};
		out[i].msg_hdr.msg_iov = &parts[i];
		in[i].msg_hdr.msg_iov = &rooms[i];
		out[i].msg_hdr.msg_iovlen = in[i].msg_hdr.msg_iovlen = 1;
	}
	expect(sendmmsg(a, out, 3, 0) == 3);
	expect(send(a, buffer, 900, 0) == 900);
	expect(recvmmsg(b, in, 3, 0, NULL) == 3);
	/* Fewer have come than there is room for. */
	expect(recvmmsg(b, in, 4, MSG_DONTWAIT, NULL) == 1 && in[0].msg_len == 900);
	expect(recvmmsg(b, in, 4, MSG_DONTWAIT, NULL) == -1);
	close(a), close(b);
}

int main(void)
{
	int source = new_file("source");

	for (size_t i = 0; i < sizeof(buffer); i++)
		buffer[i] = (char)('a' + i * 7919 % 26);
	expect(write(source, buffer, 20000) == 20000);
	expect(lseek(source, 0, SEEK_SET) == 0);
	vectors(source);
	file_to_file(source);
	through_pipes(source);
	over_tcp(source);
	over_udp();
	close(source);
	return wrongs != 0;
}
