/* SPDX-License-Identifier: MIT */
/*
 * A server that leaks, as servers do: a little, on a path that is rarely taken.
 *
 * It answers "login USER PASSWORD" on a connection over loopback. A session is made for
 * each login; a table keeps the last ones, and frees those that they replace. But the
 * session is made before the password is looked at: where that is wrong, nobody keeps it
 * and nobody frees it. All comes from one line, and most of it is freed.
 *
 *     make programs
 *     build/perfhook record -o server.trace build/examples/leaky_server
 *     build/perfhook leaks server.trace
 *
 * Its own client, a thread, asks for some seconds (argument: how many, 2 if none), then
 * it ends. With the word "fixed" behind that it forgets nothing: for perfhook diff.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 32, WRONG_EVERY = 10, PAUSE_US = 500, LINE = 64 };

struct session {
	unsigned user;
	char state[1000];
};

static struct session *kept[KEPT];
static bool fixed;
static unsigned long logins, forgotten;

static struct session *session_new(unsigned user)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		exit(1);
	s->user = user;
	return s;
}

static void keep(struct session *s)
{
	struct session **slot = &kept[s->user % KEPT];

	free(*slot);
	*slot = s;
}

static const char *login(unsigned user, const char *password)
{
	struct session *s = session_new(user);

	logins++;
	if (strcmp(password, "sesame") != 0) {
		if (fixed)
			free(s);
		else
			forgotten++; /* the mistake: s is lost */
		return "wrong password\n";
	}
	keep(s);
	return "welcome\n";
}

static void serve(int connection)
{
	char line[LINE], password[LINE];
	unsigned user;
	ssize_t n;

	while ((n = recv(connection, line, sizeof(line) - 1, 0)) > 0) {
		const char *answer = "what?\n";

		line[n] = '\0';
		if (sscanf(line, "login %u %63s", &user, password) == 2)
			answer = login(user, password);
		if (send(connection, answer, strlen(answer), 0) < 0)
			break;
	}
	close(connection);
}

/* ---- who asks ------------------------------------------------------------------- */

struct load {
	struct sockaddr_in server;
	double seconds;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *ask(void *context)
{
	const struct load *load = context;
	int connection = socket(AF_INET, SOCK_STREAM, 0);
	double end = now() + load->seconds;
	char line[LINE];

	if (connect(connection, (const struct sockaddr *)&load->server, sizeof(load->server)) != 0)
		exit(1);
	for (unsigned user = 1; now() < end; user++) {
		int length = snprintf(line, sizeof(line), "login %u %s\n", user,
				      user % WRONG_EVERY == 0 ? "guess" : "sesame");

		if (send(connection, line, (size_t)length, 0) < 0 ||
		    recv(connection, line, sizeof(line), 0) <= 0)
			exit(1);
		usleep(PAUSE_US);
	}
	close(connection);
	return NULL;
}

int main(int argc, char **argv)
{
	struct load load = {
		.server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
		.seconds = argc > 1 ? strtod(argv[1], NULL) : 2};
	socklen_t length = sizeof(load.server);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t client;

	fixed = argc > 2 && strcmp(argv[2], "fixed") == 0;
	if (bind(listener, (struct sockaddr *)&load.server, length) != 0 ||
	    listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&load.server, &length) != 0 ||
	    pthread_create(&client, NULL, ask, &load) != 0)
		return 1;
	serve(accept(listener, NULL, NULL));
	pthread_join(client, NULL);
	for (int i = 0; i < KEPT; i++)
		free(kept[i]);
	printf("%lu logins\n", logins);
	printf("truth: leaked_blocks=%lu\n", forgotten);
	printf("truth: leaked_bytes=%zu\n", forgotten * sizeof(struct session));
	return 0;
}
