/* SPDX-License-Identifier: MIT */
/*
 * The symbolizer against real compilers: programs that say themselves where
 * they are (tests/programs/symbols_*) are built in every way that matters,
 * stripped, moved and damaged.
 */
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "analyzer/address_ranges.h"
#include "analyzer/demangle.h"
#include "analyzer/symbols.h"

static char work[PATH_MAX];    /* temporary folder; each test runs in an own one below */
static char sources[PATH_MAX]; /* tests/programs */

/* ---- Help ---- */

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char command[PATH_MAX * 4];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return system(command);
}

static bool have(const char *tool)
{
	return run("command -v %s >/dev/null 2>&1", tool) == 0;
}

static void need(const char *tool)
{
	if (!have(tool)) {
		print_message("no %s here\n", tool);
		skip();
	}
}

/* "%s" stands for the folder with the sources. */
static void build(const char *format)
{
	char command[PATH_MAX * 2];

	/* cppcheck-suppress wrongPrintfScanfArgNum ; none of them needs all three */
	snprintf(command, sizeof(command), format, sources, sources, sources);
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* Good for the next fifteen calls. */
static const char *in_work(const char *name)
{
	static char path[16][PATH_MAX];
	static int turn;
	char folder[PATH_MAX / 2];

	turn = (turn + 1) % 16;
	assert_non_null(getcwd(folder, sizeof(folder)));
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static int new_folder(void **state)
{
	static int number;
	char name[PATH_MAX + 16];

	(void)state;
	snprintf(name, sizeof(name), "%s/%d", work, number++);
	return mkdir(name, 0700) != 0 || chdir(name) != 0;
}

static const char *build_id_of(const char *path)
{
	static char id[256];
	char command[PATH_MAX];
	FILE *f;

	snprintf(command, sizeof(command), "readelf -n %s | sed -n 's/.*Build ID: //p'", path);
	f = popen(command, "r");
	assert_non_null(f);
	id[0] = '\0';
	if (fgets(id, sizeof(id), f) != NULL)
		id[strcspn(id, "\n")] = '\0';
	pclose(f);
	return id;
}

/* A place in a program, and what has to be shown for it. */
struct truth {
	char what[64];
	uint64_t pc, base;
	int count;
	struct {
		char function[256], file[64];
		int line;
	} frames[8];
};

static void read_frame(FILE *f, struct truth *t, int i)
{
	char text[512];

	assert_non_null(fgets(text, sizeof(text), f));
	text[strcspn(text, "\n")] = '\0';
	/* C++ names have spaces, and stand last. */
	if (strncmp(text, "symbols_names.cc ", 17) == 0)
		assert_int_equal(3, sscanf(text, "%63s %d %255[^\n]", t->frames[i].file,
					   &t->frames[i].line, t->frames[i].function));
	else
		assert_int_equal(3, sscanf(text, "%255s %63s %d", t->frames[i].function,
					   t->frames[i].file, &t->frames[i].line));
}

static size_t run_program(const char *command, struct truth *truths, size_t room)
{
	FILE *f = popen(command, "r");
	size_t count = 0;

	assert_non_null(f);
	for (; count < room; count++) {
		struct truth *t = &truths[count];

		if (fscanf(f, "%63s %" SCNx64 " %" SCNx64 " %d ", t->what, &t->pc, &t->base,
			   &t->count) != 4)
			break;
		for (int i = 0; i < t->count; i++)
			read_frame(f, t, i);
	}
	assert_int_equal(0, pclose(f));
	assert_true(count >= 3);
	return count;
}

static void check_lines(struct symbols *s, const char *path, const char *id, const struct truth *t)
{
	struct frame frames[SYMBOLS_FRAMES_MAX];
	size_t count = symbols_lookup(s, path, id, t->base, t->pc, frames, SYMBOLS_FRAMES_MAX);

	assert_int_equal(t->count, count);
	for (int i = 0; i < t->count; i++) {
		assert_non_null(frames[i].function);
		assert_string_equal(t->frames[i].function, frames[i].function);
		assert_non_null(frames[i].file);
		assert_string_equal(t->frames[i].file, strrchr(frames[i].file, '/') + 1);
		assert_int_equal(sources[0], frames[i].file[0]); /* absolute */
		assert_int_equal(t->frames[i].line, frames[i].line);
		assert_string_equal(path, frames[i].module);
		assert_int_equal(t->pc, frames[i].address);
		assert_int_equal(t->pc - t->base, frames[i].module_offset);
		assert_int_equal(i + 1 < t->count, frames[i].inlined);
		if (frames[i].inlined)
			assert_int_equal(0, frames[i].offset);
	}
}

/* Everything about a program that runs by `command` and has its code in `path`. */
static void check_program(const char *command, const char *path, const char *id,
			  const struct symbols_options *options)
{
	struct symbols *s = symbols_open(options);
	struct truth truths[8];
	size_t count = run_program(command, truths, 8);

	assert_non_null(s);
	for (int twice = 0; twice < 2; twice++)
		for (size_t i = 0; i < count; i++)
			check_lines(s, path, id, &truths[i]);
	assert_null(symbols_problem(s, path, id));
	assert_true(symbols_has_lines(s, path, id));
	symbols_close(s);
}

static const char *function_at(struct symbols *s, const char *path, const char *id,
			       const struct truth *t)
{
	struct frame frame;

	assert_int_equal(1, symbols_lookup(s, path, id, t->base, t->pc, &frame, 1));
	return frame.function;
}

/* ---- Compilers and formats ---- */

static void ways_to_compile(void **state)
{
	static const char *const ways[] = {
		"gcc -O2 -g",
		"gcc -O0 -g",
		"gcc -O3 -g3",
		"gcc -O2 -g -gdwarf-2",
		"gcc -O2 -g -gdwarf-3",
		"gcc -O2 -g -gdwarf-4",
		"gcc -O2 -g -gdwarf-5 -gno-as-loc-support",
		"gcc -O2 -g -gz",
		"gcc -O2 -g -gz=zlib-gnu",
		"gcc -O2 -g -fno-pie -no-pie",
		"gcc -O2 -g -ffunction-sections -Wl,--gc-sections",
		"gcc -O2 -g -fdebug-types-section",
		"gcc -O2 -g -flto",
		"gcc -O2 -g -gsplit-dwarf",
		"gcc -O2 -g -gsplit-dwarf -gdwarf-4",
		"clang -O2 -g",
		"clang -O2 -g -gdwarf-4",
		"clang -O2 -g -gdwarf-5 -gz",
		"clang -O2 -g -fno-pie -no-pie -Wno-unused-command-line-argument",
		"clang -O2 -gsplit-dwarf -g",
		"clang -O1 -gline-tables-only",
	};
	char command[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i][0] == 'c' && !have("clang"))
			continue;
		print_message("%s\n", ways[i]);
		/* The object stays: split DWARF is beside it. */
		snprintf(command, sizeof(command),
			 "%s -std=gnu17 -D_GNU_SOURCE -c -o p.o %%s/symbols_inline.c && "
			 "%.*s -o p p.o %s",
			 ways[i], (int)strcspn(ways[i], " "), ways[i], strchr(ways[i], ' '));
		build(command);
		check_program("./p", in_work("p"), build_id_of("p"), NULL);
	}
}

