/* SPDX-License-Identifier: MIT */
/* The scripts of `perfhook completion` in the shells that they are for: what a user
 * types, and what the shell makes of it. */
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

static char *make_completion(const char *shell, const char *name)
{
	struct outcome o = run(ARGV(perfhook_path(), "completion", shell), NULL);
	char *path = in_box("%s", name);

	check_status(&o, 0);
	write_file(path, o.out, o.out_size);
	return path;
}

/* The words that bash offers, one a line, sorted. `typed`: its words, the last one is to
 * be completed. */
static char *bash_offers(const char *script, const char *typed)
{
	char *lines = text(". %s; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
			   "_perfhook; printf '%%s\\n' \"${COMPREPLY[@]}\" | LC_ALL=C sort -u",
			   script, typed);
	struct outcome o = run(ARGV("bash", "--norc", "-c", lines), NULL);

	check_status(&o, 0);
	check(*o.err == '\0', "bash says of '%s': %s", typed, o.err);
	return o.out;
}

static void bash(void **state)
{
	static const struct {
		const char *typed, *offered;
	} rows[] = {
		{"perfhook rep", "report\n"},
		{"perfhook --v", "--version\n"},
		{"perfhook help le", "leaks\n"},
		{"perfhook report --no-p", "--no-pager\n"},
		{"perfhook report --j a.trace --ful", "--full\n"},
		{"perfhook leaks --thresh", "\n"},
		{"perfhook leaks --color al", "always\n"},
		{"perfhook leaks --color = ne", "never\n"},
		{"perfhook leaks --color =", "always\nauto\nnever\n"},
		{"perfhook io --threshold sync-c", "sync-calls=\n"},
		{"perfhook report ''", "a.trace\nb.trace.12.1\nfolder\n"},
		{"perfhook report -o ''", "a.trace\nb.trace.12.1\nfolder\nother\n"},
		{"perfhook report --sysroot ''", "folder\n"},
		{"perfhook report --top ''", "\n"},
		{"perfhook leaks --by f", "file\nfunction\n"},
		{"perfhook mark 1 ''", "\n"},
		{"perfhook record --outp", "--output\n"},
		{"perfhook record -o x.trace prin", "printenv\nprintf\n"},
		{"perfhook record --output = x.trace prin", "printenv\nprintf\n"},
		{"perfhook record -o x.trace cat oth", "other\n"},
		{"perfhook record -- cat --outp", "\n"},
	};
	char *script = make_completion("bash", "perfhook.bash");

	(void)state;
	write_file(in_box("a.trace"), "", 0);
	write_file(in_box("b.trace.12.1"), "", 0);
	write_file(in_box("other"), "", 0);
	check(mkdir(in_box("folder"), 0700) == 0, "mkdir");
	check(remove(script) == 0, "remove");
	script = make_completion("bash", "folder/perfhook.bash");
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char *offered = bash_offers(script, rows[i].typed);

		check(strcmp(offered, rows[i].offered) == 0, "bash makes of '%s': %s",
		      rows[i].typed, offered);
	}
}

/* A shell on a terminal is typed at, and must write what it is waited for: else the test
 * runs out of its time. */
static void zsh(void **state)
{
	static const struct {
		const char *typed, *shown;
	} rows[] = {
		{"perfhook rep", "perfhook report "},
		{"perfhook help lea", "perfhook help leaks "},
		{"perfhook report --no-p", "perfhook report --no-pager "},
		{"perfhook report --color=al", "--color=always"},
		{"perfhook io --threshold=sync-c", "--threshold=sync-calls="},
		{"perfhook report a.t", "perfhook report a.trace "},
		{"perfhook record -o x.trace printen", "x.trace printenv "},
		{"perfhook record cat oth", "perfhook record cat other "},
	};
	char *script, *lines;
	struct outcome o;

	(void)state;
	need_tool("zsh");
	make_completion("zsh", "_perfhook");
	write_file(in_box("a.trace"), "", 0);
	write_file(in_box("other"), "", 0);
	lines = text("zmodload zsh/zpty; zpty z zsh -f -i\n"
		     "zpty -w z 'PS1=; fpath=($PWD $fpath); autoload -Uz compinit'\n"
		     "zpty -w z 'compinit -u -D; print rea\"dy\"'\n"
		     "zpty -r -m z out '*ready*'\n");
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		lines = text("%szpty -n -w z $'%s\\t'; zpty -r -m z out '*%s*'; "
			     "print %zu; zpty -n -w z $'\\x15'\n",
			     lines, rows[i].typed, rows[i].shown, i);
	script = in_box("type.zsh");
	write_file(script, lines, strlen(lines));
	o = run(ARGV("zsh", "-f", script), &(struct options){.env = ARGV("TERM=dumb")});
	check(o.status == 0, "zsh is stuck behind row %s: %s", o.out, o.err);
}

struct offer {
	const char *script, *typed, *pid;
};

static bool is_offered(void *context)
{
	const struct offer *o = context;

	return strstr(text("\n%s", bash_offers(o->script, o->typed)), o->pid) != NULL;
}

/* Of all processes those that can be looked at. */
static void bash_offers_recorded(void **state)
{
	const struct options options = {.preload = true, .output = in_box("out")};
	struct running *target = start(ARGV("sleep", "50"), &options);
	struct offer o = {.script = make_completion("bash", "perfhook.bash"),
			  .typed = "perfhook leaks --pid ''",
			  .pid = text("\n%d\n", running_pid(target))};

	(void)state;
	check(wait_until(is_offered, &o, 30), "--pid has no %s", o.pid);
	o.typed = "perfhook mark ''";
	check(is_offered(&o), "mark has no %s", o.pid);
	kill(running_pid(target), SIGTERM);
	finish(target);
}

static void other_shells_are_refused(void **state)
{
	struct outcome o = run(ARGV(perfhook_path(), "completion", "fish"), NULL);

	(void)state;
	check_status(&o, 2);
	check(strstr(o.err, "bash or zsh, not 'fish'") != NULL, "it says: %s", o.err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		boxed(bash),
		boxed(zsh),
		boxed(bash_offers_recorded),
		boxed(other_shells_are_refused),
	};

	return cmocka_run_group_tests_name("completion", tests, NULL, NULL);
}
