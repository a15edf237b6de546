/* SPDX-License-Identifier: MIT */
#include "preload/modules.h"

#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "preload/process.h"
#include "preload/real.h"
#include "preload/stack.h"
#include "preload/sys.h"
#include "preload/unseen.h"
#include "preload/unwind.h"

struct ph_modules_state ph_modules = {.version = 1u << 1}; /* a segment begins with epoch 1 */

#define MODULES_MAX 4096
#define RANGES_MAX  8

/* What was written down last, to compare with. */
struct known {
	uint64_t base, start, end;
	uint64_t identity; /* of path and build-id: another library may come to the same place */
	uint32_t id;
	bool seen;
};

static struct {
	atomic_flag busy; /* one thread at a time; who finds it set leaves it to the other */
	struct known *list;
	uint32_t count, next_id;
	unsigned long long adds, subs;
	_Atomic uint64_t generation; /* of the process that `busy` speaks of */
} state = {.busy = ATOMIC_FLAG_INIT};

bool ph_modules_maybe_trampoline(const void *ip)
{
	return (uintptr_t)ip - ph_modules.libc_start <
	       ph_modules.libc_end - ph_modules.libc_start - 16;
}

bool ph_modules_holds(const void *address)
{
	for (uint32_t i = 0; i < state.count; i++)
		if ((uintptr_t)address - state.list[i].start <
		    state.list[i].end - state.list[i].start)
			return true;
	return false;
}

/* ---- one module ------------------------------------------------------ */

struct shape {
	uint64_t ranges[RANGES_MAX][2];
	unsigned range_count;
	uint64_t start, end; /* of all of them */
	const uint8_t *build_id;
	unsigned build_id_bytes;
	uint64_t text_start, text_end;
};

/* ELF gABI, note sections: name size, descriptor size, type, name, descriptor,
 * each padded to the segment's alignment. */
static void find_build_id(const uint8_t *at, const uint8_t *end, uint64_t align, struct shape *out)
{
	align = align == 8 ? 8 : 4;
	while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *n = (const void *)at;
		uint64_t name = (n->n_namesz + align - 1) & ~(align - 1);
		uint64_t size = (n->n_descsz + align - 1) & ~(align - 1);
		uint64_t room = (uint64_t)(end - at) - sizeof(*n);

		if (name > room || n->n_descsz > room - name)
			return;
		at += sizeof(*n);
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 && memcmp(at, "GNU", 4) == 0 &&
		    n->n_descsz <= 64) {
			out->build_id = at + name;
			out->build_id_bytes = n->n_descsz;
			return;
		}
		if (size > room - name)
			return;
		at += name + size;
	}
}

static void read_shape(const struct dl_phdr_info *info, struct shape *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_NOTE && out->build_id == NULL)
			find_build_id((const void *)start, (const uint8_t *)start + p->p_memsz,
				      p->p_align, out);
		if (p->p_type != PT_LOAD)
			continue;
		if (out->range_count < RANGES_MAX) {
			out->ranges[out->range_count][0] = start;
			out->ranges[out->range_count++][1] = start + p->p_memsz;
		}
		if (out->start == 0 || start < out->start)
			out->start = start;
		if (start + p->p_memsz > out->end)
			out->end = start + p->p_memsz;
		if (p->p_flags & PF_X) {
			out->text_start = start;
			out->text_end = start + p->p_memsz;
		}
	}
}

/* ---- the log --------------------------------------------------------- */

static const char *path_of(const struct dl_phdr_info *info, bool first)
{
	if (first)
		return ph_process->segment->executable;
	return info->dlpi_name != NULL && info->dlpi_name[0] != '\0' ? info->dlpi_name
								     : "linux-vdso.so.1";
}

static char *log_room(uint64_t bytes)
{
	struct ph_segment *g = ph_process->segment;
	uint64_t used = atomic_load_explicit(&g->modules_used, memory_order_relaxed);
	char *at = (char *)g + g->modules_offset + used;

	if (used + bytes > g->modules_bytes || !ph_populate(at, bytes)) {
		atomic_fetch_add_explicit(&g->modules_lost, 1, memory_order_relaxed);
		return NULL;
	}
	return at;
}

static void log_commit(uint64_t bytes)
{
	atomic_fetch_add_explicit(&ph_process->segment->modules_used, bytes, memory_order_release);
}

