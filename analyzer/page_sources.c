/* SPDX-License-Identifier: MIT */
/*
 * The source of the functions that cost most, where it can be read. What a trace calls a
 * source file may be any file: only what has a name like source is opened, only regular
 * files, and of them only lines around those that stacks go through.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analyzer/report_html.h"

enum {
	FILE_MOST = 4 << 20,   /* bytes of one that is read */
	ROOM_MOST = 160 << 10, /* bytes of all that is shown */
	LINE_MOST = 240,       /* bytes of a line */
	REACH = 40,	       /* lines that a function's ends are looked for in */
	MARGIN = 6,	       /* lines where they are not found */
	PLACES_MOST = 500,     /* functions that are tried */
	SPAN_MOST = 300,       /* lines of one function */
};

/* A function, by its name and its file, and the lines of it that stacks go through. */
struct place {
	uint32_t function, file; /* in the page's strings */
	uint32_t first, last;
	double weight;
};

static int by_name(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->function < y->function ? -1 : x->function > y->function;
}

static int by_weight(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->weight != y->weight ? x->weight < y->weight ? 1 : -1 : by_name(a, b);
}

/* The greatest share that a node with all below it has of any cost. */
static void weigh_nodes(const struct page_stacks *p, double *weights, double *of_one)
{
	for (size_t c = 0; c < COST_COUNT; c++) {
		const struct cost_samples *s = &p->samples[c];

		memset(of_one, 0, p->node_count * sizeof(*of_one));
		for (size_t i = 0; i < s->count; i++) {
			uint32_t stack = p->stack[s->list[i].node];

			if (stack != 0)
				of_one[p->stacks[stack - 1].node] +=
					(double)s->list[i].value / (double)s->total;
		}
		for (size_t n = p->node_count; n-- > 1;) {
			weights[n] = of_one[n] > weights[n] ? of_one[n] : weights[n];
			of_one[p->nodes[n].parent] += of_one[n];
		}
	}
}

static size_t merge_places(struct place *places, size_t count)
{
	size_t kept = 0;

	if (count == 0)
		return 0;
	qsort(places, count, sizeof(*places), by_name);
	for (size_t i = 1; i < count; i++) {
		struct place *to = &places[kept], *from = &places[i];

		if (by_name(to, from) != 0) {
			places[++kept] = *from;
			continue;
		}
		to->first = from->first < to->first ? from->first : to->first;
		to->last = from->last > to->last ? from->last : to->last;
		to->weight = from->weight > to->weight ? from->weight : to->weight;
	}
	qsort(places, kept + 1, sizeof(*places), by_weight);
	return kept + 1;
}

/* Functions with lines, those that cost most first. NULL: out of memory. */
static struct place *list_places(const struct page_stacks *p, size_t *count)
{
	double *weights = calloc(p->node_count + 1, sizeof(*weights));
	double *of_one = calloc(p->node_count + 1, sizeof(*of_one));
	struct place *places = calloc(p->node_count + 1, sizeof(*places));

	*count = 0;
	if (weights != NULL && of_one != NULL && places != NULL) {
		weigh_nodes(p, weights, of_one);
		for (size_t n = 1; n < p->node_count; n++) {
			const struct page_frame *f = &p->frames[p->nodes[n].frame];

			if (f->line > 0 && p->strings[f->file][0] == '/')
				places[(*count)++] =
					(struct place){f->function, f->file, (uint32_t)f->line,
						       (uint32_t)f->line, weights[n]};
		}
		*count = merge_places(places, *count);
	} else {
		free(places);
		places = NULL;
	}
	free(weights);
	free(of_one);
	return places;
}

/* Files. */

static bool is_source_name(const char *path)
{
	static const char *const ends[] = {"c",	  "h",	  "cc",	 "cpp", "cxx", "c++",	"C",   "hh",
					   "hpp", "hxx",  "inl", "ipp", "tcc", "inc",	"def", "rs",
					   "go",  "d",	  "f",	 "f90", "zig", "nim",	"m",   "mm",
					   "adb", "ads",  "pas", "s",	"S",   "y",	"l",   "py",
					   "pyx", "java", "ml",	 "hs",	"v",   "swift", "cu"};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(ends) / sizeof(*ends); i++)
		if (strcmp(dot + 1, ends[i]) == 0)
			return true;
	return false;
}

