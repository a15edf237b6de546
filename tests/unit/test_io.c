/* SPDX-License-Identifier: MIT */
/* Files and sockets, from traces made by hand. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "analyzer/run.h"
#include "analyzer/sockaddr.h"

#include <cmocka.h>

#include "tests/unit/one_run.h"

static void load(const char *name)
{
	load_made(name);
	assert_true(run.complete);
}

static void call(uint32_t stream, uint64_t stamp, unsigned op, int fd, uint32_t object,
		 uint64_t duration, int64_t result)
{
	make_call(&t, stream, stamp,
		  (struct ph_call){.op = (uint8_t)op,
				   .fd = fd,
				   .object = object,
				   .entry = stamp,
				   .duration = duration,
				   .result = result},
		  NULL, 0);
}

static void name_file(uint32_t stream, uint64_t stamp, uint32_t object, int fd, const char *path)
{
	make_object(&t, stream, stamp, object, fd,
		    (struct ph_object){.class = PH_CLASS_FILE, .origin = PH_ORIGIN_OPENED}, path,
		    NULL, NULL);
}

static const struct file *file(const char *path)
{
	for (size_t i = 0; i < run.file_count; i++) {
		if (strcmp(run.files[i].path, path) == 0)
			return &run.files[i];
	}
	fail_msg("no file %s", path);
	return NULL;
}

static void assert_near(double got, double wanted)
{
	if (!(fabs(got - wanted) < 1e-9 + 1e-6 * fabs(wanted)))
		fail_msg("%.17g, not %.17g", got, wanted);
}

static void test_files(void **state)
{
	(void)state;
	call(1, 1 * MS, PH_OP_open, -1, 1, 10, 3);
	name_file(1, 1 * MS, 1, 3, "/tmp/a");
	call(1, 2 * MS, PH_OP_read, 3, 1, 2000, 100);
	call(1, 3 * MS, PH_OP_read, 3, 1, 4000, -EAGAIN);
	call(1, 4 * MS, PH_OP_write, 3, 1, 6000, 50);
	call(1, 5 * MS, PH_OP_close, 3, 1, 0, 0);
	/* Opened again: another object, the same path. */
	name_file(1, 6 * MS, 2, 3, "/tmp/a");
	call(1, 6 * MS, PH_OP_open, -1, 2, 10, 3);
	call(1, 7 * MS, PH_OP_pread, 3, 2, 8000, 1000);
	name_file(1, 8 * MS, 3, 4, "/tmp/b");
	call(1, 9 * MS, PH_OP_writev, 4, 3, 1 * MS, 5000);
	call(1, 10 * MS, PH_OP_open, -1, 0, 10, -ENOENT);
	load("files");
	assert_int_equal(run.file_count, 2);
	assert_string_equal(run.files[0].path, "/tmp/b"); /* most bytes first */
	assert_int_equal(file("/tmp/a")->traffic.read_bytes, 1100);
	assert_int_equal(file("/tmp/a")->traffic.written_bytes, 50);
	assert_int_equal(file("/tmp/a")->traffic.read_calls, 3);
	assert_int_equal(file("/tmp/a")->traffic.write_calls, 1);
	assert_int_equal(file("/tmp/a")->traffic.errors, 1);
	assert_int_equal(file("/tmp/a")->opens, 2);
	assert_near(file("/tmp/a")->traffic.time_s, 20e-6);
	assert_near(file("/tmp/a")->traffic.write_time_s, 6e-6);
	assert_near(file("/tmp/a")->first_at_s, 2e-3);
	assert_near(file("/tmp/a")->last_at_s, 7.008e-3);
	assert_int_equal(file("/tmp/a")->traffic.latency.count, 4);
	assert_near(file("/tmp/a")->traffic.latency.max, 8);
	assert_near(file("/tmp/a")->traffic.latency.p50, 4);
	assert_int_equal(run.io.total.read_bytes, 1100);
	assert_int_equal(run.io.total.written_bytes, 5050);
	assert_int_equal(run.io.total.latency.count, 5);
	assert_near(run.io.total.latency.max, 1000);
	assert_int_equal(run.sockets.total.read_calls, 0);
	assert_int_equal(run.threads[0].read_bytes, 1100);
	assert_int_equal(run.threads[0].written_bytes, 5050);
	assert_near(run.threads[0].reading_s, 14e-6);
}

