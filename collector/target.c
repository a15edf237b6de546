/* SPDX-License-Identifier: MIT */
#include "collector/target.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "collector/proc.h"
#include "collector/run_json.h"
#include "trace/clock.h"
#include "trace/functions.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define FLUSH_AFTER_NS	UINT64_C(1000000000)
#define CLOCK_AFTER_NS	UINT64_C(60000000000)
#define SAMPLE_AFTER_NS UINT64_C(1000000000) /* or, in the first seconds, */
#define SAMPLE_SHARE	8u		     /* each so much of the time so far, */
#define SAMPLE_LEAST_NS UINT64_C(50000000)   /* but not more often */
#define KEEP_AFTER_NS	UINT64_C(10000000000)

/* At least `want` elements of `size`; new ones are zero. False: no memory. */
static bool grow(struct target *t, void *array, size_t *room, size_t want, size_t size)
{
	void **p = array;
	size_t next = *room != 0 ? *room * 2 : 64;
	char *fresh;

	if (want <= *room)
		return true;
	if (next < want)
		next = want;
	fresh = realloc(*p, next * size);
	if (fresh == NULL) {
		t->memory_short = true;
		return false;
	}
	memset(fresh + *room * size, 0, (next - *room) * size);
	*p = fresh;
	*room = next;
	return true;
}

static bool grow32(struct target *t, uint32_t **array, uint32_t *room, uint32_t want)
{
	size_t wide = *room;
	bool ok = grow(t, array, &wide, want, sizeof(**array));

	*room = (uint32_t)wide;
	return ok;
}

/* ---- mapping ------------------------------------------------------------ */

/* `count` things of `size` from `offset` on lie within `bytes`. */
static bool fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t bytes)
{
	return offset >= sizeof(struct ph_segment) && offset % 8 == 0 && offset <= bytes &&
	       count <= (bytes - offset) / size;
}

static bool copy_table(const struct ph_table *table, uint64_t bytes, struct table_layout *out)
{
	uint32_t level_0 = table->level_0, levels = table->levels_max;

	out->offset = table->offset;
	if (levels > PH_TABLE_LEVELS_MAX || level_0 == 0 || level_0 > UINT32_MAX >> levels)
		return false;
	out->entries = ph_level_base(level_0, levels);
	return fits(out->offset, out->entries, sizeof(uint64_t), bytes);
}

/* Checks the copy: what stands in the segment may change at any time. */
static bool copy_layout(const struct ph_segment *s, uint64_t bytes, struct segment_layout *l)
{
	/* Pairs with the library's release: with the magic, the rest is there. */
	if (__atomic_load_n(&s->magic, __ATOMIC_ACQUIRE) != PH_SEGMENT_MAGIC ||
	    s->version != PH_SEGMENT_VERSION || s->bytes != bytes)
		return false;
	*l = (struct segment_layout){.bytes = bytes,
				     .slots_offset = s->slots_offset,
				     .modules_offset = s->modules_offset,
				     .modules_bytes = s->modules_bytes,
				     .rings_offset = s->rings_offset,
				     .slot_count = s->slot_count};
	return l->slot_count <= PH_SLOTS_MOST &&
	       fits(l->slots_offset, l->slot_count, sizeof(struct ph_slot), bytes) &&
	       l->slots_offset % PH_CACHE_LINE == 0 &&
	       fits(l->modules_offset, l->modules_bytes, 1, bytes) &&
	       fits(l->rings_offset, 0, 1, bytes) &&
	       copy_table(&s->addresses, bytes, &l->addresses) &&
	       copy_table(&s->nodes, bytes, &l->nodes);
}

/* Text is read up to its NUL. */
static void end_texts(struct ph_segment *s)
{
	s->executable[sizeof(s->executable) - 1] = '\0';
	s->directory[sizeof(s->directory) - 1] = '\0';
	s->output[sizeof(s->output) - 1] = '\0';
	s->host[sizeof(s->host) - 1] = '\0';
	s->spill[sizeof(s->spill) - 1] = '\0';
	s->parent_trace[sizeof(s->parent_trace) - 1] = '\0';
}

uint32_t target_slots(const struct target *t)
{
	uint32_t used = atomic_load_explicit(&t->segment->slots_used, memory_order_acquire);

	return used < t->layout.slot_count ? used : t->layout.slot_count;
}

static ph_define_node define_node;

static struct target *map_as(const char *segment_path, const char *control_path, int sharing)
{
	int fd = open(segment_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct ph_segment *segment = MAP_FAILED;
	struct segment_layout layout;
	struct target *t = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size >= sizeof(*segment))
		segment = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, sharing, fd, 0);
	close(fd);
	if (segment == MAP_FAILED)
		return NULL;
	if (!copy_layout(segment, (uint64_t)st.st_size, &layout))
		goto out;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		goto out;
	end_texts(segment);
	t->segment = segment;
	t->layout = layout;
	t->fd = t->pidfd = t->io_fd = t->status_fd = -1;
	t->node_map = (struct ph_node_map){.define = define_node, .context = t};
	t->streams = calloc(layout.slot_count + 1, sizeof(*t->streams));
	snprintf(t->segment_path, sizeof(t->segment_path), "%s", segment_path);
	snprintf(t->control_path, sizeof(t->control_path), "%s", control_path);
	if (t->streams != NULL)
		return t;
	target_free(t);
	return NULL;
