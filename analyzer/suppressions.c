/* SPDX-License-Identifier: MIT */
/* Suppressions of leaks: the files of LeakSanitizer and Valgrind. */
#include "analyzer/suppressions.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "analyzer/vector.h"

enum {
	FILE_MAX = 64 << 20,
	READ_AT_ONCE = 64 << 10,
	LINE_MAX_BYTES = 64 << 10,
	LINES_MAX = 500, /* of an entry; Valgrind takes 24 */
};

#define EVERY_KIND ((1u << REACH_CLASSES) - 1)

void suppressions_free(struct suppressions *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->list[i].lines);
	free(s->list);
	free(s->problems);
	if (s->arena != NULL)
		arena_free(s->arena);
	*s = (struct suppressions){0};
}

/* ---- Patterns ---- */

bool suppression_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '?' || *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL) { /* the last star takes one more */
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* Where the first `length` characters of `piece` are in `text`; NULL: nowhere. */
static const char *find(const char *text, const char *piece, size_t length)
{
	return length == 0 ? text : memmem(text, strlen(text), piece, length);
}

bool suppression_template(const char *pattern, const char *text)
{
	bool at_start = *pattern == '^', after_star = false;

	if (*text == '\0')
		return false;
	pattern += at_start;
	while (*pattern != '\0') {
		size_t length = strcspn(pattern, "*$");
		const char *found;

		if (*pattern == '*') {
			pattern++;
			after_star = true;
			at_start = false;
			continue;
		}
		if (*pattern == '$')
			return *text == '\0' || after_star;
		found = find(text, pattern, length);
		/* The last piece before the end is the one that ends the text. */
		if (found != NULL && pattern[length] == '$' && strlen(text) >= length &&
		    !at_start && memcmp(text + strlen(text) - length, pattern, length) == 0)
			found = text + strlen(text) - length;
		if (found == NULL || (at_start && found != text))
			return false;
		text = found + length;
		pattern += length;
		at_start = after_star = false;
	}
	return true;
}

/* ---- Reading ---- */

struct reading {
	struct suppressions *s;
	const char *path; /* the arena's */
	const char *at, *end;
	unsigned line; /* of what was read last */
	char text[LINE_MAX_BYTES];
};

static void problem(struct reading *r, unsigned line, const char *text)
{
	struct suppressions *s = r->s;

	s->bad++;
	if (s->problem_count >= SUPPRESSION_PROBLEMS)
		return;
	if (!vector_reserve(s->problems, s->problem_room, s->problem_count + 1))
		s->failed = true;
	else
		s->problems[s->problem_count++] =
			(struct suppression_problem){.file = r->path, .line = line, .text = text};
}

/* The next line that is neither empty nor a comment, without blanks around it; NULL: the
 * end. A longer one than any name is cut. */
static char *next_line(struct reading *r)
{
	while (r->at < r->end) {
		const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
		const char *begin = r->at, *end = stop != NULL ? stop : r->end;
		size_t length;

		r->at = stop != NULL ? stop + 1 : r->end;
		r->line++;
		while (begin < end && isspace((unsigned char)*begin))
			begin++;
		while (end > begin && isspace((unsigned char)end[-1]))
			end--;
		length = (size_t)(end - begin);
		if (length == 0 || *begin == '#')
			continue;
		if (length >= sizeof(r->text))
			length = sizeof(r->text) - 1;
		memcpy(r->text, begin, length);
		r->text[length] = '\0';
		return r->text;
	}
	return NULL;
}

static bool add(struct suppressions *s, const struct suppression *made)
{
	if (!vector_reserve(s->list, s->room, s->count + 1)) {
		s->failed = true;
		return false;
	}
	s->list[s->count++] = *made;
	return true;
}

/* "leak:PATTERN"; other sanitizers' kinds ("race:", "vptr:") are passed over. */
static void read_template(struct reading *r, char *line)
{
	struct suppression made = {
		.file = r->path, .line = r->line, .is_substring = true, .kinds = EVERY_KIND};
	size_t kind = strspn(line, "abcdefghijklmnopqrstuvwxyz_-0123456789");

	if (kind == 0 || line[kind] != ':') {
		problem(r, r->line,
			"neither LeakSanitizer's 'leak:NAME' nor Valgrind's '{' that begins one");
		return;
	}
	if (kind != 4 || strncmp(line, "leak", 4) != 0) {
		r->s->other++;
		return;
	}
	if (line[5] == '\0') {
		problem(r, r->line, "'leak:' without a name");
		return;
	}
	made.name = arena_copy(r->s->arena, line + 5, strlen(line + 5));
	add(r->s, &made);
}

bool suppression_kinds(const char *text, unsigned *kinds)
{
	static const struct {
		const char *name;
		unsigned kinds;
	} known[] = {
		{"definite", 1u << REACH_LOST},
		{"indirect", 1u << REACH_INDIRECT},
		{"possible", 1u << REACH_POSSIBLE},
		{"reachable", 1u << REACH_STILL},
		{"all", EVERY_KIND},
		{"none", 0},
	};
	const size_t count = sizeof(known) / sizeof(*known);

	*kinds = 0;
	for (;;) {
		size_t length, i = 0;

		text += strspn(text, " \t");
		length = strcspn(text, ", \t");
		while (i < count && (strlen(known[i].name) != length ||
				     strncmp(known[i].name, text, length) != 0))
			i++;
		if (i == count)
			return false;
		*kinds |= known[i].kinds;
		text += length;
		text += strspn(text, " \t");
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

/* Of "Memcheck,DRD:Leak": is it of Memcheck's leaks? -1: it is no such line. */
static int is_leak(const char *line)
{
	const char *colon = strchr(line, ':');
	bool ours = false;

	if (colon == NULL || colon == line || colon[1] == '\0')
		return -1;
	for (const char *tool = line; tool < colon;) {
		size_t length = strcspn(tool, ",:");

		ours |= length == 8 && strncasecmp(tool, "Memcheck", 8) == 0;
		tool += length + 1;
		tool += strspn(tool, " \t");
	}
	return ours && strcmp(colon + 1, "Leak") == 0;
}

/* False: it is no line about a frame. */
static bool parse_line(struct suppressions *s, const char *text, struct suppression_line *line)
{
	static const struct {
		const char *prefix;
		enum suppression_line_kind kind;
	} known[] = {{"fun:", SUPPRESSION_FUNCTION},
		     {"obj:", SUPPRESSION_OBJECT},
		     {"src:", SUPPRESSION_SOURCE}};

	if (strcmp(text, "...") == 0) {
		*line = (struct suppression_line){SUPPRESSION_ANY, ""};
		return true;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strncmp(text, known[i].prefix, 4) != 0 || text[4] == '\0')
			continue;
		*line = (struct suppression_line){known[i].kind,
						  arena_copy(s->arena, text + 4, strlen(text + 4))};
		return true;
	}
	return false;
}

/* Pass over the rest of an entry. False: the file ends before it does. A '{' begins the
 * next one all the same. */
static bool skip_entry(struct reading *r, bool *begun)
{
	const char *line;

	*begun = false;
	while ((line = next_line(r)) != NULL) {
		*begun = strcmp(line, "{") == 0;
		if (*begun || strcmp(line, "}") == 0)
			return !*begun;
	}
	return false;
}

/* What is wrong with an entry; NULL: nothing. `*ended`: its '}' was read, `*begun`: the
 * next one's '{'. */
static const char *read_frames(struct reading *r, struct suppression *made, bool *ended,
			       bool *begun)
{
	size_t room = 0;
	bool any_named = false;
	char *line;

	while ((line = next_line(r)) != NULL) {
		struct suppression_line frame;

		*ended = strcmp(line, "}") == 0;
		*begun = strcmp(line, "{") == 0;
		if (*ended)
			return any_named ? NULL : "it names no frame";
		if (*begun)
			return "it has no '}' at its end";
		if (made->line_count == 0 && strncmp(line, "match-leak-kinds:", 17) == 0) {
			if (!suppression_kinds(line + 17, &made->kinds))
				return "match-leak-kinds takes definite, indirect, possible, "
				       "reachable, all or none, with commas between";
			continue;
		}
		if (!parse_line(r->s, line, &frame))
			return "a frame is 'fun:NAME', 'obj:PATH', 'src:FILE' or '...'";
		if (made->line_count == LINES_MAX)
			return "it has more than 500 frames";
		if (!vector_reserve(made->lines, room, made->line_count + 1)) {
			r->s->failed = true;
			return "out of memory";
		}
		made->lines[made->line_count++] = frame;
		any_named |= frame.kind != SUPPRESSION_ANY;
	}
	return "it has no '}' at its end";
}

/* Behind the '{'. True: another '{' was read instead of this one's end. */
static bool read_entry(struct reading *r)
{
	struct suppression made = {.file = r->path, .line = r->line, .kinds = EVERY_KIND};
	bool ended = false, begun = false;
	const char *wrong;
	char *line = next_line(r);
	int leak;

	if (line == NULL || strcmp(line, "}") == 0 || strcmp(line, "{") == 0) {
		problem(r, made.line, "it has no name");
		return line != NULL && *line == '{';
	}
	made.name = arena_copy(r->s->arena, line, strlen(line));
	line = next_line(r);
	leak = line != NULL ? is_leak(line) : -1;
	if (leak < 0) {
		problem(r, made.line, "after its name comes 'TOOL:KIND', as in Memcheck:Leak");
		begun = line != NULL && strcmp(line, "{") == 0;
		if (line != NULL && !begun && strcmp(line, "}") != 0)
			skip_entry(r, &begun);
		return begun;
	}
	if (leak == 0) {
		r->s->other++;
		if (!skip_entry(r, &begun))
			problem(r, made.line, "it has no '}' at its end");
		return begun;
	}
	wrong = read_frames(r, &made, &ended, &begun);
	if (wrong == NULL && add(r->s, &made))
		return false;
	free(made.lines);
	problem(r, made.line, wrong != NULL ? wrong : "out of memory");
	if (!ended && !begun)
		skip_entry(r, &begun);
	return begun;
}

int suppressions_parse(struct suppressions *s, const char *text, size_t length, const char *path,
		       struct error *e)
{
	struct reading *r = calloc(1, sizeof(*r));
	char *line;

	if (s->arena == NULL)
		s->arena = arena_new();
	if (r == NULL || s->arena == NULL) {
		free(r);
		return fail(e, ERROR_MEMORY, 0, "out of memory");
	}
	r->s = s;
	r->path = arena_copy(s->arena, path, strlen(path));
	r->at = text;
	r->end = text + length;
	while (!s->failed && (line = next_line(r)) != NULL) {
		if (strcmp(line, "{") != 0)
			read_template(r, line);
		else
			while (read_entry(r))
				;
	}
	free(r);
	return s->failed ? fail(e, ERROR_MEMORY, 0, "out of memory") : 0;
}

/* All of a file, or of a pipe that a shell names (`<(...)`). NULL: it is too large (errno 0),
 * or cannot be read. */
static char *read_whole(FILE *in, size_t *length)
{
	char *text = NULL;
	size_t room = 0;

	for (*length = 0; !feof(in) && !ferror(in);) {
		if (*length >= FILE_MAX || !vector_reserve(text, room, *length + READ_AT_ONCE)) {
			errno = *length >= FILE_MAX ? 0 : ENOMEM;
			free(text);
			return NULL;
		}
		*length += fread(text + *length, 1, READ_AT_ONCE, in);
	}
	if (!ferror(in))
		return text;
	free(text);
	return NULL;
}

int suppressions_read(struct suppressions *s, const char *path, struct error *e)
{
	FILE *in = fopen(path, "re");
	size_t length = 0;
	char *text = in != NULL ? read_whole(in, &length) : NULL;
	int rc = -1;

	if (text != NULL)
		rc = suppressions_parse(s, text, length, path, e);
	else if (errno == 0)
		fail(e, ERROR_USAGE, 0, "%s: no file of suppressions: it has more than %d MiB",
		     path, FILE_MAX >> 20);
	else
		fail(e, ERROR_SYSTEM, 0, "%s: suppressions cannot be read: %s", path,
		     strerror(errno));
	free(text);
	if (in != NULL)
		fclose(in);
	return rc;
}

/* ---- Matching ---- */

/* The names under which Valgrind shows what allocates: whatever it was. */
static bool is_allocator_name(const char *pattern)
{
	static const char *const names[] = {
		"malloc",
		"calloc",
		"realloc",
		"memalign",
		"posix_memalign",
		"aligned_alloc",
		"valloc",
		"pvalloc",
		"reallocarray",
		"_Znwm",
		"_Znam",
		"_Znwj",
		"_Znaj",
		"_ZnwmRKSt9nothrow_t",
		"_ZnamRKSt9nothrow_t",
		"_ZnwmSt11align_val_t",
		"_ZnamSt11align_val_t",
		"_ZnwmSt11align_val_tRKSt9nothrow_t",
		"_ZnamSt11align_val_tRKSt9nothrow_t",
		"__builtin_new",
		"__builtin_vec_new",
		"operator new(unsigned long)",
		"operator new[](unsigned long)",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (suppression_glob(pattern, names[i]))
			return true;
	return false;
}

/* Valgrind's own object, where its malloc is. */
static bool is_allocator_object(const char *pattern)
{
	return suppression_glob(pattern,
				"/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so") ||
	       suppression_glob(pattern, "/usr/lib/valgrind/vgpreload_memcheck-amd64-linux.so");
}

/* Valgrind calls so what is outside of main. */
static bool is_below_main(const char *name)
{
	return strncmp(name, "__libc_start_", 13) == 0 || strcmp(name, "_start") == 0;
}

static bool function_matches(const char *pattern, const struct suppressed_frame *f)
{
	for (size_t i = 0; i < SUPPRESSED_NAMES && f->names[i] != NULL; i++)
		if (suppression_glob(pattern, f->names[i]) ||
		    (is_below_main(f->names[i]) && suppression_glob(pattern, "(below main)")))
			return true;
	if (f->allocates && is_allocator_name(pattern))
		return true;
	/* What has no name is "???" there. */
	return f->names[0] == NULL && !f->allocates && suppression_glob(pattern, "???");
}

/* "FILE" or "FILE:LINE"; the file with its folders or without. */
static bool source_matches(const char *pattern, const struct suppressed_frame *f)
{
	const char *slash = f->file != NULL ? strrchr(f->file, '/') : NULL;
	char with_line[4200];

	if (f->file == NULL)
		return false;
	for (const char *file = f->file;; file = slash + 1) {
		snprintf(with_line, sizeof(with_line), "%s:%d", file, f->line);
		if (suppression_glob(pattern, file) || suppression_glob(pattern, with_line))
			return true;
		if (slash == NULL || file == slash + 1)
			return false;
	}
}

static bool line_matches(const struct suppression_line *line, const struct suppressed_frame *f)
{
	switch (line->kind) {
	case SUPPRESSION_FUNCTION:
		return function_matches(line->pattern, f);
	case SUPPRESSION_OBJECT:
		return f->allocates
			       ? is_allocator_object(line->pattern)
			       : f->module != NULL && suppression_glob(line->pattern, f->module);
	case SUPPRESSION_SOURCE:
		return source_matches(line->pattern, f);
	case SUPPRESSION_ANY:
		return true;
	}
	return false;
}

/* Mark the lines that may be next behind `at`: a "..." may stand for nothing. */
static void open_line(const struct suppression *s, bool *open, size_t at)
{
	open[at] = true;
	while (at < s->line_count && s->lines[at].kind == SUPPRESSION_ANY)
		open[++at] = true;
}

/* All lines one after the other; further frames outside do not matter. */
static bool lines_match(const struct suppression *s, const struct suppressed_frame *frames,
			size_t count)
{
	bool open[LINES_MAX + 1] = {false}, next[LINES_MAX + 1];

	open_line(s, open, 0);
	for (size_t i = 0; i < count && !open[s->line_count]; i++) {
		bool any = false;

		memset(next, 0, sizeof(next));
		for (size_t l = 0; l < s->line_count; l++) {
			if (!open[l] || !line_matches(&s->lines[l], &frames[i]))
				continue;
			open_line(s, next, s->lines[l].kind == SUPPRESSION_ANY ? l : l + 1);
			any = true;
		}
		if (!any)
			return false;
		memcpy(open, next, sizeof(open));
	}
	return open[s->line_count];
}

static bool template_matches(const char *pattern, const struct suppressed_frame *frames,
			     size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct suppressed_frame *f = &frames[i];

		for (size_t n = 0; n < SUPPRESSED_NAMES && f->names[n] != NULL; n++)
			if (suppression_template(pattern, f->names[n]))
				return true;
		if ((f->file != NULL && suppression_template(pattern, f->file)) ||
		    (f->module != NULL && suppression_template(pattern, f->module)))
			return true;
	}
	return false;
}

struct suppression *suppressions_match(const struct suppressions *s,
				       const struct suppressed_frame *frames, size_t count,
				       unsigned kinds)
{
	for (size_t i = 0; i < s->count; i++) {
		struct suppression *one = &s->list[i];

		if ((kinds & ~one->kinds) != 0 || one->kinds == 0)
			continue;
		if (one->is_substring ? template_matches(one->name, frames, count)
				      : lines_match(one, frames, count))
			return one;
	}
	return NULL;
}