/* The far part has to be one: else the test would not test it. */
static void cold_part(void **state)
{
	(void)state;
	build("gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -o p %s/symbols_inline.c");
	assert_int_equal(0, run("nm p | grep -q two_parts.cold"));
	check_program("./p", in_work("p"), "", NULL);
}

static void shared_library(void **state)
{
	(void)state;
	build("gcc -O2 -g -fPIC -shared -DSYMBOLS_LIBRARY -std=gnu17 -D_GNU_SOURCE "
	      "-o libp.so %s/symbols_inline.c && "
	      "echo 'int symbols_run(int); int main(int n, char **v) "
	      "{ return v == 0 || symbols_run(n); }' > main.c && "
	      "gcc -o p main.c -L. -lp -Wl,-rpath,$PWD");
	check_program("./p", in_work("libp.so"), build_id_of("libp.so"), NULL);
}

static void cplusplus(void **state)
{
	static const char *const ways[] = {"g++ -O2 -g", "g++ -O0 -g -gdwarf-4", "clang++ -O2 -g",
					   "clang++ -O1 -gline-tables-only"};
	char command[PATH_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i][0] == 'c' && !have("clang++"))
			continue;
		snprintf(command, sizeof(command), "%s -o p %%s/symbols_names.cc", ways[i]);
		build(command);
		check_program("./p", in_work("p"), build_id_of("p"), NULL);
	}
}

static void rust(void **state)
{
	static const char *const manglings[] = {"", "-C symbol-mangling-version=v0"};
	struct frame frame;
	unsigned long at = 0;

	(void)state;
	need("rustc");
	build("printf 'mod deep { #[inline(never)] pub fn grow(x: usize) -> usize "
	      "{ println!(\"{}\", x); x + 1 } }\\n"
	      "fn main() { deep::grow(std::env::args().count()); }\\n' > r.rs");
	for (size_t i = 0; i < 2; i++) {
		struct symbols *s = symbols_open(NULL);
		FILE *f;

		assert_int_equal(0, run("rustc -g %s -o r r.rs", manglings[i]));
		f = popen("nm r | grep deep.*grow | cut -d' ' -f1", "r");
		assert_int_equal(1, fscanf(f, "%lx", &at));
		pclose(f);
		assert_int_equal(1, symbols_lookup(s, in_work("r"), "", 0, at, &frame, 1));
		assert_string_equal("r::deep::grow", frame.function);
		assert_string_equal("r.rs", strrchr(frame.file, '/') + 1);
		assert_int_equal(1, frame.line);
		symbols_close(s);
	}
}