out:
	munmap(segment, (size_t)st.st_size);
	return NULL;
}

struct target *target_map(const char *segment_path, const char *control_path)
{
	return map_as(segment_path, control_path, MAP_SHARED);
}

struct target *target_map_copy(const char *segment_path)
{
	return map_as(segment_path, "", MAP_PRIVATE);
}

void target_free(struct target *t)
{
	munmap(t->segment, t->layout.bytes);
	if (t->fd >= 0)
		close(t->fd);
	if (t->pidfd >= 0)
		close(t->pidfd);
	if (t->io_fd >= 0)
		close(t->io_fd);
	if (t->status_fd >= 0)
		close(t->status_fd);
	free(t->streams);
	free(t->node_number);
	free(t->address_number);
	free(t->new_addresses);
	free(t->new_nodes);
	free(t->threads);
	free(t->index);
	ph_buffer_free(&t->payload);
	ph_buffer_free(&t->sealed);
	free(t);
}

static void wake_producer(struct ph_slot *slot)
{
	/* Pairs with the producer's store before it sleeps: see wait_for_room(). */
	if (atomic_exchange_explicit(&slot->waiting, 0, memory_order_seq_cst) != 0)
		syscall(SYS_futex, &slot->tail, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Cells before `tail` stand in the file: they may be overwritten. */
static void release_cells(struct ph_slot *slot, uint64_t tail)
{
	/* Pairs with room_left()'s acquire. */
	atomic_store_explicit(&slot->tail, tail, memory_order_seq_cst);
	wake_producer(slot);
}

/* What was in it stands in the file. */
static void empty_stage(struct target *t, struct ph_slot *slot)
{
	t->streams[slot - target_slot(t, 0)].staged = 0;
	atomic_store_explicit(&slot->stage_count, 0, memory_order_release);
}

/* ---- writing ------------------------------------------------------------ */

/* All of `sealed` to the end of the file. False: the disk is full or worse; it
 * stays there to be tried again, and nothing of it counts as written. */
static bool flush_sealed(struct target *t)
{
	size_t done = 0;

	while (done < t->sealed.length) {
		ssize_t n = pwrite(t->fd, t->sealed.data + done, t->sealed.length - done,
				   (off_t)(t->file_bytes + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			t->stuck = true;
			return false;
		}
		done += (size_t)n;
	}
	t->file_bytes += done;
	t->sealed.length = 0;
	t->stuck = false;
	if (t->waiting_slot != NULL) {
		release_cells(t->waiting_slot, t->waiting_tail);
		empty_stage(t, t->waiting_slot);
	}
	t->waiting_slot = NULL;
	return true;
}

static bool copy_bytes(int from, int to, uint64_t bytes)
{
	off_t at = 0;

	while ((uint64_t)at < bytes) {
		size_t left = bytes - (uint64_t)at < 1u << 30 ? bytes - (uint64_t)at : 1u << 30;

		if (sendfile(to, from, &at, left) <= 0)
			return false;
	}
	return true;
}

/* Under its name at once and whole, unless something is there: errno is EEXIST. */
static bool put_in_place(const char *part, const char *path)
{
	/* Not every file system has links. */
	return link(part, path) == 0
		       ? unlink(part) == 0
		       : errno != EEXIST && errno != ENOENT && rename(part, path) == 0;
}

void target_keep(struct target *t, bool at_end)
{
	char part[sizeof(t->trace_path) + 8];
	struct stat st;
	int fd;

	if (t->replaced || t->fd < 0 || fstat(t->fd, &st) != 0 || st.st_nlink > 0)
		return;
	/* Each try copies all of it. */
	if (t->kept_last != 0 && ph_clock_ns(CLOCK_MONOTONIC) - t->kept_last < KEEP_AFTER_NS &&
	    !at_end)
		return;
	t->kept_last = ph_clock_ns(CLOCK_MONOTONIC);
	snprintf(part, sizeof(part), "%s.part", t->trace_path);
	fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	atomic_store(&t->segment->trace_gone, fd < 0);
	if (fd < 0)
		return;
	flock(fd, LOCK_EX | LOCK_NB);
	if (!copy_bytes(t->fd, fd, t->file_bytes) || !put_in_place(part, t->trace_path)) {
		/* A newer recording by the same name, or what its owner wants to be there. */
		t->replaced = errno == EEXIST;
		atomic_store(&t->segment->trace_gone, !t->replaced);
		unlink(part);
		close(fd);
		return;
	}
	close(t->fd);
	t->fd = fd;
	t->kept_last = 0;
}

/* Seal a block behind what already waits in `sealed`, and note it in the index. */
static void add_block(struct target *t, struct ph_block_header *header, const void *payload,
		      size_t length)
{
	struct ph_index_entry entry = {
		.offset = t->file_bytes + t->sealed.length,
		.first_stamp = header->first_stamp,
		.stream = header->stream,
		.events = header->events,
		.kind = header->kind,
	};

	if (ph_block_seal(header, payload, length, &t->sealed) != 0) {
		t->memory_short = true;
		return;
	}
	if (grow(t, &t->index, &t->index_room, t->index_count + 1, sizeof(*t->index)))
		t->index[t->index_count++] = entry;
}

static void add_json(struct target *t, uint16_t kind, cJSON *json)
{
	struct ph_block_header header = {.kind = kind};
	char *text = cJSON_PrintUnformatted(json);

	if (text != NULL)
		add_block(t, &header, text, strlen(text));
	else
		t->memory_short = true;
	free(text);
	cJSON_Delete(json);
}

void target_add_found(struct target *t, const char *json, size_t length)
{
	struct ph_block_header header = {.kind = PH_BLOCK_REACH};

	if (length <= PH_BLOCK_RAW_MAX)
		add_block(t, &header, json, length);
}

static void add_clock(struct target *t)
{
	struct ph_block_header header = {.kind = PH_BLOCK_CLOCK};
	struct ph_clock_pair pair = ph_clock_pair(t->segment->clock_kind);

	add_block(t, &header, &pair, sizeof(pair));
}

static uint64_t suspended_ns(void)
{
	return ph_clock_ns(CLOCK_BOOTTIME) - ph_clock_ns(CLOCK_MONOTONIC);
}

static bool has_other_time(const struct target *t)
{
	char path[64], ours[64], theirs[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/time", t->segment->pid);
	return proc_link("/proc/self/ns/time", ours, sizeof(ours)) &&
	       proc_link(path, theirs, sizeof(theirs)) && strcmp(ours, theirs) != 0;
}

static void add_start_clock(struct target *t)
{
	struct ph_block_header header = {.kind = PH_BLOCK_CLOCK};
	struct ph_clock_pair pair = {
		.ticks = t->segment->start_ticks,
		.monotonic_ns = t->segment->start_monotonic_ns,
		.realtime_ns = t->segment->start_realtime_ns,
	};

	add_block(t, &header, &pair, sizeof(pair));
}

static cJSON *functions_json(void)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "functions");

	for (int i = 1; i < PH_OP_FUNCTIONS; i++) {
		cJSON *f = cJSON_CreateObject();

		cJSON_AddNumberToObject(f, "id", i);
		cJSON_AddStringToObject(f, "name", ph_functions[i].name);
		cJSON_AddNumberToObject(f, "kind", ph_functions[i].kind);
		cJSON_AddItemToArray(list, f);
	}
	return root;
}

void target_begin(struct target *t, const char *parent_path)
{
	struct ph_file_header header = {.reserved = 0};

	t->suspended_before = suspended_ns();
	t->last_clock = ph_clock_ns(CLOCK_MONOTONIC);
	t->other_time = has_other_time(t);
	/* Real time is everybody's: what our clock said when it began. */
	if (t->other_time)
		t->segment->start_monotonic_ns =
			ph_clock_ns(CLOCK_MONOTONIC) -
			(ph_clock_ns(CLOCK_REALTIME) - t->segment->start_realtime_ns);
	memcpy(header.id, t->segment->id, sizeof(header.id));
	ph_file_header_seal(&header);
	ph_buffer_put(&t->sealed, &header, sizeof(header));
	add_json(t, PH_BLOCK_RUN,
		 run_json(t->segment, t->segment_path, t->control_path, parent_path));
	add_json(t, PH_BLOCK_FUNCTIONS, functions_json());
	add_start_clock(t);
	flush_sealed(t);
}

/* ---- stacks ------------------------------------------------------------- */

static uint64_t table_entry(const struct target *t, const struct table_layout *table,
			    uint32_t index)
{
	const _Atomic uint64_t *entries =
		(const _Atomic uint64_t *)((const char *)t->segment + table->offset);

	return atomic_load_explicit(&entries[index], memory_order_acquire);
}

static uint32_t address_number(struct target *t, uint32_t index)
{
	uint64_t word;

	if (index >= t->layout.addresses.entries ||
	    !grow32(t, &t->address_number, &t->address_room, index + 1))
		return 0;
	if (t->address_number[index] != 0)
		return t->address_number[index];
	if (!grow(t, &t->new_addresses, &t->new_address_room, t->new_address_count + 1,
		  sizeof(*t->new_addresses)))
		return 0;
	word = table_entry(t, &t->layout.addresses, index);
	t->new_addresses[t->new_address_count++] = (struct ph_new_address){
		.address = PH_ADDRESS_PC(word), .epoch = PH_ADDRESS_EPOCH(word)};
	return t->address_number[index] = ++t->addresses_written;
}

/* A ph_define_node: with its ancestors, as far as they are new. 0 when the segment
 * holds nonsense or memory ran out. */
static uint32_t define_node(void *context, uint32_t node)
{
	struct target *t = context;
	uint32_t most = t->layout.nodes.entries;
	uint32_t chain[4200];
	uint32_t depth = 0, parent = 0;

	for (; node != 0; node = (uint32_t)(table_entry(t, &t->layout.nodes, node - 1) >> 32)) {
		if (node > most || depth >= sizeof(chain) / sizeof(chain[0]) ||
		    !grow32(t, &t->node_number, &t->node_room, node + 1))
			return 0;
		if (t->node_number[node] != 0) {
			parent = t->node_number[node];
			break;
		}
		chain[depth++] = node;
	}
	while (depth > 0) {
		uint64_t word = table_entry(t, &t->layout.nodes, chain[--depth] - 1);
		uint32_t address = address_number(t, (uint32_t)word - 1);

		if (address == 0 || !grow(t, &t->new_nodes, &t->new_node_room,
					  t->new_node_count + 1, sizeof(*t->new_nodes)))
			return parent;
		t->new_nodes[t->new_node_count++] =
			(struct ph_new_node){.parent = parent, .address = address};
		parent = t->node_number[chain[depth]] = ++t->nodes_written;
	}
	t->node_map.numbers = t->node_number;
	t->node_map.count = t->node_room;
	return parent;
}

static void add_stacks(struct target *t)
{
	struct ph_block_header header = {.kind = PH_BLOCK_STACKS};
	struct ph_buffer payload = {0};

	if (t->new_address_count == 0 && t->new_node_count == 0)
		return;
	/* Where their numbers begin, should an earlier block be damaged. */
	header.first_stamp = t->addresses_written - t->new_address_count;
	header.first_cell = t->nodes_written - t->new_node_count;
	ph_encode_stacks(t->new_addresses, t->new_address_count, t->new_nodes, t->new_node_count,
			 &payload);
	add_block(t, &header, payload.data, payload.length);
	ph_buffer_free(&payload);
	t->new_address_count = t->new_node_count = 0;
}

/* ---- modules ------------------------------------------------------------ */

static void add_modules(struct target *t)
{
	const struct ph_segment *s = t->segment;
	uint64_t used = atomic_load_explicit(&s->modules_used, memory_order_acquire);
	const char *log = (const char *)s + t->layout.modules_offset;
	cJSON *root, *list;

	if (used == t->modules_read || used > t->layout.modules_bytes)
		return;
	root = cJSON_CreateObject();
	list = cJSON_AddArrayToObject(root, "modules");
	while (t->modules_read < used) {
		uint32_t bytes = module_json(list, log, t->modules_read, used);

		if (bytes == 0) {
			t->damaged = true;
			t->modules_read = used;
			break;
		}
		t->modules_read += bytes;
	}
	add_json(t, PH_BLOCK_MODULES, root);
}

/* ---- rings -------------------------------------------------------------- */

/* Cells [from, to) of one ring, where they stand. */
static struct ph_cells ring_cells(const struct target *t, const struct ph_ring *ring, uint64_t from,
				  uint64_t to)
{
	const struct ph_cell *cells =
		(const struct ph_cell *)((const char *)t->segment + ring->offset);
	uint64_t start = (from - ring->first) & ring->mask;
	uint64_t count = to - from;
	uint64_t before_wrap = ring->mask + 1 - start;

	if (before_wrap > count)
		before_wrap = count;
	return (struct ph_cells){cells + start, before_wrap, cells, count - before_wrap};
}

static bool ring_is_sane(const struct target *t, const struct ph_ring *ring)
{
	return ring->mask < TARGET_CELLS && (ring->mask & (ring->mask + 1)) == 0 &&
	       ring->offset >= t->layout.rings_offset &&
	       fits(ring->offset, ring->mask + 1, sizeof(struct ph_cell), t->layout.bytes);
}

bool target_add_cells(struct target *t, uint32_t stream, uint64_t first_cell,
		      const struct ph_cells *cells, uint64_t *stamp)
{
	struct ph_block_header header = {
		.kind = PH_BLOCK_EVENTS, .stream = stream, .first_cell = first_cell};
	uint64_t next_stamp = *stamp;
	size_t bad = 0;

	t->payload.length = 0;
	if (ph_encode_events(cells, &t->node_map, &next_stamp, &header, &t->payload, &bad) != 0)
		t->damaged = true;
	add_modules(t);
	add_stacks(t);
	if (header.events > 0)
		add_block(t, &header, t->payload.data, t->payload.length);
	if (t->memory_short)
		return false;
	*stamp = next_stamp;
	flush_sealed(t);
	return true;
}

/* On a full disk they stay where they are as well. */
static void release_written(struct target *t, struct ph_slot *slot, uint64_t tail)
{
	if (!t->stuck) {
		release_cells(slot, tail);
		empty_stage(t, slot);
	} else {
		t->waiting_slot = slot;
		t->waiting_tail = tail;
	}
}

static struct ph_cell *stage_cells(const struct target *t, const struct stream_state *state)
{
	return (struct ph_cell *)((char *)t->segment + state->stage);
}

/* Room that no ring will want, and whose pages are there: a store to a hole of a
 * full tmpfs would be our end. */
static bool have_stage(struct target *t, struct stream_state *state, struct ph_slot *slot)
{
	const uint64_t bytes = PH_STAGE_CELLS * sizeof(struct ph_cell);
	uint64_t most = (t->layout.bytes - t->layout.rings_offset) / 2;
	uint64_t at = atomic_load_explicit(&t->segment->rings_used, memory_order_relaxed);

	if (state->stage != 0 || state->unstaged)
		return state->stage != 0;
	state->unstaged = true;
	do {
		if (at > most || bytes > most - at || atomic_load(&t->segment->shrunk) != 0)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(&t->segment->rings_used, &at, at + bytes,
							memory_order_relaxed,
							memory_order_relaxed));
	/* Rings are made of whole pages, unless somebody overwrote that. */
	at += t->layout.rings_offset;
	if (at % 4096 != 0 || madvise((char *)t->segment + at, bytes, MADV_POPULATE_WRITE) != 0)
		return false;
	slot->stage = state->stage = at;
	return true;
}

/* What is staged becomes an EVENTS block. False: not written, try again later. */
static bool write_stage(struct target *t, struct stream_state *state, struct ph_slot *slot)
{
	uint64_t tail = atomic_load_explicit(&slot->tail, memory_order_relaxed);
	const struct ph_cells cells = {.cells = stage_cells(t, state), .count = state->staged};

	if (!target_add_cells(t, slot->stream, tail - state->staged, &cells, &state->stamp))
		return false;
	release_written(t, slot, tail);
	return !t->stuck;
}

/* Cells [from, to) of one ring, staged or, if they are many or a stage would be written
 * at once, written. False: neither, try again later. */
static bool take_cells(struct target *t, struct stream_state *state, struct ph_slot *slot,
		       const struct ph_ring *ring, uint64_t from, uint64_t to, bool all)
{
	bool many = to - from > PH_STAGE_CELLS / 2;
	const struct ph_cells cells = ring_cells(t, ring, from, to);
	struct ph_cell *end;

	if (state->staged != 0 && (many || to - from > PH_STAGE_CELLS - state->staged) &&
	    !write_stage(t, state, slot))
		return false;
	if (many || (all && state->staged == 0) || !have_stage(t, state, slot)) {
		if (!target_add_cells(t, slot->stream, from, &cells, &state->stamp))
			return false;
		release_written(t, slot, to);
		return true;
	}
	end = stage_cells(t, state) + state->staged;
	memcpy(end, cells.cells, cells.count * sizeof(*end));
	memcpy(end + cells.count, cells.more, cells.more_count * sizeof(*end));
	if (state->staged == 0)
		slot->stage_first = from;
	state->staged += (uint32_t)(to - from);
	/* Before tail: whoever does a dead collector's work finds them in one of both. */
	atomic_store_explicit(&slot->stage_count, state->staged, memory_order_release);
	release_cells(slot, to);
	return true;
}

uint64_t target_unwritten(const struct target *t, uint32_t index)
{
	return atomic_load(&target_slot(t, index)->tail) - t->streams[index].staged;
}

void target_adopt_stages(struct target *t)
{
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		struct ph_slot *slot = target_slot(t, i);
		struct stream_state *state = &t->streams[i];
		uint64_t count = atomic_load(&slot->stage_count), end = slot->stage_first + count;
		uint64_t tail = atomic_load(&slot->tail);

		state->unstaged = true;
		if (count == 0 || atomic_load(&slot->state) == PH_SLOT_FREE)
			continue;
		if (count > PH_STAGE_CELLS || end < count || end > atomic_load(&slot->head) ||
		    tail > end || tail < slot->stage_first || slot->stage % 8 != 0 ||
		    slot->stage < t->layout.rings_offset ||
		    !fits(slot->stage, PH_STAGE_CELLS, sizeof(struct ph_cell), t->layout.bytes)) {
			t->damaged = true;
			continue;
		}
		state->stream = slot->stream;
		state->stage = slot->stage;
		state->staged = (uint32_t)count;
		atomic_store(&slot->tail, end);
	}
}

static uint64_t drain_slot(struct target *t, uint32_t index, bool all)
{
	struct ph_slot *slot = target_slot(t, index);
	struct stream_state *state = &t->streams[index];
	uint64_t head, tail, from;
	uint32_t rings;

	if (atomic_load_explicit(&slot->state, memory_order_acquire) == PH_SLOT_FREE)
		return 0;
	if (state->stream != slot->stream)
		*state = (struct stream_state){
			.stream = slot->stream, .stage = state->stage, .unstaged = state->unstaged};
	head = atomic_load_explicit(&slot->head, memory_order_acquire);
	rings = atomic_load_explicit(&slot->ring_count, memory_order_acquire);
	from = tail = atomic_load_explicit(&slot->tail, memory_order_relaxed);
	while (tail < head && !t->stuck && rings <= PH_RING_GROWTHS) {
		/* A copy, to be checked and used. */
		const struct ph_ring own = slot->rings[state->ring], *ring = &own;
		bool last = state->ring + 1 >= rings;
		uint64_t end = last ? head : slot->rings[state->ring + 1].first;
		/* Behind it nothing was recorded before it was set: it is seen with head. */
		uint64_t cut = atomic_load_explicit(&slot->cut, memory_order_relaxed);

		if (!last && end <= tail) {
			state->ring++;
			continue;
		}
		if (tail == cut && state->staged != 0 && !write_stage(t, state, slot))
			break;
		/* It grew after we looked at head. */
		if (end > head)
			end = head;
		if (tail < cut && cut < end)
			end = cut;
		if (!ring_is_sane(t, ring) || end < tail || end - tail > ring->mask + 1) {
			t->damaged = true;
			end = tail = head;
			release_cells(slot, tail);
		}
		if (tail < end) {
			if (last && !all && end != cut && end - tail < (ring->mask + 1) / 2)
				break;
			if (!take_cells(t, state, slot, ring, tail, end, all))
				break;
			tail = end;
		}
	}
	if (all && state->staged != 0 && !t->stuck)
		write_stage(t, state, slot);
	if (tail != from && state->name[0] == '\0')
		proc_thread_name(t->segment->pid, (int)slot->tid, state->name, sizeof(state->name));
	return tail - from;
}

/* ---- what is not seen ---------------------------------------------------- */

/* Still the program that the trace is of, and not one that it became by exec and
 * that did not load the library? A zombie has no executable, but a name. */
static bool is_same_program(const struct target *t, bool ended)
{
	const struct ph_segment *s = t->segment;
	char path[64], link[sizeof(s->executable)];

	if (atomic_load(&s->exec_begun) != 0)
		return false;
	if (ended) {
		proc_thread_name(s->pid, s->pid, link, sizeof(link));
		return strcmp(link, t->name) == 0;
	}
	snprintf(path, sizeof(path), "/proc/%d/exe", s->pid);
	return proc_link(path, link, sizeof(link)) &&
	       strncmp(link, s->executable, sizeof(link)) == 0;
}

/* Threads that a signal or the end of their process takes by surprise say nothing of
 * their processor time: of such the last look counts. */
static void look_at_threads(struct target *t)
{
	const struct ph_segment *s = t->segment;
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		const struct ph_slot *slot = target_slot(t, i);
		struct stream_state *state = &t->streams[i];

		if (atomic_load_explicit(&slot->state, memory_order_acquire) == PH_SLOT_ACTIVE &&
		    slot->nested_in == 0 && state->stream == slot->stream &&
		    proc_thread_cpu(s->pid, (int)slot->tid, &state->cpu))
			state->cpu_ticks = ph_clock_now(s->clock_kind);
	}
}

