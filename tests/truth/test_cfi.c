/* SPDX-License-Identifier: MIT */
/*
 * The words of preload/cfi.c against elfutils' libdw, for the rows of every
 * function of libraries and programs of this machine, and of programs compiled
 * here with stacks of all shapes. Both are evaluated on the same registers and
 * memory, which are made up; a word that gives up must have a reason that libdw
 * shows too. A sample of the functions, all with PERFHOOK_STRESS=full.
 */
#include "tests/integration/harness.h"

#include <dwarf.h>
#include <elf.h>
#include <elfutils/libdw.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "preload/cfi.h"

enum { RBP = 6, RSP = 7, RIP = 16 };

/* ---- what both are evaluated on --------------------------------------------- */

static const uint64_t rsp_value = UINT64_C(0x00007ffc5a3c91e8);
static const uint64_t rbp_value = UINT64_C(0x00007f1122e4d6b0);

/* Any address holds a value that no other address does. */
static uint64_t load(uint64_t address)
{
	uint64_t x = address * UINT64_C(0x9e3779b97f4a7c15);

	return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

/* What libdw says of a register, evaluated. */
struct said {
	/* FOREIGN: needs other registers. REFUSED: libdw does not accept the data. */
	enum { SAME, UNDEFINED, AT, VALUE, FOREIGN, REFUSED } how;
	uint64_t value; /* of AT: the address */
};

struct oracle {
	const char *path;
	uint64_t pc;
	struct said cfa;
	uint64_t stack[64];
	size_t count;
	bool foreign;
};

static void push(struct oracle *o, uint64_t value)
{
	check(o->count < COUNT_OF(o->stack), "an expression is too deep");
	o->stack[o->count++] = value;
}

static uint64_t pop(struct oracle *o)
{
	check(o->count > 0, "an expression pops from nothing");
	return o->stack[--o->count];
}

static void push_register(struct oracle *o, uint64_t reg, uint64_t offset)
{
	o->foreign |= reg != RSP && reg != RBP && reg != RIP;
	push(o, offset + (reg == RSP   ? rsp_value
			  : reg == RBP ? rbp_value
			  : reg == RIP ? o->pc
				       : 0));
}

static void binary(struct oracle *o, unsigned atom)
{
	uint64_t b = pop(o), a = pop(o);
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (atom) {
	case DW_OP_and:
		return push(o, a & b);
	case DW_OP_plus:
		return push(o, a + b);
	case DW_OP_minus:
		return push(o, a - b);
	case DW_OP_mul:
		return push(o, a * b);
	case DW_OP_shl:
		return push(o, a << b);
	case DW_OP_ge:
		return push(o, sa >= sb);
	case DW_OP_gt:
		return push(o, sa > sb);
	case DW_OP_le:
		return push(o, sa <= sb);
	case DW_OP_lt:
		return push(o, sa < sb);
	case DW_OP_eq:
		return push(o, a == b);
	case DW_OP_ne:
		return push(o, a != b);
	default:
		fail_msg("libdw uses operation %#x; the test does not know it", atom);
	}
}

static void operate(struct oracle *o, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_lit0 ... DW_OP_lit31:
		return push(o, op->atom - DW_OP_lit0);
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_constu:
	case DW_OP_consts:
		return push(o, op->number);
	case DW_OP_breg0 ... DW_OP_breg31:
		return push_register(o, op->atom - DW_OP_breg0, op->number);
	case DW_OP_bregx:
		return push_register(o, op->number, op->number2);
	case DW_OP_call_frame_cfa:
		o->foreign |= o->cfa.how != VALUE;
		return push(o, o->cfa.value);
	case DW_OP_deref:
		return push(o, load(pop(o)));
	case DW_OP_plus_uconst:
		return push(o, pop(o) + op->number);
	default:
		binary(o, op->atom);
	}
}

static struct said evaluate(struct oracle *o, const Dwarf_Op *ops, size_t count)
{
	bool is_value = count > 0 && ops[count - 1].atom == DW_OP_stack_value;

