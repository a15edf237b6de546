/* SPDX-License-Identifier: MIT */
#include "inspect/keeper.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect/snapshot.h"
#include "inspect/trace.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define NAME	    "ph-keeper"
#define STOPS_MOST  50
#define TURNS_MOST  1000	      /* that another look at it is waited for, */
#define UNHELD_MOST 10		      /* likewise, where nobody has it */
#define TURN_NS	    20000000	      /* each so long */
#define PAUSE_NS    300000	      /* between two stops */
#define SHARED_MOST (4u << 20)	      /* bytes of shared memory that are copied while it stands */
#define COPY_STEP   ((size_t)1 << 26) /* bytes that room for copies grows by */

/* What the keeper says, followed by the threads, their vectors, the mappings' text and the
 * pieces. */
struct message {
	struct error error;
	pid_t snapshot;
	char why_copy[128];
	uint64_t stood_ns, began_ns, ended_ns;
	uint32_t stops;
	bool good, shared_later;
	uint64_t threads, text_bytes, pieces, copied;
	uint64_t headers, header_count;
};

/* ---- the keeper ------------------------------------------------------------- */

struct keeper {
	const struct keep_wish *wish;
	int socket, copies_fd;
	struct stop stop;
	struct snapshot snapshot;
	struct message said;
	char *text; /* of the mappings */
	/* Copies: */
	struct memory_piece *pieces;
	size_t piece_count, piece_room;
	uint64_t room; /* of their file */
	uint8_t *copies;
	bool failed;
};

