/* SPDX-License-Identifier: MIT */
/* ELF gABI, "ELF Header" and "Program Header"; execve(2), "Interpreter scripts". */
#include "trace/image.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#define OUR_MACHINE EM_NONE
#endif

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

int ph_image_is_loader(const char *path)
{
	const char *name = base_name(path);

	return strncmp(name, "ld-linux", 8) == 0 || strcmp(name, "ld.so") == 0 ||
	       strncmp(name, "ld-2.", 5) == 0;
}

static void classify_script(const char *at, const char *end, struct ph_image *image)
{
	size_t n = 0;

	image->flags = PH_IMAGE_SCRIPT;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	while (at + n < end && strchr(" \t\n", at[n]) == NULL && n + 1 < sizeof(image->interpreter))
		n++;
	memcpy(image->interpreter, at, n);
	/* An empty or an endless line is no script to the kernel. */
	if (n == 0 || n + 1 == sizeof(image->interpreter))
		image->flags = PH_IMAGE_OTHER;
}

/* PT_INTERP's path, if it stands in the head. */
static void read_loader(const char *head, size_t bytes, const Elf64_Phdr *p, struct ph_image *image)
{
	if (p->p_offset >= bytes || p->p_filesz > bytes - p->p_offset ||
	    p->p_filesz > sizeof(image->interpreter) || p->p_filesz < 2) {
		image->flags |= PH_IMAGE_UNKNOWN;
		return;
	}
	memcpy(image->interpreter, head + p->p_offset, p->p_filesz - 1);
	if (ph_image_is_loader(image->interpreter))
		return;
	image->flags |= PH_IMAGE_OTHER_LOADER;
	if (strncmp(base_name(image->interpreter), "ld-musl", 7) == 0)
		image->flags |= PH_IMAGE_MUSL;
}

static void classify_elf(const char *head, size_t bytes, struct ph_image *image)
{
	Elf64_Ehdr h;

	image->flags = PH_IMAGE_ELF;
	if (bytes < sizeof(h)) {
		image->flags |= PH_IMAGE_UNKNOWN;
		return;
	}
	memcpy(&h, head, sizeof(h));
	/* The machine stands at the same place in both classes. */
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_machine != OUR_MACHINE) {
		image->flags |= PH_IMAGE_FOREIGN;
		return;
	}
	if (h.e_phentsize != sizeof(Elf64_Phdr)) {
		image->flags |= PH_IMAGE_UNKNOWN;
		return;
	}
	for (unsigned i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr p;

		if (h.e_phoff >= bytes || (i + 1) * sizeof(p) > bytes - h.e_phoff) {
			image->flags |= PH_IMAGE_UNKNOWN;
			return;
		}
		memcpy(&p, head + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP) {
			read_loader(head, bytes, &p, image);
			return;
		}
	}
	image->flags |= PH_IMAGE_STATIC;
}

void ph_image_classify(const void *head, size_t bytes, struct ph_image *image)
{
	const char *text = head;

	memset(image, 0, sizeof(*image));
	if (bytes > PH_IMAGE_HEAD)
		bytes = PH_IMAGE_HEAD;
	if (bytes >= SELFMAG && memcmp(text, ELFMAG, SELFMAG) == 0)
		classify_elf(text, bytes, image);
	else if (bytes >= 2 && text[0] == '#' && text[1] == '!')
		classify_script(text + 2, text + bytes, image);
	else
		image->flags = PH_IMAGE_OTHER;
}

const char *ph_image_why(const struct ph_image *image, const char *path)
{
	if (image->flags & PH_IMAGE_FOREIGN)
		return "is built for another kind of processor (or for 32 bits): libperfhook.so "
		       "does not fit into it";
	if (image->flags & PH_IMAGE_MUSL)
		return "uses musl, not glibc: libperfhook.so needs glibc";
	if (image->flags & PH_IMAGE_OTHER_LOADER)
		return "uses a loader that is not glibc's: libperfhook.so needs glibc";
	if ((image->flags & PH_IMAGE_STATIC) && !ph_image_is_loader(path))
		return "is statically linked: no loader is there to load libperfhook.so";
	return NULL;
}