	o->count = 0;
	o->foreign = false;
	if (is_value)
		count--;
	if (count == 1 &&
	    ((ops->atom >= DW_OP_reg0 && ops->atom <= DW_OP_reg31) || ops->atom == DW_OP_regx))
		return (struct said){.how = FOREIGN};
	for (size_t i = 0; i < count; i++)
		operate(o, &ops[i]);
	if (o->foreign)
		return (struct said){.how = FOREIGN};
	return (struct said){.how = is_value ? VALUE : AT, .value = pop(o)};
}

static struct said said_of(struct oracle *o, Dwarf_Frame *frame, int reg)
{
	Dwarf_Op room[3], *ops;
	size_t count;

	check(dwarf_frame_register(frame, reg, room, &ops, &count) == 0,
	      "register %d at %#llx of %s: %s", reg, (unsigned long long)o->pc, o->path,
	      dwarf_errmsg(-1));
	if (count == 0)
		return (struct said){.how = ops == NULL ? SAME : UNDEFINED};
	return evaluate(o, ops, count);
}

static struct said cfa_of(struct oracle *o, Dwarf_Frame *frame)
{
	Dwarf_Op *ops;
	size_t count;
	struct said said;

	if (dwarf_frame_cfa(frame, &ops, &count) != 0)
		return (struct said){.how = REFUSED};
	if (count == 0)
		return (struct said){.how = UNDEFINED};
	said = evaluate(o, ops, count);
	if (said.how == AT)
		said.how = VALUE;
	return said;
}

/* ---- one file ----------------------------------------------------------------- */

struct file {
	const char *path;
	Elf *elf;
	Dwarf_CFI *cfi;
	struct ph_cfi_module m;
	uintptr_t bias; /* from the file's addresses to where its segments are here */
	void *space;
	size_t space_bytes;
	const uint8_t *pairs; /* of the header's table */
	uint32_t count;
};

struct totals {
	uint64_t functions, rows, gaps, kinds[PH_CFI_OTHER + 1];
	uint64_t files, refused;
};

static bool same(struct said said, unsigned how, uint64_t value)
{
	return said.how == how && said.value == value;
}

static uint64_t cfa_by(uint64_t rule)
{
	uint64_t n = (uint64_t)ph_cfi_n(rule), c = (uint64_t)ph_cfi_c(rule);

	switch (ph_cfi_kind(rule)) {
	case PH_CFI_RSP:
		return rsp_value + n;
	case PH_CFI_RBP:
		return rbp_value + n;
	case PH_CFI_AT_RSP:
		return load(rsp_value + n) + c;
	default:
		return load(rbp_value + n) + c;
	}
}

static bool same_rbp(uint64_t rule, uint64_t cfa, struct said rbp)
{
	uint64_t m = (uint64_t)ph_cfi_m(rule);

	switch (ph_cfi_rbp(rule)) {
	case PH_CFI_RBP_SAME:
		return rbp.how == SAME;
	case PH_CFI_RBP_AT_CFA:
		return same(rbp, AT, cfa + m);
	case PH_CFI_RBP_AT_RBP:
		return same(rbp, AT, rbp_value + m);
	case PH_CFI_RBP_AT_RSP:
		return same(rbp, AT, rsp_value + m);
	case PH_CFI_RBP_UNDEFINED:
		return rbp.how == UNDEFINED;
	default:
		return rbp.how == VALUE || rbp.how == FOREIGN ||
		       (rbp.how == AT && rbp.value - cfa + 32768 > 65535);
	}
}

/* Does libdw agree? With what each kind says, and with the reason to give up. */
static bool agrees(uint64_t rule, struct oracle *o, Dwarf_Frame *frame, bool signal)
{
	struct said cfa = o->cfa;
	struct said rip = said_of(o, frame, RIP), rbp = said_of(o, frame, RBP);
	struct said rsp = said_of(o, frame, RSP);
	bool usual =
		cfa.how == VALUE && same(rip, AT, cfa.value - 8) && same(rsp, VALUE, cfa.value);

	switch (ph_cfi_kind(rule)) {
	case PH_CFI_END:
		return rip.how == UNDEFINED;
	case PH_CFI_SIGNAL:
		return signal && same(cfa, VALUE, load(rsp_value + PH_CFI_SIGNAL_RSP)) &&
		       same(rip, AT, rsp_value + PH_CFI_SIGNAL_RIP) &&
		       same(rbp, AT, rsp_value + PH_CFI_SIGNAL_RBP);
	case PH_CFI_OTHER:
		return rip.how != UNDEFINED && !usual;
	case PH_CFI_NONE:
		return false;
	default:
		return !signal && usual && cfa.value == cfa_by(rule) &&
		       same_rbp(rule, cfa.value, rbp);
	}
}

