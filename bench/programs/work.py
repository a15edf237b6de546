# SPDX-License-Identifier: MIT
# What a Python program does all day: objects, dictionaries, strings, JSON.
import json
import sys


class Entry:
    def __init__(self, number):
        self.name = "entry %d" % number
        self.tags = [str(number * k % 101) for k in range(6)]
        self.weight = number * 1.5


def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else [depth]


entries = [Entry(n) for n in range(30000)]
by_tag = {}
for entry in entries:
    for tag in entry.tags:
        by_tag.setdefault(tag, []).append(entry.name)
text = json.dumps({tag: names[:200] for tag, names in by_tag.items()})
for _ in range(4):
    again = json.loads(text)
    tree(14)
print(len(text), len(again), sum(e.weight for e in entries), file=sys.stdout)
