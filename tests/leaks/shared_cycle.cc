// SPDX-License-Identifier: MIT
// Requests that have a sub-request point to it and it to them, both by shared_ptr. The
// documents that stay have children, which know their parents by weak_ptr.
#include <deque>
#include <memory>
#include <vector>

#include "work.h"

namespace
{
struct Request {
	std::shared_ptr<Request> parent, child;
	char text[64] = {};
};

struct Document {
	std::weak_ptr<Document> parent;
	std::vector<std::shared_ptr<Document>> children;
	char text[80] = {};
};

NOINLINE std::shared_ptr<Request> leak_request()
{
	return std::make_shared<Request>();
}

NOINLINE std::shared_ptr<Document> benign_document()
{
	auto root = std::make_shared<Document>();

	for (int i = 0; i < 4; i++) {
		root->children.push_back(std::make_shared<Document>());
		root->children.back()->parent = root;
	}
	return root;
}

void handle(int i)
{
	auto request = leak_request();

	if (!one_in(i, 25))
		return;
	request->child = leak_request();
	request->child->parent = request;
}
} // namespace

int main()
{
	static auto &recent = *new std::deque<std::shared_ptr<Document>>;

	benign_pool(30, 70000);
	for (int i = 0; i < requests(4000); i++) {
		handle(i);
		if (i % 4 == 0)
			recent.push_back(benign_document());
		if (recent.size() > 60) {
			recent.front().reset(); // leaves no address behind
			recent.pop_front();
		}
		serve(i);
	}
	return leave();
}