/* ---- Debug information elsewhere ---- */

#define INLINE_P "gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -o p %s/symbols_inline.c && "
#define SPLIT                                                                                      \
	"objcopy --only-keep-debug p p.debug && "                                                  \
	"strip p && "

static void by_build_id(void **state)
{
	const char *dir = in_work("debug");
	struct symbols_options options = {.debug_paths = &dir, .debug_path_count = 1};
	char id[256];

	(void)state;
	build(INLINE_P SPLIT "true");
	strcpy(id, build_id_of("p"));
	assert_int_equal(0, run("mkdir -p debug/.build-id/%.2s && mv p.debug "
				"debug/.build-id/%.2s/%s.debug",
				id, id, id + 2));
	check_program("./p", in_work("p"), id, &options);
	/* The trace need not have it, if the file has. */
	check_program("./p", in_work("p"), "", &options);
}

/* The module need not even be on this machine. */
static void without_the_module(void **state)
{
	const char *dir = in_work("debug");
	struct symbols_options options = {.debug_paths = &dir, .debug_path_count = 1};
	struct symbols *s;
	struct truth truths[8];
	char id[256];
	size_t count;

	(void)state;
	build(INLINE_P SPLIT "true");
	strcpy(id, build_id_of("p"));
	assert_int_equal(0, run("mkdir -p debug/.build-id/%.2s && mv p.debug "
				"debug/.build-id/%.2s/%s.debug",
				id, id, id + 2));
	count = run_program("./p", truths, 8);
	assert_int_equal(0, unlink("p"));
	s = symbols_open(&options);
	for (size_t i = 0; i < count; i++)
		check_lines(s, in_work("p"), id, &truths[i]);
	assert_null(symbols_problem(s, in_work("p"), id));
	symbols_close(s);
}

static void by_debuglink(void **state)
{
	static const char *const ids[] = {"sha1", "none"};
	const char *dir = in_work("debug");
	struct symbols_options options = {.debug_paths = &dir, .debug_path_count = 1};
	char command[PATH_MAX];

	(void)state;
	for (int i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -Wl,--build-id=%s -o p "
			 "%%s/symbols_inline.c && " SPLIT "objcopy --add-gnu-debuglink=p.debug p",
			 ids[i]);
		build(command);
		check_program("./p", in_work("p"), build_id_of("p"), NULL);
		assert_int_equal(0, run("mkdir -p .debug && mv p.debug .debug"));
		check_program("./p", in_work("p"), build_id_of("p"), NULL);
		assert_int_equal(0, run("mkdir -p debug/$PWD && mv .debug/p.debug debug/$PWD"));
		check_program("./p", in_work("p"), build_id_of("p"), &options);
		assert_int_equal(0, run("mv debug/$PWD/p.debug debug"));
		check_program("./p", in_work("p"), build_id_of("p"), &options);
	}
}

/* Without a build-id the checksum decides, with one the build-id. */
static void wrong_debuglink(void **state)
{
	static const char *const ids[] = {"sha1", "none"};
	char command[PATH_MAX];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct symbols *s = symbols_open(NULL);
		struct truth truths[8];

		snprintf(command, sizeof(command),
			 "gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -Wl,--build-id=%s -o p "
			 "%%s/symbols_inline.c && " SPLIT
			 "objcopy --add-gnu-debuglink=p.debug p && "
			 "gcc -O1 -g -std=gnu17 -D_GNU_SOURCE -Wl,--build-id=%s -o q "
			 "%%s/symbols_inline.c && objcopy --only-keep-debug q p.debug",
			 ids[i], ids[i]);
		build(command);
		run_program("./p", truths, 8);
		assert_null(function_at(s, in_work("p"), "", &truths[1]));
		assert_string_equal("stripped: no symbols", symbols_problem(s, in_work("p"), ""));
		symbols_close(s);
	}
}

/* Debian's debug packages have shared parts moved out by dwz. */
static void shared_debug_file(void **state)
{
	(void)state;
	need("dwz");
	build("gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -o p %s/symbols_inline.c && "
	      "gcc -O2 -g -std=gnu17 -D_GNU_SOURCE -DOTHER -o q %s/symbols_inline.c && "
	      "mkdir shared && dwz -m shared/common.debug -M ../shared/common.debug p q");
	assert_int_equal(0, run("readelf -SW p | grep -q gnu_debugaltlink"));
	assert_int_equal(0, run("mkdir d && mv p q d"));
	check_program("d/p", in_work("d/p"), build_id_of("d/p"), NULL);
	/* Without it there are at least the lines. */
	assert_int_equal(0, unlink("shared/common.debug"));
	{
		struct symbols *s = symbols_open(NULL);
		struct truth truths[8];
		struct frame frame;

		run_program("d/p", truths, 8);
		assert_true(symbols_lookup(s, in_work("d/p"), "", truths[1].base, truths[1].pc,
					   &frame, 1) == 1);
		assert_non_null(frame.file);
		assert_int_equal(truths[1].frames[0].line, frame.line);
		symbols_close(s);
	}
}

