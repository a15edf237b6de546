#!/bin/sh
# SPDX-License-Identifier: MIT
# Run every test program below a folder, and add up. Usage: run.sh FOLDER [PATTERN]
# TEST_LABEL stands before the names: of which build they are.
# A test program is one cmocka group; its output is shown when it fails.
set -u
folder=$1
pattern=${2:-}
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

for test in "$folder"/*/test_*; do
	[ -x "$test" ] && [ -f "$test" ] || continue
	case $test in *.d | *.o) continue ;; esac
	case $test in *"$pattern"*) ;; *) continue ;; esac
	name=${TEST_LABEL:-}${test#"$folder"/}
	start=$(date +%s)
	timeout -k 10 "${TEST_TIMEOUT:-900}" "$test" >"$log" 2>&1
	status=$?
	seconds=$(($(date +%s) - start))
	ok=$(grep -c '^\[       OK \]' "$log")
	skip=$(grep -c '^\[  SKIPPED \]' "$log")
	bad=$(sed -n 's/^ *\([0-9][0-9]*\) FAILED TEST.*/\1/p' "$log" | tail -n 1)
	passed=$((passed + ok)) skipped=$((skipped + skip))
	if [ $status -ne 0 ]; then
		[ "${bad:-0}" -gt 0 ] || bad=1
		failed=$((failed + bad))
		printf '  FAIL    %s (status %s, %s s)\n' "$name" "$status" "$seconds"
		sed 's/^/    | /' "$log"
	else
		printf '  ok      %-32s %4s passed %3s skipped %4s s\n' "$name" "$ok" "$skip" "$seconds"
	fi
done
echo "${TEST_LABEL:+$TEST_LABEL: }$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
