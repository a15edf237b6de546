/* SPDX-License-Identifier: MIT */
/* Finding and opening a module's file and its debug information. */
#include "analyzer/debug_files.h"

#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BUILD_ID_MAX = 64 }; /* bytes; 20 is usual */

static const char system_debug_dir[] = "/usr/lib/debug";

static const char no_file[] = "file not found";
static const char no_access[] = "file cannot be read";
static const char not_regular[] = "not a regular file";
static const char not_elf[] = "not an ELF program or library";
static const char other_build_id[] = "build-id differs from the recorded one";

/* An ELF file with its descriptor: libdw takes the folder from it in which
 * further files are looked for. */
struct opened {
	Elf *elf;
	int fd;
	char path[PATH_MAX];
};

static bool add_path(char ***list, size_t *count, const char *dir, const char *below)
{
	return asprintf(&(*list)[*count], "%s%s", dir, below) >= 0 && ++*count > 0;
}

bool search_paths_init(struct search_paths *paths, const struct symbols_options *options)
{
	static const struct symbols_options none;
	const struct symbols_options *o = options != NULL ? options : &none;
	bool good;

	*paths = (struct search_paths){0};
	paths->sysroots = calloc(o->sysroot_count + 1, sizeof(char *));
	paths->debug_dirs = calloc(o->debug_path_count + o->sysroot_count + 1, sizeof(char *));
	good = paths->sysroots != NULL && paths->debug_dirs != NULL;
	for (size_t i = 0; good && i < o->sysroot_count; i++)
		good = add_path(&paths->sysroots, &paths->sysroot_count, o->sysroots[i], "/");
	good = good && add_path(&paths->sysroots, &paths->sysroot_count, "", "");
	for (size_t i = 0; good && i < o->debug_path_count; i++)
		good = add_path(&paths->debug_dirs, &paths->debug_dir_count, o->debug_paths[i], "");
	for (size_t i = 0; good && i < o->sysroot_count; i++)
		good = add_path(&paths->debug_dirs, &paths->debug_dir_count, o->sysroots[i],
				system_debug_dir);
	return good && add_path(&paths->debug_dirs, &paths->debug_dir_count, "", system_debug_dir);
}

static void free_list(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

void search_paths_free(struct search_paths *paths)
{
	free_list(paths->sysroots, paths->sysroot_count);
	free_list(paths->debug_dirs, paths->debug_dir_count);
}

static bool is_program(Elf *elf)
{
	GElf_Ehdr header;

	return elf_kind(elf) == ELF_K_ELF && gelf_getehdr(elf, &header) != NULL &&
	       (header.e_type == ET_EXEC || header.e_type == ET_DYN);
}

static const char *why_not_opened(int error)
{
	return error == ENOENT || error == ENOTDIR ? no_file : no_access;
}

/* NULL, or why not. */
static const char *open_elf(struct opened *o, const char *path)
{
	struct stat st;

	o->elf = NULL;
	snprintf(o->path, sizeof(o->path), "%s", path);
	/* Asked first: to open a device can do something to it, a pipe blocks. */
	if (stat(path, &st) != 0)
		return why_not_opened(errno);
	if (!S_ISREG(st.st_mode))
		return not_regular;
	o->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (o->fd < 0)
		return why_not_opened(errno);
	if (fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode))
		o->elf = elf_begin(o->fd, ELF_C_READ_MMAP, NULL);
	if (o->elf != NULL && is_program(o->elf))
		return NULL;
	elf_end(o->elf);
	o->elf = NULL;
	close(o->fd);
	return not_elf;
}

static void close_elf(struct opened *o)
{
	if (o->elf == NULL)
		return;
	elf_end(o->elf);
	close(o->fd);
	o->elf = NULL;
}

/* Hundreds of modules stay open: keep the mapping, not the descriptor. */
static Elf *keep_elf(struct opened *o)
{
	Elf *elf = o->elf;

	if (elf == NULL)
		return NULL;
	elf_cntl(elf, ELF_C_FDREAD);
	close(o->fd);
	o->elf = NULL;
	return elf;
}

