/* SPDX-License-Identifier: MIT */
/* Programs that do what breaks preloaded libraries: tests/programs/hostile_*.c and
 * others of that folder, other allocators and tools beside us, narrow limits. */
#include <sys/resource.h>

#include "tests/compat/compat.h"

#define BUILD_C(options, source) "gcc -O1 -g -D_GNU_SOURCE -I$SRC/../.. " options " " source

/* Whether it can be recorded within them depends. What a target found out by dlsym()
 * differs: ours stands where libc has none. */
/* NOLINTBEGIN(bugprone-macro-parentheses): they are parts of initializers. */
#define LIMITED(title, resource, value, what)                                                      \
	{                                                                                          \
		.name = title, .command = "exec $BIN/" what, .limits = LIMITS({resource, value}),  \
		.varies = "truth: calls\\..*", .unrecorded = true                                  \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct row rows[] = {
	/* loaders and allocators */
	{.name = "OpenMP",
	 .needs = "gcc",
	 .prepare = BUILD_C("-fopenmp", "$SRC/parallel_loops.c -o p"),
	 .command = "exec ./p"},
	{.name = "jemalloc linked",
	 .needs = "gcc /usr/lib/x86_64-linux-gnu/libjemalloc.so",
	 .prepare = BUILD_C("", "$SRC/parallel_loops.c -o p -Wl,--no-as-needed -ljemalloc"),
	 .command = "./p && MALLOC_CONF=stats_print:false exec ./p"},
	{.name = "jemalloc, static",
	 .needs = "gcc g++ /usr/lib/x86_64-linux-gnu/libjemalloc_pic.a",
	 .prepare = BUILD_C("", "$SRC/parallel_loops.c -o p -l:libjemalloc_pic.a -lstdc++ -lm"),
	 .command = "exec ./p"},
	{.name = "mimalloc behind us",
	 .needs = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2",
	 .command = "LD_PRELOAD=\"$LD_PRELOAD libmimalloc.so.2\" exec $BIN/parallel_loops"},
	{.name = "mimalloc before us",
	 .needs = "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2",
	 .command = "LD_PRELOAD=\"libmimalloc.so.2 $LD_PRELOAD\" exec $BIN/parallel_loops"},
	{.name = "LD_AUDIT", .command = "LD_AUDIT=$BIN/lib_audit.so exec $BIN/parallel_loops"},
	{.name = "LD_BIND_NOW, LD_DEBUG",
	 .command = "LD_BIND_NOW=1 $BIN/parallel_loops; LD_DEBUG=statistics LD_DEBUG_OUTPUT=debug"
		    " $BIN/parallel_loops",
	 .settle = "rm -f debug.*",
	 .processes = 3},
	{.name = "RTLD_DEEPBIND", .command = "exec $BIN/hostile_loader deepbind $BIN/lib_first.so"},
	{.name = "dlmopen", .command = "exec $BIN/hostile_loader dlmopen $BIN/lib_first.so"},
	{.name = "malloc by dlsym", .command = "exec $BIN/hostile_loader dlsym"},
	{.name = "dlopen storm",
	 .command = "exec $BIN/hostile_loader storm $BIN/lib_first.so $BIN/lib_second.so"},
	/* stacks, threads, forks */
	{.name = "coroutines", .command = "exec $BIN/coroutines"},
	/* To bind a symbol at its first use, the loader itself needs more than that. */
	{.name = "signal stacks of 8 KiB", .command = "LD_BIND_NOW=1 exec $BIN/signal_stacks 8192"},
	{.name = "signal stacks of 2 KiB", .command = "LD_BIND_NOW=1 exec $BIN/signal_stacks 1024"},
	{.name = "2,000 threads", .command = "exec $BIN/many_threads 2000"},
	{.name = "forks amid threads",
	 .command = "exec $BIN/fork_cold $(test -n \"$FULL\" && echo 10000 || echo 1000)",
	 .processes = 1000,
	 .timeout_s = 400},
	{.name = "forks of every kind", .command = "exec $BIN/fork_raw", .varies = "truth: .*"},
	/* descriptors and environment */
	{.name = "close 3 to 1023", .command = "exec $BIN/hostile_descriptors close"},
	{.name = "close_range", .command = "exec $BIN/hostile_descriptors close_range"},
	{.name = "closefrom", .command = "exec $BIN/hostile_descriptors closefrom"},
	{.name = "dup2 over all", .command = "exec $BIN/hostile_descriptors dup2"},
	{.name = "close_range amid threads",
	 .command = "exec $BIN/hostile_descriptors close_range busy"},
	{.name = "dup2 over all amid threads",
	 .command = "exec $BIN/hostile_descriptors dup2 busy"},
	{.name = "environ = NULL", .command = "exec $BIN/hostile_environment null"},
	{.name = "clearenv", .command = "exec $BIN/hostile_environment clearenv"},
	{.name = "argv overwritten", .command = "exec $BIN/hostile_environment overwrite"},
	/* user, root folder, permitted calls */
	{.name = "chroot", .root = true, .command = "exec $BIN/confined chroot"},
	{.name = "setresuid",
	 .root = true,
	 .prepare = "chmod 777 .",
	 .command = "exec $BIN/confined user"},
	{.name = "setuid", .root = true, .command = "exec $BIN/hostile_user setuid"},
	{.name = "seteuid", .root = true, .command = "exec $BIN/hostile_user seteuid"},
	{.name = "chroot, setuid, no dumps", .root = true, .command = "exec $BIN/hostile_user all"},
	{.name = "seccomp, strict", .command = "exec $BIN/confined strict"},
	{.name = "seccomp, filter", .command = "exec $BIN/confined filter"},
	{.name = "seccomp by syscall()", .command = "exec $BIN/confined syscall"},
	{.name = "seccomp, threads", .command = "exec $BIN/confined threads"},
	{.name = "CLONE_VM", .command = "exec $BIN/confined vm"},
	/* limits that it sets itself, and that it is started with */
	{.name = "RLIMIT_AS set", .command = "exec $BIN/hostile_limits as"},
	{.name = "RLIMIT_NOFILE set", .command = "exec $BIN/hostile_limits nofile"},
	{.name = "RLIMIT_FSIZE set", .command = "exec $BIN/hostile_limits fsize"},
	{.name = "RLIMIT_NPROC set", .command = "exec $BIN/hostile_limits nproc"},
	{.name = "RLIMIT_CORE set", .command = "exec $BIN/hostile_limits core"},
	{.name = "RLIMIT_STACK set", .command = "exec $BIN/hostile_limits stack"},
	LIMITED("RLIMIT_FSIZE 0", RLIMIT_FSIZE, 0, "memory_calls"),
	LIMITED("RLIMIT_FSIZE 1", RLIMIT_FSIZE, 1, "memory_calls"),
	LIMITED("RLIMIT_FSIZE 4 KiB", RLIMIT_FSIZE, 4096, "memory_calls"),
	LIMITED("RLIMIT_FSIZE 1 MiB", RLIMIT_FSIZE, 1 << 20, "memory_calls"),
	LIMITED("RLIMIT_FSIZE 1 MiB, files", RLIMIT_FSIZE, 1 << 20, "io_calls"),
	/* The loader cannot open libc. */
	{.name = "RLIMIT_NOFILE 3",
	 .command = "exec $BIN/memory_calls",
	 .status = 127,
	 .limits = LIMITS({RLIMIT_NOFILE, 3}),
	 .unrecorded = true},
	LIMITED("RLIMIT_NOFILE 4", RLIMIT_NOFILE, 4, "memory_calls"),
	LIMITED("RLIMIT_NOFILE 6", RLIMIT_NOFILE, 6, "memory_calls"),
	LIMITED("RLIMIT_AS 8 MiB", RLIMIT_AS, 8 << 20, "memory_calls"),
	LIMITED("RLIMIT_AS 16 MiB", RLIMIT_AS, 16 << 20, "memory_calls"),
	LIMITED("RLIMIT_AS 64 MiB", RLIMIT_AS, 64 << 20, "memory_calls"),
	LIMITED("RLIMIT_AS 512 MiB", RLIMIT_AS, 512 << 20, "many_threads 20"),
	LIMITED("RLIMIT_AS 4 GiB", RLIMIT_AS, 4ul << 30, "many_threads 200"),
	LIMITED("RLIMIT_STACK 256 KiB", RLIMIT_STACK, 256 << 10, "memory_calls"),
	LIMITED("RLIMIT_MEMLOCK 0", RLIMIT_MEMLOCK, 0, "memory_calls"),
	LIMITED("RLIMIT_NPROC 1", RLIMIT_NPROC, 1, "memory_calls"),
	LIMITED("RLIMIT_CORE 0", RLIMIT_CORE, 0, "memory_calls"),
	LIMITED("RLIMIT_DATA 4 MiB", RLIMIT_DATA, 4 << 20, "memory_calls"),
};

int main(void)
{
	return run_rows("hostile", rows, COUNT_OF(rows));
}
