/* SPDX-License-Identifier: MIT */
/* Memcheck's XML and perfhook's JSON, added up alike; see memcheck.h. */
#include "tests/leaks/memcheck.h"

#include <ctype.h>

const char *const leak_class_names[LEAK_CLASSES] = {
	[LOST] = "lost",
	[INDIRECTLY_LOST] = "indirectly_lost",
	[POSSIBLY_LOST] = "possibly_lost",
	[STILL_REACHABLE] = "still_reachable",
};

static const char *const memcheck_kinds[LEAK_CLASSES] = {
	[LOST] = "Leak_DefinitelyLost",
	[INDIRECTLY_LOST] = "Leak_IndirectlyLost",
	[POSSIBLY_LOST] = "Leak_PossiblyLost",
	[STILL_REACHABLE] = "Leak_StillReachable",
};

struct leak_group *leak_group(struct leak_groups *g, const char *functions)
{
	for (size_t i = 0; i < g->count; i++)
		if (strcmp(g->list[i].functions, functions) == 0)
			return &g->list[i];
	if (g->count % 256 == 0) {
		struct leak_group *more = kept(calloc(g->count + 256, sizeof(*more)));

		if (g->count > 0)
			memcpy(more, g->list, g->count * sizeof(*more));
		g->list = more;
	}
	g->list[g->count].functions = functions;
	return &g->list[g->count++];
}

