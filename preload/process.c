/* SPDX-License-Identifier: MIT */
/*
 * Setting a process up: the session's folder in /dev/shm, its control file, the
 * segment, and a collector where none is there. Everything by plain system
 * calls: this runs inside the first malloc of a process, before libc's own
 * constructors may have run.
 */
#include "preload/process.h"

#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "preload/alone.h"
#include "preload/config.h"
#include "preload/log.h"
#include "preload/spawn.h"
#include "trace/clock.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct ph_process nothing;
struct ph_process *ph_process = &nothing;
_Atomic uint32_t *ph_descriptors;
PH_TLS struct ph_fork_note ph_fork_note;
uint32_t ph_unwinder_kind;

/* Survives a fork, unlike *ph_process: what the child says of its parent. */
static struct {
	uint64_t generation; /* last one given out */
	uint8_t id[16];
	int32_t pid;
	struct ph_segment *segment; /* still mapped in a child */
	char folder[128];	    /* the session's */
	bool configured, refused;
	bool is_fork_child;
	bool alone;	  /* this process tree records without a collector */
	char trace[4224]; /* alone: this process's trace, its children's parent's */
	bool no_populate; /* the kernel has no MADV_POPULATE_WRITE */
} inherited = {.generation = PH_OFF};

static const char shm_root[] = "/dev/shm/";

static long populate(void *start, uint64_t bytes)
{
	uintptr_t page = (uintptr_t)start & ~UINT64_C(4095);
	uint64_t length = ((uintptr_t)start + bytes - page + 4095) & ~UINT64_C(4095);

	return sys3(SYS_madvise, page, length, MADV_POPULATE_WRITE);
}

bool ph_populate(void *start, uint64_t bytes)
{
	return inherited.no_populate || populate(start, bytes) == 0;
}

void ph_process_off(void)
{
	ph_process->generation = PH_OFF;
	inherited.refused = true;
}

/* Private memory that a fork wipes. */
static void *map_wiped(size_t bytes)
{
	void *map = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map != NULL && sys3(SYS_madvise, map, bytes, MADV_WIPEONFORK) != 0) {
		sys_munmap(map, bytes);
		map = NULL;
	}
	return map;
}

static bool make_page(void)
{
	struct ph_process *page;

	if (ph_process != &nothing)
		return true;
	page = map_wiped(4096);
	ph_descriptors = map_wiped(PH_DESCRIPTORS * sizeof(*ph_descriptors));
	if (page != NULL && ph_descriptors != NULL) {
		ph_process = page;
		return true;
	}
	if (page != NULL)
		sys_munmap(page, 4096);
	inherited.refused = true;
	return false;
}

