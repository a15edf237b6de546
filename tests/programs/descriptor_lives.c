/* SPDX-License-Identifier: MIT */
/*
 * Numbers that are used again, descriptors that came from elsewhere or are copied:
 * whose the bytes are. Says of each file, where NAME is a path:
 *     truth: written.NAME=BYTES    read.NAME=BYTES    sent.NAME=BYTES
 * With the argument "inherited" it uses descriptors 3 and 4 as a shell gave them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "truth.h"

static char buffer[1024];

static void writes(int fd, const char *path, unsigned bytes)
{
	expect(write(fd, buffer, bytes) == (ssize_t)bytes);
	say("truth: written.%s=%u\n", path, bytes);
}

static int make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	expect(fd >= 0);
	return fd;
}

/* ---- one number, one file after another ------------------------------------------- */

static void by_close(int fd)
{
	expect(close(fd) == 0);
}

static void by_fclose(int fd)
{
	expect(fclose(fdopen(fd, "r+")) == 0);
}

static void by_close_range(int fd)
{
	expect(close_range((unsigned)fd, (unsigned)fd + 10, 0) == 0);
}

static void by_closefrom(int fd)
{
	closefrom(fd);
}

/* What has that number next: a file that nobody saw opened, and one that was. */
static void then_others(const char *name, int fd, unsigned bytes)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.unseen", name);
	expect(system_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0644) == fd);
	writes(fd, path, bytes);
	expect(close(fd) == 0);
	snprintf(path, sizeof(path), "%s.XXXXXX", name);
	expect(mkstemp(path) == fd);
	writes(fd, path, 2 * bytes);
	close(fd);
}

/* Each way moves another number of bytes. */
static void used_again(const char *name, void (*end)(int fd), unsigned bytes)
{
	char before[64];
	int fd;

	snprintf(before, sizeof(before), "%s.before", name);
	fd = make(before);
	writes(fd, before, bytes);
	end(fd);
	then_others(name, fd, bytes + 10);
}

/* What the stream or directory itself opened, and its end closes. */
static void after_stream(const char *name, int fd, int ended, unsigned bytes)
{
	expect(ended >= 0);
	then_others(name, fd, bytes);
}

static void streams(void)
{
	DIR *directory = opendir(".");
	int fd = dirfd(directory);
	FILE *stream;

	after_stream("closedir", fd, closedir(directory), 31);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	expect(fsync(fd) == 0);
	after_stream("fdopendir", fd, closedir(fdopendir(fd)), 32);
	stream = popen("echo said", "r");
	fd = fileno(stream);
	expect(read(fd, buffer, 5) == 5);
	after_stream("pclose", fd, pclose(stream), 33);
	stream = tmpfile();
	fd = fileno(stream);
	expect(write(fd, buffer, 10) == 10);
	after_stream("tmpfile", fd, fclose(stream), 34);
	stream = fopen("freopen.before", "w");
	fd = fileno(stream);
	writes(fd, "freopen.before", 35);
	stream = freopen("freopen.after", "w", stream);
	expect(stream != NULL && fileno(stream) == fd);
	writes(fd, "freopen.after", 36);
	after_stream("freopen", fd, fclose(stream), 37);
	stream = fopen("unopened.before", "w");
	fd = fileno(stream);
	writes(fd, "unopened.before", 38);
	/* It failed, and closed what was there. */
	stream = freopen("no/such", "r", stream);
	expect(stream == NULL);
	then_others("unopened", fd, 39);
}

/* ---- copies --------------------------------------------------------------------------- */

static void copies(void)
{
	int one = make("copies.one"), other = make("copies.other"), copy;

	expect(dup2(one, 70) == 70 && dup3(other, 71, O_CLOEXEC) == 71);
	copy = fcntl(one, F_DUPFD_CLOEXEC, 72);
	expect(copy == 72);
	close(one);
	writes(70, "copies.one", 41);
	writes(copy, "copies.one", 42);
	writes(71, "copies.other", 43);
	expect(dup2(71, 70) == 70);
	writes(70, "copies.other", 44);
	/* Marked only: all are still there. */
	expect(close_range(70, 72, CLOSE_RANGE_CLOEXEC) == 0);
	writes(copy, "copies.one", 45);
	writes(70, "copies.other", 46);
	expect(close_range(70, 71, 0) == 0 && write(71, buffer, 1) == -1 && errno == EBADF);
	writes(copy, "copies.one", 47);
	writes(other, "copies.other", 48);
	close(copy);
	close(other);
}

/* ---- from another process ------------------------------------------------------------- */

#define CONTROL CMSG_SPACE(2 * sizeof(int))