static void sysroot(void **state)
{
	const char *roots[] = {in_work("empty"), in_work("root")};
	struct symbols_options options = {.sysroots = roots, .sysroot_count = 2};
	struct symbols *s = symbols_open(&options);
	struct truth truths[8];
	char id[256];
	size_t count;

	(void)state;
	build(INLINE_P SPLIT "true");
	strcpy(id, build_id_of("p"));
	assert_int_equal(0,
			 run("d=root/usr/lib/debug/.build-id/%.2s && mkdir -p $d root/usr/bin && "
			     "mv p.debug $d/%s.debug",
			     id, id + 2));
	count = run_program("./p", truths, 8);
	assert_int_equal(0, rename("p", "root/usr/bin/symbols-p"));
	for (size_t i = 0; i < count; i++)
		check_lines(s, "/usr/bin/symbols-p", id, &truths[i]);
	assert_null(symbols_problem(s, "/usr/bin/symbols-p", id));
	symbols_close(s);
}

static void other_build_id(void **state)
{
	static const char other[] = "00112233445566778899aabbccddeeff00112233";
	struct symbols *s = symbols_open(NULL);
	struct truth truths[8];

	(void)state;
	build(INLINE_P "true");
	run_program("./p", truths, 8);
	assert_null(function_at(s, in_work("p"), other, &truths[1]));
	assert_string_equal("build-id differs from the recorded one",
			    symbols_problem(s, in_work("p"), other));
	/* Another module is another module, at the same path and base too. */
	assert_string_equal("plain", function_at(s, in_work("p"), "", &truths[1]));
	assert_null(symbols_problem(s, in_work("p"), ""));
	symbols_close(s);
}

static void right_file_in_the_second_place(void **state)
{
	const char *roots[] = {in_work("wrong"), in_work("right")};
	struct symbols_options options = {.sysroots = roots, .sysroot_count = 2};
	struct symbols *s = symbols_open(&options);
	struct truth truths[8];

	(void)state;
	build(INLINE_P "mkdir wrong right && "
		       "gcc -O1 -g -std=gnu17 -D_GNU_SOURCE -o wrong/p %s/symbols_inline.c && "
		       "cp p right/p");
	run_program("./p", truths, 8);
	check_lines(s, "/p", build_id_of("p"), &truths[0]);
	symbols_close(s);
}

/* One library gone, another come to the same address. */
static void same_base_other_library(void **state)
{
	struct symbols *s = symbols_open(NULL);
	struct frame frame;

	(void)state;
	build("echo 'int first(void) { return 1; }' > a.c && gcc -g -shared -o a.so a.c && "
	      "echo 'int other(void) { return 2; }' > b.c && gcc -g -shared -o b.so b.c");
	for (uint64_t at = 0x7f0000001000; at < 0x7f0000001200; at++) {
		symbols_lookup(s, in_work("a.so"), "", 0x7f0000000000, at, &frame, 1);
		if (frame.line != 0)
			assert_string_equal("first", frame.function);
		symbols_lookup(s, in_work("b.so"), "", 0x7f0000000000, at, &frame, 1);
		if (frame.line != 0) {
			assert_string_equal("other", frame.function);
			assert_string_equal("b.c", strrchr(frame.file, '/') + 1);
			symbols_close(s);
			return;
		}
	}
	fail_msg("function not found");
}

/* ---- Without debug information ---- */

static void symbol_table_only(void **state)
{
	struct symbols *s = symbols_open(NULL);
	struct truth truths[8];
	struct frame frames[4];

	(void)state;
	build("gcc -O2 -std=gnu17 -D_GNU_SOURCE -o p %s/symbols_inline.c");
	run_program("./p", truths, 8);
	assert_int_equal(
		1, symbols_lookup(s, in_work("p"), "", truths[0].base, truths[0].pc, frames, 4));
	assert_string_equal("nested", frames[0].function);
	assert_true(frames[0].offset > 0 && frames[0].offset < 200);
	assert_null(frames[0].file);
	assert_int_equal(0, frames[0].line);
	assert_false(frames[0].inlined);
	assert_string_equal("two_parts.cold", function_at(s, in_work("p"), "", &truths[2]));
	assert_null(symbols_problem(s, in_work("p"), ""));
	assert_false(symbols_has_lines(s, in_work("p"), ""));
	symbols_close(s);
}