/* Field 22 of /proc/SELF/stat, after the command's closing parenthesis: proc(5). */
static uint64_t start_time(void)
{
	char text[1024];
	int fd = sys_open("/proc/self/stat", O_RDONLY, 0);
	long n = fd < 0 ? -1 : sys_read(fd, text, sizeof(text) - 1);
	uint64_t value = 0;
	const char *at;

	if (fd >= 0)
		sys_close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	for (at = at != NULL ? at + 1 : ""; *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

static void read_link(const char *path, char *out, size_t room)
{
	long n = sys_readlink(path, out, room - 1);

	out[n > 0 ? n : 0] = '\0';
}

static uint32_t read_command(char *out, size_t room)
{
	int fd = sys_open("/proc/self/cmdline", O_RDONLY, 0);
	size_t at = 0;

	while (fd >= 0 && at < room) {
		long n = sys_read(fd, out + at, room - at);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	if (fd >= 0)
		sys_close(fd);
	return (uint32_t)at;
}

static void random_bytes(void *out, size_t count)
{
	if (sys3(SYS_getrandom, out, count, 0) != (long)count) {
		uint64_t mix[2] = {ph_clock_now(ph_clock_choose()), (uint64_t)sys_getpid()};

		memcpy(out, mix, count < sizeof(mix) ? count : sizeof(mix));
	}
}

/* A shared mapping of a file of ours, `allocated` bytes of it backed by pages. */
static void *map_path(const char *path, uint64_t bytes, uint64_t allocated, bool create)
{
	int flags = O_RDWR | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
	void *map = NULL;
	int fd = sys_open(path, flags, 0600);

	if (fd < 0)
		return NULL;
	/* The umask may have taken bits away that the collector needs. */
	if (!create || (sys2(SYS_fchmod, fd, 0600) == 0 && sys2(SYS_ftruncate, fd, bytes) == 0 &&
			sys4(SYS_fallocate, fd, 0, 0, allocated) == 0))
		map = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == NULL && create)
		sys3(SYS_unlinkat, AT_FDCWD, path, 0);
	sys_close(fd);
	return map;
}

static const char *in_folder(const char *name, char *path, size_t room)
{
	size_t n = ph_append(path, room, 0, inherited.folder);

	n = ph_append(path, room, n, "/");
	ph_append(path, room, n, name);
	return path;
}

static struct ph_control *map_control(bool create)
{
	char path[256];

	return map_path(in_folder("control", path, sizeof(path)), sizeof(struct ph_control),
			sizeof(struct ph_control), create);
}

static bool namespace_matches(const struct ph_control *c)
{
	char here[sizeof(c->pid_namespace)];

	read_link("/proc/self/ns/pid", here, sizeof(here));
	return strncmp(here, c->pid_namespace, sizeof(here)) == 0;
}

/* The session that PERFHOOK_ROOT names, if it is there and somebody drains it. */
static struct ph_control *join_session(void)
{
	const char *folder = strchr(ph_config.root, ':');
	struct ph_control *c;

	if (folder == NULL || strncmp(folder + 1, shm_root, sizeof(shm_root) - 1) != 0)
		return NULL;
	ph_append(inherited.folder, sizeof(inherited.folder), 0, folder + 1);
	c = map_control(false);
	if (c == NULL)
		return NULL;
	if (c->magic != PH_CONTROL_MAGIC || c->version != PH_SEGMENT_VERSION ||
	    !namespace_matches(c) || !ph_collector_alive(c)) {
		sys_munmap(c, sizeof(*c));
		return NULL;
	}
	return c;
}

static bool make_folder(void)
{
	uint8_t random[8];
	size_t n = ph_append(inherited.folder, sizeof(inherited.folder), 0, shm_root);

	random_bytes(random, sizeof(random));
	n = ph_append(inherited.folder, sizeof(inherited.folder), n, PH_SESSION_PREFIX);
	n = ph_append_number(inherited.folder, sizeof(inherited.folder), n,
			     (unsigned long long)sys0(SYS_geteuid), 10);
	n = ph_append(inherited.folder, sizeof(inherited.folder), n, "-");
	for (size_t i = 0; i < sizeof(random); i++) {
		n = ph_append_number(inherited.folder, sizeof(inherited.folder), n, random[i] >> 4,
				     16);
		n = ph_append_number(inherited.folder, sizeof(inherited.folder), n, random[i] & 15,
				     16);
	}
	return sys3(SYS_mkdirat, AT_FDCWD, inherited.folder, 0700) == 0 &&
	       sys3(SYS_fchmodat, AT_FDCWD, inherited.folder, 0700) == 0;
}

static struct ph_control *make_session(void)
{
	struct ph_control *c;

	if (!make_folder())
		return NULL;
	c = map_control(true);
	if (c == NULL)
		return NULL;
	c->magic = PH_CONTROL_MAGIC;
	c->version = PH_SEGMENT_VERSION;
	c->root_pid = sys_getpid();
	read_link("/proc/self/ns/pid", c->pid_namespace, sizeof(c->pid_namespace));
	return c;
}

/* ---- the segment ---------------------------------------------------- */

/* Room for the common case, in address space only; pages come as they are used. */
static const struct size {
	uint32_t slots, address_levels, node_levels;
	uint64_t rings;
} sizes[] = {
	{PH_SLOTS_MOST, 11, 12, UINT64_C(512) << 20}, /* 2 M addresses, 16 M nodes */
	{2048, 9, 10, UINT64_C(64) << 20},
	{256, 7, 7, UINT64_C(8) << 20},
};

#define MODULES_BYTES (UINT64_C(4) << 20)

static uint64_t align_page(uint64_t x)
{
	return (x + 4095) & ~UINT64_C(4095);
}

/* Too large for a stack that may be a coroutine's; processes are set up by their
 * only thread. */
static struct ph_segment head;

static uint64_t lay_out(struct ph_segment *s, const struct size *size)
{
	uint64_t at = align_page(sizeof(*s));

	s->slot_count = size->slots;
	s->slots_offset = at;
	at += align_page(size->slots * sizeof(struct ph_slot));
	s->modules_offset = at;
	s->modules_bytes = MODULES_BYTES;
	at += MODULES_BYTES;
	s->addresses.offset = at;
	s->addresses.level_0 = PH_ADDRESS_LEVEL_0;
	s->addresses.levels_max = size->address_levels;
	at += align_page(8u * (uint64_t)ph_level_base(PH_ADDRESS_LEVEL_0, size->address_levels));
	s->nodes.offset = at;
	s->nodes.level_0 = PH_NODE_LEVEL_0;
	s->nodes.levels_max = size->node_levels;
	at += align_page(8u * (uint64_t)ph_level_base(PH_NODE_LEVEL_0, size->node_levels));
	s->rings_offset = at;
	s->rings_end = at + size->rings;
	return s->rings_end;
}

/* The largest size that leaves a limited address space nearly whole and that a
 * limit on file sizes allows (to exceed it is a signal, SIGXFSZ). */
static const struct size *choose_size(bool alone)
{
	struct rlimit address = {RLIM_INFINITY, 0}, file = {RLIM_INFINITY, 0};

	sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &address);
	sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &file);
	for (size_t i = alone; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t bytes = lay_out(&head, &sizes[i]);

		if ((address.rlim_cur == RLIM_INFINITY || bytes <= address.rlim_cur / 16) &&
		    (file.rlim_cur == RLIM_INFINITY || bytes <= file.rlim_cur))
			return &sizes[i];
	}
	return NULL;
}

