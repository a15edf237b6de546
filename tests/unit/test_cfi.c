/* SPDX-License-Identifier: MIT */
/*
 * The reader of unwind data (preload/cfi.c) on entries made by hand: each
 * instruction, operation, encoding and kind of damage; then on this process, its
 * own stacks against libgcc's; then on damaged copies of real data. What is read
 * always ends at a page without access, so reading on is a crash.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/cfi.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE		4096u

/* ---- words ------------------------------------------------------------------ */

static uint64_t word(enum ph_cfi_kind kind, enum ph_cfi_rbp rbp, int32_t n, int16_t m, int8_t c)
{
	uint64_t simple = kind == PH_CFI_RSP && rbp <= PH_CFI_RBP_AT_CFA;

	return (uint64_t)(uint32_t)n << 32 | (uint64_t)(uint16_t)m << 16 |
	       (uint64_t)(uint8_t)c << 8 | (uint64_t)rbp << 5 | (uint64_t)kind << 1 | simple;
}

#define RSP(n)	    word(PH_CFI_RSP, PH_CFI_RBP_SAME, (n), 0, 0)
#define RSP_M(n, m) word(PH_CFI_RSP, PH_CFI_RBP_AT_CFA, (n), (m), 0)
#define RBP_M(n, m) word(PH_CFI_RBP, PH_CFI_RBP_AT_CFA, (n), (m), 0)
#define KIND(kind)  word((kind), PH_CFI_RBP_SAME, 0, 0, 0)
#define OTHER	    KIND(PH_CFI_OTHER)
#define NONE	    KIND(PH_CFI_NONE)
#define END	    KIND(PH_CFI_END)

static void check_rule(const char *what, uint64_t got, uint64_t wanted)
{
	if (got != wanted)
		fail_msg("%s: kind %d rbp %d n %lld m %lld c %lld (%#llx), not %#llx", what,
			 ph_cfi_kind(got), ph_cfi_rbp(got), (long long)ph_cfi_n(got),
			 (long long)ph_cfi_m(got), (long long)ph_cfi_c(got),
			 (unsigned long long)got, (unsigned long long)wanted);
}

static void test_words(void **state)
{
	uint64_t rule = word(PH_CFI_AT_RBP, PH_CFI_RBP_AT_RBP, -8, -300, -3);

	(void)state;
	assert_int_equal(ph_cfi_kind(rule), PH_CFI_AT_RBP);
	assert_int_equal(ph_cfi_rbp(rule), PH_CFI_RBP_AT_RBP);
	assert_int_equal(ph_cfi_n(rule), -8);
	assert_int_equal(ph_cfi_m(rule), -300);
	assert_int_equal(ph_cfi_c(rule), -3);
	assert_int_equal(ph_cfi_n(RSP(INT32_MAX)), INT32_MAX);
	assert_true((RSP(8) & PH_CFI_SIMPLE) && !(RSP(8) & PH_CFI_RBP_SAVED));
	assert_true((RSP_M(16, -16) & PH_CFI_SIMPLE) && (RSP_M(16, -16) & PH_CFI_RBP_SAVED));
	assert_false(RBP_M(16, -16) & PH_CFI_SIMPLE);
}

static uint64_t seed = UINT64_C(0x2545f4914f6cdd1d);

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 11;
}

/* ---- making entries ----------------------------------------------------------- */

/* Two pages between two without access. What is made is moved to their end. */
enum { ROOM = 16 * PAGE };
static uint8_t *pages;
static uint8_t made[ROOM];
static size_t used;

