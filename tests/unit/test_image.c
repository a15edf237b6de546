/* SPDX-License-Identifier: MIT */
/* What the first bytes of a file say of how it would run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/image.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct ph_image of_bytes(const void *head, size_t bytes)
{
	struct ph_image image;

	memset(&image, 0xff, sizeof(image));
	ph_image_classify(head, bytes, &image);
	assert_non_null(memchr(image.interpreter, '\0', sizeof(image.interpreter)));
	return image;
}

static struct ph_image of_text(const char *text)
{
	return of_bytes(text, strlen(text));
}

/* An ELF file with one program header and one text, as a loader's path. */
struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr program;
	char text[PH_IMAGE_HEAD - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr)];
};
_Static_assert(sizeof(struct elf) == PH_IMAGE_HEAD, "a head");

static struct elf make_elf(uint32_t type, const char *text)
{
	struct elf e = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB},
#ifdef __x86_64__
			   .e_machine = EM_X86_64,
#else
			   .e_machine = EM_AARCH64,
#endif
			   .e_phoff = offsetof(struct elf, program),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = 1},
		.program = {.p_type = type,
			    .p_offset = offsetof(struct elf, text),
			    .p_filesz = strlen(text) + 1},
	};

	snprintf(e.text, sizeof(e.text), "%s", text);
	return e;
}

static struct ph_image of_elf(const struct elf *e)
{
	return of_bytes(e, sizeof(*e));
}

static void check_flags(const struct ph_image *image, uint32_t flags, const char *interpreter)
{
	assert_int_equal(image->flags, flags);
	assert_string_equal(image->interpreter, interpreter);
}

static void test_loaders(void **state)
{
	static const struct {
		const char *loader;
		uint32_t flags;
	} cases[] = {
		{"/lib64/ld-linux-x86-64.so.2", 0},
		{"/lib/ld-linux-aarch64.so.1", 0},
		{"/nix/store/abc-glibc/lib/ld-linux-x86-64.so.2", 0},
		{"/lib/ld-musl-x86_64.so.1", PH_IMAGE_OTHER_LOADER | PH_IMAGE_MUSL},
		{"/system/bin/linker64", PH_IMAGE_OTHER_LOADER},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct elf e = make_elf(PT_INTERP, cases[i].loader);
		struct ph_image image = of_elf(&e);

		check_flags(&image, PH_IMAGE_ELF | cases[i].flags, cases[i].loader);
		assert_int_equal(ph_image_why(&image, "/bin/x") != NULL, cases[i].flags != 0);
	}
}

static void test_static(void **state)
{
	struct elf e = make_elf(PT_LOAD, "x");
	struct ph_image image = of_elf(&e);

	(void)state;
	check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_STATIC, "");
	assert_non_null(strstr(ph_image_why(&image, "/bin/x"), "statically linked"));
	/* The loader, given a program to load. */
	assert_null(ph_image_why(&image, "/lib64/ld-linux-x86-64.so.2"));
}

static void test_foreign(void **state)
{
	struct elf e = make_elf(PT_INTERP, "/lib/ld-linux.so.2");
	struct ph_image image;

	(void)state;
	e.header.e_ident[EI_CLASS] = ELFCLASS32;
	image = of_elf(&e);
	check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_FOREIGN, "");
	e.header.e_ident[EI_CLASS] = ELFCLASS64;
	e.header.e_machine = EM_S390;
	image = of_elf(&e);
	check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_FOREIGN, "");
	assert_non_null(ph_image_why(&image, "/bin/x"));
}

/* Whatever the header claims, nothing outside the bytes is read; run with
 * AddressSanitizer this would be seen. */
static void test_hostile(void **state)
{
	static const uint64_t far[] = {PH_IMAGE_HEAD - 1, PH_IMAGE_HEAD, UINT64_MAX, UINT64_MAX - 4,
				       UINT64_C(1) << 63};

	(void)state;
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
		struct elf e = make_elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
		struct ph_image image;

		e.header.e_phoff = far[i];
		image = of_elf(&e);
		check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_UNKNOWN, "");
		e = make_elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
		e.program.p_offset = far[i];
		image = of_elf(&e);
		check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_UNKNOWN, "");
		e = make_elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
		e.program.p_filesz = far[i];
		image = of_elf(&e);
		check_flags(&image, PH_IMAGE_ELF | PH_IMAGE_UNKNOWN, "");
		assert_null(ph_image_why(&image, "/bin/x"));
	}
	for (size_t bytes = 0; bytes < 200; bytes++) {
		struct elf e = make_elf(PT_INTERP, "/lib64/ld-linux-x86-64.so.2");
		char *exact = malloc(bytes + 1);
		struct ph_image image;

		assert_non_null(exact);
		memcpy(exact + 1, &e, bytes);
		image = of_bytes(exact + 1, bytes);
		assert_true((image.flags & (PH_IMAGE_UNKNOWN | PH_IMAGE_OTHER)) != 0 ||
			    bytes > offsetof(struct elf, text));
		free(exact);
	}
}

static void test_scripts(void **state)
{
	static const struct {
		const char *text, *interpreter;
	} cases[] = {
		{"#!/bin/sh\nexit\n", "/bin/sh"},
		{"#! \t/usr/bin/env python3\n", "/usr/bin/env"},
		{"#!/bin/sh", "/bin/sh"},
	};
	char endless[PH_IMAGE_HEAD + 1];
	struct ph_image image;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		image = of_text(cases[i].text);
		check_flags(&image, PH_IMAGE_SCRIPT, cases[i].interpreter);
		assert_null(ph_image_why(&image, "/bin/x"));
	}
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, "#!", 2);
	image = of_bytes(endless, sizeof(endless));
	assert_int_equal(image.flags, PH_IMAGE_OTHER);
	image = of_text("#!\nls\n");
	check_flags(&image, PH_IMAGE_OTHER, "");
	image = of_text("");
	check_flags(&image, PH_IMAGE_OTHER, "");
	image = of_text("echo hello\n");
	check_flags(&image, PH_IMAGE_OTHER, "");
}

/* This very program, as its compiler and linker made it. */
static void test_itself(void **state)
{
	char head[PH_IMAGE_HEAD];
	int fd = open("/proc/self/exe", O_RDONLY);
	ssize_t n = read(fd, head, sizeof(head));
	struct ph_image image = of_bytes(head, n > 0 ? (size_t)n : 0);

	(void)state;
	close(fd);
	assert_int_equal(image.flags, PH_IMAGE_ELF);
	assert_true(ph_image_is_loader(image.interpreter));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loaders), cmocka_unit_test(test_static),
		cmocka_unit_test(test_foreign), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_scripts), cmocka_unit_test(test_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