void target_look(struct target *t, bool ended)
{
	struct ph_segment *s = t->segment;
	struct ph_io_look look = {.began = ph_clock_now(s->clock_kind)};

	if (atomic_load(&s->exec_begun) == 0)
		look_at_threads(t);
	if (t->io_fd < 0 || !proc_io_read(t->io_fd, &look.whole))
		return;
	look.looked_bytes = atomic_load(&s->looked_bytes);
	look.ended_bytes = atomic_load(&s->ended_bytes);
	/* Asked for afterwards: without any, the above has none of theirs. */
	look.reaped = proc_has_reaped(s->pid);
	/* A zombie has no other threads left to add up. */
	if (look.reaped &&
	    ((ended && atomic_load(&s->streams) > 1) || !proc_io_threads(s->pid, &look.threads)))
		return;
	/* Afterwards: what it became by then has been looked at. */
	if (!is_same_program(t, ended))
		return;
	s->io_sampled.began = look.began;
	s->io_sampled.whole = look.whole;
	s->io_sampled.threads = look.threads;
	s->io_sampled.looked_bytes = look.looked_bytes;
	s->io_sampled.ended_bytes = look.ended_bytes;
	s->io_sampled.reaped = look.reaped;
	atomic_store_explicit(&s->io_sampled.ticks, ph_clock_now(s->clock_kind),
			      memory_order_release);
	if (!ended && !(atomic_load(&s->unseen) & PH_UNSEEN_IO_URING) &&
	    proc_has_anonymous(s->pid, "[io_uring]"))
		atomic_fetch_or(&s->unseen, PH_UNSEEN_IO_URING);
}

