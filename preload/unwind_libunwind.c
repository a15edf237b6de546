/* SPDX-License-Identifier: MIT */
/*
 * libunwind as the unwinder. In a target it must leave no trace: it would open a
 * pipe (to try out addresses on), allocate, map and read files through libc's
 * functions, which are ours. So what it imports is redirected, in its own table
 * of imports and nowhere else, to functions that the target never notices.
 */
#include "preload/unwind.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "preload/process.h"
#include "preload/real.h"
#include "preload/sys.h"

#define TEXT_(x) #x
#define TEXT(x)	 TEXT_(x)

/* Names as libunwind's headers make them for this machine. */
#define LOCAL(name) TEXT(UNW_OBJ(name))

static int (*backtrace_)(void **, int);
static void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
static unw_addr_space_t address_space;

/* ---- what it imports ----------------------------------------------------- */

/* Only its own pipe is ever asked for; these numbers are never a descriptor. */
static int own_pipe2(int fds[2], int flags)
{
	(void)flags;
	fds[0] = fds[1] = -2;
	return 0;
}

/* From the pipe: nothing there. From a file (an executable's tables): as it is. */
static ssize_t own_read(int fd, void *buffer, size_t count)
{
	return fd == -2 ? sys_result(-EAGAIN) : sys_result(sys_read(fd, buffer, count));
}

/* Can this address be read? The kernel looks at the new mask before it looks at
 * the (invalid) first argument: EFAULT or EINVAL, and nothing is changed. */
static bool is_readable(const void *address)
{
	const uintptr_t whole_word = (uintptr_t)address & ~(uintptr_t)7;

	return !ph_confined && sys4(SYS_rt_sigprocmask, ~0l, whole_word, NULL, 8) == -EINVAL;
}

/* It writes the byte at an address to its pipe, to see whether that can be read. */
static long own_syscall(long number, ...)
{
	const void *address;
	va_list rest;

	va_start(rest, number);
	(void)va_arg(rest, long);
	address = va_arg(rest, const void *);
	va_end(rest);
	return number == SYS_write && is_readable(address) ? 1 : sys_result(-EFAULT);
}

static int own_close(int fd)
{
	return fd == -2 ? 0 : (int)sys_result(sys1(SYS_close, fd));
}

static int own_open(const char *path, int flags, ...)
{
	return (int)sys_result(ph_confined ? -ENOENT : sys_open(path, flags, 0));
}

static void *own_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	void *r = ph_confined ? NULL : sys_mmap(address, length, protection, flags, fd, offset);

	return r != NULL ? r : MAP_FAILED;
}

/* Is it mapped? Not known under a seccomp filter, so the walk ends there. */
static int own_mincore(void *address, size_t length, unsigned char *pages)
{
	return (int)sys_result(ph_confined ? -ENOMEM : sys3(SYS_mincore, address, length, pages));
}

static int own_munmap(void *address, size_t length)
{
	return (int)sys_result(sys2(SYS_munmap, address, length));
}

/* It holds signals back while it changes its cache, so that no handler jumps out of
 * that. Under a seccomp filter that has to be risked. */
static int own_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	if (ph_confined)
		return 0;
	return (int)sys_result(sys4(SYS_rt_sigprocmask, how, set, old, 8));
}

/*
 * Its locks are global, and a fork's child may inherit one that some other thread
 * held. So a lock carries the generation of the process that took it: a child
 * finds it free. Kept in the mutex's own first word; zero is free too.
 */
static uint32_t lock_mark(void)
{
	return (uint32_t)ph_process->generation << 1 | 1;
}

static int own_lock(pthread_mutex_t *mutex)
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)(void *)mutex;
	uint32_t mine = lock_mark();
	uint32_t seen = atomic_load_explicit(word, memory_order_relaxed);

	for (;;) {
		if (seen == mine) {
			if (!ph_confined)
				sys_futex_wait(word, mine, 1000000);
			seen = atomic_load_explicit(word, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(
				   word, &seen, mine, memory_order_acquire, memory_order_relaxed)) {
			return 0;
		}
	}
}