static bool write_all(int fd, const void *data, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = send(fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool more_room(struct keeper *k, size_t bytes)
{
	uint64_t wanted = k->room;
	void *moved;

	while (wanted - k->said.copied < bytes)
		wanted += wanted < COPY_STEP ? COPY_STEP : wanted;
	if (wanted == k->room)
		return true;
	if (ftruncate(k->copies_fd, (off_t)wanted) != 0)
		return false;
	moved = k->copies == NULL
			? mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, k->copies_fd, 0)
			: mremap(k->copies, k->room, wanted, MREMAP_MAYMOVE);
	if (moved == MAP_FAILED)
		return false;
	k->copies = moved;
	k->room = wanted;
	return true;
}

static bool add_piece(struct keeper *k, uint64_t address, uint64_t bytes)
{
	struct memory_piece *last = &k->pieces[k->piece_count - (k->piece_count != 0)];

	if (k->piece_count != 0 && last->start + last->bytes == address) {
		last->bytes += bytes;
		return true;
	}
	if (k->piece_count == k->piece_room) {
		size_t room = k->piece_room != 0 ? 2 * k->piece_room : 1024;
		struct memory_piece *more = realloc(k->pieces, room * sizeof(*more));

		if (more == NULL)
			return false;
		k->pieces = more;
		k->piece_room = room;
	}
	k->pieces[k->piece_count++] = (struct memory_piece){address, bytes, k->said.copied};
	return true;
}

static void copy_words(void *context, uint64_t address, const uint64_t *words, size_t count)
{
	struct keeper *k = context;
	size_t bytes = count * sizeof(*words);

	if (k->failed || !more_room(k, bytes) || !add_piece(k, address, bytes)) {
		k->failed = true;
		return;
	}
	memcpy(k->copies + k->said.copied, words, bytes);
	k->said.copied += bytes;
}

static bool is_copied(const struct keeper *k, const struct mapping *m)
{
	if (!m->read || (m->shared && !m->write) || k->wish->skip(k->wish->context, m))
		return false;
	return k->snapshot.pid == 0 || m->shared;
}

/* With a snapshot only what it shares with the process. */
static void copy_memory(struct keeper *k)
{
	struct maps maps = {.list = NULL};
	struct memory memory;
	char *text = strdup(k->text);
	uint64_t shared = 0;

	if (text == NULL || !maps_parse(&maps, text) || !memory_open(&memory, k->wish->thread)) {
		k->failed = true;
		maps_free(&maps);
		return;
	}
	for (size_t i = 0; i < maps.count; i++)
		if (maps.list[i].shared && is_copied(k, &maps.list[i]))
			shared += maps.list[i].end - maps.list[i].start;
	k->said.shared_later = k->snapshot.pid != 0 && shared > SHARED_MOST;
	for (size_t i = 0; i < maps.count && !k->said.shared_later; i++)
		if (is_copied(k, &maps.list[i]))
			memory_each(&memory, maps.list[i].start, maps.list[i].end,
				    !maps.list[i].shared, copy_words, k);
	memory_close(&memory);
	maps_free(&maps);
}

/* Where it will be copied: the room for it takes longer to be had than the copying. */
static void prepare_room(struct keeper *k)
{
	char path[64];
	unsigned long long all = 0, resident = 0, shared = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/statm", k->wish->thread);
	in = fopen(path, "re");
	if (in == NULL)
		return;
	if (fscanf(in, "%llu %llu %llu", &all, &resident, &shared) == 3 && resident > shared &&
	    more_room(k, (size_t)(resident - shared) * (size_t)sysconf(_SC_PAGESIZE)))
		madvise(k->copies, k->room, MADV_POPULATE_WRITE);
	fclose(in);
}

/* Is it in the hands of another look, which will soon be over? It may also have just been:
 * `unheld` counts how often it was in nobody's. */
static bool is_looked_at(pid_t pid, int *unheld)
{
	pid_t tracer = (pid_t)trace_status(pid, pid, "TracerPid:", 10);
	char name[32];

	trace_status_line(tracer, "Name:", name, sizeof(name));
	if (*name == '\0')
		return ++*unheld <= UNHELD_MOST;
	return strcmp(name + strspn(name, " \t"), NAME) == 0;
}

static int take_turn(struct keeper *k, struct error *e)
{
	const struct timespec turn = {.tv_sec = 0, .tv_nsec = TURN_NS};
	int unheld = 0;

	for (int i = 0; stop_begin(&k->stop, e) != 0; i++) {
		if (!k->stop.refused || i == TURNS_MOST || !is_looked_at(k->wish->pid, &unheld))
			return -1;
		nanosleep(&turn, NULL);
		*e = (struct error){.code = ERROR_NONE};
	}
	return 0;
}

/* Stop it, at a moment that will do. */
static int stop_well(struct keeper *k, struct error *e)
{
	const struct timespec pause = {.tv_sec = 0, .tv_nsec = PAUSE_NS};

	for (;;) {
		if (take_turn(k, e) != 0)
			return -1;
		k->said.stops++;
		k->said.good = k->wish->now(k->wish->context);
		if (k->said.good || k->said.stops >= STOPS_MOST)
			return 0;
		stop_end(&k->stop);
		k->said.stood_ns += k->stop.ended_ns - k->stop.began_ns;
		nanosleep(&pause, NULL);
	}
}

/* It may have ended before anybody else asks. */
static void read_auxv(struct keeper *k)
{
	char path[64];
	uint64_t entry[2];
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/auxv", k->wish->thread);
	in = fopen(path, "re");
	while (in != NULL && fread(entry, sizeof(entry), 1, in) == 1 && entry[0] != AT_NULL) {
		if (entry[0] == AT_PHDR)
			k->said.headers = entry[1];
		else if (entry[0] == AT_PHNUM)
			k->said.header_count = entry[1];
	}
	if (in != NULL)
		fclose(in);
}

static void take(struct keeper *k)
{
	struct error *e = &k->said.error;

	k->stop.pid = k->wish->pid;
	read_auxv(k);
	snapshot_prepare(&k->snapshot, k->wish->pid, k->wish->thread);
	if (k->wish->copy)
		k->snapshot.why = "it was asked for so";
	if (k->snapshot.why != NULL)
		prepare_room(k);
	if (stop_well(k, e) != 0)
		return;
	k->text = maps_text(k->wish->thread);
	if (!snapshot_make(&k->snapshot, &k->stop))
		snprintf(k->said.why_copy, sizeof(k->said.why_copy), "%s", k->snapshot.why);
	k->failed = k->text == NULL;
	if (!k->failed)
		copy_memory(k);
	stop_end(&k->stop);
	k->said.stood_ns += k->stop.ended_ns - k->stop.began_ns;
	snapshot_part(&k->snapshot);
	if (k->failed)
		fail(e, ERROR_SYSTEM, 0, "process %d: its memory cannot be copied: %s",
		     k->wish->pid, strerror(errno));
}

/* The files that lead to the copy, which only its tracer may open everywhere. */
static bool send_files(const struct keeper *k, const int files[2])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {.room = {0}};
	char byte = 0;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), files, 2 * sizeof(int));
	return sendmsg(k->socket, &m, MSG_NOSIGNAL) == 1;
}

