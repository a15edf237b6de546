/* SPDX-License-Identifier: MIT */
/*
 * Handlers that allocate, open and write on signal stacks that are as small as may
 * be, with nothing readable below. Each in a process of its own:
 *     truth: BYTES.WAY=STATUS     128 and the signal where one ended it
 * In the way "warm" the thread has made all of its calls before, in "cold" none, in
 * "loaded" it is amid loading the library that the argument names, which sends it the
 * signal.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "truth.h"

enum { PAGE = 4096, GUARD = 16 * PAGE, WRITTEN = 17 };

/* The program's own look-ups need more room than there is. */
static struct {
	void *(*malloc)(size_t size);
	void (*free)(void *block);
	int (*open)(const char *path, int flags, ...);
	ssize_t (*write)(int fd, const void *buffer, size_t count);
	int (*close)(int fd);
} calls;

static size_t stack_bytes;
static volatile int done;

static void *find(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	expect(found != NULL);
	return found;
}

static void look_up(void)
{
	*(void **)&calls.malloc = find("malloc");
	*(void **)&calls.free = find("free");
	*(void **)&calls.open = find("open");
	*(void **)&calls.write = find("write");
	*(void **)&calls.close = find("close");
}

static void use_all(const char *path)
{
	void *block = calls.malloc(100);
	int fd = calls.open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

	done = block != NULL && fd >= 0 &&
	       calls.write(fd, "seventeen letters", WRITTEN) == WRITTEN && calls.close(fd) == 0;
	calls.free(block);
}

static void handler(int signal)
{
	(void)signal;
	use_all("from-handler");
}

/* From itself, or from the library. What lies below the stack cannot be touched. */
static void take_signal(const char *library)
{
	size_t bytes = (stack_bytes + PAGE - 1) / PAGE * PAGE;
	char *mapped = mmap(NULL, GUARD + bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const stack_t stack = {.ss_sp = mapped + GUARD, .ss_size = stack_bytes};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	mprotect(mapped + GUARD, bytes, PROT_READ | PROT_WRITE);
	if (sigaltstack(&stack, NULL) != 0)
		_exit(2); /* the kernel has no use for so little */
	sigaction(SIGUSR1, &action, NULL);
	if (library != NULL)
		dlopen(library, RTLD_NOW);
	else
		pthread_kill(pthread_self(), SIGUSR1);
	_exit(done ? 0 : 1);
}

static void *in_thread(void *unused)
{
	(void)unused;
	take_signal(NULL);
	return NULL;
}

enum way { WARM, COLD, LOADED, WAYS };
static const char *const way_names[WAYS] = {"warm", "cold", "loaded"};

static int status_of(enum way way, const char *library)
{
	pthread_t thread;
	int status = -1;
	pid_t child = fork();

	if (child == 0 && way != COLD) {
		use_all("from-main");
		take_signal(way == LOADED ? library : NULL);
	}
	if (child == 0) {
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
		_exit(3);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	size_t least = (size_t)sysconf(_SC_MINSIGSTKSZ);
	const size_t sizes[] = {2048, least + 1024, least + 2048, least + 4096, 65536};

	look_up();
	truth("written_bytes", WRITTEN);
	for (size_t i = 0; argc > 1 && i < sizeof(sizes) / sizeof(*sizes); i++) {
		stack_bytes = sizes[i];
		for (int way = 0; way < WAYS; way++)
			say("truth: %zu.%s=%d\n", sizes[i], way_names[way],
			    status_of((enum way)way, argv[1]));
	}
	return wrongs != 0;
}
