/* SPDX-License-Identifier: MIT */
/*
 * What `make install`, `make dist` and `make deb` give: into folders of the test's own,
 * never into the system. Runs in the sources' folder, by its Makefile. The tarball and the
 * Debian package are built in full mode only (PERFHOOK_STRESS=full).
 */
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

#include "tests/integration/harness.h"

static char *sources;

static struct outcome make(const char *const *words, int timeout_s)
{
	const char *argv[16] = {"make", "-C", sources, text("BUILD=%s", getenv("PERFHOOK_BUILD"))};
	size_t n = 4;
	struct outcome o;

	while (*words != NULL && n < COUNT_OF(argv) - 1)
		argv[n++] = *words++;
	o = run(argv, &(struct options){.timeout_s = timeout_s,
					/* Not the job server of a make around it. */
					.env = ARGV("MAKEFLAGS=", "MAKELEVEL=")});
	check(o.status == 0, "%s says: %s%s", o.line, o.out, o.err);
	return o;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Everything that a user is promised, below a root. */
static void check_installed(const char *root, const char *library)
{
	static const char *const parts[] = {
		"bin/perfhook",
		"share/bash-completion/completions/perfhook",
		"share/doc/perfhook",
		NULL,
	};

	check(exists(text("%s/%s", root, library)), "%s/%s is missing", root, library);
	for (size_t i = 0; parts[i] != NULL; i++)
		check(exists(text("%s/%s", root, parts[i])), "%s/%s is missing", root, parts[i]);
}

/* Program and library find each other there, whichever is started. */
static void check_works(const char *root, const char *library)
{
	char *perfhook = text("%s/bin/perfhook", root), *trace = in_box("by-record.trace");
	char *preload = text("LD_PRELOAD=%s/%s", root, library), *bare = in_box("bare.trace");
	char *to = text("PERFHOOK_OUT=%s", bare);
	struct outcome o = run(ARGV(perfhook, "record", "-o", trace, program("leak")), NULL);

	check_status(&o, 0);
	o = run(ARGV(perfhook, "leaks", trace), NULL);
	check(strstr(o.out, "entry_new") != NULL, "the report has no name: %s%s", o.out, o.err);
	o = run(ARGV(program("leak")), &(struct options){.env = ARGV(preload, to)});
	check_status(&o, 0);
	/* Without its collector it would have written NAME.segment itself. */
	check(exists(bare) && !exists(text("%s.segment", bare)), "the library was alone");
	o = run(ARGV(perfhook, "leaks", bare), NULL);
	check_status(&o, 0);
}

static size_t files_left;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path;
	(void)st;
	(void)where;
	files_left += type != FTW_D;
	return 0;
}

static size_t count_files(const char *root)
{
	files_left = 0;
	nftw(root, count_file, 16, FTW_PHYS);
	return files_left;
}

static void installed(void **state)
{
	const char *destination = text("DESTDIR=%s", in_box("root"));

	(void)state;
	make(ARGV("install", destination, "PREFIX=/usr"), 600);
	check_installed(in_box("root/usr"), "lib/libperfhook.so");
	if (have_tool("scdoc"))
		check(exists(in_box("root/usr/share/man/man1/perfhook-record.1")), "no manual");
	check_works(in_box("root/usr"), "lib/libperfhook.so");
	/* What somebody else put there stays. */
	run(ARGV("touch", in_box("root/usr/share/doc/perfhook/notes")), NULL);
	make(ARGV("uninstall", destination, "PREFIX=/usr"), 60);
	check(exists(in_box("root/usr/share/doc/perfhook/notes")), "another's file is gone");
	check_u64(count_files(in_box("root")), 1, "files left");
}

/* A folder of its own for the library, as distributions have it. */
static void installed_elsewhere(void **state)
{
	char *root = in_box("else");

	(void)state;
	make(ARGV("install", text("PREFIX=%s", root), text("LIBDIR=%s/lib/x86/perfhook", root)),
	     600);
	check_works(root, "lib/x86/perfhook/libperfhook.so");
	/* Moved, they still find each other. */
	check(rename(root, in_box("moved")) == 0, "rename");
	check_works(in_box("moved"), "lib/x86/perfhook/libperfhook.so");
	/* What was built for here is built for where it was, once more. */
	make(ARGV("all"), 600);
}