static struct msghdr with_control(struct iovec *part, char *control)
{
	return (struct msghdr){.msg_iov = part,
			       .msg_iovlen = 1,
			       .msg_control = control,
			       .msg_controllen = CONTROL};
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

/* The next one of that number, if it came unseen, would seem to be this. */
static void leave_stale(const char *path)
{
	int fd = make(path);

	writes(fd, path, 1);
	system_call(SYS_close, fd);
}

/* In the other process: a file and a socket of that name. */
static void pass(int over, const char *name)
{
	_Alignas(struct cmsghdr) char control[CONTROL] = "";
	struct iovec part = {buffer, 1};
	struct msghdr message = with_control(&part, control);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	char file[64], path[64];
	struct sockaddr_un address;
	int fds[2];

	snprintf(file, sizeof(file), "%s.file", name);
	snprintf(path, sizeof(path), "%s.sock", name);
	address = address_of(path);
	fds[0] = make(file);
	fds[1] = socket(AF_UNIX, SOCK_DGRAM, 0);
	expect(bind(fds[1], (struct sockaddr *)&address, sizeof(address)) == 0);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(head), fds, sizeof(fds));
	expect(sendmsg(over, &message, 0) == 1);
}

static void use_passed(struct msghdr *message, const char *name, unsigned bytes)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	struct sockaddr_un address = address_of("passed.peer");
	char file[64];
	int fds[2];

	expect(head != NULL && head->cmsg_type == SCM_RIGHTS);
	memcpy(fds, CMSG_DATA(head), sizeof(fds));
	snprintf(file, sizeof(file), "%s.file", name);
	writes(fds[0], file, bytes);
	expect(sendto(fds[1], buffer, bytes + 1, 0, (struct sockaddr *)&address, sizeof(address)) ==
	       (ssize_t)bytes + 1);
	say("truth: sent.%s.sock=%u\n", name, bytes + 1);
	close(fds[0]);
	close(fds[1]);
}

static void passed(void)
{
	_Alignas(struct cmsghdr) char control[3][CONTROL] = {""};
	struct sockaddr_un address = address_of("passed.peer");
	int over[2], peer = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct iovec part = {buffer, 1};
	struct msghdr one = with_control(&part, control[0]);
	struct mmsghdr two[2] = {{.msg_hdr = with_control(&part, control[1])},
				 {.msg_hdr = with_control(&part, control[2])}};

	expect(bind(peer, (struct sockaddr *)&address, sizeof(address)) == 0);
	expect(socketpair(AF_UNIX, SOCK_DGRAM, 0, over) == 0);
	if (fork() == 0) {
		pass(over[1], "recvmsg");
		pass(over[1], "recvmmsg.1");
		pass(over[1], "recvmmsg.2");
		_exit(wrongs != 0);
	}
	wait(NULL);
	leave_stale("stale.1");
	expect(recvmsg(over[0], &one, 0) == 1);
	leave_stale("stale.2");
	expect(recvmmsg(over[0], two, 2, 0, NULL) == 2);
	use_passed(&one, "recvmsg", 51);
	use_passed(&two[0].msg_hdr, "recvmmsg.1", 53);
	use_passed(&two[1].msg_hdr, "recvmmsg.2", 55);
	close(over[0]);
	close(over[1]);
	close(peer);
}

/* ---- with another process --------------------------------------------------------------- */

static void shared(void)
{
	int fd = make("shared");
	int status = -1;
	pid_t child;

	writes(fd, "shared", 61);
	child = fork();
	if (child == 0) {
		writes(fd, "shared", 62);
		close(fd);
		expect(make("shared.child") == fd);
		writes(fd, "shared.child", 63);
		_exit(wrongs != 0);
	}
	expect(waitpid(child, &status, 0) == child && status == 0);
	writes(fd, "shared", 64);
	close(fd);
}

static int inherited(void)
{
	expect(read(3, buffer, 71) == 71);
	say("truth: read.inherited.in=71\n");
	writes(4, "inherited.out", 72);
	expect(close(3) == 0 && open("inherited.next", O_WRONLY | O_CREAT, 0644) == 3);
	writes(3, "inherited.next", 73);
	return wrongs != 0;
}

int main(int argc, char **argv)
{
	truth_begin(argc, argv);
	if (argc > 1 && strcmp(argv[1], "inherited") == 0)
		return inherited();
	used_again("close", by_close, 11);
	used_again("fclose", by_fclose, 12);
	used_again("close_range", by_close_range, 13);
	used_again("closefrom", by_closefrom, 14);
	streams();
	copies();
	passed();
	shared();
	return wrongs != 0;
}
