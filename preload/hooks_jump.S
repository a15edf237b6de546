/* SPDX-License-Identifier: MIT */
/*
 * Exported names that are nothing but a jump: the alias rows of
 * trace/functions.def, and vfork, whose child would return through a frame that
 * the parent still needs. A jump leaves the caller's return address in place.
 */
#define PH_IO(...)
#define PH_BY_HAND(...)
#if defined(__x86_64__)
#define PH_ALIAS(alias, id) .globl alias; .type alias, @function; alias: jmp id; .size alias, . - alias;
#elif defined(__aarch64__)
#define PH_ALIAS(alias, id) .globl alias; .type alias, @function; alias: b id; .size alias, . - alias;
#endif
	.text
#include "trace/functions.def"

#if defined(__x86_64__)
	.globl vfork
	.type vfork, @function
vfork:
	.cfi_startproc
	subq $8, %rsp
	.cfi_adjust_cfa_offset 8
	movq 8(%rsp), %rdi
	call ph_vfork_target
	addq $8, %rsp
	.cfi_adjust_cfa_offset -8
	jmp *%rax
	.cfi_endproc
	.size vfork, . - vfork
#elif defined(__aarch64__)
	.globl vfork
	.type vfork, @function
vfork:
	.cfi_startproc
	stp x29, x30, [sp, -16]!
	.cfi_adjust_cfa_offset 16
	mov x0, x30
	bl ph_vfork_target
	ldp x29, x30, [sp], 16
	.cfi_adjust_cfa_offset -16
	br x0
	.cfi_endproc
	.size vfork, . - vfork
#endif
	.section .note.GNU-stack, "", @progbits