static void log_module(uint32_t id, const struct shape *shape, uint64_t base, const char *path,
		       uint32_t loaded, uint32_t unloaded)
{
	static char absolute[4096]; /* `busy` keeps it to one at a time */
	size_t path_bytes, ranges = shape->range_count * sizeof(shape->ranges[0]);
	struct ph_module_record r = {
		.id = id, .base = base, .loaded = loaded, .unloaded = unloaded};
	char *at;

	/* A name as given to dlopen may be relative to a directory that changes. */
	if (path[0] != '/' && strchr(path, '/') != NULL) {
		long n = sys2(SYS_getcwd, absolute, sizeof(absolute));
		size_t length = n > 1 ? (size_t)n - 1 : 0;
		size_t rest = strlen(path);

		if (length + rest + 2 < sizeof(absolute)) {
			absolute[length] = '/';
			memcpy(absolute + length + 1, path, rest + 1);
			path = absolute;
		}
	}
	path_bytes = strlen(path);
	if (path_bytes > 4096)
		path_bytes = 4096;
	r.range_count = (uint16_t)shape->range_count;
	r.build_id_bytes = (uint16_t)shape->build_id_bytes;
	r.path_bytes = (uint16_t)path_bytes;
	r.bytes = (uint32_t)((sizeof(r) + ranges + shape->build_id_bytes + path_bytes + 7) & ~7u);
	at = log_room(r.bytes);
	if (at == NULL)
		return;
	memcpy(at, &r, sizeof(r));
	at += sizeof(r);
	memcpy(at, shape->ranges, ranges);
	at += ranges;
	if (shape->build_id_bytes > 0)
		memcpy(at, shape->build_id, shape->build_id_bytes);
	memcpy(at + shape->build_id_bytes, path, path_bytes);
	log_commit(r.bytes);
}

/* ---- comparing ------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t count)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return hash;
}

static uint64_t identity_of(const struct shape *shape, const char *path)
{
	uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), path, strlen(path));

	return hash_bytes(hash, shape->build_id, shape->build_id_bytes);
}

static struct known *find_known(const struct shape *shape, uint64_t base, uint64_t identity)
{
	for (uint32_t i = 0; i < state.count; i++) {
		struct known *k = &state.list[i];

		if (k->base == base && k->start == shape->start && k->end == shape->end &&
		    k->identity == identity)
			return k;
	}
	return NULL;
}

static void learn_special(const struct shape *shape, const char *path)
{
	const char *name = strrchr(path, '/');

	name = name != NULL ? name + 1 : path;
	if (strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld-musl", 7) == 0) {
		ph_modules.loader_start = shape->text_start;
		ph_modules.loader_bytes = shape->text_end - shape->text_start;
	} else if (strcmp(name, "libc.so.6") == 0) {
		ph_modules.libc_start = shape->text_start;
		ph_modules.libc_end = shape->text_end;
	}
	if ((uintptr_t)learn_special - shape->text_start < shape->text_end - shape->text_start) {
		ph_modules.own_start = shape->text_start;
		ph_modules.own_end = shape->text_end;
	}
	if ((uintptr_t)ph_real.malloc - shape->text_start < shape->text_end - shape->text_start) {
		ph_modules.allocator_start = shape->text_start;
		ph_modules.allocator_end = shape->text_end;
	}
}

struct walk {
	bool first; /* the executable, which the loader gives no name */
	bool add;   /* write down what is new; otherwise only mark what is still there */
};

static int visit(struct dl_phdr_info *info, size_t size, void *data)
{
	struct walk *walk = data;
	const char *path = path_of(info, walk->first);
	struct shape shape;
	struct known *k;
	uint64_t identity;

	(void)size;
	walk->first = false;
	state.adds = info->dlpi_adds;
	state.subs = info->dlpi_subs;
	read_shape(info, &shape);
	identity = identity_of(&shape, path);
	k = find_known(&shape, info->dlpi_addr, identity);
	if (k == NULL && walk->add && state.count < MODULES_MAX) {
		k = &state.list[state.count++];
		*k = (struct known){
			.base = info->dlpi_addr,
			.start = shape.start,
			.end = shape.end,
			.identity = identity,
			.id = ++state.next_id,
		};
		learn_special(&shape, path);
		log_module(k->id, &shape, info->dlpi_addr, path,
			   atomic_load(&ph_process->segment->epoch), 0);
	}
	if (k != NULL)
		k->seen = true;
	return 0;
}

