/* SPDX-License-Identifier: MIT */
/* A flame graph as one SVG. */
#include "analyzer/flame.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyzer/export.h"
#include "analyzer/format_text.h"

/* Pixels. What is drawn is made for this width; the script fits it to any. */
enum {
	WIDTH = 1200,
	ROW = 17,
	HEAD = 64, /* above the frames */
	FOOT = 28,
	LETTER_TENTHS = 72, /* of a pixel: a letter's width at 12 pixels, monospace */
	TEXT_MARGIN = 3,
};

/* Frames that are drawn at most, and the least share of the whole that one has. */
#define FRAMES_MAX  20000
#define LEAST_SHARE (1.0 / (10 * WIDTH))

struct drawing {
	FILE *out;
	const struct flame *flame;
	uint64_t *weight; /* by node: how wide it is, in the cost's unit */
	double least;	  /* narrower ones are left out */
	unsigned depth;	  /* of what is drawn */
	size_t drawn, left_out;
	uint64_t left_out_weight;
	bool failed;
};

/* Text that is data: markup's letters escaped, and what XML cannot hold. */
static void print_text(struct drawing *d, const char *text)
{
	static const char never[] = "\xef\xbf\xbe"; /* U+FFFE, and U+FFFF after it */
	char *safe = format_line(text, "");

	d->failed |= safe == NULL;
	for (const char *c = safe != NULL ? safe : ""; *c != '\0'; c++) {
		if (strncmp(c, never, 2) == 0 && (unsigned char)c[2] >= 0xbe) {
			fputs("\xef\xbf\xbd", d->out);
			c += 2;
		} else if (strchr("&<>\"'", *c) != NULL) {
			fprintf(d->out, "&#%d;", *c);
		} else {
			fputc(*c, d->out);
		}
	}
	free(safe);
}

static void format_value(char buf[FORMAT_ROOM], const struct cost *cost, uint64_t value)
{
	if (cost->unit == COST_BYTES)
		format_bytes(buf, (double)value);
	else if (cost->unit == COST_NANOSECONDS)
		format_seconds(buf, (double)value / 1e9, true);
	else
		format_count(buf, value);
}

/* Widths: of two runs the larger of both, stack by stack, so that what is gone is
 * seen too. */
static bool weigh(struct drawing *d)
{
	const struct call_tree *t = d->flame->tree;

	d->weight = calloc(t->node_count + 1, sizeof(*d->weight));
	for (size_t i = t->node_count; d->weight != NULL && i-- > 0;) {
		const struct call_node *n = &t->nodes[i];

		d->weight[i] += n->self[CALL_AFTER] > n->self[CALL_BEFORE] ? n->self[CALL_AFTER]
									   : n->self[CALL_BEFORE];
		if (i != 0)
			d->weight[n->parent] += d->weight[i];
	}
	return d->weight != NULL;
}

/* The node after `node` that is drawn, or that is left out with all below it. */
static uint32_t next_drawn(const struct drawing *d, uint32_t node, unsigned *depth)
{
	const struct call_tree *t = d->flame->tree;

	if ((double)d->weight[node] >= d->least)
		return call_tree_next(t, node, depth);
	while (node != 0 && t->nodes[node].next == 0) {
		node = t->nodes[node].parent;
		--*depth;
	}
	return t->nodes[node].next;
}

static void count_drawn(struct drawing *d)
{
	unsigned depth = 0;
	uint32_t node = 0;

	d->drawn = d->depth = 0;
	d->left_out_weight = 0;
	while ((node = next_drawn(d, node, &depth)) != 0) {
		if ((double)d->weight[node] >= d->least) {
			d->drawn++;
			d->depth = depth > d->depth ? depth : d->depth;
		} else {
			d->left_out_weight += d->weight[node];
		}
	}
	d->left_out = d->flame->tree->node_count - 1 - d->drawn;
}

static void choose_least(struct drawing *d)
{
	d->least = (double)d->weight[0] * LEAST_SHARE;
	count_drawn(d);
	while (d->drawn > FRAMES_MAX) {
		d->least *= 1.5;
		count_drawn(d);
	}
}

/* Colours. */

