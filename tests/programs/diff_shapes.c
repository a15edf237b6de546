/* SPDX-License-Identifier: MIT */
/*
 * One program in several builds, to be compared: with PH_MOVED every line has another
 * number; with PH_CHANGED three things are otherwise: `build_index` takes twice as much,
 * `remember` forgets to free, and `save` writes more. What optimisation does to stacks is
 * all here: inlined and cloned functions, calls in tail position, recursion, callbacks.
 */
#ifdef PH_MOVED
#line 5000
#endif
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef PH_CHANGED
enum { INDEX_FACTOR = 2, FORGETS = 1, ROWS = 30 };
#else
enum { INDEX_FACTOR = 1, FORGETS = 0, ROWS = 20 };
#endif

static void *volatile kept[64];
static size_t kept_count;

static void keep(void *block)
{
	kept[kept_count++ % 64] = block;
}

/* A call in tail position, unless it is inlined. */
__attribute__((noinline)) static void *xmalloc(size_t bytes)
{
	return malloc(bytes);
}

__attribute__((noinline)) static void *grab(size_t bytes)
{
	return xmalloc(bytes + 8);
}

/* Small enough for -O2 to inline it, twice. */
static void *table_new(size_t rows)
{
	char *table = grab(rows * 16);

	if (table != NULL)
		memset(table, 1, rows * 16);
	return table;
}

static void build_index(size_t rows)
{
	keep(table_new(rows * INDEX_FACTOR));
}

/* A constant argument: made into a clone of its own. */
__attribute__((noinline)) static int *numbers(size_t count, int with)
{
	int *list = calloc(count, sizeof(*list));

	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = with ? rand() : (int)i;
	return list;
}

static int compare(const void *a, const void *b)
{
	void *scratch = malloc(24);
	int x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	kept[63] = scratch;
	free(kept[63]);
	return (x > y) - (x < y);
}

static void sort_numbers(void)
{
	int *list = numbers(100, 1);

	if (list != NULL)
		qsort(list, 100, sizeof(*list), compare);
	free(list);
}

struct tree {
	struct tree *left, *right;
};

static struct tree *plant(int depth)
{
	struct tree *t = malloc(sizeof(*t));

	if (t == NULL)
		return NULL;
	t->left = depth > 0 ? plant(depth - 1) : NULL;
	t->right = depth > 0 ? plant(depth - 2) : NULL;
	return t;
}

static void fell(struct tree *t)
{
	if (t == NULL)
		return;
	fell(t->left);
	fell(t->right);
	free(t);
}

/* Two that call each other. */
static void odd(int n);

__attribute__((noinline)) static void even(int n)
{
	keep(malloc(10));
	if (n > 0)
		odd(n - 1);
	keep(NULL);
}

__attribute__((noinline)) static void odd(int n)
{
	if (n > 0)
		even(n - 1);
	keep(NULL);
}

static void remember(const char *what)
{
	char *copy = strdup(what);

	keep(copy);
	if (!FORGETS)
		free(copy);
}

static void save(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	for (int i = 0; fd >= 0 && i < ROWS; i++)
		if (write(fd, "0123456789abcdef", 16) != 16)
			abort();
	if (fd >= 0)
		close(fd);
}

/* Another name in each run. */
static void scratch_file(void)
{
	char name[] = "/tmp/diff_shapes.XXXXXX";
	int fd = mkstemp(name);

	if (fd < 0)
		return;
	if (write(fd, name, 5) != 5)
		abort();
	unlink(name);
	close(fd);
}

static void look_at_self(void)
{
	char line[512];
	FILE *in = fopen("/proc/self/maps", "r");

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		kept[62] = line;
	kept[62] = NULL;
	if (in != NULL)
		fclose(in);
}

static void talk(void)
{
	int ends[2];
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return;
	for (int i = 0; i < 10; i++)
		if (send(ends[0], "x", 1, 0) != 1 || recv(ends[1], &byte, 1, 0) != 1)
			abort();
	close(ends[0]);
	close(ends[1]);
}

static void *work(void *rows)
{
	for (int i = 0; i < 3; i++)
		keep(table_new(*(size_t *)rows));
	return NULL;
}

static void with_thread(void)
{
	size_t rows = 7;
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, &rows) == 0)
		pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (int i = 1; i <= 5; i++)
		build_index((size_t)i);
	keep(numbers(50, 0));
	sort_numbers();
	fell(plant(12));
	even(9);
	for (int i = 0; i < 4; i++)
		remember("what there is to know");
	with_thread();
	save(argv[1]);
	scratch_file();
	look_at_self();
	talk();
	return 0;
}
