/* SPDX-License-Identifier: MIT */
#include "preload/cfi.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "preload/compiler.h"

#define RULE(kind) ((uint64_t)(kind) << 1)

/* Code without unwind data that stands this close behind the entry is the start
 * code: the loader's own has none, and calls all constructors. */
#define ENTRY_BYTES 64

static ph_cfi_find_object *find_object;
static ph_cfi_find_module *find_module;

void ph_cfi_begin(ph_cfi_find_object *object, ph_cfi_find_module *module)
{
	find_object = object;
	find_module = module;
}

#if defined(__x86_64__)

enum { REG_RBP = 6, REG_RSP = 7, REG_RIP = 16 }; /* psABI x86-64, figure 3.36 */

/* What no real data come near, so that damaged ones end soon. */
#define INSTRUCTIONS_MAX (1u << 18) /* of one entry */
#define OPERATIONS_MAX	 64	    /* of one expression */
#define ENTRIES_MAX	 (1u << 20) /* of one .eh_frame, searched from its start */
#define REMEMBERED_MAX	 8	    /* states; compilers nest one */
#define LETTERS_MAX	 15	    /* of an augmentation */
#define VALUES_MAX	 6	    /* on an expression's stack */

/* ---- reading ------------------------------------------------------------- */

/* Reads nothing beyond `end`: then it is bad, and gives zeros. */
struct reader {
	const uint8_t *at, *end;
	bool bad;
};

static bool open_reader(struct reader *r, const struct ph_cfi_module *m, uintptr_t address)
{
	if (address < m->low || address >= m->high)
		return false;
	*r = (struct reader){.at = (const uint8_t *)address, .end = (const uint8_t *)m->high};
	return true;
}

static const uint8_t *take(struct reader *r, uint64_t bytes)
{
	const uint8_t *at = r->at;

	if (unlikely(bytes > (uint64_t)(r->end - r->at))) {
		r->bad = true;
		r->at = r->end;
		return NULL;
	}
	r->at += bytes;
	return at;
}

static inline uint8_t read_u8(struct reader *r)
{
	if (unlikely(r->at >= r->end)) {
		r->bad = true;
		return 0;
	}
	return *r->at++;
}

#define READ_FIXED(type)                                                                           \
	static inline type##_t read_##type(struct reader *r)                                       \
	{                                                                                          \
		const uint8_t *at = take(r, sizeof(type##_t));                                     \
		type##_t value = 0;                                                                \
                                                                                                   \
		if (at != NULL)                                                                    \
			memcpy(&value, at, sizeof(value));                                         \
		return value;                                                                      \
	}
READ_FIXED(uint16)
READ_FIXED(uint32)
READ_FIXED(uint64)

/* LEB128. Bits beyond the 64th are an error. */
static uint64_t read_long(struct reader *r, bool is_signed)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = read_u8(r);
		if (shift >= 64) {
			r->bad = true;
			return 0;
		}
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (is_signed && (byte & 0x40) && shift < 64)
		value |= ~UINT64_C(0) << shift;
	return value;
}

static inline uint64_t read_uleb(struct reader *r)
{
	if (likely(r->at < r->end && *r->at < 0x80))
		return *r->at++;
	return read_long(r, false);
}

static inline int64_t read_sleb(struct reader *r)
{
	return (int64_t)read_long(r, true);
}

/* Encodings of pointers: LSB Core, 10.5 "DWARF Extensions". */
enum {
	PE_OMIT = 0xff,
	PE_FORMAT = 0x0f,
	PE_ABSPTR = 0x00,
	PE_ULEB = 0x01,
	PE_UDATA2 = 0x02,
	PE_UDATA4 = 0x03,
	PE_UDATA8 = 0x04,
	PE_SIGNED = 0x08, /* as large as a pointer */
	PE_SLEB = 0x09,
	PE_SDATA2 = 0x0a,
	PE_SDATA4 = 0x0b,
	PE_SDATA8 = 0x0c,
	PE_BASE = 0x70,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_INDIRECT = 0x80,
};

static uint64_t read_format(struct reader *r, unsigned format)
{
	switch (format) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SIGNED:
	case PE_SDATA8:
		return read_uint64(r);
	case PE_UDATA4:
		return read_uint32(r);
	case PE_SDATA4:
		return (uint64_t)(int32_t)read_uint32(r);
	case PE_UDATA2:
		return read_uint16(r);
	case PE_SDATA2:
		return (uint64_t)(int16_t)read_uint16(r);
	case PE_ULEB:
		return read_uleb(r);
	case PE_SLEB:
		return (uint64_t)read_sleb(r);
	default:
		r->bad = true;
		return 0;
	}
}

/* A pointer; `data` is what DATAREL counts from, 0 where nothing is. One that is
 * 0 as it stands is a null pointer whatever it is relative to. */
static uintptr_t read_pointer(struct reader *r, unsigned encoding, uintptr_t data)
{
	uintptr_t base = 0;
	uint64_t value;

	switch (encoding & (PE_BASE | PE_INDIRECT)) {
	case PE_ABSPTR:
		break;
	case PE_PCREL:
		base = (uintptr_t)r->at;
		break;
	case PE_DATAREL:
		r->bad |= data == 0;
		base = data;
		break;
	default:
		r->bad = true;
	}
	value = read_format(r, encoding & PE_FORMAT);
	return value != 0 ? base + value : 0;
}