/* `hex` gets "" where there is none. */
static void hex_id(char hex[BUILD_ID_MAX * 2 + 1], const void *id, ssize_t length)
{
	const unsigned char *bytes = id;

	hex[0] = '\0';
	if (length > BUILD_ID_MAX)
		return;
	for (ssize_t i = 0; i < length; i++)
		sprintf(hex + i * 2, "%02x", bytes[i]);
}

static void build_id_of(Elf *elf, char hex[BUILD_ID_MAX * 2 + 1])
{
	const void *id = NULL;
	ssize_t length = dwelf_elf_gnu_build_id(elf, &id);

	hex_id(hex, id, length);
}

static bool has_build_id(Elf *elf, const char *build_id)
{
	char hex[BUILD_ID_MAX * 2 + 1];

	build_id_of(elf, hex);
	return strcasecmp(hex, build_id) == 0;
}

/* It becomes part of a path, and comes out of a file. */
static bool is_build_id(const char *text)
{
	size_t length = strlen(text);

	return length >= 4 && length <= (size_t)BUILD_ID_MAX * 2 &&
	       strspn(text, "0123456789abcdefABCDEF") == length;
}

static const char *try_module(struct opened *o, const char *path, const char *build_id)
{
	const char *problem = open_elf(o, path);

	if (problem != NULL)
		return problem;
	if (build_id[0] == '\0' || has_build_id(o->elf, build_id))
		return NULL;
	close_elf(o);
	return other_build_id;
}

/* NULL, or what says most of why none of the places had it. */
static const char *find_module(struct opened *o, const struct search_paths *paths, const char *path,
			       const char *build_id)
{
	const char *problem = no_file;
	char full[PATH_MAX];

	for (size_t i = 0; i < paths->sysroot_count; i++) {
		const char *why = no_file;

		if ((size_t)snprintf(full, sizeof(full), "%s%s", paths->sysroots[i], path) <
		    sizeof(full))
			why = try_module(o, full, build_id);
		if (why == NULL)
			return NULL;
		if (why != no_file && problem != other_build_id)
			problem = why;
	}
	return problem;
}

static bool has_section(Elf *elf, const char *name)
{
	Elf_Scn *section = NULL;
	size_t names;

	if (elf_getshdrstrndx(elf, &names) != 0)
		return false;
	while ((section = elf_nextscn(elf, section)) != NULL) {
		GElf_Shdr header;
		const char *found;

		if (gelf_getshdr(section, &header) == NULL || header.sh_type == SHT_NOBITS)
			continue;
		found = elf_strptr(elf, names, header.sh_name);
		if (found != NULL && strcmp(found, name) == 0)
			return true;
	}
	return false;
}

static bool has_debug_info(Elf *elf)
{
	return has_section(elf, ".debug_info") || has_section(elf, ".zdebug_info");
}

static bool try_with_build_id(struct opened *o, const char *path, const char *build_id)
{
	if (open_elf(o, path) != NULL)
		return false;
	if (has_build_id(o->elf, build_id))
		return true;
	close_elf(o);
	return false;
}

static bool find_by_build_id(struct opened *o, const struct search_paths *paths,
			     const char *build_id)
{
	char full[PATH_MAX];

	if (!is_build_id(build_id))
		return false;
	for (size_t i = 0; i < paths->debug_dir_count; i++)
		if ((size_t)snprintf(full, sizeof(full), "%s/.build-id/%.2s/%s.debug",
				     paths->debug_dirs[i], build_id, build_id + 2) < sizeof(full) &&
		    try_with_build_id(o, full, build_id))
			return true;
	return false;
}

static bool has_crc(Elf *elf, GElf_Word wanted)
{
	size_t size = 0;
	const char *bytes = elf_rawfile(elf, &size);
	uLong crc = crc32(0, NULL, 0);

	if (bytes == NULL)
		return false;
	while (size > 0) {
		uInt part = size < INT_MAX ? size : INT_MAX;

		crc = crc32(crc, (const Bytef *)bytes, part);
		bytes += part;
		size -= part;
	}
	return crc == wanted;
}

