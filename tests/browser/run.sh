#!/bin/sh
# SPDX-License-Identifier: MIT
# The HTML page in a real browser, headless. Skipped, and it is said why, where there is no
# chromium, no npm, or no package to be had. Usage: run.sh BUILD
set -u
build=$(cd "$1" && pwd)
cd "$(dirname "$0")" || exit 1
work=$build/browser

skip() {
	echo "  skipped browser: $1"
	exit 0
}

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
	skip "there is no chromium"
command -v npm >/dev/null || skip "there is no npm"
mkdir -p "$work"
cp package.json package-lock.json .npmrc "$work"
if ! cmp -s "$work/package-lock.json" "$work/node_modules/.taken"; then
	(cd "$work" && timeout 120 npm ci --ignore-scripts --silent) ||
		skip "npm could not get playwright-core and axe-core"
	cp "$work/package-lock.json" "$work/node_modules/.taken"
fi
cp ./*.mjs "$work"
log=$work/log
if PERFHOOK_BUILD=$build BROWSER=$browser timeout 300 node --test "$work" >"$log" 2>&1; then
	passed=$(sed -n 's/^# pass //p' "$log")
	printf '  ok      %-32s %4s passed\n' browser "${passed:-?}"
else
	sed 's/^/    | /' "$log"
	echo "  FAIL    browser"
	exit 1
fi
