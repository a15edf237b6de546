/* SPDX-License-Identifier: MIT */
#include "preload/alone.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "preload/log.h"
#include "preload/sys.h"
#include "trace/format.h"

#define LOCK_PATIENCE_NS INT64_C(2000000000)

/* ---- the name ------------------------------------------------------------- */

/* Days since 1970-01-01 to a civil date: Howard Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms". libc's would allocate. */
static size_t append_time(char *out, size_t room, size_t n, uint64_t realtime_ns)
{
	uint64_t seconds = realtime_ns / 1000000000u;
	uint64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
	uint64_t era = days / 146097, of_era = days - era * 146097;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	uint64_t shifted = (5 * of_year + 2) / 153;
	uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
	uint64_t day = of_year - (153 * shifted + 2) / 5 + 1;
	uint64_t stamp = ((year + era * 400 + (month <= 2)) * 100 + month) * 100 + day;
	char clock[7] = {(char)('0' + rest / 36000),
			 (char)('0' + rest / 3600 % 10),
			 (char)('0' + rest % 3600 / 600),
			 (char)('0' + rest % 3600 / 60 % 10),
			 (char)('0' + rest % 60 / 10),
			 (char)('0' + rest % 10),
			 '\0'};

	n = ph_append_number(out, room, n, stamp, 10);
	n = ph_append(out, room, n, "T");
	return ph_append(out, room, n, clock);
}

static size_t append_value(char x, const struct ph_segment *s, char *out, size_t room, size_t n)
{
	const char *slash = strrchr(s->executable, '/');

	switch (x) {
	case 'p':
		return ph_append_number(out, room, n, (unsigned)s->pid, 10);
	case 'e':
		return ph_append(out, room, n, slash != NULL ? slash + 1 : s->executable);
	case 'h':
		return ph_append(out, room, n, s->host);
	case 't':
		return append_time(out, room, n, s->start_realtime_ns);
	default:
		return ph_append(out, room, n, "%");
	}
}

/* Returns whether the pattern held %p. */
static bool expand(const struct ph_segment *s, char *out, size_t room, size_t *length)
{
	const char *pattern = s->output[0] != '\0' ? s->output : "perfhook.%e.%p.trace";
	bool pid = false;
	size_t n = 0;

	if (pattern[0] != '/') {
		n = ph_append(out, room, n, s->directory);
		n = ph_append(out, room, n, "/");
	}
	for (const char *c = pattern; *c != '\0'; c++) {
		char plain[2] = {*c, '\0'};

		if (c[0] == '%' && c[1] != '\0' && strchr("peht%", c[1]) != NULL) {
			pid |= c[1] == 'p';
			n = append_value(*++c, s, out, room, n);
		} else {
			n = ph_append(out, room, n, plain);
		}
	}
	*length = n;
	return pid;
}

/* 1: a trace stands there; 0: nothing does; -1: something else, a line was said. */
static int judge(const char *path)
{
	char magic[8];
	struct stat st;
	int fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	long n;

	if (fd == -ENOENT)
		return 0;
	if (fd == -EMFILE || fd == -ENFILE) {
		ph_log("there is no descriptor left to look at ", path,
		       " with (ulimit -n); the program runs unrecorded", NULL);
		return -1;
	}
	n = fd >= 0 && sys2(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode)
		    ? sys_read(fd, magic, sizeof(magic))
		    : -1;
	if (fd >= 0)
		sys_close(fd);
	if (n == 0 || (n == (long)sizeof(magic) && memcmp(magic, PH_TRACE_MAGIC, 8) == 0))
		return 1;
	ph_log(path,
	       " exists and is not a perfhook trace: remove it or set PERFHOOK_OUT to another "
	       "name; the program runs unrecorded",
	       NULL);
	return -1;
}

bool ph_alone_name(const struct ph_segment *s, bool again, char *out, size_t room)
{
	size_t length;
	bool pid = expand(s, out, room, &length);
	int found = judge(out);

	if (found < 0 || length + 32 > room)
		return false;
	if (!again || (pid && found == 0))
		return true;
	for (unsigned i = 1; i < 1000000; i++) {
		size_t n = ph_append(out, room, length, ".");

		n = ph_append_number(out, room, n, (unsigned)s->pid, 10);
		n = ph_append(out, room, n, ".");
		ph_append_number(out, room, n, i, 10);
		if (judge(out) == 0)
			return true;
	}
	return false;
}

static void remove_if(const char *path, const void *magic, size_t count)
{
	char begin[8];
	int fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	bool ours = fd >= 0 && sys_read(fd, begin, count) == (long)count &&
		    memcmp(begin, magic, count) == 0;

	if (fd >= 0)
		sys_close(fd);
	if (ours)
		sys3(SYS_unlinkat, AT_FDCWD, path, 0);
}

