#!/bin/sh
# SPDX-License-Identifier: MIT
# An include may only point down: the layers of docs/design.md, lowest first.
# Files of one level may include each other.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

# complain FILE:LINE INCLUDED WHY
complain() {
	echo "layers: $1 includes $2: $3"
	bad=1
}

# level NAME LEVELS...: the level's number; a level is names joined by '|'.
level() {
	name=$1
	shift
	n=0
	for names; do
		n=$((n + 1))
		case "|$names|" in *"|$name|"*)
			echo $n
			return
			;;
		esac
	done
	echo 0
}

# check FOLDER LEVELS...
check() {
	folder=$1
	shift
	for file in "$folder"/*.c "$folder"/*.h; do
		[ -f "$file" ] || continue
		name=$(basename "${file%.*}")
		own=$(level "$name" "$@")
		[ "$own" -gt 0 ] || complain "$file" "-" "the file stands in no layer of tests/layers.sh"
		for used in $(sed -n "s|^#include \"$folder/\(.*\)\.h\".*|\1|p" "$file"); do
			other=$(level "$used" "$@")
			[ "$other" -gt 0 ] && [ "$other" -le "$own" ] ||
				complain "$file" "$folder/$used.h" "that is a higher layer"
		done
	done
}

# Between folders.
for pair in 'trace:preload|collector|analyzer' 'preload:collector|analyzer' 'analyzer:preload'; do
	folder=${pair%%:*}
	grep -nE "^#include \"(${pair#*:})/" "$folder"/*.[ch] 2>/dev/null |
		grep -v '^analyzer/\(main\|command[a-z_]*\)\.c:' |
		sed 's/^/layers: /' | grep . && bad=1
done

check analyzer "error|vector|map|arena" "buckets|mapped|clock|meta|reader|latency|sockaddr|stacks|merge|run_model" "heap|io" "run"
check preload 'compiler|types|sys' 'log|config' 'real|process|spawn' \
	'thread|stack|unwind|unwind_libunwind|modules' 'objects' 'record' \
	'hooks|hooks_memory|hooks_mapping|hooks_io|hooks_descriptors|hooks_process' 'init'
check collector 'proc|outname' 'target|run_json' 'collector|collect|record|finish'
[ $bad -eq 0 ] && echo "  ok      layers"
exit $bad
