/* SPDX-License-Identifier: MIT */
/*
 * A trace as a list of its blocks. Everything in the file is hostile: damage is
 * stepped over, counted, and costs only itself. Payloads are read one at a
 * time, so memory follows the number of blocks, not their content.
 */
#ifndef PH_ANALYZER_READER_H
#define PH_ANALYZER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyzer/error.h"
#include "trace/decode.h"
#include "trace/format.h"

struct block {
	uint64_t offset; /* of its header in the file */
	struct ph_block_header header;
};

struct reader {
	char *path;
	int fd;
	uint64_t size; /* of the file when it was opened */
	uint8_t id[16];
	struct block *blocks; /* in the order of the file */
	size_t block_count, block_room;
	uint64_t damaged;   /* stretches and blocks that could not be used */
	uint64_t damage_at; /* where the first of them is */
	uint64_t gap_at;    /* where the first stretch without blocks is; UINT64_MAX: none */
	bool truncated;	    /* the file ends within a block */
	bool ended;	    /* it has an END block */
	struct ph_buffer stored;
};

/* 0, or -1 with *e filled when there is nothing in it that can be used. After a
 * failure there is nothing to close. */
int reader_open(struct reader *r, const char *path, struct error *e);
void reader_close(struct reader *r);

/* Read, check and decompress a block's payload. false: it is damaged, counted. */
bool reader_payload(struct reader *r, const struct block *b, struct ph_buffer *payload);

/* The same without counting, through a buffer of the caller's: for other threads, as
 * long as the reader is not closed. */
bool reader_load(const struct reader *r, const struct block *b, struct ph_buffer *stored,
		 struct ph_buffer *payload);

/* Count damage found by whoever looked into a payload. */
void reader_damage(struct reader *r, uint64_t offset);

#endif
