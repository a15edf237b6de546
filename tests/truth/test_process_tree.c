/* SPDX-License-Identifier: MIT */
/*
 * The processes of a command and the images each of them was, by strace and by
 * the traces of the same run: the same processes, the same images in the same
 * order, parents and ends, one trace for each image under the promised name.
 *
 * What the two may see differently is said here and nowhere else:
 *  - a static program, or one with set-uid or set-gid, has no trace: may_preload();
 *  - nor has the child of _Fork or of a clone before its first recorded call (what
 *    fork() makes has one in any case): the programs here make one;
 *  - nor the child of a vfork before it becomes another program: its memory
 *    is its parent's, and is recorded there;
 *  - how a forked child ended may be unknown where it was gone before the collector
 *    came to watch it, and where the kernel tells no stranger: may_be_unknown();
 *  - a process whose parent has ended belongs to whoever adopts orphans: check_parent();
 *  - the collector is strace's child too, and no part of the program: take_out_collectors().
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/truth/strace_log.h"

struct image {
	char *path;  /* as it was given to exec; of a forked one: NULL */
	char *words; /* its arguments, each ended by a line feed */
	size_t from; /* index of the event that began it */
};

struct process {
	int pid, parent; /* parent 0: strace, or not known */
	bool shares_memory, bare_clone, ours;
	bool watched;	   /* by a collector, before it was gone */
	size_t born, over; /* indexes of events */
	int status, signal;
	struct image images[16];
	size_t image_count;
	size_t recorded; /* images that have a trace */
};

struct thread {
	int tid, pid;
};

static struct {
	struct process processes[4096];
	size_t process_count;
	struct thread threads[4096];
	size_t thread_count;
	size_t collectors;
	size_t recorded;
} tree;

/* ---- what strace saw ---------------------------------------------------------- */

static int process_of(int tid)
{
	for (size_t i = tree.thread_count; i-- > 0;)
		if (tree.threads[i].tid == tid)
			return tree.threads[i].pid;
	return tid;
}

static struct process *find_process(int pid)
{
	for (size_t i = 0; i < tree.process_count; i++)
		if (tree.processes[i].pid == pid)
			return &tree.processes[i];
	return NULL;
}

static struct process *add_process(int pid)
{
	struct process *p = &tree.processes[tree.process_count++];

	check(tree.process_count < COUNT_OF(tree.processes), "too many processes");
	check(find_process(pid) == NULL, "process %d came twice", pid);
	*p = (struct process){.pid = pid, .over = SIZE_MAX, .status = -1};
	return p;
}

static bool is_birth(const struct strace_event *e)
{
	return e->kind == STRACE_CALL && e->returned && e->result > 0 &&
	       (strncmp(e->call, "clone", 5) == 0 || strcmp(e->call, "fork") == 0 ||
		strcmp(e->call, "vfork") == 0);
}

/* A call's first half may stand before the birth of its thread's process: all
 * births first. */
static void read_births(const struct straced *s)
{
	add_process(s->pid);
	for (size_t i = 0; i < s->log.count; i++) {
		const struct strace_event *e = &s->log.events[i];
		struct process *p;

		if (!is_birth(e))
			continue;
		if (strstr(e->arguments, "CLONE_THREAD") != NULL) {
			check(tree.thread_count < COUNT_OF(tree.threads), "too many threads");
			tree.threads[tree.thread_count++] =
				(struct thread){.tid = (int)e->result, .pid = e->tid};
			continue;
		}
		p = add_process((int)e->result);
		p->born = i;
		p->parent = e->tid;
		p->shares_memory = e->call[0] == 'v' || strstr(e->arguments, "CLONE_VM") != NULL;
		p->bare_clone = strstr(e->arguments, "flags=0") != NULL;
		if (strstr(e->arguments, "CLONE_PARENT|") != NULL)
			p->parent = -p->parent;
	}
	/* Threads of threads, and who called, are known now. */
	for (size_t i = 0; i < tree.thread_count; i++)
		while (process_of(tree.threads[i].pid) != tree.threads[i].pid)
			tree.threads[i].pid = process_of(tree.threads[i].pid);
	for (size_t i = 0; i < tree.process_count; i++) {
		struct process *p = &tree.processes[i];

		if (p->parent < 0)
			p->parent = find_process(process_of(-p->parent))->parent;
		else
			p->parent = process_of(p->parent);
	}
}

