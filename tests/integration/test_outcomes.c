/* SPDX-License-Identifier: MIT */
/*
 * The rows of docs/outcomes.md: a program that cannot be recorded, or not at the
 * place that was asked for, runs as it would without, and one clear line says so.
 * Limits, a full /dev/shm and a collector that stands still: test_hard.c.
 */
#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "harness.h"
#include "trace/segment.h"

/* ---- programs ----------------------------------------------------------- */

/* tests/programs/outcome.c, by another compiler or with other flags. */
static char *build(const char *name, const char *compiler, const char *const *flags)
{
	char *path = in_box("%s", name);
	const char *argv[16] = {compiler, "-w", "-o", path};
	char *source = realpath("tests/programs/outcome.c", NULL);
	struct outcome o;
	size_t n = 4;

	check(source != NULL, "run it from the project's folder");

	for (size_t i = 0; flags[i] != NULL; i++)
		argv[n++] = flags[i];
	argv[n++] = source;
	argv[n] = "-lpthread";
	o = run(argv, NULL);
	free(source);
	check_status(&o, 0);
	return path;
}

/* One line of ours, which holds `part`, and no other's. */
static void check_line(const struct outcome *o, const char *part)
{
	const char *line = strstr(o->err, "perfhook: ");

	check(line != NULL && strstr(line, part) != NULL, "\"%s\" is not said after: %s\n%s", part,
	      o->line, o->err);
	check(strstr(line + 1, "perfhook: ") == NULL, "more than a line after: %s\n%s", o->line,
	      o->err);
	check(*foreign_errors(o) == '\0', "not ours: %s", o->err);
}

/* It does what it does without us. */
static void check_ran(const struct outcome *o)
{
	check_status(o, 7);
	assert_string_equal(o->out, "done\n");
}

static struct outcome under_record(const char *command)
{
	return run(ARGV(perfhook_path(), "record", "-o", in_box("t"), "--", command), NULL);
}

static void check_unrecorded(const char *command, const char *part)
{
	struct outcome o = under_record(command);

	check_ran(&o);
	check_line(&o, part);
	check(access(in_box("t"), F_OK) != 0, "there is a trace of %s", command);
}

/* A bare LD_PRELOAD; no trace is demanded. */
static struct outcome preloaded(const char *command)
{
	return run(ARGV(command), &(struct options){.preload = true});
}

static void check_recorded(const struct outcome *o, const char *trace)
{
	cJSON *json = report(trace);

	check_ran(o);
	/* AddressSanitizer starts a program anew: then there are two traces. */
	check(*o->err == '\0' || (strncmp(o->err, "perfhook: 2 traces: ", 20) == 0 &&
				  strchr(o->err, '\n')[1] == '\0'),
	      "%s", o->err);
	check(json_u64(json, "memory.allocations") >= 1003, "%llu allocations",
	      (unsigned long long)json_u64(json, "memory.allocations"));
	check_u64(json_u64(json, "process.status"), 7, "status");
}

static void static_program(void **state)
{
	struct outcome o;
	char *path;

	(void)state;
	need_tool("gcc");
	path = build("static", "gcc", ARGV("-static"));
	check_unrecorded(path, "is statically linked: no loader is there");
	check_unrecorded(build("pie", "gcc", ARGV("-static-pie")), "is statically linked");
	o = preloaded(path);
	check_ran(&o);
	check(*o.err == '\0', "%s", o.err);
}

static char *script(const char *name, const char *interpreter)
{
	char *path = in_box("%s", name), *content = text("#!%s\n", interpreter);

	write_file(path, content, strlen(content));
	chmod(path, 0755);
	return path;
}

static void script_of_a_static_program(void **state)
{
	struct outcome o;
	char *interpreter;

	(void)state;
	need_tool("gcc");
	/* The script is its argument, and is there: it need not wait. */
	interpreter = build("static", "gcc", ARGV("-static"));
	o = under_record(script("s", interpreter));
	check_status(&o, 7);
	check_line(&o, text("is run by %s, which is statically linked", interpreter));
	check(strstr(under_record(script("ok", "/bin/true")).err, "perfhook") == NULL,
	      "something is said of a script that can be recorded");
}

static void musl_program(void **state)
{
	struct outcome o;
	char *path;

	(void)state;
	need_tool("musl-gcc");
	path = build("musl", "musl-gcc", ARGV("-O1"));
	o = preloaded(path);
	check_ran(&o);
	check_line(&o, "this program uses musl, not glibc: it runs unrecorded");
	check_unrecorded(path, "this program uses musl, not glibc");
}