static void dynamic_symbols_only(void **state)
{
	struct symbols *s = symbols_open(NULL);
	struct truth truths[8];
	struct frame frame;

	(void)state;
	build("gcc -O2 -rdynamic -fno-reorder-functions -std=gnu17 -D_GNU_SOURCE -o p "
	      "%s/symbols_inline.c && strip p");
	run_program("./p", truths, 8);
	/* It is static, and no exported symbol covers it. */
	symbols_lookup(s, in_work("p"), "", truths[1].base, truths[1].pc, &frame, 1);
	assert_null(frame.function);
	assert_int_equal(truths[1].pc - truths[1].base, frame.module_offset);
	assert_string_equal(in_work("p"), frame.module);
	assert_null(symbols_problem(s, in_work("p"), ""));
	symbols_close(s);

	s = symbols_open(NULL);
	build("g++ -O2 -rdynamic -o p %s/symbols_names.cc && strip p");
	run_program("./p", truths, 8);
	assert_string_equal(truths[0].frames[0].function,
			    function_at(s, in_work("p"), "", &truths[0]));
	symbols_close(s);
}

static void nothing_left(void **state)
{
	struct symbols *s = symbols_open(NULL);
	struct truth truths[8];

	(void)state;
	build("gcc -O2 -std=gnu17 -D_GNU_SOURCE -o p %s/symbols_inline.c && strip p");
	run_program("./p", truths, 8);
	assert_null(function_at(s, in_work("p"), "", &truths[0]));
	assert_string_equal("stripped: no symbols", symbols_problem(s, in_work("p"), ""));
	symbols_close(s);
}

/* Aliases, sizes, labels: by hand, in assembly. */
static void choice_of_symbols(void **state)
{
	static const struct {
		uint64_t at;
		const char *function;
		uint64_t offset;
	} rows[] = {
		{0x0, "shown", 0},    {0xf, "shown", 15},   {0x10, NULL, 0},
		{0x1f, NULL, 0},      {0x20, "unsized", 0}, {0x2f, "unsized", 15},
		{0x30, "around", 0},  {0x34, "within", 0},  {0x38, "around", 8},
		{0x3b, "around", 11}, {0x40, "last", 0},    {0x4f, "last", 15},
		{0x50, NULL, 0},
	};
	struct symbols *s = symbols_open(NULL);
	unsigned long text = 0;
	struct frame frame;
	FILE *f;

	(void)state;
	build("cat > a.s <<'END'\n"
	      ".text\n"
	      "aaa_local: shown: __shown:\n"
	      ".globl shown\n.globl __shown\n"
	      ".type aaa_local,@function\n.type shown,@function\n.type __shown,@function\n"
	      ".size aaa_local,16\n.size shown,16\n.size __shown,16\n"
	      ".skip 32\n"
	      "unsized: .globl unsized\n.type unsized,@function\n.skip 16\n"
	      "around: .globl around\n.type around,@function\n.size around,16\n.skip 4\n"
	      "within: .type within,@function\n.size within,4\n.skip 4\n"
	      "label: .skip 8\n"
	      "last: .globl last\n.type last,@function\n.skip 16\n"
	      "END\n"
	      "gcc -nostdlib -shared -o a.so a.s");
	f = popen("nm a.so | sed -n 's/ T shown//p'", "r");
	assert_int_equal(1, fscanf(f, "%lx", &text));
	pclose(f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		symbols_lookup(s, in_work("a.so"), "", 0, text + rows[i].at, &frame, 1);
		if (rows[i].function == NULL) {
			assert_null(frame.function);
			continue;
		}
		assert_non_null(frame.function);
		assert_string_equal(rows[i].function, frame.function);
		assert_int_equal(rows[i].offset, frame.offset);
	}
	symbols_close(s);
}

/* ---- What is no file, or no good one ---- */

static void no_file(void **state)
{
	static const struct {
		const char *path, *problem;
	} rows[] = {
		{"linux-vdso.so.1", "no file: kernel's own"},
		{"[vdso]", "no file: kernel's own"},
		{"/no/such/file", "file not found"},
		{"/etc/passwd/below", "file not found"},
		{"/dev/zero", "not a regular file"},
		{"/etc/passwd", "not an ELF program or library"},
		{"/", "not a regular file"},
		{NULL, "generated code: in no file"},
		{"", "generated code: in no file"},
	};
	struct symbols *s = symbols_open(NULL);
	struct frame frame;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		memset(&frame, 0xff, sizeof(frame));
		assert_int_equal(1, symbols_lookup(s, rows[i].path, "", 0x1000, 0x1234, &frame, 1));
		assert_null(frame.function);
		assert_null(frame.file);
		assert_int_equal(0, frame.line);
		assert_int_equal(0x1234, frame.address);
		assert_false(frame.inlined);
		if (rows[i].path != NULL && rows[i].path[0] != '\0') {
			assert_string_equal(rows[i].path, frame.module);
			assert_int_equal(0x234, frame.module_offset);
		} else {
			assert_null(frame.module);
		}
		assert_string_equal(rows[i].problem, symbols_problem(s, rows[i].path, ""));
	}
	/* Below its own base. */
	assert_int_equal(1, symbols_lookup(s, "/no/such/file", "", 0x1000, 1, &frame, 1));
	assert_null(frame.function);
	symbols_close(s);
}

