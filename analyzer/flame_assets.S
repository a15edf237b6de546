/* SPDX-License-Identifier: MIT */
/* The flame graph's script and style, as they are in their files. */
	.section .rodata
	.globl flame_script
	.type flame_script, @object
flame_script:
	.incbin "analyzer/flame.js"
	.byte 0
	.size flame_script, . - flame_script
	.globl flame_style
	.type flame_style, @object
flame_style:
	.incbin "analyzer/flame.css"
	.byte 0
	.size flame_style, . - flame_style
	.section .note.GNU-stack, "", @progbits