static void test_rates(void **state)
{
	double bytes = 0, width;

	(void)state;
	name_file(1, 0, 1, 3, "/tmp/a");
	for (uint64_t i = 0; i < 1000; i++)
		call(1, i * MS, PH_OP_read, 3, 1, 0, 64);
	load("rates");
	assert_in_range(run.io.timeline_count, 64, 128);
	width = run.io.timeline[1].at_s;
	for (size_t i = 0; i < run.io.timeline_count; i++) {
		bytes += run.io.timeline[i].read_bytes_per_s * width;
		assert_near(run.io.timeline[i].written_bytes_per_s, 0);
		assert_near(run.io.timeline[i].at_s, (double)i * width);
	}
	assert_near(bytes, 64000);
	assert_int_equal(run.sockets.timeline_count, 0);
}

static void test_top_node(void **state)
{
	uint32_t a = make_node(&t, 0, 0xa), b = make_node(&t, 0, 0xb);
	struct ph_call c = {.op = PH_OP_read, .fd = 3, .object = 1, .result = 1};

	(void)state;
	/* Part of it before the name is known, part after. */
	c.node = a, c.duration = 600;
	make_call(&t, 1, 1, c, NULL, 0);
	c.node = b, c.duration = 1000;
	make_call(&t, 1, 1, c, NULL, 0);
	name_file(1, 2, 1, 3, "/tmp/a");
	c.node = a, c.duration = 500;
	make_call(&t, 1, 3, c, NULL, 0);
	load("top");
	assert_int_equal(run.file_count, 1);
	assert_int_equal(run.addresses[run.nodes[file("/tmp/a")->top_node].address].pc, 0xa);
	assert_int_equal(file("/tmp/a")->traffic.read_calls, 3);
}

/* In one tie, the stream that uses comes before the one that describes. */
static void test_use_waits_for_the_description(void **state)
{
	struct ph_object socket = {
		.class = PH_CLASS_SOCKET, .family = AF_INET, .type = SOCK_STREAM};

	(void)state;
	call(1, 5, PH_OP_read, 7, 1, 10, 100);
	call(1, 5, PH_OP_write, 8, 2, 10, 200);
	make_object(&t, 2, 5, 1, 7, socket, "", NULL, NULL);
	name_file(2, 5, 2, 8, "/tmp/late");
	load("late");
	assert_int_equal(run.sockets.total.read_bytes, 100);
	assert_int_equal(run.threads[0].received_bytes, 100);
	assert_int_equal(run.threads[0].written_bytes, 200);
	assert_int_equal(file("/tmp/late")->traffic.written_bytes, 200);
	assert_int_equal(run.file_count, 1);
}

static void test_unknown_descriptors(void **state)
{
	(void)state;
	call(1, 1, PH_OP_read, 9, 0, 1, 5);
	call(1, 2, PH_OP_read, 9, 77, 1, 6); /* never described */
	call(2, 2, PH_OP_read, 9, 78, 1, 7); /* nor this, in a tie */
	call(1, 3, PH_OP_read, 4, 0, 1, 8);
	load("unknown");
	assert_int_equal(run.file_count, 2);
	assert_int_equal(file("fd 9")->traffic.read_bytes, 18);
	assert_int_equal(file("fd 4")->traffic.read_bytes, 8);
	assert_int_equal(run.io.total.read_bytes, 26);
}

