/* SPDX-License-Identifier: MIT */
/*
 * A server of the prefork kind: a master whose workers accept from one socket.
 * A worker that dies is replaced. The clients are a process of their own; the
 * third request kills the worker that serves it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "truth.h"

enum { WORKERS = 3, REQUESTS = 12, DEADLY = 3, SERVED = 21 };

static volatile sig_atomic_t asked_to_stop;

static void on_stop(int signal)
{
	(void)signal;
	asked_to_stop = 1;
}

static void work_for(int listener)
{
	while (!asked_to_stop) {
		int fd = accept(listener, NULL, NULL);
		char request[64];
		ssize_t got;

		if (fd < 0)
			continue;
		got = recv(fd, request, sizeof(request), 0);
		if (got > 0 && request[0] == 'k')
			raise(SIGKILL);
		if (got > 0) {
			char *answer = keep(malloc((size_t)got));

			memcpy(answer, request, (size_t)got);
			expect(send(fd, answer, (size_t)got, MSG_NOSIGNAL) == got);
			free(answer);
		}
		close(fd);
	}
	exit(SERVED);
}

static pid_t start_worker(int listener)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	work_for(listener);
	return 0;
}

static void request(const struct sockaddr_un *address, int number)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char text[32];
	int length =
		snprintf(text, sizeof(text), "%s %d", number == DEADLY ? "kill" : "get", number);

	expect(connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0);
	expect(send(fd, text, (size_t)length, MSG_NOSIGNAL) == length);
	expect(recv(fd, text, sizeof(text), 0) == (number == DEADLY ? 0 : length) ||
	       (number == DEADLY && errno == ECONNRESET));
	close(fd);
}

static pid_t start_clients(const struct sockaddr_un *address)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	for (int i = 1; i <= REQUESTS; i++)
		request(address, i);
	exit(wrongs != 0);
}

static void replace(pid_t *workers, pid_t dead, int listener)
{
	for (int i = 0; i < WORKERS; i++)
		if (workers[i] == dead)
			workers[i] = start_worker(listener);
}

int main(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "prefork.sock"};
	struct sigaction stop = {.sa_handler = on_stop}; /* no SA_RESTART: it ends accept */
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), status, served = 0;
	bool replaced = false, answered = false;
	pid_t workers[WORKERS], clients, dead;

	/* Before there is a worker: one may be asked as soon as it is there. */
	sigaction(SIGTERM, &stop, NULL);
	expect(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(listen(listener, 64) == 0);
	for (int i = 0; i < WORKERS; i++)
		workers[i] = start_worker(listener);
	clients = start_clients(&address);
	while (!replaced || !answered) {
		dead = waitpid(-1, &status, 0);
		if (dead == clients) {
			expect(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			answered = true;
		} else {
			expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
			replace(workers, dead, listener);
			replaced = true;
		}
	}
	/* One that has just looked at the mark goes on to accept: asked again. */
	for (int i = 0; i < WORKERS; i++) {
		do {
			kill(workers[i], SIGTERM);
			usleep(20000);
		} while (waitpid(workers[i], &status, WNOHANG) == 0);
		served += WIFEXITED(status) && WEXITSTATUS(status) == SERVED;
	}
	expect(served == WORKERS);
	unlink(address.sun_path);
	return wrongs != 0;
}
