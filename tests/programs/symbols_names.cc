// SPDX-License-Identifier: MIT
// Says where it is, like symbols_inline.c, in functions with C++ names; the
// name is after the line, as it has spaces.
#include <cstdint>
#include <cstdio>
#include <link.h>

#define NOINLINE __attribute__((noinline))

static uintptr_t marked;
static volatile int line;

NOINLINE int mark(int x)
{
	marked = reinterpret_cast<uintptr_t>(__builtin_return_address(0)) - 1;
	return x + line;
}

namespace outer
{
template <typename T> struct Box {
	T held;

	NOINLINE T grow(T by)
	{
		line = __LINE__, held += mark(by);
		return held;
	}
};

template <typename T> NOINLINE T twice(T x)
{
	line = __LINE__, x += mark(x);
	return x * 2;
}

NOINLINE int operator+(Box<int> a, const char *b)
{
	line = __LINE__, a.held += mark(*b);
	return a.held;
}
} // namespace outer

namespace
{
NOINLINE int hidden(int x, char)
{
	line = __LINE__, x += mark(x);
	return x + 1;
}
} // namespace

extern "C" NOINLINE int plain_c(int x)
{
	line = __LINE__, x += mark(x);
	return x + 1;
}

static int note_base(struct dl_phdr_info *info, size_t, void *base)
{
	*static_cast<uintptr_t *>(base) = info->dlpi_addr;
	return 1; /* the program comes first */
}

static void say(const char *what, const char *name)
{
	uintptr_t base = 0;

	dl_iterate_phdr(note_base, &base);
	printf("%s %zx %zx 1\nsymbols_names.cc %d %s\n", what, static_cast<size_t>(marked),
	       static_cast<size_t>(base), line, name);
}

int main(int argc, char **)
{
	outer::Box<long> box{argc};
	int sum = 0;

	sum += static_cast<int>(box.grow(argc));
	say("method", "outer::Box<long>::grow(long)");
	sum += outer::twice(argc);
	say("template", "int outer::twice<int>(int)");
	sum += outer::Box<int>{argc} + "x";
	say("operator", "outer::operator+(outer::Box<int>, char const*)");
	sum += hidden(argc, 'x');
	say("anonymous", "(anonymous namespace)::hidden(int, char)");
	sum += plain_c(argc);
	say("c", "plain_c");
	return sum == 4711;
}
