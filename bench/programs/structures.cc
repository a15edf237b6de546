/* SPDX-License-Identifier: MIT */
/*
 * structures WHAT TIMES: recursive data structures, built and thrown away:
 * trees, a document as a JSON parser makes it, std::map<std::string, …>, and
 * exceptions thrown through a few frames of a recursion.
 */
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/programs/said.h"

namespace
{

uint64_t seed = 1;

uint32_t roll()
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return static_cast<uint32_t>(seed >> 33);
}

struct tree {
	tree *left, *right;
};

tree *grow(unsigned depth)
{
	auto *t = new tree{nullptr, nullptr};

	if (depth > 0) {
		t->left = grow(depth - 1);
		t->right = grow(depth - 1);
	}
	return t;
}

void fell(tree *t)
{
	if (t == nullptr)
		return;
	fell(t->left);
	fell(t->right);
	delete t;
}

tree *volatile kept; /* so that the report has a stack of these */

struct value {
	std::string text;
	std::vector<std::unique_ptr<value>> elements;
	std::map<std::string, std::unique_ptr<value>> members;
};

std::string word()
{
	return "a word of the document, number " + std::to_string(roll() % 1000);
}

std::unique_ptr<value> parse(unsigned depth)
{
	auto v = std::make_unique<value>();
	unsigned kind = depth == 0 ? 0 : roll() % 4;

	if (kind == 0)
		v->text = word();
	else if (kind == 1)
		for (unsigned i = 0; i < 8; i++)
			v->elements.push_back(parse(depth - 1));
	else
		for (unsigned i = 0; i < 4; i++)
			v->members.emplace(word(), parse(depth - 1));
	return v;
}

void words_in_a_map(unsigned n)
{
	std::map<std::string, std::string> m;

	for (unsigned i = 0; i < n; i++)
		m[word() + std::to_string(roll() % 5000)] = word();
	for (unsigned i = 0; i < n; i++)
		m.erase(word() + std::to_string(roll() % 5000));
}

unsigned refuse(unsigned depth)
{
	std::string carried = word();

	if (depth == 0)
		throw std::runtime_error(carried);
	return refuse(depth - 1) + static_cast<unsigned>(carried.size());
}

unsigned exceptions(unsigned n)
{
	unsigned caught = 0;

	for (unsigned i = 0; i < n; i++) {
		try {
			caught += refuse(2 + roll() % 10);
		} catch (const std::runtime_error &e) {
			caught += e.what()[0] == 'a';
		}
	}
	return caught;
}

} // namespace

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	const std::string what = argv[1];
	const auto times = static_cast<unsigned>(strtoul(argv[2], nullptr, 10));
	const double start = cpu_ns();

	kept = grow(6);
	for (unsigned i = 0; i < times; i++) {
		if (what == "trees")
			fell(grow(14));
		else if (what == "json")
			parse(9);
		else if (what == "map")
			words_in_a_map(1000);
		else if (what == "exceptions")
			exceptions(100);
		else
			return 2;
	}
	say(cpu_ns() - start, 0, 0, 0, 7, 0);
	return 0;
}