static int map_pages(void **state)
{
	uint8_t *all = mmap(NULL, ROOM + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	pages = all + PAGE;
	return all == MAP_FAILED || mprotect(pages, ROOM, PROT_READ | PROT_WRITE) != 0;
}

static void put(const void *bytes, size_t count)
{
	assert_true(used + count <= ROOM);
	memcpy(made + used, bytes, count);
	used += count;
}

static void put_int(uint64_t value, size_t bytes)
{
	put(&value, bytes);
}

static void put_leb(int64_t value, bool is_signed)
{
	uint64_t rest = (uint64_t)value;
	bool more = true;

	while (more) {
		uint8_t byte = rest & 0x7f;

		rest = is_signed ? (uint64_t)((int64_t)rest >> 7) : rest >> 7;
		more = is_signed ? (int64_t)rest != -(int64_t)(byte >> 6) : rest != 0;
		put_int(byte | (more ? 0x80u : 0), 1);
	}
}

/* The length of what begins at `at` is written into its first four bytes. */
static void close_entry(size_t at)
{
	uint32_t length;

	while (used % 4 != 0)
		put_int(0, 1);
	length = (uint32_t)(used - at - 4);
	memcpy(made + at, &length, 4);
}

struct bytes {
	uint8_t b[40];
	size_t count;
};
#define BYTES(...) ((struct bytes){.b = {__VA_ARGS__}, .count = sizeof((uint8_t[]){__VA_ARGS__})})

/* As gcc writes it: CFA = rsp + 8, return address at CFA - 8. */
static const struct bytes usual_start = {{0x0c, 7, 8, 0x90, 1}, 5};
enum { PCREL_SDATA4 = 0x1b };

struct cie {
	const char *augmentation; /* NULL: "zR" */
	struct bytes data;	  /* of the augmentation; none: the encoding */
	struct bytes program;	  /* none: the usual start */
	int encoding;		  /* 0: PCREL_SDATA4; -1: absptr */
	int version;		  /* 0: 1 */
	int column;		  /* of the return address; 0: 16 */
	uint64_t code_align;	  /* 0: 1; UINT64_MAX: 0 */
	int64_t data_align;	  /* 0: -8; INT64_MAX: 0 */
};

static int encoding_of(const struct cie *cie)
{
	return cie->encoding == 0 ? PCREL_SDATA4 : cie->encoding < 0 ? 0 : cie->encoding;
}

static size_t put_cie(const struct cie *cie)
{
	const struct bytes *program = cie->program.count != 0 ? &cie->program : &usual_start;
	const char *letters = cie->augmentation != NULL ? cie->augmentation : "zR";
	size_t at = used;

	put_int(0, 8); /* length, and what says it is a CIE */
	put_int(cie->version != 0 ? (unsigned)cie->version : 1, 1);
	put(letters, strlen(letters) + 1);
	put_leb(cie->code_align == 0		? 1
		: cie->code_align == UINT64_MAX ? 0
						: (int64_t)cie->code_align,
		false);
	put_leb(cie->data_align == 0	       ? -8
		: cie->data_align == INT64_MAX ? 0
					       : cie->data_align,
		true);
	put_int(cie->column != 0 ? (unsigned)cie->column : 16, 1);
	if (letters[0] == 'z' && cie->data.count != 0) {
		put_leb((int64_t)cie->data.count, false);
		put(cie->data.b, cie->data.count);
	} else if (letters[0] == 'z') {
		put_int(1, 1);
		put_int((unsigned)encoding_of(cie), 1);
	}
	put(program->b, program->count);
	close_entry(at);
	return at;
}

/* Where the described code "is": it is never looked at. Not far from the data. */
static uintptr_t code;
/* Where made[0] will be. It must be known while relative addresses are written, so
 * the whole is made twice. */
static uintptr_t data;

static void put_pointer(uintptr_t value, int encoding)
{
	if ((encoding & 0x70) == 0x10)
		value -= data + used;
	switch (encoding & 0x0f) {
	case 1:
		put_leb((int64_t)value, false);
		break;
	case 9:
		put_leb((int64_t)value, true);
		break;
	case 2:
	case 0xa:
		put_int(value, 2);
		break;
	case 3:
	case 0xb:
		put_int(value, 4);
		break;
	default:
		put_int(value, 8);
	}
}

static size_t put_fde(size_t cie_at, const struct cie *cie, uintptr_t start, size_t length,
		      const struct bytes *program)
{
	const char *letters = cie->augmentation != NULL ? cie->augmentation : "zR";
	size_t at = used;

	put_int(0, 4);
	put_int(used - cie_at, 4);
	put_pointer(start, encoding_of(cie));
	put_pointer(length, encoding_of(cie) & 0x0f);
	if (letters[0] == 'z')
		put_int(0, 1);
	put(program->b, program->count);
	close_entry(at);
	return at;
}

static struct ph_cfi_module place(bool has_header)
{
	struct ph_cfi_module m = {.low = data, .high = data + used};

	assert_int_equal(data, (uintptr_t)(pages + ROOM - used));
	memcpy(pages + ROOM - used, made, used);
	if (has_header)
		m.header = data;
	else
		m.frames = data;
	return m;
}

/* One function of 256 bytes, found from the start of .eh_frame. */
static struct ph_cfi_module make_one(const struct cie *cie, const struct bytes *program)
{
	size_t size = 0;

	for (int pass = 0; pass < 3; pass++) {
		data = (uintptr_t)(pages + ROOM - size);
		used = 0;
		put_fde(put_cie(cie), cie, code, 256, program);
		put_int(0, 4);
		size = used;
	}
	return place(false);
}

static uint64_t rule_in(const struct cie *cie, struct bytes program, size_t offset)
{
	struct ph_cfi_module m = make_one(cie, &program);

	return ph_cfi_rule_of(&m, code + offset);
}

static int set_up(void **state)
{
	int status = map_pages(state);

	code = (uintptr_t)pages + (1u << 20);
	return status;
}

/* ---- instructions --------------------------------------------------------------- */

struct one_row {
	const char *name;
	struct bytes program;
	size_t offset;
	uint64_t wanted;
};

#define LEB_70000 0xf0, 0xa2, 0x04

static const struct one_row instructions[] = {
	{"none", {{0}, 1}, 0, 0},
	{"advance_loc, before", {{0x41, 0x0e, 16}, 3}, 0, 8},
	{"advance_loc, at", {{0x41, 0x0e, 16}, 3}, 1, 16},
	{"advance_loc1, before", {{2, 200, 0x0e, 16}, 4}, 199, 8},
	{"advance_loc1, at", {{2, 200, 0x0e, 16}, 4}, 200, 16},
	{"advance_loc2", {{3, 200, 0, 0x0e, 16}, 5}, 200, 16},
	{"advance_loc4", {{4, 200, 0, 0, 0, 0x0e, 16}, 7}, 200, 16},
	{"advance_loc4, far", {{4, 0, 0, 0, 1, 0x0e, 16}, 7}, 255, 8},
	{"several", {{0x41, 0x0e, 16, 0x41, 0x0e, 24, 0x41, 0x0e, 32}, 9}, 2, 24},
	{"def_cfa", {{0x0c, 7, LEB_70000}, 5}, 0, 70000},
	{"def_cfa_sf", {{0x12, 7, 0x78}, 3}, 0, 64},
	{"def_cfa_offset", {{0x0e, LEB_70000}, 4}, 0, 70000},
	{"def_cfa_offset_sf", {{0x13, 0x70}, 2}, 0, 128},
	{"GNU_args_size", {{0x2e, LEB_70000, 0x0e, 16}, 6}, 0, 16},
	{"other registers",
	 {{0x83, 2, 5, 12, 3, 0x07, 1, 0x08, 2, 0x09, 3, 1, 0x0e, 16}, 14},
	 0,
	 16},
	{"register of no interest",
	 {{0x10, 3, 2, 0x77, 8, 0x16, 12, 1, 0x30, 0x0e, 16}, 11},
	 0,
	 16},
	{"remember and restore", {{0x0a, 0x0e, 16, 0x41, 0x0e, 24, 0x41, 0x0b}, 8}, 2, 8},
	{"remember, still changed", {{0x0a, 0x0e, 16, 0x41, 0x0e, 24, 0x41, 0x0b}, 8}, 1, 24},
	{"remember twice",
	 {{0x0e, 16, 0x0a, 0x0e, 24, 0x0a, 0x0e, 32, 0x0b, 0x41, 0x0b}, 11},
	 0,
	 24},
	{"remember twice, end",
	 {{0x0e, 16, 0x0a, 0x0e, 24, 0x0a, 0x0e, 32, 0x0b, 0x41, 0x0b}, 11},
	 1,
	 16},
};

static void test_instructions(void **state)
{
	static const struct cie cie;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(instructions); i++) {
		const struct one_row *t = &instructions[i];

		/* `wanted` is the n of CFA = rsp + n; 0: the usual. */
		check_rule(t->name, rule_in(&cie, t->program, t->offset),
			   RSP(t->wanted != 0 ? (int)t->wanted : 8));
	}
}

