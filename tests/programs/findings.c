/* SPDX-License-Identifier: MIT */
/* One fault a time, or what only looks like it, by name; each counts what it does. What
 * is to be found of each stands in tests/integration/test_findings.c. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "truth.h"

static char buffer[65536];

static int make(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(fd >= 0);
	return fd;
}

/* A file of so many bytes, as far as anybody has seen. */
static void make_full(const char *name, long bytes)
{
	int fd = make(name);

	for (long at = 0; at < bytes; at += 4096)
		expect(system_call_of_4(SYS_pwrite64, fd, (long)buffer, 4096, at) == 4096);
	close(fd);
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void rest(long us)
{
	const struct timespec t = {us / 1000000, us % 1000000 * 1000};

	system_call(SYS_nanosleep, &t, 0);
}

/* ---- tiny writes ---------------------------------------------------------------- */

static void write_record(int fd, size_t bytes)
{
	expect(write(fd, buffer, bytes) == (ssize_t)bytes);
}

static void tiny_writes(void)
{
	int fd = make("records");

	write_record(fd, 60000);
	for (int i = 0; i < 2500; i++)
		write_record(fd, 16);
	close(fd);
	truth("calls", 2500);
	truth("bytes", 2500 * 16);
}

static void large_writes(void)
{
	FILE *buffered = fopen("buffered", "w");
	int fd = make("large");

	for (int i = 0; i < 5000; i++)
		expect(fwrite(buffer, 100, 1, buffered) == 1);
	fclose(buffered);
	for (int i = 0; i < 2000; i++)
		write_record(fd, 4096);
	close(fd);
	fd = make("few");
	for (int i = 0; i < 999; i++)
		write_record(fd, 16);
	close(fd);
}

/* Each by itself, so that no buffer could have waited for the next. */
static void scattered_writes(void)
{
	int fd = make("scattered");

	for (int i = 0; i < 2500; i++)
		expect(pwrite(fd, buffer, 16, (off_t)(i * 37 % 2500) * 100) == 16);
	close(fd);
}

/* ---- reads ------------------------------------------------------------------------ */

static unsigned long long load(const char *name)
{
	int fd = open(name, O_RDONLY);
	unsigned long long sum = 0;
	ssize_t n;

	while ((n = read(fd, buffer, 8192)) > 0)
		sum += (unsigned long long)n;
	close(fd);
	return sum;
}

static void reread(void)
{
	unsigned long long sum = 0;

	make_full("config", 4096);
	for (int i = 0; i < 150; i++)
		sum += load("config");
	truth("opens", 150 + 1); /* it was made */
	truth("bytes", sum);
	truth("distinct_bytes", 4096);
}

static void read_a_few_times(void)
{
	FILE *f;

	make_full("thrice", 4194304);
	for (int i = 0; i < 3; i++)
		load("thrice");
	make_full("small", 4096);
	for (int i = 0; i < 98; i++)
		load("small");
	make_full("once", 4194304);
	f = fopen("once", "r");
	for (int i = 0; i < 4194304; i++)
		expect(fgetc(f) != EOF);
	fclose(f);
}

/* What is written anew is to be read anew. */
static void read_after_writes(void)
{
	int fd = make("state");

	for (int i = 0; i < 150; i++) {
		expect(pwrite(fd, buffer, 8192, 0) == 8192);
		load("state");
	}
	close(fd);
}

enum { PIECE = 4096, PIECES = 256 };

static void look_up(int fd, unsigned at)
{
	expect(pread(fd, buffer, PIECE, (off_t)at * PIECE) == PIECE);
}

static void random_reads(unsigned pieces)
{
	int fd;

	make_full("index", (long)PIECES * PIECE);
	fd = open("index", O_RDONLY);
	/* A permutation of the pieces, of no fixed distance. */
	for (unsigned i = 0, at = 1; i < pieces; i++, at = (at * 109 + 57) % PIECES)
		look_up(fd, at);
	close(fd);
	truth("calls", pieces);
	truth("bytes", (unsigned long long)pieces * PIECE);
}

static void whole_in_random_order(void)
{
	random_reads(PIECES);
}

static void a_part_in_random_order(void)
{
	random_reads(PIECES * 3 / 4);
}

static void whole_in_order(void)
{
	FILE *f;

	make_full("index", (long)PIECES * PIECE);
	f = fopen("index", "r");
	for (int i = 0; i < PIECES * PIECE / 512; i++)
		expect(fread(buffer, 512, 1, f) == 1);
	fclose(f);
}

static void read_in_bits(const char *name, int times)
{
	int fd;

	make_full(name, (long)PIECES * PIECE);
	fd = open(name, O_RDONLY);
	for (int i = 0; i < times; i++)
		expect(read(fd, buffer, 100) == 100);
	close(fd);
	truth("calls", (unsigned)times);
	truth("bytes", (unsigned)times * 100);
}

static void tiny_reads(void)
{
	read_in_bits("bits", 3000);
}

static void few_tiny_reads(void)
{
	read_in_bits("bits", 999);
}

/* ---- the heap --------------------------------------------------------------------- */

static void use_and_forget(int times)
{
	for (int i = 0; i < times; i++)
		free(keep(malloc(40)));
}

static void temporary(void)
{
	use_and_forget(120000);
	truth("blocks", 120000);
}

enum { ROUNDS = 300, CACHED = 100 };

static void pause_a_little(void)
{
	const struct timespec t = {0, 1000000};

	nanosleep(&t, NULL);
}

/* A block of each round is lost. */
static void forget(void)
{
	memset(keep(malloc(500)), 0, 500);
}

static void leaking(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		use_and_forget(5);
		forget();
		pause_a_little();
	}
	truth("blocks", ROUNDS);
	truth("bytes", ROUNDS * 500);
}

