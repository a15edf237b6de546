// SPDX-License-Identifier: MIT
// Two LRU caches. One evicts as it should; the other forgets the old entry's place in its
// list when a key is put again, so that the list grows beyond what the map knows.
#include <list>
#include <string>
#include <unordered_map>

#include "work.h"

namespace
{
struct Entry {
	int key;
	std::string value;
};

using Entries = std::list<Entry>;

NOINLINE void leak_entry(Entries &order, int key)
{
	order.push_front({key, std::string(sized(90), 'v')});
}

NOINLINE void benign_entry(Entries &order, int key)
{
	order.push_front({key, std::string(sized(90), 'v')});
}

struct Cache {
	Entries order;
	std::unordered_map<int, Entries::iterator> known;
	size_t bound;

	explicit Cache(size_t most) : bound(most)
	{
		known.reserve(4 * most);
	}

	void evict()
	{
		while (known.size() > bound) {
			known.erase(order.back().key);
			order.pop_back();
		}
	}

	void put(int key)
	{
		auto old = known.find(key);

		if (old != known.end())
			order.erase(old->second);
		benign_entry(order, key);
		known[key] = order.begin();
		evict();
	}

	void put_badly(int key)
	{
		leak_entry(order, key);
		known[key] = order.begin();
	}
};
} // namespace

int main()
{
	static auto &good = *new Cache(150);
	static auto &bad = *new Cache(150);

	benign_pool(31, 31000);
	for (int i = 0; i < requests(4000); i++) {
		good.put(static_cast<int>(scatter(static_cast<unsigned>(i)) % 400));
		if (one_in(i, 10))
			bad.put_badly(static_cast<int>(scatter(static_cast<unsigned>(i)) % 40));
		serve(i);
	}
	return leave();
}