/* ---- expressions ----------------------------------------------------------- */

/* As far as it is known before there are registers. */
struct value {
	enum { UNKNOWN, CONSTANT, REGISTER, LOADED } what;
	unsigned reg; /* of REGISTER and LOADED: REG_RSP or REG_RBP */
	int64_t n;    /* REGISTER: reg + n. LOADED: [reg + n] + c */
	int64_t c;    /* CONSTANT: c */
};

static const struct value unknown = {.what = UNKNOWN};

static struct value constant(uint64_t c)
{
	return (struct value){.what = CONSTANT, .c = (int64_t)c};
}

static struct value register_plus(uint64_t reg, int64_t n)
{
	if (reg != REG_RSP && reg != REG_RBP)
		return unknown;
	return (struct value){.what = REGISTER, .reg = (unsigned)reg, .n = n};
}

static struct value plus(struct value v, int64_t addend)
{
	int64_t *sum = v.what == REGISTER ? &v.n : &v.c;

	*sum = (int64_t)((uint64_t)*sum + (uint64_t)addend);
	return v;
}

static struct value load(struct value address)
{
	if (address.what != REGISTER)
		return unknown;
	address.what = LOADED;
	address.c = 0;
	return address;
}

/* DWARF 5, 2.5.1: what compilers and assemblers write into unwind data. */
enum {
	OP_DEREF = 0x06,
	OP_CONST1U = 0x08,
	OP_CONST1S,
	OP_CONST2U,
	OP_CONST2S,
	OP_CONST4U,
	OP_CONST4S,
	OP_CONST8U,
	OP_CONST8S,
	OP_CONSTU,
	OP_CONSTS,
	OP_DUP,
	OP_DROP,
	OP_OVER,
	OP_SWAP = 0x16,
	OP_ABS = 0x19,
	OP_AND,
	OP_MINUS = 0x1c,
	OP_MUL = 0x1e,
	OP_NEG,
	OP_NOT,
	OP_OR,
	OP_PLUS,
	OP_PLUS_UCONST,
	OP_SHL,
	OP_SHR,
	OP_SHRA,
	OP_XOR,
	OP_BRA = 0x28,
	OP_EQ,
	OP_GE,
	OP_GT,
	OP_LE,
	OP_LT,
	OP_NE,
	OP_SKIP,
	OP_LIT0,
	OP_LIT31 = 0x4f,
	OP_BREG0 = 0x70,
	OP_BREG31 = 0x8f,
	OP_BREGX = 0x92,
	OP_NOP = 0x96,
};

static struct value compute(unsigned op, struct value left, struct value right)
{
	uint64_t a = (uint64_t)left.c, b = (uint64_t)right.c;

	if (op == OP_PLUS && left.what == CONSTANT)
		return plus(right, left.c);
	if (op == OP_PLUS && right.what == CONSTANT)
		return plus(left, right.c);
	if (op == OP_MINUS && right.what == CONSTANT)
		return plus(left, (int64_t)-b);
	if (left.what != CONSTANT || right.what != CONSTANT)
		return unknown;
	switch (op) {
	case OP_AND:
		return constant(a & b);
	case OP_OR:
		return constant(a | b);
	case OP_XOR:
		return constant(a ^ b);
	case OP_MUL:
		return constant(a * b);
	case OP_SHL:
		return constant(b < 64 ? a << b : 0);
	case OP_SHR:
		return constant(b < 64 ? a >> b : 0);
	case OP_SHRA:
		return constant((uint64_t)(left.c >> (b < 64 ? b : 63)));
	case OP_EQ:
		return constant(a == b);
	case OP_NE:
		return constant(a != b);
	case OP_GE:
		return constant(left.c >= right.c);
	case OP_GT:
		return constant(left.c > right.c);
	case OP_LE:
		return constant(left.c <= right.c);
	case OP_LT:
		return constant(left.c < right.c);
	default:
		return unknown;
	}
}

static uint64_t read_constant(struct reader *r, unsigned op)
{
	switch (op) {
	case OP_CONST1U:
		return read_u8(r);
	case OP_CONST1S:
		return (uint64_t)(int8_t)read_u8(r);
	case OP_CONST2U:
		return read_uint16(r);
	case OP_CONST2S:
		return (uint64_t)(int16_t)read_uint16(r);
	case OP_CONST4U:
		return read_uint32(r);
	case OP_CONST4S:
		return (uint64_t)(int32_t)read_uint32(r);
	case OP_CONSTU:
		return read_uleb(r);
	case OP_CONSTS:
		return (uint64_t)read_sleb(r);
	default:
		return read_uint64(r);
	}
}

struct machine {
	struct reader code;
	const uint8_t *start;
	uintptr_t pc;
	unsigned count;
	struct value values[VALUES_MAX];
};

static void push(struct machine *m, struct value v)
{
	if (m->count == VALUES_MAX)
		m->code.bad = true;
	else
		m->values[m->count++] = v;
}

static struct value pop(struct machine *m)
{
	if (m->count == 0) {
		m->code.bad = true;
		return unknown;
	}
	return m->values[--m->count];
}

static void jump(struct machine *m, int16_t distance)
{
	if (distance < m->start - m->code.at || distance > m->code.end - m->code.at)
		m->code.bad = true;
	else
		m->code.at += distance;
}