static int32_t start_of(const struct file *f, uint32_t i)
{
	int32_t start;

	memcpy(&start, f->pairs + 8 * (size_t)i, sizeof(start));
	return start;
}

static void compare(const struct file *f, uint64_t pc, Dwarf_Frame *frame, bool signal,
		    struct totals *t)
{
	uint64_t rule = ph_cfi_rule_of(&f->m, f->bias + pc);
	struct oracle o = {.path = f->path, .pc = f->bias + pc};

	t->rows++;
	o.cfa = cfa_of(&o, frame);
	if (o.cfa.how == REFUSED) {
		t->refused++;
		return;
	}
	if (!agrees(rule, &o, frame, signal))
		fail_msg("%s at %#llx: word %#llx (kind %d, rbp %d, n %lld, m %lld, c %lld) is not "
			 "what libdw says",
			 f->path, (unsigned long long)pc, (unsigned long long)rule,
			 ph_cfi_kind(rule), ph_cfi_rbp(rule), (long long)ph_cfi_n(rule),
			 (long long)ph_cfi_m(rule), (long long)ph_cfi_c(rule));
	t->kinds[ph_cfi_kind(rule)]++;
}

/* Start code without unwind data, or what a linker left as a library's entry. */
static bool is_start_code(const struct file *f, uint64_t pc)
{
	Dwarf_Frame *frame;
	bool described;

	if (f->m.entry == 0 || f->bias + pc - f->m.entry >= 64)
		return false;
	described = dwarf_cfi_addrframe(f->cfi, f->m.entry - f->bias, &frame) == 0;
	if (described)
		free(frame);
	return !described;
}

/* Behind the last row: there is nothing, up to the next function. */
static void compare_gap(const struct file *f, uint64_t pc, uint64_t next, struct totals *t)
{
	uint64_t rule = ph_cfi_rule_of(&f->m, f->bias + pc);
	enum ph_cfi_kind wanted = pc + 1 == next || is_start_code(f, pc) ? PH_CFI_END : PH_CFI_NONE;

	check(ph_cfi_kind(rule) == wanted, "%s at %#llx: word %#llx, but libdw knows nothing",
	      f->path, (unsigned long long)pc, (unsigned long long)rule);
	t->gaps++;
}

/* Each row of the function by its first and last address. */
static void compare_function(const struct file *f, uint32_t i, struct totals *t)
{
	uint64_t header = f->m.header - f->bias;
	uint64_t pc = header + (uint64_t)(int64_t)start_of(f, i);
	uint64_t next =
		i + 1 < f->count ? header + (uint64_t)(int64_t)start_of(f, i + 1) : UINT64_MAX;

	t->functions++;
	while (pc < next) {
		Dwarf_Addr first, end;
		Dwarf_Frame *frame;
		bool signal;

		if (dwarf_cfi_addrframe(f->cfi, pc, &frame) != 0) {
			compare_gap(f, pc, next, t);
			return;
		}
		check(dwarf_frame_info(frame, &first, &end, &signal) >= 0 && end > pc,
		      "%s at %#llx: libdw gives no row", f->path, (unsigned long long)pc);
		compare(f, pc, frame, signal, t);
		/* The last address of a function that is followed by an empty one is
		 * taken for no call (see preload/cfi.c). */
		if (end - 1 > pc && end != next)
			compare(f, end - 1, frame, signal, t);
		free(frame);
		pc = end;
	}
}

/* ---- files ---------------------------------------------------------------------- */

