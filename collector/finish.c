/* SPDX-License-Identifier: MIT */
/*
 * A trace whose recording is not over: wait for its collector, or, where that
 * died, do its work. The trace's RUN block names the segment, which is removed
 * only when everything in it stands in the trace.
 */
#include "collector/collector.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/proc.h"
#include "collector/spill.h"
#include "collector/target.h"
#include "trace/decode.h"

struct unfinished {
	char segment[4300], control[256];
	int pid;
	uint64_t process_start;
	uint8_t id[16];
	bool alone; /* without a collector: segment and spill stand beside the trace */
};

/* ---- what the trace says of itself --------------------------------------- */

/* A block's header and raw payload at *offset, which moves behind it. */
static bool read_block(int fd, uint64_t *offset, struct ph_block_header *header,
		       struct ph_buffer *payload)
{
	uint8_t *stored;
	bool ok;

	if (pread(fd, header, sizeof(*header), (off_t)*offset) != (ssize_t)sizeof(*header) ||
	    ph_block_header_check(header) != NULL)
		return false;
	stored = malloc((size_t)header->stored_bytes + 1);
	ok = stored != NULL &&
	     pread(fd, stored, header->stored_bytes, (off_t)(*offset + sizeof(*header))) ==
		     (ssize_t)header->stored_bytes &&
	     ph_block_open(header, stored, payload) == NULL;
	free(stored);
	if (ok)
		*offset += sizeof(*header) + header->stored_bytes;
	return ok;
}

static void copy_text(const cJSON *o, const char *key, char *out, size_t room)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);

	snprintf(out, room, "%s", cJSON_IsString(v) ? v->valuestring : "");
}

static bool read_run(int fd, struct unfinished *u)
{
	struct ph_file_header file;
	struct ph_block_header header;
	struct ph_buffer payload = {0};
	uint64_t offset = sizeof(file);
	char number[32];
	cJSON *run = NULL;
	const cJSON *pid;

	if (pread(fd, &file, sizeof(file), 0) != (ssize_t)sizeof(file) ||
	    ph_file_header_check(&file) != NULL)
		return false;
	offset = file.header_bytes;
	memcpy(u->id, file.id, sizeof(u->id));
	if (read_block(fd, &offset, &header, &payload) && header.kind == PH_BLOCK_RUN)
		run = cJSON_ParseWithLength((const char *)payload.data, payload.length);
	ph_buffer_free(&payload);
	if (run == NULL)
		return false;
	copy_text(run, "segment", u->segment, sizeof(u->segment));
	copy_text(run, "control", u->control, sizeof(u->control));
	copy_text(run, "process_start", number, sizeof(number));
	u->process_start = strtoull(number, NULL, 10);
	pid = cJSON_GetObjectItemCaseSensitive(run, "pid");
	u->pid = cJSON_IsNumber(pid) ? pid->valueint : 0;
	cJSON_Delete(run);
	return true;
}

bool collector_wrote(const char *path, const char *control)
{
	struct unfinished u = {.pid = 0};
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool ours = fd >= 0 && read_run(fd, &u) && strcmp(u.control, control) == 0;

	if (fd >= 0)
		close(fd);
	return ours;
}

/* Is it exactly /dev/shm/perfhook-UID-HEX/NAME.segment, in a folder of ours? A
 * trace is data from anywhere, and so is what it says of its segment. */