static void foreign_program(void **state)
{
	char *path = in_box("foreign");
	struct outcome o;
	size_t size = 0;
	char *bytes = read_file("/bin/true", &size);

	(void)state;
	check(size > sizeof(Elf64_Ehdr), "/bin/true cannot be read");
	((Elf64_Ehdr *)(void *)bytes)->e_machine = EM_S390;
	write_file(path, bytes, size);
	chmod(path, 0755);
	o = under_record(path);
	check(strstr(o.err, "is built for another kind of processor") != NULL, "%s", o.err);
	check(o.status != 0, "it ran");
}

static void set_uid_program(void **state)
{
	char *path;

	(void)state;
	need_tool("gcc");
	if (getuid() != 0)
		skip_because("not root: cannot make another user's program");
	path = build("setuid", "gcc", ARGV("-O1"));
	check(chown(path, 65534, 65534) == 0 && chmod(path, 04755) == 0, "chmod");
	check_unrecorded(path, "is set-uid: the loader ignores LD_PRELOAD there");
	check(chmod(path, 02755) == 0, "chmod");
	check_unrecorded(path, "is set-gid: the loader ignores LD_PRELOAD there");
}

/* Capabilities of a file count for whoever is not root (capabilities(7)). */
static void program_with_capabilities(void **state)
{
	struct vfs_cap_data capability = {.magic_etc =
						  VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE};
	struct outcome o;
	char *path;

	(void)state;
	need_tool("gcc");
	need_tool("setpriv");
	if (getuid() != 0)
		skip_because("not root: cannot give capabilities to a file");
	path = build("capable", "gcc", ARGV("-O1"));
	capability.data[0].permitted = 1u << CAP_NET_BIND_SERVICE;
	if (setxattr(path, "security.capability", &capability, XATTR_CAPS_SZ_2, 0) != 0)
		skip_because("no file capabilities here");
	check(chmod(box_dir(), 0777) == 0, "chmod");
	o = run(ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", perfhook_path(),
		     "record", "-o", in_box("t"), "--", path),
		NULL);
	if (o.status == 126 || o.status == 127)
		skip_because("another user cannot come here: %s", o.err);
	check_ran(&o);
	check_line(&o, "has file capabilities: the loader ignores LD_PRELOAD there");
}

/* gcc's refuses to run behind another preloaded library, and does not refuse ours. */
static void address_sanitizer(void **state)
{
	struct outcome o;
	char *path;

	(void)state;
	need_tool("gcc");
	path = build("asan", "gcc", ARGV("-fsanitize=address"));
	o = preloaded(path);
	check_recorded(&o, o.trace);
	o = under_record(path);
	check_recorded(&o, in_box("t"));
	path = build("tsan", "gcc", ARGV("-fsanitize=thread"));
	o = preloaded(path);
	check_ran(&o);
}

/* What it found without us it finds with us. */
static void address_sanitizer_still_finds(void **state)
{
	static const char source[] = "#include <stdlib.h>\n"
				     "int main(void) { char *volatile p = malloc(10);\n"
				     "p[10] = 1; return 0; }\n";
	struct outcome o;

	(void)state;
	need_tool("gcc");
	write_file(in_box("bad.c"), source, strlen(source));
	o = run(ARGV("gcc", "-fsanitize=address", "-o", in_box("bad"), in_box("bad.c")), NULL);
	check_status(&o, 0);
	o = preloaded(in_box("bad"));
	check(o.status != 0 && strstr(o.err, "heap-buffer-overflow") != NULL, "%d: %s", o.status,
	      o.err);
}

static void no_such_file_kind(void **state)
{
	struct outcome o = under_record("/etc/passwd");

	(void)state;
	check_status(&o, 126);
	o = under_record("/no/such");
	check_status(&o, 127);
}

/* ---- places ------------------------------------------------------------- */

static void check_refused(const char *output, const char *part)
{
	struct outcome o = run(
		ARGV(perfhook_path(), "record", "-o", output, "--", "touch", in_box("ran")), NULL);

	check_status(&o, 2);
	check_line(&o, part);
	check_line(&o, "the command was not run");
	check(access(in_box("ran"), F_OK) != 0, "the command ran");
}

static void check_elsewhere(const char *output, const char *part)
{
	const char *const env[] = {text("PERFHOOK_OUT=%s", output), NULL};
	struct outcome o =
		run(ARGV(program("outcome")), &(struct options){.preload = true, .env = env});

	check_ran(&o);
	check_line(&o, part);
	check_line(&o, "the program runs unrecorded");
}

