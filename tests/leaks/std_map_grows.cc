// SPDX-License-Identifier: MIT
// A std::map of all that was ever seen only grows; a vector that was reserved for the
// largest batch never shrinks.
#include <map>
#include <string>
#include <vector>

#include "work.h"

namespace
{
using Seen = std::map<std::string, int>;

NOINLINE void leak_seen(Seen &seen, int i)
{
	seen.emplace("a session with a name of some length " + std::to_string(i), i);
}

NOINLINE void benign_batch(std::vector<long> &batch, int i)
{
	batch.clear();
	batch.reserve(100 + scatter(static_cast<unsigned>(i)) % 20000);
	batch.push_back(i);
}
} // namespace

int main()
{
	static auto &seen = *new Seen;
	static auto &batch = *new std::vector<long>;

	benign_pool(22, 220000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 12))
			leak_seen(seen, i);
		benign_batch(batch, i);
		serve(i);
	}
	return leave();
}
