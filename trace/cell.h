/* SPDX-License-Identifier: MIT */
/*
 * Events as they stand in a ring: cells of 16 bytes. Memory events take one
 * cell; calls (I/O, descriptors, mappings, processes) take a struct ph_call and
 * whatever payload follows it. The collector turns cells into columns
 * (trace/encode.h) and the analyzer gets them back as struct ph_event
 * (trace/decode.h); this layout never reaches the disk, except in the segment
 * of a process whose collector died.
 */
#ifndef PH_TRACE_CELL_H
#define PH_TRACE_CELL_H

#include <stdint.h>

struct ph_cell {
	uint64_t w0, w1;
};

/* The low byte of w0 of an event's first cell: a function's number (its row in
 * functions.def, from 1), or one of these. */
enum ph_op {
#define PH_IO(id, ...)	    PH_OP_##id,
#define PH_BY_HAND(id, ...) PH_OP_##id,
	PH_OP_NONE = 0,
#include "trace/functions.def"
	PH_OP_FUNCTIONS, /* one past the last function */

	PH_OP_REALLOC_BEGIN = 0xE0, /* memory cell: this block goes to a realloc */
	PH_OP_REALLOC_FAILED,	    /* memory cell: ... which failed, and it stays */
	PH_OP_WIDE,		    /* prefix of a memory cell: w0>>16 address>>48, w1 size>>40 */
	PH_OP_CLOCK,		    /* w1: coarse stamp, ticks, of the events that follow */
	PH_OP_LOST,		    /* struct ph_call: arg events lost from entry, for duration */
	PH_OP_OBJECT,		    /* struct ph_call and struct ph_object: what a descriptor is */
	PH_OP_THREAD_START,	    /* struct ph_call: entry is when; result is the tid */
	PH_OP_THREAD_END,	    /* struct ph_call: entry is when */
	PH_OP_FORKED,		    /* struct ph_call: before a fork; arg is the fork's number */
	PH_OP_ENDED, /* struct ph_call: exit(), return from main; result is the status */
	PH_OP_PAD,   /* struct ph_call: nothing; skip `cells` */
};
_Static_assert(PH_OP_FUNCTIONS <= PH_OP_REALLOC_BEGIN, "functions fit one byte");

/*
 * A memory cell: ALLOC, FREE, REALLOC_BEGIN, REALLOC_FAILED.
 *   w0 = address << 16 | (size >> 32 & 0xff) << 8 | op
 *   w1 = node << 32 | (size & 0xffffffff)
 */
static inline struct ph_cell ph_memory_cell(unsigned op, uint64_t address, uint64_t size,
					    uint32_t node)
{
	return (struct ph_cell){
		.w0 = address << 16 | (size >> 24 & 0xff00) | op,
		.w1 = (uint64_t)node << 32 | (uint32_t)size,
	};
}

static inline unsigned ph_cell_op(struct ph_cell c)
{
	return (unsigned)(c.w0 & 0xff);
}

static inline uint64_t ph_cell_address(struct ph_cell c)
{
	return c.w0 >> 16;
}

static inline uint64_t ph_cell_size(struct ph_cell c)
{
	return (c.w0 & 0xff00) << 24 | (uint32_t)c.w1;
}

static inline uint32_t ph_cell_node(struct ph_cell c)
{
	return (uint32_t)(c.w1 >> 32);
}

/* Does a memory cell need a WIDE cell before it? */
static inline int ph_memory_is_wide(uint64_t address, uint64_t size)
{
	return (address >> 48 | size >> 40) != 0;
}

/*
 * Any other event. By kind:
 *   READ WRITE     result: bytes or -errno; arg: bytes asked for or -1; extra[0]: offset, if cells
 * > 3 OPEN           result: the new descriptor or -errno; object: the new one; arg: flags CLOSE
 * fd, object DUP            fd, object: the old; result: the new descriptor; arg: the one asked for
 * or -1; extra[0]: the object that stood there and is closed by it, or 0 PIPE           fd, object:
 * the reading end; arg: both descriptors, fds[0] | fds[1] << 32 SOCKET         fd, object, result:
 * the new descriptor or -errno; arg: the domain ACCEPT         fd: the listener; object, result:
 * the new connection; extra[0]: the listener's object CONNECT        fd, object, result MAP result:
 * the address or -errno; arg: length; fd; extra[0]: protection | flags << 32 UNMAP extra[0]: the
 * address; arg: length REMAP          result: the new address or -errno; arg: new length; extra:
 * old address, old length BREAK          result: the new end or -errno; arg: the change in bytes
 *   THREAD         result: 0 or -errno
 *   FORK           result: the child or -errno; arg: the fork's number (see PH_OP_FORKED)
 *   EXIT           result: the status
 */
struct ph_call {
	uint8_t op;
	uint8_t flags;	   /* 0 */
	uint16_t cells;	   /* the whole event's, payload included: how to skip it */
	int32_t fd;	   /* -1: none */
	uint32_t object;   /* the descriptor's object; 0: none or not known */
	uint32_t node;	   /* stack; 0: none */
	uint64_t entry;	   /* ticks when the call began */
	uint64_t duration; /* ticks */
	int64_t result;
	int64_t arg;
};
_Static_assert(sizeof(struct ph_call) == 48, "three cells");
#define PH_CALL_CELLS	  3
#define PH_CALL_CELLS_MAX 512 /* a whole event's: room for a path, well under the least ring */

enum ph_object_class {
	PH_CLASS_OTHER = 0, /* name is what the kernel calls it: "anon_inode:[eventfd]" */
	PH_CLASS_FILE = 1,  /* name is an absolute path, or as given where it could not be asked */
	PH_CLASS_PIPE = 2,
	PH_CLASS_SOCKET = 3,
};

enum ph_object_origin {
	PH_ORIGIN_INHERITED = 0, /* it was there when first used */
	PH_ORIGIN_OPENED = 1,	 /* open, pipe, socket */
	PH_ORIGIN_CONNECT = 2,
	PH_ORIGIN_ACCEPT = 3,
	PH_ORIGIN_SOCKETPAIR = 4,
};

/*
 * Payload of PH_OP_OBJECT. An object is one open file, pipe end or socket;
 * descriptors made by dup share it. It may be described again (a socket once it
 * is connected): what is not empty replaces what was known.
 * After it: name_bytes of name, local_bytes and peer_bytes of struct sockaddr.
 */
struct ph_object {
	uint8_t class;
	uint8_t origin;
	uint16_t name_bytes;
	uint8_t local_bytes;
	uint8_t peer_bytes;
	uint8_t family; /* AF_*, sockets only */
	uint8_t type;	/* SOCK_*, sockets only */
};
_Static_assert(sizeof(struct ph_object) == 8, "wire layout");

#endif