void ph_alone_remove_old(const char *segment, const char *spill)
{
	const uint64_t segment_magic = PH_SEGMENT_MAGIC;
	const uint32_t spill_magic = PH_SPILL_MAGIC;

	remove_if(segment, &segment_magic, sizeof(segment_magic));
	remove_if(spill, &spill_magic, sizeof(spill_magic));
}

/* ---- the trace's head --------------------------------------------------------- */

/* CRC-32 as zlib's crc32(): reflected 0xedb88320. */
static uint32_t crc32_of(const void *data, size_t count)
{
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	while (count-- > 0) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static size_t append_quoted(char *out, size_t room, size_t n, const char *key, const char *value)
{
	n = ph_append(out, room, n, key);
	n = ph_append(out, room, n, "\"");
	for (; *value != '\0'; value++) {
		char one[3] = {*value, '\0', '\0'};

		if (*value == '"' || *value == '\\')
			memcpy(one, (char[]){'\\', *value, '\0'}, 3);
		else if ((unsigned char)*value < 0x20)
			one[0] = '?';
		n = ph_append(out, room, n, one);
	}
	return ph_append(out, room, n, "\"");
}

static size_t append_u64(char *out, size_t room, size_t n, const char *key, uint64_t value)
{
	n = ph_append(out, room, n, key);
	n = ph_append(out, room, n, "\"");
	n = ph_append_number(out, room, n, value, 10);
	return ph_append(out, room, n, "\"");
}

/* What a reader needs to find the rest; the analyzer writes the whole later. */
static size_t run_json(const struct ph_segment *s, const char *trace, char *out, size_t room)
{
	char path[4224];
	size_t n = ph_append(out, room, 0, "{\"pid\":");

	n = ph_append_number(out, room, n, (unsigned)s->pid, 10);
	n = append_quoted(out, room, n, ",\"version\":", PERFHOOK_VERSION);
	n = append_quoted(out, room, n, ",\"executable\":", s->executable);
	n = append_quoted(out, room, n, ",\"host\":", s->host);
	n = append_u64(out, room, n, ",\"started_ns\":", s->start_realtime_ns);
	n = append_u64(out, room, n, ",\"started_ticks\":", s->start_ticks);
	n = append_u64(out, room, n, ",\"process_start\":", s->process_start);
	ph_append(path, sizeof(path), ph_append(path, sizeof(path), 0, trace), PH_ALONE_SEGMENT);
	n = append_quoted(out, room, n, ",\"segment\":", path);
	return ph_append(out, room, n,
			 ",\"control\":\"\",\"notes\":[\"recorded without a collector: the trace "
			 "is made of its .segment and .spill files once the program has ended\"]}");
}

bool ph_alone_begin(const struct ph_segment *s, const char *trace)
{
	static char json[16384];
	struct ph_file_header file = {
		.major = PH_TRACE_MAJOR, .minor = PH_TRACE_MINOR, .header_bytes = sizeof(file)};
	struct ph_block_header block = {.magic = PH_BLOCK_MAGIC, .kind = PH_BLOCK_RUN};
	struct iovec parts[3] = {{&file, sizeof(file)}, {&block, sizeof(block)}, {json, 0}};
	size_t bytes = run_json(s, trace, json, sizeof(json));
	int fd;
	bool written;

	memcpy(file.magic, PH_TRACE_MAGIC, sizeof(file.magic));
	memcpy(file.id, s->id, sizeof(file.id));
	file.crc = crc32_of(&file, offsetof(struct ph_file_header, crc));
	block.stored_bytes = block.raw_bytes = (uint32_t)bytes;
	block.payload_crc = crc32_of(json, bytes);
	block.header_crc = crc32_of(&block, offsetof(struct ph_block_header, header_crc));
	parts[2].iov_len = bytes;
	sys3(SYS_unlinkat, AT_FDCWD, trace, 0);
	fd = sys_open(trace, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	written = sys3(SYS_writev, fd, parts, 3) == (long)(sizeof(file) + sizeof(block) + bytes);
	sys_close(fd);
	return written;
}

/* ---- spilling ------------------------------------------------------------------- */

static bool lock(struct ph_segment *s, bool may_wait)
{
	uint64_t began = sys_clock_ns(CLOCK_MONOTONIC);
	uint32_t unlocked = 0;

	while (!atomic_compare_exchange_strong_explicit(
		&s->spill_lock, &unlocked, 1, memory_order_acquire, memory_order_relaxed)) {
		unlocked = 0;
		if (!may_wait || sys_clock_ns(CLOCK_MONOTONIC) - began > (uint64_t)LOCK_PATIENCE_NS)
			return false;
		sys_futex_wait(&s->spill_lock, 1, 10000000);
	}
	return true;
}

static void unlock(struct ph_segment *s)
{
	atomic_store_explicit(&s->spill_lock, 0, memory_order_release);
	sys_futex_wake(&s->spill_lock);
}

/* All parts, or the file as it was. */
static bool append_parts(const struct ph_segment *s, const struct iovec *parts, int count)
{
	int fd = sys_open(s->spill, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
	struct rlimit limit = {RLIM_INFINITY, 0};
	long end, wanted = 0;
	bool whole;

	if (fd < 0)
		return false;
	for (int i = 0; i < count; i++)
		wanted += (long)parts[i].iov_len;
	end = sys3(SYS_lseek, fd, 0, SEEK_END);
	/* To reach the limit would be a signal, SIGXFSZ. */
	sys4(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit);
	whole = end >= 0 &&
		(limit.rlim_cur == RLIM_INFINITY || (uint64_t)(end + wanted) <= limit.rlim_cur) &&
		sys3(SYS_writev, fd, parts, count) == wanted;
	if (!whole && end >= 0)
		sys2(SYS_ftruncate, fd, end);
	sys_close(fd);
	return whole;
}

/* The cells of the ring that tail is in; a stream that grew has several. */
static bool spill_ring(struct ph_segment *s, struct ph_slot *slot, bool over)
{
	uint64_t tail = atomic_load_explicit(&slot->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&slot->head, memory_order_acquire);
	uint32_t rings = atomic_load_explicit(&slot->ring_count, memory_order_acquire);
	uint32_t at = rings - 1;
	const struct ph_ring *ring;
	struct ph_spill record = {
		.magic = PH_SPILL_MAGIC,
		.stream = slot->stream,
		.first_cell = tail,
		.tid = slot->tid,
		.nested_in = slot->nested_in,
		.started = slot->started,
		.ended = slot->ended,
		.cpu_started = slot->cpu_started,
		.cpu = slot->cpu,
		.cpu_ticks = slot->cpu_ticks,
	};
	struct iovec parts[3] = {{&record, sizeof(record)}};
	struct ph_cell *cells;
	uint64_t index, before_wrap;

	while (at > 0 && slot->rings[at].first > tail)
		at--;
	ring = &slot->rings[at];
	if (at + 1 < rings)
		head = slot->rings[at + 1].first;
	else
		record.over = over;
	memcpy(record.name, slot->name, sizeof(record.name));
	record.cells = head - tail;
	cells = (struct ph_cell *)((char *)s + ring->offset);
	index = (tail - ring->first) & ring->mask;
	before_wrap = ring->mask + 1 - index;
	if (before_wrap > record.cells)
		before_wrap = record.cells;
	parts[1] = (struct iovec){cells + index, before_wrap * sizeof(*cells)};
	parts[2] = (struct iovec){cells, (record.cells - before_wrap) * sizeof(*cells)};
	if (!append_parts(s, parts, 3))
		return false;
	s->spilled_bytes += sizeof(record) + record.cells * sizeof(*cells);
	atomic_store_explicit(&slot->tail, head, memory_order_release);
	return true;
}

bool ph_alone_spill(struct ph_segment *s, struct ph_slot *slot, bool may_wait)
{
	bool done = true;

	if (!lock(s, may_wait))
		return false;
	while (done && atomic_load(&slot->tail) != atomic_load(&slot->head))
		done = spill_ring(s, slot, false);
	unlock(s);
	return done;
}

/* The record that says who the thread was. */
static bool spill_last(struct ph_segment *s, struct ph_slot *slot)
{
	bool done = lock(s, true);

	if (done) {
		done = spill_ring(s, slot, true);
		unlock(s);
	}
	return done;
}

struct ph_slot *ph_alone_reclaim(struct ph_segment *s)
{
	uint32_t used = atomic_load_explicit(&s->slots_used, memory_order_acquire);

	for (uint32_t i = 0; i < used && i < s->slot_count; i++) {
		struct ph_slot *slot = ph_slot_at(s, i);
		uint32_t ending = PH_SLOT_ENDING;

		if (atomic_load(&slot->state) != PH_SLOT_ENDING ||
		    sys3(SYS_tgkill, s->pid, slot->tid, 0) != -ESRCH ||
		    !atomic_compare_exchange_strong(&slot->state, &ending, PH_SLOT_SPILLING))
			continue;
		if (!ph_alone_spill(s, slot, true) || !spill_last(s, slot)) {
			atomic_store(&slot->state, PH_SLOT_ENDING);
			return NULL;
		}
		slot->rings[0] = slot->rings[atomic_load(&slot->ring_count) - 1];
		slot->rings[0].first = 0;
		atomic_store(&slot->head, 0);
		atomic_store(&slot->tail, 0);
		return slot;
	}
	return NULL;
}
