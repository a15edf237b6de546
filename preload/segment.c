/* SPDX-License-Identifier: MIT */
#include "preload/segment.h"

#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "preload/config.h"
#include "preload/log.h"
#include "preload/sys.h"
#include "trace/clock.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static bool no_populate; /* the kernel has no MADV_POPULATE_WRITE */

static long populate(void *start, uint64_t bytes)
{
	uintptr_t page = (uintptr_t)start & ~UINT64_C(4095);
	uint64_t length = ((uintptr_t)start + bytes - page + 4095) & ~UINT64_C(4095);

	return sys3(SYS_madvise, page, length, MADV_POPULATE_WRITE);
}

/* Linux before 5.14: an atomic addition of nothing to each page, by the kernel, to
 * which a page that cannot be had is an error and no signal (futex(2),
 * FUTEX_WAKE_OP). */
static bool touch(void *start, uint64_t bytes)
{
	uintptr_t end = (uintptr_t)start + bytes;

	for (uintptr_t page = (uintptr_t)start & ~UINT64_C(4095); page < end; page += 4096)
		if (sys6(SYS_futex, (long)page, FUTEX_WAKE_OP_PRIVATE, 0, 0, (long)page,
			 FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0)) < 0)
			return false;
	return true;
}

bool ph_populate(void *start, uint64_t bytes)
{
	long error;

	if (ph_confined)
		return false;
	error = no_populate ? -EINVAL : populate(start, bytes);
	if (error != -EINVAL)
		return error == 0;
	no_populate = true;
	return touch(start, bytes);
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

void ph_read_link(const char *path, char *out, size_t room)
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

void ph_random_bytes(void *out, size_t count)
{
	if (sys3(SYS_getrandom, out, count, 0) != (long)count) {
		uint64_t mix[2] = {sys_clock_ns(CLOCK_MONOTONIC), (uint64_t)sys_getpid()};

		memcpy(out, mix, count < sizeof(mix) ? count : sizeof(mix));
	}
}

void *ph_map_file(const char *path, uint64_t bytes, uint64_t allocated, bool create)
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

void *ph_map_wiped(size_t bytes)
{
	void *map = sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (map != NULL && sys3(SYS_madvise, map, bytes, MADV_WIPEONFORK) != 0) {
		sys_munmap(map, bytes);
		map = NULL;
	}
	return map;
}

/* ---- layout ---------------------------------------------------------- */

/* Room for the common case, in address space only; pages come as they are used. */
static const struct size {
	uint32_t slots, address_levels, node_levels;
	uint64_t modules, rings;
} sizes[] = {
	/* 2 M addresses, 16 M nodes */
	{PH_SLOTS_MOST, 11, 12, UINT64_C(4) << 20, UINT64_C(512) << 20},
	{2048, 9, 10, UINT64_C(4) << 20, UINT64_C(64) << 20},
	{256, 7, 6, UINT64_C(1) << 20, UINT64_C(6) << 20},
};

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
	s->modules_bytes = size->modules;
	at += size->modules;
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
static const struct size *choose_size(bool small)
{
	struct rlimit address = {RLIM_INFINITY, 0}, file = {RLIM_INFINITY, 0};

	sys4(SYS_prlimit64, 0, RLIMIT_AS, NULL, &address);
	sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &file);
	for (size_t i = small; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t bytes = lay_out(&head, &sizes[i]);

		if ((address.rlim_cur == RLIM_INFINITY || bytes <= address.rlim_cur / 16) &&
		    (file.rlim_cur == RLIM_INFINITY || bytes <= file.rlim_cur))
			return &sizes[i];
	}
	return NULL;
}

bool ph_segment_fits(void)
{
	return choose_size(false) != NULL;
}

/* ---- who it is ---------------------------------------------------------- */