static int own_unlock(pthread_mutex_t *mutex)
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)(void *)mutex;

	atomic_store_explicit(word, 0, memory_order_release);
	if (!ph_confined)
		sys_futex_wake(word);
	return 0;
}

/*
 * The loader's list of modules is walked under the loader's lock, which a fork's
 * child may inherit locked and which another thread may hold in dlopen. libunwind
 * looks for one address, the first word of `data` (struct dwarf_callback_data);
 * glibc 2.35 finds its module without a lock: _dl_find_object(3).
 */
static int (*find_object)(void *address, struct dl_find_object *result);
static bool data_holds_address; /* tried out when it was loaded */
static bool trying;

static bool describe_object(void *address, struct dl_phdr_info *info)
{
	struct dl_find_object found;
	const ElfW(Ehdr) * header;

	if (find_object == NULL || find_object(address, &found) != 0)
		return false;
	header = found.dlfo_map_start;
	*info = (struct dl_phdr_info){
		.dlpi_addr = found.dlfo_link_map->l_addr,
		.dlpi_name = found.dlfo_link_map->l_name,
	};
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) == 0) {
		info->dlpi_phdr = (const void *)((const char *)header + header->e_phoff);
		info->dlpi_phnum = header->e_phnum;
	} else if (*info->dlpi_name == '\0') {
		/* Where there are gaps between the segments, each is told by itself. The
		 * executable, which has no name, is known from the kernel too. */
		info->dlpi_phdr = (const void *)getauxval(AT_PHDR);
		info->dlpi_phnum = (ElfW(Half))getauxval(AT_PHNUM);
	}
	return info->dlpi_phdr != NULL;
}

static int own_iterate(int (*callback)(struct dl_phdr_info *, size_t, void *), void *data)
{
	struct dl_phdr_info info;
	void *address;

	memcpy(&address, data, sizeof(address));
	if (trying && (uintptr_t)address - (uintptr_t)ph_unwind_load < 4096)
		data_holds_address = true;
	if (!data_holds_address)
		return dl_iterate_phdr(callback, data);
	/* In no module: generated code, or an end of the stack. */
	return describe_object(address, &info) ? callback(&info, sizeof(info), data) : 0;
}

static void *own_malloc(size_t size)
{
	return ph_arena_allocate(16, size);
}

static void own_free(void *block)
{
	ph_arena_free(block);
}

static const struct {
	const char *name;
	void *instead;
} imports[] = {
	{"pipe2", own_pipe2},
	{"read", own_read},
	{"syscall", own_syscall},
	{"close", own_close},
	{"open", own_open},
	{"mmap", own_mmap},
	{"munmap", own_munmap},
	{"mincore", own_mincore},
	{"malloc", own_malloc},
	{"free", own_free},
	{"pthread_mutex_lock", own_lock},
	{"pthread_mutex_unlock", own_unlock},
	{"sigprocmask", own_sigprocmask},
	{"dl_iterate_phdr", own_iterate},
};

static void redirect(ElfW(Addr) * slot, const char *name)
{
	for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
		uintptr_t page = (uintptr_t)slot & ~(uintptr_t)4095;

		if (strcmp(name, imports[i].name) != 0)
			continue;
		/* Read-only after relocation where it was linked with -z now. */
		if (sys3(SYS_mprotect, page, 4096, PROT_READ | PROT_WRITE) == 0)
			*slot = (ElfW(Addr))imports[i].instead;
	}
}

#if defined(__x86_64__)
#define IS_IMPORT(type) ((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT)
#else
#define IS_IMPORT(type) ((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT)
#endif

/* ELF gABI, dynamic section: the relocations of one of its two tables. */
struct relocations {
	const ElfW(Rela) * first;
	size_t bytes;
};