/* A cache that is full soon. */
static void filling(void)
{
	static void *cache[CACHED];

	for (int i = 0; i < ROUNDS; i++) {
		use_and_forget(5);
		if (i < CACHED)
			cache[i] = keep(calloc(1, 500));
		pause_a_little();
	}
	keep(cache);
}

/* Most of the time they are kept for a while. */
static void kept_a_while(void)
{
	void *last[2] = {NULL, NULL};

	for (int i = 0; i < 200000; i++) {
		void *p = keep(malloc(40));

		free(last[i % 2]);
		last[i % 2] = p;
	}
	use_and_forget(99000);
}

/* ---- syncs ------------------------------------------------------------------------ */

static void commit(int fd)
{
	expect(write(fd, buffer, 200) == 200);
	expect(fsync(fd) == 0);
}

static void syncs(void)
{
	int fd = make("journal");

	for (int i = 0; i < 80; i++)
		commit(fd);
	close(fd);
	truth("calls", 80);
	truth("bytes", 80 * 200);
}

static void one_sync(void)
{
	int fd = make("journal");

	for (int i = 0; i < 500; i++)
		expect(write(fd, buffer, 200) == 200);
	expect(fsync(fd) == 0);
	for (int i = 0; i < 48; i++)
		commit(fd);
	close(fd);
}

/* ---- connections ------------------------------------------------------------------ */

struct server {
	struct sockaddr_in address;
	int fd;
	size_t request, response;
	long delay_us;
};

static void *serve_one(void *argument)
{
	const struct server *s = argument;
	static __thread char in[65536];
	size_t got = 0;
	ssize_t n;
	int fd = s[1].fd;

	while ((n = recv(fd, in, sizeof(in), 0)) > 0) {
		got += (size_t)n;
		for (; got >= s->request; got -= s->request) {
			rest(s->delay_us);
			expect(send(fd, buffer, s->response, 0) == (ssize_t)s->response);
		}
	}
	close(fd);
	free(argument);
	return NULL;
}

static void *serve(void *argument)
{
	const struct server *s = argument;
	pthread_t thread;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		struct server *one = malloc(2 * sizeof(*one));

		one[0] = *s;
		one[1] = (struct server){.fd = fd};
		pthread_create(&thread, NULL, serve_one, one);
		pthread_detach(thread);
	}
	return NULL;
}

static void start_server(struct server *s)
{
	socklen_t length = sizeof(s->address);
	pthread_t thread;

	s->address = (struct sockaddr_in){.sin_family = AF_INET,
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	expect(bind(s->fd, (struct sockaddr *)&s->address, length) == 0);
	expect(listen(s->fd, 100) == 0);
	expect(getsockname(s->fd, (struct sockaddr *)&s->address, &length) == 0);
	pthread_create(&thread, NULL, serve, s);
	pthread_detach(thread);
}

static int dial(const struct server *s)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	expect(connect(fd, (const struct sockaddr *)&s->address, sizeof(s->address)) == 0);
	return fd;
}

static void take_response(int fd, size_t bytes)
{
	ssize_t n;

	while (bytes > 0 && (n = recv(fd, buffer, bytes, 0)) > 0)
		bytes -= (size_t)n;
	expect(bytes == 0);
}