/* What is said of rbp, rsp, the return address, and the CFA by other registers. */
static void test_columns(void **state)
{
	static const struct cie cie;
	const struct one_row rows[] = {
		{"push rbp", {{0x0e, 16, 0x86, 2}, 4}, 0, RSP_M(16, -16)},
		{"push rbp; mov", {{0x0e, 16, 0x86, 2, 0x0d, 6}, 6}, 0, RBP_M(16, -16)},
		{"leave", {{0x0e, 16, 0x86, 2, 0x0d, 6, 0x0c, 7, 8, 0xc6}, 10}, 0, RSP(8)},
		{"offset_extended", {{5, 6, 3}, 3}, 0, RSP_M(8, -24)},
		{"offset_extended_sf", {{0x11, 6, 0x7f}, 3}, 0, RSP_M(8, 8)},
		{"GNU_negative_offset", {{0x2f, 6, 1}, 3}, 0, RSP_M(8, 8)},
		{"restore", {{0x86, 2, 0xc6}, 3}, 0, RSP(8)},
		{"restore_extended", {{0x86, 2, 6, 6}, 4}, 0, RSP(8)},
		{"same_value", {{0x86, 2, 8, 6}, 4}, 0, RSP(8)},
		{"undefined rbp", {{7, 6}, 2}, 0, word(PH_CFI_RSP, PH_CFI_RBP_UNDEFINED, 8, 0, 0)},
		{"rbp in a register",
		 {{9, 6, 3}, 3},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp is a value",
		 {{0x14, 6, 2}, 3},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp is a value, signed",
		 {{0x15, 6, 2}, 3},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp is an expression's value",
		 {{0x16, 6, 2, 0x76, 0}, 5},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp too far",
		 {{0x86, 0x81, 0x20}, 3},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp as far as can be", {{0x86, 0x80, 0x20}, 3}, 0, RSP_M(8, -32768)},
		{"remembered rbp", {{0x86, 2, 0x0a, 0xc6, 0x0b}, 5}, 0, RSP_M(8, -16)},
		{"rsp by the CFA", {{0x14, 7, 0}, 3}, 0, RSP(8)},
		{"rsp is not the CFA", {{0x14, 7, 1}, 3}, 0, OTHER},
		{"rsp saved", {{0x87, 2}, 2}, 0, OTHER},
		{"undefined return address", {{7, 16}, 2}, 0, END},
		{"undefined, whatever the CFA", {{0x0c, 3, 8, 7, 16}, 5}, 0, END},
		{"return address elsewhere", {{0x90, 2}, 2}, 0, OTHER},
		{"return address in a register", {{9, 16, 3}, 3}, 0, OTHER},
		{"return address unchanged", {{8, 16}, 2}, 0, OTHER},
		{"CFA by rbx", {{0x0d, 3}, 2}, 0, OTHER},
		{"CFA by r10", {{0x0c, 10, 0}, 3}, 0, OTHER},
		{"CFA by register 2^32 + 7",
		 {{0x0c, 0x87, 0x80, 0x80, 0x80, 0x10, 8}, 7},
		 0,
		 OTHER},
		{"CFA by rbx for a while", {{0x0d, 3, 0x0d, 7}, 4}, 0, RSP(8)},
		{"negative CFA", {{0x12, 7, 1}, 3}, 0, RSP(-8)},
		{"CFA too far", {{0x0e, 0x80, 0x80, 0x80, 0x80, 0x08}, 6}, 0, OTHER},
		{"CFA as far as can be",
		 {{0x0e, 0xff, 0xff, 0xff, 0xff, 0x07}, 6},
		 0,
		 RSP(INT32_MAX)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_rule(rows[i].name, rule_in(&cie, rows[i].program, rows[i].offset),
			   rows[i].wanted);
}

static void test_alignments(void **state)
{
	const struct cie four = {.code_align = 4, .data_align = -4};
	const struct cie zero = {.code_align = UINT64_MAX};
	const struct cie all_zero = {.code_align = UINT64_MAX, .data_align = INT64_MAX};
	const struct cie huge = {.code_align = UINT64_C(1) << 62};
	const struct cie start = {.program = BYTES(0x0c, 7, 8, 0x90, 2)};
	struct cie four_rip = four;

	(void)state;
	four_rip.program = BYTES(0x0c, 7, 8, 0x90, 2);
	check_rule("by 4, before", rule_in(&four_rip, BYTES(0x42, 0x0e, 16, 0x86, 4), 7), RSP(8));
	check_rule("by 4", rule_in(&four_rip, BYTES(0x42, 0x0e, 16, 0x86, 4), 8), RSP_M(16, -16));
	check_rule("return address by 8", rule_in(&start, BYTES(0), 0), OTHER);
	check_rule("code by 0", rule_in(&zero, BYTES(0x42, 0x0e, 16), 0), RSP(16));
	check_rule("data by 0", rule_in(&all_zero, BYTES(0x42, 0x0e, 16), 0), OTHER);
	check_rule("beyond all", rule_in(&huge, BYTES(0x44, 0x0e, 16), 0), OTHER);
}

/* ---- expressions ----------------------------------------------------------------- */

/* As the CFA: with the length before, rsp + 8 where it matters. */
static void test_expressions(void **state)
{
	static const struct cie cie;
	const uint64_t at_rbp = word(PH_CFI_AT_RBP, PH_CFI_RBP_SAME, -8, 0, 0);
	const struct {
		const char *name;
		struct bytes code;
		size_t offset;
		uint64_t wanted;
	} rows[] = {
		{"breg7", {{0x77, 16}, 2}, 0, RSP(16)},
		{"breg6", {{0x76, 16}, 2}, 0, word(PH_CFI_RBP, PH_CFI_RBP_SAME, 16, 0, 0)},
		{"bregx", {{0x92, 7, 16}, 3}, 0, RSP(16)},
		{"breg3", {{0x73, 16}, 2}, 0, OTHER},
		{"realigned", {{0x76, 0x78, 0x06}, 3}, 0, at_rbp},
		{"[rsp + 32] + 8",
		 {{0x77, 32, 0x06, 0x23, 8}, 5},
		 0,
		 word(PH_CFI_AT_RSP, PH_CFI_RBP_SAME, 32, 0, 8)},
		{"[rsp + 32] + 200", {{0x77, 32, 0x06, 0x23, 0xc8, 1}, 6}, 0, OTHER},
		{"loaded twice", {{0x77, 32, 0x06, 0x06}, 4}, 0, OTHER},
		{"a constant", {{0x48}, 1}, 0, OTHER},
		{"loaded from a constant", {{0x48, 0x06}, 2}, 0, OTHER},
		{"const1u", {{0x77, 0, 0x08, 200, 0x22}, 5}, 0, RSP(200)},
		{"const1s", {{0x77, 0, 0x09, 0x80, 0x22}, 5}, 0, RSP(-128)},
		{"const2u", {{0x77, 0, 0x0a, 0, 0x80, 0x22}, 6}, 0, RSP(32768)},
		{"const2s", {{0x77, 0, 0x0b, 0, 0x80, 0x22}, 6}, 0, RSP(-32768)},
		{"const4u", {{0x77, 0, 0x0c, 0, 0, 1, 0, 0x22}, 8}, 0, RSP(65536)},
		{"const4s", {{0x77, 0, 0x0d, 0xf8, 0xff, 0xff, 0xff, 0x22}, 8}, 0, RSP(-8)},
		{"const8u", {{0x77, 0, 0x0e, 9, 0, 0, 0, 0, 0, 0, 0, 0x22}, 12}, 0, RSP(9)},
		{"const8s", {{0x77, 0, 0x0f, 9, 0, 0, 0, 0, 0, 0, 0, 0x22}, 12}, 0, RSP(9)},
		{"constu", {{0x77, 0, 0x10, LEB_70000, 0x22}, 7}, 0, RSP(70000)},
		{"consts", {{0x77, 0, 0x11, 0x78, 0x22}, 5}, 0, RSP(-8)},
		{"plus, constant first", {{0x38, 0x77, 0, 0x22}, 4}, 0, RSP(8)},
		{"plus of two registers", {{0x77, 0, 0x76, 0, 0x22}, 5}, 0, OTHER},
		{"minus", {{0x77, 16, 0x34, 0x1c}, 4}, 0, RSP(12)},
		{"minus a register", {{0x34, 0x77, 16, 0x1c}, 4}, 0, OTHER},
		{"dup, drop, nop", {{0x77, 16, 0x12, 0x13, 0x96}, 5}, 0, RSP(16)},
		{"over", {{0x38, 0x77, 1, 0x14, 0x22, 0x22}, 6}, 0, RSP(17)},
		{"swap", {{0x77, 1, 0x38, 0x16, 0x22}, 5}, 0, RSP(9)},
		{"and or xor",
		 {{0x77, 0, 0x3f, 0x3c, 0x1a, 0x31, 0x21, 0x3f, 0x27, 0x22}, 10},
		 0,
		 RSP(((15 & 12) | 1) ^ 15)},
		{"mul neg abs not",
		 {{0x77, 0, 0x33, 0x34, 0x1e, 0x1f, 0x19, 0x20, 0x22}, 9},
		 0,
		 RSP(~12)},
		{"shl shr",
		 {{0x77, 0, 0x31, 0x36, 0x24, 0x32, 0x25, 0x22}, 8},
		 0,
		 RSP((1 << 6) >> 2)},
		{"shra", {{0x77, 0, 0x09, 0xf0, 0x32, 0x26, 0x22}, 7}, 0, RSP(-4)},
		{"shifts too far",
		 {{0x77, 0, 0x31, 0x08, 64, 0x24, 0x08, 64, 0x25, 0x22}, 10},
		 0,
		 RSP(0)},
		{"eq", {{0x77, 0, 0x33, 0x33, 0x29, 0x22}, 6}, 0, RSP(1)},
		{"ge", {{0x77, 0, 0x33, 0x34, 0x2a, 0x22}, 6}, 0, RSP(0)},
		{"gt", {{0x77, 0, 0x34, 0x33, 0x2b, 0x22}, 6}, 0, RSP(1)},
		{"le", {{0x77, 0, 0x34, 0x33, 0x2c, 0x22}, 6}, 0, RSP(0)},
		{"lt, signed", {{0x77, 0, 0x09, 0xff, 0x33, 0x2d, 0x22}, 7}, 0, RSP(1)},
		{"ne", {{0x77, 0, 0x33, 0x33, 0x2e, 0x22}, 6}, 0, RSP(0)},
		{"skip", {{0x77, 8, 0x2f, 1, 0, 0x13}, 6}, 0, RSP(8)},
		{"skip to the end", {{0x77, 8, 0x2f, 0, 0}, 5}, 0, RSP(8)},
		{"bra, taken", {{0x77, 8, 0x31, 0x28, 1, 0, 0x13}, 7}, 0, RSP(8)},
		{"bra, not taken", {{0x77, 8, 0x77, 9, 0x30, 0x28, 1, 0, 0x13}, 9}, 0, RSP(8)},
		{"bra on a register", {{0x77, 8, 0x77, 9, 0x28, 0, 0}, 7}, 0, OTHER},
		{"for ever", {{0x77, 8, 0x2f, 0xfd, 0xff}, 5}, 0, OTHER},
		{"skip before", {{0x77, 8, 0x2f, 0xfa, 0xff}, 5}, 0, OTHER},
		{"skip beyond", {{0x77, 8, 0x2f, 1, 0}, 5}, 0, OTHER},
		{"empty", {{0}, 0}, 0, OTHER},
		{"drop of nothing", {{0x13, 0x77, 8}, 3}, 0, OTHER},
		{"plus of one", {{0x77, 8, 0x22}, 3}, 0, OTHER},
		{"too many", {{0x77, 8, 0x12, 0x12, 0x12, 0x12, 0x12, 0x12}, 8}, 0, OTHER},
		{"as many as can be", {{0x77, 8, 0x12, 0x12, 0x12, 0x12, 0x12}, 7}, 0, RSP(8)},
		{"cut", {{0x77}, 1}, 0, OTHER},
		{"cut constant", {{0x77, 0, 0x0e, 1, 2, 3}, 6}, 0, OTHER},
		{"unknown operation", {{0x77, 8, 0xe0}, 3}, 0, OTHER},
		/* (rip & 15) >= 11 ? rsp + 16 : rsp + 8 */
		{"stub, before its push",
		 {{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, 11},
		 26,
		 RSP(8)},
		{"stub, behind it",
		 {{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, 11},
		 27,
		 RSP(16)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes p = {.b = {0x0f, (uint8_t)rows[i].code.count},
				  .count = rows[i].code.count + 2};

		memcpy(p.b + 2, rows[i].code.b, rows[i].code.count);
		check_rule(rows[i].name, rule_in(&cie, p, rows[i].offset), rows[i].wanted);
	}
	/* The block ends outside of its entry. */
	check_rule("block too long", rule_in(&cie, BYTES(0x0f, 60, 0x77, 8), 0), OTHER);
	/* Half of a rule after a block: as libgcc takes it. */
	check_rule("offset", rule_in(&cie, BYTES(0x0f, 2, 0x77, 8, 0x0e, 16), 0), RSP(8));
	check_rule("register", rule_in(&cie, BYTES(0x0e, 24, 0x0f, 2, 0x77, 8, 0x0d, 7), 0),
		   RSP(24));
	check_rule("both", rule_in(&cie, BYTES(0x0f, 2, 0x77, 8, 0x0e, 16, 0x0d, 7), 0), RSP(16));
}

/* Where a register is saved, by an expression. */
static void test_places(void **state)
{
	static const struct cie cie;
	const struct one_row rows[] = {
		{"realigned: rbp at rbp",
		 {{0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0}, 10},
		 0,
		 word(PH_CFI_AT_RBP, PH_CFI_RBP_AT_RBP, -8, 0, 0)},
		{"rbp at rsp, CFA by rbp",
		 {{0x0c, 6, 16, 0x10, 6, 2, 0x77, 24}, 8},
		 0,
		 word(PH_CFI_RBP, PH_CFI_RBP_AT_RSP, 16, 24, 0)},
		{"rbp at rsp is at the CFA too",
		 {{0x0e, 32, 0x10, 6, 2, 0x77, 0}, 7},
		 0,
		 RSP_M(32, -32)},
		{"rbp by the CFA", {{0x0e, 32, 0x10, 6, 2, 0x23, 8}, 7}, 0, RSP_M(32, 8)},
		{"rbp by a loaded CFA",
		 {{0x0f, 3, 0x77, 16, 0x06, 0x10, 6, 2, 0x48, 0x1c}, 10},
		 0,
		 word(PH_CFI_AT_RSP, PH_CFI_RBP_AT_CFA, 16, -24, 0)},
		{"rbp at what is loaded",
		 {{0x10, 6, 3, 0x77, 16, 0x06}, 6},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"rbp at r10",
		 {{0x10, 6, 2, 0x7a, 16}, 5},
		 0,
		 word(PH_CFI_RSP, PH_CFI_RBP_ELSEWHERE, 8, 0, 0)},
		{"return address by the CFA", {{0x10, 16, 2, 0x38, 0x1c}, 5}, 0, RSP(8)},
		{"return address not there", {{0x10, 16, 2, 0x37, 0x1c}, 5}, 0, OTHER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		check_rule(rows[i].name, rule_in(&cie, rows[i].program, 0), rows[i].wanted);
}

static void test_signal_frame(void **state)
{
	const struct cie cie = {.augmentation = "zRS"};
	const struct bytes whole = BYTES(0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 6, 3, 0x77, 0xf8, 0,
					 0x10, 7, 3, 0x77, 0xa0, 1, 0x10, 16, 3, 0x77, 0xa8, 1);
	struct bytes wrong = whole;

	(void)state;
	check_rule("trampoline", rule_in(&cie, whole, 0), KIND(PH_CFI_SIGNAL));
	wrong.b[22] = 0xb0;
	check_rule("another address", rule_in(&cie, wrong, 0), OTHER);
	check_rule("nothing of it", rule_in(&cie, BYTES(0), 0), OTHER);
	check_rule("not marked", rule_in(&(struct cie){0}, whole, 0), OTHER);
}

/* ---- entries ------------------------------------------------------------------------ */

static void test_encodings(void **state)
{
	static const int encodings[] = {-1,   0x01, 0x02, 0x03, 0x04, 0x08, 0x09, 0x0a, 0x0b,
					0x0c, 0x10, 0x11, 0x14, 0x18, 0x19, 0x1b, 0x1c};
	static const int refused[] = {0x20, 0x3b, 0x4b, 0x50, 0x9b, 0x05, 0x0f, 0xff};
	uintptr_t far = code;
	struct cie cie = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(encodings); i++) {
		char name[32];
		int e = encodings[i];

		snprintf(name, sizeof(name), "encoding %#x", (unsigned)e);
		cie.encoding = e;
		code = e > 0 && e < 0x10 && (e & 7) != 4 ? 0x1230 : far;
		if (e == 3)
			code = 0x87654321;
		check_rule(name, rule_in(&cie, BYTES(0x41, 0x0e, 16), 0), RSP(8));
		check_rule(name, rule_in(&cie, BYTES(0x41, 0x0e, 16), 255), RSP(16));
		check_rule(name, rule_in(&cie, BYTES(0x41, 0x0e, 16), 256), NONE);
		/* set_loc has the same encoding: here to 16 bytes behind the start. */
		if (e == -1) {
			struct bytes p = {.b = {1}, .count = 11};
			uint64_t to = code + 16;

			memcpy(p.b + 1, &to, 8);
			p.b[9] = 0x0e;
			p.b[10] = 24;
			check_rule("set_loc, before", rule_in(&cie, p, 15), RSP(8));
			check_rule("set_loc", rule_in(&cie, p, 16), RSP(24));
		}
	}
	code = far;
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		cie.encoding = refused[i];
		check_rule("refused encoding", rule_in(&cie, BYTES(0), 0), NONE);
	}
}

static void test_augmentations(void **state)
{
	const struct {
		const char *letters;
		struct bytes data;
		uint64_t wanted;
	} rows[] = {
		{"zPLR", {{0x9b, 1, 2, 3, 4, 0x1b, 0x1b}, 7}, RSP(8)},
		{"zPLR", {{0x00, 1, 2, 3, 4, 5, 6, 7, 8, 0x1b, 0x1b}, 11}, RSP(8)},
		{"zRP", {{0x1b, 0x02, 1, 2}, 4}, RSP(8)},
		{"zRPL", {{0x1b, 0x01, 0x81, 1, 0xff}, 5}, RSP(8)},
		{"zR", {{0x1b, 9, 9, 9}, 4}, RSP(8)}, /* more data than letters */
		{"zRX", {{0x1b, 0}, 2}, NONE},
		{"zPR", {{0x1b, 0}, 2}, NONE}, /* fewer than letters */
		{"zPR", {{0x05, 0x1b}, 2}, NONE},
		{"eh", {{0}, 0}, NONE},
		{"R", {{0}, 0}, NONE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct cie cie = {.augmentation = rows[i].letters, .data = rows[i].data};

		check_rule(rows[i].letters, rule_in(&cie, BYTES(0), 0), rows[i].wanted);
	}
	check_rule("z",
		   rule_in(&(struct cie){.augmentation = "z", .data = BYTES(0), .encoding = -1},
			   BYTES(0), 0),
		   RSP(8));
	check_rule("letters",
		   rule_in(&(struct cie){.augmentation = "zRSSSSSSSSSSSSS"}, BYTES(7, 16), 0), END);
	check_rule("too many letters",
		   rule_in(&(struct cie){.augmentation = "zRSSSSSSSSSSSSSS"}, BYTES(7, 16), 0),
		   NONE);
	check_rule("no letters",
		   rule_in(&(struct cie){.augmentation = "", .encoding = -1}, BYTES(0), 0), RSP(8));
	check_rule("version 3", rule_in(&(struct cie){.version = 3}, BYTES(0), 0), RSP(8));
	check_rule("version 2", rule_in(&(struct cie){.version = 2}, BYTES(0), 0), NONE);
	check_rule("version 4", rule_in(&(struct cie){.version = 4}, BYTES(0), 0), NONE);
	check_rule("another column", rule_in(&(struct cie){.column = 14}, BYTES(0), 0), NONE);
}

/* ---- finding the entry ---------------------------------------------------------------- */

struct function {
	uintptr_t offset;
	size_t bytes;
};

/* The header with its table, if `table`, then an entry for each function, each with
 * another CFA: rsp + 8 * (index + 1). */
static struct ph_cfi_module make_many(const struct function *functions, size_t count, bool table)
{
	static const struct cie cie;
	size_t at[64] = {0};
	size_t size = 0, frames = 0;

	for (int pass = 0; pass < 3; pass++) {
		size_t cie_at;

		data = (uintptr_t)(pages + ROOM - size);
		used = 0;
		put_int(table ? 0x3b031b01 : 0xffff1b01, 4);
		put_int(data + frames - (data + used), 4);
		if (table) {
			put_int(count, 4);
			for (size_t i = 0; i < count; i++) {
				put_int(code + functions[i].offset - data, 4);
				put_int(at[i], 4);
			}
		}
		frames = used;
		cie_at = put_cie(&cie);
		for (size_t i = 0; i < count; i++) {
			struct bytes p = BYTES(0x0e, (uint8_t)(8 * (i + 1)));

			at[i] = put_fde(cie_at, &cie, code + functions[i].offset,
					functions[i].bytes, &p);
		}
		put_int(0, 4);
		size = used;
	}
	return place(true);
}

static uint64_t expected(const struct function *functions, size_t count, uintptr_t offset)
{
	uint64_t rule = NONE;

	for (size_t i = 0; i < count; i++) {
		if (offset - functions[i].offset < functions[i].bytes)
			rule = RSP((int)(8 * (i + 1)));
		else if (functions[i].offset == offset + 1 && rule == NONE)
			rule = END;
	}
	return rule;
}

/* Every address around 1 to 15 functions, some adjacent, with and without table. */
static void test_search(void **state)
{
	struct function functions[15];

	(void)state;
	for (size_t count = 0; count <= 15; count++) {
		uintptr_t offset = 16;

		for (size_t i = 0; i < count; i++) {
			functions[i] = (struct function){offset, 1 + i * 5 % 7};
			offset += functions[i].bytes + (i % 3 == 0 ? 0 : i);
		}
		for (int table = 0; table < 2; table++) {
			struct ph_cfi_module m = make_many(functions, count, table);

			for (uintptr_t at = 0; at < offset + 16; at++) {
				char what[64];

				snprintf(what, sizeof(what), "%zu functions, table %d, at %zu",
					 count, table, (size_t)at);
				check_rule(what, ph_cfi_rule_of(&m, code + at),
					   expected(functions, count, at));
			}
			check_rule("far below", ph_cfi_rule_of(&m, 1), NONE);
			check_rule("far above", ph_cfi_rule_of(&m, UINTPTR_MAX), NONE);
		}
	}
}

/* A return address that no call wrote: the first byte of what has an empty entry. */
static void test_first_byte(void **state)
{
	const struct function apart[] = {{0, 15}, {16, 0}, {48, 8}};
	const struct function flush[] = {{0, 16}, {16, 0}, {48, 8}};
	const struct function calls[] = {{0, 16}, {16, 16}};
	struct ph_cfi_module m = make_many(apart, 3, true);

	(void)state;
	check_rule("apart", ph_cfi_rule_of(&m, code + 15), END);
	check_rule("its own", ph_cfi_rule_of(&m, code + 16), NONE);
	check_rule("before a real one", ph_cfi_rule_of(&m, code + 47), END);
	m = make_many(flush, 3, true);
	check_rule("flush", ph_cfi_rule_of(&m, code + 15), END);
	check_rule("one byte before", ph_cfi_rule_of(&m, code + 14), RSP(8));
	/* A call that does not return, as a function's last instruction. */
	m = make_many(calls, 2, true);
	check_rule("a real call", ph_cfi_rule_of(&m, code + 15), RSP(8));
}

static void test_entry(void **state)
{
	const struct function one[] = {{256, 16}};
	struct ph_cfi_module m = make_many(one, 1, true);

	(void)state;
	m.entry = code;
	check_rule("start code", ph_cfi_rule_of(&m, code + 7), END);
	check_rule("before it", ph_cfi_rule_of(&m, code - 1), NONE);
	check_rule("behind it", ph_cfi_rule_of(&m, code + 64), NONE);
	m.entry = code + 256;
	check_rule("with unwind data", ph_cfi_rule_of(&m, code + 256), RSP(8));
	check_rule("behind what has them", ph_cfi_rule_of(&m, code + 272), NONE);
}

static void test_no_data(void **state)
{
	struct ph_cfi_module m = {0};

	(void)state;
	check_rule("nothing", ph_cfi_rule_of(&m, code), NONE);
	m = (struct ph_cfi_module){.low = 1, .high = 1, .header = 1, .frames = 1};
	check_rule("an empty range", ph_cfi_rule_of(&m, code), NONE);
}

/* ---- damage --------------------------------------------------------------------------- */

static const struct function three[] = {{0, 64}, {64, 32}, {128, 64}};

static void check_sane(uint64_t rule)
{
	assert_in_range(ph_cfi_kind(rule), PH_CFI_RSP, PH_CFI_OTHER);
	assert_in_range(ph_cfi_rbp(rule), PH_CFI_RBP_SAME, PH_CFI_RBP_ELSEWHERE);
	if (ph_cfi_kind(rule) > PH_CFI_AT_RBP)
		check_rule("kind without fields", rule, KIND(ph_cfi_kind(rule)));
}

/* What can be read ends after each byte in turn, and begins after each. */
static void test_cut(void **state)
{
	(void)state;
	for (int table = 0; table < 2; table++) {
		struct ph_cfi_module m = make_many(three, 3, table), cut;
		size_t size = used;

		for (size_t keep = 0; keep < size; keep++) {
			uint8_t *moved = pages + ROOM - keep;

			memmove(moved, made, keep);
			cut = (struct ph_cfi_module){.low = (uintptr_t)moved,
						     .high = (uintptr_t)moved + keep,
						     .header = (uintptr_t)moved};
			for (uintptr_t at = 0; at < 200; at += 8)
				check_sane(ph_cfi_rule_of(&cut, code + at - size + keep));
		}
		memcpy(pages + ROOM - size, made, size);
		for (size_t skip_ = 1; skip_ < size; skip_++) {
			cut = m;
			cut.low += skip_;
			check_rule("no header", ph_cfi_rule_of(&cut, code), NONE);
			cut.header = cut.low;
			check_sane(ph_cfi_rule_of(&cut, code));
		}
	}
}

/* Each byte of the data takes each value. */
static void test_each_byte(void **state)
{
	(void)state;
	for (int table = 0; table < 2; table++) {
		struct ph_cfi_module m = make_many(three, 3, table);
		uint8_t *bytes = (uint8_t *)m.low;

		for (size_t i = 0; i < used; i++) {
			uint8_t old = bytes[i];

			for (unsigned value = 0; value < 256; value++) {
				bytes[i] = (uint8_t)value;
				for (uintptr_t at = 0; at < 200; at += 40)
					check_sane(ph_cfi_rule_of(&m, code + at));
			}
			bytes[i] = old;
		}
		check_rule("whole again", ph_cfi_rule_of(&m, code), RSP(8));
	}
}

static void write_at(uintptr_t address, uint32_t value)
{
	memcpy((void *)address, &value, 4);
}

/* Of a module with a table: where its first entry is. */
static uintptr_t first_entry(const struct ph_cfi_module *m)
{
	uint32_t offset;

	memcpy(&offset, (void *)(m->header + 16), 4);
	return m->header + offset;
}

static void test_damaged_entries(void **state)
{
	struct ph_cfi_module m = make_many(three, 3, true);
	uintptr_t fde = first_entry(&m);
	uint32_t length, distance;

	(void)state;
	memcpy(&length, (void *)fde, 4);
	memcpy(&distance, (void *)(fde + 4), 4);
	check_rule("whole", ph_cfi_rule_of(&m, code), RSP(8));
	write_at(fde, 0);
	check_rule("no length", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde, UINT32_MAX);
	check_rule("64 bits", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde, 0xfffffff0);
	check_rule("huge", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde, 3);
	check_rule("too short for its CIE", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde, 10);
	check_rule("too short for its address", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde, length);
	write_at(fde + 4, 0);
	check_rule("a CIE", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde + 4, 4);
	check_rule("its own CIE", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde + 4, 0x7fffffff);
	check_rule("CIE below all", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde + 4, 0xfffff000);
	check_rule("CIE above all", ph_cfi_rule_of(&m, code), OTHER);
	write_at(fde + 4, distance);
	check_rule("whole again", ph_cfi_rule_of(&m, code), RSP(8));
	write_at(m.header + 16, 0x7ffffff0);
	check_rule("entry above all", ph_cfi_rule_of(&m, code), OTHER);
	write_at(m.header + 16, 0x80000000);
	check_rule("entry below all", ph_cfi_rule_of(&m, code), OTHER);
	write_at(m.header + 8, 0xffffffff);
	check_sane(ph_cfi_rule_of(&m, code + 64));
}

static void test_damaged_programs(void **state)
{
	static const struct cie cie;
	const struct one_row rows[] = {
		{"restore_state of nothing", {{0x0b}, 1}, 0, OTHER},
		{"too many states",
		 {{0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a}, 9},
		 0,
		 OTHER},
		{"as many as can be",
		 {{0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a, 0x0a}, 8},
		 0,
		 RSP(8)},
		{"unknown instruction", {{0x3f}, 1}, 0, OTHER},
		{"another machine's", {{0x1d, 0, 0, 0, 0, 0, 0, 0, 0}, 9}, 0, OTHER},
		{"no operand", {{0, 0, 0x0e}, 3}, 0, OTHER},
		{"unknown, but behind", {{0x44, 0x3f}, 2}, 3, RSP(8)},
		{"backwards",
		 {{4, 0xff, 0xff, 0xff, 0xff, 4, 0xff, 0xff, 0xff, 0xff, 0x0e, 24}, 12},
		 0,
		 RSP(8)},
		{"LEB without end",
		 {{0x0e, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, 12},
		 0,
		 OTHER},
		{"LEB of more than 64 bits",
		 {{0x0e, 0x88, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0}, 12},
		 0,
		 OTHER},
		{"block without end", {{0x16, 3, 0xff, 0xff, 0xff, 0x7f}, 6}, 0, OTHER},
	};
	const struct cie advancing = {.program = BYTES(0x0c, 7, 8, 0x90, 1, 0x41)};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct bytes p = rows[i].program;

		/* Without padding: what is cut must be at the end. */
		while ((p.count + 17) % 4 != 0 && strcmp(rows[i].name, "no operand") == 0) {
			memmove(p.b + 1, p.b, p.count++);
			p.b[0] = 0;
		}
		check_rule(rows[i].name, rule_in(&cie, p, rows[i].offset), rows[i].wanted);
	}
	check_rule("the CIE's goes on", rule_in(&advancing, BYTES(0), 0), OTHER);
}

/* More instructions than any compiler writes, in one entry. */
static void test_endless_program(void **state)
{
	enum { BYTES_ = 1 << 20 };
	static const struct cie cie;
	static const struct bytes none;
	struct ph_cfi_module m;
	uint8_t *big =
		mmap(NULL, BYTES_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t fde;
	uintptr_t far = code;

	(void)state;
	assert_ptr_not_equal(big, MAP_FAILED);
	code = (uintptr_t)big + (2u << 20);
	data = (uintptr_t)big;
	used = 0;
	fde = put_cie(&cie);
	fde = put_fde(fde, &cie, code, 256, &none);
	memcpy(big, made, used);
	write_at(data + fde, (uint32_t)(BYTES_ - fde - 4));
	m = (struct ph_cfi_module){.low = data, .high = data + BYTES_, .frames = data};
	check_rule("endless", ph_cfi_rule_of(&m, code), OTHER);
	write_at(data + fde, 200000);
	check_rule("merely long", ph_cfi_rule_of(&m, code), RSP(8));
	code = far;
	munmap(big, BYTES_);
}

/* ---- this process ----------------------------------------------------------------------- */

enum { DEPTH = 64 };

static uint64_t load(uint64_t address)
{
	return *(const uint64_t *)address;
}

struct registers {
	uint64_t ip, sp, bp;
	bool exact;
};

/* One frame outwards. False: it was the last. */
static bool step_out(struct registers *r, bool *wrong)
{
	uint64_t rule = ph_cfi_rule(r->ip - !r->exact), cfa;

	switch (ph_cfi_kind(rule)) {
	case PH_CFI_RSP:
		cfa = r->sp + (uint64_t)ph_cfi_n(rule);
		break;
	case PH_CFI_RBP:
		cfa = r->bp + (uint64_t)ph_cfi_n(rule);
		break;
	case PH_CFI_AT_RSP:
		cfa = load(r->sp + (uint64_t)ph_cfi_n(rule)) + (uint64_t)ph_cfi_c(rule);
		break;
	case PH_CFI_AT_RBP:
		cfa = load(r->bp + (uint64_t)ph_cfi_n(rule)) + (uint64_t)ph_cfi_c(rule);
		break;
	case PH_CFI_SIGNAL:
		*r = (struct registers){.ip = load(r->sp + PH_CFI_SIGNAL_RIP),
					.bp = load(r->sp + PH_CFI_SIGNAL_RBP),
					.sp = load(r->sp + PH_CFI_SIGNAL_RSP),
					.exact = true};
		return true;
	default:
		*wrong = ph_cfi_kind(rule) != PH_CFI_END;
		return false;
	}
	if (ph_cfi_rbp(rule) == PH_CFI_RBP_AT_CFA)
		r->bp = load(cfa + (uint64_t)ph_cfi_m(rule));
	else if (ph_cfi_rbp(rule) == PH_CFI_RBP_AT_RBP)
		r->bp = load(r->bp + (uint64_t)ph_cfi_m(rule));
	*r = (struct registers){.ip = load(cfa - 8), .sp = cfa, .bp = r->bp};
	return true;
}

static unsigned compared, crossed_signal;

/* The caller's stack by our rules and by libgcc. */
static __attribute__((noinline)) void compare_stacks(void)
{
	const uint64_t *frame = __builtin_frame_address(0);
	struct registers r = {.ip = frame[1], .sp = (uint64_t)(frame + 2), .bp = frame[0]};
	void *by_libgcc[DEPTH];
	int count = backtrace(by_libgcc, DEPTH), at = 0;
	bool more = true, wrong = false;

	while (at < count && (uint64_t)by_libgcc[at] != r.ip)
		at++;
	assert_true(at < count);
	for (; at < count && more; at++) {
		if ((uint64_t)by_libgcc[at] != r.ip)
			fail_msg("frame %d: %#llx by our rules, %p by libgcc", at,
				 (unsigned long long)r.ip, by_libgcc[at]);
		more = step_out(&r, &wrong);
		crossed_signal += r.exact;
	}
	assert_false(wrong);
	assert_false(more);
	assert_int_equal(at, count);
	compared++;
}

static int by_value(const void *a, const void *b)
{
	compare_stacks();
	return *(const int *)a - *(const int *)b;
}

static void on_signal(int signal)
{
	(void)signal;
	compare_stacks();
}

/* Realigned, and of a size that only rbp knows. */
static __attribute__((noinline)) void with_odd_frame(size_t bytes)
{
	_Alignas(64) volatile char aligned[64];
	volatile char *variable = __builtin_alloca(bytes);

	aligned[0] = variable[0] = 1;
	compare_stacks();
	variable[1] = aligned[0];
}

static ucontext_t outside, inside;

static void in_coroutine(void)
{
	compare_stacks();
	with_odd_frame(33);
}

static void test_own_stack(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal};
	int numbers[] = {3, 1, 2};

	(void)state;
	ph_cfi_begin((ph_cfi_find_object *)dlsym(RTLD_DEFAULT, "_dl_find_object"), NULL);
	if (dlsym(RTLD_DEFAULT, "_dl_find_object") == NULL)
		skip();
	compared = crossed_signal = 0;
	compare_stacks();
	for (size_t bytes = 16; bytes < 3000; bytes += 777)
		with_odd_frame(bytes);
	qsort(numbers, 3, sizeof(numbers[0]), by_value);
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_true(crossed_signal > 0);
	assert_true(compared >= 8);
}

static void test_coroutine(void **state)
{
	static char stack[64 * 1024];

	(void)state;
	if (dlsym(RTLD_DEFAULT, "_dl_find_object") == NULL)
		skip();
	compared = 0;
	assert_int_equal(getcontext(&inside), 0);
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = sizeof(stack);
	inside.uc_link = &outside;
	makecontext(&inside, in_coroutine, 0);
	assert_int_equal(swapcontext(&outside, &inside), 0);
	assert_int_equal(compared, 2);
}

static unsigned asked;

static bool find_nothing(uintptr_t pc, struct ph_cfi_module *module)
{
	(void)pc;
	(void)module;
	asked++;
	return false;
}

static int of_this_file(struct dl_phdr_info *info, size_t size, void *out)
{
	struct ph_cfi_module *m = out;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_GNU_EH_FRAME)
			m->header = info->dlpi_addr + p->p_vaddr;
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t low = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && m->header - low < p->p_filesz) {
			m->low = low;
			m->high = low + p->p_filesz;
		}
	}
	return 1;
}

static bool find_this_file(uintptr_t pc, struct ph_cfi_module *module)
{
	(void)pc;
	asked++;
	*module = (struct ph_cfi_module){0};
	return dl_iterate_phdr(of_this_file, module) == 1;
}

/* The same words by the caller's list as by the loader's. */
static void test_finding(void **state)
{
	const uintptr_t pc = (uintptr_t)step_out;
	ph_cfi_find_object *find = (ph_cfi_find_object *)dlsym(RTLD_DEFAULT, "_dl_find_object");
	uint64_t listed;

	(void)state;
	asked = 0;
	ph_cfi_begin(NULL, NULL);
	check_rule("nothing to ask", ph_cfi_rule(pc), NONE);
	ph_cfi_begin(find, find_nothing);
	check_rule("in no module", ph_cfi_rule((uintptr_t)pages), NONE);
	assert_int_equal(asked, 1);
	ph_cfi_begin(NULL, find_this_file);
	listed = ph_cfi_rule(pc);
	assert_int_equal(ph_cfi_kind(listed), PH_CFI_RSP);
	assert_int_equal(asked, 2);
	ph_cfi_begin(find, NULL);
	if (find != NULL)
		check_rule("by the loader", ph_cfi_rule(pc), listed);
}

static void test_layout(void **state)
{
	(void)state;
#ifdef DLFO_STRUCT_HAS_EH_DBASE
	assert_int_equal(sizeof(struct ph_cfi_object), sizeof(struct dl_find_object));
	assert_int_equal(offsetof(struct ph_cfi_object, map_start),
			 offsetof(struct dl_find_object, dlfo_map_start));
	assert_int_equal(offsetof(struct ph_cfi_object, map_end),
			 offsetof(struct dl_find_object, dlfo_map_end));
	assert_int_equal(offsetof(struct ph_cfi_object, eh_frame),
			 offsetof(struct dl_find_object, dlfo_eh_frame));
#else
	skip();
#endif
}

static int first_page_of_this_file(struct dl_phdr_info *info, size_t size, void *out)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_LOAD) {
			*(char **)out = (char *)info->dlpi_addr +
					(info->dlpi_phdr[i].p_vaddr & ~(uintptr_t)(PAGE - 1));
			return 1;
		}
	}
	return 0;
}

/* The segment and the entry from the ELF header, and ranges without one. */
static void test_describe(void **state)
{
	struct ph_cfi_module truth = {0}, m;
	uintptr_t start, end;
	char *first_page;

	(void)state;
	dl_iterate_phdr(of_this_file, &truth);
	assert_int_equal(dl_iterate_phdr(first_page_of_this_file, &first_page), 1);
	start = (uintptr_t)first_page;
	end = truth.high + PAGE;
	assert_true(ph_cfi_describe(start, end, truth.header, &m));
	assert_int_equal(m.low, truth.low);
	assert_int_equal(m.high, truth.high);
	assert_int_equal(m.header, truth.header);
	assert_int_equal(m.entry, start + ((ElfW(Ehdr) *)start)->e_entry);
	assert_false(ph_cfi_describe(start, end, 0, &m));
	assert_false(ph_cfi_describe(start, end, end, &m));
	/* A segment that does not fit is not believed. */
	assert_true(ph_cfi_describe(start, truth.high - 1, truth.header, &m));
	assert_true(m.low >= start && m.high <= truth.high - 1);
	/* Headers that say anything. */
	for (unsigned round = 0; round < 100000; round++) {
		uintptr_t copy = (uintptr_t)pages, header = copy + next_random() % ROOM;

		if (round % 16 == 0)
			memcpy(pages, first_page, PAGE);
		pages[16 + next_random() % 800] = (uint8_t)next_random();
		assert_true(ph_cfi_describe(copy, copy + ROOM, header, &m));
		assert_true(m.low >= copy && m.low <= header && m.high > header &&
			    m.high <= copy + ROOM);
	}
	/* No ELF file begins there. */
	memset(pages, 0, PAGE);
	assert_true(ph_cfi_describe((uintptr_t)pages, (uintptr_t)pages + PAGE, (uintptr_t)pages + 8,
				    &m));
	assert_int_equal(m.low, (uintptr_t)pages);
	assert_int_equal(m.high, (uintptr_t)pages + PAGE);
	assert_int_equal(m.entry, 0);
}

/* ---- how much stack ----------------------------------------------------------------- */

static uintptr_t looked_up[20000];
static size_t lookups;

/* The middle of each function, and its start, of everything that is loaded. */
static int collect(struct dl_phdr_info *info, size_t size, void *out)
{
	struct ph_cfi_module m = {0};
	uint32_t count = 0;

	(void)out;
	of_this_file(info, size, &m);
	if (m.header == 0 || ((const uint8_t *)m.header)[3] != 0x3b)
		return 0;
	memcpy(&count, (const void *)(m.header + 8), 4);
	for (uint32_t i = 0; i < count && lookups + 2 <= COUNT_OF(looked_up); i++) {
		int32_t pair[2];
		uint32_t bytes;

		memcpy(pair, (const void *)(m.header + 12 + 8 * (size_t)i), 8);
		memcpy(&bytes, (const void *)(m.header + (uintptr_t)(intptr_t)pair[1] + 12), 4);
		looked_up[lookups] = m.header + (uintptr_t)(intptr_t)pair[0];
		looked_up[lookups + 1] = looked_up[lookups] + bytes / 2;
		lookups += bytes != 0 ? 2 : 0;
	}
	return 0;
}

enum { PAINT = 0xa5, PROMISED = 1024 };
static unsigned char painted[32 * 1024];
static unsigned char *painted_top;
static size_t without_data;

static void look_up_all(void)
{
	painted_top = __builtin_frame_address(0);
	for (size_t i = 0; i < lookups; i++)
		without_data += ph_cfi_kind(ph_cfi_rule(looked_up[i])) == PH_CFI_NONE;
}

/* As much as the header says, with the loader's part. */
static void test_stack_use(void **state)
{
	const unsigned char *deepest = painted;

	(void)state;
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__)
	skip();
#endif
	if (dlsym(RTLD_DEFAULT, "_dl_find_object") == NULL)
		skip();
	dl_iterate_phdr(collect, NULL);
	assert_true(lookups > 1000);
	memset(painted, PAINT, sizeof(painted));
	assert_int_equal(getcontext(&inside), 0);
	inside.uc_stack.ss_sp = painted;
	inside.uc_stack.ss_size = sizeof(painted);
	inside.uc_link = &outside;
	makecontext(&inside, look_up_all, 0);
	assert_int_equal(swapcontext(&outside, &inside), 0);
	while (*deepest == PAINT)
		deepest++;
	/* The kernel's functions are found, like all others. */
	assert_int_equal(without_data, 0);
	/* look_up_all() itself has a little. */
	assert_in_range(painted_top - deepest, 256, PROMISED + 64);
}

