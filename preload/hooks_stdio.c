/* SPDX-License-Identifier: MIT */
/*
 * What stdio reads and writes inside libc, where no call by name can be caught.
 * glibc's streams reach the kernel through tables of functions (struct _IO_jump_t:
 * `read` is _IO_file_read, `write` _IO_file_write, `seek` _IO_file_seek, `close` one
 * of three), which the
 * loader makes read-only. A stream's table is only checked to be one of them: the
 * words in them are ours to change, and no instruction is. Each of our functions
 * calls the one whose place it took.
 *
 * Where a table does not look as it should, nothing is changed, and the report says
 * that stdio is not seen.
 */
#include <elf.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "preload/config.h"
#include "preload/hooks.h"

/* A table's words. The ABI of every stream since glibc 2.1, C++'s included. */
enum {
	FINISH = 2, /* before it two dummies, zero */
	READ = 14,
	WRITE = 15,
	SEEK = 16,
	CLOSE = 17,
	WORDS = 21,
};

/* Exported by glibc since its first 64-bit release; another libc has none of them, and
 * a program may have one of its own: then no table is found. */
extern const uintptr_t jumps[] __asm__("_IO_file_jumps") __attribute__((weak));
extern ssize_t file_read(FILE *f, void *buffer, ssize_t size) __asm__("_IO_file_read")
	__attribute__((weak));
extern ssize_t file_write(FILE *f, const void *data, ssize_t size) __asm__("_IO_file_write")
	__attribute__((weak));
extern off64_t file_seek(FILE *f, off64_t offset, int whence) __asm__("_IO_file_seek")
	__attribute__((weak));
#pragma weak dl_iterate_phdr

bool ph_stdio_is_seen;

/* ---- in their places --------------------------------------------------------- */