static void ask(int fd, const struct server *s)
{
	expect(send(fd, buffer, s->request, 0) == (ssize_t)s->request);
	take_response(fd, s->response);
}

static void say_address(const char *name, const struct server *s)
{
	say("truth: %s=127.0.0.1:%d\n", name, ntohs(s->address.sin_port));
}

static void ask_often(struct server *s, int times)
{
	int fd;

	start_server(s);
	fd = dial(s);
	for (int i = 0; i < times; i++)
		ask(fd, s);
	close(fd);
	say_address("peer", s);
}

static void round_trips(void)
{
	static struct server s = {.request = 20, .response = 120};

	ask_often(&s, 300);
	truth("round_trips", 300);
	truth("sent_bytes", 300 * 20);
	truth("received_bytes", 300 * 120);
}

static void few_round_trips(void)
{
	static struct server s = {.request = 20, .response = 120};

	ask_often(&s, 99);
}

static void large_round_trips(void)
{
	static struct server s = {.request = 20, .response = 65000};

	ask_often(&s, 300);
}

static void pipelined(void)
{
	static struct server s = {.request = 20, .response = 120};
	int fd;

	start_server(&s);
	fd = dial(&s);
	for (int i = 0; i < 300; i++)
		expect(send(fd, buffer, s.request, 0) == (ssize_t)s.request);
	take_response(fd, 300 * s.response);
	close(fd);
}

/* A request of a client's, each answered by asking another server. */
static void *pass_on(void *argument)
{
	int fd = *(const int *)argument;

	for (int i = 0; i < 300; i++)
		expect(send(fd, buffer, 10, 0) == 10 && recv(fd, buffer, 10, 0) == 10);
	shutdown(fd, SHUT_RDWR);
	return NULL;
}

static void proxy(void)
{
	static struct server s = {.request = 20, .response = 120};
	int pair[2], fd;
	pthread_t client;
	char in[10];

	start_server(&s);
	fd = dial(&s);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	pthread_create(&client, NULL, pass_on, &pair[1]);
	while (recv(pair[0], in, 10, 0) == 10) {
		ask(fd, &s);
		expect(send(pair[0], in, 10, 0) == 10);
	}
	pthread_join(client, NULL);
	say_address("peer", &s);
}

/* Much is sent bit by bit, over several connections, and nothing is answered. */
static void tiny_sends(void)
{
	static struct server s = {.request = 1000000, .response = 1};
	int fds[30];

	start_server(&s);
	for (int i = 0; i < 30; i++)
		fds[i] = dial(&s);
	for (int i = 0; i < 30; i++)
		for (int k = 0; k < 50; k++)
			expect(send(fds[i], buffer, 10, MSG_NOSIGNAL) == 10);
	for (int i = 0; i < 30; i++)
		close(fds[i]);
	say_address("peer", &s);
	truth("calls", 30 * 50);
	truth("bytes", 30 * 50 * 10);
	truth("series", 30);
}

static void ask_once(const struct server *s)
{
	int fd = dial(s);

	ask(fd, s);
	close(fd);
}

static void reconnect(int times)
{
	static struct server s = {.request = 20, .response = 120};

	start_server(&s);
	for (int i = 0; i < times; i++)
		ask_once(&s);
	say_address("peer", &s);
	truth("connections", (unsigned)times);
}

static void reconnects(void)
{
	reconnect(60);
}

static void few_reconnects(void)
{
	reconnect(20); /* the first is new */
}

static void pooled(void)
{
	static struct server s = {.request = 20, .response = 120};
	int pool[30];

	start_server(&s);
	for (int i = 0; i < 30; i++)
		pool[i] = dial(&s);
	for (int i = 0; i < 60; i++)
		ask(pool[i % 30], &s);
	for (int i = 0; i < 30; i++)
		close(pool[i]);
}

static void ask_three(long second_us, long third_us)
{
	static struct server servers[3];
	static const char *const names[] = {"first", "second", "third"};
	const long delays[] = {0, second_us, third_us};
	int fds[3];

	for (int i = 0; i < 3; i++) {
		servers[i] = (struct server){.request = 20, .response = 120, .delay_us = delays[i]};
		start_server(&servers[i]);
		fds[i] = dial(&servers[i]);
		say_address(names[i], &servers[i]);
	}
	for (int i = 0; i < 40; i++)
		for (int k = 0; k < 3; k++)
			ask(fds[k], &servers[k]);
	truth("turns", 40);
}

static void slow_peer(void)
{
	ask_three(200, 20000);
}

static void slow_peers(void)
{
	ask_three(12000, 12000);
}