/* ---- memory, and marks ---------------------------------------------------- */

static void add_samples(struct target *t)
{
	struct ph_block_header header = {.kind = PH_BLOCK_SAMPLES};
	const struct ph_samples head = {sizeof(struct ph_sample), t->sample_count};
	char payload[sizeof(head) + sizeof(t->samples)];
	size_t bytes = t->sample_count * sizeof(*t->samples);

	if (t->sample_count == 0)
		return;
	memcpy(payload, &head, sizeof(head));
	memcpy(payload + sizeof(head), t->samples, bytes);
	add_block(t, &header, payload, sizeof(head) + bytes);
	t->sample_count = 0;
}

static void sample_memory(struct target *t, uint64_t now)
{
	uint64_t since = (now - t->first_sample) / SAMPLE_SHARE;
	struct ph_sample *sample = &t->samples[t->sample_count];

	since = since < SAMPLE_LEAST_NS ? SAMPLE_LEAST_NS : since;
	since = since > SAMPLE_AFTER_NS ? SAMPLE_AFTER_NS : since;
	if (t->first_sample != 0 && now - t->last_sample < since)
		return;
	t->first_sample = t->first_sample != 0 ? t->first_sample : now;
	t->last_sample = now;
	/* After an exec it is another program's. */
	if (!proc_memory(t->status_fd, sample) || atomic_load(&t->segment->exec_begun) != 0)
		return;
	sample->ticks = ph_clock_now(t->segment->clock_kind);
	if (++t->sample_count == TARGET_SAMPLES)
		add_samples(t);
}