/* `"\x2f\x62"`, as strace -xx writes each string; *at moves behind it. */
static char *read_string(const char **at)
{
	const char *begin = strchr(*at, '"'), *p;
	char *out;
	size_t length = 0;

	check(begin != NULL, "no string in %.100s", *at);
	out = text("%s", begin + 1);
	for (p = begin + 1; *p == '\\' && p[1] == 'x'; p += 4) {
		char digits[3] = {p[2], p[3], '\0'};

		out[length++] = (char)strtol(digits, NULL, 16);
	}
	check(*p == '"', "not as strace -xx writes it: %.100s", *at);
	out[length] = '\0';
	*at = p + 1;
	return out;
}

/* `["\x61", "\x62"]`: the words, each ended by a line feed. */
static char *read_words(const char *at)
{
	size_t used = 0;
	char *words = text("%s", at);

	at = strchr(at, '[');
	check(at != NULL, "no arguments of an exec");
	for (at++; *at != ']'; at += strspn(at, ", ")) {
		char *word = read_string(&at);
		size_t length = strlen(word);

		/* Four characters each in the log: there is room. */
		memcpy(words + used, word, length);
		words[used + length] = '\n';
		used += length + 1;
	}
	words[used] = '\0';
	return words;
}

/* execve(path, [words], …), or execveat(fd<path>, path, [words], …). */
static void read_exec(struct process *p, const struct strace_event *e, size_t index)
{
	const char *at = e->arguments;
	struct image *image = &p->images[p->image_count++];
	char *path = read_string(&at);

	check(p->image_count < COUNT_OF(p->images), "too many images");
	if (strcmp(e->call, "execveat") == 0 && path[0] == '\0') {
		const char *name = strchr(e->arguments, '<');

		check(name != NULL, "no descriptor in %s", e->arguments);
		name = text("\"%.*s\"", (int)strcspn(name + 1, ">"), name + 1);
		path = read_string(&name);
	}
	*image = (struct image){.path = path, .words = read_words(at), .from = index};
}

static void read_lives(const struct strace_log *log)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct strace_event *e = &log->events[i];
		struct process *p = find_process(process_of(e->tid));

		check(p != NULL, "nobody made thread %d", e->tid);
		if (e->kind == STRACE_CALL && strncmp(e->call, "exec", 4) == 0 && e->returned &&
		    e->result == 0)
			read_exec(p, e, i);
		if ((e->kind == STRACE_EXITED || e->kind == STRACE_KILLED) && p->pid == e->tid) {
			p->over = i;
			*(e->kind == STRACE_EXITED ? &p->status : &p->signal) = e->number;
		}
	}
}

/* What the collector opens it can ask the kernel about for good. */
static void read_watching(const struct strace_log *log)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct strace_event *e = &log->events[i];
		struct process *p;

		if (e->kind != STRACE_CALL || strcmp(e->call, "pidfd_open") != 0 || e->result < 0)
			continue;
		p = find_process(atoi(e->arguments));
		if (p != NULL && find_process(e->tid) != NULL && find_process(e->tid)->ours)
			p->watched = true;
	}
}

static const struct image *image_at(const struct process *p, size_t when)
{
	const struct image *found = NULL;

	for (size_t i = 0; i < p->image_count && p->images[i].from < when; i++)
		found = &p->images[i];
	return found;
}

/* A fork's first image is its maker's; in the order of births, so that the maker's
 * is there. */
static void add_forked_images(void)
{
	for (size_t i = 1; i < tree.process_count; i++) {
		struct process *p = &tree.processes[i];

		if (p->shares_memory)
			continue;
		memmove(p->images + 1, p->images, p->image_count * sizeof(*p->images));
		p->image_count++;
		p->images[0] = (struct image){.from = p->born};
	}
}

static bool is_collector(const struct process *p)
{
	const struct image *last = &p->images[p->image_count - 1];

	return p->image_count > 0 && last->path != NULL &&
	       strcmp(last->path, perfhook_path()) == 0 &&
	       strncmp(last->words, "perfhook\ncollect\n", 17) == 0;
}

/* It is begun by two bare clones; the first of them is gone at once. */
static void take_out_collectors(void)
{
	for (size_t i = 0; i < tree.process_count; i++) {
		struct process *p = &tree.processes[i], *between;

		if (!is_collector(p))
			continue;
		between = find_process(p->parent);
		check(p->bare_clone && between != NULL && between->bare_clone &&
			      between->status == 0,
		      "the collector %d was begun otherwise", p->pid);
		p->ours = between->ours = true;
		tree.collectors++;
	}
}

