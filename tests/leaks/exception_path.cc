// SPDX-License-Identifier: MIT
// Memory by new, and an exception before its delete. Caught exceptions that are kept for
// the last report stay within a bound.
#include <deque>
#include <exception>
#include <stdexcept>
#include <string>

#include "work.h"

namespace
{
struct Buffer {
	char bytes[220];
};

NOINLINE Buffer *leak_buffer()
{
	return new Buffer();
}

NOINLINE std::string benign_message(int i)
{
	return "request " + std::to_string(i) + " was refused, which is said at length here";
}

void validate(int i)
{
	if (one_in(i, 50))
		throw std::invalid_argument("no such item");
}

void handle(int i)
{
	Buffer *b = leak_buffer();

	keep(b);
	validate(i);
	delete b;
}
} // namespace

int main()
{
	static auto &refused = *new std::deque<std::string>;

	benign_pool(70, 7000);
	for (int i = 0; i < requests(4000); i++) {
		try {
			handle(i);
		} catch (const std::exception &) {
			refused.push_back(benign_message(i));
			if (refused.size() > 20)
				refused.pop_front();
		}
		serve(i);
	}
	return leave();
}