/* Of the descriptor as it is now: freopen() may change it. */
static ssize_t read_stream(FILE *f, void *buffer, ssize_t size)
{
	const int fd = f->_fileno;
	struct ph_call_state c;
	ssize_t r;

	ph_call_begin(&c, PH_OP_read, fd, PH_FRAME());
	r = file_read(f, buffer, size);
	ph_call_end(&c, PH_OP_read, fd, r, size, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}

/* It goes on writing until all is written or a write fails, and tells how much was:
 * less means that another call failed, with errno as it stands. */
static ssize_t write_stream(FILE *f, const void *data, ssize_t size)
{
	const int fd = f->_fileno;
	struct ph_call_state c;
	ssize_t r;

	if (size <= 0)
		return file_write(f, data, size);
	ph_call_begin(&c, PH_OP_write, fd, PH_FRAME());
	r = file_write(f, data, size);
	ph_call_returned(&c);
	if (r > 0)
		ph_call_end(&c, PH_OP_write, fd, r, size, NULL, 0, PH_FRAME(), PH_CALLER());
	if (r < size) {
		if (r > 0)
			c.entry = c.exit;
		ph_call_end(&c, PH_OP_write, fd, -1, size - (r > 0 ? r : 0), NULL, 0, PH_FRAME(),
			    PH_CALLER());
	}
	return r;
}

/* Where the next of these begins. */
static off64_t seek_stream(FILE *f, off64_t offset, int whence)
{
	const uint64_t from = (uint32_t)whence;
	const int fd = f->_fileno;
	struct ph_call_state c;
	off64_t r;

	if (!(ph_config.events & PH_EVENTS_IO))
		return file_seek(f, offset, whence);
	ph_call_begin(&c, PH_OP_lseek, fd, PH_FRAME());
	r = file_seek(f, offset, whence);
	ph_call_end(&c, PH_OP_lseek, fd, r, offset, &from, 1, PH_FRAME(), PH_CALLER());
	return r;
}

/* Frame of the wrapper that closes a stream and says so itself; 0: none. */
static PH_TLS uintptr_t closing;

uintptr_t ph_stdio_closing(uintptr_t frame)
{
	uintptr_t outer = closing;

	closing = frame;
	return outer;
}

static int (*real_close[3])(FILE *f);

static int close_stream(int which, FILE *f, uintptr_t frame, void *caller)
{
	const int fd = f->_fileno;
	struct ph_call_state c;
	int r;

	ph_call_begin(&c, PH_OP_close, -1, frame);
	if (c.entry != 0)
		c.object = ph_object_forget(fd);
	r = real_close[which](f);
	if (closing == 0 || frame > closing)
		ph_call_end(&c, PH_OP_close, fd, r, 0, NULL, 0, frame, caller);
	return r;
}

#define CLOSE_STREAM(i)                                                                            \
	static int close_stream_##i(FILE *f)                                                       \
	{                                                                                          \
		return close_stream(i, f, PH_FRAME(), PH_CALLER());                                \
	}
CLOSE_STREAM(0)
CLOSE_STREAM(1)
CLOSE_STREAM(2)
static int (*const our_close[])(FILE *f) = {close_stream_0, close_stream_1, close_stream_2};

/* ---- without a stream --------------------------------------------------------- */

/* dprintf() and its like write by a stream until glibc 2.36, and by themselves since. */
static bool dprintf_is_seen(void)
{
	static atomic_uint answer;
	unsigned known = atomic_load_explicit(&answer, memory_order_relaxed);
	const char *version;

	if (known == 0) {
		version = ph_is_glibc() ? gnu_get_libc_version() : "2.";
		known = strncmp(version, "2.", 2) == 0 && strtol(version + 2, NULL, 10) < 37 ? 1
											     : 2;
		atomic_store_explicit(&answer, known, memory_order_relaxed);
	}
	return known == 1;
}

/* One write, unless the text is longer than libc's buffer (2 KiB). */
#define DPRINTF(real)                                                                              \
	({                                                                                         \
		struct ph_call_state c = {0};                                                      \
		int r_;                                                                            \
                                                                                                   \
		if (!dprintf_is_seen())                                                            \
			ph_call_begin(&c, PH_OP_write, fd, PH_FRAME());                            \
		r_ = (real);                                                                       \
		if (r_ != 0)                                                                       \
			ph_call_end(&c, PH_OP_write, fd, r_, r_, NULL, 0, PH_FRAME(),              \
				    PH_CALLER());                                                  \
		r_;                                                                                \
	})

int ph_hook_vdprintf(int fd, const char *format, va_list list)
{
	PH_NEED_OR(vdprintf, -1);
	return DPRINTF(ph_real.vdprintf(fd, format, list));
}

int ph_hook_dprintf(int fd, const char *format, ...)
{
	va_list list;
	int r;

	PH_NEED_OR(vdprintf, -1);
	va_start(list, format);
	r = DPRINTF(ph_real.vdprintf(fd, format, list));
	va_end(list);
	return r;
}

int ph_hook___vdprintf_chk(int fd, int flag, const char *format, va_list list)
{
	PH_NEED_OR(__vdprintf_chk, -1);
	return DPRINTF(ph_real.__vdprintf_chk(fd, flag, format, list));
}

int ph_hook___dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list list;
	int r;

	PH_NEED_OR(__vdprintf_chk, -1);
	va_start(list, format);
	r = DPRINTF(ph_real.__vdprintf_chk(fd, flag, format, list));
	va_end(list);
	return r;
}

/* ---- where they are ------------------------------------------------------------ */

struct range {
	uintptr_t begin, end;
};

/* Of the module that holds the tables. */
struct place {
	struct range tables; /* what the loader made read-only, of which the tables are a part */
	struct range locked; /* the pages that it did that to */
	struct range code;
};

static bool is_in(const struct range *r, uintptr_t address)
{
	return address >= r->begin && address < r->end;
}

