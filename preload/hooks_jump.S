/* SPDX-License-Identifier: MIT */
/*
 * Exported names that are nothing but a jump: the alias rows of
 * trace/functions.def, and vfork, whose child would return through a frame that
 * the parent still needs. A jump leaves the caller's return address in place.
 */
#define PH_IO(...)
#define PH_BY_HAND(...)
#define PH_NOTED(...)
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
/* syscall(): of interest are seccomp's, whose operation and filter (its second and
 * fourth argument) go along, and those that have a row in hooks_syscall.c. No frame
 * of ours stands before the others: the call may be a clone. */
#define ROWS 512
#if defined(__x86_64__)
#define SYS_SECCOMP 317
	.globl syscall
	.type syscall, @function
syscall:
	.cfi_startproc
	movq ph_real_syscall(%rip), %rax
	testq %rax, %rax
	je 2f
1:	cmpq $SYS_SECCOMP, %rdi
	je ph_syscall_seccomp
	cmpq $ROWS, %rdi
	jae 3f
	leaq ph_syscall_rows(%rip), %r11
	cmpl $0, (%r11, %rdi, 4)
	jne ph_syscall_row
3:	jmp *%rax
2:	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	subq $8, %rsp
	.cfi_adjust_cfa_offset 56
	call ph_find_syscall
	addq $8, %rsp
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	.cfi_adjust_cfa_offset -56
	movq ph_real_syscall(%rip), %rax
	jmp 1b
	.cfi_endproc
	.size syscall, . - syscall
#elif defined(__aarch64__)
#define SYS_SECCOMP 277
	.globl syscall
	.type syscall, @function
syscall:
	.cfi_startproc
	adrp x16, ph_real_syscall
	ldr x16, [x16, :lo12:ph_real_syscall]
	cbz x16, 2f
1:	cmp x0, SYS_SECCOMP
	b.eq ph_syscall_seccomp
	cmp x0, ROWS
	b.hs 3f
	adrp x17, ph_syscall_rows
	add x17, x17, :lo12:ph_syscall_rows
	ldr w17, [x17, x0, lsl 2]
	cbnz w17, ph_syscall_row
3:	br x16
2:	stp x29, x30, [sp, -80]!
	.cfi_adjust_cfa_offset 80
	stp x0, x1, [sp, 16]
	stp x2, x3, [sp, 32]
	stp x4, x5, [sp, 48]
	str x6, [sp, 64]
	bl ph_find_syscall
	ldp x0, x1, [sp, 16]
	ldp x2, x3, [sp, 32]
	ldp x4, x5, [sp, 48]
	ldr x6, [sp, 64]
	ldp x29, x30, [sp], 80
	.cfi_adjust_cfa_offset -80
	adrp x16, ph_real_syscall
	ldr x16, [x16, :lo12:ph_real_syscall]
	b 1b
	.cfi_endproc
	.size syscall, . - syscall
#endif
	.section .note.GNU-stack, "", @progbits