/* ---- who the threads are ------------------------------------------------- */

void target_add_thread(struct target *t, const struct thread_entry *e)
{
	if (grow(t, &t->threads, &t->thread_room, t->thread_count + 1, sizeof(*t->threads)))
		t->threads[t->thread_count++] = *e;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* What is known of a slot's thread. */
static struct thread_entry entry_of(const struct target *t, const struct ph_slot *slot,
				    const struct stream_state *state, uint64_t ended)
{
	struct thread_entry e = {
		.stream = slot->stream,
		.tid = slot->tid,
		.nested_in = slot->nested_in,
		.started = slot->started,
		.ended = ended,
		.cpu_started = slot->cpu_started,
		.cpu = slot->cpu,
		.cpu_ticks = slot->cpu_ticks,
	};

	if (state->stream == slot->stream && state->cpu_ticks > e.cpu_ticks &&
	    state->cpu.ran_ns >= e.cpu.ran_ns) {
		e.cpu = state->cpu;
		e.cpu_ticks = state->cpu_ticks;
	}
	memcpy(e.name, slot->name[0] != '\0' ? slot->name : state->name, sizeof(e.name));
	e.name[sizeof(e.name) - 1] = '\0';
	/* Killed before it was looked at: what the kernel named the first thread. */
	if (e.name[0] == '\0' && (int)e.tid == t->segment->pid)
		snprintf(e.name, sizeof(e.name), "%.15s", base_name(t->segment->executable));
	return e;
}

static void add_threads(struct target *t)
{
	if (t->threads_written == t->thread_count)
		return;
	add_json(t, PH_BLOCK_THREADS,
		 threads_json(t->threads + t->threads_written,
			      t->thread_count - t->threads_written));
	t->threads_written = t->thread_count;
}

/* Who the threads are that a reader of the unfinished trace meets. Their processor time is
 * told when they end: it would soon be too old. True: there were new ones. */
static bool add_new_threads(struct target *t)
{
	size_t first = t->thread_count;
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		const struct ph_slot *slot = target_slot(t, i);
		struct stream_state *state = &t->streams[i];
		struct thread_entry e;
		char name[sizeof(state->name)] = "";

		if (atomic_load_explicit(&slot->state, memory_order_acquire) != PH_SLOT_ACTIVE ||
		    state->stream != slot->stream || state->told == state->stream)
			continue;
		proc_thread_name(t->segment->pid, (int)slot->tid, name, sizeof(name));
		if (name[0] != '\0') /* it may have another by now */
			memcpy(state->name, name, sizeof(name));
		e = entry_of(t, slot, state, 0);
		e.cpu_ticks = 0;
		state->told = state->stream;
		target_add_thread(t, &e);
	}
	if (t->thread_count == first)
		return false;
	add_threads(t);
	return true;
}

