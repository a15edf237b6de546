/* SPDX-License-Identifier: MIT */
#include "analyzer/call_target.h"

#include <gelf.h>
#include <string.h>

enum {
	CALL_BYTES = 5,
	OPCODE_CALL = 0xe8,
	OPCODE_JUMP = 0xe9,
	OPCODE_SHORT_JUMP = 0xeb,
	FUNCTION_MAX = 16384, /* a larger one is not looked through */
};

/* The file's bytes of a range of code; NULL: it does not have them all. */
static const unsigned char *code_at(Elf *module, uint64_t address, uint64_t bytes)
{
	size_t count = 0, size = 0;
	const char *file = elf_rawfile(module, &size);

	if (file == NULL || elf_getphdrnum(module, &count) != 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		GElf_Phdr p;

		if (gelf_getphdr(module, (int)i, &p) == NULL || p.p_type != PT_LOAD ||
		    !(p.p_flags & PF_X) || address < p.p_vaddr || p.p_filesz < bytes ||
		    address - p.p_vaddr > p.p_filesz - bytes)
			continue;
		address -= p.p_vaddr;
		if (p.p_offset > size || size - p.p_offset < bytes ||
		    address > size - p.p_offset - bytes)
			return NULL;
		return (const unsigned char *)file + p.p_offset + address;
	}
	return NULL;
}

bool call_target(Elf *module, uint64_t return_address, uint64_t *target)
{
	const unsigned char *code;
	int32_t distance;
	GElf_Ehdr header;

	if (module == NULL || return_address < CALL_BYTES ||
	    gelf_getehdr(module, &header) == NULL || header.e_machine != EM_X86_64)
		return false;
	code = code_at(module, return_address - CALL_BYTES, CALL_BYTES);
	if (code == NULL || code[0] != OPCODE_CALL)
		return false;
	memcpy(&distance, code + 1, sizeof(distance));
	*target = return_address + (uint64_t)(int64_t)distance;
	return true;
}

/* The target of what may be a jump at `at`; 0: it is none. */
static uint64_t jump_target(const unsigned char *code, uint64_t bytes, uint64_t at, uint64_t start)
{
	int32_t distance;

	if (code[at] == OPCODE_SHORT_JUMP && bytes - at >= 2)
		return start + at + 2 + (uint64_t)(int64_t)(int8_t)code[at + 1];
	if (code[at] != OPCODE_JUMP || bytes - at < CALL_BYTES)
		return 0;
	memcpy(&distance, code + at + 1, sizeof(distance));
	return start + at + CALL_BYTES + (uint64_t)(int64_t)distance;
}

/* Instructions are not told apart: a byte within one may look like a jump, but hardly one
 * to a place where something begins. */
size_t jump_targets(Elf *module, uint64_t start, uint64_t bytes, const struct address_ranges *code,
		    uint64_t targets[JUMP_TARGETS_MAX])
{
	const unsigned char *function = NULL;
	size_t count = 0;

	if (module != NULL && bytes > 0 && bytes <= FUNCTION_MAX)
		function = code_at(module, start, bytes);
	for (uint64_t at = 0; function != NULL && at < bytes && count < JUMP_TARGETS_MAX; at++) {
		uint64_t target = jump_target(function, bytes, at, start);
		size_t known = 0;

		if (target == 0 || target - start < bytes ||
		    address_ranges_find(code, target) == NULL)
			continue;
		while (known < count && targets[known] != target)
			known++;
		if (known == count)
			targets[count++] = target;
	}
	return count;
}
