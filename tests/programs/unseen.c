/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes by calls that are seen and by calls that are not, as the first
 * argument says; how many bytes the kernel counts for it is its truth.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>

#include "tests/programs/truth.h"

static char buffer[65536];
static unsigned long long was_read, was_written;

/* Nobody intercepts it. */
static void unseen_read(int fd, size_t bytes)
{
	expect(system_call(SYS_read, fd, buffer, bytes) == (long)bytes);
	was_read += bytes;
}

static void unseen_write(int fd, size_t bytes)
{
	expect(system_call(SYS_write, fd, buffer, bytes) == (long)bytes);
	was_written += bytes;
}

static void add(unsigned long long *sum, ssize_t result)
{
	expect(result > 0);
	*sum += (unsigned long long)result;
}

/* Every family that is recorded, on files, pipes and sockets. */
static void families(void)
{
	struct iovec two[] = {{buffer, 300}, {buffer, 400}};
	struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
	int file = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), ends[2], pair[2];

	expect(file >= 0 && pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	add(&was_written, write(file, buffer, 20000));
	add(&was_written, pwrite(file, buffer, 5000, 100));
	add(&was_written, writev(file, two, 2));
	add(&was_read, pread(file, buffer, 6000, 0));
	lseek(file, 0, SEEK_SET);
	add(&was_read, read(file, buffer, 10000));
	add(&was_read, readv(file, two, 2));
	add(&was_written, write(ends[1], buffer, 1000));
	add(&was_read, read(ends[0], buffer, 2000));
	add(&was_written, write(pair[0], buffer, 3000));
	add(&was_read, read(pair[1], buffer, 4000));
	/* Seen, and not among what the kernel counts. */
	expect(send(pair[0], buffer, 7000, 0) == 7000);
	expect(recv(pair[1], buffer, 7000, MSG_WAITALL) == 7000);
	expect(sendmsg(pair[0], &message, 0) == 700);
	expect(recvmsg(pair[1], &message, 0) == 700);
}

static void by_stdio(void)
{
	FILE *in = fopen("/dev/zero", "r"), *out = fopen("/dev/null", "w");

	expect(in != NULL && out != NULL);
	if (in == NULL || out == NULL)
		return;
	for (int i = 0; i < 100; i++) {
		expect(fread(buffer, 1, 4096, in) == 4096);
		expect(fwrite(buffer, 1, 4096, out) == 4096);
	}
	expect(fclose(out) == 0);
	was_read += 409600;
	was_written += 409600;
}

static void *in_thread(void *unused)
{
	int zero = open("/dev/zero", O_RDONLY);

	expect(read(zero, buffer, 50000) == 50000);
	return unused;
}

static void thread(void)
{
	pthread_t t;

	expect(pthread_create(&t, NULL, in_thread, NULL) == 0);
	expect(pthread_join(t, NULL) == 0);
	was_read += 50000;
}

/* What a child does is added to its parent's count when it is waited for. */
static void child(void)
{
	int zero = open("/dev/zero", O_RDONLY);
	pid_t pid = fork();

	if (pid == 0) {
		unseen_read(zero, 60000);
		unseen_read(zero, 60000);
		_exit(0);
	}
	expect(waitpid(pid, NULL, 0) == pid);
}

static void uring(void)
{
	struct io_uring_params parameters = {.flags = 0};

	truth("uring", syscall(SYS_io_uring_setup, 4, &parameters) >= 0);
}

static void own_namespace(void)
{
	truth("namespace", dlmopen(LM_ID_NEWLM, "libz.so.1", RTLD_NOW) != NULL);
}

/* Of /etc/hosts: a server need not be asked. */
static void look_up(const char *name)
{
	struct addrinfo *found = NULL;

	if (getaddrinfo(name, "80", NULL, &found) == 0)
		freeaddrinfo(found);
}

static void digits(void)
{
	look_up("127.0.0.1");
	look_up("::1");
	look_up(NULL);
}

static void name(void)
{
	look_up("localhost");
}

static void logged(void)
{
	syslog(LOG_DEBUG, "%s of a test", "a line");
}

static void unseen(void)
{
	int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);

	unseen_read(zero, 30000);
	unseen_write(null, 20000);
}

static void stay(void)
{
	unseen();
	truth("ready", 1);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} ways[] = {{"families", families}, {"stdio", by_stdio},
		    {"unseen", unseen},	    {"thread", thread},
		    {"child", child},	    {"uring", uring},
		    {"stay", stay},	    {"namespace", own_namespace},
		    {"digits", digits},	    {"name", name},
		    {"log", logged}};

	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++)
			if (strcmp(argv[i], ways[k].name) == 0)
				ways[k].run();
	truth("read", was_read);
	truth("written", was_written);
	return wrongs != 0;
}