static void branch(struct machine *m)
{
	int16_t distance = (int16_t)read_uint16(&m->code);
	struct value condition = pop(m);

	if (condition.what != CONSTANT)
		m->code.bad = true;
	else if (condition.c != 0)
		jump(m, distance);
}

static void push_register(struct machine *m, uint64_t reg)
{
	int64_t n = read_sleb(&m->code);

	/* A table of jumps to other libraries pushes one more word halfway through
	 * each of its entries, and says so by the address. */
	push(m, reg == REG_RIP ? constant(m->pc + (uint64_t)n) : register_plus(reg, n));
}

/* Operations on the topmost value alone. */
static struct value change(struct machine *m, unsigned op, struct value v)
{
	if (op == OP_DEREF)
		return load(v);
	if (op == OP_PLUS_UCONST)
		return plus(v, (int64_t)read_uleb(&m->code));
	if (v.what != CONSTANT)
		return unknown;
	if (op == OP_NOT)
		return constant(~(uint64_t)v.c);
	return constant(op == OP_NEG || v.c < 0 ? -(uint64_t)v.c : (uint64_t)v.c);
}

static void operate(struct machine *m, unsigned op)
{
	struct value top, next;

	switch (op) {
	case OP_CONST1U ... OP_CONSTS:
		push(m, constant(read_constant(&m->code, op)));
		break;
	case OP_LIT0 ... OP_LIT31:
		push(m, constant(op - OP_LIT0));
		break;
	case OP_BREG0 ... OP_BREG31:
		push_register(m, op - OP_BREG0);
		break;
	case OP_BREGX:
		push_register(m, read_uleb(&m->code));
		break;
	case OP_DUP:
		top = pop(m);
		push(m, top);
		push(m, top);
		break;
	case OP_DROP:
		pop(m);
		break;
	case OP_OVER:
	case OP_SWAP:
		top = pop(m);
		next = pop(m);
		push(m, op == OP_OVER ? next : top);
		push(m, op == OP_OVER ? top : next);
		if (op == OP_OVER)
			push(m, next);
		break;
	case OP_DEREF:
	case OP_PLUS_UCONST:
	case OP_ABS:
	case OP_NEG:
	case OP_NOT:
		push(m, change(m, op, pop(m)));
		break;
	case OP_AND:
	case OP_MINUS:
	case OP_MUL:
	case OP_OR:
	case OP_PLUS:
	case OP_SHL ... OP_XOR:
	case OP_EQ ... OP_NE:
		top = pop(m);
		push(m, compute(op, pop(m), top));
		break;
	case OP_BRA:
		branch(m);
		break;
	case OP_SKIP:
		jump(m, (int16_t)read_uint16(&m->code));
		break;
	case OP_NOP:
		break;
	default:
		m->code.bad = true;
	}
}

/* A block (its length first) at `at`, with `first` on the stack unless NULL. */
static PH_NOINLINE struct value evaluate(const uint8_t *at, const struct reader *entry,
					 uintptr_t pc, const struct value *first)
{
	struct machine m = {.code = {.at = at, .end = entry->end}, .pc = pc};
	uint64_t bytes = read_uleb(&m.code);
	unsigned left = OPERATIONS_MAX;

	m.start = m.code.at;
	if (m.code.bad || bytes > (uint64_t)(m.code.end - m.code.at))
		return unknown;
	m.code.end = m.code.at + bytes;
	if (first != NULL)
		push(&m, *first);
	while (m.code.at < m.code.end && !m.code.bad) {
		if (left-- == 0)
			return unknown;
		operate(&m, read_u8(&m.code));
	}
	return m.code.bad || m.count == 0 ? unknown : m.values[m.count - 1];
}

/* ---- entries --------------------------------------------------------------- */

/* Of a common information entry (CIE). */
struct common {
	uint64_t code_align;
	int64_t data_align;
	struct reader program;
	uint8_t encoding; /* of the addresses in its FDEs */
	bool sized;	  /* its FDEs have augmentation data, with their length */
	bool signal;
};

/* Of a frame description entry (FDE). */
struct entry {
	struct common common;
	struct reader program;
	uintptr_t start, bytes; /* of the code */
};

/* A length and what it counts; r ends with it. The 64-bit form is defined for
 * entries of more than 4 GiB, and nothing writes it. */
static bool open_entry(struct reader *r)
{
	uint32_t length = read_uint32(r);

	if (r->bad || length == 0 || length == UINT32_MAX || length > (uint64_t)(r->end - r->at))
		return false;
	r->end = r->at + length;
	return true;
}

/* The augmentation data, one item for each letter after the "z". */
static void read_augmentation(struct common *c, struct reader *r, const uint8_t *letter)
{
	for (; *letter != '\0' && !r->bad; letter++) {
		uint8_t encoding;

		switch (*letter) {
		case 'R':
			c->encoding = read_u8(r);
			break;
		case 'P': /* what handles exceptions; only its size matters */
			encoding = read_u8(r);
			read_format(r, encoding & PE_FORMAT);
			break;
		case 'L':
			read_u8(r);
			break;
		case 'S':
			c->signal = true;
			break;
		default:
			r->bad = true;
		}
	}
}

