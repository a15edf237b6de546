// SPDX-License-Identifier: MIT
// Without a leak: static containers, some that are destroyed at exit and some that never
// are, filled at the start and used and changed all the time.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "work.h"

namespace
{
std::map<std::string, std::unique_ptr<std::string>> settings;
std::set<int> seen;

std::unordered_map<int, std::string> &cache()
{
	static auto *c = new std::unordered_map<int, std::string>;

	return *c;
}

NOINLINE void benign_settings()
{
	for (int i = 0; i < 300; i++)
		settings["a setting with the number " + std::to_string(i)] =
			std::make_unique<std::string>(sized(100), 's');
}

NOINLINE void benign_cached(int key)
{
	cache()[key] = std::string(sized(80), 'c');
}

void use(int i)
{
	unsigned n = scatter(static_cast<unsigned>(i));

	seen.insert(static_cast<int>(n % 100));
	if (seen.size() > 90)
		seen.clear();
	benign_cached(static_cast<int>(n % 250));
	if (n % 5 == 0)
		cache().erase(static_cast<int>(n / 5 % 250));
}
} // namespace

int main()
{
	benign_settings();
	for (int i = 0; i < requests(4000); i++) {
		use(i);
		serve(i);
	}
	return leave();
}