struct source {
	uint32_t file; /* UINT32_MAX: none yet */
	char *text;
	char **lines;
	size_t count;
	struct timespec changed;
};

static void source_close(struct source *s)
{
	free(s->text);
	free(s->lines);
	*s = (struct source){.file = UINT32_MAX};
}

/* All of a file, with a NUL; NULL: it is none that is shown. */
static char *read_file(const char *path, struct timespec *changed)
{
	int fd = is_source_name(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
				      : -1;
	char *text = NULL;
	size_t length = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MOST)
		text = malloc((size_t)st.st_size + 1);
	while (text != NULL && length < (size_t)st.st_size) {
		got = read(fd, text + length, (size_t)st.st_size - length);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	if (text != NULL)
		*changed = st.st_mtim;
	close(fd);
	if (text == NULL)
		return NULL;
	text[length] = '\0';
	if (strlen(text) == length)
		return text;
	free(text); /* not text */
	return NULL;
}

static void source_open(struct source *s, uint32_t file, const char *path)
{
	size_t count = 1, at = 0;

	source_close(s);
	s->file = file;
	s->text = read_file(path, &s->changed);
	if (s->text == NULL)
		return;
	for (const char *c = s->text; *c != '\0'; c++)
		count += *c == '\n';
	s->lines = calloc(count + 1, sizeof(*s->lines));
	if (s->lines == NULL)
		return;
	for (char *rest = s->text, *line; (line = strsep(&rest, "\n")) != NULL;)
		s->lines[at++] = line;
	s->count = at;
}

/* Line numbers begin with 1. */
static const char *line_of(const struct source *s, uint32_t number)
{
	return number >= 1 && number <= s->count ? s->lines[number - 1] : "";
}

/* Does a definition begin here, as most people write? */
static bool begins(const char *line)
{
	return *line != '\0' && strchr(" \t#{}/*)&", *line) == NULL && strchr(line, '(') != NULL &&
	       strchr(line, ';') == NULL;
}

static void widen(const struct source *s, struct place *p)
{
	uint32_t first = p->first, last = p->last;

	for (uint32_t i = 0; i < REACH && first > 1 && !begins(line_of(s, first)); i++)
		first--;
	for (uint32_t i = 0; i < REACH && last < s->count && line_of(s, last)[0] != '}'; i++)
		last++;
	if (!begins(line_of(s, first)))
		first = p->first > MARGIN ? p->first - MARGIN : 1;
	if (line_of(s, last)[0] != '}')
		last = p->last + MARGIN;
	p->first = first;
	p->last = last < s->count ? last : (uint32_t)s->count;
	if (p->last > p->first + SPAN_MOST)
		p->last = p->first + SPAN_MOST;
}

/* Than the run: its lines may be others. */
static bool is_newer(const struct source *s, const struct run *run)
{
	return run->started_ns != 0 && (uint64_t)s->changed.tv_sec > run->started_ns / 1000000000;
}

static size_t emit_lines(struct emit_json *e, const struct source *s, const struct place *p,
			 const struct run *run)
{
	size_t bytes = 0;

	emit_object(e, NULL);
	emit_u64(e, "file", p->file);
	emit_u64(e, "function", p->function);
	emit_u64(e, "first", p->first);
	emit_bool(e, "newer", is_newer(s, run));
	emit_array(e, "lines");
	for (uint32_t n = p->first; n <= p->last; n++) {
		char line[LINE_MOST + 1];

		strncpy(line, line_of(s, n), LINE_MOST);
		line[LINE_MOST] = '\0';
		emit_string(e, NULL, line);
		bytes += strlen(line) + 4;
	}
	emit_end(e);
	emit_end(e);
	return bytes;
}

void page_sources(const struct page_stacks *p, struct emit_json *e)
{
	struct source source = {.file = UINT32_MAX};
	size_t count, bytes = 0;
	struct place *places = list_places(p, &count);

	e->failed |= places == NULL;
	emit_array(e, "sources");
	for (size_t i = 0; places != NULL && i < count && i < PLACES_MOST && bytes < ROOM_MOST;
	     i++) {
		struct place *at = &places[i];

		if (at->file != source.file)
			source_open(&source, at->file, p->strings[at->file]);
		if (at->last > source.count)
			continue; /* not there, or another version */
		widen(&source, at);
		bytes += emit_lines(e, &source, at, p->r->run);
	}
	emit_end(e);
	source_close(&source);
	free(places);
}