static bool read_common(const struct ph_cfi_module *m, uintptr_t address, struct common *c)
{
	const uint8_t *letters, *data;
	struct reader r;
	unsigned count = 0;
	uint64_t column;
	uint8_t version;

	*c = (struct common){.encoding = PE_ABSPTR};
	if (!open_reader(&r, m, address) || !open_entry(&r) || read_uint32(&r) != 0)
		return false;
	version = read_u8(&r);
	letters = r.at;
	while (read_u8(&r) != '\0')
		if (++count > LETTERS_MAX)
			return false;
	c->code_align = read_uleb(&r);
	c->data_align = read_sleb(&r);
	column = version == 1 ? read_u8(&r) : read_uleb(&r);
	if (r.bad || (version != 1 && version != 3) || column != REG_RIP)
		return false;
	if (*letters == 'z') {
		uint64_t bytes = read_uleb(&r);
		struct reader items = r;

		data = take(&r, bytes);
		if (data == NULL)
			return false;
		items.end = r.at;
		c->sized = true;
		read_augmentation(c, &items, letters + 1);
		if (items.bad)
			return false;
	} else if (*letters != '\0') {
		return false;
	}
	c->program = r;
	return !r.bad;
}

/* Is there an FDE at r, and where is its CIE? r goes to the address in it. */
static bool open_description(struct reader *r, uintptr_t *common)
{
	uintptr_t here;
	uint32_t distance;

	if (!open_entry(r))
		return false;
	here = (uintptr_t)r->at;
	distance = read_uint32(r);
	*common = here - distance;
	return distance != 0 && !r->bad;
}

/* The rest of an FDE whose `common` has been read. */
static bool read_description(struct reader *r, struct entry *e)
{
	e->start = read_pointer(r, e->common.encoding, 0);
	e->bytes = read_format(r, e->common.encoding & PE_FORMAT);
	if (e->common.sized)
		take(r, read_uleb(r));
	e->program = *r;
	return !r->bad;
}

static bool read_entry(const struct ph_cfi_module *m, uintptr_t address, struct entry *e)
{
	uintptr_t common;
	struct reader r;

	return open_reader(&r, m, address) && open_description(&r, &common) &&
	       read_common(m, common, &e->common) && read_description(&r, e);
}

/* ---- from an address to its entry ------------------------------------------ */

/* NEXT: none, and one begins right behind the address. */
enum found { FOUND, MISSING, NEXT, DAMAGED };

/* Is this the address of a call that is not one? makecontext() writes the first
 * byte of __start_context into its new stack as a return address, and gives it an
 * empty entry. What the byte before belongs to has nothing to do with it. */
static enum found check_next(uintptr_t pc, uintptr_t start)
{
	return start == pc + 1 ? NEXT : MISSING;
}

/* Pairs of 4 bytes, counted from the header: start of code, entry. Sorted. */
struct table {
	const uint8_t *pairs;
	uint64_t count;
};

static int32_t pair_half(const struct table *t, uint64_t i, unsigned half)
{
	int32_t value;

	memcpy(&value, t->pairs + 8 * i + (uint64_t)4 * half, sizeof(value));
	return value;
}

static uintptr_t entry_of_pair(const struct ph_cfi_module *m, const struct table *t, uint64_t i)
{
	return m->header + (uintptr_t)(intptr_t)pair_half(t, i, 1);
}

static PH_NOINLINE bool is_empty(const struct ph_cfi_module *m, uintptr_t address)
{
	struct entry e;

	return read_entry(m, address, &e) && e.bytes == 0;
}

static enum found find_in_table(const struct ph_cfi_module *m, const struct table *t, uintptr_t pc,
				struct entry *e)
{
	int64_t wanted = (int64_t)(pc - m->header);
	uint64_t first = 0, count = t->count;
	bool has_next;

	/* The first pair beyond the address. */
	while (count > 0) {
		uint64_t half = count / 2;
		bool right = pair_half(t, first + half, 0) <= wanted;

		first = right ? first + half + 1 : first;
		count = right ? count - half - 1 : half;
	}
	has_next = first < t->count && pair_half(t, first, 0) == wanted + 1;
	if (first == 0)
		return has_next ? NEXT : MISSING;
	if (!read_entry(m, entry_of_pair(m, t, first - 1), e))
		return DAMAGED;
	if (pc - e->start >= e->bytes)
		return has_next ? NEXT : MISSING;
	if (has_next && pc - e->start == e->bytes - 1 && is_empty(m, entry_of_pair(m, t, first)))
		return NEXT;
	return FOUND;
}

static enum found find_in_frames(const struct ph_cfi_module *m, uintptr_t frames, uintptr_t pc,
				 struct entry *e)
{
	uintptr_t common, read = 0;
	enum found found = MISSING;
	bool is_read = false; /* e->common is what stands at `read` */
	struct reader r, all;

	if (!open_reader(&all, m, frames))
		return MISSING;
	for (unsigned left = ENTRIES_MAX; left > 0; left--) {
		r = all;
		if (!open_entry(&r))
			break;
		r.at = all.at;
		all.at = r.end;
		if (!open_description(&r, &common))
			continue; /* a CIE */
		if (!is_read || common != read)
			is_read = read_common(m, common, &e->common);
		read = common;
		if (!is_read || !read_description(&r, e))
			continue;
		if (pc - e->start < e->bytes)
			return FOUND;
		if (found == MISSING)
			found = check_next(pc, e->start);
	}
	return found;
}