/* Of the C and C++ runtimes and of either tool: no part of a group's name. */
static bool is_runtime(const char *module)
{
	static const char *const names[] = {"libc.so",	    "libc-",	 "ld-linux",
					    "libstdc++.so", "libgcc_s",	 "libpthread",
					    "libperfhook",  "vgpreload", "linux-vdso"};
	const char *base = strrchr(module, '/');

	base = base != NULL ? base + 1 : module;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (strncmp(base, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Only the last part of a name, "push_back" of "void std::vector<int>::push_back(int&&)":
 * memcheck has no more of inlined functions. And without what a compiler appended
 * (f.part.0). */
static const char *short_name(const char *function)
{
	char *name = text("%s", function), *to = name;
	int depth = 0;

	for (const char *p = function; *p != '\0'; p++) {
		bool is_arrow = *p == '>' && p > function && p[-1] == '-';

		if (strchr("(<", *p) != NULL && !is_arrow)
			depth++;
		if (depth == 0 && (strchr(": ", *p) != NULL))
			to = name;
		else if (depth == 0)
			*to++ = *p;
		if (strchr(")>", *p) != NULL && !is_arrow && depth > 0)
			depth--;
	}
	*to = '\0';
	name[strcspn(name, ".")] = '\0';
	return name;
}

/* What calls main, and whatever is further out, counts no more. */
static bool is_below_main(const char *function)
{
	return strncmp(function, "__libc_start", 12) == 0 || strcmp(function, "_start") == 0 ||
	       strcmp(function, "(below main)") == 0;
}

/* "libffi.so" of libffi.so.8 and of what that links to. */
static const char *library_name(const char *module)
{
	const char *base = strrchr(module, '/');
	const char *so;

	base = base != NULL ? base + 1 : module;
	so = strstr(base, ".so");
	return so != NULL ? text("%.*s", (int)(so - base) + 3, base) : base;
}

static const char *add_function(const char *functions, const char *module, const char *function)
{
	const char *separator = *functions != '\0' ? " < " : "";

	/* What loads a library allocates for the loader. */
	if (strcmp(function, "dl_open_worker") == 0)
		return text("%s%s" LOADED, functions, separator);
	if (is_runtime(module))
		return functions;
	if (*function == '\0')
		return text("%s%s[%s]", functions, separator, library_name(module));
	return text("%s%s%s", functions, separator, short_name(function));
}

void forget_sizes(struct leak_groups *g)
{
	for (size_t i = 0; i < g->count; i++) {
		g->list[i].all.bytes = 0;
		for (int c = 0; c < LEAK_CLASSES; c++)
			g->list[i].of[c].bytes = 0;
	}
}

/* ---- memcheck -------------------------------------------------------------- */

/* The text of the first <name> between from and end, entities decoded; "": none. */
static char *element(const char *from, const char *end, const char *name)
{
	static const struct {
		const char *name;
		char is;
	} entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}};
	const char *open = text("<%s>", name);
	const char *p = strstr(from, open);
	char *out, *to;

	if (p == NULL || p >= end)
		return text("%s", "");
	p += strlen(open);
	to = out = text("%.*s", (int)strcspn(p, "<"), p);
	for (const char *in = out; *in != '\0'; in++) {
		*to = *in;
		for (size_t i = 0; *in == '&' && i < COUNT_OF(entities); i++) {
			if (strncmp(in, entities[i].name, strlen(entities[i].name)) == 0) {
				*to = entities[i].is;
				in += strlen(entities[i].name) - 1;
				break;
			}
		}
		to++;
	}
	*to = '\0';
	return out;
}

/* NULL: blocks of what stands in for the library. */
static const char *functions_of_error(const char *error, const char *end)
{
	const char *functions = "", *stack = strstr(error, "<stack>");
	const char *last = stack != NULL ? strstr(stack, "</stack>") : NULL;

	check(last != NULL && last < end, "an error without a stack:\n%.400s", error);
	for (const char *f = stack; (f = strstr(f, "<frame>")) != NULL && f < last; f++) {
		const char *over = strstr(f, "</frame>");
		const char *module = element(f, over, "obj"), *function = element(f, over, "fn");

		if (strstr(module, "/lib_stand_in.so") != NULL)
			return NULL;
		if (is_below_main(function))
			break;
		functions = add_function(functions, module, function);
	}
	return functions;
}

/* "1,234 (1,000 direct, 234 indirect) bytes in 5 blocks": the direct ones, which are the
 * blocks'; <leakedbytes> has both. */
static uint64_t own_bytes(const char *error, const char *end)
{
	const char *said = element(error, end, "text");
	const char *p = strstr(said, " direct") != NULL ? strchr(said, '(') : NULL;
	uint64_t n = 0;

	if (p == NULL)
		return strtoull(element(error, end, "leakedbytes"), NULL, 10);
	for (p++; isdigit((unsigned char)*p) || *p == ','; p++)
		n = *p == ',' ? n : n * 10 + (uint64_t)(*p - '0');
	return n;
}

static void add_error(struct leak_groups *to, const char *error, const char *end)
{
	const char *functions = functions_of_error(error, end);
	const char *kind = element(error, end, "kind");
	struct amount amount = {
		.bytes = own_bytes(error, end),
		.blocks = strtoull(element(error, end, "leakedblocks"), NULL, 10),
	};

	for (int c = 0; functions != NULL && c < LEAK_CLASSES; c++) {
		if (strcmp(kind, memcheck_kinds[c]) == 0) {
			struct leak_group *g = leak_group(to, functions);

			g->of[c].bytes += amount.bytes;
			g->of[c].blocks += amount.blocks;
			g->all.bytes += amount.bytes;
			g->all.blocks += amount.blocks;
			return;
		}
	}
}

void read_memcheck(struct leak_groups *to, const char *xml)
{
	const char *end;

	check(strstr(xml, "</valgrindoutput>") != NULL, "memcheck's XML ends early:\n%.400s", xml);
	for (const char *e = xml; (e = strstr(e, "<error>")) != NULL; e = end) {
		end = strstr(e, "</error>");
		check(end != NULL, "no end of an error:\n%.400s", e);
		add_error(to, e, end);
	}
}

static bool has_group(const struct leak_groups *g, const char *functions)
{
	for (size_t i = 0; i < g->count; i++)
		if (strcmp(g->list[i].functions, functions) == 0)
			return true;
	return false;
}

void add_child(struct leak_groups *to, const struct leak_groups *parent,
	       const struct leak_groups *child)
{
	for (size_t i = 0; i < child->count; i++) {
		const struct leak_group *from = &child->list[i];
		struct leak_group *g;

		if (has_group(parent, from->functions))
			continue;
		g = leak_group(to, from->functions);
		for (int c = 0; c < LEAK_CLASSES; c++) {
			g->of[c].bytes += from->of[c].bytes;
			g->of[c].blocks += from->of[c].blocks;
		}
		g->all.bytes += from->all.bytes;
		g->all.blocks += from->all.blocks;
	}
}

/* ---- perfhook -------------------------------------------------------------- */

static const char *text_of(const cJSON *json, const char *key)
{
	const cJSON *s = cJSON_GetObjectItemCaseSensitive(json, key);

	return cJSON_IsString(s) ? s->valuestring : "";
}

static const char *functions_of_entry(const cJSON *entry)
{
	const char *functions = "";
	const cJSON *frame;

	cJSON_ArrayForEach(frame, json_at(entry, "stack"))
	{
		const char *function = text_of(frame, "function");

		if (is_below_main(function))
			break;
		functions = add_function(functions, text_of(frame, "module"), function);
	}
	return functions;
}

void read_leaks(struct leak_groups *to, const cJSON *json)
{
	bool made = cJSON_IsTrue(json_at(json, "reachability.made"));
	const cJSON *entry;

	cJSON_ArrayForEach(entry, json_at(json, "leaks"))
	{
		struct leak_group *g = leak_group(to, functions_of_entry(entry));

		g->all.bytes += json_u64(entry, "bytes");
		g->all.blocks += json_u64(entry, "blocks");
		for (int c = 0; made && c < LEAK_CLASSES; c++) {
			const char *name = leak_class_names[c];

			g->of[c].bytes += json_u64(entry, text("reachability_bytes.%s", name));
			g->of[c].blocks += json_u64(entry, text("reachability_blocks.%s", name));
		}
	}
}