static void segment_path(const struct ph_segment *s, char *path, size_t room)
{
	size_t n = strlen(in_folder("", path, room));

	n = ph_append_number(path, room, n, (unsigned long long)s->pid, 10);

	n = ph_append(path, room, n, "-");
	for (int i = 0; i < 8; i++)
		n = ph_append_number(path, room, n, s->id[i], 16);
	ph_append(path, room, n, PH_SEGMENT_SUFFIX);
}

static void describe(struct ph_segment *s, const struct ph_control *c)
{
	struct {
		char system[65], node[65], rest[65 * 4];
	} uts;

	s->process_start = start_time();
	s->ppid = (int32_t)sys0(SYS_getppid);
	s->clock_kind = ph_clock_choose();
	s->start_ticks = ph_clock_now(s->clock_kind) & ~PH_CLOCK_ASLEEP;
	s->start_monotonic_ns = sys_clock_ns(CLOCK_MONOTONIC);
	s->start_realtime_ns = sys_clock_ns(CLOCK_REALTIME);
	s->clock = s->start_ticks;
	s->epoch = 1;
	s->events = ph_config.events;
	s->depth = ph_config.depth;
	s->free_stacks = ph_config.free_stacks;
	s->overflow = ph_config.overflow;
	s->follow_children = ph_config.follow_children;
	s->page_bytes = (uint32_t)getauxval(AT_PAGESZ);
	s->first_process = s->pid == c->root_pid && !inherited.is_fork_child;
	s->unwinder = ph_unwinder_kind;
	s->parent_pid = inherited.is_fork_child ? inherited.pid : 0;
	s->parent_fork = ph_fork_note.number;
	if (inherited.is_fork_child)
		memcpy(s->parent_id, inherited.id, sizeof(s->parent_id));
	read_link("/proc/self/exe", s->executable, sizeof(s->executable));
	read_link("/proc/self/cwd", s->directory, sizeof(s->directory));
	if (ph_config.output != NULL)
		ph_append(s->output, sizeof(s->output), 0, ph_config.output);
	if (sys1(SYS_uname, &uts) == 0)
		ph_append(s->host, sizeof(s->host), 0, uts.node);
	s->command_bytes = read_command(s->command, sizeof(s->command));
}

/* A child has its parent's modules, under the same epochs. Copied, because to ask
 * the loader after a bare clone of a threaded process could wait for ever on a
 * lock that some other thread held. */
static void inherit_modules(struct ph_segment *s)
{
	const struct ph_segment *parent = inherited.segment;
	uint64_t used;

	if (!inherited.is_fork_child || parent == NULL)
		return;
	used = atomic_load_explicit(&parent->modules_used, memory_order_acquire);
	if (used > s->modules_bytes || !ph_populate((char *)s + s->modules_offset, used))
		return;
	memcpy((char *)s + s->modules_offset, (const char *)parent + parent->modules_offset, used);
	s->modules_used = used;
	s->epoch = atomic_load(&parent->epoch);
	sys_munmap(inherited.segment, parent->bytes);
	inherited.segment = NULL;
}