/* The header says where .eh_frame is and has a table, or not. */
static enum found find_entry(const struct ph_cfi_module *m, uintptr_t pc, struct entry *e)
{
	uint8_t frames_encoding, count_encoding, table_encoding;
	uintptr_t frames = m->frames;
	struct table table;
	struct reader r;

	if (m->header == 0 || !open_reader(&r, m, m->header) || read_u8(&r) != 1)
		return find_in_frames(m, frames, pc, e);
	frames_encoding = read_u8(&r);
	count_encoding = read_u8(&r);
	table_encoding = read_u8(&r);
	frames = frames_encoding == PE_OMIT ? 0 : read_pointer(&r, frames_encoding, m->header);
	table.count = count_encoding == PE_OMIT ? 0 : read_pointer(&r, count_encoding, m->header);
	if (r.bad)
		return DAMAGED;
	if (table.count == 0 || table_encoding != (PE_DATAREL | PE_SDATA4))
		return find_in_frames(m, frames, pc, e);
	if (table.count > (uint64_t)(r.end - r.at) / 8)
		table.count = (uint64_t)(r.end - r.at) / 8;
	table.pairs = r.at;
	return find_in_table(m, &table, pc, e);
}

/* ---- the program ------------------------------------------------------------ */

/* What is said of one column. Only these four are kept. */
struct column {
	enum {
		UNSET,
		SAME,
		UNDEFINED,
		AT_OFFSET,     /* saved at CFA + value */
		IS_OFFSET,     /* it is CFA + value; as the CFA's own: reg + value */
		AT_EXPRESSION, /* saved where the block says; as the CFA's own: it is that */
		ELSEWHERE,
	} how : 8;
	unsigned reg : 24; /* the CFA's */
	int32_t value;	   /* a block: its distance from the CIE's program */
};

struct row {
	struct column cfa, rbp, rsp, rip;
	int32_t offset; /* of the CFA; remembered while an expression stands for it */
};

/* A row, and what it is evaluated with. */
struct frame {
	const struct entry *entry;
	uintptr_t pc;
	struct row row;
};

struct run {
	const struct entry *entry;
	struct reader code;
	uintptr_t pc, location;
	unsigned left; /* instructions */
	unsigned remembered;
	bool reached; /* the row is that of pc */
	struct row row, initial, stack[REMEMBERED_MAX];
};

/* DWARF 5, 6.4.2. The first three are in the two high bits of the byte. */
enum {
	CFA_ADVANCE = 0x40,
	CFA_OFFSET = 0x80,
	CFA_RESTORE = 0xc0,
	CFA_NOP = 0,
	CFA_SET_LOC,
	CFA_ADVANCE1,
	CFA_ADVANCE2,
	CFA_ADVANCE4,
	CFA_OFFSET_EXTENDED,
	CFA_RESTORE_EXTENDED,
	CFA_UNDEFINED,
	CFA_SAME_VALUE,
	CFA_REGISTER,
	CFA_REMEMBER,
	CFA_RESTORE_STATE,
	CFA_DEF,
	CFA_DEF_REGISTER,
	CFA_DEF_OFFSET,
	CFA_DEF_EXPRESSION,
	CFA_EXPRESSION,
	CFA_OFFSET_SIGNED,
	CFA_DEF_SIGNED,
	CFA_DEF_OFFSET_SIGNED,
	CFA_VAL_OFFSET,
	CFA_VAL_OFFSET_SIGNED,
	CFA_VAL_EXPRESSION,
	CFA_GNU_ARGS_SIZE = 0x2e,
	CFA_GNU_NEGATIVE_OFFSET = 0x2f,
};

static struct column *column_of(struct row *row, uint64_t reg)
{
	switch (reg) {
	case REG_RBP:
		return &row->rbp;
	case REG_RSP:
		return &row->rsp;
	case REG_RIP:
		return &row->rip;
	default:
		return NULL;
	}
}

static void say(struct run *run, uint64_t reg, unsigned how, int64_t value)
{
	struct column *column = column_of(&run->row, reg);

	if (column == NULL)
		return;
	*column = (struct column){.how = how, .value = (int32_t)value};
	if (column->value != value)
		column->how = ELSEWHERE;
}

static void restore(struct run *run, uint64_t reg)
{
	struct column *column = column_of(&run->row, reg);

	if (column != NULL)
		*column = *column_of(&run->initial, reg);
}

static int64_t factored(const struct run *run, uint64_t offset)
{
	return (int64_t)(offset * (uint64_t)run->entry->common.data_align);
}

static void define_cfa(struct run *run, uint64_t reg, int64_t offset)
{
	struct row *row = &run->row;

	row->offset = (int32_t)offset;
	row->cfa = (struct column){.how = IS_OFFSET, .reg = reg & 0xffffff, .value = row->offset};
	if (reg > 0xffffff || row->offset != offset)
		row->cfa.how = ELSEWHERE;
}

/* An expression stays the CFA, as it does for libgcc. DWARF does not allow this. */
static void change_offset(struct run *run, int64_t offset)
{
	struct column cfa = run->row.cfa;

	define_cfa(run, cfa.reg, offset);
	if (cfa.how != IS_OFFSET)
		run->row.cfa = cfa;
}

/* A block: its place is kept, and evaluated when it is known to be needed. */
static int64_t skip_block(struct run *run)
{
	int64_t distance = run->code.at - run->entry->common.program.at;

	take(&run->code, read_uleb(&run->code));
	return distance;
}