static bool tell(struct keeper *k)
{
	struct message *m = &k->said;
	bool ok;

	m->snapshot = k->snapshot.pid;
	m->began_ns = k->stop.began_ns;
	m->ended_ns = k->stop.ended_ns;
	m->threads = k->stop.count;
	m->text_bytes = k->text != NULL ? strlen(k->text) : 0;
	m->pieces = k->piece_count;
	ok = write_all(k->socket, m, sizeof(*m));
	for (size_t i = 0; i < k->stop.count && ok; i++) {
		const struct stopped_thread *t = &k->stop.threads[i];

		ok = write_all(k->socket, t, sizeof(*t)) &&
		     write_all(k->socket, t->vectors, t->vector_words * sizeof(*t->vectors));
	}
	ok = ok && write_all(k->socket, k->text, m->text_bytes) &&
	     write_all(k->socket, k->pieces, k->piece_count * sizeof(*k->pieces));
	if (ok && k->snapshot.pid != 0) {
		struct memory memory;

		memory_open(&memory, k->snapshot.pid);
		ok = send_files(k, (const int[2]){memory.memory_fd, memory.pagemap_fd});
		memory_close(&memory);
	}
	return ok;
}

/* Until the other end is closed, by will or by death. */
static void wait_for_end(struct keeper *k)
{
	struct pollfd p = {.fd = k->socket, .events = POLLIN};
	bool served = false;
	char byte;

	for (;;) {
		served = served || stop_serve(&k->stop);
		if (poll(&p, 1, served ? -1 : 1) > 0 && read(k->socket, &byte, 1) <= 0)
			return;
	}
}

/* While a thread of the process is in our hands, our death by a signal that cannot be blocked
 * is the process's. Not to be met by `killall -9 perfhook`, nor, if we may ask for that, by
 * the kernel where memory is short. */
static void avoid_death(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? write(fd, "-1000", 5) : 0;

	(void)n;
	if (fd >= 0)
		close(fd);
	prctl(PR_SET_NAME, NAME);
}

static _Noreturn void be_keeper(struct keeper *k)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	avoid_death();
	setsid();
	/* The sooner it is done, the shorter the process stands. */
	setpriority(PRIO_PROCESS, 0, -20);
	take(k);
	if (tell(k) && k->said.error.code == ERROR_NONE)
		wait_for_end(k);
	snapshot_end(&k->snapshot, &k->stop);
	_exit(0);
}

/* ---- our end -------------------------------------------------------------------- */

static bool read_all(int fd, void *out, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = read(fd, (char *)out + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		done += (size_t)n;
	}
	return true;
}

static bool receive_files(int fd, int files[2])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {.room = {0}};
	char byte;
	struct iovec io = {&byte, 1};
	struct msghdr m = {.msg_iov = &io,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c;

	if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC) != 1)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c == NULL || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return false;
	memcpy(files, CMSG_DATA(c), 2 * sizeof(int));
	return true;
}

static bool receive_threads(struct kept *k, uint64_t count)
{
	k->stop.threads = calloc(count + 1, sizeof(*k->stop.threads));
	for (uint64_t i = 0; k->stop.threads != NULL && i < count; i++) {
		struct stopped_thread *t = &k->stop.threads[i];
		size_t bytes;

		if (!read_all(k->socket, t, sizeof(*t)))
			return false;
		bytes = t->vector_words * sizeof(*t->vectors);
		t->vectors = malloc(bytes + 1);
		k->stop.count++;
		if (t->vectors == NULL || !read_all(k->socket, t->vectors, bytes))
			return false;
	}
	return k->stop.threads != NULL;
}