static bool is_in_session(const char *path)
{
	char folder[256];
	size_t prefix, hex, length;
	struct stat st;

	prefix = (size_t)snprintf(folder, sizeof(folder), "/dev/shm/" PH_SESSION_PREFIX "%u-",
				  geteuid());
	hex = strspn(path + (strncmp(path, folder, prefix) == 0 ? prefix : 0), "0123456789abcdef");
	length = prefix + hex;
	if (strncmp(path, folder, prefix) != 0 || hex != 16 || path[length] != '/' ||
	    strchr(path + length + 1, '/') != NULL || path[length + 1] == '.')
		return false;
	snprintf(folder, sizeof(folder), "%.*s", (int)length, path);
	return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* What RUN says, made safe: only a segment of a session of ours, or one beside the
 * trace, is ever looked at; its control file is the one in its own folder. */
static void make_safe(const char *trace_path, struct unfinished *u)
{
	struct stat st;

	if (u->segment[0] == '\0')
		return;
	u->alone = u->control[0] == '\0';
	u->control[0] = '\0';
	if (u->alone)
		/* It has the trace's name, wherever both were moved. */
		snprintf(u->segment, sizeof(u->segment), "%s" PH_SEGMENT_SUFFIX, trace_path);
	else if (is_in_session(u->segment))
		snprintf(u->control, sizeof(u->control), "%.*s/control",
			 (int)(strrchr(u->segment, '/') - u->segment), u->segment);
	else
		u->segment[0] = '\0';
	if (lstat(u->segment, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		u->segment[0] = '\0';
}

static struct target *map_unfinished(const struct unfinished *u)
{
	struct target *t =
		u->alone ? target_map_copy(u->segment) : target_map(u->segment, u->control);

	if (t != NULL && memcmp(t->segment->id, u->id, sizeof(u->id)) != 0) {
		target_free(t);
		t = NULL;
	}
	return t;
}

static bool collector_alive(const struct unfinished *u)
{
	struct ph_control *c = MAP_FAILED;
	int fd = open(u->control, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool alive = false;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (size_t)st.st_size >= sizeof(*c))
		c = mmap(NULL, sizeof(*c), PROT_READ, MAP_SHARED, fd, 0);
	if (c != MAP_FAILED && c->magic == PH_CONTROL_MAGIC) {
		int pid = atomic_load(&c->collector_pid);

		alive = pid == 0 || proc_alive(pid, atomic_load(&c->collector_start));
	}
	if (c != MAP_FAILED)
		munmap(c, sizeof(*c));
	if (fd >= 0)
		close(fd);
	return alive;
}

/* ---- doing the dead collector's work --------------------------------------- */

static struct ph_slot *slot_of(const struct target *t, uint32_t stream, uint32_t *index)
{
	uint32_t used = target_slots(t);

	for (uint32_t i = 0; i < used; i++) {
		struct ph_slot *slot = target_slot(t, i);

		if (slot->stream == stream && atomic_load(&slot->state) != PH_SLOT_FREE) {
			*index = i;
			return slot;
		}
	}
	return NULL;
}

static void count_stacks(struct target *t, const struct ph_buffer *payload)
{
	struct ph_new_address *addresses = NULL;
	struct ph_new_node *nodes = NULL;
	size_t address_count = 0, node_count = 0;

	if (ph_decode_stacks(payload->data, payload->length, &addresses, &address_count, &nodes,
			     &node_count) == NULL) {
		t->addresses_written += (uint32_t)address_count;
		t->nodes_written += (uint32_t)node_count;
	}
	free(addresses);
	free(nodes);
}

/* Find where the good part of the trace ends, and take up its numbering. A block
 * that was written but not yet taken off its ring is cut off, to be written
 * again. */
static void take_up(struct target *t)
{
	struct ph_file_header file;
	struct ph_block_header header;
	struct ph_buffer payload = {0};
	struct ph_events events = {0};
	uint64_t offset, at;

	if (pread(t->fd, &file, sizeof(file), 0) != (ssize_t)sizeof(file))
		return;
	for (offset = file.header_bytes;;) {
		uint32_t index;
		struct ph_slot *slot;

		at = offset;
		if (!read_block(t->fd, &offset, &header, &payload))
			break;
		if (header.kind == PH_BLOCK_END || header.kind == PH_BLOCK_INDEX)
			break;
		if (header.kind == PH_BLOCK_STACKS)
			count_stacks(t, &payload);
		if (header.kind != PH_BLOCK_EVENTS)
			continue;
		slot = slot_of(t, header.stream, &index);
		if (slot == NULL)
			continue;
		if (header.first_cell >= target_unwritten(t, index))
			break;
		/* The stamp in force after it: what the next block begins with. */
		if (ph_decode_events(&header, payload.data, payload.length, &events) == NULL &&
		    events.count > 0) {
			t->streams[index].stream = header.stream;
			t->streams[index].stamp = events.events[events.count - 1].stamp;
		}
	}
	t->file_bytes = at;
	if (ftruncate(t->fd, (off_t)at) != 0)
		t->damaged = true;
	ph_buffer_free(&payload);
	ph_events_free(&events);
}

static void finish_work(struct target *t, int fd, const struct unfinished *u)
{
	const struct ph_segment *s = t->segment;
	struct target_end end = {.kind = "unknown", .status = -1};
	char folder[sizeof(u->segment)];
	char *slash;

	t->fd = fd;
	if (atomic_load(&s->ended) != 0)
		end = (struct target_end){.kind = "exit", .status = atomic_load(&s->end_status)};
	target_adopt_stages(t);
	take_up(t);
	if (!target_finish(t, &end))
		return;
	unlink(u->segment);
	snprintf(folder, sizeof(folder), "%s", u->segment);
	slash = strrchr(folder, '/');
	*slash = '\0';
	/* Goes only when it was the last one. */
	unlink(u->control);
	rmdir(folder);
}

/* The whole trace is made in a file of its own, and then put in place: until
 * then the old one leads to what it is made of. */
static void finish_alone(struct target *t, const char *trace, const struct unfinished *u)
{
	const struct ph_segment *s = t->segment;
	struct target_end end = {.kind = "unknown", .status = -1};
	char part[4300], spill[4300];

	snprintf(part, sizeof(part), "%s.part", trace);
	snprintf(spill, sizeof(spill), "%s.spill", trace);
	unlink(part);
	t->fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (t->fd < 0)
		return;
	if (atomic_load(&s->ended) != 0)
		end = (struct target_end){.kind = "exit", .status = atomic_load(&s->end_status)};
	t->segment_path[0] = t->control_path[0] = '\0';
	target_begin(t, s->parent_trace[0] != '\0' ? s->parent_trace : NULL);
	if (spill_read(t, spill) && target_finish(t, &end) && rename(part, trace) == 0) {
		unlink(u->segment);
		unlink(spill);
	} else {
		unlink(part);
	}
}

static bool segment_exists(const struct unfinished *u)
{
	return u->segment[0] != '\0' && access(u->segment, F_OK) == 0;
}

static void wait_for_collector(const char *path, const struct unfinished *u)
{
	bool said = false;

	for (unsigned i = 0; segment_exists(u) && collector_alive(u); i++) {
		if (i >= 100 && !said) {
			fprintf(stderr, "perfhook: waiting for the collector to finish %s\n", path);
			said = true;
		}
		/* It notices a killed program within 50 ms. */
		usleep(2000);
		if (proc_alive(u->pid, u->process_start))
			return;
	}
}

/* A collector holds the lock as long as it writes, also one in another pid
 * namespace; another reader that finishes the trace is waited for. */
static bool lock_trace(int fd, const struct unfinished *u)
{
	for (int i = 0; i < 500; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if (!segment_exists(u))
			return false;
		usleep(10000);
	}
	return false;
}

int collector_finish_wait(const char *trace_path, struct error *e)
{
	struct unfinished u = {.pid = 0};
	struct target *t;
	int fd = open(trace_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(e, ERROR_SYSTEM, 0, "%s cannot be opened: %s", trace_path,
			    strerror(errno));
	if (read_run(fd, &u))
		make_safe(trace_path, &u);
	if (!segment_exists(&u) || proc_alive(u.pid, u.process_start)) {
		close(fd);
		return 0;
	}
	close(fd);
	wait_for_collector(trace_path, &u);
	if (!segment_exists(&u) || proc_alive(u.pid, u.process_start))
		return 0;
	fd = open(trace_path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!lock_trace(fd, &u)) {
		close(fd);
		return 0;
	}
	t = segment_exists(&u) ? map_unfinished(&u) : NULL;
	if (t == NULL) {
		close(fd);
		return 0;
	}
	if (u.alone) {
		finish_alone(t, trace_path, &u);
		close(fd);
	} else {
		finish_work(t, fd, &u);
	}
	target_free(t);
	return 0;
}
