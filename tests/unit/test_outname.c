/* SPDX-License-Identifier: MIT */
/* Where a trace goes: names made of a pattern, and what may stand there already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/outname.h"
#include "trace/format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h> /* last: it has a fail() */

#define NOBODY 65534

static char box[] = "/tmp/perfhook-outname-XXXXXX";

static struct outname example(const char *pattern)
{
	return (struct outname){
		.pattern = pattern,
		.directory = "/where/it/began",
		.executable = "/opt/some tools/server",
		.host = "box17",
		.pid = 4711,
		.started_ns = UINT64_C(1700000000) * 1000000000 + 999999999,
	};
}

static const char *expanded(const struct outname *n)
{
	static char out[PATH_MAX];

	return outname_expand(n, out, sizeof(out)) ? out : NULL;
}

static const char *expand(const char *pattern)
{
	struct outname n = example(pattern);

	return expanded(&n);
}

static void test_each_letter(void **state)
{
	(void)state;
	assert_string_equal(expand("/t/%p"), "/t/4711");
	assert_string_equal(expand("/t/%e"), "/t/server");
	assert_string_equal(expand("/t/%h"), "/t/box17");
	assert_string_equal(expand("/t/%%"), "/t/%");
	assert_string_equal(expand("/t/%p%p.%e-%h.trace"), "/t/47114711.server-box17.trace");
	assert_string_equal(expand("/%h/%e/%p"), "/box17/server/4711");
}

/* The same everywhere: a process without a collector cannot ask for the zone. */
static void test_time_is_utc(void **state)
{
	static const char *const zones[] = {"UTC", "XXX-5:30", "YYY8"};

	(void)state;
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		setenv("TZ", zones[i], 1);
		tzset();
		assert_string_equal(expand("/t/%t"), "/t/20231114T221320");
	}
	unsetenv("TZ");
	tzset();
}

static void test_unknown_letters_stay(void **state)
{
	(void)state;
	assert_string_equal(expand("/t/%x"), "/t/%x");
	assert_string_equal(expand("/t/%P%E"), "/t/%P%E");
	assert_string_equal(expand("/t/100%"), "/t/100%");
	assert_string_equal(expand("/t/%x%p"), "/t/%x4711");
	/* A percent sign stands for itself once, and begins nothing. */
	assert_string_equal(expand("/t/%%p"), "/t/%p");
	assert_string_equal(expand("/t/%%%p"), "/t/%4711");
}

static void test_relative_and_default(void **state)
{
	struct outname n = example("sub/%p");

	(void)state;
	assert_string_equal(expanded(&n), "/where/it/began/sub/4711");
	n.pattern = "";
	assert_string_equal(expanded(&n), "/where/it/began/perfhook.server.4711.trace");
	/* The pattern says whether a name is relative, what it stands for does not. */
	n.pattern = "%e";
	assert_string_equal(expanded(&n), "/where/it/began/server");
	/* Nor are directories expanded. */
	n.directory = "/d/%p";
	assert_string_equal(expanded(&n), "/d/%p/server");
}

/* A name cannot lead elsewhere, nor is it expanded in its turn. */
static void test_odd_names(void **state)
{
	struct outname n = example("/t/%h.%e");

	(void)state;
	n.host = "../../etc";
	n.executable = "server";
	assert_string_equal(expanded(&n), "/t/.._.._etc.server");
	n.host = "%p";
	n.executable = "/a/%p%";
	assert_string_equal(expanded(&n), "/t/%p.%p%");
	n.host = "";
	n.executable = "/ends/";
	assert_string_equal(expanded(&n), "/t/.");
}

static void test_room(void **state)
{
	static const char *const patterns[] = {"/t/%p", "%p", "/t/%%", "/t/plain", ""};

	(void)state;
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct outname n = example(patterns[i]);
		size_t length = strlen(expanded(&n));

		for (size_t room = 1; room <= length + 1; room++) {
			char *out = malloc(room); /* exact, for AddressSanitizer */

			assert_non_null(out);
			assert_int_equal(outname_expand(&n, out, room), room == length + 1);
			if (room == length + 1)
				assert_string_equal(out, expanded(&n));
			free(out);
		}
	}
}

static void test_has_pid(void **state)
{
	(void)state;
	assert_true(outname_has_pid(""));
	assert_true(outname_has_pid("%p"));
	assert_true(outname_has_pid("a.%e.%p"));
	assert_true(outname_has_pid("%%%p"));
	assert_true(outname_has_pid("%x%p"));
	assert_false(outname_has_pid("p"));
	assert_false(outname_has_pid("%%p"));
	assert_false(outname_has_pid("%e%h%t"));
	assert_false(outname_has_pid("trace%"));
}

/* ---- the file ------------------------------------------------------------ */

/* Good for the next two calls. */
static const char *in_box(const char *name)
{
	static char paths[2][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 2];

	snprintf(path, PATH_MAX, "%s/%s", box, name);
	return path;
}

static void put(const char *path, const void *content, size_t bytes, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, bytes), (ssize_t)bytes);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_created(const char *path)
{
	char why[512] = "", byte = 'x';
	struct stat by_fd, by_name;
	int fd = outname_create(path, why, sizeof(why));

	assert_string_equal(why, "");
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &by_fd), 0);
	assert_int_equal(lstat(path, &by_name), 0);
	assert_int_equal(by_fd.st_ino, by_name.st_ino);
	assert_true(S_ISREG(by_name.st_mode));
	assert_int_equal(by_name.st_mode & 07777, 0600);
	assert_int_equal(by_name.st_size, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(fd, &byte, 1), 1);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	close(fd);
}