static int peek_counters(struct dl_phdr_info *info, size_t size, void *data)
{
	bool *changed = data;

	(void)size;
	*changed = info->dlpi_adds != state.adds || info->dlpi_subs != state.subs;
	return 1;
}

/* The addresses of a range never match again: the same pc gets a new entry. */
static void retire(uint64_t start, uint64_t end)
{
	struct ph_table *t = &ph_process->segment->addresses;
	_Atomic uint64_t *entries = (_Atomic uint64_t *)((char *)ph_process->segment + t->offset);
	uint32_t count = ph_level_base(t->level_0, atomic_load(&t->levels));

	for (uint32_t i = 0; i < count; i++) {
		uint64_t pc =
			PH_ADDRESS_PC(atomic_load_explicit(&entries[i], memory_order_relaxed));

		if (pc - start < end - start)
			atomic_fetch_or_explicit(&entries[i], PH_ADDRESS_RETIRED,
						 memory_order_relaxed);
	}
}

/* The epoch moves on, so that addresses seen before and after an unloading are
 * told apart. Saturates: later unloadings are not told apart any more. */
static uint32_t next_epoch(void)
{
	struct ph_segment *g = ph_process->segment;
	uint32_t epoch = atomic_load(&g->epoch);

	if (epoch < PH_EPOCH_MAX) {
		atomic_store_explicit(&g->epoch, ++epoch, memory_order_release);
		atomic_fetch_add_explicit(&ph_modules.version, 2, memory_order_release);
	} else {
		atomic_fetch_add_explicit(&g->modules_lost, 1, memory_order_relaxed);
	}
	return epoch;
}

static void log_gone(void)
{
	uint32_t epoch = 0, kept = 0;

	for (uint32_t i = 0; i < state.count; i++) {
		struct known *k = &state.list[i];
		struct shape shape = {0};

		if (k->seen) {
			state.list[kept++] = *k;
			continue;
		}
		if (epoch == 0)
			epoch = next_epoch();
		retire(k->start, k->end);
		log_module(k->id, &shape, k->base, "", 0, epoch);
	}
	state.count = kept;
	if (epoch != 0)
		ph_unwind_flush();
}

void ph_modules_begin(void)
{
	uint64_t mine = ph_process->generation;
	uint64_t seen = atomic_load_explicit(&state.generation, memory_order_acquire);

	/* One thread does it, where several begin at once. */
	if (seen == mine || !atomic_compare_exchange_strong(&state.generation, &seen, mine))
		return;
	/* A fork's child may have inherited the flag from a thread it does not have. So
	 * it may the loader's own lock, which libc does not renew: it looks only once it
	 * has itself called the loader, and come back. */
	atomic_store(&ph_modules.version,
		     atomic_load(&ph_process->segment->epoch) << 1 |
			     (seen != 0 ? 0 : ph_modules_version() & PH_MODULES_DIRTY));
	atomic_flag_clear(&state.busy);
}

static bool begin(void)
{
	ph_modules_begin();
	if (atomic_flag_test_and_set_explicit(&state.busy, memory_order_acquire))
		return false;
	if (state.list == NULL)
		state.list =
			sys_mmap(NULL, MODULES_MAX * sizeof(*state.list), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return state.list != NULL;
}

/* What went away first, so that what came since gets the new epoch. */
static void scan(void)
{
	struct walk mark = {.first = true, .add = false};
	struct walk add = {.first = true, .add = true};

	for (uint32_t i = 0; i < state.count; i++)
		state.list[i].seen = false;
	dl_iterate_phdr(visit, &mark);
	log_gone();
	dl_iterate_phdr(visit, &add);
}

static void look_is_over(void)
{
	atomic_fetch_and_explicit(&ph_modules.version, ~PH_MODULES_DIRTY, memory_order_relaxed);
}

void ph_modules_scan_all(void)
{
	if (!begin())
		return;
	state.count = 0;
	scan();
	look_is_over();
	atomic_flag_clear_explicit(&state.busy, memory_order_release);
}

void ph_modules_update(void)
{
	bool changed = false;

	/* A handler on a small stack leaves it to the next event. */
	if (ph_process->generation <= PH_OFF || !ph_stack_has_room(&ph_self) || !begin())
		return;
	look_is_over();
	dl_iterate_phdr(peek_counters, &changed);
	if (changed) {
		scan();
		ph_unseen_namespaces(ph_process->segment);
	}
	atomic_flag_clear_explicit(&state.busy, memory_order_release);
}
