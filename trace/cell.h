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
	PH_OP_THREAD_START, /* struct ph_call: entry is when; result: the tid; arg: pthread_self()
			     */
	PH_OP_THREAD_END,   /* struct ph_call: entry is when */
	PH_OP_FORKED,	    /* struct ph_call: before a fork; arg is the fork's number */
	PH_OP_ENDED,	    /* struct ph_call: exit(), return from main; result is the status */
	PH_OP_PAD,	    /* struct ph_call: nothing; skip `cells` */
	PH_OP_SPAWNED,	    /* struct ph_call, as SPAWN: a vfork's child, noted once that is over */
	PH_OP_LOCKED,	    /* struct ph_call, as FILE_LOCK: fcntl(F_SETLKW) */
	PH_OP_LAST = PH_OP_LOCKED,
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
 * Any other event: struct ph_call, and words of payload ("extra") or text after
 * it. By kind:
 *
 *   READ WRITE   result: bytes; arg: bytes asked for or -1;
 *                extra[0]: offset or -1; extra[1]: messages (*mmsg), or else 0;
 *                then, where a datagram's peer was named: a struct ph_peer
 *   MOVE         fd, object: the source; result: bytes; arg: bytes asked for or -1;
 *                a descriptor of -1 is the program's memory;
 *                extra[0]: the destination's descriptor | object << 32;
 *                extra[1], extra[2]: offsets of source and destination or -1
 *   SYNC RESIZE  fd, object; arg: the length
 *   OPEN         result: the new descriptor; object: the new one; arg: flags;
 *                where it failed, its path as META has it
 *   CLOSE        fd, object
 *   CLOSE_RANGE  fd: the first; arg: the last; both included
 *   DUP          fd, object: the old; result: the new descriptor; arg: the one
 *                asked for or -1; extra[0]: the object that stood there and is
 *                closed by it, or 0
 *   PIPE         fd, object: the reading end; arg: both descriptors,
 *                fds[0] | fds[1] << 32
 *   SOCKET       fd, object, result: the new descriptor; arg: the domain
 *   ACCEPT       fd: the listener; object, result: the new connection;
 *                extra[0]: the listener's object
 *   CONNECT BIND LISTEN   fd, object
 *   SHUTDOWN     fd, object; arg: how
 *   MAP          result: the address; arg: length; fd;
 *                extra[0]: protection | flags << 32
 *   UNMAP        extra[0]: the address; arg: length
 *   REMAP        result: the new address; arg: new length;
 *                extra: old address, old length
 *   BREAK        result: the new end; arg: the change in bytes
 *   THREAD       result: 0
 *   FORK         result: the child; arg: the fork's number (see PH_OP_FORKED)
 *   EXEC         result: 0 before it begins, or why it failed; arg: PH_EXEC_*;
 *                extra[0]: bytes of the path that follows
 *   SPAWN        result: the child, 0 where it is not known; else as EXEC
 *   EXIT         result: the status
 *   CONFINE      result: 0; arg: flags or an id; of prctl() and syscall(): 1 a seccomp
 *                filter, 2 nor the counter: recording ends
 *   STACK        arg: its size
 *   SEEK         fd, object; result: the position from the beginning; arg: the
 *                offset; extra[0]: whence
 *   META         fd, object: what it is about, or (with a path) the directory that the
 *                path is relative to, AT_FDCWD (-100): the working directory;
 *                arg: flags or mode; where there is a path: extra[0]: its bytes |
 *                those of another path << 32; extra[1]: the directory of that other
 *                path | its object << 32; then the paths
 *   RESOLVE      result: addresses, 0: it failed; arg: the EAI_ code;
 *                extra[0]: bytes of the name | addresses that follow << 32;
 *                the name; each address as a struct ph_peer and what it announces
 *   AIO          fd, object; result: 0; arg: bytes asked for, of a list: requests;
 *                extra[0]: offset; extra[1]: LIO_READ, LIO_WRITE, or else
 *   AIO_RETURN   likewise; result: bytes
 *   POLL         fd, object: what was ready, where that is one, or the epoll
 *                descriptor; -1: several; arg: how many there were, or room for
 *   SLEEP        arg: nanoseconds asked for; -1: until a time
 *   LOCK CONDITION SEMAPHORE BARRIER   arg: its address
 *   JOIN         arg: the thread, as pthread_self() has it (THREAD_START says whose)
 *   PROCESS      arg: what was asked for, as waitpid(2) has it; result: the child
 *   SIGNAL       result: its number
 *   QUEUE FILE_LOCK   fd, object
 *   IPC          arg: its id
 *                of all of these, where it was asked, extra[0]: the processor time
 *                that the thread has had when it returned, nanoseconds
 *
 * A result is -errno where the call failed.
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

/* What an image was started with; EXEC and SPAWN. */
enum ph_exec {
	PH_EXEC_UNPRELOADED = 1, /* its environment does not name this library */
	PH_EXEC_STATIC = 2,	 /* no loader will look at the environment */
	PH_EXEC_SECURE = 4,	 /* set-uid, set-gid or with capabilities: it is ignored */
	PH_EXEC_FOREIGN = 8,	 /* another loader's or machine's */
};

/* Another end of a datagram socket, after the extra words of READ and WRITE; an
 * address of RESOLVE. */
struct ph_peer {
	uint32_t bytes; /* of the struct sockaddr that follows */
};

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
	PH_ORIGIN_PASSED = 5, /* by another process, over a socket */
	PH_ORIGIN_BIND = 6,   /* described again, once it was bound */
};

/*
 * Payload of PH_OP_OBJECT. An object is one open file, pipe end or socket;
 * descriptors made by dup share it. It may be described again (a socket once it
 * is connected): what is not empty replaces what was known.
 * After it: name_bytes of name, local_bytes and peer_bytes of struct sockaddr.
 * The object 0 under the descriptor AT_FDCWD is the working directory.
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
