/* SPDX-License-Identifier: MIT */
/*
 * Stacks of all shapes: random trees of calls through frames that are hard to unwind.
 * The size of each block names the path that allocated it: a hexadecimal 1, then a
 * digit for each shape s0 to sf that is on the stack, the outermost first.
 *
 *	stack_shapes tree SEED ROUNDS THREADS	blocks are left over as they come
 *	stack_shapes storm SEED ROUNDS THREADS	while timers' handlers do the same
 *	stack_shapes jumps SEED ROUNDS 0	handlers that leave hooks by siglongjmp
 *	stack_shapes deep SEED LEVELS 0		recursion, with blocks on both ways
 *	stack_shapes broken SEED ROUNDS 0	code without unwind data, or with wrong ones
 */
#include <alloca.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "truth.h"

enum {
	LEVELS = 4, /* of shapes: sizes stay below 2^17 */
	SHAPES = 16,
	PLACES = 4,
	STACK = 256 << 10,
	LEFT_ONE_IN = 8,
	LEFT_MOST = 6000, /* of each thread */
};

#if defined(__clang__)
#define SHAPE static __attribute__((noinline))
#else
#define SHAPE static __attribute__((noipa))
#endif
#define STAY() __asm__ volatile("" : : : "memory") /* what follows a call: no jump to it */

struct coroutine {
	ucontext_t here, back;
	bool done;
};

struct run {
	uint64_t seed;
	uint32_t path;
	int levels;
	unsigned shapes;	  /* of them, the first so many */
	bool quiet;		  /* no heap: another call, which a handler may leave */
	bool on_signal_stack;	  /* where only what is finished before it ends may begin */
	struct coroutine *inside; /* it can be left, and entered again */
	sigjmp_buf *out;
	unsigned long long allocations, left, left_bytes;
};

static __thread struct run *current;
static __thread volatile sig_atomic_t in_heap; /* a handler must keep out of it */
static __thread char *places[PLACES];

static unsigned draw(struct run *r, unsigned below)
{
	r->seed ^= r->seed << 13;
	r->seed ^= r->seed >> 7;
	r->seed ^= r->seed << 17;
	return (unsigned)(r->seed >> 20) % below;
}

/* ---- what is done at the end of each path ------------------------------------- */

/* Its call is the last instruction: the return address is another function's. */
__attribute__((noreturn, noinline)) static void leave(sigjmp_buf *out)
{
	siglongjmp(*out, 1);
}

SHAPE void allocate(struct run *r)
{
	char byte, *p;

	if (r->quiet) {
		expect(read(-1, &byte, 1) == -1);
		return;
	}
	in_heap = 1;
	p = keep(malloc(r->path));
	r->allocations++;
	if (draw(r, LEFT_ONE_IN) == 0 && r->left < LEFT_MOST) {
		r->left++;
		r->left_bytes += r->path;
	} else {
		free(p);
	}
	in_heap = 0;
	if (r->inside != NULL && !r->on_signal_stack && draw(r, 4) == 0)
		swapcontext(&r->inside->here, &r->inside->back);
	if (r->out != NULL && draw(r, 6) == 0)
		leave(r->out);
	STAY();
}

static void (*const volatile shapes[SHAPES])(struct run *);

/* One shape more, and whatever comes of it. */
SHAPE void descend(struct run *r)
{
	for (unsigned times = 1 + draw(r, 2); times > 0; times--) {
		uint32_t path = r->path;
		unsigned shape = draw(r, r->shapes);

		if (r->levels == LEVELS)
			break;
		r->path = path * SHAPES + shape;
		r->levels++;
		shapes[shape](r);
		r->levels--;
		r->path = path;
		if (draw(r, 3) == 0)
			allocate(r);
	}
	if (r->levels == LEVELS)
		allocate(r);
	STAY();
}

static void (*const volatile go)(struct run *) = descend;

/* ---- frames ----------------------------------------------------------------------- */

SHAPE void s0_plain(struct run *r)
{
	go(r);
	STAY();
}

SHAPE void s1_array(struct run *r)
{
	volatile char array[16 + draw(r, 2000)];

	array[0] = 1;
	go(r);
	array[0]++;
}

SHAPE void s2_alloca(struct run *r)
{
	for (int i = 0; i < 3; i++) {
		/* cppcheck-suppress allocaCalled */
		volatile char *block = alloca(8 + draw(r, 300));

		block[0] = 1;
		go(r);
		block[0]++;
		if (draw(r, 2) != 0)
			break;
	}
}

