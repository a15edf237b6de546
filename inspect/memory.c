/* SPDX-License-Identifier: MIT */
#include "inspect/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	PAGE = 4096,
	CHUNK = 1 << 18,   /* bytes read at a time */
	AT_ONCE = 1 << 12, /* pages asked after at a time */
	REGIONS = 1 << 10, /* likewise stretches of them */
	WORD = sizeof(uint64_t),
};

/* proc_pid_pagemap(5) */
#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_SWAPPED (UINT64_C(1) << 62)
#define PAGE_FILE    (UINT64_C(1) << 61) /* or shared */

/* <linux/fs.h> of Linux 6.7: pages by what they are, without looking at those that are not
 * there, of which a process may have set aside terabytes. */
struct pages_scan {
	uint64_t size, flags, start, end, walk_end;
	uint64_t regions, region_room, pages_most;
	uint64_t inverted, wanted, any_of, returned; /* categories */
};
struct pages_region {
	uint64_t start, end, categories;
};
#define PAGES_SCAN    _IOWR('f', 16, struct pages_scan)
#define SCANNED_FILE  (UINT64_C(1) << 2)
#define SCANNED_THERE (UINT64_C(3) << 3) /* present, or swapped */
#define SCANNED_ZERO  (UINT64_C(1) << 5) /* of the kernel's page of zeros */

struct memory_page {
	uint64_t address; /* 1: none */
	bool there;
	uint64_t words[PAGE / WORD];
};

static int open_proc(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool memory_open(struct memory *m, pid_t pid)
{
	*m = (struct memory){.memory_fd = open_proc(pid, "mem"),
			     .live_fd = -1,
			     .pagemap_fd = open_proc(pid, "pagemap")};
	return m->memory_fd >= 0;
}

int memory_open_live(pid_t pid)
{
	return open_proc(pid, "mem");
}

void memory_close(struct memory *m)
{
	if (m->memory_fd >= 0)
		close(m->memory_fd);
	if (m->live_fd >= 0)
		close(m->live_fd);
	if (m->pagemap_fd >= 0)
		close(m->pagemap_fd);
	if (m->copies != NULL)
		munmap((void *)m->copies, m->copied);
	free(m->pieces);
	free(m->pages);
	*m = (struct memory){.memory_fd = -1, .live_fd = -1, .pagemap_fd = -1};
}

/* ---- stretches ------------------------------------------------------------ */

struct reading {
	struct memory *memory;
	bool own;
	memory_words_fn *words;
	void *context;
};

static void hand_over(const struct reading *r, uint64_t address, const void *bytes, size_t length)
{
	if (length >= WORD)
		r->words(r->context, address, bytes, length / WORD);
	r->memory->read += length;
}

/* Of the process itself, whatever is there. */
static void read_stretch(const struct reading *r, uint64_t start, uint64_t end)
{
	static uint64_t buffer[CHUNK / WORD];

	while (start < end) {
		size_t wanted = end - start < CHUNK ? end - start : CHUNK;
		ssize_t n = pread(r->memory->memory_fd, buffer, wanted, (off_t)start);

		if (n > 0)
			hand_over(r, start, buffer, (size_t)n);
		/* At the page that fails it goes on with the next. */
		n = n > 0 ? n & -(ssize_t)WORD : 0;
		if (n == 0) {
			n = (ssize_t)(PAGE - start % PAGE);
			r->memory->unreadable += (uint64_t)n;
		}
		start += (uint64_t)n;
	}
}

static bool is_wanted(const struct reading *r, uint64_t entry)
{
	return (entry & (PAGE_PRESENT | PAGE_SWAPPED)) != 0 && !(r->own && (entry & PAGE_FILE));
}

static void read_part(const struct reading *r, uint64_t start, uint64_t end, uint64_t from,
		      uint64_t to)
{
	read_stretch(r, from > start ? from : start, to < end ? to : end);
}

/* Those pages that are there. False: this kernel cannot tell so; nothing was read. */
static bool scan_pages(const struct reading *r, uint64_t start, uint64_t end)
{
	static struct pages_region found[REGIONS];
	struct pages_scan scan = {
		.size = sizeof(scan),
		.start = start & ~(uint64_t)(PAGE - 1),
		.end = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1),
		.regions = (uintptr_t)found,
		.region_room = REGIONS,
		.inverted = SCANNED_ZERO | (r->own ? SCANNED_FILE : 0),
		.wanted = SCANNED_ZERO | (r->own ? SCANNED_FILE : 0),
		.any_of = SCANNED_THERE,
		.returned = SCANNED_THERE,
	};

	while (scan.start < scan.end) {
		int n = ioctl(r->memory->pagemap_fd, PAGES_SCAN, &scan);

		if ((n < 0 || scan.walk_end <= scan.start) && scan.start <= start)
			return false;
		if (n < 0 || scan.walk_end <= scan.start) {
			read_stretch(r, scan.start, end);
			return true;
		}
		for (int i = 0; i < n; i++)
			read_part(r, start, end, found[i].start, found[i].end);
		scan.start = scan.walk_end;
	}
	return true;
}