static void go_to(struct run *run, uintptr_t location)
{
	run->reached = location > run->pc;
	run->location = location;
}

static void advance(struct run *run, uint64_t delta)
{
	uintptr_t location;

	if (__builtin_mul_overflow(delta, run->entry->common.code_align, &delta) ||
	    __builtin_add_overflow(run->location, delta, &location))
		run->code.bad = true;
	else
		go_to(run, location);
}

static void remember(struct run *run)
{
	if (run->remembered == REMEMBERED_MAX)
		run->code.bad = true;
	else
		run->stack[run->remembered++] = run->row;
}

static void restore_state(struct run *run)
{
	if (run->remembered == 0)
		run->code.bad = true;
	else
		run->row = run->stack[--run->remembered];
}

/* Instructions that begin with a register. */
static void step_register(struct run *run, unsigned op)
{
	struct reader *r = &run->code;
	uint64_t reg = read_uleb(r);

	switch (op) {
	case CFA_OFFSET_EXTENDED:
		say(run, reg, AT_OFFSET, factored(run, read_uleb(r)));
		break;
	case CFA_OFFSET_SIGNED:
		say(run, reg, AT_OFFSET, factored(run, (uint64_t)read_sleb(r)));
		break;
	case CFA_GNU_NEGATIVE_OFFSET:
		say(run, reg, AT_OFFSET, factored(run, -read_uleb(r)));
		break;
	case CFA_VAL_OFFSET:
		say(run, reg, IS_OFFSET, factored(run, read_uleb(r)));
		break;
	case CFA_VAL_OFFSET_SIGNED:
		say(run, reg, IS_OFFSET, factored(run, (uint64_t)read_sleb(r)));
		break;
	case CFA_RESTORE_EXTENDED:
		restore(run, reg);
		break;
	case CFA_UNDEFINED:
		say(run, reg, UNDEFINED, 0);
		break;
	case CFA_SAME_VALUE:
		say(run, reg, SAME, 0);
		break;
	case CFA_REGISTER:
		read_uleb(r);
		say(run, reg, ELSEWHERE, 0);
		break;
	case CFA_EXPRESSION:
		say(run, reg, AT_EXPRESSION, skip_block(run));
		break;
	case CFA_VAL_EXPRESSION:
		skip_block(run);
		say(run, reg, ELSEWHERE, 0);
		break;
	case CFA_DEF:
		define_cfa(run, reg, (int64_t)read_uleb(r));
		break;
	case CFA_DEF_SIGNED:
		define_cfa(run, reg, factored(run, (uint64_t)read_sleb(r)));
		break;
	case CFA_DEF_REGISTER:
		/* After an expression too: libgcrypt's code does that. */
		define_cfa(run, reg, run->row.offset);
		break;
	}
}

static void step_other(struct run *run, unsigned op)
{
	struct reader *r = &run->code;

	switch (op) {
	case CFA_NOP:
		break;
	case CFA_SET_LOC:
		go_to(run, read_pointer(r, run->entry->common.encoding, 0));
		break;
	case CFA_ADVANCE1:
		advance(run, read_u8(r));
		break;
	case CFA_ADVANCE2:
		advance(run, read_uint16(r));
		break;
	case CFA_ADVANCE4:
		advance(run, read_uint32(r));
		break;
	case CFA_REMEMBER:
		remember(run);
		break;
	case CFA_RESTORE_STATE:
		restore_state(run);
		break;
	case CFA_DEF_OFFSET:
		change_offset(run, (int64_t)read_uleb(r));
		break;
	case CFA_DEF_OFFSET_SIGNED:
		change_offset(run, factored(run, (uint64_t)read_sleb(r)));
		break;
	case CFA_DEF_EXPRESSION:
		run->row.cfa = (struct column){.how = AT_EXPRESSION};
		run->row.cfa.value = (int32_t)skip_block(run);
		break;
	case CFA_GNU_ARGS_SIZE:
		read_uleb(r);
		break;
	case CFA_OFFSET_EXTENDED ... CFA_SAME_VALUE:
	case CFA_REGISTER:
	case CFA_DEF:
	case CFA_DEF_REGISTER:
	case CFA_EXPRESSION ... CFA_DEF_SIGNED:
	case CFA_VAL_OFFSET ... CFA_VAL_EXPRESSION:
	case CFA_GNU_NEGATIVE_OFFSET:
		step_register(run, op);
		break;
	default:
		r->bad = true;
	}
}

static void step(struct run *run)
{
	uint8_t byte = read_u8(&run->code);
	unsigned low = byte & 0x3f;

	switch (byte & 0xc0) {
	case CFA_ADVANCE:
		advance(run, low);
		break;
	case CFA_OFFSET:
		say(run, low, AT_OFFSET, factored(run, read_uleb(&run->code)));
		break;
	case CFA_RESTORE:
		restore(run, low);
		break;
	default:
		step_other(run, byte);
	}
}

/* Up to the row of pc, or the end. False: it is not understood. */
static bool execute(struct run *run, struct reader program)
{
	run->code = program;
	while (run->code.at < run->code.end && !run->reached && !run->code.bad) {
		if (run->left-- == 0)
			return false;
		step(run);
	}
	return !run->code.bad;
}

/* ---- from a row to a word ---------------------------------------------------- */

