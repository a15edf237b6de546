/* SPDX-License-Identifier: MIT */
/* The page that html/build.sh put together, in two pieces: the model comes between. */
	.section .rodata
	.global ph_page_before, ph_page_before_bytes, ph_page_after, ph_page_after_bytes
ph_page_before:
	.incbin "before.html"
1:
ph_page_after:
	.incbin "after.html"
2:
	.balign 8
ph_page_before_bytes:
	.quad 1b - ph_page_before
ph_page_after_bytes:
	.quad 2b - ph_page_after
	.section .note.GNU-stack,"",@progbits