static void build_tree(const struct straced *s)
{
	memset(&tree, 0, sizeof(tree));
	read_births(s);
	read_lives(&s->log);
	add_forked_images();
	take_out_collectors();
	read_watching(&s->log);
}

/* ---- what has a trace ------------------------------------------------------------ */

/* "#!interpreter argument" of a script; false: it is none. */
static bool read_script(const char *path, char **interpreter, char **argument)
{
	char line[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *rest = NULL;

	if (fd < 0)
		return false;
	check(read(fd, line, sizeof(line) - 1) >= 0, "%s: %s", path, strerror(errno));
	close(fd);
	if (strncmp(line, "#!", 2) != 0)
		return false;
	line[strcspn(line, "\n")] = '\0';
	*interpreter = strtok_r(line + 2, " \t", &rest);
	check(*interpreter != NULL, "no interpreter in %s", path);
	*interpreter = text("%s", *interpreter);
	*argument = strtok_r(NULL, "", &rest);
	if (*argument != NULL)
		*argument = text("%s", *argument);
	return true;
}

static bool has_interpreter(const char *elf, size_t size)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)elf;

	if (size < sizeof(*header) || memcmp(elf, ELFMAG, SELFMAG) != 0 ||
	    header->e_phoff + header->e_phnum * sizeof(Elf64_Phdr) > size)
		return false;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)(elf + header->e_phoff) + i;

		if (p->p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* The loader is there, and does not protect the program from us. One that is gone
 * by now was made by the test itself, and is like any other. */
static bool may_preload(const char *path)
{
	struct stat st;
	size_t size = 0;
	char *elf;

	if (stat(path, &st) != 0)
		return true;
	elf = read_file(path, &size);
	return (st.st_mode & (S_ISUID | S_ISGID)) == 0 && elf != NULL && has_interpreter(elf, size);
}

/* ---- one image against its trace --------------------------------------------------- */

struct seen {
	cJSON *json;
	char *path;
};

static struct seen report_on(const char *path)
{
	struct options options = {.timeout_s = 240};
	struct outcome o;
	cJSON *json;

	o = run(ARGV(perfhook_path(), "io", path, "--json", "--top", "1"), &options);
	check_status(&o, 0);
	json = cJSON_Parse(o.out);
	check(json != NULL, "not JSON: %.400s", o.out);
	return (struct seen){.json = json, .path = text("%s", path)};
}

static char *words_of(const cJSON *json)
{
	const cJSON *word;
	char *words = text("%s", "");

	cJSON_ArrayForEach(word, json_at(json, "process.command"))
	{
		check(cJSON_IsString(word), "a word of the command is no string");
		words = text("%s%s\n", words, word->valuestring);
	}
	return words;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* Relative ones are relative to who knows what: then the last part has to do, and
 * so it has where the file is gone. */
static void check_executable(const char *got, const char *wanted, const char *trace)
{
	char real[PATH_MAX];

	if (wanted[0] == '/' && realpath(wanted, real) != NULL)
		check(strcmp(got, real) == 0, "%s: executable %s instead of %s", trace, got, real);
	else
		check(strcmp(base_name(got), base_name(wanted)) == 0,
		      "%s: executable %s instead of %s", trace, got, wanted);
}

static char *without_first_line(char *words)
{
	return words + strcspn(words, "\n") + 1;
}

/* The commands of these tests name files relative to where they begin. */
static const char *here(const char *path)
{
	return path[0] == '/' ? path : in_box("%s", path);
}

/* The program behind an image: a script's is its interpreter, and then the words
 * are others. */
static void resolve(const struct image *image, char **program_path, char **words)
{
	char *interpreter, *argument;

	*program_path = image->path;
	*words = image->words;
	while (read_script(here(*program_path), &interpreter, &argument)) {
		*words = text("%s\n%s%s%s\n%s", interpreter, argument != NULL ? argument : "",
			      argument != NULL ? "\n" : "", *program_path,
			      without_first_line(*words));
		*program_path = interpreter;
	}
}

/* The program of a process's image: of a forked one its maker's at that time. */
static const char *program_of(const struct process *p, size_t index)
{
	const struct image *image = &p->images[index];
	char *path, *words;

	if (image->path == NULL) {
		const struct process *maker = find_process(p->parent);
		const struct image *makers = image_at(maker, p->born);

		check(makers != NULL, "process %d was forked by nothing", p->pid);
		return program_of(maker, (size_t)(makers - maker->images));
	}
	if (strcmp(image->path, "/proc/self/exe") == 0) {
		check(index > 0, "process %d begins as itself", p->pid);
		return program_of(p, index - 1);
	}
	resolve(image, &path, &words);
	return path;
}

static void check_program(const struct process *p, size_t index, const struct seen *seen)
{
	const struct image *image = &p->images[index];
	char *path, *words;

	check_executable(json_text(seen->json, "process.executable"), program_of(p, index),
			 seen->path);
	/* A fork has the words that its maker has by then, which may rewrite them. */
	if (image->path == NULL)
		return;
	resolve(image, &path, &words);
	check(strcmp(words_of(seen->json), words) == 0, "%s: the command is\n%sinstead of\n%s",
	      seen->path, words_of(seen->json), words);
}

/* Its maker, as long as that lives; then whoever adopts orphans, who is no part of
 * the tree. In between, what the image found at its start is chance. */
static void check_parent(const struct straced *s, const struct process *p, size_t index,
			 const struct seen *seen)
{
	int got = (int)json_u64(seen->json, "process.ppid");
	const struct process *maker = find_process(p->parent);
	size_t end = index + 1 < p->image_count ? p->images[index + 1].from : p->over;
	bool orphan = maker != NULL && maker->over < p->images[index].from;
	bool maybe = maker != NULL && maker->over < end;

	if (maker == NULL) {
		check(got == s->outcome.pid, "%s: ppid %d instead of %d", seen->path, got,
		      s->outcome.pid);
		return;
	}
	if (orphan || (maybe && got != maker->pid))
		check(find_process(got) == NULL, "%s: ppid %d, and the parent has ended",
		      seen->path, got);
	else
		check(got == maker->pid, "%s: ppid %d instead of %d", seen->path, got, maker->pid);
}

/* <linux/pidfd.h> of Linux 6.15; before that nobody but the parent is told. */
static bool kernel_tells_ends(void)
{
	struct {
		uint64_t mask, cgroup;
		uint32_t ids[11];
		int32_t exit_code;
	} info = {.mask = 1u << 3};
	pid_t child = fork();
	bool told;
	int fd;

	if (child == 0)
		_exit(7);
	fd = (int)syscall(SYS_pidfd_open, child, 0);
	waitpid(child, NULL, 0);
	told = fd >= 0 && ioctl(fd, _IOWR(0xff, 11, info), &info) == 0 &&
	       (info.mask & 1u << 3) != 0 && info.exit_code == 7 << 8;
	close(fd);
	return told;
}

/* An image that was exec'd waits for the collector before it begins. */
static bool may_be_unknown(const struct process *p, size_t index)
{
	return (p->images[index].path == NULL && !p->watched) || !kernel_tells_ends();
}

static void check_end(const struct process *p, size_t index, const struct seen *seen)
{
	const char *got = json_text(seen->json, "process.end");
	const char *wanted = p->signal != 0 ? "signal" : "exit";
	bool last = index + 1 == p->image_count;

	if (!last) {
		check(strcmp(got, "exec") == 0, "%s: end \"%s\" instead of \"exec\"", seen->path,
		      got);
		return;
	}
	if (strcmp(got, "unknown") == 0 && may_be_unknown(p, index))
		return;
	check(strcmp(got, wanted) == 0, "%s: end \"%s\" instead of \"%s\" (%d)", seen->path, got,
	      wanted, p->signal != 0 ? p->signal : p->status);
	check_u64(json_u64(seen->json, "process.status"),
		  (uint64_t)(p->signal != 0 ? p->signal : p->status),
		  text("%s: status", seen->path));
}

/* ---- all of them -------------------------------------------------------------------- */

static void check_image(const struct straced *s, struct process *p, size_t index)
{
	char *path = p->recorded == 0 ? text("%s/out.%d.trace", s->outcome.traces, p->pid)
				      : text("%s/out.%d.trace.%d.%zu", s->outcome.traces, p->pid,
					     p->pid, p->recorded);
	struct seen seen;

	p->recorded++;
	tree.recorded++;
	check(access(path, R_OK) == 0, "no %s of image %zu (%s) of process %d: %s", path, index,
	      program_of(p, index), p->pid, s->outcome.line);
	seen = report_on(path);
	check_u64(json_u64(seen.json, "process.pid"), (uint64_t)p->pid, "pid");
	check(cJSON_IsTrue(json_at(seen.json, "trace.complete")), "%s is not complete", path);
	check_u64(json_u64(seen.json, "trace.dropped"), 0, text("%s: dropped", path));
	check_program(p, index, &seen);
	check_parent(s, p, index, &seen);
	check_end(p, index, &seen);
	cJSON_Delete(seen.json);
}

static size_t programs_own_processes(void)
{
	size_t count = 0;

	for (size_t i = 0; i < tree.process_count; i++)
		count += !tree.processes[i].ours;
	return count;
}

static const char calls_of_processes[] = "execve,execveat,?fork,?vfork,clone,?clone3,?pidfd_open";
/* With a filter in the kernel: a stop at these calls only. */
static const char *const format_of_processes[] = {"--seccomp-bpf", "-y", "-xx", "-s",
						  "100000",	   NULL};

struct expected {
	size_t processes, images; /* at the least: else the case tests nothing */
	int status;
	size_t collectors;
};

static struct straced compare_as(const char *const *argv, const struct strace_options *given,
				 struct expected least)
{
	struct strace_options options = *given;
	struct straced s;
	char **traces;

	options.calls = calls_of_processes;
	options.format = format_of_processes;
	options.run.preload = true;
	if (options.run.timeout_s == 0)
		options.run.timeout_s = 240;
	s = run_straced(argv, &options);
	check_status(&s.outcome, least.status);
	build_tree(&s);
	for (size_t i = 0; i < tree.process_count; i++) {
		struct process *p = &tree.processes[i];

		for (size_t k = 0; k < p->image_count && !p->ours; k++)
			if (may_preload(here(program_of(p, k))))
				check_image(&s, p, k);
	}
	check_u64(tree.collectors, least.collectors, text("collectors of: %s", s.outcome.line));
	check_u64(list_traces(&s.outcome, &traces), tree.recorded,
		  text("traces of: %s", s.outcome.line));
	check(programs_own_processes() >= least.processes && tree.recorded >= least.images,
	      "%zu processes and %zu images are too few of: %s", programs_own_processes(),
	      tree.recorded, s.outcome.line);
	return s;
}

static void compare(const char *const *argv, struct expected least)
{
	static const struct strace_options defaults;

	need_tool("strace");
	compare_as(argv, &defaults, least);
}

/* ---- programs of ours ------------------------------------------------------------- */

static void way(const char *name, struct expected least)
{
	compare(ARGV(program("process_tree"), name), least);
}

static void forks(void **state)
{
	(void)state;
	way("orphan", (struct expected){3, 3, 0, 1});
	way("orphan_exec", (struct expected){3, 4, 0, 1});
	way("daemon", (struct expected){2, 2, 0, 1});
	way("idle", (struct expected){5, 5, 0, 1});
	way("thread_fork", (struct expected){13, 19, 0, 1});
	way("first_thread_ends", (struct expected){4, 4, 6, 1});
}

static void clones(void **state)
{
	(void)state;
	way("clone", (struct expected){6, 7, 0, 1});
	way("clone_parent", (struct expected){3, 3, 0, 1});
}

static void new_images(void **state)
{
	(void)state;
	way("vfork", (struct expected){13, 7, 0, 1});
	way("spawn", (struct expected){3, 3, 0, 1});
	way("system", (struct expected){6, 6, 0, 1});
	way("popen", (struct expected){3, 3, 0, 1});
	way("thread_exec", (struct expected){1, 2, 0, 1});
	way("chain", (struct expected){1, 4, 0, 1});
	way("descriptor", (struct expected){3, 5, 0, 1});
}

static void ends(void **state)
{
	(void)state;
	way("ends", (struct expected){23, 23, 0, 1});
	way("reaped_late", (struct expected){5, 5, 0, 1});
}

static void prefork(void **state)
{
	(void)state;
	compare(ARGV(program("prefork")), (struct expected){6, 6, 0, 1});
}

/* A new image that was given the library and no more: it belongs to no session,
 * so it begins one, with a collector of its own and the default name. */
static void bare_environment(void **state)
{
	static const struct strace_options options = {.calls = calls_of_processes,
						      .format = format_of_processes,
						      .run = {.preload = true}};
	const struct process *child;
	struct straced s;
	struct seen seen;

	(void)state;
	need_tool("strace");
	s = run_straced(ARGV(program("process_tree"), "bare_environment"), &options);
	check_status(&s.outcome, 0);
	build_tree(&s);
	check_u64(tree.collectors, 2, "collectors");
	check_u64(programs_own_processes(), 2, "processes");
	child = &tree.processes[tree.process_count - 1];
	while (child->ours)
		child--;
	for (size_t i = 0; i < tree.process_count; i++)
		if (!tree.processes[i].ours)
			child = &tree.processes[i];
	seen = report_on(in_box("perfhook.true.%d.trace", child->pid));
	check_program(child, 1, &seen);
	check_parent(&s, child, 1, &seen);
	check_end(child, 1, &seen);
	cJSON_Delete(seen.json);
	seen = report_on(text("%s/out.%d.trace", s.outcome.traces, child->pid));
	check_program(child, 0, &seen);
	check_end(child, 0, &seen);
	cJSON_Delete(seen.json);
}

/* The same with the pattern kept: the new session's first name would be the one
 * that the former session gave to this process's earlier image. */
static void kept_pattern(void **state)
{
	static const char script[] = "env -i PATH=\"$PATH\" LD_PRELOAD=\"$LD_PRELOAD\""
				     " PERFHOOK_OUT=\"$PERFHOOK_OUT\" sort /dev/null; true";

	(void)state;
	compare(ARGV("sh", "-c", script),
		(struct expected){.processes = 2, .images = 3, .collectors = 2});
}

/* ---- programs of others ------------------------------------------------------------- */

static void shell(const char *name)
{
	static const char script[] =
		"ls / | sort -r | head -n 3 | wc -l; (exit 3); x=$(echo a; printf b | cat)\n"
		"for i in 1 2 3; do expr $i + 1; done | { read a; cat; } > out\n"
		"sleep 0.2 & sh -c 'kill -TERM $$' & wait; cat <<E | tr a-z A-Z\nhere\nE\n"
		"nonesuch 2> /dev/null; ./script one 'two three'; exec env A=b sh -c 'exit 17'\n";
	static const char other[] = "#!/bin/sh -u\n/usr/bin/env true \"$@\"\nexit 4\n";

	write_file(in_box("script"), other, strlen(other));
	check(chmod(in_box("script"), 0755) == 0, "chmod");
	compare(ARGV(name, "-c", script), (struct expected){16, 32, 17, 1});
}

static void shells(void **state)
{
	(void)state;
	shell("sh");
	need_tool("bash");
	shell("bash");
}

static char source_root[PATH_MAX];

/* This project's own: all of it, or the shared half. */
static void make(void **state)
{
	static const char script[] =
		"make -s -j2 -C \"$1\" BUILD=\"$PWD/b\" PERFHOOK_PREFIX=/ $(for f in $2; do"
		" echo \"$PWD/b/obj/$f.o\"; done) \"$PWD/b/examples/leak\"";
	static const char files[] = "trace/block.c trace/encode.c trace/decode.c trace/stacks.c"
				    " collector/outname.c collector/proc.c collector/tidy.c"
				    " analyzer/error.c analyzer/map.c analyzer/buckets.c";

	(void)state;
	need_tool("make");
	need_tool("gcc");
	if (access(text("%s/trace/block.c", source_root), R_OK) != 0)
		skip_because("the sources are not here");
	if (full_mode())
		compare(ARGV("make", "-s", "-j2", "-C", source_root, text("BUILD=%s", in_box("b")),
			     "all"),
			(struct expected){200, 200, 0, 1});
	else
		compare(ARGV("sh", "-c", script, "sh", source_root, files),
			(struct expected){30, 40, 0, 1});
}

static void git(void **state)
{
	static const char history[] =
		"git init -q r && cd r && git config user.email a@b.c && git config user.name n &&"
		" for i in $(seq 1 25); do seq $i $((i * 40)) > f$((i % 7)); git add . &&"
		" git commit -q -m \"change $i\"; done && git branch -q other HEAD~3";
	/* The second clean-up goes on in the background. */
	static const char clean[] =
		"cd r && git gc -q --prune=now && git clone -q . ../copy && cd ../copy &&"
		" for i in 1 2 3; do echo $i > new; git add new;"
		" git -c user.email=a@b.c -c user.name=n -c gc.auto=0 commit -q -m $i; done &&"
		" git -c gc.auto=1 gc -q --auto; git push -q origin HEAD:pushed";
	struct outcome o;

	(void)state;
	need_tool("git");
	o = run(ARGV("sh", "-c", history), NULL);
	check_status(&o, 0);
	compare(ARGV("sh", "-c", clean), (struct expected){25, 40, 0, 1});
}

static void nginx(void **state)
{
	static const char configuration[] =
		"daemon off; worker_processes 2; pid nginx.pid; error_log error.log;\n"
		"events { worker_connections 64; }\n"
		"http { access_log access.log; client_body_temp_path t1; proxy_temp_path t2;\n"
		" fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n"
		" server { listen unix:n.sock; root .; } }\n";
	/* A worker that dies is replaced. */
	static const char script[] =
		"nginx -p \"$PWD/\" -c n.conf -e error.log & m=$!\n"
		"get() { curl -sf -o got --unix-socket n.sock http://host/in; }\n"
		"until get; do kill -0 $m || exit 1; sleep 0.1; done\n"
		"kill -9 $(pgrep -o -P $m); sleep 0.5; until get; do sleep 0.1; done\n"
		"get; kill -QUIT $m; wait $m";

	(void)state;
	need_tool("nginx");
	need_tool("curl");
	need_tool("pgrep");
	write_file(in_box("n.conf"), configuration, strlen(configuration));
	write_file(in_box("in"), "content\n", 8);
	/* Workers that have another user may read it. */
	check(chmod(in_box("in"), 0644) == 0, "chmod");
	compare(ARGV("sh", "-c", script), (struct expected){10, 12, 0, 1});
}

static char *postgres_folder(void)
{
	for (int version = 20; version > 10; version--) {
		char *folder = text("/usr/lib/postgresql/%d/bin", version);

		if (access(text("%s/postgres", folder), X_OK) == 0)
			return folder;
	}
	return NULL;
}

/* It refuses to run as root. */
static void postgres(void **state)
{
	static const char script[] =
		"$0/initdb -D data -A trust -N > out || exit 1\n"
		"trap '$0/pg_ctl -D data -m immediate stop' EXIT\n"
		"$0/pg_ctl -D data -o \"-k $PWD -h ''\" -w -t 120 -l log start >> out || exit 2\n"
		"$0/pgbench -h \"$PWD\" -i -s 1 -q postgres 2>> out || exit 3\n"
		"$0/pgbench -h \"$PWD\" -c 2 -t 20 postgres >> out 2>&1 || exit 4\n"
		"$0/psql -h \"$PWD\" -Atc 'select count(*) from pgbench_accounts' postgres\n"
		"trap - EXIT; $0/pg_ctl -D data -m fast -w -t 120 stop >> out";
	struct strace_options options = {.run = {.directory = in_box("pg"), .timeout_s = 400}};
	const struct passwd *user = getpwnam("postgres");
	const char *folder = postgres_folder(), *before[8] = {NULL};
	struct straced s;

	(void)state;
	need_tool("strace");
	if (folder == NULL)
		skip_because("PostgreSQL is not installed");
	check(mkdir(in_box("pg"), 0755) == 0, "mkdir");
	if (geteuid() == 0) {
		need_tool("setpriv");
		if (user == NULL)
			skip_because("PostgreSQL has no user of its own here");
		check(chown(in_box("pg"), user->pw_uid, user->pw_gid) == 0, "chown");
		before[0] = "setpriv";
		before[1] = text("--reuid=%u", user->pw_uid);
		before[2] = text("--regid=%u", user->pw_gid);
		before[3] = "--clear-groups";
		options.before = before;
	}
	if (access(library_path(), R_OK) == 0)
		s = compare_as(ARGV("sh", "-c", script, folder), &options,
			       (struct expected){25, 35, 0, 1});
	assert_string_equal(s.outcome.out, "100000\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(forks),	     boxed(clones),  boxed(new_images),
		boxed(ends),	     boxed(prefork), boxed(bare_environment),
		boxed(kept_pattern), boxed(shells),  boxed(make),
		boxed(git),	     boxed(nginx),   boxed(postgres)};

	check(getcwd(source_root, sizeof(source_root)) != NULL, "getcwd");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
