/* SPDX-License-Identifier: MIT */
/* One file in the working directory for each way to access a file; what is to be found
 * of each stands in tests/integration/test_files.c. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "truth.h"

enum { PIECE = 4096, PIECES = 64 };

static char buffer[PIECE];

static int make(const char *name, int flags)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | flags, 0644);

	expect(fd >= 0);
	return fd;
}

/* A file that is there already, as far as anybody has seen. */
static int make_full(const char *name)
{
	int fd = make(name, 0);

	expect(system_call(SYS_ftruncate, fd, (long)PIECES * 1048576) == 0);
	return fd;
}

static void consecutive(void)
{
	int fd = make("consecutive", 0);

	for (int i = 0; i < PIECES; i++)
		expect(write(fd, buffer, PIECE) == PIECE);
	expect(lseek(fd, 0, SEEK_SET) == 0);
	for (int i = 0; i < PIECES; i++)
		expect(read(fd, buffer, PIECE) == PIECE);
	expect(read(fd, buffer, PIECE) == 0);
	close(fd);
}

/* Always on, by no fixed distance. */
static void sequential(void)
{
	int fd = make_full("sequential");
	off_t at = 0;

	for (int i = 0; i < PIECES; i++, at += PIECE * (2 + i * i % 7))
		expect(pread(fd, buffer, PIECE, at) == PIECE);
	close(fd);
}

static void strided(void)
{
	int fd = make_full("strided");

	for (int i = 0; i < PIECES; i++)
		expect(pread(fd, buffer, 512, (off_t)i * 8192 + 100) == 512);
	close(fd);
}

/* The same by the descriptor's own position. */
static void strided_by_seeking(void)
{
	int fd = make_full("strided_by_seeking");

	for (int i = 0; i < PIECES; i++) {
		expect(read(fd, buffer, 512) == 512);
		lseek(fd, 1024, SEEK_CUR);
	}
	close(fd);
}

/* Multiplying by 29 modulo 64 is a permutation; its steps differ. */
static void random_order(void)
{
	int fd = make_full("random");

	for (unsigned i = 0, at = 1; i < PIECES; i++, at = (at * 29 + i) % PIECES)
		expect(pread(fd, buffer, PIECE, (off_t)at * 1048576) == PIECE);
	close(fd);
}

static void reread(void)
{
	int fd = make_full("reread");

	for (int round = 0; round < 3; round++) {
		lseek(fd, 0, SEEK_SET);
		for (int i = 0; i < PIECES; i++)
			expect(read(fd, buffer, PIECE) == PIECE);
	}
	close(fd);
}

/* What is written over a file that was emptied is not written again. */
static void rewritten(void)
{
	int fd = make("rewritten", 0);

	for (int i = 0; i < 10; i++)
		expect(pwrite(fd, buffer, PIECE, 0) == PIECE);
	close(fd);
	fd = make("rewritten", 0);
	expect(pwrite(fd, buffer, PIECE, 0) == PIECE);
	close(fd);
}

static void appended(void)
{
	int fd = make("appended", O_APPEND);

	for (int i = 0; i < PIECES; i++)
		expect(write(fd, buffer, 100) == 100);
	close(fd);
}

/* Two descriptors of one open file share where it stands, two opens do not. */
static void shared(void)
{
	int fd = make_full("shared"), other = dup(fd), apart;

	for (int i = 0; i < PIECES; i++)
		expect(read(i % 2 ? fd : other, buffer, PIECE) == PIECE);
	close(other);
	close(fd);
	fd = make_full("apart");
	apart = open("apart", O_RDONLY);
	for (int i = 0; i < PIECES; i++)
		expect(read(i % 2 ? fd : apart, buffer, PIECE) == PIECE);
	close(apart);
	close(fd);
}

/* Where an inherited descriptor stands nobody knows, until it is set. */
static void inherited(void)
{
	int fd = make_full("inherited"), status = -1;
	pid_t child;

	expect(lseek(fd, 5 * PIECE, SEEK_SET) == 5 * PIECE);
	child = fork();
	if (child == 0) {
		for (int i = 0; i < 10; i++)
			expect(read(fd, buffer, PIECE) == PIECE);
		lseek(fd, 0, SEEK_SET);
		for (int i = 0; i < 20; i++)
			expect(read(fd, buffer, PIECE) == PIECE);
		_exit(wrongs != 0);
	}
	expect(waitpid(child, &status, 0) == child && status == 0);
	close(fd);
}

/* By a stream, which seeks and reads by itself: pieces of its buffer's size. */
static void streams(void)
{
	FILE *f;

	close(make_full("streamed"));
	f = fopen("streamed", "r");
	for (int i = 0; i < PIECES * 8; i++)
		expect(fread(buffer, 512, 1, f) == 1);
	rewind(f);
	expect(fread(buffer, PIECE, 1, f) == 1);
	fclose(f);
}

/* Sizes and names. */
static void sizes(void)
{
	static const size_t all[] = {1, 100, 101, 1024, 1025, 4096};
	int fd = make("sizes", 0);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		expect(write(fd, buffer, all[i]) == (ssize_t)all[i]);
	expect(fsync(fd) == 0 && fdatasync(fd) == 0);
	close(fd);
}

static void names(void)
{
	struct stat st;
	int directory;

	expect(mkdir("below", 0755) == 0 && chdir("below") == 0);
	close(make("here", 0));
	for (int i = 0; i < 3; i++)
		expect(stat("here", &st) == 0);
	expect(stat("../below/./here", &st) == 0);
	expect(stat("missing", &st) == -1 && errno == ENOENT);
	expect(open("missing", O_RDONLY) == -1 && errno == ENOENT);
	expect(chdir("..") == 0);
	directory = open("below", O_RDONLY | O_DIRECTORY);
	expect(fstatat(directory, "here", &st, 0) == 0);
	expect(fstatat(directory, "here", &st, 0) == 0);
	expect(renameat(directory, "here", AT_FDCWD, "there") == 0);
	close(directory);
	expect(unlink("there") == 0);
}

int main(void)
{
	consecutive();
	sequential();
	strided();
	strided_by_seeking();
	random_order();
	reread();
	rewritten();
	appended();
	shared();
	inherited();
	streams();
	sizes();
	names();
	return wrongs != 0;
}
