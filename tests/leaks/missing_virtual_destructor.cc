// SPDX-License-Identifier: MIT
// A shape is deleted through a base whose destructor is not virtual: what the derived
// class's member held stays.
#include <memory>
#include <vector>

#include "work.h"

#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#pragma GCC diagnostic ignored "-Wdelete-non-virtual-dtor"

namespace
{
struct Shape {
	virtual int sides() const
	{
		return 0;
	}
	long id = 0;
};

struct Polygon : Shape {
	int sides() const override
	{
		return static_cast<int>(points.size());
	}
	std::vector<int> points;
};

NOINLINE void leak_points(Polygon &p, int n)
{
	p.points.resize(static_cast<size_t>(n) * 4);
}

NOINLINE std::unique_ptr<std::vector<int>> benign_canvas()
{
	return std::make_unique<std::vector<int>>(4000);
}

Shape *make(int i)
{
	auto *p = new Polygon;

	leak_points(*p, 3 + static_cast<int>(sized(scatter(static_cast<unsigned>(i)) % 20)));
	return p;
}
} // namespace

int main()
{
	static auto &canvases = *new std::vector<std::unique_ptr<std::vector<int>>>;

	for (int i = 0; i < 200; i++)
		canvases.push_back(benign_canvas());
	for (int i = 0; i < requests(4000); i++) {
		if (one_in(i, 15))
			delete make(i);
		serve(i);
	}
	return leave();
}