static uint64_t make_rule(enum ph_cfi_kind kind, enum ph_cfi_rbp rbp, int64_t n, int64_t m,
			  int64_t c)
{
	bool simple = kind == PH_CFI_RSP && rbp <= PH_CFI_RBP_AT_CFA;

	if (n != (int32_t)n || c != (int8_t)c)
		return RULE(PH_CFI_OTHER);
	return (uint64_t)n << 32 | (uint64_t)(uint16_t)m << 16 | (uint64_t)(uint8_t)c << 8 |
	       (uint64_t)rbp << 5 | RULE(kind) | (simple ? PH_CFI_SIMPLE : 0);
}

static struct value cfa_of(const struct frame *f)
{
	const struct column *cfa = &f->row.cfa;

	if (cfa->how == IS_OFFSET)
		return register_plus(cfa->reg, cfa->value);
	if (cfa->how == AT_EXPRESSION)
		return evaluate(f->entry->common.program.at + cfa->value, &f->entry->program, f->pc,
				NULL);
	return unknown;
}

/* Where a register is saved. */
static struct value place_of(const struct frame *f, const struct column *column,
			     const struct value *cfa)
{
	if (column->how == AT_OFFSET)
		return plus(*cfa, column->value);
	if (column->how == AT_EXPRESSION)
		return evaluate(f->entry->common.program.at + column->value, &f->entry->program,
				f->pc, cfa);
	return unknown;
}

/* How far from the CFA, if that is a constant. */
static bool distance_from(const struct value *cfa, const struct value *place, int64_t *distance)
{
	if (place->what != cfa->what || place->reg != cfa->reg)
		return false;
	if (cfa->what == REGISTER)
		*distance = (int64_t)((uint64_t)place->n - (uint64_t)cfa->n);
	else
		*distance = (int64_t)((uint64_t)place->c - (uint64_t)cfa->c);
	return cfa->what == REGISTER || (cfa->what == LOADED && place->n == cfa->n);
}

static enum ph_cfi_rbp rbp_of(const struct frame *f, const struct value *cfa, int64_t *m)
{
	const struct column *rbp = &f->row.rbp;
	enum ph_cfi_rbp where = PH_CFI_RBP_AT_CFA;
	struct value place;

	*m = 0;
	if (rbp->how == UNSET || rbp->how == SAME)
		return PH_CFI_RBP_SAME;
	if (rbp->how == UNDEFINED)
		return PH_CFI_RBP_UNDEFINED;
	place = place_of(f, rbp, cfa);
	if (!distance_from(cfa, &place, m)) {
		where = place.what != REGISTER ? PH_CFI_RBP_ELSEWHERE
			: place.reg == REG_RBP ? PH_CFI_RBP_AT_RBP
					       : PH_CFI_RBP_AT_RSP;
		*m = place.n;
	}
	if (where == PH_CFI_RBP_ELSEWHERE || *m != (int16_t)*m) {
		*m = 0;
		return PH_CFI_RBP_ELSEWHERE;
	}
	return where;
}

static bool is_rsp_plus(const struct value *v, int64_t n)
{
	return v->what == REGISTER && v->reg == REG_RSP && v->n == n;
}

/* What an entry marked so describes is the trampoline if it reads the ucontext. */
static uint64_t signal_rule(const struct frame *f, const struct value *cfa)
{
	struct value rip = place_of(f, &f->row.rip, cfa);
	struct value rbp = place_of(f, &f->row.rbp, cfa);

	if (cfa->what != LOADED || cfa->reg != REG_RSP || cfa->n != PH_CFI_SIGNAL_RSP ||
	    cfa->c != 0 || !is_rsp_plus(&rip, PH_CFI_SIGNAL_RIP) ||
	    !is_rsp_plus(&rbp, PH_CFI_SIGNAL_RBP))
		return RULE(PH_CFI_OTHER);
	return RULE(PH_CFI_SIGNAL);
}

/* Is the return address where a call puts it, and the caller's rsp the CFA? */
static bool is_call_frame(const struct frame *f, const struct value *cfa)
{
	const struct row *row = &f->row;
	struct value rip = place_of(f, &row->rip, cfa);
	int64_t distance;

	return (row->rsp.how == UNSET || (row->rsp.how == IS_OFFSET && row->rsp.value == 0)) &&
	       distance_from(cfa, &rip, &distance) && distance == -8;
}

static PH_NOINLINE uint64_t rule_of_row(const struct frame *f)
{
	struct value cfa;
	enum ph_cfi_rbp rbp;
	int64_t m;

	if (f->row.rip.how == UNDEFINED)
		return RULE(PH_CFI_END);
	cfa = cfa_of(f);
	if (f->entry->common.signal)
		return signal_rule(f, &cfa);
	if (!is_call_frame(f, &cfa))
		return RULE(PH_CFI_OTHER);
	rbp = rbp_of(f, &cfa, &m);
	if (cfa.what == REGISTER)
		return make_rule(cfa.reg == REG_RSP ? PH_CFI_RSP : PH_CFI_RBP, rbp, cfa.n, m, 0);
	return make_rule(cfa.reg == REG_RSP ? PH_CFI_AT_RSP : PH_CFI_AT_RBP, rbp, cfa.n, m, cfa.c);
}

