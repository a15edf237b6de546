# perfhook: records an unmodified program's memory, files and sockets.
# `make help` lists what can be made.

BUILD  ?= build
CC     ?= gcc
CXX    ?= g++
PREFIX ?= /usr/local
# Where `make install` puts things: libperfhook.so into LIBDIR.
BINDIR  ?= $(PREFIX)/bin
LIBDIR  ?= $(PREFIX)/lib
MANDIR  ?= $(PREFIX)/share/man
DOCDIR  ?= $(PREFIX)/share/doc/perfhook
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
INCLUDEDIR ?= $(PREFIX)/include
V      ?= 0
VERSION := 0.1.0

Q_0 := @
Q    = $(Q_$(V))
SAY_0 = @printf '  %-7s %s\n'
SAY_1 = @:
SAY   = $(SAY_$(V))

WARNINGS := -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wmissing-prototypes
OPT      ?= -O2 -g
SAN      ?=
CPPFLAGS += -D_GNU_SOURCE -I. -DPERFHOOK_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu17 $(OPT) $(WARNINGS) -MMD -MP
ifneq ($(SAN),)
CFLAGS   += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=$(SAN)
endif
ANALYZER_LIBS := -ldw -lelf -lzstd -lz -lcjson -l:libiberty.a -lm -lpthread

# Loops at 32 bytes: the one over a kept stack's words is a quarter slower across two lines.
# In the target: hidden symbols, nothing but libc, unwinding through our frames
# (cancellation, C++ exceptions), initial-exec TLS.
PRELOAD_CFLAGS  := -fPIC -fvisibility=hidden -fexceptions -ftls-model=initial-exec -fno-tree-slp-vectorize -falign-loops=32 \
	-fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free \
	-fno-stack-protector -U_FORTIFY_SOURCE
PRELOAD_LDFLAGS := -shared -Wl,-z,defs -Wl,-z,now -Wl,-soname,libperfhook.so -Wl,--as-needed -Wl,-Bsymbolic-functions