static bool receive(struct kept *k, const struct message *m)
{
	char *text = malloc(m->text_bytes + 1);
	int files[2] = {-1, -1};
	bool ok = text != NULL && receive_threads(k, m->threads) &&
		  read_all(k->socket, text, m->text_bytes);

	if (text != NULL)
		text[m->text_bytes] = '\0';
	ok = text != NULL && maps_parse(&k->maps, text) && ok;
	k->memory.pieces = malloc((m->pieces + 1) * sizeof(*k->memory.pieces));
	k->memory.piece_count = m->pieces;
	ok = ok && k->memory.pieces != NULL &&
	     read_all(k->socket, k->memory.pieces, m->pieces * sizeof(*k->memory.pieces)) &&
	     (m->snapshot == 0 || receive_files(k->socket, files));
	k->memory.memory_fd = files[0];
	k->memory.pagemap_fd = files[1];
	return ok;
}

static void take_over(struct kept *k, const struct message *m)
{
	k->snapshot = m->snapshot;
	memcpy(k->why_copy, m->why_copy, sizeof(k->why_copy));
	k->stood_ns = m->stood_ns;
	k->stop.began_ns = m->began_ns;
	k->stop.ended_ns = m->ended_ns;
	k->stops = m->stops;
	k->good = m->good;
	k->shared_later = m->shared_later;
	k->program_headers = m->headers;
	k->program_header_count = m->header_count;
}

static int listen_to(struct kept *k, int copies_fd, struct error *e)
{
	struct message m;
	void *copies = NULL;

	if (!read_all(k->socket, &m, sizeof(m)))
		return fail(e, ERROR_SYSTEM, 0, "process %d: the look at it was ended",
			    k->stop.pid);
	take_over(k, &m);
	if (m.error.code != ERROR_NONE) {
		*e = m.error;
		return -1;
	}
	if (!receive(k, &m))
		return fail(e, ERROR_MEMORY, 0, "process %d: its state could not be kept: %s",
			    k->stop.pid, strerror(errno));
	if (m.copied != 0)
		copies = mmap(NULL, m.copied, PROT_READ, MAP_SHARED, copies_fd, 0);
	if (copies == MAP_FAILED)
		return fail(e, ERROR_MEMORY, 0, "process %d: the copy of its memory has no room",
			    k->stop.pid);
	k->memory.copies = copies;
	k->memory.copied = m.copied;
	return 0;
}

/* The keeper, and the two ends that they talk by. */
static int start_keeper(struct kept *k, const struct keep_wish *wish, int copies_fd,
			struct error *e)
{
	struct keeper keeper = {.wish = wish, .copies_fd = copies_fd};
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return fail(e, ERROR_SYSTEM, 0, "no socket can be had: %s", strerror(errno));
	fflush(NULL);
	k->keeper = fork();
	if (k->keeper == 0) {
		close(ends[0]);
		keeper.socket = ends[1];
		be_keeper(&keeper);
	}
	close(ends[1]);
	k->socket = ends[0];
	return k->keeper > 0
		       ? 0
		       : fail(e, ERROR_SYSTEM, 0, "no process can be had: %s", strerror(errno));
}

int keep_begin(struct kept *k, const struct keep_wish *wish, struct error *e)
{
	int copies_fd = memfd_create("perfhook copy", MFD_CLOEXEC), rc;

	*k = (struct kept){.socket = -1,
			   .stop = {.pid = wish->pid},
			   .memory = {.memory_fd = -1, .live_fd = -1, .pagemap_fd = -1}};
	if (copies_fd < 0)
		return fail(e, ERROR_SYSTEM, 0, "no memory for copies can be had: %s",
			    strerror(errno));
	rc = start_keeper(k, wish, copies_fd, e);
	if (rc == 0)
		rc = listen_to(k, copies_fd, e);
	close(copies_fd);
	if (rc != 0)
		keep_free(k);
	else if (k->snapshot == 0)
		k->memory.live_fd = memory_open_live(wish->thread);
	return rc;
}

bool keep_is_whole(const struct kept *k)
{
	char state = k->snapshot != 0 ? trace_state(k->snapshot, k->snapshot) : 't';

	return state == 't' || state == 'T';
}

void keep_release(struct kept *k)
{
	int status;

	memory_close(&k->memory);
	if (k->socket >= 0)
		close(k->socket);
	k->socket = -1;
	if (k->keeper > 0)
		while (waitpid(k->keeper, &status, 0) < 0 && errno == EINTR)
			;
	k->keeper = 0;
}

void keep_free(struct kept *k)
{
	keep_release(k);
	stop_free(&k->stop);
	maps_free(&k->maps);
}