/* ---- damaged copies of real data -------------------------------------------------------- */

struct copy {
	struct ph_cfi_module m;
	uint8_t *bytes;
	size_t size;
	uint32_t functions;
	size_t mapped;
};

/* libc's, from its header to the end of its segment, between pages without access:
 * what is relative to itself is right, wherever it is. */
static int copy_libc(struct dl_phdr_info *info, size_t size, void *out)
{
	struct copy *c = out;
	struct ph_cfi_module m = {0};
	uint8_t *all;

	if (strstr(info->dlpi_name, "libc.so") == NULL)
		return 0;
	of_this_file(info, size, &m);
	c->size = m.high - m.header;
	c->mapped = (c->size + PAGE - 1) / PAGE * PAGE + 2 * PAGE;
	all = mmap(NULL, c->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(all, MAP_FAILED);
	assert_int_equal(mprotect(all + PAGE, c->mapped - 2 * PAGE, PROT_READ | PROT_WRITE), 0);
	/* The end of the data is the end of what can be read. */
	c->bytes = all + c->mapped - PAGE - c->size;
	memcpy(c->bytes, (void *)m.header, c->size);
	c->m = (struct ph_cfi_module){.low = (uintptr_t)c->bytes,
				      .high = (uintptr_t)c->bytes + c->size,
				      .header = (uintptr_t)c->bytes};
	memcpy(&c->functions, c->bytes + 8, 4);
	return 1;
}

static uint32_t copied_half(const struct copy *c, size_t i, unsigned half)
{
	uint32_t value;

	memcpy(&value, c->bytes + 12 + 8 * i + 4 * half, 4);
	return value;
}

/* A few bytes where they matter: the header, a pair of the table, the entry, the
 * beginning of all entries (a CIE), or anywhere. */
static size_t where_to_damage(const struct copy *c, size_t function)
{
	switch (next_random() % 8) {
	case 0:
		return next_random() % 12;
	case 1:
		return 12 + 8 * function + next_random() % 8;
	case 2:
		return copied_half(c, 0, 1) - next_random() % 32;
	case 3:
		return next_random();
	default:
		return copied_half(c, function, 1) + next_random() % 48;
	}
}

static void look_around(const struct copy *c, size_t function)
{
	uintptr_t start = c->m.header + (uintptr_t)(intptr_t)(int32_t)copied_half(c, function, 0);
	struct ph_cfi_module without_header = c->m;

	for (unsigned i = 0; i < 8; i++)
		check_sane(ph_cfi_rule_of(&c->m, start + next_random() % 300));
	if (next_random() % 64 == 0) {
		without_header.frames = c->m.header + copied_half(c, 0, 1) % c->size;
		without_header.header = 0;
		check_sane(ph_cfi_rule_of(&without_header, start));
	}
}

static void test_damaged_copies(void **state)
{
	enum { DAMAGES = 12 };
	const char *stress = getenv("PERFHOOK_STRESS");
	unsigned rounds = stress != NULL && strcmp(stress, "full") == 0 ? 2000000 : 250000;
	struct copy c = {0};

	(void)state;
	if (dl_iterate_phdr(copy_libc, &c) == 0 || c.bytes[3] != 0x3b)
		skip();
	assert_true(c.functions > 100);
	alarm(600); /* ends the test, if anything does not end */
	for (unsigned round = 0; round < rounds; round++) {
		size_t function = next_random() % c.functions, at[DAMAGES];
		unsigned damages = 1 + next_random() % DAMAGES;
		uint8_t old[DAMAGES];

		for (unsigned i = 0; i < damages; i++) {
			at[i] = where_to_damage(&c, function) % c.size;
			old[i] = c.bytes[at[i]];
			c.bytes[at[i]] = (uint8_t)(next_random() % 4 == 0 ? 0xff : next_random());
		}
		look_around(&c, function);
		for (unsigned i = damages; i-- > 0;)
			c.bytes[at[i]] = old[i];
		/* The words of the undamaged copy are those of libc. */
		if (round % 1000 == 0)
			assert_int_not_equal(
				ph_cfi_kind(ph_cfi_rule_of(
					&c.m, c.m.header + (uintptr_t)(intptr_t)(int32_t)
								   copied_half(&c, function, 0))),
				PH_CFI_NONE);
	}
	alarm(0);
	munmap(c.bytes + c.size + PAGE - c.mapped, c.mapped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
#ifdef __x86_64__
		cmocka_unit_test(test_instructions),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_alignments),
		cmocka_unit_test(test_expressions),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_signal_frame),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_augmentations),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_first_byte),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_no_data),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_each_byte),
		cmocka_unit_test(test_damaged_entries),
		cmocka_unit_test(test_damaged_programs),
		cmocka_unit_test(test_endless_program),
		cmocka_unit_test(test_own_stack),
		cmocka_unit_test(test_coroutine),
		cmocka_unit_test(test_stack_use),
		cmocka_unit_test(test_finding),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_damaged_copies),
#endif
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
