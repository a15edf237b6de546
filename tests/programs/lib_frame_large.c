/* SPDX-License-Identifier: MIT */
/* One of two libraries that stack_reload loads at the same address: the same code but for
 * the size of its frame, 1544 bytes. */
void frame_call(void (*call)(void));
__asm__(".text\n"
	".globl frame_call\n"
	".type frame_call, @function\n"
	"frame_call:\n"
	".cfi_startproc\n"
	"sub $1544, %rsp\n"
	".cfi_adjust_cfa_offset 1544\n"
	"call *%rdi\n"
	"add $1544, %rsp\n"
	".cfi_adjust_cfa_offset -1544\n"
	"ret\n"
	".cfi_endproc\n"
	".size frame_call, .-frame_call\n");
