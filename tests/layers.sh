#!/bin/sh
# SPDX-License-Identifier: MIT
# An include may only point down: layers.txt, and between folders the list below.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

# Between folders. Only the commands know the collector, and errors are everyone's.
for pair in 'trace:preload|collector|inspect|analyzer' 'preload:collector|inspect|analyzer' \
	'collector:preload|inspect|analyzer' 'inspect:preload|collector|analyzer' \
	'analyzer:preload|collector|inspect'; do
	folder=${pair%%:*}
	grep -nE "^#include \"(${pair#*:})/" "$folder"/*.[ch] |
		grep -v -e '^analyzer/\(main\|command[a-z_]*\)\.c:.*"\(collector\|inspect\)/' \
			-e '^analyzer/\(roots\|scan\)\.[ch]:.*"inspect/' \
			-e '^\(collector\|inspect\)/.*"analyzer/error\.h"' |
		sed 's/^/layers: /' | grep . && bad=1
done

# Within a folder.
awk '
function level_of(file, name) {
	if (file in level)
		return level[file]
	name = file
	sub(/\.[a-z]+$/, "", name)
	return name in level ? level[name] : 0
}
function complain(text) { print "layers: " text; bad = 1 }
FILENAME == "tests/layers.txt" {
	if ($1 == "level") {
		folder = $2
		current++
	} else if (NF == 1)
		level[folder "/" $1] = current
	next
}
FNR == 1 && !level_of(FILENAME) {
	complain(FILENAME " stands in no layer of tests/layers.txt")
}
/^#include "/ {
	used = $2
	gsub(/"/, "", used)
	folder = FILENAME
	sub(/\/.*/, "", folder)
	if (index(used, folder "/") == 1 && used ~ /\.h$/ &&
	    (!level_of(used) || level_of(used) > level_of(FILENAME)))
		complain(FILENAME ":" FNR " includes " used ": that is a higher layer")
}
END { exit bad }
' tests/layers.txt trace/*.[ch] preload/*.[ch] collector/*.[ch] inspect/*.[ch] analyzer/*.[ch] || bad=1
[ $bad -eq 0 ] && echo "  ok      layers"
exit $bad
