/* SPDX-License-Identifier: MIT */
/*
 * What the first bytes of a file say of how it would run: will a glibc loader of
 * this machine load libperfhook.so into it? Pure: no system calls, no memory, no
 * libc but <string.h>, so that the library's exec hooks may call it too. Set-uid
 * bits and file capabilities are not in a file's bytes: the caller asks stat().
 */
#ifndef PH_TRACE_IMAGE_H
#define PH_TRACE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define PH_IMAGE_HEAD 4096 /* bytes that are looked at; fewer are allowed */
#define PH_IMAGE_PATH 256  /* the kernel reads as much of a #! line */

enum ph_image_flags {
	PH_IMAGE_ELF = 1u << 0,
	PH_IMAGE_SCRIPT = 1u << 1, /* `interpreter` runs it: classify that one */
	/* Neither: execvp() and shells hand it to /bin/sh, binfmt_misc to something. */
	PH_IMAGE_OTHER = 1u << 2,
	/* Of an ELF file; none of these: LD_PRELOAD works. */
	PH_IMAGE_FOREIGN = 1u << 3,	 /* another class, byte order or machine than ours */
	PH_IMAGE_STATIC = 1u << 4,	 /* names no loader, and is none: see ph_image_why() */
	PH_IMAGE_OTHER_LOADER = 1u << 5, /* `interpreter` is not glibc's */
	PH_IMAGE_MUSL = 1u << 6,	 /* with OTHER_LOADER: it is musl's */
	PH_IMAGE_UNKNOWN = 1u << 7,	 /* what would tell stands beyond the head */
};

struct ph_image {
	uint32_t flags;			 /* enum ph_image_flags */
	char interpreter[PH_IMAGE_PATH]; /* a script's, or the loader's; "": none */
};

/* `bytes` from the beginning of a file. */
void ph_image_classify(const void *head, size_t bytes, struct ph_image *image);

/* Is it glibc's loader by its name? Run as a program it looks like a static one,
 * and does load LD_PRELOAD's libraries into what it is given. */
int ph_image_is_loader(const char *path);

/*
 * Why the library is not loaded into such a program, to stand behind its name:
 * "is statically linked: ...". NULL: nothing speaks against it, or it is not
 * known, or it is a script.
 */
const char *ph_image_why(const struct ph_image *image, const char *path);

#endif