/* In a chroot without /proc a child is still what its parent was. */
static void describe_files(struct ph_segment *s, const struct ph_segment *parent)
{
	ph_read_link("/proc/self/exe", s->executable, sizeof(s->executable));
	ph_read_link("/proc/self/cwd", s->directory, sizeof(s->directory));
	s->command_bytes = read_command(s->command, sizeof(s->command));
	if (parent == NULL)
		return;
	if (s->executable[0] == '\0')
		memcpy(s->executable, parent->executable, sizeof(s->executable));
	if (s->directory[0] == '\0')
		memcpy(s->directory, parent->directory, sizeof(s->directory));
	if (s->command_bytes == 0 && parent->command_bytes <= sizeof(s->command)) {
		memcpy(s->command, parent->command, parent->command_bytes);
		s->command_bytes = parent->command_bytes;
	}
}

static void describe(struct ph_segment *s, const struct ph_control *c, const struct ph_birth *b)
{
	struct {
		char system[65], node[65], rest[65 * 4];
	} uts;
	struct ph_clock_pair now;

	s->version = PH_SEGMENT_VERSION;
	s->pid = sys_getpid();
	s->process_start = start_time();
	s->ppid = (int32_t)sys0(SYS_getppid);
	s->clock_kind = ph_clock_choose();
	now = ph_clock_pair(s->clock_kind);
	s->start_ticks = now.ticks & ~PH_CLOCK_FLAGS;
	s->start_monotonic_ns = now.monotonic_ns;
	s->start_realtime_ns = now.realtime_ns;
	s->clock = s->start_ticks;
	s->epoch = 1;
	s->events = ph_config.events;
	s->depth = ph_config.depth;
	s->free_stacks = ph_config.free_stacks;
	s->overflow = ph_config.overflow;
	s->follow_children = ph_config.follow_children;
	s->leaks = ph_config.leaks;
	s->page_bytes = (uint32_t)getauxval(AT_PAGESZ);
	s->first_process = s->pid == c->root_pid && !b->by_fork;
	s->parent_pid = b->by_fork ? b->pid : 0;
	s->parent_fork = b->fork;
	if (b->by_fork)
		memcpy(s->parent_id, b->id, sizeof(s->parent_id));
	if (b->segment != NULL) {
		s->unwinder = b->segment->unwinder;
		s->allocator_start = b->segment->allocator_start;
		s->allocator_end = b->segment->allocator_end;
		s->own_end = b->segment->own_end;
		memcpy(s->held, b->segment->held, sizeof(s->held));
	}
	if (ph_config.output != NULL)
		ph_append(s->output, sizeof(s->output), 0, ph_config.output);
	if (sys1(SYS_uname, &uts) == 0)
		ph_append(s->host, sizeof(s->host), 0, uts.node);
	describe_files(s, b->segment);
}

const struct ph_segment *ph_segment_describe(const struct ph_control *c, const struct ph_birth *b)
{
	describe(&head, c, b);
	return &head;
}

/* A child has its parent's modules, under the same epochs. Copied, because to ask
 * the loader after a bare clone of a threaded process could wait for ever on a
 * lock that some other thread held. */
static void inherit_modules(struct ph_segment *s, const struct ph_segment *parent)
{
	uint64_t used;

	if (parent == NULL)
		return;
	used = atomic_load_explicit(&parent->modules_used, memory_order_acquire);
	if (used > s->modules_bytes || !ph_populate((char *)s + s->modules_offset, used))
		return;
	memcpy((char *)s + s->modules_offset, (const char *)parent + parent->modules_offset, used);
	s->modules_used = used;
	s->epoch = atomic_load(&parent->epoch);
}

/* ---- making it ------------------------------------------------------------ */

static struct ph_segment *create(const char *path, const struct size *size)
{
	uint64_t header_bytes = align_page(sizeof(head)) + align_page(16 * sizeof(struct ph_slot));
	struct ph_segment *s;

