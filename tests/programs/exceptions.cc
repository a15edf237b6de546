// SPDX-License-Identifier: MIT
// C++ with exceptions through many frames, containers and threads; prints what
// it computed, which is the same in every run.
#include <cstdio>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

struct Noted {
	std::vector<std::string> &log;
	std::string name;
	~Noted()
	{
		log.push_back(name);
	}
};

static int descend(int depth, std::vector<std::string> &log)
{
	Noted note{log, "frame " + std::to_string(depth)};

	if (depth == 0)
		throw std::out_of_range("the bottom, which is far enough down for a heap string");
	return descend(depth - 1, log) + 1;
}

static void rethrow(int depth, std::vector<std::string> &log)
{
	try {
		descend(depth, log);
	} catch (const std::exception &) {
		log.push_back("seen");
		throw;
	}
}

static size_t work(int rounds)
{
	std::map<std::string, std::unique_ptr<std::vector<int>>> all;
	size_t sum = 0;

	for (int i = 0; i < rounds; i++) {
		std::vector<std::string> log;
		try {
			rethrow(i % 40, log);
		} catch (const std::out_of_range &error) {
			sum += log.size() + std::string(error.what()).size();
		}
		auto &slot = all["key number " + std::to_string(i % 97)];
		if (!slot)
			slot = std::make_unique<std::vector<int>>();
		slot->push_back(i);
	}
	for (const auto &entry : all)
		sum += entry.second->size();
	return sum;
}

int main(int argc, char **argv)
{
	bool threads = argc > 1 && std::string(argv[1]) == "threads";
	size_t sums[4] = {};

	if (threads) {
		std::vector<std::thread> all;
		for (size_t i = 0; i < 4; i++)
			all.emplace_back([&sums, i] { sums[i] = work(2000 + int(i)); });
		for (auto &thread : all)
			thread.join();
	} else {
		sums[0] = work(5000);
	}
	for (size_t sum : sums)
		std::printf("%zu\n", sum);
	return 0;
}