/* 0 to 1, by the name alone: the same in each drawing. */
static double shade(const char *name)
{
	uint32_t hash = 2166136261u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619u;
	return (double)(hash >> 8 & 0xffff) / 65535;
}

struct hue {
	const char *what; /* in the legend */
	int red, green, blue;
};

enum { HUE_PROGRAM, HUE_LIBRARY, HUE_LIBC, HUE_CXX, HUE_NONE, HUE_COUNT };

static const struct hue hues[HUE_COUNT] = {
	[HUE_PROGRAM] = {"program", 245, 150, 60},    [HUE_LIBRARY] = {"libraries", 240, 205, 90},
	[HUE_LIBC] = {"libc, loader", 150, 190, 225}, [HUE_CXX] = {"C++ runtime", 200, 170, 225},
	[HUE_NONE] = {"no module", 185, 190, 185},
};

static const struct hue *hue_of(const struct drawing *d, const struct call_name *about)
{
	const char *executable = d->flame->after->run->executable;

	if (about->module == NULL)
		return &hues[HUE_NONE];
	if (about->class == MODULE_LIBC || about->class == MODULE_LOADER)
		return &hues[HUE_LIBC];
	if (about->class == MODULE_CXX)
		return &hues[HUE_CXX];
	return executable != NULL && strcmp(about->module, executable) == 0 ? &hues[HUE_PROGRAM]
									    : &hues[HUE_LIBRARY];
}

static void print_fill(struct drawing *d, const struct hue *h, double shading)
{
	double by = 0.92 + 0.12 * shading;

#define TONE(c) ((int)((c)*by) > 255 ? 255 : (int)((c)*by))
	fprintf(d->out, "#%02x%02x%02x", TONE(h->red), TONE(h->green), TONE(h->blue));
#undef TONE
}

/* White is no change; red all new, blue all gone. */
static void print_change_fill(struct drawing *d, const struct call_node *n)
{
	double after = (double)n->value[CALL_AFTER], before = (double)n->value[CALL_BEFORE];
	double change = (after - before) / (after > before ? after : before);
	int rest = 240 - (int)(150 * (change < 0 ? -change : change));

	fprintf(d->out, change < 0 ? "#%02x%02xff" : "#ff%02x%02x", rest, rest);
}

/* Frames. */

static double percent(double part, double whole)
{
	return whole > 0 ? 100 * part / whole : 0;
}

static const char *count_noun(const struct cost *cost)
{
	const char *noun = strrchr(cost->help, ' ');

	return noun != NULL ? noun + 1 : "times";
}

/* "1.2 MiB (1258291 bytes), 12.3%, 40 blocks". */
static void print_figures(struct drawing *d, const struct call_node *n, enum call_side side)
{
	const struct cost *cost = d->flame->cost;
	char value[FORMAT_ROOM], count[FORMAT_ROOM];

	format_value(value, cost, n->value[side]);
	if (cost->unit == COST_ALLOCATIONS) {
		fprintf(d->out, "%s", value);
	} else {
		fprintf(d->out, "%s (%" PRIu64 " %s)", value, n->value[side],
			cost->unit == COST_BYTES ? "bytes" : "ns");
	}
	fprintf(d->out, ", %.2f%%",
		percent((double)n->value[side], (double)d->flame->tree->nodes[0].value[side]));
	fprintf(d->out, ", %s %s", format_count(count, n->count[side]), count_noun(cost));
}

static void print_change(struct drawing *d, const struct call_node *n)
{
	uint64_t after = n->value[CALL_AFTER], before = n->value[CALL_BEFORE];
	char value[FORMAT_ROOM], growth[FORMAT_ROOM];

	format_value(value, d->flame->cost, after > before ? after - before : before - after);
	fprintf(d->out, "\n%s%s", after < before ? "\xe2\x88\x92" : "+", value);
	if (before == 0)
		fputs(", new", d->out);
	else if (after == 0)
		fputs(", gone", d->out);
	else
		fprintf(d->out, ", %s", format_growth(growth, before, after));
	fputs("\nbefore: ", d->out);
	print_figures(d, n, CALL_BEFORE);
}

