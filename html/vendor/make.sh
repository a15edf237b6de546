#!/bin/sh
# SPDX-License-Identifier: MIT
# Make what is vendored here once more, from npm, and compare: every file must come out
# byte for byte, with the hash that stands in manifest.json. With --write the new files
# take the old ones' place. Needs node, npm and the network; the build needs none of them.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp package.json package-lock.json .npmrc entry.js manifest.mjs "$work"
(
	cd "$work"
	npm ci --ignore-scripts --silent
	node node_modules/esbuild/bin/esbuild entry.js --bundle --minify --format=iife \
		--global-name=vendor --target=es2020 --legal-comments=none --log-level=warning \
		--outfile=bundle.js
	node manifest.mjs
)
if [ "${1:-}" = --write ]; then
	cp "$work/vendor.js" "$work/vendor.css" "$work/LICENSES.txt" "$work/manifest.json" .
	echo "written: $(pwd)"
	exit 0
fi
for file in vendor.js vendor.css LICENSES.txt manifest.json; do
	cmp "$work/$file" "$file" || {
		echo "html/vendor/$file is not what npm's packages make" >&2
		exit 1
	}
done
echo "  ok      html/vendor is what npm's packages make"
