/* SPDX-License-Identifier: MIT */
/* Mapped memory and the program break, apart from the heap's figures. */
#include <stdarg.h>
#include <sys/mman.h>

#include "preload/hooks.h"

static int64_t address_result(const void *address)
{
	return address == MAP_FAILED ? -1 : (int64_t)(uintptr_t)address;
}

void *ph_hook_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	uint64_t extra = (uint32_t)protection | (uint64_t)(uint32_t)flags << 32;
	struct ph_call_state c;
	void *r;

	PH_NEED(mmap);
	/* An anonymous mapping may be given any number. */
	if (flags & MAP_ANONYMOUS)
		ph_call_begin(&c, PH_OP_mmap, -1, PH_FRAME());
	else
		ph_call_begin(&c, PH_OP_mmap, fd, PH_FRAME());
	r = ph_real.mmap(address, length, protection, flags, fd, offset);
	ph_call_end(&c, PH_OP_mmap, flags & MAP_ANONYMOUS ? -1 : fd, address_result(r),
		    (int64_t)length, &extra, 1, PH_FRAME(), PH_CALLER());
	return r;
}

int ph_hook_munmap(void *address, size_t length)
{
	uint64_t extra = (uintptr_t)address;
	struct ph_call_state c;
	int r;

	PH_NEED(munmap);
	ph_call_begin(&c, PH_OP_munmap, -1, PH_FRAME());
	r = ph_real.munmap(address, length);
	ph_call_end(&c, PH_OP_munmap, -1, r, (int64_t)length, &extra, 1, PH_FRAME(), PH_CALLER());
	return r;
}

void *ph_hook_mremap(void *address, size_t old_length, size_t new_length, int flags, ...)
{
	uint64_t extra[2] = {(uintptr_t)address, old_length};
	struct ph_call_state c;
	void *fixed = NULL;
	va_list rest;
	void *r;

	va_start(rest, flags);
	if (flags & MREMAP_FIXED)
		fixed = va_arg(rest, void *);
	va_end(rest);
	PH_NEED(mremap);
	ph_call_begin(&c, PH_OP_mremap, -1, PH_FRAME());
	r = ph_real.mremap(address, old_length, new_length, flags, fixed);
	ph_call_end(&c, PH_OP_mremap, -1, address_result(r), (int64_t)new_length, extra, 2,
		    PH_FRAME(), PH_CALLER());
	return r;
}

/* Where the break stands, without moving it: brk(0) of the system call. */
static int64_t break_now(void)
{
	return sys1(SYS_brk, 0);
}

int ph_hook_brk(void *end)
{
	struct ph_call_state c;
	int64_t before;
	int r;

	PH_NEED(brk);
	ph_call_begin(&c, PH_OP_brk, -1, PH_FRAME());
	before = break_now();
	r = ph_real.brk(end);
	ph_call_end(&c, PH_OP_brk, -1, r < 0 ? -1 : (int64_t)(uintptr_t)end,
		    (int64_t)(uintptr_t)end - before, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}

void *ph_hook_sbrk(intptr_t increment)
{
	struct ph_call_state c;
	void *r;

	PH_NEED(sbrk);
	ph_call_begin(&c, PH_OP_sbrk, -1, PH_FRAME());
	r = ph_real.sbrk(increment);
	ph_call_end(&c, PH_OP_sbrk, -1, r == (void *)-1 ? -1 : (int64_t)(uintptr_t)r + increment,
		    increment, NULL, 0, PH_FRAME(), PH_CALLER());
	return r;
}