/* Refused, with the name and `because` in the sentence, and left as it was. */
static void assert_refused(const char *path, const char *because)
{
	struct stat before = {0}, after = {0};
	char why[PATH_MAX + 256] = "";
	int there = lstat(path, &before);

	assert_int_equal(outname_create(path, why, sizeof(why)), -1);
	assert_non_null(strstr(why, path));
	assert_non_null(strstr(why, because));
	assert_int_equal(lstat(path, &after), there);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mode, before.st_mode);
}

static void test_new_file(void **state)
{
	mode_t saved = umask(0);

	(void)state;
	assert_created(in_box("new"));
	umask(saved);
}

/* Another name of the old trace keeps what it holds: it is not written over. */
static void test_replaces_traces(void **state)
{
	char head[64] = PH_TRACE_MAGIC "and more";
	struct stat st;

	(void)state;
	put(in_box("old"), head, sizeof(head), 0644);
	assert_int_equal(link(in_box("old"), in_box("kept")), 0);
	assert_created(in_box("old"));
	assert_int_equal(stat(in_box("kept"), &st), 0);
	assert_int_equal(st.st_size, sizeof(head));
	put(in_box("only the magic"), PH_TRACE_MAGIC, 8, 0600);
	assert_created(in_box("only the magic"));
	put(in_box("empty"), "", 0, 0644);
	assert_created(in_box("empty"));
}

/* One that is being written stays as it is. */
static void test_leaves_busy_traces(void **state)
{
	char why[512] = "";
	int fd;

	(void)state;
	put(in_box("busy"), PH_TRACE_MAGIC, 8, 0600);
	fd = open(in_box("busy"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(outname_create(in_box("busy"), why, sizeof(why)), OUTNAME_BUSY);
	assert_int_equal(access(in_box("busy"), F_OK), 0);
	close(fd);
	assert_created(in_box("busy"));
}

static void test_refuses_other_files(void **state)
{
	static const char *const contents[] = {"letter", &PH_TRACE_MAGIC[1], "\x89PERFHK", "\x89"};

	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), "other.%zu", i);
		put(in_box(name), contents[i], strlen(contents[i]), 0644);
		assert_refused(in_box(name), "is not a perfhook trace");
	}
}

static void test_refuses_links(void **state)
{
	struct stat st;

	(void)state;
	put(in_box("target"), PH_TRACE_MAGIC, 8, 0600);
	assert_int_equal(symlink("target", in_box("link")), 0);
	assert_refused(in_box("link"), "is a link");
	assert_int_equal(stat(in_box("target"), &st), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(symlink("nowhere", in_box("dangling")), 0);
	assert_refused(in_box("dangling"), "is a link");
	assert_int_equal(stat(in_box("nowhere"), &st), -1);
}

/* A fifo that nobody reads must not hold the program up: alarm() would end us. */
static void test_refuses_what_is_no_file(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(mkdir(in_box("directory"), 0755), 0);
	assert_refused(in_box("directory"), "is not a perfhook trace");
	assert_int_equal(mkfifo(in_box("fifo"), 0600), 0);
	alarm(60);
	assert_refused(in_box("fifo"), "is not a perfhook trace");
	alarm(0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", in_box("socket"));
	assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_refused(in_box("socket"), "cannot be replaced");
	close(s);
}

static void test_refuses_bad_directories(void **state)
{
	char long_name[300];

	(void)state;
	assert_refused(in_box("missing/trace"), strerror(ENOENT));
	put(in_box("file"), "", 0, 0600);
	assert_refused(in_box("file/trace"), strerror(ENOTDIR));
	memset(long_name, 'n', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	assert_refused(in_box(long_name), strerror(ENAMETOOLONG));
}

/* As somebody who may not write there: root may, so not as root. */
static void test_refuses_unwritable(void **state)
{
	char why[512] = "";
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(mkdir(in_box("closed"), 0555), 0);
	child = fork();
	if (child == 0) {
		if (geteuid() == 0 && setuid(NOBODY) != 0)
			_exit(2);
		_exit(outname_create(in_box("closed/trace"), why, sizeof(why)) != -1 ||
		      strstr(why, "cannot be created") == NULL ||
		      strstr(why, strerror(EACCES)) == NULL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static int make_box(void **state)
{
	(void)state;
	return mkdtemp(box) != NULL && chmod(box, 0755) == 0 ? 0 : -1;
}

static int remove_box(void **state)
{
	char command[sizeof(box) + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", box);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_letter),
		cmocka_unit_test(test_time_is_utc),
		cmocka_unit_test(test_unknown_letters_stay),
		cmocka_unit_test(test_relative_and_default),
		cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_has_pid),
		cmocka_unit_test(test_new_file),
		cmocka_unit_test(test_replaces_traces),
		cmocka_unit_test(test_leaves_busy_traces),
		cmocka_unit_test(test_refuses_other_files),
		cmocka_unit_test(test_refuses_links),
		cmocka_unit_test(test_refuses_what_is_no_file),
		cmocka_unit_test(test_refuses_bad_directories),
		cmocka_unit_test(test_refuses_unwritable),
	};

	return cmocka_run_group_tests(tests, make_box, remove_box);
}
