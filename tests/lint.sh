#!/bin/sh
# SPDX-License-Identifier: MIT
# The format, two compilers' warnings, clang-tidy and cppcheck over all that is
# committed. All are run; what they say is shown, and the status tells.
set -u
cd "$(dirname "$0")/.." || exit 1
warnings='-Wall -Wextra -Wshadow -Wundef -Werror'
c_only='-std=gnu17 -Wstrict-prototypes -Wmissing-prototypes'
# For the inner shell of each.
defines='-D_GNU_SOURCE -I. -DPERFHOOK_VERSION=\"0\"'
c=$(git ls-files '*.c')
cc=$(git ls-files '*.cc')
log=$(mktemp -d) || exit 1
trap 'rm -rf "$log"' EXIT
bad=0

# step NAME COMMAND...: says whether it passed, and what it said if not.
step() {
	name=$1 start=$(date +%s)
	shift
	if "$@" >"$log/said" 2>&1; then
		verdict=ok
	else
		verdict=FAIL bad=1
		sed 's/^/    | /' "$log/said"
	fi
	printf '  %-7s %-32s %4s s\n' $verdict "$name" $(($(date +%s) - start))
}

# each COMMAND FILES: the command once a file, two at a time. The analyzer of
# clang-tidy 14 mixes up va_lists when it is given several.
each() {
	printf '%s\n' $2 | xargs -P 2 -n 1 sh -c "file=\$0; $1"
}

# cppcheck sees no system headers, and must know the one macro that is a loop.
# varFuncNullUB: NULL is a pointer here, never a plain 0.
# The programs of tests/leaks lose memory and handles on purpose.
# wrongPrintfScanfArgNum is inline, where a format is another function's argument.
static_check() {
	echo '#define cJSON_ArrayForEach(e, l) for (e = l->child; e; e = e->next)' >"$log/macros.h"
	cppcheck -q -j 2 --enable=warning,performance,portability --inline-suppr \
		--suppress=varFuncNullUB --error-exitcode=1 \
		$(printf -- '--suppress=%s:tests/leaks/* ' memleak memleakOnRealloc resourceLeak \
			leakNoVarFunctionCall leakReturnValNotUsed) \
		--include="$log/macros.h" -D_GNU_SOURCE -I. --template='{file}:{line}: {id}: {message}' $c $cc
}

step 'clang-format' clang-format-14 --dry-run -Werror $(git ls-files '*.c' '*.h' '*.cc')
step 'gcc' each "gcc $c_only $warnings $defines -O2 -c -o $log/\$\$.o \$file; s=\$?; rm -f $log/\$\$.o; exit \$s" "$c"
step 'g++' each "g++ -std=gnu++17 $warnings $defines -fsyntax-only \$file" "$cc"
step 'clang' each "clang-14 $c_only $warnings $defines -fsyntax-only \$file" "$c"
step 'clang++' each "clang++-14 -std=gnu++17 $warnings $defines -fsyntax-only \$file" "$cc"
step 'cppcheck' static_check
step 'clang-tidy' each "clang-tidy-14 --quiet \$file -- $defines" "$c $cc"
exit $bad