static void manual(void **state)
{
	char *pages = text("%s/man", getenv("PERFHOOK_BUILD"));
	struct outcome o;

	(void)state;
	need_tool("scdoc");
	need_tool("man");
	make(ARGV("man"), 60);
	if (pages[0] != '/')
		pages = text("%s/%s", sources, pages);
	o = run(ARGV("sh", "-c",
		     text("for page in %s/*.[15]; do man --warnings -l \"$page\" >out || "
			  "exit; "
			  "grep -q EXAMPLES out || grep -q FILES out || echo \"$page\"; done",
			  pages)),
		&(struct options){.env = ARGV("LC_ALL=C.UTF-8", "MANPAGER=cat")});
	check_status(&o, 0);
	check(*o.out == '\0', "not whole: %s", o.out);
	check(*o.err == '\0', "man complains: %s", o.err);
}

/* The same bytes twice, and they build. */
static void tarball(void **state)
{
	char *first, *second, *archive;
	size_t size, again;
	struct outcome o;

	(void)state;
	if (!full_mode())
		skip_because("a whole build (PERFHOOK_STRESS=full)");
	need_tool("git");
	make(ARGV("dist"), 60);
	archive = text("%s/perfhook-" PERFHOOK_VERSION ".tar.gz", getenv("PERFHOOK_BUILD"));
	if (archive[0] != '/')
		archive = text("%s/%s", sources, archive);
	first = read_file(archive, &size);
	make(ARGV("dist"), 60);
	second = read_file(archive, &again);
	check(first != NULL && size == again && memcmp(first, second, size) == 0,
	      "two tarballs differ");
	o = run(ARGV("tar", "-xzf", archive), NULL);
	check_status(&o, 0);
	o = run(ARGV("make", "-C", "perfhook-" PERFHOOK_VERSION, "-j2"),
		&(struct options){.timeout_s = 1800, .env = ARGV("MAKEFLAGS=")});
	check_status(&o, 0);
	check(exists(in_box("perfhook-" PERFHOOK_VERSION "/build/perfhook")), "nothing was built");
}

/* Unpacked where dpkg would put it, and removed by dpkg's own list. */
static void debian_package(void **state)
{
	char *admin = in_box("dpkg"), *root = in_box("system"), *package;
	struct outcome o;

	(void)state;
	if (!full_mode())
		skip_because("a whole build (PERFHOOK_STRESS=full)");
	need_tool("dpkg-buildpackage");
	need_tool("lintian");
	need_tool("dh");
	make(ARGV("deb"), 1800);
	o = run(ARGV("sh", "-c",
		     text("cd %s && ls $PWD/%s/deb/perfhook_*.deb", sources,
			  getenv("PERFHOOK_BUILD"))),
		NULL);
	check_status(&o, 0);
	package = text("%.*s", (int)strcspn(o.out, "\n"), o.out);
	o = run(ARGV("sh", "-c",
		     text("mkdir -p %s/updates %s/info %s && : >%s/status && : >%s/available && "
			  "dpkg --admindir=%s --instdir=%s --force-depends --force-not-root "
			  "--log=/dev/null -i %s",
			  admin, admin, root, admin, admin, admin, root, package)),
		NULL);
	check(o.status == 0, "dpkg -i says: %s%s", o.out, o.err);
	check_works(text("%s/usr", root), "lib/x86_64-linux-gnu/perfhook/libperfhook.so");
	check(exists(text("%s/usr/share/man/man1/perfhook-record.1.gz", root)), "no manual");
	o = run(ARGV("dpkg", text("--admindir=%s", admin), text("--instdir=%s", root),
		     "--force-not-root", "--log=/dev/null", "-P", "perfhook"),
		NULL);
	check(o.status == 0, "dpkg -P says: %s%s", o.out, o.err);
	check_u64(count_files(root), 0, "files left");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(installed), boxed(installed_elsewhere), boxed(manual),
		boxed(tarball),	  boxed(debian_package),
	};

	sources = realpath(".", NULL);
	return cmocka_run_group_tests_name("packaging", tests, NULL, NULL);
}