static void pipe_is_not_opened(void **state)
{
	const char *dir = in_work("debug");
	struct symbols_options options = {.debug_paths = &dir, .debug_path_count = 1};
	struct symbols *s = symbols_open(&options);
	struct truth truths[8];

	(void)state;
	build(INLINE_P SPLIT "objcopy --add-gnu-debuglink=p.debug p && "
			     "rm p.debug && mkfifo p.debug fifo");
	run_program("./p", truths, 8);
	assert_null(function_at(s, in_work("p"), "", &truths[0]));
	assert_null(function_at(s, in_work("fifo"), "", &truths[0]));
	assert_string_equal("not a regular file", symbols_problem(s, in_work("fifo"), ""));
	/* A build-id that would leave the folder. */
	assert_null(function_at(s, in_work("none"), "../../../../etc/passwd", &truths[0]));
	symbols_close(s);
}

/* The names may be gone, and nothing asked for after all. */
static void in_the_background(void **state)
{
	struct symbols_place places[9];
	struct truth truths[8];
	size_t count;

	(void)state;
	build(INLINE_P "true");
	count = run_program("./p", truths, 8);
	for (int asks = 0; asks < 2; asks++) {
		struct symbols *s = symbols_open(NULL);
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s", in_work("p"));
		for (size_t i = 0; i < count; i++)
			places[i] = (struct symbols_place){path, "", truths[i].base, truths[i].pc};
		places[count] = (struct symbols_place){"/no/such/file", "", 0x1000, 0x1234};
		symbols_expect(s, places, count + 1);
		memset(path, 'x', sizeof(path));
		memset(places, 0, sizeof(places));
		for (size_t i = 0; i < count && asks; i++)
			check_lines(s, in_work("p"), "", &truths[i]);
		if (asks) {
			assert_true(symbols_has_lines(s, in_work("p"), ""));
			assert_string_equal("file not found",
					    symbols_problem(s, "/no/such/file", ""));
		}
		symbols_close(s);
	}
}

/* A pipe where split DWARF should be would block for ever. */
static void pipe_for_split_dwarf(void **state)
{
	struct symbols *s = symbols_open(NULL);
	struct truth truths[8];
	struct frame frame;

	(void)state;
	build("gcc -O2 -g -gsplit-dwarf -std=gnu17 -D_GNU_SOURCE -c -o p.o %s/symbols_inline.c && "
	      "gcc -o p p.o && rm p.dwo && mkfifo p.dwo");
	run_program("./p", truths, 8);
	symbols_lookup(s, in_work("p"), "", truths[1].base, truths[1].pc, &frame, 1);
	assert_string_equal("plain", frame.function); /* by the symbol table */
	assert_int_equal(truths[1].frames[0].line, frame.line);
	symbols_close(s);
}

static unsigned char *read_whole(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	unsigned char *bytes;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	*size = (size_t)ftell(f);
	rewind(f);
	bytes = malloc(*size);
	assert_int_equal(*size, fread(bytes, 1, *size, f));
	fclose(f);
	return bytes;
}

static void look_everywhere(const char *path, const struct truth *t)
{
	struct frame frames[SYMBOLS_FRAMES_MAX];
	struct symbols *s = symbols_open(NULL);

	for (uint64_t at = 0x1000; at < 0x1600; at += 7) {
		size_t count = symbols_lookup(s, path, "", t->base, t->base + at, frames,
					      SYMBOLS_FRAMES_MAX);

		assert_true(count >= 1 && count <= SYMBOLS_FRAMES_MAX);
		for (size_t i = 0; i < count; i++)
			if (frames[i].function != NULL)
				assert_true(strlen(frames[i].function) < 1 << 20);
	}
	symbols_close(s);
}

/* Not to crash and not to hang is the test; what comes out is anybody's guess. */
static void damaged_files(void **state)
{
	struct truth truths[8];
	unsigned char *good, *bad;
	size_t size;

	(void)state;
	build(INLINE_P "true");
	run_program("./p", truths, 8);
	good = read_whole("p", &size);
	bad = malloc(size);
	srand(4711);
	alarm(300);
	for (int round = 0; round < 300; round++) {
		FILE *f = fopen("bad", "wb");
		size_t length = round % 5 == 4 ? (size_t)rand() % size : size;

		memcpy(bad, good, size);
		for (int i = 0; i < 1 + round % 40; i++) {
			/* The first quarter of the rounds spares the headers. */
			size_t from = round < 75 ? 0x2000 : 0;

			bad[from + (size_t)rand() % (size - from)] = (unsigned char)rand();
		}
		assert_int_equal(length, fwrite(bad, 1, length, f));
		fclose(f);
		look_everywhere(in_work("bad"), &truths[0]);
	}
	alarm(0);
	free(bad);
	free(good);
}

/* ---- Long chains ---- */

