// SPDX-License-Identifier: MIT
/*
 * stack_shapes_cxx SEED ROUNDS THREADS: C++ exceptions through frames of all shapes,
 * with destructors that allocate on the way; caught, thrown again, and thrown out of
 * what a C library called.
 */
#include <alloca.h>
#include <map>
#include <memory>
#include <stdint.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "truth.h"

namespace
{

enum { LEVELS = 9, SHAPES = 10 };

struct run {
	uint64_t seed;
	int levels;
	unsigned long long allocations, thrown, caught;

	unsigned draw(unsigned below)
	{
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		return static_cast<unsigned>(seed >> 20) % below;
	}
};

void allocate(run &r)
{
	free(keep(malloc(1 + r.draw(300))));
	r.allocations++;
}

/* Counts levels, and allocates while the stack is torn down. */
struct noisy {
	run &of;

	explicit noisy(run &r) : of(r)
	{
		of.levels++;
	}
	~noisy()
	{
		of.levels--;
		allocate(of);
	}
	noisy(const noisy &) = delete;
	noisy &operator=(const noisy &) = delete;
};

struct odd_error : std::runtime_error {
	std::unique_ptr<int[]> more{new int[7]};

	explicit odd_error(const std::string &what) : std::runtime_error(what)
	{
	}
	odd_error(const odd_error &other) : std::runtime_error(other)
	{
	}
	odd_error &operator=(const odd_error &) = delete;
};

void descend(run &r);
void (*volatile const go)(run &) = descend;

__attribute__((noinline)) void throw_something(run &r)
{
	r.thrown++;
	switch (r.draw(4)) {
	case 0:
		throw static_cast<int>(r.thrown);
	case 1:
		throw odd_error(std::string(40 + r.draw(60), 'x'));
	case 2:
		throw std::string("a string that is too long to stand in itself");
	default:
		throw std::out_of_range("out");
	}
}

void plain(run &r)
{
	noisy n(r);
	go(r);
}

void with_alloca(run &r)
{
	noisy n(r);
	/* cppcheck-suppress allocaCalled */
	volatile char *block = static_cast<char *>(alloca(16 + r.draw(700)));

	block[0] = 1;
	go(r);
	block[0] = static_cast<char>(block[0] + 1);
}

void aligned(run &r)
{
	alignas(64) volatile char block[64];
	noisy n(r);

	block[0] = 1;
	go(r);
	block[0] = static_cast<char>(block[0] + 1);
}

void large(run &r)
{
	noisy n(r);
	volatile char block[5000];

	block[0] = 1;
	go(r);
	block[0] = static_cast<char>(block[0] + 1);
}

long many(long a, long b, long c, long d, long e, long f, run &r, long g, noisy &&)
{
	noisy n(r);
	go(r);
	return a + b + c + d + e + f + g;
}

long (*volatile const call_many)(long, long, long, long, long, long, run &, long, noisy &&) = many;

void arguments(run &r)
{
	expect(call_many(1, 2, 3, 4, 5, 6, r, 7, noisy(r)) == 28);
}

int compare(const void *a, const void *b, void *data)
{
	run &r = *static_cast<run *>(data);
	noisy n(r);

	if (*static_cast<const int *>(a) == 2)
		go(r);
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

void sorts(run &r)
{
	int numbers[] = {3, 1, 2, 0};
	noisy n(r);

	qsort_r(numbers, 4, sizeof(int), compare, &r);
}

void catches(run &r)
{
	noisy n(r);

	try {
		go(r);
	} catch (const std::exception &e) {
		r.caught++;
		allocate(r);
	} catch (int) {
		r.caught++;
		go(r); /* in a handler */
	}
}

void passes_on(run &r)
{
	noisy n(r);

	try {
		go(r);
	} catch (...) {
		allocate(r);
		throw;
	}
}

void translates(run &r)
{
	noisy n(r);

	try {
		go(r);
	} catch (const std::string &s) {
		allocate(r);
		r.caught++;
		r.thrown++;
		throw odd_error(s + s);
	}
}

void containers(run &r)
{
	std::map<int, std::string> map;
	std::vector<std::unique_ptr<noisy>> all;

	for (int i = 0; i < 5; i++) {
		map[static_cast<int>(r.draw(50))] = std::string(30 + r.draw(50), 'y');
		all.push_back(std::make_unique<noisy>(r));
	}
	go(r);
}

void (*volatile const shapes[SHAPES])(run &) = {
	plain, with_alloca, aligned,   large,	   arguments,
	sorts, catches,	    passes_on, translates, containers,
};

void descend(run &r)
{
	if (r.levels >= LEVELS) {
		allocate(r);
		if (r.draw(2) == 0)
			throw_something(r);
		return;
	}
	for (unsigned times = 1 + r.draw(2); times > 0; times--)
		shapes[r.draw(SHAPES)](r);
	if (r.draw(5) == 0)
		throw_something(r);
}

void rounds_of(run *r, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		try {
			go(*r);
		} catch (...) {
			r->caught++;
			allocate(*r);
		}
		expect(r->levels == 0);
	}
}

} // namespace

int main(int argc, char **argv)
{
	unsigned long long allocations = 0, thrown = 0, caught = 0;
	std::vector<std::thread> threads;
	std::vector<run> runs;

	if (argc < 4)
		return 2;
	for (int i = 0; i <= atoi(argv[3]); i++)
		runs.push_back(
			run{strtoull(argv[1], nullptr, 10) * 7919 + 104729u * (unsigned)i + 1, 0, 0,
			    0, 0});
	for (size_t i = 1; i < runs.size(); i++)
		threads.emplace_back(rounds_of, &runs[i], static_cast<unsigned>(atoi(argv[2])));
	rounds_of(&runs[0], static_cast<unsigned>(atoi(argv[2])));
	for (auto &t : threads)
		t.join();
	for (const auto &r : runs) {
		allocations += r.allocations;
		thrown += r.thrown;
		caught += r.caught;
	}
	truth("allocations", allocations);
	truth("thrown", thrown);
	truth("caught", caught);
	expect(thrown == caught);
	return wrongs != 0;
}
