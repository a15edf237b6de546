// SPDX-License-Identifier: MIT
// Leaks one block of its own size in each of several functions, so that what a suppression
// matched can be told by its bytes.
#include <cstdlib>
#include <cstring>
#include <string>

#define NOINLINE __attribute__((noinline))

static void *volatile dropped;

NOINLINE static void drop(void *block)
{
	dropped = block;
	dropped = nullptr;
}

extern "C" NOINLINE void leak_in_c()
{
	drop(malloc(1001));
}

extern "C" NOINLINE void leak_zeroed()
{
	drop(calloc(1, 1002));
}

NOINLINE static void leak_copy()
{
	drop(strdup(std::string(1002, 'c').c_str())); /* 1003 with its end */
}

namespace shop
{
struct Cart {
	NOINLINE void add(int n);
	NOINLINE void add(const char *name);
};

void Cart::add(int n)
{
	drop(new char[static_cast<size_t>(n)]);
}

void Cart::add(const char *name)
{
	drop(new std::string(name));
}

template <typename T> NOINLINE void keep(T)
{
	drop(malloc(1005 + sizeof(T)));
}
} // namespace shop

/* Inlined, so that its frame is made up from debug information. */
static inline __attribute__((always_inline)) void leak_inlined()
{
	drop(malloc(1020));
}

NOINLINE static void outer()
{
	leak_inlined();
	drop(nullptr);
}

NOINLINE static void leak_deep(int depth)
{
	if (depth > 0)
		leak_deep(depth - 1);
	else
		drop(malloc(1030));
	drop(nullptr);
}

NOINLINE static void leak_otherwise()
{
	drop(malloc(1040));
	drop(nullptr);
}

/* What is left in registers and on the stack is not to be found. */
NOINLINE static void scrub()
{
	volatile char room[4096];

	for (size_t i = 0; i < sizeof(room); i++)
		room[i] = 0;
}

int main()
{
	shop::Cart cart;

	leak_in_c();
	leak_zeroed();
	leak_copy();
	cart.add(1004);
	cart.add("a name that is long enough not to be kept in the string itself");
	shop::keep(1);
	outer();
	leak_deep(5);
	leak_otherwise();
	scrub();
	return 0;
}