/* `path` NULL: in the session's folder. */
static struct ph_segment *make_segment(const struct ph_control *c, const char *path)
{
	char in_session[256];
	struct ph_segment *s;
	uint64_t header_bytes;

	head.version = PH_SEGMENT_VERSION;
	head.pid = sys_getpid();
	random_bytes(head.id, sizeof(head.id));
	head.bytes = lay_out(&head, choose_size(path != NULL));
	if (path == NULL) {
		segment_path(&head, in_session, sizeof(in_session));
		path = in_session;
	}
	header_bytes = align_page(sizeof(head)) + align_page(16 * sizeof(struct ph_slot));
	s = map_path(path, head.bytes, header_bytes, true);
	if (s == NULL)
		return NULL;
	memcpy(s, &head, offsetof(struct ph_segment, clock));
	/* Linux before 5.14 has it not: then a full tmpfs can be SIGBUS. */
	if (!ph_populate(s, header_bytes)) {
		if (populate(s, header_bytes) != -EINVAL)
			return NULL;
		inherited.no_populate = true;
	}
	describe(s, c);
	inherit_modules(s);
	return s;
}

/* Last: the collector may look into the folder at any time, and takes what has
 * its magic for complete. */
static void announce(struct ph_segment *s, struct ph_control *c)
{
	__atomic_store_n(&s->magic, PH_SEGMENT_MAGIC, __ATOMIC_RELEASE);
	atomic_fetch_add_explicit(&c->announced, 1, memory_order_seq_cst);
}

/* ---- start ---------------------------------------------------------- */

static bool configure(void)
{
	char **environment = environ;

	if (inherited.configured)
		return true;
	if (getauxval(AT_SECURE) != 0)
		return false;
	/* libc has not set it yet: too early, the caller keeps the event aside. */
	if (environment == NULL)
		return false;
	inherited.configured = true;
	inherited.refused = !ph_config_read(environment) || !ph_config.start;
	return true;
}

/* What the session is called in the environment begins with its first process. */
static bool is_root(void)
{
	char mine[24];
	size_t n = ph_append_number(mine, sizeof(mine), 0, (unsigned)sys_getpid(), 10);

	ph_append(mine, sizeof(mine), n, ":");
	return ph_config.root != NULL && strncmp(ph_config.root, mine, strlen(mine)) == 0;
}

static bool wanted(void)
{
	if (ph_config.follow_children)
		return true;
	return !inherited.is_fork_child && (ph_config.root == NULL || is_root());
}

/* The session that this process belongs to by birth or by its environment. */
static struct ph_control *find_session(void)
{
	struct ph_control *c;

	if (!inherited.is_fork_child)
		return ph_config.root != NULL ? join_session() : NULL;
	c = inherited.folder[0] != '\0' ? map_control(false) : NULL;
	if (c != NULL && !ph_collector_alive(c)) {
		sys_munmap(c, sizeof(*c));
		c = NULL;
	}
	return c;
}

/* A child's standard error may be its program's data file by now. */
#define complain(...)                                                                              \
	do {                                                                                       \
		if (!inherited.is_fork_child)                                                      \
			ph_log(__VA_ARGS__);                                                       \
	} while (0)

static void keep(struct ph_segment *s, struct ph_control *c)
{
	ph_process->segment = s;
	ph_process->control = c;
	inherited.segment = s;
	memcpy(inherited.id, s->id, sizeof(inherited.id));
	inherited.pid = s->pid;
	inherited.is_fork_child = true; /* of whoever finds the page wiped */
}