	if (size == NULL)
		return NULL;
	head.bytes = lay_out(&head, size);
	s = ph_map_file(path, head.bytes, header_bytes, true);
	if (s == NULL)
		return NULL;
	memcpy(s, &head, offsetof(struct ph_segment, clock));
	if (!ph_populate(s, header_bytes)) {
		sys_munmap(s, head.bytes);
		sys3(SYS_unlinkat, AT_FDCWD, path, 0);
		return NULL;
	}
	return s;
}

void ph_segment_take(struct ph_segment *s, const struct ph_control *c, const struct ph_birth *b)
{
	ph_random_bytes(s->id, sizeof(s->id));
	describe(s, c, b);
	inherit_modules(s, b->segment);
}

struct ph_segment *ph_segment_make(const char *path, bool small, const struct ph_control *c,
				   const struct ph_birth *b)
{
	struct ph_segment *s = create(path, choose_size(small));

	if (s != NULL)
		ph_segment_take(s, c, b);
	return s;
}

struct ph_segment *ph_segment_reserve(const char *path)
{
	return create(path, &sizes[sizeof(sizes) / sizeof(sizes[0]) - 1]);
}

/* ---- making it smaller ------------------------------------------------------ */

#define KEPT_RINGS  (UINT64_C(8) << 20) /* beyond those handed out */
#define KEPT_LEVELS 2u			/* of a table, likewise */

static void unmap_tail(struct ph_segment *s, uint64_t from, uint64_t to)
{
	from = align_page(from);
	to &= ~UINT64_C(4095);
	if (from < to)
		sys_munmap((char *)s + from, to - from);
}

/* Whoever is about to use what goes away finds that its pages cannot be had. */
static void shrink_table(struct ph_segment *s, struct ph_table *t)
{
	uint32_t before = t->levels_max;
	uint32_t kept = atomic_load(&t->levels) + KEPT_LEVELS;

	if (kept >= before)
		return;
	t->levels_max = kept;
	unmap_tail(s, t->offset + UINT64_C(8) * ph_level_base(t->level_0, kept),
		   t->offset + UINT64_C(8) * ph_level_base(t->level_0, before));
}

void ph_segment_shrink(struct ph_segment *s, uint64_t bytes)
{
	uint64_t rings = s->rings_offset + atomic_load(&s->rings_used) + KEPT_RINGS;

	if (s->bytes <= bytes / 16 || rings >= s->rings_end)
		return;
	atomic_store(&s->shrunk, 1);
	s->rings_end = rings;
	shrink_table(s, &s->addresses);
	shrink_table(s, &s->nodes);
	atomic_thread_fence(memory_order_seq_cst);
	unmap_tail(s, rings, s->bytes);
}

void ph_segment_detach(struct ph_segment *s, struct ph_slot *const *slots, unsigned count)
{
	uint64_t bytes = s->bytes;
	struct ph_segment *copy;
	struct ph_slot kept[2];

	/* Where it has holes others may have come to stand. */
	if (atomic_load(&s->shrunk) || count > 2)
		return;
	copy = sys_mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	if (copy == NULL)
		return;
	memcpy(copy, s, sizeof(*s));
	for (unsigned i = 0; i < count; i++)
		memcpy(&kept[i], slots[i], sizeof(kept[i]));
	if (sys_mmap(s, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != NULL) {
		memcpy(s, copy, sizeof(*s));
		for (unsigned i = 0; i < count; i++) {
			memcpy(slots[i], &kept[i], sizeof(kept[i]));
			/* There is room. */
			atomic_store(&slots[i]->tail, atomic_load(&slots[i]->head));
		}
	}
	sys_munmap(copy, sizeof(*s));
}

void ph_segment_announce(struct ph_segment *s, struct ph_control *c)
{
	__atomic_store_n(&s->magic, PH_SEGMENT_MAGIC, __ATOMIC_RELEASE);
	atomic_fetch_add_explicit(&c->announced, 1, memory_order_seq_cst);
}