struct debug_link {
	const char *name;
	GElf_Word crc;
	char build_id[BUILD_ID_MAX * 2 + 1]; /* of the module */
};

/* The build-id says more than the checksum, and costs no reading of the file. */
static bool fits_link(Elf *elf, const struct debug_link *link)
{
	char found[BUILD_ID_MAX * 2 + 1];

	build_id_of(elf, found);
	if (found[0] != '\0' && link->build_id[0] != '\0')
		return strcmp(found, link->build_id) == 0;
	return has_crc(elf, link->crc);
}

static bool try_link(struct opened *o, const struct debug_link *link, const char *dir,
		     const char *below)
{
	char full[PATH_MAX];

	if ((size_t)snprintf(full, sizeof(full), "%s%s/%s", dir, below, link->name) >= sizeof(full))
		return false;
	if (open_elf(o, full) != NULL)
		return false;
	if (fits_link(o->elf, link) && has_debug_info(o->elf))
		return true;
	close_elf(o);
	return false;
}

static bool folder_of(char folder[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash != NULL ? (size_t)(slash - path) : 0;

	if (slash == NULL || length >= PATH_MAX)
		return false;
	memcpy(folder, path, length);
	folder[length] = '\0';
	return true;
}

/* `recorded` is the module's path in the process, `module` where it was found. */
static bool find_by_link(struct opened *o, const struct search_paths *paths,
			 const struct opened *module, const char *recorded)
{
	struct debug_link link = {0};
	char folder[PATH_MAX];

	link.name = dwelf_elf_gnu_debuglink(module->elf, &link.crc);
	if (link.name == NULL || link.name[0] == '\0' || strchr(link.name, '/') != NULL)
		return false;
	build_id_of(module->elf, link.build_id);
	if (folder_of(folder, module->path) &&
	    (try_link(o, &link, folder, "") || try_link(o, &link, folder, "/.debug")))
		return true;
	if (!folder_of(folder, recorded))
		return false;
	/* As /usr/lib/debug has it, or all in one folder. */
	for (size_t i = 0; i < paths->debug_dir_count; i++)
		if (try_link(o, &link, paths->debug_dirs[i], folder) ||
		    try_link(o, &link, paths->debug_dirs[i], ""))
			return true;
	return false;
}

static bool find_alt_by_name(struct opened *o, const struct search_paths *paths, const char *beside,
			     const char *name, const char *build_id)
{
	char folder[PATH_MAX], full[PATH_MAX * 2];

	if (name[0] != '/') {
		if (!folder_of(folder, beside))
			return false;
		snprintf(full, sizeof(full), "%s/%s", folder, name);
		return try_with_build_id(o, full, build_id);
	}
	for (size_t i = 0; i < paths->sysroot_count; i++) {
		snprintf(full, sizeof(full), "%s%s", paths->sysroots[i], name);
		if (try_with_build_id(o, full, build_id))
			return true;
	}
	return false;
}

/* Left without the file, libdw opens the same name by itself, whatever it is. */
static bool libdw_may_try(const char *beside, const char *name)
{
	char folder[PATH_MAX], full[PATH_MAX * 2];
	struct stat st;

	if (name[0] == '/')
		folder[0] = '\0';
	else if (!folder_of(folder, beside))
		return false;
	snprintf(full, sizeof(full), "%s/%s", folder, name);
	return stat(full, &st) != 0 || S_ISREG(st.st_mode);
}

/* What dwz has moved to a file that several share. Lines are good without it.
 * False: the debug information must not be used. */
static bool open_alt(struct debug_files *files, const struct search_paths *paths,
		     const char *beside)
{
	struct opened alt = {.elf = NULL, .fd = -1};
	char build_id[BUILD_ID_MAX * 2 + 1];
	const char *name = NULL;
	const void *id = NULL;
	ssize_t length = dwelf_dwarf_gnu_debugaltlink(files->dwarf, &name, &id);

	if (length <= 0)
		return length == 0;
	hex_id(build_id, id, length);
	if (build_id[0] == '\0' || (!find_by_build_id(&alt, paths, build_id) &&
				    !find_alt_by_name(&alt, paths, beside, name, build_id)))
		return libdw_may_try(beside, name);
	files->alt_dwarf = dwarf_begin_elf(alt.elf, DWARF_C_READ, NULL);
	files->alt = keep_elf(&alt);
	if (files->alt_dwarf == NULL)
		return false;
	dwarf_setalt(files->dwarf, files->alt_dwarf);
	return true;
}

static void open_dwarf(struct debug_files *files, const struct search_paths *paths,
		       const struct opened *o)
{
	char folder[PATH_MAX];

	if (o->elf == NULL || !has_debug_info(o->elf))
		return;
	files->dwarf = dwarf_begin_elf(o->elf, DWARF_C_READ, NULL);
	if (files->dwarf == NULL)
		return;
	if (open_alt(files, paths, o->path)) {
		files->folder = folder_of(folder, o->path) ? strdup(folder) : NULL;
		return;
	}
	dwarf_end(files->dwarf);
	files->dwarf = NULL;
}

static bool is_kernels_own(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	return path[0] == '[' || strncmp(name, "linux-vdso", 10) == 0 ||
	       strncmp(name, "linux-gate", 10) == 0;
}

void debug_files_open(struct debug_files *files, const struct search_paths *paths, const char *path,
		      const char *build_id)
{
	struct opened module = {.elf = NULL, .fd = -1}, debug = {.elf = NULL, .fd = -1};
	char own_id[BUILD_ID_MAX * 2 + 1] = "";

	*files = (struct debug_files){0};
	if (is_kernels_own(path)) {
		files->problem = "no file: kernel's own";
		return;
	}
	files->problem = find_module(&module, paths, path, build_id);
	if (module.elf != NULL && build_id[0] == '\0') {
		build_id_of(module.elf, own_id);
		build_id = own_id;
	}
	if (module.elf == NULL || !has_debug_info(module.elf)) {
		/* Found by build-id, it does without the module itself. */
		if (!find_by_build_id(&debug, paths, build_id) && module.elf != NULL)
			find_by_link(&debug, paths, &module, path);
	}
	open_dwarf(files, paths, &debug);
	if (files->dwarf == NULL)
		open_dwarf(files, paths, &module);
	files->module = keep_elf(&module);
	files->debug = keep_elf(&debug);
}

void debug_files_close(struct debug_files *files)
{
	dwarf_end(files->dwarf);
	dwarf_end(files->alt_dwarf);
	elf_end(files->alt);
	elf_end(files->debug);
	elf_end(files->module);
	free(files->folder);
	*files = (struct debug_files){0};
}

static bool code_of_sections(Elf *elf, struct address_ranges *code)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;

	while ((section = elf_nextscn(elf, section)) != NULL)
		if (gelf_getshdr(section, &header) != NULL && (header.sh_flags & SHF_ALLOC) != 0 &&
		    (header.sh_flags & SHF_EXECINSTR) != 0 &&
		    header.sh_size <= UINT64_MAX - header.sh_addr &&
		    !address_ranges_add(code, header.sh_addr, header.sh_addr + header.sh_size, 0,
					0))
			return false;
	return true;
}

static bool code_of_segments(Elf *elf, struct address_ranges *code)
{
	size_t count = 0;
	GElf_Phdr header;

	if (elf_getphdrnum(elf, &count) != 0)
		return true;
	for (size_t i = 0; i < count; i++)
		if (gelf_getphdr(elf, i, &header) != NULL && header.p_type == PT_LOAD &&
		    (header.p_flags & PF_X) != 0 && header.p_memsz <= UINT64_MAX - header.p_vaddr &&
		    !address_ranges_add(code, header.p_vaddr, header.p_vaddr + header.p_memsz, 0,
					0))
			return false;
	return true;
}

bool debug_files_code(const struct debug_files *files, struct address_ranges *code)
{
	Elf *elf = files->module != NULL ? files->module : files->debug;

	if (elf == NULL)
		return true;
	if (!code_of_sections(elf, code) || (code->count == 0 && !code_of_segments(elf, code)))
		return false;
	return address_ranges_flatten(code);
}