static void output_that_cannot_be(void **state)
{
	const char *missing = in_box("no/such/t"), *file = in_box("file"), *link = in_box("link");

	(void)state;
	write_file(file, "precious", 8);
	check(symlink("file", link) == 0, "symlink");
	check_refused(missing, "cannot be created: No such file or directory");
	check_refused(text("%s/t", file), "cannot be created: Not a directory");
	check_refused(file, "exists and is not a perfhook trace");
	check_refused(link, "is a link, which is not followed");
	check_elsewhere(missing, "cannot be created: No such file or directory");
	check_elsewhere(text("%s/t", file), "Not a directory");
	check_elsewhere(file, "exists and is not a perfhook trace");
	check_elsewhere(link, "is a link, which is not followed");
	assert_string_equal(read_file(file, NULL), "precious");
}

/* A shell in a mount namespace of its own, as root there. */
static struct outcome in_mounts(const char *script_text)
{
	const char *flags = getuid() == 0 ? "-m" : "-rm";
	struct outcome probe =
		run(ARGV("unshare", flags, "sh", "-c", text("mount -t tmpfs none %s", box_dir())),
		    NULL);

	if (probe.status != 0)
		skip_because("cannot mount: %s", probe.err);
	return run(ARGV("unshare", flags, "sh", "-c", script_text), NULL);
}

static void read_only_folder(void **state)
{
	const char *folder = in_box("ro");
	const char *mount = text("mkdir -p %s; mount -t tmpfs -o ro none %s", folder, folder);
	struct outcome o;

	(void)state;
	need_tool("unshare");
	o = in_mounts(text("%s; exec %s record -o %s/t %s", mount, perfhook_path(), folder,
			   program("outcome")));
	check_status(&o, 2);
	check_line(&o, "cannot be created: Read-only file system");
	o = in_mounts(text("%s; PERFHOOK_OUT=%s/t LD_PRELOAD=%s exec %s", mount, folder,
			   library_path(), program("outcome")));
	check_ran(&o);
	check_line(&o, "cannot be created: Read-only file system; the program runs unrecorded");
}

/* What the disk did not take waits, and is written once there is room. */
static void full_disk_and_its_recovery(void **state)
{
	const char *folder = in_box("small");
	struct outcome o;
	cJSON *json;

	(void)state;
	need_tool("unshare");
	o = in_mounts(text("mkdir %s; mount -t tmpfs -o size=64k none %s; cd %s\n"
			   "(PERFHOOK_OUT=%s/t LD_PRELOAD=%s exec %s %s/go) >%s/said &\n"
			   "until grep -q waiting %s/said; do sleep 0.01; done\n"
			   "dd if=/dev/zero of=%s/fill bs=1k count=64 2>%s/full\n"
			   "test -s %s/full && touch %s/go\n"
			   "wait $!; echo status $?; rm %s/fill\n"
			   "%s report --json %s/t >%s/json",
			   folder, folder, box_dir(), folder, library_path(), program("outcome"),
			   box_dir(), box_dir(), box_dir(), folder, box_dir(), box_dir(), box_dir(),
			   folder, perfhook_path(), folder, box_dir()));
	check_status(&o, 0);
	assert_string_equal(o.out, "status 7\n");
	json = cJSON_Parse(read_file(in_box("json"), NULL));
	check(json != NULL, "%s", o.err);
	check(cJSON_IsTrue(json_at(json, "trace.complete")), "the trace is not complete");
	check_u64(json_u64(json, "trace.dropped"), 0, "events lost");
	check(leak_with_function(json, "main") != NULL, "what came while it was full is missing");
	cJSON_Delete(json);
}

static void bad_settings(void **state)
{
	static const char *const bad[] = {"PERFHOOK_DEPTH=deep", "PERFHOOK_EVENTS=memory,heat",
					  "PERFHOOK_OVERFLOW=maybe", "PERFHOOK_START=1"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		const char *const env[] = {bad[i], NULL};
		struct outcome o = run(ARGV(program("outcome")),
				       &(struct options){.preload = true, .env = env});

		check_ran(&o);
		check_line(&o, text("%s is not understood", bad[i]));
		check_line(&o, "the program runs unrecorded");
		check(access(o.trace, F_OK) != 0, "there is a trace");
		o = run(ARGV(perfhook_path(), "record", "-o", in_box("t"), "--",
			     program("outcome")),
			&(struct options){.env = env});
		check_ran(&o);
		check_line(&o, text("%s is not understood", bad[i]));
		check(access(in_box("t"), F_OK) != 0, "there is a trace");
	}
}