SHAPE void s3_aligned(struct run *r)
{
	_Alignas(64) volatile char block[64];

	block[0] = 1;
	go(r);
	expect(((uintptr_t)block & 63) == 0 && block[0] == 1);
}

/* rbp as any other register: the callee's caller must find it by the rules alone. */
void scratch_frame(void (*call)(struct run *), struct run *r);
__asm__(".text\n"
	".type scratch_frame, @function\n"
	"scratch_frame:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset %rbp, 0\n"
	"lea 1(%rsi), %rbp\n"
	"sub $32, %rsp\n"
	".cfi_adjust_cfa_offset 32\n"
	"mov %rdi, %rax\n"
	"mov %rsi, %rdi\n"
	"call *%rax\n"
	"add $32, %rsp\n"
	".cfi_adjust_cfa_offset -32\n"
	"pop %rbp\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore %rbp\n"
	"ret\n"
	".cfi_endproc\n"
	".size scratch_frame, .-scratch_frame\n");

SHAPE void s4_scratch(struct run *r)
{
	scratch_frame(go, r);
	STAY();
}

SHAPE void s5_large(struct run *r)
{
	volatile char block[5000];

	block[0] = block[4999] = 1;
	go(r);
	block[0]++;
}

SHAPE long many_arguments(long a, long b, long c, long d, long e, long f, struct run *r, long g,
			  long h, long i)
{
	go(r);
	return a + b + c + d + e + f + g + h + i;
}

SHAPE void s6_arguments(struct run *r)
{
	long (*volatile call)(long, long, long, long, long, long, struct run *, long, long, long) =
		many_arguments;

	expect(call(1, 2, 3, 4, 5, 6, r, 7, 8, 9) == 45);
}

/* Aligned, of variable size and with arguments on the stack at once. */
SHAPE long inner_of_all(long a, long b, long c, long d, long e, long f, struct run *r, long g)
{
	_Alignas(32) volatile char block[96];
	volatile char array[8 + draw(r, 700)];

	block[0] = array[0] = 1;
	go(r);
	return block[0] + array[0] + a + b + c + d + e + f + g;
}

SHAPE void s7_all(struct run *r)
{
	long (*volatile call)(long, long, long, long, long, long, struct run *, long) =
		inner_of_all;

	expect(call(1, 2, 3, 4, 5, 6, r, 7) == 30);
}

static int compare(const void *a, const void *b, void *run)
{
	if (*(const int *)a == 2)
		go(run);
	return *(const int *)a - *(const int *)b;
}

SHAPE void s8_sort(struct run *r)
{
	int numbers[] = {3, 1, 2, 0};

	qsort_r(numbers, 4, sizeof(int), compare, r);
	expect(numbers[0] == 0 && numbers[3] == 3);
}

SHAPE void s9_jump(struct run *r)
{
	sigjmp_buf here, *volatile outer = r->out;
	volatile uint32_t path = r->path;
	volatile int levels = r->levels;
	volatile bool on_signal_stack = r->on_signal_stack;

	r->out = &here;
	if (sigsetjmp(here, 1) == 0)
		go(r);
	r->out = outer;
	r->path = path;
	r->levels = levels;
	r->on_signal_stack = on_signal_stack;
	allocate(r);
}

/* ---- signals ------------------------------------------------------------------------ */

static void on_own_stack(int number)
{
	(void)number;
	go(current);
	STAY();
}

static void on_signal_stack(int number)
{
	struct run *r = current;
	bool was = r->on_signal_stack;

	(void)number;
	r->on_signal_stack = true;
	go(r);
	r->on_signal_stack = was;
}

SHAPE void sa_raise(struct run *r)
{
	current = r;
	raise(SIGUSR1);
	STAY();
}

SHAPE void sb_raise_there(struct run *r)
{
	current = r;
	raise(SIGUSR2);
	STAY();
}

/* Interrupted in the middle of a function without a call, whose rbp is no frame. */
void trap_frame(void);
__asm__(".text\n"
	".type trap_frame, @function\n"
	"trap_frame:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_adjust_cfa_offset 8\n"
	".cfi_rel_offset %rbp, 0\n"
	"mov $123, %ebp\n"
	"ud2\n"
	"pop %rbp\n"
	".cfi_adjust_cfa_offset -8\n"
	".cfi_restore %rbp\n"
	"ret\n"
	".cfi_endproc\n"
	".size trap_frame, .-trap_frame\n");