static void redirect_imports(const struct link_map *map)
{
	struct relocations calls = {NULL, 0}, others = {NULL, 0};
	const ElfW(Sym) *symbols = NULL;
	const char *strings = NULL;

	for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_JMPREL)
			calls.first = (const ElfW(Rela) *)d->d_un.d_ptr;
		else if (d->d_tag == DT_PLTRELSZ)
			calls.bytes = d->d_un.d_val;
		else if (d->d_tag == DT_RELA)
			others.first = (const ElfW(Rela) *)d->d_un.d_ptr;
		else if (d->d_tag == DT_RELASZ)
			others.bytes = d->d_un.d_val;
		else if (d->d_tag == DT_SYMTAB)
			symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
		else if (d->d_tag == DT_STRTAB)
			strings = (const char *)d->d_un.d_ptr;
	}
	if (symbols == NULL || strings == NULL)
		return;
	for (int table = 0; table < 2; table++) {
		const struct relocations *t = table == 0 ? &calls : &others;

		for (size_t i = 0; t->first != NULL && i < t->bytes / sizeof(*t->first); i++) {
			const ElfW(Rela) *r = &t->first[i];

			if (IS_IMPORT(ELF64_R_TYPE(r->r_info)))
				redirect((ElfW(Addr) *)(map->l_addr + r->r_offset),
					 strings + symbols[ELF64_R_SYM(r->r_info)].st_name);
		}
	}
}

/* ---- the unwinder ---------------------------------------------------------- */

bool ph_unwind_allocates_outside;

/* Its thread-local storage is allocated by whoever defines malloc in the program. */
static bool heap_is_ours(void)
{
	void *theirs = dlsym(RTLD_DEFAULT, "malloc");
	Dl_info one, other;

	return theirs != NULL && dladdr(theirs, &one) != 0 &&
	       dladdr((void *)heap_is_ours, &other) != 0 && one.dli_fbase == other.dli_fbase;
}

bool ph_unwind_load(void)
{
	void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
	int (*set_policy)(unw_addr_space_t, unw_caching_policy_t);
	int (*set_size)(unw_addr_space_t, size_t, int);
	unw_addr_space_t *space;
	int (*walk)(void **, int);

	if (library == NULL) {
		dlerror();
		return false;
	}
	walk = (int (*)(void **, int))dlsym(library, "unw_backtrace");
	space = dlsym(library, LOCAL(local_addr_space));
	set_policy = (int (*)(unw_addr_space_t, unw_caching_policy_t))dlsym(
		library, LOCAL(set_caching_policy));
	set_size = (int (*)(unw_addr_space_t, size_t, int))dlsym(library, LOCAL(set_cache_size));
	flush_cache = (void (*)(unw_addr_space_t, unw_word_t, unw_word_t))dlsym(
		library, TEXT(UNW_ARCH_OBJ(flush_cache)));
	if (walk == NULL || space == NULL || set_policy == NULL) {
		dlerror();
		return false;
	}
	/* Before anything of it runs. glibc's handle is the link map. */
	redirect_imports(library);
	address_space = *space;
	/* The global cache takes a lock; a cache a thread does not. */
	set_policy(address_space, UNW_CACHE_PER_THREAD);
	if (set_size != NULL)
		set_size(address_space, 1024, 0);
	find_object =
		(int (*)(void *, struct dl_find_object *))dlsym(RTLD_DEFAULT, "_dl_find_object");
	if (find_object == NULL)
		dlerror();
	/* Which word of what it hands to dl_iterate_phdr is the address? */
	trying = find_object != NULL;
	walk((void *[4]){NULL}, 4);
	trying = false;
	ph_unwind_allocates_outside = !heap_is_ours();
	backtrace_ = walk;
	return true;
}

int ph_unwind(void **frames, int room)
{
	return backtrace_ != NULL ? backtrace_(frames, room) : 0;
}

void ph_unwind_flush(void)
{
	if (flush_cache != NULL)
		flush_cache(address_space, 0, 0);
}