/* Why `record` has nothing to show, when nothing else has said it. */
static void reasons_of_record(void **state)
{
	const char *const off[] = {"PERFHOOK_START=off", NULL};
	struct outcome o =
		run(ARGV(perfhook_path(), "record", "-o", in_box("t"), "--", program("outcome")),
		    &(struct options){.env = off});

	(void)state;
	check_ran(&o);
	check_line(&o, "was not recorded: recording is switched off (PERFHOOK_START=off)");
	check(access(in_box("t"), F_OK) != 0, "there is a trace");
}

/* The last line is a command that reports all of them. */
static void record_names_its_traces(void **state)
{
	struct outcome o = run(ARGV(perfhook_path(), "record", "-o", "t", "--", "sh", "-c",
				    "cat /dev/null; cat /dev/null; exit 7"),
			       NULL);
	const char *says = "perfhook: 5 traces: perfhook report ";
	char *command;

	(void)state;
	check_status(&o, 7);
	/* Of each cat there may be a trace of the fork and one of the program. */
	if (strstr(o.err, "perfhook: 3 traces") != NULL)
		says = "perfhook: 3 traces: perfhook report ";
	check(strncmp(o.err, says, strlen(says)) == 0, "%s", o.err);
	assert_string_equal(o.err + strlen(says), "t*\n");
	command = text("%s report --json t* >json", perfhook_path());
	o = run(ARGV("sh", "-c", command), NULL);
	check_status(&o, 0);
	check(strstr(read_file(in_box("json"), NULL), "not given") == NULL, "some are missing");
	o = run(ARGV(perfhook_path(), "record", "-o", "%p.u", "--", "sh", "-c",
		     "cat /dev/null; exit 7"),
		NULL);
	check(strstr(o.err, " traces: perfhook report *.u*\n") != NULL, "%s", o.err);
	/* Those of another session are not its. */
	o = run(ARGV(perfhook_path(), "record", "-o", "%p.u", "--", "sh", "-c",
		     "cat /dev/null; exit 7"),
		NULL);
	check(strstr(o.err, " of others have such names)\n") != NULL, "%s", o.err);
	o = run(ARGV(perfhook_path(), "record", "-o", "a b", "--", "sh", "-c",
		     "cat /dev/null; exit 7"),
		NULL);
	check(*o.err == '\0', "%s", o.err);
}

/* ---- a trace that is removed ------------------------------------------------- */

static bool is_there(void *path)
{
	return access(path, F_OK) == 0;
}

static bool waits(void *context)
{
	char *said = read_file(in_box("said"), NULL);

	(void)context;
	return said != NULL && strstr(said, "waiting") != NULL;
}

/* A program that waits for the file "go", recorded into the folder "traces". */
static struct running *start_waiting(void)
{
	const char *const env[] = {text("PERFHOOK_OUT=%s", in_box("traces/t")), NULL};
	struct running *r;

	mkdir(in_box("traces"), 0755);
	r = start(ARGV(program("outcome"), in_box("go")),
		  &(struct options){.preload = true, .env = env, .output = in_box("said")});
	check(wait_until(waits, NULL, 30), "it does not start");
	check(is_there(in_box("traces/t")), "no trace");
	return r;
}

static struct outcome let_go(struct running *r)
{
	struct outcome o;

	write_file(in_box("go"), "", 0);
	o = finish(r);
	check_status(&o, 7);
	return o;
}

static void removed_trace_is_written_again(void **state)
{
	struct running *r = start_waiting();
	struct outcome o;
	cJSON *json;

	(void)state;
	check(unlink(in_box("traces/t")) == 0, "unlink");
	check(wait_until(is_there, in_box("traces/t"), 30), "it does not come back");
	check(unlink(in_box("traces/t")) == 0, "unlink");
	o = let_go(r);
	check(*o.err == '\0', "%s", o.err);
	check(wait_until(is_there, in_box("traces/t"), 30), "it does not come back at the end");
	json = report(in_box("traces/t"));
	check(cJSON_IsTrue(json_at(json, "trace.complete")), "the trace is not complete");
	check(json_u64(json, "memory.allocations") >= 1003, "what came before is missing");
	check(leak_with_function(json, "main") != NULL, "what came after is missing");
}

static bool is_replaced(void *context)
{
	(void)context;
	return find_collector(in_box("traces")) == 0;
}