static void deep_inlining(void **state)
{
	struct frame frames[SYMBOLS_FRAMES_MAX + 10];
	struct symbols *s = symbols_open(NULL);
	unsigned long pc = 0, base = 0;
	FILE *f;

	(void)state;
	f = fopen("deep.c", "w");
	fprintf(f, "#include <stdio.h>\nstatic unsigned long at;\n"
		   "__attribute__((noinline)) int mark(int x) "
		   "{ at = (unsigned long)__builtin_return_address(0) - 1; return x + 1; }\n"
		   "static inline __attribute__((always_inline)) int f0(int x) "
		   "{ return mark(x) + 1; }\n");
	for (int i = 1; i < 100; i++)
		fprintf(f,
			"static inline __attribute__((always_inline)) int f%d(int x) "
			"{ return f%d(x) ^ %d; }\n",
			i, i - 1, i);
	fprintf(f, "__attribute__((noinline)) int whole(int x) { return f99(x) * 3; }\n"
		   "int main(int c, char **v) "
		   "{ (void)v; whole(c); printf(\"%%lx %%lx\\n\", at, 0ul); return 0; }\n");
	fclose(f);
	build("gcc -O2 -g -fno-pie -no-pie -o p deep.c");
	f = popen("./p", "r");
	assert_int_equal(2, fscanf(f, "%lx %lx", &pc, &base));
	pclose(f);
	assert_int_equal(SYMBOLS_FRAMES_MAX, symbols_lookup(s, in_work("p"), "", base, pc, frames,
							    SYMBOLS_FRAMES_MAX + 10));
	assert_string_equal("f0", frames[0].function);
	assert_string_equal("f62", frames[62].function);
	assert_int_equal(4 + 62, frames[62].line); /* f62 is defined in this line */
	assert_string_equal("whole", frames[SYMBOLS_FRAMES_MAX - 1].function);
	assert_false(frames[SYMBOLS_FRAMES_MAX - 1].inlined);
	/* With less room the function itself is still the last. */
	assert_int_equal(3, symbols_lookup(s, in_work("p"), "", base, pc, frames, 3));
	assert_string_equal("f0", frames[0].function);
	assert_string_equal("f1", frames[1].function);
	assert_string_equal("whole", frames[2].function);
	assert_int_equal(0, symbols_lookup(s, in_work("p"), "", base, pc, frames, 0));
	symbols_close(s);
}

/* ---- Parts ---- */

static void demangling(void **state)
{
	static const char *const rows[][2] = {
		{"_ZN2ns1fEi", "ns::f(int)"},
		{"_ZNSt6vectorIiSaIiEE9push_backERKi",
		 "std::vector<int, std::allocator<int> >::push_back(int const&)"},
		{"_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"},
		{"_RNvC6_123foo3bar", "123foo::bar"},
		{"_Z3foov.cold", "foo() [clone .cold]"},
		{"malloc", "malloc"},
		{"_start", "_start"},
		{"_Zero", "_Zero"},
		{"_Random", "_Random"},
		{"_Z", "_Z"},
		{"_", "_"},
		{"", ""},
		{"i", "i"}, /* would be "int" as a type */
	};
	struct arena *arena = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(rows[i][1], demangle(arena, rows[i][0]));
	arena_free(arena);
}

/* Each template argument doubles the one before: 2^40 characters, if let. */
static void demangling_bombs(void **state)
{
	struct arena *arena = arena_new();
	char name[100 * 1000];
	size_t length;

	(void)state;
	length = (size_t)sprintf(name, "_Z1fI1AIiiE");
	for (int i = 0; i < 40; i++)
		length += (size_t)sprintf(name + length, "1BIS%c_S%c_E",
					  "0123456789ABCDEFGHIJ"[i % 20],
					  "0123456789ABCDEFGHIJ"[i % 20]);
	strcpy(name + length, "Evv");
	assert_true(strlen(demangle(arena, name)) < 32 * 1024);

	for (size_t n = 16; n < sizeof(name); n *= 2) {
		memset(name, 'P', n);
		memcpy(name, "_Z1f", 4);
		strcpy(name + n - 1, "i");
		assert_true(strlen(demangle(arena, name)) < sizeof(name));
		memset(name + 4, 'N', n - 4);
		assert_true(strlen(demangle(arena, name)) < sizeof(name));
		memset(name, 'I', n);
		memcpy(name, "_RNvC", 5);
		assert_true(strlen(demangle(arena, name)) < sizeof(name));
	}
	arena_free(arena);
}

/* A long name that is in real use is still made readable. */
static void demangling_long(void **state)
{
	struct arena *arena = arena_new();
	char name[4096] = "_ZN", *end = name + 3;
	const char *shown;

	(void)state;
	for (int i = 0; i < 150; i++)
		end += sprintf(end, "9namespace");
	strcpy(end, "1fEv");
	shown = demangle(arena, name);
	assert_int_equal(0, strncmp(shown, "namespace::namespace::", 22));
	assert_string_equal("::f()", shown + strlen(shown) - 5);
	arena_free(arena);
}