TRACE_SRC     := $(wildcard trace/*.c)
PRELOAD_SRC   := $(wildcard preload/*.c) $(wildcard preload/*.S)
COLLECTOR_SRC := $(wildcard collector/*.c)
INSPECT_SRC   := $(wildcard inspect/*.c)
ANALYZER_SRC  := $(wildcard analyzer/*.c) $(wildcard analyzer/*.S)

obj = $(patsubst %,$(BUILD)/obj/%.o,$(1))
TRACE_OBJ    := $(call obj,$(TRACE_SRC))
PRELOAD_OBJ  := $(call obj,$(PRELOAD_SRC)) $(BUILD)/obj/preload/shared/functions.c.o \
	$(BUILD)/obj/preload/shared/image.c.o
# Everything of the perfhook binary but its main: the tests link it too.
LIBRARY_OBJ  := $(TRACE_OBJ) $(call obj,$(COLLECTOR_SRC) $(INSPECT_SRC) $(filter-out analyzer/main.c,$(ANALYZER_SRC))) \
	$(call obj,analyzer/html_page.S)
MAIN_OBJ     := $(call obj,analyzer/main.c)

.PHONY: all
all: $(BUILD)/libperfhook.so $(BUILD)/perfhook

$(PRELOAD_OBJ): CFLAGS += $(PRELOAD_CFLAGS)
# Library and program find each other: beside, by the way from one to the other, and where
# they were installed.
WHERE = -DPERFHOOK_BINDIR='"$(BINDIR)"' -DPERFHOOK_LIBDIR='"$(LIBDIR)"' \
	-DPERFHOOK_TO_BIN='"$(shell realpath -m --relative-to=$(LIBDIR) $(BINDIR))"' \
	-DPERFHOOK_TO_LIB='"$(shell realpath -m --relative-to=$(BINDIR) $(LIBDIR))"'
FINDING := $(call obj,preload/spawn.c collector/record.c)
$(FINDING): CPPFLAGS += $(WHERE)
$(FINDING): $(BUILD)/where
$(BUILD)/where: FORCE
	@mkdir -p $(@D)
	@echo '$(BINDIR) $(LIBDIR)' | cmp -s - $@ || echo '$(BINDIR) $(LIBDIR)' >$@
.PHONY: FORCE
FORCE:
$(BUILD)/obj/preload/hooks_process.c.o: CFLAGS += -fno-exceptions
# The frame of the exported function is what stacks begin at: while it is passed on, no
# jump may take its place. hooks_memory.c jumps where nothing is passed on.
$(patsubst %,$(BUILD)/obj/%.o,$(filter-out preload/hooks_memory.c,$(wildcard preload/hooks_*.c))): \
	CFLAGS += -fno-optimize-sibling-calls
ifneq ($(SAN),)
# gcc tests "&ph_self == NULL" by the flags of an add that the linker turns into a
# lea, which sets none, where a program holds what is meant for the library.
$(PRELOAD_OBJ) $(BUILD)/obj/tests/unit/test_ring.c.o: CFLAGS += -fno-sanitize=null
endif

# What both halves are made of, once more for the library.
$(BUILD)/obj/preload/shared/%.c.o: trace/%.c
	@mkdir -p $(@D)
	$(SAY) CC "$< (library)"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# The page that a report goes into: html/ in two pieces. Needs nothing from elsewhere;
# `make vendor` compares the libraries in it with npm's.
PAGE     := $(BUILD)/html/before.html $(BUILD)/html/after.html
PAGE_SRC := $(wildcard html/*.html html/*.css html/js/*.js html/vendor/*.js html/vendor/*.css)
$(PAGE) &: $(PAGE_SRC) html/build.sh
	$(SAY) PAGE $(BUILD)/html
	$(Q)html/build.sh $(BUILD)/html
$(call obj,analyzer/html_page.S): $(PAGE)
$(call obj,analyzer/html_page.S): CPPFLAGS += -Wa,-I$(BUILD)/html

.PHONY: vendor
vendor:
	@html/vendor/make.sh

$(BUILD)/obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(SAY) AS $<
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/libperfhook.so: $(PRELOAD_OBJ)
	$(SAY) LD $@
	$(Q)$(CC) $(OPT) $(PRELOAD_LDFLAGS) -o $@ $^

# For the tests: the same library, which compares each stack with libunwind's.
JUDGE_OBJ := $(patsubst %/preload/stack.c.o,%/preload/judge/stack.c.o,$(PRELOAD_OBJ))
$(BUILD)/obj/preload/judge/stack.c.o: CFLAGS += $(PRELOAD_CFLAGS) -DPH_JUDGE
$(BUILD)/obj/preload/judge/stack.c.o: preload/stack.c
	@mkdir -p $(@D)
	$(SAY) CC "$< (judge)"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# It looks for the collector where it stands itself.
.PHONY: judge
judge: $(BUILD)/judge/libperfhook.so
$(BUILD)/judge/libperfhook.so: $(JUDGE_OBJ) | $(BUILD)/perfhook
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)ln -sf ../perfhook $(@D)/perfhook
	$(Q)$(CC) $(OPT) $(PRELOAD_LDFLAGS) -o $@ $(JUDGE_OBJ)

$(BUILD)/perfhook: $(MAIN_OBJ) $(LIBRARY_OBJ)
	$(SAY) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ $(ANALYZER_LIBS)

# What stands in it as it is.
$(call obj,analyzer/flame_assets.S): analyzer/flame.js analyzer/flame.css

# Small programs: the tests' targets and the examples, one file each.
LEAK_HELP    := tests/leaks/cases.c tests/leaks/memcheck.c
PROGRAM_SRC  := $(filter-out tests/programs/lib_% tests/leaks/lib_% tests/leaks/test_% $(LEAK_HELP) \
	tests/programs/diff_shapes%, \
	$(wildcard tests/programs/*.c tests/programs/*.cc examples/*.c examples/*.cc \
		tests/leaks/*.c tests/leaks/*.cc))
PROGRAM_LIBS := $(patsubst %,$(BUILD)/%.so,$(basename $(wildcard tests/programs/lib_*.c* \
	tests/leaks/lib_*.c)))
PROGRAMS     := $(patsubst %,$(BUILD)/%,$(basename $(PROGRAM_SRC))) $(PROGRAM_LIBS)
PROGRAM_CFLAGS ?= -O1 -g

# One program of stacks of all shapes, by two compilers in several ways.
SHAPE_FLAGS_O0   := -O0
SHAPE_FLAGS_O1   := -O1
SHAPE_FLAGS_O2   := -O2
SHAPE_FLAGS_O3   := -O3
SHAPE_FLAGS_fp   := -O2 -fno-omit-frame-pointer
SHAPE_FLAGS_avx2 := -O3 -mavx2
SHAPES := O0 O1 O2 O3 fp avx2
CLANG  := $(shell command -v clang || command -v clang-14)
shapes_of = $(patsubst %,$(BUILD)/tests/programs/$(1).%,$(SHAPES) $(if $(CLANG),clang-O0 clang-O2))
PROGRAMS += $(call shapes_of,stack_shapes) $(call shapes_of,stack_shapes_cxx)

$(BUILD)/tests/programs/stack_shapes.clang-%: tests/programs/stack_shapes.c
	@mkdir -p $(@D)
	$(SAY) CLANG "$< $*"
	$(Q)$(CLANG) -D_GNU_SOURCE -I. -std=gnu17 -g $(SHAPE_FLAGS_$*) -Wall -Wextra -o $@ $< -lpthread

$(BUILD)/tests/programs/stack_shapes_cxx.clang-%: tests/programs/stack_shapes_cxx.cc
	@mkdir -p $(@D)
	$(SAY) CLANG "$< $*"
	$(Q)$(CLANG) -x c++ -I. -g $(SHAPE_FLAGS_$*) -Wall -Wextra -o $@ $< -lstdc++ -lpthread

$(BUILD)/tests/programs/stack_shapes.%: tests/programs/stack_shapes.c
	@mkdir -p $(@D)
	$(SAY) CC "$< $*"
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 -g $(SHAPE_FLAGS_$*) -Wall -Wextra -o $@ $< -lpthread

$(BUILD)/tests/programs/stack_shapes_cxx.%: tests/programs/stack_shapes_cxx.cc
	@mkdir -p $(@D)
	$(SAY) CXX "$< $*"
	$(Q)$(CXX) -I. -g $(SHAPE_FLAGS_$*) -Wall -Wextra -o $@ $< -lpthread

# One program in several builds, for perfhook diff to compare. The lines of all but the
# first have moved; `bare` has no debug information, `stripped` no names either.
DIFF_FLAGS_before   := -O0 -g
DIFF_FLAGS_moved    := -O2 -g -DPH_MOVED
DIFF_FLAGS_changed  := -O2 -g -DPH_MOVED -DPH_CHANGED
DIFF_FLAGS_bare     := -O2 -DPH_MOVED
DIFF_FLAGS_stripped := -O2 -DPH_MOVED -s
DIFF_BUILDS := before moved changed bare stripped
PROGRAMS += $(patsubst %,$(BUILD)/tests/programs/diff_shapes.%,$(DIFF_BUILDS)) \
	$(patsubst %,$(BUILD)/tests/programs/diff_shapes_cxx.%,$(DIFF_BUILDS))

$(BUILD)/tests/programs/diff_shapes.%: tests/programs/diff_shapes.c
	@mkdir -p $(@D)
	$(SAY) CC "$< $*"
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 $(DIFF_FLAGS_$*) -Wall -Wextra -o $@ $< -lpthread

$(BUILD)/tests/programs/diff_shapes_cxx.%: tests/programs/diff_shapes_cxx.cc
	@mkdir -p $(@D)
	$(SAY) CXX "$< $*"
	$(Q)$(CXX) -I. $(DIFF_FLAGS_$*) -Wall -Wextra -o $@ $<

# LeakSanitizer's word on the same program.
PROGRAMS += $(BUILD)/tests/programs/suppressed.lsan
$(BUILD)/tests/programs/suppressed.lsan: tests/programs/suppressed.cc
	@mkdir -p $(@D)
	$(SAY) CXX "$< (lsan)"
	$(Q)$(CXX) -I. -O1 -g -fsanitize=leak -Wall -Wextra -o $@ $<

.PHONY: programs
programs: $(PROGRAMS)

$(BUILD)/tests/programs/lib_%.so: tests/programs/lib_%.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 $(PROGRAM_CFLAGS) -Wall -Wextra -fPIC -shared -o $@ $<

$(BUILD)/tests/programs/lib_%.so: tests/programs/lib_%.cc
	@mkdir -p $(@D)
	$(SAY) CXX $<
	$(Q)$(CXX) -I. $(PROGRAM_CFLAGS) -Wall -Wextra -fPIC -shared -o $@ $<

$(BUILD)/tests/leaks/lib_%.so: tests/leaks/lib_%.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 $(PROGRAM_CFLAGS) -Wall -Wextra -fPIC -shared -o $@ $<

$(BUILD)/%: %.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(CC) -D_GNU_SOURCE -I. -std=gnu17 $(PROGRAM_CFLAGS) -Wall -Wextra -o $@ $< -lpthread -ldl -lm

$(BUILD)/%: %.cc
	@mkdir -p $(@D)
	$(SAY) CXX $<
	$(Q)$(CXX) -I. $(PROGRAM_CFLAGS) -Wall -Wextra -o $@ $< -lpthread -ldl

$(PROGRAMS): $(wildcard tests/programs/*.h tests/leaks/*.h)

# It knows the table's rows.
$(BUILD)/tests/programs/every_call: $(wildcard tests/programs/every_call*.h) trace/functions.def

# Tests: each tests/*/test_*.c is one cmocka program.
TEST_SRC  := $(wildcard tests/*/test_*.c)
TEST_HELP := $(call obj,$(filter-out $(TEST_SRC),\
	$(wildcard tests/unit/*.c tests/integration/*.c tests/truth/*.c tests/compat/*.c) $(LEAK_HELP)))
TESTS     := $(patsubst tests/%.c,$(BUILD)/tests/bin/%,$(TEST_SRC))
.SECONDARY: $(call obj,$(TEST_SRC)) $(TEST_HELP)

# The ring's test has both ends in one program: the library without its hooks.
RING_OBJ := $(filter-out $(BUILD)/obj/preload/hooks_% %/init.c.o %/functions.c.o %/image.c.o %/sanitizer.c.o,$(PRELOAD_OBJ))
$(BUILD)/tests/bin/unit/test_ring: $(RING_OBJ)
# Parts of the library that need nothing else of it.
$(BUILD)/tests/bin/unit/test_config: $(call obj,preload/config.c preload/log.c)
$(BUILD)/tests/bin/unit/test_arena: $(call obj,preload/real.c)
$(BUILD)/tests/bin/unit/test_cfi $(BUILD)/tests/bin/truth/test_cfi: $(call obj,preload/cfi.c)

$(BUILD)/tests/bin/%: $(BUILD)/obj/tests/%.c.o $(TEST_HELP) $(LIBRARY_OBJ)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ -lcmocka $(ANALYZER_LIBS)

# ---- what a fresh machine lacks ---------------------------------------------

BUILD_PACKAGES := gcc g++ make pkg-config libc6-dev libunwind-dev libcjson-dev libdw-dev \
	libelf-dev libzstd-dev zlib1g-dev libiberty-dev
TEST_PACKAGES  := libcmocka-dev valgrind strace binutils python3 perl git sqlite3 jq tar xz-utils \
	redis-server redis-tools util-linux procps dwz \
	nginx-light wrk memcached postgresql curl openssl openssh-client gdb nodejs \
	scdoc zsh default-jre-headless libjemalloc-dev libmimalloc2.0 busybox rsync zstd bzip2 bc vim less man-db
LINT_PACKAGES  := clang-14 clang-format-14 clang-tidy-14 cppcheck
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
TEST_PACKAGES  += musl-tools clang-14 heaptrack golang-go

# $(call install,packages): those that are missing, by apt-get, named first.
define install
@missing=$$(for p in $(1); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | \
	grep -q 'ok installed' || echo $$p; done | tr '\n' ' '); \
if [ -n "$$missing" ]; then \
	echo "Installing what is missing: $$missing"; \
	$(SUDO) apt-get update -q && \
	DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -q --no-install-recommends \
		$$missing || { echo "apt-get could not install: $$missing" >&2; exit 1; }; \
fi
endef

.PHONY: deps build-deps test-deps lint-deps
build-deps:
	$(call install,$(BUILD_PACKAGES))
test-deps:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES))
	@[ -z "$(strip $(BROWSER_PACKAGES))" ] || DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -q \
		--no-install-recommends $(BROWSER_PACKAGES) || echo "no $(strip $(BROWSER_PACKAGES)): the page's tests will be skipped"
lint-deps:
	$(call install,$(BUILD_PACKAGES) $(TEST_PACKAGES) $(LINT_PACKAGES))
deps: test-deps

# ---- the two commands of the README ------------------------------------------

.PHONY: demo
demo: build-deps
	@$(MAKE) --no-print-directory all $(BUILD)/examples/leak
	@echo
	@echo "\$$ LD_PRELOAD=$(BUILD)/libperfhook.so PERFHOOK_OUT=$(BUILD)/demo.trace $(BUILD)/examples/leak"
	@LD_PRELOAD=$(BUILD)/libperfhook.so PERFHOOK_OUT=$(BUILD)/demo.trace $(BUILD)/examples/leak
	@echo
	@echo "\$$ $(BUILD)/perfhook report $(BUILD)/demo.trace"
	@$(BUILD)/perfhook report $(BUILD)/demo.trace

# The tests, a sample of the long ones. `make check-all` runs them whole.
.PHONY: check check-all run-tests
check: test-deps
	@$(MAKE) --no-print-directory run-tests
check-all: test-deps
	@PERFHOOK_STRESS=full $(MAKE) --no-print-directory run-tests

# What reads exports, from npm (tests/consumers): without it, or without a network, their
# tests are skipped.
CONSUMERS := $(BUILD)/consumers/installed
.PHONY: consumers
consumers: $(CONSUMERS)
$(CONSUMERS): tests/consumers/package.json tests/consumers/package-lock.json
	@mkdir -p $(@D)
	$(SAY) NPM $(@D)
	$(Q)cp $^ $(@D) && if ! command -v npm >/dev/null; then \
		echo "  npm is not installed: some readers of exports are not tried"; \
	elif (cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then \
		touch $@; \
	else \
		rm -rf $(@D)/node_modules; echo "  npm ci failed: some readers of exports are not tried"; \
	fi

# Most tests keep one processor busy: the sanitizers' take the other.
run-tests: all judge programs $(TESTS) check-layers consumers
	@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j2) \
		check-plain check-sanitizers

.PHONY: check-plain
check-plain:
	@PERFHOOK_BUILD=$(BUILD) tests/run.sh $(BUILD)/tests/bin $(TEST_ONLY)
	@tests/browser/run.sh $(BUILD)

# The HTML page in a browser.
.PHONY: check-browser
check-browser: all $(BUILD)/tests/programs/page $(BUILD)/tests/programs/many_stacks
	@tests/browser/run.sh $(BUILD)

# Units under AddressSanitizer and UndefinedBehaviorSanitizer, what has threads under
# ThreadSanitizer.
UNIT_NAMES := $(patsubst tests/%.c,%,$(wildcard tests/unit/test_*.c tests/damaged/test_*.c))
.PHONY: check-sanitizers
check-sanitizers:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SAN=address,undefined OPT="-O1 -g" \
		SAY=@: $(patsubst %,$(BUILD)/asan/tests/bin/%,$(UNIT_NAMES))
	@PERFHOOK_BUILD=$(BUILD) TEST_LABEL=asan/ tests/run.sh $(BUILD)/asan/tests/bin
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/tsan SAN=thread OPT="-O1 -g" \
		SAY=@: $(BUILD)/tsan/tests/bin/unit/test_ring $(BUILD)/tsan/tests/bin/unit/test_read_ahead
	@PERFHOOK_BUILD=$(BUILD) TEST_LABEL=tsan/ tests/run.sh $(BUILD)/tsan/tests/bin

# An include may only point down.
.PHONY: check-layers
check-layers:
	@tests/layers.sh

# The pictures of the README and the guide.
.PHONY: pictures
pictures: all $(BUILD)/examples/leaky_server
	@BUILD=$(BUILD) docs/tools/pictures.sh

.PHONY: lint
lint: lint-deps
	@tests/lint.sh

.PHONY: format
format:
	clang-format-14 -i $$(git ls-files '*.c' '*.h' '*.cc')

# ---- bench -----------------------------------------------------------------------

BENCH_PACKAGES := heaptrack strace zstd python3 perl git sqlite3 jq xz-utils redis-server redis-tools \
	nginx-light wrk
BENCH_OBJ      := $(call obj,$(wildcard bench/*.c))
BENCH_PROGRAMS := $(patsubst %,$(BUILD)/%,$(basename $(wildcard bench/programs/*.c bench/programs/*.cc)))
BENCH_JSON     ?= $(BUILD)/bench.json
$(BENCH_PROGRAMS): PROGRAM_CFLAGS := -O2 -g
$(BENCH_PROGRAMS): bench/programs/said.h
$(BUILD)/bench/run: $(BENCH_OBJ)
	@mkdir -p $(@D)
	$(SAY) LD $@
	$(Q)$(CC) $(OPT) $(LDFLAGS) -o $@ $^ -lcjson -lm

# docs/performance.md. ROWS=pattern, BENCH_RUNS=5, BENCH=full, BENCH_JSON=file.
.PHONY: bench
bench: build-deps
	$(call install,$(BENCH_PACKAGES))
	@$(MAKE) --no-print-directory all $(BUILD)/bench/run $(BENCH_PROGRAMS)
	@CC=$(CC) bench/inputs.sh $(BUILD)/bench/in
	@$(BUILD)/bench/run $(BUILD) $(BENCH_JSON)

# ---- install -------------------------------------------------------------------

# Manual pages, where there is a scdoc to make them.
MAN_SRC := $(wildcard docs/man/*.scd)
MAN     := $(patsubst docs/man/%.scd,$(BUILD)/man/%,$(MAN_SRC))
SCDOC   := $(shell command -v scdoc 2>/dev/null)
$(BUILD)/man/%: docs/man/%.scd docs/man/expand.awk $(wildcard docs/man/*.inc)
	@mkdir -p $(@D)
	$(SAY) MAN $@
	$(Q)awk -v folder=docs/man -v version=$(VERSION) -f docs/man/expand.awk $< >$@.scd
	$(Q)scdoc <$@.scd >$@.new && mv $@.new $@ && rm $@.scd

.PHONY: man completions
man:
ifeq ($(SCDOC),)
	@echo "scdoc is not installed (make deps): no manual pages are made"
else
	@$(MAKE) --no-print-directory $(MAN)
endif

COMPLETIONS := $(BUILD)/completions/perfhook $(BUILD)/completions/_perfhook
completions: $(COMPLETIONS)
$(BUILD)/completions/perfhook: $(BUILD)/perfhook
	@mkdir -p $(@D)
	$(Q)$(BUILD)/perfhook completion bash >$@
$(BUILD)/completions/_perfhook: $(BUILD)/perfhook
	@mkdir -p $(@D)
	$(Q)$(BUILD)/perfhook completion zsh >$@

DESTDIR ?=
HEADER  := $(wildcard include/perfhook.h)
DOCS    := README.md CHANGELOG.md $(wildcard docs/*.md)
# What is not ours and is in the binaries.
LICENCES := $(wildcard html/vendor/LICENSES.txt)
D = $(DESTDIR)
.PHONY: install uninstall
install: all man completions
	install -d $D$(LIBDIR) $D$(BINDIR) $D$(BASHDIR) $D$(ZSHDIR) $D$(DOCDIR)/docs
	install -m 755 $(BUILD)/libperfhook.so $D$(LIBDIR)/
	install -m 755 $(BUILD)/perfhook $D$(BINDIR)/
	install -m 644 $(BUILD)/completions/perfhook $D$(BASHDIR)/
	install -m 644 $(BUILD)/completions/_perfhook $D$(ZSHDIR)/
	install -m 644 LICENSE $(filter-out docs/%,$(DOCS)) $D$(DOCDIR)/
	install -m 644 $(filter docs/%,$(DOCS)) $D$(DOCDIR)/docs/
ifneq ($(LICENCES),)
	install -m 644 $(LICENCES) $D$(DOCDIR)/
endif
ifneq ($(HEADER),)
	install -d $D$(INCLUDEDIR)
	install -m 644 $(HEADER) $D$(INCLUDEDIR)/
endif
ifneq ($(SCDOC),)
	install -d $D$(MANDIR)/man1 $D$(MANDIR)/man5
	install -m 644 $(filter %.1,$(MAN)) $D$(MANDIR)/man1/
	install -m 644 $(filter %.5,$(MAN)) $D$(MANDIR)/man5/
endif
uninstall:
	rm -f $D$(LIBDIR)/libperfhook.so $D$(BINDIR)/perfhook $D$(BASHDIR)/perfhook \
		$D$(ZSHDIR)/_perfhook $(patsubst %,$D$(INCLUDEDIR)/%,$(notdir $(HEADER))) \
		$(patsubst $(BUILD)/man/%,$D$(MANDIR)/man1/%,$(filter %.1,$(MAN))) \
		$(patsubst $(BUILD)/man/%,$D$(MANDIR)/man5/%,$(filter %.5,$(MAN)))
	rm -f $(addprefix $D$(DOCDIR)/,LICENSE $(DOCS) $(notdir $(LICENCES)))
	rmdir $D$(DOCDIR)/docs $D$(DOCDIR) 2>/dev/null || :

# The sources as they are committed, and nothing else: the same bytes each time.
DIST := $(BUILD)/perfhook-$(VERSION).tar.gz
.PHONY: dist deb
dist:
	@mkdir -p $(BUILD)
	git archive --format=tar --prefix=perfhook-$(VERSION)/ HEAD | gzip -9n >$(DIST)
	@echo $(DIST)

# The Debian package, of a clean copy; lintian's errors are errors.
DEB_PACKAGES := debhelper scdoc lintian
deb: build-deps dist
	$(call install,$(DEB_PACKAGES))
	rm -rf $(BUILD)/deb && mkdir -p $(BUILD)/deb
	tar -xzf $(DIST) -C $(BUILD)/deb
	cd $(BUILD)/deb/perfhook-$(VERSION) && \
		env -u CC -u CXX -u MAKEFLAGS -u BUILD dpkg-buildpackage -us -uc -b
	lintian --fail-on error $(BUILD)/deb/*.changes
	@ls $(BUILD)/deb/*.deb

.PHONY: help
help:
	@echo "make            build $(BUILD)/libperfhook.so and $(BUILD)/perfhook"
	@echo "make demo       install what is missing, build, record an example, show its report"
	@echo "make check      install what is missing, build, run the tests (a sample of the long ones)"
	@echo "make check-all  the tests whole"
	@echo "make lint       clang, clang-tidy, cppcheck and the format"
	@echo "make vendor     compare the page's libraries, html/vendor, with what npm has"
	@echo "make bench      what recording costs, beside heaptrack: ROWS=pattern BENCH_RUNS=5"
	@echo "make install    PREFIX=$(PREFIX) DESTDIR= (BINDIR, LIBDIR, MANDIR, ...); make uninstall"
	@echo "make man        the manual pages, as make install puts them"
	@echo "make pictures   the pictures of the documents, docs/images"
	@echo "make dist       the committed sources as a tarball"
	@echo "make deb        the Debian package of them"
	@echo "V=1 shows commands; SAN=address,undefined builds with sanitizers"

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
