/* SPDX-License-Identifier: MIT */
#include "preload/unseen.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "preload/log.h"
#include "preload/sys.h"
#include "trace/clock.h"

#pragma weak dladdr1

/* ---- what the kernel counts ---------------------------------------------- */

static bool number_after(const char *text, const char *name, uint64_t *out)
{
	const char *at = strstr(text, name);

	if (at == NULL)
		return false;
	*out = 0;
	for (at += strlen(name); *at >= '0' && *at <= '9'; at++)
		*out = *out * 10 + (uint64_t)(*at - '0');
	return true;
}

/* Adds a file like /proc/self/io. 0: it cannot be read; else its bytes, which the
 * kernel counts as well. */
static size_t add_io(const char *path, struct ph_io_count *sum)
{
	struct ph_io_count one;
	char text[256];
	int fd = sys_open(path, O_RDONLY, 0);
	long n = fd >= 0 ? sys_read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		sys_close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (!number_after(text, "rchar: ", &one.read) ||
	    !number_after(text, "wchar: ", &one.written))
		return 0;
	sum->read += one.read;
	sum->written += one.written;
	return (size_t)n;
}

struct entry {
	uint64_t inode, offset;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

/* For each name of a folder of numbers, "." and ".." left out. */
static void each_number(const char *folder, bool (*visit)(const char *path, void *context),
			void *context)
{
	_Alignas(8) char entries[2048];
	char path[64];
	int fd = sys_open(folder, O_RDONLY | O_DIRECTORY, 0);
	size_t stem = ph_append(path, sizeof(path), 0, folder);
	bool more = fd >= 0;
	long n;

	while (more && (n = sys3(SYS_getdents64, fd, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < n && more;) {
			const struct entry *e = (const void *)(entries + at);

			at += e->bytes;
			if (e->name[0] == '.')
				continue;
			ph_append(path, sizeof(path), stem, e->name);
			more = visit(path, context);
		}
	}
	if (fd >= 0)
		sys_close(fd);
}

struct threads {
	struct ph_io_count sum;
	size_t own; /* bytes that looking was counted with */
};

static bool add_thread(const char *path, void *context)
{
	struct threads *t = context;
	char file[80];

	ph_append(file, sizeof(file), ph_append(file, sizeof(file), 0, path), "/io");
	t->own += add_io(file, &t->sum);
	return true;
}

static bool has_reaped(void)
{
	struct rusage children = {.ru_minflt = 0};

	/* Whatever ran for a moment had its first page fault. */
	sys2(SYS_getrusage, RUSAGE_CHILDREN, &children);
	return children.ru_minflt != 0 || children.ru_majflt != 0;
}

/* What the kernel has counted so far, and that looking was counted as well. */
static void look(struct ph_segment *g, struct ph_io_look *out, bool threads_too)
{
	uint64_t began = ph_clock_now(g->clock_kind);
	struct ph_io_count whole = {0, 0};
	struct threads threads = {.own = 0};
	size_t own = add_io("/proc/self/io", &whole);
	bool reaped;

	if (own == 0)
		return;
	/* Asked for afterwards: without any, the above has none. */
	reaped = has_reaped();
	if (reaped || threads_too)
		each_number("/proc/self/task/", add_thread, &threads);
	out->began = began;
	out->whole = whole;
	out->threads = threads.sum;
	/* It has the look at `whole` already. */
	out->threads.read -= own < threads.sum.read ? own : threads.sum.read;
	out->looked_bytes = atomic_fetch_add_explicit(&g->looked_bytes, own + threads.own,
						      memory_order_relaxed);
	out->ended_bytes = atomic_load_explicit(&g->ended_bytes, memory_order_relaxed);
	out->reaped = reaped;
	atomic_store_explicit(&out->ticks, ph_clock_now(g->clock_kind), memory_order_release);
}

/* ---- what is open ---------------------------------------------------------- */

#define DESCRIPTORS_MOST 512 /* looked at; a readlink each */

struct search {
	unsigned looked_at;
	bool found;
};

static bool is_io_uring(const char *path, void *context)
{
	struct search *s = context;
	char link[32];
	long n = sys_readlink(path, link, sizeof(link) - 1);

	link[n > 0 ? n : 0] = '\0';
	s->found |= strcmp(link, "anon_inode:[io_uring]") == 0;
	return !s->found && ++s->looked_at < DESCRIPTORS_MOST;
}

/* ---- what the loader knows -------------------------------------------------- */

static char own_malloc[256];
static const struct r_debug *loader; /* _r_debug */

/* A module whose malloc the program's calls find before ours. One that merely
 * takes malloc's address (a stub of its own, without a definition) is none. */
void ph_unseen_look_for_malloc(void)
{
	void *found, *extra = NULL;
	const ElfW(Sym) * symbol;
	Dl_info theirs, ours;

	if (!ph_is_glibc())
		return;
	found = dlsym(RTLD_DEFAULT, "malloc");
	loader = dlsym(RTLD_DEFAULT, "_r_debug");
	if (found == NULL || loader == NULL)
		dlerror();
	if (found == NULL || dladdr(&own_malloc, &ours) == 0 ||
	    dladdr1(found, &theirs, &extra, RTLD_DL_SYMENT) == 0 ||
	    theirs.dli_fbase == ours.dli_fbase)
		return;
	symbol = extra;
	if (symbol != NULL && symbol->st_shndx == SHN_UNDEF)
		return;
	ph_append(own_malloc, sizeof(own_malloc), 0,
		  theirs.dli_fname != NULL && *theirs.dli_fname != '\0' ? theirs.dli_fname
									: "the program itself");
}

void ph_unseen_namespaces(struct ph_segment *g)
{
	/* glibc 2.35: version 2 since there is a second namespace. */
	if (loader != NULL && loader->r_version > 1)
		atomic_fetch_or_explicit(&g->unseen, PH_UNSEEN_NAMESPACE, memory_order_relaxed);
}

/* ELF gABI, note sections; Go's linker names its build id "Go", type 4. */
static bool has_go_note(const char *at, const char *end)
{
	while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *n = (const void *)at;
		uint64_t bytes = sizeof(*n) + (((uint64_t)n->n_namesz + 3) & ~UINT64_C(3)) +
				 (((uint64_t)n->n_descsz + 3) & ~UINT64_C(3));

		if (bytes > (uint64_t)(end - at))
			return false;
		if (n->n_type == 4 && n->n_namesz == 4 && memcmp(n + 1, "Go\0", 4) == 0)
			return true;
		at += bytes;
	}
	return false;
}

static bool is_go_program(void)
{
	const ElfW(Phdr) *p = (const void *)getauxval(AT_PHDR); /* NOLINT: the kernel's word */
	unsigned long count = getauxval(AT_PHNUM);
	uintptr_t bias = 0;

	for (unsigned long i = 0; p != NULL && i < count; i++)
		if (p[i].p_type == PT_PHDR)
			bias = (uintptr_t)p - p[i].p_vaddr;
	for (unsigned long i = 0; p != NULL && i < count; i++) {
		const char *note = (const char *)(bias + p[i].p_vaddr); /* NOLINT: likewise */

		if (p[i].p_type == PT_NOTE && has_go_note(note, note + p[i].p_memsz))
			return true;
	}
	return false;
}

/* ---- begin and end ------------------------------------------------------------ */

/* Of the kernel's: a filter that came since may be the death of who opens a file.
 * Asked by a call that the end of a process makes anyway. */
static long seccomp_mode(void)
{
	return sys2(SYS_prctl, PR_GET_SECCOMP, 0);
}

static long mode_at_begin;
static bool stdio_is_unseen;

void ph_unseen_stdio(void)
{
	stdio_is_unseen = true;
}

void ph_unseen_begin(struct ph_segment *g)
{
	mode_at_begin = seccomp_mode();
	ph_append(g->own_malloc, sizeof(g->own_malloc), 0, own_malloc);
	if (is_go_program())
		atomic_fetch_or_explicit(&g->unseen, PH_UNSEEN_GO, memory_order_relaxed);
	if (stdio_is_unseen)
		atomic_fetch_or_explicit(&g->unseen, PH_UNSEEN_STDIO, memory_order_relaxed);
	ph_unseen_namespaces(g);
	look(g, &g->io_begin, true);
}

bool ph_unseen_filtered(void)
{
	return seccomp_mode() != mode_at_begin;
}

void ph_unseen_end(struct ph_segment *g)
{
	struct search search = {.looked_at = 0};

	if (ph_confined || ph_unseen_filtered())
		return;
	ph_unseen_namespaces(g);
	each_number("/proc/self/fd/", is_io_uring, &search);
	if (search.found)
		atomic_fetch_or_explicit(&g->unseen, PH_UNSEEN_IO_URING, memory_order_relaxed);
	look(g, &g->io_end, false);
}
