/* SPDX-License-Identifier: MIT */
#include "analyzer/coverage.h"

#include <aio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/format_text.h"
#include "trace/format.h"

#define TELL_FROM_BYTES 4096u
#define TELL_FROM_SHARE 100u /* one part in so many */
#define AT_THE_END_S	0.010

/*
 * What the kernel adds to rchar and wchar: read, write and their forms, also on
 * sockets. Not recv, send and their forms, splice, tee, vmsplice. By name, because
 * their kinds are the same.
 */
static bool is_counted(const char *name)
{
	static const char *const not_counted[] = {"recv", "send", "splice", "tee", "vmsplice"};

	name += strncmp(name, "__", 2) == 0 ? 2 : 0;
	if (strncmp(name, "sendfile", 8) == 0)
		return true;
	for (size_t i = 0; i < sizeof(not_counted) / sizeof(not_counted[0]); i++)
		if (strncmp(name, not_counted[i], strlen(not_counted[i])) == 0)
			return false;
	return true;
}

uint64_t coverage_age(const struct meta *m)
{
	double per_s = m->monotonic ? 1e9 : m->ticks_per_s;
	uint64_t age;

	/* Before exit and exec the process looks itself. */
	if (strcmp(m->end, "exit") == 0 || strcmp(m->end, "exec") == 0 ||
	    m->ended_ticks <= m->kernel_io.ticks)
		return 0;
	age = m->ended_ticks - m->kernel_io.ticks;
	return (double)age > AT_THE_END_S * per_s ? age : 0;
}

unsigned coverage_of_request(const struct ph_call *call)
{
	uint64_t words[2] = {0, LIO_NOP};

	if (call->cells > PH_CALL_CELLS)
		memcpy(words, call + 1, sizeof(words));
	return words[1] == LIO_READ    ? COVERAGE_READ
	       : words[1] == LIO_WRITE ? COVERAGE_WRITTEN
				       : COVERAGE_NONE;
}

bool coverage_begin(struct coverage_count *c, const struct meta *m, size_t threads)
{
	for (size_t i = 0; i < 256; i++) {
		if (m->names[i] == NULL || !is_counted(m->names[i]))
			continue;
		if (m->kinds[i] == PH_KIND_READ)
			c->direction[i] = COVERAGE_READ;
		else if (m->kinds[i] == PH_KIND_WRITE)
			c->direction[i] = COVERAGE_WRITTEN;
		else if (m->kinds[i] == PH_KIND_AIO_RETURN)
			c->direction[i] = COVERAGE_REQUESTED;
		else if (m->kinds[i] == PH_KIND_MOVE)
			c->direction[i] = COVERAGE_READ | COVERAGE_WRITTEN;
	}
	/* Asked once, at the beginning, is not asked. */
	c->known = m->kernel_io.given && (coverage_age(m) == 0 || m->kernel_io.read_bytes != 0 ||
					  m->kernel_io.written_bytes != 0);
	c->threads = m->kernel_io.threads;
	c->wanted = m->records_io;
	c->from = c->known ? m->kernel_io.begin_ticks : 0;
	c->to = c->known ? m->kernel_io.ticks : UINT64_MAX;
	c->looked = m->kernel_io.look_ticks;
	c->seen = calloc(threads + 1, sizeof(*c->seen));
	return c->seen != NULL;
}

void coverage_free(struct coverage_count *c)
{
	free(c->seen);
	c->seen = NULL;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	uint64_t s;

	return __builtin_add_overflow(a, b, &s) ? UINT64_MAX : s;
}

void coverage_result(const struct coverage_count *c, const struct meta *m, const bool *gone,
		     struct run *run)
{
	struct coverage *out = &run->coverage;

	out->known = c->known;
	out->wanted = c->wanted;
	if (c->known) {
		out->counted[0] = m->kernel_io.read_bytes;
		out->counted[1] = m->kernel_io.written_bytes;
	}
	for (size_t i = 0; i < run->thread_count; i++) {
		for (int way = 0; way < 2; way++) {
			out->seen[way] = sum(out->seen[way], c->seen[i][way]);
			/* Its count went with it: taken to be what was seen of it. */
			if (c->known && c->threads && gone[i])
				out->counted[way] = sum(out->counted[way], c->seen[i][way]);
		}
	}
}

static bool matters(const struct coverage *c, int way)
{
	uint64_t missed = c->counted[way] - c->seen[way];

	return c->counted[way] > c->seen[way] && missed > TELL_FROM_BYTES &&
	       missed > c->counted[way] / TELL_FROM_SHARE;
}

static const char *missed_text(const struct coverage *c, int way, struct arena *arena)
{
	char missed[FORMAT_ROOM], counted[FORMAT_ROOM], share[FORMAT_ROOM + 8];

	format_bytes(missed, (double)(c->counted[way] - c->seen[way]));
	format_bytes(counted, (double)c->counted[way]);
	if (strcmp(missed, counted) == 0)
		snprintf(share, sizeof(share), c->seen[way] == 0 ? "all" : "nearly all");
	else
		snprintf(share, sizeof(share), "%s of the", missed);
	return arena_print(arena, "%s %s that the kernel counted as %s", share, counted,
			   way == 0 ? "read" : "written");
}

const char *coverage_text(const struct coverage *c, uint64_t dropped, struct arena *arena)
{
	bool read = matters(c, 0), written = matters(c, 1);
	char early[FORMAT_ROOM];

	if (!c->known || !c->wanted || !(read || written))
		return NULL;
	return arena_print(arena,
			   "%s%s%s%s%s%s went through calls that are not seen: the loader's, "
			   "libc's own, inline system calls%s",
			   read ? missed_text(c, 0, arena) : "", read && written ? " and " : "",
			   written ? missed_text(c, 1, arena) : "",
			   c->early_s > 0 ? ", up to " : "",
			   c->early_s > 0 ? format_seconds(early, c->early_s, false) : "",
			   c->early_s > 0 ? " before its end," : "",
			   dropped != 0 ? ", and the events that were lost" : "");
}

const char *coverage_known(const struct meta *m, unsigned i, struct arena *arena)
{
	static const struct {
		const char *name, *text;
	} unseen[] = {
		{"namespace",
		 "libraries that dlmopen() loaded into a namespace of their own have a libc of "
		 "their own: what they do is not seen"},
		{"io_uring", "an io_uring was open: what is read and written through it is not "
			     "seen"},
		{"go", "this is a Go program: the system calls and the heap of its runtime do not "
		       "go through libc and are not seen"},
		{"stdio", "this libc's streams are not as they are known: what stdio (printf, "
			  "fread) reads and writes is not seen"},
		{"names", "libc looked up names (getaddrinfo and the like): what it may have sent "
			  "to a server for that, and received, is not seen"},
		{"syslog", "libc wrote to the system's log (syslog): what it sent is not seen"},
	};
	const size_t count = sizeof(unseen) / sizeof(unseen[0]);

	if (i == 0 && m->own_malloc != NULL)
		return arena_print(arena,
				   "the heap of this program: %s has a malloc of its own, which is "
				   "called instead of the recorded one",
				   m->own_malloc);
	i -= m->own_malloc != NULL;
	for (size_t k = 0; k < count; k++)
		if (m->unseen & 1u << k && i-- == 0)
			return unseen[k].text;
	return NULL;
}