/* True: there were new ones. */
static bool add_marks(struct target *t)
{
	uint32_t used = atomic_load(&t->segment->marks_used);

	used = used < PH_MARKS_MOST ? used : PH_MARKS_MOST;
	/* One that is not there yet is there the next time. */
	for (uint32_t i = t->marks_written; i < used; i++)
		if (atomic_load(&t->segment->marks[i].ticks) == 0)
			used = i;
	if (used <= t->marks_written)
		return false;
	t->marks_written = used;
	add_json(t, PH_BLOCK_MARKS, marks_json(t->segment, used));
	return true;
}

uint64_t target_drain(struct target *t, bool all)
{
	uint32_t used = target_slots(t);
	uint64_t now = ph_clock_ns(CLOCK_MONOTONIC);
	uint64_t moved = 0;
	bool is_new;

	if (t->stuck && !flush_sealed(t))
		return 0;
	/* Once a second everything, so that a trace can be looked at meanwhile. */
	if (now - t->last_flush > FLUSH_AFTER_NS) {
		t->last_flush = now;
		all = true;
		target_keep(t, false);
		target_look(t, false);
		is_new = add_marks(t);
		if (add_new_threads(t) || is_new)
			flush_sealed(t);
	}
	sample_memory(t, now);
	if (now - t->last_clock > CLOCK_AFTER_NS) {
		t->last_clock = now;
		add_clock(t);
	}
	for (uint32_t i = 0; i < used; i++)
		moved += drain_slot(t, i, all);
	return moved;
}