SHAPE void sc_trap(struct run *r)
{
	current = r;
	trap_frame();
	STAY();
}

static void on_trap(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	(void)number;
	(void)info;
	go(current);
	c->uc_mcontext.gregs[REG_RIP] += 2;
}

/* ---- coroutines --------------------------------------------------------------------- */

/* The path begins anew: there is nothing further out. */
SHAPE void sd_inside(struct run *r)
{
	go(r);
	STAY();
}

static void body(unsigned high, unsigned low)
{
	struct run *r = (struct run *)((uintptr_t)high << 32 | low);

	sd_inside(r);
	r->inside->done = true;
	swapcontext(&r->inside->here, &r->inside->back);
	expect(false);
}

/* Again and again at the same few places. */
static char *take_place(volatile int *which)
{
	for (*which = 0; *which < PLACES && places[*which] != NULL; ++*which)
		;
	if (*which == PLACES)
		return NULL;
	return places[*which] = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

SHAPE void se_resume(struct run *r)
{
	struct coroutine c = {.done = false};
	struct run inner = {.seed = r->seed | 1,
			    .path = 0x1d,
			    .levels = r->levels,
			    .shapes = r->shapes,
			    .inside = &c};
	sigjmp_buf *out = r->out;
	char *volatile place = NULL;
	volatile int which = 0;

	/* On a signal's stack the next handler would overwrite what waits there. */
	if (!r->on_signal_stack)
		place = take_place(&which);
	if (place == NULL) {
		go(r);
		STAY();
		return;
	}
	expect(place != MAP_FAILED && getcontext(&c.here) == 0);
	c.here.uc_stack.ss_sp = place;
	c.here.uc_stack.ss_size = STACK;
	makecontext(&c.here, (void (*)(void))body, 2, (unsigned)((uintptr_t)&inner >> 32),
		    (unsigned)(uintptr_t)&inner);
	r->out = NULL; /* it is to be finished first */
	while (!c.done) {
		struct coroutine *inside = r->inside;

		swapcontext(&c.back, &c.here);
		r->inside = NULL;
		allocate(r);
		r->inside = inside;
	}
	r->out = out;
	r->allocations += inner.allocations;
	r->left += inner.left;
	r->left_bytes += inner.left_bytes;
	munmap(place, STACK);
	places[which] = NULL;
}

/* ---- nothing kept of the caller but a jump away -------------------------------------- */

__attribute__((noreturn, noinline)) static void never_returns(struct run *r, sigjmp_buf *out)
{
	go(r);
	siglongjmp(*out, 1);
}

SHAPE void sf_noreturn(struct run *r)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 0) == 0)
		never_returns(r, &here);
	STAY();
}

static void (*const volatile shapes[SHAPES])(struct run *) = {
	s0_plain,     s1_array,	 s2_alloca, s3_aligned,	 s4_scratch, s5_large,
	s6_arguments, s7_all,	 s8_sort,   s9_jump,	 sa_raise,   sb_raise_there,
	sc_trap,      sd_inside, se_resume, sf_noreturn,
};

/* ---- timers --------------------------------------------------------------------------- */

static sigjmp_buf *volatile storm_out;
static volatile unsigned long long ticks;

/* What a handler does at any moment: a call that it may always make, and an
 * allocation unless it interrupted one. */
SHAPE void tick_inner(volatile char *array)
{
	char byte;

	array[0] = 1;
	expect(read(-1, &byte, 1) == -1);
	if (!in_heap) {
		in_heap = 1;
		free(keep(malloc(77)));
		in_heap = 0;
	}
	STAY();
}

SHAPE void tick_array(unsigned n)
{
	volatile char array[8 + n % 500];

	tick_inner(array);
	STAY();
}

static void tick(int number)
{
	_Alignas(64) volatile char block[64];
	int saved = errno;
	sigjmp_buf *out = storm_out;

	(void)number;
	ticks++;
	if (ticks % 2 == 0)
		tick_inner(block);
	else
		tick_array((unsigned)ticks);
	errno = saved;
	if (out != NULL)
		siglongjmp(*out, 1);
}