static uint64_t span_of(Elf *elf, size_t headers, uint64_t *low)
{
	uint64_t high = 0;
	Elf64_Phdr *p = elf64_getphdr(elf);

	*low = UINT64_MAX;
	for (size_t i = 0; i < headers; i++) {
		if (p[i].p_type != PT_LOAD)
			continue;
		if (p[i].p_vaddr < *low)
			*low = p[i].p_vaddr & ~UINT64_C(4095);
		if (p[i].p_vaddr + p[i].p_memsz > high)
			high = p[i].p_vaddr + p[i].p_memsz;
	}
	return *low < high ? high - *low : 0;
}

/* The segments where they belong to each other; what is between has no access. */
static bool load_segments(struct file *f, int fd, size_t headers)
{
	Elf64_Phdr *p = elf64_getphdr(f->elf);
	uint64_t low, header = 0;

	f->space_bytes = span_of(f->elf, headers, &low) + 4096;
	f->space = mmap(NULL, f->space_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (f->space == MAP_FAILED)
		return false;
	f->bias = (uintptr_t)f->space - low;
	for (size_t i = 0; i < headers; i++) {
		uint64_t into = p[i].p_vaddr & 4095;

		if (p[i].p_type == PT_GNU_EH_FRAME)
			header = p[i].p_vaddr;
		if (p[i].p_type == PT_LOAD && p[i].p_filesz > 0 &&
		    mmap((char *)f->bias + p[i].p_vaddr - into, p[i].p_filesz + into, PROT_READ,
			 MAP_PRIVATE | MAP_FIXED, fd, (off_t)(p[i].p_offset - into)) == MAP_FAILED)
			return false;
	}
	return header != 0 &&
	       ph_cfi_describe((uintptr_t)f->space, (uintptr_t)f->space + f->space_bytes,
			       f->bias + header, &f->m);
}

static bool open_elf(struct file *f, int fd)
{
	const uint8_t *header;
	Elf64_Ehdr *e;
	size_t headers;

	f->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	e = f->elf != NULL ? elf64_getehdr(f->elf) : NULL;
	if (e == NULL || e->e_machine != EM_X86_64 || elf_getphdrnum(f->elf, &headers) != 0 ||
	    headers == 0 || !load_segments(f, fd, headers))
		return false;
	header = (const uint8_t *)f->m.header;
	/* The table that linkers make. */
	if (memcmp(header + 1, "\x1b\x03\x3b", 3) != 0)
		return false;
	memcpy(&f->count, header + 8, sizeof(f->count));
	f->pairs = header + 12;
	f->cfi = dwarf_getcfi_elf(f->elf);
	return f->cfi != NULL;
}

static void close_file(struct file *f, int fd)
{
	if (f->cfi != NULL)
		dwarf_cfi_end(f->cfi);
	if (f->elf != NULL)
		elf_end(f->elf);
	if (f->space != NULL && f->space != MAP_FAILED)
		munmap(f->space, f->space_bytes);
	close(fd);
}

/* At most so many functions, spread evenly; 0: all. False: there is no such file, or
 * it has no table. */
static bool compare_file(const char *path, uint32_t most, struct totals *t)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct file f = {.path = path};
	bool opened;

	if (fd < 0)
		return false;
	elf_version(EV_CURRENT);
	opened = open_elf(&f, fd);
	if (opened) {
		uint32_t stride = most != 0 && f.count > most ? f.count / most : 1;

		for (uint32_t i = 0; i < f.count; i += stride)
			compare_function(&f, i, t);
		t->files++;
	}
	close_file(&f, fd);
	return opened;
}

static const char *const kind_names[] = {
	"",	  "rsp + n",   "rbp + n", "[rsp + n] + c", "[rbp + n] + c",
	"signal", "outermost", "no data", "other"};

static void print_totals(const char *what, const struct totals *t)
{
	print_message("  %s: %llu files, %llu functions, %llu gaps, %llu rows looked up:\n", what,
		      (unsigned long long)t->files, (unsigned long long)t->functions,
		      (unsigned long long)t->gaps, (unsigned long long)t->rows);
	for (int kind = PH_CFI_RSP; kind <= PH_CFI_OTHER; kind++)
		print_message("    %-14s %9llu\n", kind_names[kind],
			      (unsigned long long)t->kinds[kind]);
	print_message("    %-14s %9llu\n", "not judged", (unsigned long long)t->refused);
}

