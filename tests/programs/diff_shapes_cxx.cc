// SPDX-License-Identifier: MIT
// As diff_shapes.c, in C++: containers, templates, lambdas, exceptions, anonymous
// namespaces, constructors. With PH_CHANGED: Index::add takes longer names, a lambda
// keeps what it made, and Cache::fill fills more.
#ifdef PH_MOVED
#line 7000
#endif
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#ifdef PH_CHANGED
constexpr size_t name_length = 120, entries = 12;
constexpr bool keeps = true;
#else
constexpr size_t name_length = 60, entries = 9;
constexpr bool keeps = false;
#endif

static const void *volatile sink;

template <typename T> static T *pass(T *p)
{
	sink = p;
	return p;
}

namespace
{
class Index
{
      public:
	void add(int number)
	{
		names[number] = std::string(name_length, 'n');
		order.push_back(number);
		pass(&names);
	}

      private:
	std::map<int, std::string> names;
	std::vector<int> order;
};

struct Node {
	explicit Node(int depth) : next(depth > 0 ? std::make_unique<Node>(depth - 1) : nullptr)
	{
	}
	std::unique_ptr<Node> next;
};
} // namespace

template <typename T> class Cache
{
      public:
	void fill(size_t count)
	{
		for (size_t i = 0; i < count; i++)
			held.push_back(std::make_shared<T>(100, 'c'));
		pass(held.data());
	}

      private:
	std::vector<std::shared_ptr<T>> held;
};

static void each(int times, const std::function<void(int)> &f)
{
	for (int i = 0; i < times; i++)
		f(i);
}

__attribute__((noinline)) static void risky(int n)
{
	std::vector<char> buffer(static_cast<size_t>(n));

	pass(buffer.data());
	if (n > 0)
		throw std::runtime_error(std::string(80, 'e'));
}

static Index *index_of_all = nullptr;

int main()
{
	Index index;
	Cache<std::string> cache;
	std::vector<std::string> words;

	index_of_all = &index;
	for (int i = 0; i < 20; i++)
		index.add(i);
	cache.fill(entries);
	each(5, [](int n) {
		int *block = pass(new int[static_cast<size_t>(n) + 10]);

		if (!keeps)
			delete[] block;
	});
	each(3,
	     [&words](int n) { words.push_back(std::string(50 + static_cast<size_t>(n), 'w')); });
	std::sort(words.begin(), words.end(), [](const std::string &a, const std::string &b) {
		return std::string(pass(a.c_str())) + b > b;
	});
	try {
		risky(33);
	} catch (const std::exception &e) {
		pass(e.what());
	}
	auto chain = std::make_unique<Node>(6);
	pass(chain.get());
	return 0;
}
