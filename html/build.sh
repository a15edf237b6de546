#!/bin/sh
# SPDX-License-Identifier: MIT
# The page as the binary holds it, in FOLDER: before.html, then comes the model, then
# after.html. Script and style are inlined, and the policy names them by their hashes.
set -eu
out=$1
cd "$(dirname "$0")"
case $out in /*) ;; *) out=$OLDPWD/$out ;; esac
mkdir -p "$out"

# hash FILE: as a Content-Security-Policy names it.
hash() {
	bytes=$(sha256sum "$1" | cut -c1-64 | sed 's/../\\x&/g')
	env printf "$bytes" | base64
}

{
	cat vendor/vendor.js
	printf '(function () {\n"use strict";\n'
	cat js/*.js
	printf '})();\n'
} >"$out/page.js"
cat vendor/vendor.css page.css >"$out/page.css"
if grep -qi -e '</script' -e '<!--' "$out/page.js" || grep -qi '</style' "$out/page.css"; then
	echo "html/build.sh: script or style would end early" >&2
	exit 1
fi

{
	sed -e "s|@SCRIPT@|$(hash "$out/page.js")|" -e "s|@STYLE@|$(hash "$out/page.css")|" head.html
	printf '<style>'
	cat "$out/page.css"
	printf '</style>\n</head>\n'
	cat body.html
	printf '<script type="application/json" id="model">'
} >"$out/before.html"
{
	printf '</script>\n<script>'
	cat "$out/page.js"
	printf '</script>\n</body>\n</html>\n'
} >"$out/after.html"