static void compare_pattern(const char *pattern, uint32_t most, struct totals *t)
{
	glob_t found;

	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		struct stat s;

		if (lstat(found.gl_pathv[i], &s) == 0 && S_ISREG(s.st_mode))
			compare_file(found.gl_pathv[i], most, t);
	}
	globfree(&found);
}

static void libraries_and_programs(void **state)
{
	static const char *const some[] = {
		"/lib*/x86_64-linux-gnu/libc.so.6",
		"/lib*/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"/lib*/x86_64-linux-gnu/libm.so.6",
		"/usr/lib/x86_64-linux-gnu/libstdc++.so.6.*",
		"/usr/lib/x86_64-linux-gnu/libcrypto.so.*",
		"/usr/lib/x86_64-linux-gnu/libpython3*.so.*",
		"/usr/lib/x86_64-linux-gnu/libperl.so.*",
		"/usr/lib64/ld-linux-x86-64.so.2",
		"/usr/lib64/libc.so.6",
		"/usr/lib64/libcrypto.so.*",
		"/usr/lib64/libstdc++.so.6.*",
		"/usr/bin/git",
		"/usr/bin/perl",
		"/usr/bin/python3.*",
		"/usr/bin/sqlite3",
		"/usr/bin/x86_64-linux-gnu-ld.bfd",
		"/usr/lib/gcc/x86_64-linux-gnu/*/cc1",
		"/usr/lib/gcc/x86_64-*linux*/*/cc1",
	};
	static const char *const all[] = {"/usr/lib/x86_64-linux-gnu/*.so*",
					  "/usr/lib/x86_64-linux-gnu/*/*.so*",
					  "/usr/lib64/*.so*",
					  "/usr/bin/*",
					  "/usr/lib/gcc/*/*/*",
					  "/usr/lib/python3*/lib-dynload/*.so",
					  "/usr/lib/git-core/*"};
	struct totals t = {0};

	(void)state;
	for (size_t i = 0; i < (full_mode() ? COUNT_OF(all) : COUNT_OF(some)); i++)
		compare_pattern(full_mode() ? all[i] : some[i], full_mode() ? 0 : 1500, &t);
	print_totals("of this machine", &t);
	check(t.files > 0, "no library at all has a table of unwind data");
	check(t.kinds[PH_CFI_RSP] > 1000, "hardly anything was compared");
	check(t.refused * 10000 <= t.rows, "libdw refuses %llu of %llu rows",
	      (unsigned long long)t.refused, (unsigned long long)t.rows);
	/* The last rung, seldom needed. */
	check(t.kinds[PH_CFI_OTHER] * 200 < t.rows, "%llu of %llu words give up",
	      (unsigned long long)t.kinds[PH_CFI_OTHER], (unsigned long long)t.rows);
}

/* The word for the signal trampoline and for the start code of libc. */
static void ends_and_signals(void **state)
{
	struct totals t = {0};

	(void)state;
	compare_pattern("/lib*/x86_64-linux-gnu/libc.so.6", 0, &t);
	compare_pattern("/usr/lib64/libc.so.6", 0, &t);
	if (t.files == 0)
		skip_because("libc is somewhere else");
	print_totals("libc", &t);
	check(t.kinds[PH_CFI_SIGNAL] > 0, "libc's signal trampoline was not seen");
	check(t.kinds[PH_CFI_END] > 0, "libc's thread start was not seen");
}

/* ---- compiled here ---------------------------------------------------------------- */