static struct sockaddr_in inet(const char *address, unsigned port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	unsigned b[4];

	assert_int_equal(sscanf(address, "%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3]), 4);
	in.sin_addr.s_addr = htonl(b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
	return in;
}

static void test_connect(void **state)
{
	struct sockaddr_in local = inet("10.0.0.1", 5555), peer = inet("10.0.0.2", 80);
	struct ph_object o = {.class = PH_CLASS_SOCKET,
			      .origin = PH_ORIGIN_OPENED,
			      .family = AF_INET,
			      .type = SOCK_STREAM};

	(void)state;
	call(1, 1 * MS, PH_OP_socket, -1, 1, 1000, 5);
	make_object(&t, 1, 1 * MS, 1, 5, o, "", NULL, NULL);
	call(1, 2 * MS, PH_OP_connect, 5, 1, 3000, -EINPROGRESS);
	call(1, 4 * MS, PH_OP_connect, 5, 1, 1000, 0);
	o.origin = PH_ORIGIN_CONNECT;
	o.local_bytes = o.peer_bytes = sizeof(local);
	make_object(&t, 1, 4 * MS, 1, 5, o, "", &local, &peer);
	call(1, 5 * MS, PH_OP_send, 5, 1, 1000, 10);
	call(1, 6 * MS, PH_OP_recv, 5, 1, 2 * MS, 2000);
	call(1, 9 * MS, PH_OP_recv, 5, 1, 1000, -ECONNRESET);
	call(1, 10 * MS, PH_OP_close, 5, 1, 1000, 0);
	call(1, 11 * MS, PH_OP_socket, -1, 2, 1000, 5);
	call(1, 12 * MS, PH_OP_connect, 5, 2, 1000, -ECONNREFUSED);
	load("connect");
	assert_int_equal(run.connection_count, 2);
	const struct connection *c = &run.connections[0];

	assert_int_equal(c->fd, 5);
	assert_string_equal(c->family, "inet");
	assert_string_equal(c->type, "stream");
	assert_string_equal(c->local, "10.0.0.1:5555");
	assert_string_equal(c->peer, "10.0.0.2:80");
	assert_string_equal(c->opened_by, "connect");
	assert_near(c->opened_at_s, 2e-3);
	assert_near(c->closed_at_s, 10.001e-3);
	assert_near(c->connect_s, 2.001e-3);
	assert_int_equal(c->connect_errno, 0);
	assert_int_equal(c->traffic.written_bytes, 10);
	assert_int_equal(c->traffic.read_bytes, 2000);
	assert_int_equal(c->traffic.errors, 1);
	assert_int_equal(run.sockets.total.errors, 1);
	assert_int_equal(run.sockets.total.read_calls, 2);
	assert_int_equal(run.file_count, 0);
	assert_near(run.threads[0].network_s, 2.007e-3);
	assert_int_equal(run.threads[0].sent_bytes, 10);
	assert_int_equal(run.threads[0].received_bytes, 2000);
	assert_int_equal(run.connections[1].connect_errno, ECONNREFUSED);
	assert_true(isnan(run.connections[1].closed_at_s));
	assert_null(run.connections[1].peer);
	assert_true(run.sockets.timeline_count > 0);
}

static void test_accept_and_others(void **state)
{
	struct sockaddr_in peer = inet("1.2.3.4", 1);
	struct ph_object o = {.class = PH_CLASS_SOCKET, .family = AF_INET, .type = SOCK_STREAM};

	(void)state;
	o.origin = PH_ORIGIN_INHERITED;
	make_object(&t, 1, 1 * MS, 1, 3, o, "", NULL, NULL);
	o.origin = PH_ORIGIN_ACCEPT;
	o.peer_bytes = sizeof(peer);
	make_object(&t, 1, 2 * MS, 2, 4, o, "", NULL, &peer);
	call(1, 2 * MS, PH_OP_accept4, 3, 2, 1 * MS, 4);
	o.origin = PH_ORIGIN_SOCKETPAIR;
	o.peer_bytes = 0;
	o.family = AF_UNIX;
	o.type = SOCK_SEQPACKET;
	make_object(&t, 1, 4 * MS, 3, 6, o, "", NULL, NULL);
	call(1, 5 * MS, PH_OP_accept, 3, 0, 10, -EAGAIN);
	load("accept");
	assert_int_equal(run.connection_count, 3);
	assert_string_equal(run.connections[0].opened_by, "inherited");
	assert_string_equal(run.connections[1].opened_by, "accept");
	assert_string_equal(run.connections[1].peer, "1.2.3.4:1");
	assert_near(run.connections[1].opened_at_s, 3e-3);
	assert_string_equal(run.connections[2].opened_by, "socketpair");
	assert_string_equal(run.connections[2].type, "seqpacket");
	assert_string_equal(run.connections[2].family, "unix");
}

/* dup shares the object; the last close closes it. */
static void test_dup_and_close(void **state)
{
	struct ph_object o = {.class = PH_CLASS_SOCKET, .family = AF_INET, .type = SOCK_DGRAM};

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		call(1, i * MS, PH_OP_socket, -1, i, 0, 2 + (int)i);
		make_object(&t, 1, i * MS, i, 2 + (int)i, o, "", NULL, NULL);
	}
	call(1, 10 * MS, PH_OP_dup, 3, 1, 0, 10);
	call(1, 11 * MS, PH_OP_close, 3, 1, 0, 0);
	call(1, 12 * MS, PH_OP_close, 3, 0, 0, -EBADF);
	call(1, 13 * MS, PH_OP_close, 10, 1, 0, 0); /* 1 ends here */
	call(1, 14 * MS, PH_OP_dup2, 4, 2, 0, 5);   /* 3 ends here */
	call(1, 15 * MS, PH_OP_dup2, 4, 2, 0, 5);   /* once more: as it was */
	call(1, 16 * MS, PH_OP_close, 4, 2, 0, 0);
	load("dup");
	assert_int_equal(run.connection_count, 3);
	assert_near(run.connections[0].closed_at_s, 13e-3);
	assert_true(isnan(run.connections[1].closed_at_s)); /* 5 is still it */
	assert_near(run.connections[2].closed_at_s, 14e-3);
}

/* Far more objects than are remembered once closed. */
static void test_many_opens(void **state)
{
	enum { N = 20000 };

	(void)state;
	for (uint32_t i = 1; i <= N; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/tmp/%u", i % 10);
		call(1, i, PH_OP_open, -1, i, 1, 3);
		name_file(1, i, i, 3, path);
		call(1, i, PH_OP_write, 3, i, 1, 2);
		call(1, i, PH_OP_close, 3, i, 1, 0);
		if (i > 1) /* another thread's, late */
			call(1, i, PH_OP_write, 3, i - 1, 1, 1);
	}
	load("opens");
	assert_int_equal(run.file_count, 10);
	assert_int_equal(file("/tmp/3")->opens, N / 10);
	assert_int_equal(file("/tmp/3")->traffic.written_bytes, 3 * N / 10);
	assert_int_equal(run.io.total.written_bytes, 3 * N - 1);
}

static void assert_text(const void *bytes, size_t length, const char *wanted)
{
	struct arena *a = arena_new();
	/* Of exact length, so that reading past it is seen. */
	uint8_t *exact = length ? test_malloc(length) : NULL;
	const char *got;

	if (length)
		memcpy(exact, bytes, length);
	got = sockaddr_text(a, exact, length);
	if (wanted == NULL)
		assert_null(got);
	else
		assert_string_equal(got, wanted);
	if (length)
		test_free(exact);
	arena_free(a);
}

static void test_addresses(void **state)
{
	struct sockaddr_in in = inet("1.2.3.4", 80);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"};
	const size_t head = offsetof(struct sockaddr_un, sun_path);

	(void)state;
	assert_text(&in, sizeof(in), "1.2.3.4:80");
	assert_text(&in, 8, "1.2.3.4:80");
	assert_text(&in, 7, NULL);
	in6.sin6_addr.s6_addr[15] = 1;
	assert_text(&in6, sizeof(in6), "[::1]:443");
	assert_text(&in6, 24, "[::1]:443");
	assert_text(&in6, 23, NULL);
	in6.sin6_addr.s6_addr[0] = 0xfe;
	in6.sin6_addr.s6_addr[1] = 0x80;
	in6.sin6_scope_id = 2;
	assert_text(&in6, sizeof(in6), "[fe80::1%2]:443");
	assert_text(&un, head + 12, "/run/x.sock");
	assert_text(&un, head + 11, "/run/x.sock"); /* without its zero */
	assert_text(&un, head + 4, "/run");
	assert_text(&un, head, NULL);
	memcpy(un.sun_path, "\0name\0x", 7);
	assert_text(&un, head + 7, "@name@x");
	assert_text(&un, head + 1, NULL);
	assert_text("\xff\xff nonsense", 11, NULL);
	assert_text("\x02", 1, NULL);
	assert_text("", 0, NULL);
}

/* A long call's bytes are not all at its end: no rate is higher than there was. */
static void test_bytes_of_a_long_call(void **state)
{
	double width, bytes = 0;

	(void)state;
	name_file(1, 1 * MS, 7, 3, "/slow");
	call(1, 90 * MS, PH_OP_read, 3, 7, 80 * MS, 8000001);
	make_call(&t, 1, 200 * MS,
		  (struct ph_call){.op = PH_OP_close, .fd = 3, .object = 7, .entry = 200 * MS},
		  NULL, 0);
	load("slow");
	width = run.io.timeline[1].at_s;
	for (size_t i = 0; i < run.io.timeline_count; i++) {
		const struct rate_sample *s = &run.io.timeline[i];

		bytes += s->read_bytes_per_s * width;
		/* 8 MB in 80 ms, from 90 ms on. */
		assert_true(s->read_bytes_per_s < 1.001e8);
		if (s->at_s >= 0.090 && s->at_s + width <= 0.170)
			assert_true(s->read_bytes_per_s > 0.999e8);
		if (s->at_s + width <= 0.090)
			assert_near(s->read_bytes_per_s, 0);
	}
	assert_near(bytes, 8000001);
}

/* ---- where in a file, and which file ------------------------------------------- */

static void call_with(uint64_t stamp, struct ph_call c, const void *payload, size_t bytes)
{
	c.entry = stamp;
	make_call(&t, 1, stamp, c, payload, bytes);
}

static void seek(uint64_t stamp, int fd, uint32_t object, int64_t to)
{
	const uint64_t whence = SEEK_SET;

	call_with(stamp,
		  (struct ph_call){.op = PH_OP_lseek, .fd = fd, .object = object, .result = to},
		  &whence, sizeof(whence));
}

static void pread_at(uint64_t stamp, int fd, uint32_t object, uint64_t at, int64_t bytes)
{
	call_with(stamp,
		  (struct ph_call){.op = PH_OP_pread, .fd = fd, .object = object, .result = bytes},
		  &at, sizeof(at));
}

static void test_positions(void **state)
{
	const struct ph_call move = {.op = PH_OP_sendfile, .fd = 3, .object = 1, .result = 100};
	uint64_t where[3] = {(uint64_t)2 << 32 | 4, UINT64_MAX, UINT64_MAX};
	const struct access *a;

	(void)state;
	name_file(1, 1, 1, 3, "/tmp/a");
	call(1, 1, PH_OP_open, -1, 1, 0, 3);
	name_file(1, 2, 2, 4, "/tmp/b");
	call(1, 2, PH_OP_open, -1, 2, 0, 4);
	call(1, 3, PH_OP_read, 3, 1, 0, 100); /* 0 to 100 */
	pread_at(4, 3, 1, 5000, 10);	      /* leaves it where it is */
	call(1, 5, PH_OP_read, 3, 1, 0, -EINTR);
	call_with(6, move, where, sizeof(where)); /* both go on: 100 to 200 */
	call(1, 7, PH_OP_dup, 3, 1, 0, 9);
	call(1, 8, PH_OP_read, 9, 1, 0, 50); /* 200 to 250 */
	seek(9, 9, 1, 0);
	call(1, 10, PH_OP_read, 3, 1, 0, 250); /* all of it again */
	call(1, 11, PH_OP_write, 4, 2, 0, 7);  /* 100 to 107 */
	load("positions");
	a = &file("/tmp/a")->access->read;
	assert_int_equal(a->located, 5);
	assert_int_equal(a->distinct_bytes, 260);
	assert_int_equal(a->again_bytes, 250);
	assert_int_equal(a->consecutive, 1);
	a = &file("/tmp/b")->access->written;
	assert_int_equal(a->consecutive, 1);
	assert_int_equal(a->distinct_bytes, 107);
	assert_int_equal(a->again_bytes, 0);
}

/* Not opened here, and one that appends: not guessed. */
static void test_unknown_positions(void **state)
{
	const struct ph_call append = {
		.op = PH_OP_open, .fd = -1, .object = 3, .result = 5, .arg = O_APPEND};

	(void)state;
	name_file(1, 1, 1, 3, "/tmp/inherited");
	call(1, 2, PH_OP_read, 3, 1, 0, 10);
	name_file(1, 5, 3, 5, "/tmp/log");
	call_with(5, append, NULL, 0);
	for (uint64_t i = 6; i < 10; i++)
		call(1, i, PH_OP_write, 5, 3, 0, 10);
	load("unknown positions");
	assert_int_equal(file("/tmp/inherited")->access->read.located, 0);
	assert_true(file("/tmp/inherited")->access->read.again_unknown);
	assert_int_equal(file("/tmp/log")->access->written.appended, 4);
	assert_string_equal(access_pattern(&file("/tmp/log")->access->written), "consecutive");
}

/* A path as META and a failed open have it. */
static void named(uint64_t stamp, unsigned op, int fd, uint32_t object, int64_t result,
		  const char *path, const char *other, uint64_t lengths)
{
	char payload[256] = {0};
	size_t first = strlen(path), second = strlen(other);

	if (lengths == 0)
		lengths = first | (uint64_t)second << 32;
	memcpy(payload, &lengths, sizeof(lengths));
	memcpy(payload + 8, &(uint64_t){(uint32_t)AT_FDCWD}, 8);
	memcpy(payload + 16, path, first);
	memcpy(payload + 16 + first, other, second);
	call_with(stamp,
		  (struct ph_call){.op = (uint8_t)op, .fd = fd, .object = object, .result = result},
		  payload, 16 + first + second);
}

static void test_names_of_files(void **state)
{
	(void)state;
	named(1, PH_OP_stat, AT_FDCWD, 0, -ENOENT, "early", "", 0); /* below what? */
	name_file(1, 2, 0, AT_FDCWD, "/home/me");
	name_file(1, 3, 1, 3, "/etc");
	named(4, PH_OP_stat, AT_FDCWD, 0, 0, "a", "", 0);
	named(5, PH_OP_stat, AT_FDCWD, 0, 0, "/home/me/./a", "", 0);
	named(6, PH_OP_stat, 3, 1, 0, "passwd", "", 0);
	named(7, PH_OP_rename, AT_FDCWD, 0, 0, "a", "../b", 0);
	name_file(1, 8, 0, AT_FDCWD, "/tmp");
	named(9, PH_OP_unlink, AT_FDCWD, 0, -EACCES, "a", "", 0);
	named(10, PH_OP_open, AT_FDCWD, 0, -ENOENT, "a", "", 0);
	call(1, 11, PH_OP_fstat, 3, 1, 0, 0);
	load("names");
	assert_int_equal(file("early")->metadata_errors, 1);
	assert_int_equal(file("/home/me/a")->metadata_calls, 3);
	assert_int_equal(file("/home/b")->metadata_calls, 1);
	assert_int_equal(file("/etc/passwd")->metadata_calls, 1);
	assert_int_equal(file("/etc")->metadata_calls, 1);
	assert_int_equal(file("/tmp/a")->metadata_calls, 1);
	assert_int_equal(file("/tmp/a")->failed_opens, 1);
	assert_int_equal(file("/tmp/a")->facts.error_count, 2);
	assert_int_equal(run.io.total.read_calls, 0);
	assert_near(run.io.total.time_s, 0);
}

/* Lengths that lead beyond the event's end. */
static void test_hostile_names(void **state)
{
	static const uint64_t lengths[] = {
		5000, UINT32_MAX, UINT64_MAX, 4 | UINT64_C(1) << 32, (uint64_t)1 << 63, 1000};

	(void)state;
	for (uint64_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		named(i + 1, PH_OP_stat, AT_FDCWD, 0, 0, "abc", "", lengths[i]);
		named(i + 1, PH_OP_rename, 7, 9, 0, "abc", "", lengths[i]);
		named(i + 1, PH_OP_getaddrinfo, -1, 0, 1, "abc", "", lengths[i]);
		named(i + 1, PH_OP_aio_return, 7, 0, -EIO, "abc", "", lengths[i]);
	}
	load("hostile names");
	for (size_t i = 0; i < run.file_count; i++)
		assert_true(run.files[i].metadata_calls == 0 || run.files[i].path != NULL);
	assert_in_range(run.resolved_count, 0, 1); /* four bytes of it are a name */
}

/* ---- many connections ------------------------------------------------------------- */

/* One after the other at one port, each closed when the next one comes: one endpoint. */
static void test_endpoints(void **state)
{
	enum { N = 10000 };
	struct sockaddr_in local = inet("10.0.0.1", 80);
	struct ph_object o = {.class = PH_CLASS_SOCKET,
			      .origin = PH_ORIGIN_ACCEPT,
			      .local_bytes = sizeof(local),
			      .peer_bytes = sizeof(local),
			      .family = AF_INET,
			      .type = SOCK_STREAM};

	(void)state;
	for (uint32_t i = 1; i <= N; i++) {
		struct sockaddr_in peer = inet("10.0.0.2", 1000 + i);
		uint64_t at = (uint64_t)i * MS;

		make_object(&t, 1, at, i, 4, o, "", &local, &peer);
		call(1, at, PH_OP_accept, 3, i, 0, 4);
		call(1, at + 1000, PH_OP_recv, 4, i, 1000, 10);
		call(1, at + 5000, PH_OP_send, 4, i, 1000, 20);
		call(1, at + MS, PH_OP_close, 4, i, 0, 0);
	}
	load("endpoints");
	assert_int_equal(run.connection_count, N);
	assert_int_equal(run.endpoint_count, 1);
	assert_string_equal(run.endpoints[0].name, "port 80");
	assert_int_equal(run.endpoints[0].connections, N);
	assert_int_equal(run.endpoints[0].most_open, 1);
	assert_int_equal(run.endpoints[0].turns, N);
	assert_int_equal(run.endpoints[0].traffic.written_bytes, 20 * N);
	assert_near(run.endpoints[0].turn_latency.max, 3);
	assert_near(run.endpoints[0].turn_latency.min, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_files),
		TEST(test_rates),
		TEST(test_bytes_of_a_long_call),
		TEST(test_top_node),
		TEST(test_use_waits_for_the_description),
		TEST(test_unknown_descriptors),
		TEST(test_connect),
		TEST(test_accept_and_others),
		TEST(test_dup_and_close),
		TEST(test_many_opens),
		TEST(test_positions),
		TEST(test_unknown_positions),
		TEST(test_names_of_files),
		TEST(test_hostile_names),
		TEST(test_endpoints),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