/* ---- waits ------------------------------------------------------------------------ */

static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
static long long waited_ns;

static void enter(long held_us)
{
	long long before = now_ns();

	pthread_mutex_lock(&the_lock);
	waited_ns += now_ns() - before;
	rest(held_us);
	pthread_mutex_unlock(&the_lock);
}

struct contest {
	int times;
	long held_us;
};

static void *compete(void *argument)
{
	const struct contest *c = argument;

	for (int i = 0; i < c->times; i++)
		enter(c->held_us);
	return NULL;
}

static void with_lock(struct contest contest)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, compete, &contest);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	truth("waited_ns", (unsigned long long)waited_ns);
}

static void contended(void)
{
	with_lock((struct contest){30, 2000});
}

/* Some waiting at first, which is little of the whole. */
static void briefly_contended(void)
{
	with_lock((struct contest){8, 100});
	rest(1500000);
}

static int loop_pipe[2], stop_pipe[2];

static void *feed(void *argument)
{
	(void)argument;
	for (int i = 0; i < 60; i++) {
		rest(10000);
		expect(write(loop_pipe[1], "x", 1) == 1);
	}
	rest(10000);
	expect(write(stop_pipe[1], "x", 1) == 1);
	return NULL;
}

static unsigned long long handled_ns;

static void handle(long us)
{
	const struct timespec t = {0, us * 1000};
	long long before = now_ns();

	nanosleep(&t, NULL);
	handled_ns += (unsigned long long)(now_ns() - before);
}

static void take_event(int nth, long us)
{
	char byte;

	expect(read(loop_pipe[0], &byte, 1) == 1);
	if (us != 0 && nth % 5 == 0)
		handle(us);
}

static void poll_all(long us)
{
	struct pollfd fds[] = {{.events = POLLIN}, {.events = POLLIN}};
	pthread_t feeder;

	expect(pipe(loop_pipe) == 0 && pipe(stop_pipe) == 0);
	fds[0].fd = loop_pipe[0];
	fds[1].fd = stop_pipe[0];
	pthread_create(&feeder, NULL, feed, NULL);
	for (int nth = 0; poll(fds, 2, -1) > 0; nth++) {
		if (fds[0].revents == 0)
			break;
		take_event(nth, us);
	}
	pthread_join(feeder, NULL);
}

static void blocked_loop(void)
{
	poll_all(20000);
	truth("calls", 12);
	truth("handled_ns", handled_ns);
}

static void *sleep_aside(void *argument)
{
	for (int i = 0; i < 12; i++)
		handle(20000);
	return argument;
}

static void worker_blocks(void)
{
	pthread_t worker;

	pthread_create(&worker, NULL, sleep_aside, NULL);
	poll_all(0);
	pthread_join(worker, NULL);
}

/* A loop by itself, with waits before and after it. */
static void blocks_around(void)
{
	sleep_aside(NULL);
	poll_all(1000);
	sleep_aside(NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} all[] = {
		{"tiny_writes", tiny_writes},
		{"large_writes", large_writes},
		{"scattered_writes", scattered_writes},
		{"reread", reread},
		{"read_a_few_times", read_a_few_times},
		{"read_after_writes", read_after_writes},
		{"whole_in_random_order", whole_in_random_order},
		{"a_part_in_random_order", a_part_in_random_order},
		{"whole_in_order", whole_in_order},
		{"tiny_reads", tiny_reads},
		{"few_tiny_reads", few_tiny_reads},
		{"temporary", temporary},
		{"kept_a_while", kept_a_while},
		{"leaking", leaking},
		{"filling", filling},
		{"syncs", syncs},
		{"one_sync", one_sync},
		{"round_trips", round_trips},
		{"few_round_trips", few_round_trips},
		{"large_round_trips", large_round_trips},
		{"pipelined", pipelined},
		{"tiny_sends", tiny_sends},
		{"proxy", proxy},
		{"reconnects", reconnects},
		{"few_reconnects", few_reconnects},
		{"pooled", pooled},
		{"slow_peer", slow_peer},
		{"slow_peers", slow_peers},
		{"contended", contended},
		{"briefly_contended", briefly_contended},
		{"blocked_loop", blocked_loop},
		{"worker_blocks", worker_blocks},
		{"blocks_around", blocks_around},
	};

	truth_begin(argc, argv);
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(*all); i++) {
		if (strcmp(all[i].name, argv[1]) != 0)
			continue;
		all[i].run();
		return wrongs != 0;
	}
	return 2;
}