/* The tooltip: the name, where it is, what it cost. */
static void print_title(struct drawing *d, const char *name, const struct call_name *about,
			const struct call_node *n)
{
	fputs("<title>", d->out);
	print_text(d, name);
	if (about != NULL && about->module != NULL) {
		fputs("\nin ", d->out);
		print_text(d, about->module);
	}
	fputs(d->flame->before != NULL ? "\nafter: " : "\n", d->out);
	print_figures(d, n, CALL_AFTER);
	if (d->flame->before != NULL)
		print_change(d, n);
	fputs("</title>", d->out);
}

/* As much of a name as there is room for, from its beginning. */
static void print_label(struct drawing *d, const char *name, double x, double width, int y)
{
	size_t letters = (size_t)((width - 2 * TEXT_MARGIN) * 10 / LETTER_TENTHS);
	char *safe, *cut;

	if (width < 3 * TEXT_MARGIN + LETTER_TENTHS * 3 / 10.0)
		return;
	safe = cut = format_utf8(name);
	d->failed |= safe == NULL;
	if (safe == NULL)
		return;
	fprintf(d->out, "<text x=\"%.4f%%\" dx=\"%d\" y=\"%d\">", percent(x, WIDTH), TEXT_MARGIN,
		y + ROW - 5);
	if (format_columns(safe) > letters) {
		for (size_t i = 0; i + 2 < letters; i++)
			do
				cut++;
			while (((unsigned char)*cut & 0xc0) == 0x80);
		*cut = '\0';
		print_text(d, safe);
		fputs("..", d->out);
	} else {
		print_text(d, safe);
	}
	fputs("</text>", d->out);
	free(safe);
}

static void print_node(struct drawing *d, uint32_t node, unsigned depth, double x)
{
	const struct call_tree *t = d->flame->tree;
	const struct call_node *n = &t->nodes[node];
	const struct call_name *about = node != 0 ? &t->about[n->name] : NULL;
	const char *name = node != 0 ? call_name(t, node) : "all";
	double width = (double)d->weight[node] / (double)d->weight[0] * WIDTH;
	int y = HEAD + (int)(d->depth - depth) * ROW;

	fprintf(d->out, "<g data-d=\"%u\" data-w=\"%" PRIu64 "\" data-s=\"%" PRIu64 "\"", depth,
		d->weight[node], n->self[CALL_AFTER]);
	if (d->flame->before != NULL)
		fprintf(d->out, " data-b=\"%" PRIu64 "\"", n->self[CALL_BEFORE]);
	fputc('>', d->out);
	print_title(d, name, about, n);
	fprintf(d->out, "<rect x=\"%.4f%%\" y=\"%d\" width=\"%.4f%%\" height=\"%d\" fill=\"",
		percent(x, WIDTH), y, percent(width, WIDTH), ROW - 1);
	if (d->flame->before != NULL)
		print_change_fill(d, n);
	else if (about != NULL)
		print_fill(d, hue_of(d, about), shade(name));
	else
		fputs("#d8d8d8", d->out);
	fputs("\"/>", d->out);
	print_label(d, name, x, width, y);
	fputs("</g>\n", d->out);
}

/* Children stand side by side from their parent's left edge. */
static bool print_nodes(struct drawing *d)
{
	double *next_x = calloc(d->depth + 2, sizeof(*next_x)); /* by depth */
	unsigned depth = 0;
	uint32_t node = 0;

	if (next_x == NULL)
		return false;
	print_node(d, 0, 0, 0);
	while ((node = next_drawn(d, node, &depth)) != 0) {
		if ((double)d->weight[node] < d->least)
			continue;
		print_node(d, node, depth, next_x[depth]);
		next_x[depth + 1] = next_x[depth];
		next_x[depth] += (double)d->weight[node] / (double)d->weight[0] * WIDTH;
	}
	free(next_x);
	return true;
}

/* Head and foot. */

static void print_traces(struct drawing *d, const struct report *r)
{
	const char *path = export_first_run(r)->trace_path;

	print_text(d, path != NULL ? path : "");
	if (r->tree != NULL && r->tree->image_count > 1)
		fprintf(d->out, " and %zu more", r->tree->image_count - 1);
}

