#!/bin/sh
# SPDX-License-Identifier: MIT
# Make docs/images once more, from the examples: `make pictures`. Needs python3 and a
# Chromium, which draws them.
set -eu
cd "$(dirname "$0")/../.."
build=$PWD/${BUILD:-build} images=$PWD/docs/images tools=$PWD/docs/tools
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
	echo "pictures: no Chromium is installed" >&2
	exit 1
}
work=/tmp/server-demo # pictures show it
mkdir "$work"
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir home && export HOME="$work/home"
export PATH="$build:$PATH" PERFHOOK_PAGER=

# shot FROM TO WIDTH HEIGHT: what a browser shows of a file, at one and a half of the size.
shot() {
	"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files \
		--force-device-scale-factor=1.5 --default-background-color=00000000 \
		--virtual-time-budget=5000 --window-size="$3,$4" --screenshot="$2" "file://$1" >log 2>&1 || {
		cat log >&2
		exit 1
	}
}

# terminal NAME LINES PROMPT COMMAND...: a picture of a terminal.
terminal() {
	name=$1 lines=$2 prompt=$3
	shift 3
	python3 "$tools/terminal_svg.py" --columns 100 --lines "$lines" --prompt "$prompt" "$@" >"$name.svg"
	size=$(sed -n '1s/.* width="\([0-9]*\)" height="\([0-9]*\)".*/\1 \2/p' "$name.svg")
	shot "$work/$name.svg" "$images/$name.png" ${size% *} ${size#* }
}

cp "$build/examples/leaky_server" .
perfhook record -o server.trace ./leaky_server >/dev/null
terminal report 42 'perfhook report server.trace' perfhook report server.trace
perfhook report --html -o server.html server.trace
shot "$work/server.html" "$images/page.png" 1200 1560
ls -l "$images"