/* Not inlined, like rule_of_row(): their stacks are not needed at once. */
static PH_NOINLINE bool find_row(const struct entry *e, uintptr_t pc, struct row *row)
{
	struct run run;

	run.entry = e;
	run.pc = pc;
	run.location = e->start;
	run.left = INSTRUCTIONS_MAX;
	run.remembered = 0;
	run.reached = false;
	memset(&run.row, 0, sizeof(run.row));
	memset(&run.initial, 0, sizeof(run.initial));
	if (!execute(&run, e->common.program) || run.reached)
		return false;
	run.initial = run.row;
	if (!execute(&run, e->program))
		return false;
	*row = run.row;
	return true;
}

static uint64_t rule_of_entry(const struct entry *e, uintptr_t pc)
{
	struct frame f = {.entry = e, .pc = pc};

	return find_row(e, pc, &f.row) ? rule_of_row(&f) : RULE(PH_CFI_OTHER);
}

/* Of an address without unwind data. */
static PH_NOINLINE bool is_start_code(const struct ph_cfi_module *m, uintptr_t pc)
{
	struct entry e;

	return m->entry != 0 && pc - m->entry < ENTRY_BYTES && find_entry(m, m->entry, &e) != FOUND;
}

uint64_t ph_cfi_rule_of(const struct ph_cfi_module *module, uintptr_t pc)
{
	struct entry e;

	switch (find_entry(module, pc, &e)) {
	case FOUND:
		return rule_of_entry(&e, pc);
	case NEXT:
		return RULE(PH_CFI_END);
	case DAMAGED:
		return RULE(PH_CFI_OTHER);
	default:
		return is_start_code(module, pc) ? RULE(PH_CFI_END) : RULE(PH_CFI_NONE);
	}
}

/* ---- modules ------------------------------------------------------------------ */

#define PAGE_BYTES 4096u

/* Program headers of the ELF file whose first page begins at `start`, with one to
 * load among them; NULL: they are not in that page. */
static const Elf64_Phdr *program_headers(uintptr_t start, uintptr_t end)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)start;
	const Elf64_Phdr *segments;

	if (start == 0 || start % PAGE_BYTES != 0 || end - start < PAGE_BYTES ||
	    memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 || elf->e_phentsize != sizeof(Elf64_Phdr) ||
	    elf->e_phoff % 8 != 0 || elf->e_phoff > PAGE_BYTES ||
	    elf->e_phnum * sizeof(Elf64_Phdr) > PAGE_BYTES - elf->e_phoff)
		return NULL;
	segments = (const Elf64_Phdr *)(start + elf->e_phoff);
	for (unsigned i = 0; i < elf->e_phnum; i++)
		if (segments[i].p_type == PT_LOAD)
			return segments;
	return NULL;
}

static bool holds(const Elf64_Phdr *segment, uintptr_t low, uintptr_t address)
{
	return segment->p_type == PT_LOAD && low <= address && address - low < segment->p_filesz;
}

/* Between a library's segments there may be pages without access, so only the
 * segment that holds the data is taken. */
bool ph_cfi_describe(uintptr_t start, uintptr_t end, uintptr_t header, struct ph_cfi_module *module)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)start;
	const Elf64_Phdr *segments, *s;
	uintptr_t bias;

	if (header < start || header >= end)
		return false;
	*module = (struct ph_cfi_module){.low = start, .high = end, .header = header};
	segments = program_headers(start, end);
	if (segments == NULL)
		return true;
	for (s = segments; s->p_type != PT_LOAD; s++)
		;
	bias = start - (s->p_vaddr & ~(uintptr_t)(PAGE_BYTES - 1));
	if (elf->e_entry != 0)
		module->entry = bias + elf->e_entry;
	for (s = segments; s < segments + elf->e_phnum; s++) {
		uintptr_t low = bias + s->p_vaddr;

		if (holds(s, low, header) && low >= start && s->p_filesz <= end - low) {
			module->low = low;
			module->high = low + s->p_filesz;
		}
	}
	return true;
}

static PH_NOINLINE bool module_of(uintptr_t pc, struct ph_cfi_module *module)
{
	struct ph_cfi_object object;

	if (find_object != NULL && find_object((void *)pc, &object) == 0) {
		uintptr_t header = object.eh_frame;

		/* Where there are gaps between a module's segments, each is told by
		 * itself, and the data are in another than the code. */
		if (header != 0 && header - object.map_start >= object.map_end - object.map_start &&
		    find_object((void *)header, &object) != 0)
			return false;
		return ph_cfi_describe(object.map_start, object.map_end, header, module);
	}
	return find_module != NULL && find_module(pc, module);
}

uint64_t ph_cfi_rule(uintptr_t pc)
{
	struct ph_cfi_module module;

	return module_of(pc, &module) ? ph_cfi_rule_of(&module, pc) : RULE(PH_CFI_NONE);
}

#else /* the library's other unwinder is asked */

uint64_t ph_cfi_rule_of(const struct ph_cfi_module *module, uintptr_t pc)
{
	(void)module;
	(void)pc;
	return RULE(PH_CFI_NONE);
}

bool ph_cfi_describe(uintptr_t start, uintptr_t end, uintptr_t header, struct ph_cfi_module *module)
{
	*module = (struct ph_cfi_module){.low = start, .high = end, .header = header};
	return header >= start && header < end;
}

uint64_t ph_cfi_rule(uintptr_t pc)
{
	(void)pc;
	return RULE(PH_CFI_NONE);
}

#endif