static timer_t start_timer(int number, long microseconds)
{
	struct itimerspec t = {{0, microseconds * 1000}, {0, microseconds * 1000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
	timer_t timer = NULL;

	in_heap = 1;
	expect(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	in_heap = 0;
	expect(timer_settime(timer, 0, &t, NULL) == 0);
	return timer;
}

static void stop_timer(timer_t timer)
{
	struct itimerspec none = {{0, 0}, {0, 0}};

	expect(timer_settime(timer, 0, &none, NULL) == 0);
}

/* ---- modes ---------------------------------------------------------------------------- */

static void catch_signals(void)
{
	struct sigaction a = {.sa_handler = on_own_stack, .sa_flags = SA_NODEFER};

	sigaction(SIGUSR1, &a, NULL);
	a.sa_handler = on_signal_stack;
	a.sa_flags = SA_NODEFER | SA_ONSTACK;
	sigaction(SIGUSR2, &a, NULL);
	a.sa_handler = tick;
	a.sa_flags = SA_RESTART | SA_ONSTACK;
	sigaction(SIGRTMIN, &a, NULL);
	a.sa_flags = SA_RESTART;
	sigaction(SIGRTMIN + 1, &a, NULL);
	a.sa_sigaction = on_trap;
	a.sa_flags = SA_NODEFER | SA_SIGINFO;
	sigaction(SIGILL, &a, NULL);
}

/* From here, so that each thread has one. */
static char *use_signal_stack(void)
{
	stack_t stack = {.ss_size = STACK};

	stack.ss_sp = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(stack.ss_sp != MAP_FAILED && sigaltstack(&stack, NULL) == 0);
	return stack.ss_sp;
}

static unsigned rounds;

SHAPE void in_thread_or_main(struct run *r)
{
	for (unsigned i = 0; i < rounds; i++) {
		r->path = 1;
		r->levels = 0;
		go(r);
	}
}

static void *in_thread(void *run)
{
	use_signal_stack();
	in_thread_or_main(run);
	in_heap = 1; /* libc gives the thread's part of it back */
	sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
	return NULL;
}

static void tree(uint64_t seed, unsigned threads)
{
	struct run *runs = mmap(NULL, (threads + 1) * sizeof(*runs), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long long allocations = 0, left = 0, left_bytes = 0;
	pthread_t ids[64];

	/* A mapping for each block would be slow. */
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	in_heap = 1;
	for (unsigned i = 0; i <= threads; i++) {
		runs[i] = (struct run){.seed = seed * 7919 + i * 104729 + 1, .shapes = SHAPES};
		if (i > 0)
			expect(pthread_create(&ids[i], NULL, in_thread, &runs[i]) == 0);
	}
	in_heap = 0;
	in_thread_or_main(&runs[0]);
	in_heap = 1;
	for (unsigned i = 1; i <= threads; i++)
		expect(pthread_join(ids[i], NULL) == 0);
	in_heap = 0;
	for (unsigned i = 0; i <= threads; i++) {
		allocations += runs[i].allocations;
		left += runs[i].left;
		left_bytes += runs[i].left_bytes;
	}
	truth("allocations", allocations);
	truth("left", left);
	truth("left_bytes", left_bytes);
}

static void storm(uint64_t seed, unsigned threads)
{
	timer_t one = start_timer(SIGRTMIN, 150), other = start_timer(SIGRTMIN + 1, 190);

	tree(seed, threads);
	stop_timer(one);
	stop_timer(other);
	truth("ticks", ticks);
}

static void jumps(uint64_t seed)
{
	struct run r = {.seed = seed * 7919 + 1, .shapes = 9, .quiet = true};
	volatile unsigned jumped = 0;
	sigjmp_buf here;
	timer_t timer;

	in_heap = 1;
	timer = start_timer(SIGRTMIN, 150);
	in_heap = 1;
	if (sigsetjmp(here, 1) != 0)
		jumped++;
	storm_out = &here;
	while (jumped < rounds) {
		r.path = 1;
		r.levels = 0;
		go(&r);
	}
	storm_out = NULL;
	stop_timer(timer);
	in_heap = 0;
	/* All of this must be seen. */
	r.quiet = false;
	r.shapes = SHAPES;
	in_thread_or_main(&r);
	truth("allocations", r.allocations);
}

static unsigned long long deep_allocations;

static void deeper(struct run *r, unsigned left);
static void (*const volatile go_deeper)(struct run *, unsigned) = deeper;

SHAPE void deeper_array(struct run *r, unsigned left)
{
	volatile char array[8 + left % 90];

	array[0] = 1;
	go_deeper(r, left);
	array[0]++;
}

SHAPE void deeper(struct run *r, unsigned left)
{
	unsigned now = draw(r, 8);

	if (now == 0) {
		free(keep(malloc(left + 1)));
		deep_allocations++;
	}
	if (left > 0 && now % 4 == 3)
		deeper_array(r, left - 1);
	else if (left > 0)
		go_deeper(r, left - 1);
	/* On the way back too, where the outer end was never seen. */
	if (draw(r, 8) == 0 || left == 0) {
		free(keep(malloc(left + 1)));
		deep_allocations++;
	}
	STAY();
}

static void deep(uint64_t seed)
{
	struct run r = {.seed = seed * 7919 + 1};

	for (int i = 0; i < 3; i++)
		go_deeper(&r, rounds);
	truth("allocations", deep_allocations);
}

/* ---- no rule, or a wrong one --------------------------------------------------------------- */

/* By no unwind data; by a frame a megabyte away; by one that is further in. */
void untold_frame(void (*call)(struct run *), struct run *r);
void far_frame(void (*call)(struct run *), struct run *r);
void inner_frame(void (*call)(struct run *), struct run *r);
#define FRAME(name, begin, say, end)                                                               \
	".type " #name ", @function\n" #name ":\n" begin "\n"                                      \
	"sub $40, %rsp\n" say "\n"                                                                 \
	"mov %rdi, %rax\n"                                                                         \
	"mov %rsi, %rdi\n"                                                                         \
	"call *%rax\n"                                                                             \
	"add $40, %rsp\n"                                                                          \
	"ret\n" end "\n"                                                                           \
	".size " #name ", .-" #name "\n"
__asm__(".text\n" FRAME(untold_frame, "", "", "")
		FRAME(far_frame, ".cfi_startproc", ".cfi_def_cfa_offset 1048576", ".cfi_endproc")
			FRAME(inner_frame, ".cfi_startproc", ".cfi_def_cfa_offset -64",
			      ".cfi_endproc"));

static void (*generated[2])(void (*call)(struct run *), struct run *r);

/* The first with a frame pointer, the other without. */
static void generate(void)
{
	static const unsigned char with[] = {
		0x55,		  /* push %rbp */
		0x48, 0x89, 0xe5, /* mov %rsp, %rbp */
		0x48, 0x89, 0xf8, /* mov %rdi, %rax */
		0x48, 0x89, 0xf7, /* mov %rsi, %rdi */
		0xff, 0xd0,	  /* call *%rax */
		0x5d,		  /* pop %rbp */
		0xc3,		  /* ret */
	};
	static const unsigned char without[] = {
		0x48, 0x83, 0xec, 0x18,				/* sub $24, %rsp */
		0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0xff, 0xd0, /* as above */
		0x48, 0x83, 0xc4, 0x18,				/* add $24, %rsp */
		0xc3,						/* ret */
	};
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(page != MAP_FAILED);
	memcpy(page, with, sizeof(with));
	memcpy(page + 64, without, sizeof(without));
	generated[0] = (void (*)(void (*)(struct run *), struct run *))(uintptr_t)page;
	generated[1] = (void (*)(void (*)(struct run *), struct run *))(uintptr_t)(page + 64);
}

static void broken(uint64_t seed)
{
	struct run r = {.seed = seed * 7919 + 1, .shapes = SHAPES};

	generate();
	for (unsigned i = 0; i < rounds; i++) {
		r.path = 1;
		r.levels = 0;
		untold_frame(go, &r);
		far_frame(go, &r);
		inner_frame(go, &r);
		generated[0](go, &r);
		generated[1](go, &r);
	}
	truth("allocations", r.allocations);
}

int main(int argc, char **argv)
{
	const char *mode = argc == 5 ? argv[1] : "";
	uint64_t seed = argc == 5 ? strtoull(argv[2], NULL, 10) : 0;
	unsigned threads = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 64;

	if (threads >= 64)
		return 2;
	rounds = (unsigned)strtoul(argv[3], NULL, 10);
	use_signal_stack();
	catch_signals();
	if (strcmp(mode, "tree") == 0)
		tree(seed, threads);
	else if (strcmp(mode, "storm") == 0)
		storm(seed, threads);
	else if (strcmp(mode, "jumps") == 0)
		jumps(seed);
	else if (strcmp(mode, "deep") == 0)
		deep(seed);
	else if (strcmp(mode, "broken") == 0)
		broken(seed);
	else
		return 2;
	return wrongs != 0;
}