static int find_place(struct dl_phdr_info *info, size_t size, void *context)
{
	const uintptr_t page = getauxval(AT_PAGESZ);
	struct place found = {{0, 0}, {0, 0}, {0, 0}};

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const uintptr_t begin = info->dlpi_addr + p->p_vaddr;
		const struct range all = {begin, begin + p->p_memsz};

		if (p->p_type == PT_GNU_RELRO)
			found.tables = all;
		else if (p->p_type == PT_LOAD && p->p_flags & PF_X &&
			 is_in(&all, (uintptr_t)file_read))
			found.code = all;
	}
	if (!is_in(&found.tables, (uintptr_t)jumps) || found.code.end == 0)
		return 0;
	/* As ld.so rounds them. */
	found.tables.begin = (found.tables.begin + sizeof(jumps[0]) - 1) & -sizeof(jumps[0]);
	found.locked = (struct range){found.tables.begin & -page, found.tables.end & -page};
	*(struct place *)context = found;
	return 1;
}

/* A whole table of functions of that module, whose streams are files. */
static bool is_table(const struct place *p, const uintptr_t *words)
{
	const uintptr_t begin = (uintptr_t)words;

	if (begin < p->tables.begin || begin + WORDS * sizeof(*words) > p->tables.end)
		return false;
	for (unsigned i = 0; i < FINISH; i++)
		if (words[i] != 0)
			return false;
	/* The last ones may be none. */
	for (unsigned i = FINISH; i <= CLOSE; i++)
		if (!is_in(&p->code, words[i]))
			return false;
	return words[READ] == (uintptr_t)file_read && words[WRITE] == (uintptr_t)file_write &&
	       words[SEEK] == (uintptr_t)file_seek;
}

/* The next table from `at` on; NULL: there is none. */
static uintptr_t *next_table(const struct place *p, uintptr_t at)
{
	for (; at + WORDS * sizeof(uintptr_t) <= p->tables.end; at += sizeof(uintptr_t))
		if (is_table(p, (const uintptr_t *)at)) /* NOLINT: between known bounds */
			return (uintptr_t *)at;		/* NOLINT */
	return NULL;
}

/* -1: there are more kinds of them than anybody knows of. */
static int number_of_close(uintptr_t function)
{
	for (int i = 0; i < (int)(sizeof(real_close) / sizeof(real_close[0])); i++) {
		if (real_close[i] == NULL)
			real_close[i] = (int (*)(FILE *))function; /* NOLINT: what it is */
		if ((uintptr_t)real_close[i] == function)
			return i;
	}
	return -1;
}

/* Others may be writing by it: each word is one store. */
static void set_word(uintptr_t *word, uintptr_t function)
{
	__atomic_store_n(word, function, __ATOMIC_RELEASE);
}

static bool lock(const struct place *p, bool locked)
{
	return p->locked.end <= p->locked.begin ||
	       sys3(SYS_mprotect, p->locked.begin, p->locked.end - p->locked.begin,
		    locked ? PROT_READ : PROT_READ | PROT_WRITE) == 0;
}

void ph_stdio_begin(void)
{
	static atomic_bool tried;
	struct place p;
	uintptr_t *t;

	if (ph_confined || atomic_exchange_explicit(&tried, true, memory_order_relaxed) ||
	    jumps == NULL || file_read == NULL || file_write == NULL || file_seek == NULL ||
	    dl_iterate_phdr == NULL || dl_iterate_phdr(find_place, &p) == 0 || !is_table(&p, jumps))
		return;
	for (t = next_table(&p, p.tables.begin); t != NULL;
	     t = next_table(&p, (uintptr_t)(t + WORDS)))
		if (number_of_close(t[CLOSE]) < 0)
			return;
	if (!lock(&p, false))
		return;
	for (t = next_table(&p, p.tables.begin); t != NULL;
	     t = next_table(&p, (uintptr_t)(t + WORDS))) {
		const int which = number_of_close(t[CLOSE]);

		if (which >= 0)
			set_word(&t[CLOSE], (uintptr_t)our_close[which]);
		set_word(&t[READ], (uintptr_t)read_stream);
		set_word(&t[WRITE], (uintptr_t)write_stream);
		set_word(&t[SEEK], (uintptr_t)seek_stream);
	}
	lock(&p, true);
	ph_stdio_is_seen = true;
}
