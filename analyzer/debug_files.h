/* SPDX-License-Identifier: MIT */
/*
 * A module's file and the files with its debug information: by path below the
 * sysroots, by build-id, by .gnu_debuglink, by .gnu_debugaltlink (dwz). Only
 * regular ELF files are opened, and none whose build-id is another one.
 */
#ifndef PH_ANALYZER_DEBUG_FILES_H
#define PH_ANALYZER_DEBUG_FILES_H

#include <elfutils/libdw.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>

#include "analyzer/address_ranges.h"
#include "analyzer/symbols.h"

/* Where to look, owned. */
struct search_paths {
	char **sysroots; /* the last one is "": as recorded */
	size_t sysroot_count;
	char **debug_dirs;
	size_t debug_dir_count;
};

struct debug_files {
	Elf *module;  /* NULL: not found, or not to be used */
	Elf *debug;   /* separate file; NULL: none */
	Elf *alt;     /* what dwz moved out of it; NULL: none */
	Dwarf *dwarf; /* of debug or module; NULL: none has any */
	Dwarf *alt_dwarf;
	char *folder;	     /* that the file of `dwarf` is in; NULL: unknown */
	const char *problem; /* with `module`; NULL: none */
};

/* False: out of memory; search_paths_free() is due all the same. */
bool search_paths_init(struct search_paths *paths, const struct symbols_options *options);
void search_paths_free(struct search_paths *paths);

/* `build_id` is hex or "". Whatever was found is to be closed. */
void debug_files_open(struct debug_files *files, const struct search_paths *paths, const char *path,
		      const char *build_id);
void debug_files_close(struct debug_files *files);

/* Where a file has code: its executable sections, or segments if it has no
 * sections. What claims to be code elsewhere was thrown away by the linker. */
bool debug_files_code(const struct debug_files *files, struct address_ranges *code);

#endif