/* Without a collector; see alone.h. */
static bool set_up_alone(void)
{
	static char trace[4224], path[4224], spill[4224];
	/* A control file that nobody looks at. */
	struct ph_control *c = sys_mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool again = inherited.is_fork_child || ph_config.root != NULL;
	struct ph_segment *s;

	if (c == NULL)
		return false;
	inherited.alone = true;
	inherited.folder[0] = '\0';
	c->root_pid = inherited.is_fork_child || (ph_config.root != NULL && !is_root())
			      ? 0
			      : sys_getpid();
	head.pid = sys_getpid();
	describe(&head, c); /* the name is made of it */
	if (!ph_alone_name(&head, again, trace, sizeof(trace)))
		return false;
	ph_append(path, sizeof(path), ph_append(path, sizeof(path), 0, trace), PH_ALONE_SEGMENT);
	ph_append(spill, sizeof(spill), ph_append(spill, sizeof(spill), 0, trace), PH_ALONE_SPILL);
	ph_alone_remove_old(path, spill);
	s = make_segment(c, path);
	if (s == NULL) {
		complain("neither a collector can be started nor ", path,
			 " be created; the program runs unrecorded", NULL);
		return false;
	}
	s->alone = 1;
	ph_append(s->spill, sizeof(s->spill), 0, spill);
	ph_append(s->parent_trace, sizeof(s->parent_trace), 0, inherited.trace);
	ph_append(inherited.trace, sizeof(inherited.trace), 0, trace);
	if (!ph_alone_begin(s, trace)) {
		sys3(SYS_unlinkat, AT_FDCWD, path, 0);
		complain("the trace ", trace, " cannot be created; the program runs unrecorded",
			 NULL);
		return false;
	}
	announce(s, c);
	atomic_store(&s->collector, PH_COLLECTOR_ATTACHED);
	keep(s, c);
	return true;
}

static void remove_segment(struct ph_segment *s)
{
	char path[256];

	segment_path(s, path, sizeof(path));
	sys3(SYS_unlinkat, AT_FDCWD, path, 0);
	/* Succeeds where its collector went before us and found it not empty. */
	sys3(SYS_unlinkat, AT_FDCWD, inherited.folder, AT_REMOVEDIR);
}

static void remove_session(void)
{
	char path[256];

	sys3(SYS_unlinkat, AT_FDCWD, in_folder("control", path, sizeof(path)), 0);
	sys3(SYS_unlinkat, AT_FDCWD, inherited.folder, AT_REMOVEDIR);
}

/* PERFHOOK_ROOT of a tree without a collector names no folder. */
static bool root_is_alone(void)
{
	const char *colon = ph_config.root != NULL ? strchr(ph_config.root, ':') : NULL;

	return inherited.alone || (colon != NULL && colon[1] == '\0');
}

/* A session of its own, with a collector. False: that cannot be. */
static bool begin_session(void)
{
	struct ph_control *c;
	struct ph_segment *s;

	if (root_is_alone() || !ph_collector_possible())
		return false;
	c = make_session();
	s = c != NULL ? make_segment(c, NULL) : NULL;
	if (s != NULL) {
		announce(s, c);
		if (ph_spawn_collector(inherited.folder)) {
			keep(s, c);
			return true;
		}
		remove_segment(s);
		sys_munmap(s, s->bytes);
	}
	if (c != NULL)
		remove_session();
	return false;
}

static bool set_up(void)
{
	struct ph_control *c;
	struct ph_segment *s;

	if (!wanted())
		return false;
	if (choose_size(false) == NULL) {
		complain("a limit on the size of files or of the address space (ulimit -f, -v) "
			 "leaves no room for recording; the program runs unrecorded",
			 NULL);
		return false;
	}
	c = root_is_alone() ? NULL : find_session();
	s = c != NULL ? make_segment(c, NULL) : NULL;
	if (s != NULL) {
		announce(s, c);
		/* It may have gone between our look and our announcement. */
		if (ph_collector_alive(c)) {
			ph_wake_collector(c);
			keep(s, c);
			return true;
		}
		remove_segment(s);
		sys_munmap(s, s->bytes);
	}
	return begin_session() || set_up_alone();
}

bool ph_process_start(void)
{
	if (ph_process->generation != 0)
		return ph_process->generation != PH_OFF;
	if (!configure() && !inherited.configured)
		return false;
	if (inherited.refused || !make_page())
		return false;
	if (!set_up()) {
		ph_process_off();
		return false;
	}
	ph_fork_note.number = 0;
	/* Last: whoever sees a generation finds everything else in place. */
	__atomic_store_n(&ph_process->generation, ++inherited.generation, __ATOMIC_RELEASE);
	return true;
}

void ph_process_abandon(void)
{
	remove_segment(ph_process->segment);
	ph_process_off();
}

/* The session's mark in the environment: "PID:FOLDER". */
const char *ph_process_folder(void)
{
	return inherited.folder;
}