/* The same by the pages' list. */
static void read_pages(const struct reading *r, uint64_t start, uint64_t end)
{
	static uint64_t entries[AT_ONCE];

	if (r->memory->pagemap_fd < 0) {
		read_stretch(r, start, end);
		return;
	}
	if (!r->memory->listed && scan_pages(r, start, end))
		return;
	r->memory->listed = true;
	while (start < end) {
		uint64_t first = start / PAGE, last = (end - 1) / PAGE;
		size_t count = last - first + 1 < AT_ONCE ? last - first + 1 : AT_ONCE;
		ssize_t n =
			pread(r->memory->pagemap_fd, entries, count * WORD, (off_t)(first * WORD));

		if (n < (ssize_t)WORD) {
			read_stretch(r, start, end);
			return;
		}
		count = (size_t)n / WORD;
		for (size_t i = 0, run; i < count; i = run + 1) {
			for (run = i; run < count && is_wanted(r, entries[run]);)
				run++;
			if (run > i)
				read_part(r, start, end, (first + i) * PAGE, (first + run) * PAGE);
		}
		start = (first + count) * PAGE;
	}
}

static size_t first_piece(const struct memory *m, uint64_t address)
{
	size_t low = 0, high = m->piece_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->pieces[middle].start + m->pieces[middle].bytes <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void memory_each(struct memory *m, uint64_t start, uint64_t end, bool own, memory_words_fn *words,
		 void *context)
{
	const struct reading r = {m, own, words, context};

	start = (start + WORD - 1) & ~(uint64_t)(WORD - 1);
	end &= ~(uint64_t)(WORD - 1);
	for (size_t i = first_piece(m, start); start < end; i++) {
		const struct memory_piece *p = i < m->piece_count ? &m->pieces[i] : NULL;
		uint64_t until = p != NULL && p->start < end ? p->start : end;

		if (start < until && m->memory_fd >= 0)
			read_pages(&r, start, until);
		start = start > until ? start : until;
		if (p == NULL || start >= end)
			continue;
		until = p->start + p->bytes < end ? p->start + p->bytes : end;
		hand_over(&r, start, m->copies + p->offset + (start - p->start), until - start);
		start = until;
	}
}

bool memory_holds(const struct memory *m, uint64_t address)
{
	size_t i = first_piece(m, address);
	uint64_t entry;

	if (i < m->piece_count && m->pieces[i].start <= address)
		return true;
	if (m->memory_fd < 0)
		return false;
	return m->pagemap_fd < 0 ||
	       pread(m->pagemap_fd, &entry, WORD, (off_t)(address / PAGE * WORD)) != WORD ||
	       (entry & (PAGE_PRESENT | PAGE_SWAPPED)) != 0;
}

/* ---- single words ----------------------------------------------------------- */

/* Of a copy, as far as it goes; else what is there, also of a file: what a table of functions
 * stands in is not copied. Not by memory_each(), in the midst of which this may be asked. */
static void fill_page(const struct memory *m, struct memory_page *p)
{
	size_t i = first_piece(m, p->address);
	const struct memory_piece *piece = i < m->piece_count ? &m->pieces[i] : NULL;
	int fd = m->memory_fd >= 0 ? m->memory_fd : m->live_fd;

	p->there = fd >= 0 && pread(fd, p->words, PAGE, (off_t)p->address) == PAGE;
	if (piece == NULL || piece->start > p->address ||
	    piece->start + piece->bytes < p->address + PAGE)
		return;
	memcpy(p->words, m->copies + piece->offset + (p->address - piece->start), PAGE);
	p->there = true;
}

bool memory_word(struct memory *m, uint64_t address, uint64_t *out)
{
	uint64_t page = address & ~(uint64_t)(PAGE - 1);
	struct memory_page *p;

	if (m->pages == NULL) {
		m->pages = calloc(MEMORY_CACHED, sizeof(*m->pages));
		for (size_t i = 0; m->pages != NULL && i < MEMORY_CACHED; i++)
			m->pages[i].address = 1;
	}
	if (m->pages == NULL || address % WORD != 0)
		return false;
	p = &m->pages[page / PAGE % MEMORY_CACHED];
	if (p->address != page) {
		*p = (struct memory_page){.address = page};
		fill_page(m, p);
	}
	*out = p->words[(address - page) / WORD];
	return p->there;
}