static void ranges(void **state)
{
	struct address_ranges r = {0};

	(void)state;
	assert_true(address_ranges_flatten(&r));
	assert_null(address_ranges_find(&r, 0));
	address_ranges_add(&r, 100, 200, 0, 1);
	address_ranges_add(&r, 120, 140, 1, 2);
	address_ranges_add(&r, 130, 140, 2, 3);
	address_ranges_add(&r, 150, 250, 1, 4); /* not nested */
	address_ranges_add(&r, 300, 310, 0, 6);
	address_ranges_add(&r, 300, 310, 0, 5); /* same: the lower value */
	address_ranges_add(&r, 400, 400, 0, 7); /* empty */
	address_ranges_add(&r, UINT64_MAX - 1, UINT64_MAX, 0, 8);
	assert_true(address_ranges_flatten(&r));
	assert_null(address_ranges_find(&r, 99));
	assert_int_equal(1, address_ranges_find(&r, 100)->value);
	assert_int_equal(2, address_ranges_find(&r, 129)->value);
	assert_int_equal(3, address_ranges_find(&r, 139)->value);
	assert_int_equal(1, address_ranges_find(&r, 140)->value);
	assert_int_equal(4, address_ranges_find(&r, 150)->value);
	assert_int_equal(4, address_ranges_find(&r, 249)->value);
	assert_null(address_ranges_find(&r, 250));
	assert_int_equal(5, address_ranges_find(&r, 309)->value);
	assert_null(address_ranges_find(&r, 400));
	assert_int_equal(8, address_ranges_find(&r, UINT64_MAX - 1)->value);
	assert_null(address_ranges_find(&r, UINT64_MAX));
	address_ranges_free(&r);
}

/* Against the simplest way to find the same. */
static void ranges_at_random(void **state)
{
	(void)state;
	srand(17);
	for (int round = 0; round < 200; round++) {
		struct address_range all[12];
		struct address_ranges r = {0};
		uint32_t count = (uint32_t)rand() % 12;

		for (uint32_t i = 0; i < count; i++) {
			uint64_t start = (uint64_t)(rand() % 30);

			all[i] = (struct address_range){start, start + (uint64_t)(rand() % 9),
							(uint32_t)rand() % 3, i};
			address_ranges_add(&r, all[i].start, all[i].end, all[i].depth, i);
		}
		assert_true(address_ranges_flatten(&r));
		for (uint64_t at = 0; at < 40; at++) {
			const struct address_range *found = address_ranges_find(&r, at),
						   *best = NULL;

			for (uint32_t i = 0; i < count; i++) {
				const struct address_range *a = &all[i];

				if (at < a->start || at >= a->end)
					continue;
				if (best == NULL || a->start > best->start ||
				    (a->start == best->start &&
				     (a->depth > best->depth ||
				      (a->depth == best->depth && a->end < best->end))))
					best = a;
			}
			assert_int_equal(best == NULL, found == NULL);
			if (best != NULL)
				assert_int_equal(best->value, found->value);
		}
		address_ranges_free(&r);
	}
}

/* ---- The group ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static int group_setup(void **state)
{
	char source[PATH_MAX] = __FILE__;
	const char *tmp = getenv("TMPDIR");
	char *slash = strrchr(source, '/');
	char programs[PATH_MAX + 16];

	(void)state;
	if (slash == NULL)
		return -1;
	*slash = '\0';
	snprintf(programs, sizeof(programs), "%s/../programs", source);
	snprintf(work, sizeof(work), "%s/symbols-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return realpath(programs, sources) == NULL || mkdtemp(work) == NULL;
}

static int group_teardown(void **state)
{
	(void)state;
	return chdir("/") != 0 || nftw(work, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0;
}

#define TEST(f) cmocka_unit_test_setup(f, new_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ways_to_compile),
		TEST(cold_part),
		TEST(shared_library),
		TEST(cplusplus),
		TEST(rust),
		TEST(by_build_id),
		TEST(without_the_module),
		TEST(by_debuglink),
		TEST(wrong_debuglink),
		TEST(shared_debug_file),
		TEST(sysroot),
		TEST(other_build_id),
		TEST(right_file_in_the_second_place),
		TEST(same_base_other_library),
		TEST(symbol_table_only),
		TEST(dynamic_symbols_only),
		TEST(nothing_left),
		TEST(choice_of_symbols),
		TEST(no_file),
		TEST(pipe_is_not_opened),
		TEST(in_the_background),
		TEST(pipe_for_split_dwarf),
		TEST(damaged_files),
		TEST(deep_inlining),
		TEST(demangling),
		TEST(demangling_bombs),
		TEST(demangling_long),
		TEST(ranges),
		TEST(ranges_at_random),
	};

	return cmocka_run_group_tests_name("symbols", tests, group_setup, group_teardown);
}
