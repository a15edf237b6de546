// SPDX-License-Identifier: MIT
// Objects that are known by a virtual base only: a pointer into their middle. One kind of
// answer is never deleted. The handlers made at start-up stay, known in the same way.
#include <vector>

#include "work.h"

namespace
{
struct Named {
	virtual ~Named() = default;
	char name[24] = {};
};

struct Counted : virtual Named {
	long count = 0;
};

struct Logged : virtual Named {
	long lines = 0;
};

struct Handler : Counted, Logged {
	char table[120] = {};
};

struct Answer : Counted, Logged {
	char text[90] = {};
};

NOINLINE Named *leak_answer()
{
	return new Answer;
}

NOINLINE Named *benign_handler()
{
	return new Handler;
}

void reply(int i)
{
	Named *answer = leak_answer();

	keep(answer);
	if (one_in(i, 40))
		return; // the client is gone
	delete answer;
}
} // namespace

int main()
{
	static auto &handlers = *new std::vector<Named *>;

	for (int i = 0; i < 50; i++)
		handlers.push_back(benign_handler());
	benign_pool(40, 50000);
	for (int i = 0; i < requests(4000); i++) {
		reply(i);
		serve(i);
	}
	return leave();
}