/* Another file has its name by now: that stays. */
static void replaced_trace_is_left_alone(void **state)
{
	struct running *r = start_waiting();
	struct outcome o;

	(void)state;
	check(unlink(in_box("traces/t")) == 0, "unlink");
	write_file(in_box("traces/t"), "precious", 8);
	o = let_go(r);
	check(*o.err == '\0', "%s", o.err);
	check(wait_until(is_replaced, NULL, 30), "the collector does not end");
	assert_string_equal(read_file(in_box("traces/t"), NULL), "precious");
}

/* A segment that this process has mapped, as its collector does. */
static char *segment_of(int pid)
{
	char *maps = read_file(text("/proc/%d/maps", pid), NULL);
	char *end = maps != NULL ? strstr(maps, PH_SEGMENT_SUFFIX "\n") : NULL;
	char *begin = end;

	check(end != NULL, "no segment is mapped by %d:\n%s", pid, maps);
	while (begin > maps && begin[-1] != ' ')
		begin--;
	return text("%.*s%s", (int)(end - begin), begin, PH_SEGMENT_SUFFIX);
}

static bool is_noticed(void *segment)
{
	int fd = open(segment, O_RDONLY | O_CLOEXEC);
	uint32_t gone = 0;
	bool got = fd >= 0 && pread(fd, &gone, sizeof(gone),
				    offsetof(struct ph_segment, trace_gone)) == sizeof(gone);

	close(fd);
	return got && gone != 0;
}

/* With its folder: there is nowhere to write to, which the program's end says. */
static void removed_folder_is_said(void **state)
{
	struct running *r = start_waiting();
	char *segment = segment_of(find_collector(in_box("traces")));
	struct outcome o;

	(void)state;
	check(unlink(in_box("traces/t")) == 0 && rmdir(in_box("traces")) == 0, "rmdir");
	check(wait_until(is_noticed, segment, 30), "the collector does not notice");
	o = let_go(r);
	check_line(&o, "was removed with its folder while it was written");
	check(!is_there(in_box("traces")), "the folder was made again");
}

/* ---- an older kernel ------------------------------------------------------------ */

static void kernel_without_populate(void **state)
{
	const char *folder = in_box("shm");
	struct outcome o;

	(void)state;
	o = run(ARGV(program("old_kernel"), "env", text("LD_PRELOAD=%s", library_path()),
		     text("PERFHOOK_OUT=%s", in_box("t")), program("outcome")),
		NULL);
	if (o.status == 77)
		skip_because("no seccomp filter: %s", o.err);
	check_recorded(&o, in_box("t"));
	/* A page that cannot be had is no signal there, either. */
	need_tool("unshare");
	for (unsigned kib = 64; kib <= 1024; kib *= 2) {
		o = in_mounts(text("mount -t tmpfs -o size=%uk none /dev/shm; exec %s env "
				   "LD_PRELOAD=%s PERFHOOK_OUT=%s.%u %s 8 5000",
				   kib, program("old_kernel"), library_path(), folder, kib,
				   program("remote_free")));
		check_status(&o, 0);
	}
}

/* The library's own walk needs nobody; the loader finds a libunwind that is none. */
static void no_libunwind(void **state)
{
	const char *const env[] = {text("LD_LIBRARY_PATH=%s", box_dir()), NULL};
	struct outcome o;
	const cJSON *leak, *note;
	cJSON *json;
	bool said = false;

	(void)state;
	write_file(in_box("libunwind.so.8"), "nothing", 7);
	o = record(ARGV(program("leak")), &(struct options){.env = env});
	check_status(&o, 0);
	json = report(o.trace);
	leak = leak_with_function(json, "entry_new");
	check(leak != NULL && frame_of(leak, "main") != NULL, "the stack does not reach main()");
	cJSON_ArrayForEach(note, json_at(json, "coverage.not_seen"))
	{
		said |= strstr(note->valuestring, "libunwind.so.8 was not found") != NULL;
	}
	check(said, "it is not said that libunwind is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(static_program),
		boxed(script_of_a_static_program),
		boxed(musl_program),
		boxed(foreign_program),
		boxed(set_uid_program),
		boxed(program_with_capabilities),
		boxed(address_sanitizer),
		boxed(address_sanitizer_still_finds),
		boxed(no_such_file_kind),
		boxed(output_that_cannot_be),
		boxed(read_only_folder),
		boxed(full_disk_and_its_recovery),
		boxed(bad_settings),
		boxed(reasons_of_record),
		boxed(record_names_its_traces),
		boxed(removed_trace_is_written_again),
		boxed(replaced_trace_is_left_alone),
		boxed(removed_folder_is_said),
		boxed(kernel_without_populate),
		boxed(no_libunwind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