void target_flush(struct target *t)
{
	uint32_t wanted = atomic_load_explicit(&t->segment->flush_wanted, memory_order_acquire);

	if (wanted == atomic_load(&t->segment->flushed))
		return;
	target_drain(t, true);
	if (t->stuck || t->memory_short)
		return;
	atomic_store_explicit(&t->segment->flushed, wanted, memory_order_release);
	syscall(SYS_futex, &t->segment->flushed, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

/* ---- threads ------------------------------------------------------------ */

static void note_thread(struct target *t, const struct ph_slot *slot,
			const struct stream_state *state, uint64_t ended)
{
	struct thread_entry e = entry_of(t, slot, state, ended);

	target_add_thread(t, &e);
}

/* The slot's thread is gone and its ring is empty. It keeps its largest ring. */
static void reclaim_slot(struct target *t, uint32_t index)
{
	struct ph_slot *slot = target_slot(t, index);
	uint64_t gone = ph_clock_now(t->segment->clock_kind);
	uint32_t rings = atomic_load(&slot->ring_count);

	note_thread(t, slot, &t->streams[index], slot->ended != 0 ? slot->ended : gone);
	t->lost += atomic_exchange(&slot->lost, 0);
	t->stalled += atomic_exchange(&slot->stalled, 0);
	if (rings > 0 && rings <= PH_RING_GROWTHS)
		slot->rings[0] = slot->rings[rings - 1];
	slot->rings[0].first = 0;
	atomic_store(&slot->cut, 0);
	atomic_store(&slot->ring_count, 1);
	atomic_store(&slot->head, 0);
	atomic_store(&slot->tail, 0);
	atomic_store(&slot->waiting, 0);
	atomic_store(&slot->state, PH_SLOT_FREE);
	t->streams[index].stream = 0;
	ph_push_free_slot(t->segment, slot, index);
}

void target_reclaim(struct target *t)
{
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		struct ph_slot *slot = target_slot(t, i);

		if (atomic_load_explicit(&slot->state, memory_order_acquire) == PH_SLOT_FREE)
			continue;
		if (proc_thread_alive(t->segment->pid, (int)slot->tid))
			continue;
		/* Gone: nothing is added any more, so empty now is empty for good. */
		drain_slot(t, i, true);
		if (atomic_load(&slot->head) == atomic_load(&slot->tail) &&
		    t->streams[i].staged == 0)
			reclaim_slot(t, i);
	}
	if (t->thread_count - t->threads_written >= 256)
		add_threads(t);
}

/* ---- the end ------------------------------------------------------------ */

static void add_end(struct target *t, const struct target_end *end)
{
	const struct ph_segment *s = t->segment;
	struct end_facts facts = {
		.kind = end->kind,
		.status = end->status,
		.ended_ticks = ph_clock_now(s->clock_kind),
		.ended_ns = ph_clock_ns(CLOCK_REALTIME),
		.lost = t->lost,
		.stalled_ticks = t->stalled,
		.damaged = t->damaged,
		.other_time = t->other_time && t->segment->clock_kind == PH_CLOCK_MONOTONIC,
		.suspended_ns = suspended_ns() - t->suspended_before,
	};

	if (atomic_load(&s->ended) != 0 && strcmp(end->kind, "exit") == 0)
		facts.ended_ticks = atomic_load(&s->end_ticks);
	add_json(t, PH_BLOCK_END, end_json(s, &facts));
}

static void add_index(struct target *t)
{
	struct ph_block_header header = {.kind = PH_BLOCK_INDEX};
	size_t count = t->index_count;

	add_block(t, &header, t->index, count * sizeof(*t->index));
}

bool target_finish(struct target *t, const struct target_end *end)
{
	uint32_t used = target_slots(t);

	target_keep(t, true);
	for (int tries = 0; tries < 10; tries++) {
		target_drain(t, true);
		if (!t->stuck)
			break;
		usleep(50000);
	}
	if (t->stuck || t->memory_short)
		return false;
	for (uint32_t i = 0; i < used; i++) {
		const struct ph_slot *slot = target_slot(t, i);

		if (atomic_load(&slot->state) == PH_SLOT_FREE)
			continue;
		note_thread(t, slot, &t->streams[i], slot->ended);
		t->lost += atomic_load(&slot->lost);
		t->stalled += atomic_load(&slot->stalled);
	}
	add_modules(t);
	add_threads(t);
	add_marks(t);
	add_samples(t);
	add_clock(t);
	add_end(t, end);
	add_index(t);
	for (int tries = 0; !flush_sealed(t) && tries < 10; tries++)
		usleep(50000);
	return !t->stuck;
}