static void print_heading(struct drawing *d)
{
	const struct flame *f = d->flame;
	char value[FORMAT_ROOM], other[FORMAT_ROOM];
	char *title = export_title(f->after);

	format_value(value, f->cost, f->tree->nodes[0].value[CALL_AFTER]);
	fputs("<text id=\"title\" x=\"50%\" y=\"18\">", d->out);
	print_text(d, title != NULL ? title : "");
	fprintf(d->out, ": %s, %s%s", f->cost->title, value,
		f->cost->unit == COST_ALLOCATIONS ? " allocations" : "");
	if (f->before != NULL) {
		format_value(other, f->cost, f->tree->nodes[0].value[CALL_BEFORE]);
		fprintf(d->out, " (before: %s)", other);
	}
	if (f->shape.threads)
		fputs("; by thread", d->out);
	if (f->shape.inverted)
		fputs("; callees first", d->out);
	fputs("</text>\n<text id=\"about\" x=\"50%\" y=\"34\">", d->out);
	print_traces(d, f->after);
	if (f->before != NULL) {
		fputs(" against ", d->out);
		print_traces(d, f->before);
		fputs("; widths: the larger of both", d->out);
	}
	fprintf(d->out, "; %zu stacks", f->tree->stack_count[CALL_AFTER]);
	if (d->left_out > 0) {
		format_value(value, f->cost, d->left_out_weight);
		fprintf(d->out, "; %zu frames narrower than %.4f%% are left out (%s)", d->left_out,
			percent(d->least, (double)d->weight[0]), value);
	}
	fputs("</text>\n", d->out);
	free(title);
}

static void print_legend_of(struct drawing *d, const char *what, const struct hue *h, int *x)
{
	fprintf(d->out, "<rect x=\"%d\" y=\"44\" width=\"10\" height=\"10\" fill=\"", *x);
	print_fill(d, h, 0.5);
	fprintf(d->out, "\"/><text x=\"%d\" y=\"53\">%s</text>", *x + 14, what);
	*x += 30 + (int)strlen(what) * LETTER_TENTHS / 10;
}

static void print_legend(struct drawing *d)
{
	static const struct hue more = {"more", 255, 90, 90}, less = {"less", 90, 90, 255};
	int x = 10;

	fputs("<g id=\"legend\">", d->out);
	if (d->flame->before != NULL) {
		print_legend_of(d, more.what, &more, &x);
		print_legend_of(d, less.what, &less, &x);
	}
	for (int i = 0; d->flame->before == NULL && i < HUE_COUNT; i++)
		print_legend_of(d, hues[i].what, &hues[i], &x);
	fputs("</g>\n", d->out);
}

static void print_all(struct drawing *d)
{
	int height = HEAD + (int)(d->depth + 1) * ROW + FOOT;

	fprintf(d->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"%d\" "
		"height=\"%d\" viewBox=\"0 0 %d %d\" data-row=\"%d\" data-head=\"%d\" "
		"data-foot=\"%d\" data-unit=\"%s\" data-noun=\"%s\" data-inverted=\"%d\" "
		"data-diff=\"%d\">\n<style>",
		WIDTH, height, WIDTH, height, ROW, HEAD, FOOT, cost_unit_name(d->flame->cost->unit),
		count_noun(d->flame->cost), d->flame->shape.inverted, d->flame->before != NULL);
	fputs(flame_style, d->out);
	fputs("</style>\n<rect id=\"back\" width=\"100%\" height=\"100%\"/>\n", d->out);
	print_heading(d);
	print_legend(d);
	fputs("<g id=\"frames\">\n", d->out);
	d->failed |= !print_nodes(d);
	fprintf(d->out, "</g>\n<text id=\"details\" x=\"10\" y=\"%d\"></text>\n", height - 10);
	fputs("<script><![CDATA[\n", d->out);
	fputs(flame_script, d->out);
	fputs("]]></script>\n</svg>\n", d->out);
}

int flame_write(FILE *out, const struct flame *flame, struct error *e)
{
	struct drawing d = {.out = out, .flame = flame};

	if (!weigh(&d))
		return export_out_of_memory(e);
	if (d.weight[0] == 0)
		d.weight[0] = 1; /* nothing cost anything: one empty frame */
	choose_least(&d);
	print_all(&d);
	free(d.weight);
	return d.failed ? export_out_of_memory(e) : 0;
}
