/* SPDX-License-Identifier: MIT */
/* A pager between a long answer and the terminal. */
#include "analyzer/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#define DEFAULT_PAGER "less -FRX"

/* NULL: none. */
static const char *wanted(void)
{
	const char *term = getenv("TERM"), *pager = getenv("PERFHOOK_PAGER");

	if (!isatty(STDOUT_FILENO) || term == NULL || strcmp(term, "dumb") == 0)
		return NULL;
	if (pager == NULL)
		pager = getenv("PAGER");
	if (pager == NULL)
		return DEFAULT_PAGER;
	return *pager == '\0' || strcmp(pager, "cat") == 0 ? NULL : pager;
}

/* With its standard input from `from`. Words are run as they are, so that a pager that
 * is missing is found out; what else a line may have is the shell's. */
static bool start(pid_t *pid, const char *line, int from)
{
	char shell[] = "sh", option[] = "-c", *copy = strdup(line);
	char *by_shell[] = {shell, option, copy, NULL};
	posix_spawn_file_actions_t actions;
	wordexp_t words = {.we_wordv = NULL};
	bool plain = wordexp(line, &words, WRDE_NOCMD) == 0 && words.we_wordc > 0 &&
		     strchr(words.we_wordv[0], '=') == NULL;
	char **argv = plain ? words.we_wordv : by_shell;
	bool started = copy != NULL && posix_spawn_file_actions_init(&actions) == 0;

	if (started) {
		posix_spawn_file_actions_adddup2(&actions, from, STDIN_FILENO);
		started = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ) == 0;
		posix_spawn_file_actions_destroy(&actions);
	}
	if (words.we_wordv != NULL)
		wordfree(&words);
	free(copy);
	return started;
}

static void leave_signals(struct pager *p)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGINT, &ignore, &p->interrupt);
	sigaction(SIGQUIT, &ignore, &p->quit);
	sigaction(SIGPIPE, &ignore, &p->pipe);
}

FILE *pager_open(struct pager *p)
{
	const char *line = wanted();
	FILE *out = NULL;
	int ends[2];

	if (line == NULL || pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	/* For less, however it is named: colours are shown, and one screen is no reason to
	 * ask for a key. */
	setenv("LESS", "FRX", 0);
	if (start(&p->pid, line, ends[0])) {
		leave_signals(p);
		out = fdopen(ends[1], "w");
	}
	close(ends[0]);
	if (out == NULL)
		close(ends[1]);
	return out;
}

void pager_wait(struct pager *p)
{
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	sigaction(SIGINT, &p->interrupt, NULL);
	sigaction(SIGQUIT, &p->quit, NULL);
	sigaction(SIGPIPE, &p->pipe, NULL);
}
