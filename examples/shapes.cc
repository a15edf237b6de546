// SPDX-License-Identifier: MIT
//
// C++: containers, virtual destructors, exceptions, and an object that an
// exception makes leak.
//
//     make programs
//     LD_PRELOAD=build/libperfhook.so PERFHOOK_OUT=shapes.trace build/examples/shapes
//     build/perfhook leaks shapes.trace
//
// Each drawing makes a Circle or a Square with `new` and draws it; drawing a
// shape too large throws, and that shape is lost. The report should show the
// lost ones under drawing_of(int), called by draw_all(int), with names as C++
// writes them, and the printed bytes. The vectors and strings are all freed.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

struct Shape {
	explicit Shape(int side) : size(side)
	{
	}
	virtual ~Shape() = default;
	virtual double area() const = 0;
	int size;
};

struct Circle : Shape {
	using Shape::Shape;
	double area() const override
	{
		return 3.14159 * size * size;
	}
	char outline[600] = {};
};

struct Square : Shape {
	using Shape::Shape;
	double area() const override
	{
		return double(size) * size;
	}
	char outline[600] = {};
};

static_assert(sizeof(Circle) == sizeof(Square), "one truth for both");

static Shape *shape_of(int size)
{
	if (size % 2 == 0)
		return new Circle(size);
	return new Square(size);
}

static double drawing_of(int size)
{
	// The mistake: a plain pointer, across something that throws.
	Shape *shape = shape_of(size);

	if (size > 990)
		throw std::length_error("shape " + std::to_string(size) + " does not fit");
	double area = shape->area();
	delete shape;
	return area;
}

static int draw_all(int count)
{
	std::vector<std::string> complaints;
	std::vector<double> areas;

	for (int i = 0; i < count; i++) {
		try {
			areas.push_back(drawing_of(i % 1000));
		} catch (const std::length_error &error) {
			complaints.push_back(error.what());
		}
	}
	std::printf("%zu drawn, %zu not\n", areas.size(), complaints.size());
	return int(complaints.size());
}

int main()
{
	int lost = draw_all(20000);

	std::printf("truth: leaked_blocks=%d\n", lost);
	std::printf("truth: leaked_bytes=%zu\n", size_t(lost) * sizeof(Circle));
	return 0;
}
