// SPDX-License-Identifier: MIT
// A registry of raw pointers by name: to register again under a name loses the former one.
#include <map>
#include <string>

#include "work.h"

namespace
{
struct Plugin {
	virtual ~Plugin() = default;
	char state[150] = {};
};

struct Filter : Plugin {
	char table[400] = {};
};

NOINLINE Plugin *leak_plugin()
{
	return new Plugin;
}

NOINLINE Plugin *benign_filter()
{
	return new Filter;
}

std::string name_of(int i)
{
	return "plugin-with-a-longer-name-" + std::to_string(i % 6);
}
} // namespace

int main()
{
	static auto &registry = *new std::map<std::string, Plugin *>;
	static auto &filters = *new std::map<std::string, Plugin *>;

	benign_pool(60, 6000);
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 60))
			registry[name_of(i)] = leak_plugin();
		if (i % 100 == 0) {
			Plugin *&f = filters[name_of(i / 100)];

			delete f;
			f = benign_filter();
		}
		serve(i);
	}
	return leave();
}
