// SPDX-License-Identifier: MIT
// A library that throws, loaded by cxx_host, a program in C.
#include <dlfcn.h>
#include <stdexcept>
#include <string>
#include <unwind.h>

__attribute__((noinline)) static void raise_it(int depth)
{
	std::string local(static_cast<size_t>(40 + depth), 'x');

	if (depth == 0)
		throw std::runtime_error(local);
	raise_it(depth - 1);
	__asm__ volatile("" : : "r"(local.data()));
}

extern "C" int throw_and_catch(int times)
{
	int caught = 0;

	for (int i = 0; i < times; i++) {
		try {
			raise_it(10);
		} catch (const std::runtime_error &error) {
			caught += std::string(error.what()).size() == 40;
		}
	}
	return caught;
}

// Which library raises this one's exceptions.
extern "C" const char *raised_by()
{
	Dl_info info = {};

	dladdr(reinterpret_cast<void *>(&_Unwind_RaiseException), &info);
	return info.dli_fname != nullptr ? info.dli_fname : "nobody";
}