static const char shapes[] =
	"#include <alloca.h>\n"
	"#include <stdarg.h>\n"
	"#include <stdlib.h>\n"
	"#include <string.h>\n"
	"typedef float wide __attribute__((vector_size(32)));\n"
	"extern void use(void *);\n"
	"int leaf(int a) { return a * 3; }\n"
	"void variable(int n) { char a[n]; char *b = alloca(n * 2); memset(a, 0, n); use(a); "
	"use(b); }\n"
	"void aligned(int n) { _Alignas(64) char a[64]; char *b = alloca(n); use(a); use(b); }\n"
	"void aligned_only(void) { _Alignas(128) char a[128]; use(a); use(a + 1); }\n"
	"wide vectors(wide *v, int n) { wide s = {0}; wide *t = alloca(n * 32);\n"
	"  for (int i = 0; i < n; i++) { t[i] = v[i] * v[i]; use(t); s += t[i]; } return s; }\n"
	"void big(void) { char a[50000]; use(a); }\n"
	"int many(int a, int b, int c, int d, int e, int f, int g, int h, long *i) {\n"
	"  long x = a, y = b, z = c, u = d, v = e, w = f; use(i); use(&x); use(&y); use(&z); "
	"use(&u);\n"
	"  use(&v); use(&w); return x + y + z + u + v + w + g + h + leaf(h); }\n"
	"int pushes(long *p) { return many(1, 2, 3, 4, 5, 6, p[7], p[8], p) + many(2, 3, 4, 5, 6, "
	"7, p[1],\n"
	"  p[2], p); }\n"
	"int variadic(int n, ...) { va_list l; int s = 0; va_start(l, n); while (n--) s += "
	"va_arg(l, int);\n"
	"  va_end(l); use(&s); return s; }\n"
	"int early(int *p) { if (!p) return 0; if (*p > 3) { use(p); use(p + 1); } else abort();\n"
	"  return *p + p[1]; }\n"
	"int deep(int n) { char a[n + 1]; use(a); return n ? deep(n - 1) + a[0] : 0; }\n"
	"double numbers(double a, double b) { double c[4] = {a, b, a * b, a / b}; use(c); use(c);\n"
	"  return c[0] + c[3]; }\n"
	"__attribute__((noreturn)) void never(int *p) { use(p); abort(); }\n"
	"void calls_never(int *p) { if (*p) never(p); use(p); }\n";

/* Compile it that way and compare all of it. */
static void compile_and_compare(const char *compiler, const char *flags, struct totals *t)
{
	char *out = in_box("shapes.so");
	struct outcome o =
		run(ARGV("sh", "-c",
			 text("%s -w -fPIC -shared -g0 %s -o shapes.so shapes.c", compiler, flags)),
		    NULL);

	check_status(&o, 0);
	check(compare_file(out, 0, t), "%s has no table of unwind data", o.line);
}

static void compiled(void **state)
{
	static const char *const flags[] = {
		"-O0",
		"-O1",
		"-O2",
		"-O3",
		"-Os",
		"-O0 -mavx2",
		"-O3 -mavx2",
		"-O2 -fno-omit-frame-pointer",
		"-O2 -maccumulate-outgoing-args",
		"-O2 -mno-red-zone -mstackrealign",
		"-O2 -fstack-protector-all -fstack-clash-protection",
		"-O2 -fcf-protection=full -Wl,-z,lazy",
		"-O2 -fno-asynchronous-unwind-tables -funwind-tables",
		"-O2 -fsplit-stack",
	};
	static const char *const compilers[] = {"gcc", "clang", "clang-14"};
	struct totals t = {0};

	(void)state;
	need_tool("gcc");
	write_file(in_box("shapes.c"), shapes, strlen(shapes));
	for (size_t c = 0; c < COUNT_OF(compilers); c++) {
		for (size_t i = 0; i < COUNT_OF(flags); i++) {
			if (!have_tool(compilers[c]))
				break;
			if (c > 0 && (strstr(flags[i], "accumulate") || strstr(flags[i], "split")))
				continue; /* gcc's own */
			compile_and_compare(compilers[c], flags[i], &t);
		}
	}
	print_totals("compiled here", &t);
	check(t.kinds[PH_CFI_AT_RBP] > 0, "no realigned stack was seen");
	check(t.kinds[PH_CFI_RBP] > 0, "no frame by rbp was seen");
}

int main(void)
{
#ifdef __x86_64__
	const struct CMUnitTest tests[] = {boxed(ends_and_signals), boxed(compiled),
					   boxed(libraries_and_programs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
