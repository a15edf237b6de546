// SPDX-License-Identifier: MIT
// A struct with a std::string is copied by memcpy over another one: what that one's string
// held is lost.
#include <cstring>
#include <string>

#include "work.h"

namespace
{
struct Record {
	long id = 0;
	std::string text;
};

NOINLINE void leak_text(Record &r, int i)
{
	r.text = "record " + std::to_string(i) + std::string(sized(60), '.');
}

NOINLINE std::string benign_text(int i)
{
	return "kept " + std::to_string(i) + std::string(sized(60), '.');
}

void fill(void *to, Record &from)
{
	std::memcpy(to, static_cast<void *>(&from), sizeof(from));
}

// `current` becomes a copy of another record; with a move, nothing would be lost.
void replace(Record &current, int i)
{
	alignas(Record) unsigned char other[sizeof(Record)];
	auto *next = new (other) Record;

	leak_text(*next, i);
	next->id = i;
	if (one_in(i, 35)) {
		fill(&current, *next);
	} else {
		current = std::move(*next);
		next->~Record();
	}
}
} // namespace

int main()
{
	static auto &current = *new Record;
	static auto *kept = new std::string[64];

	benign_pool(48, 48000);
	for (int i = 0; i < requests(4000); i++) {
		replace(current, i);
		kept[i % 64] = benign_text(i);
		serve(i);
	}
	return leave();
}
