# SPDX-License-Identifier: Apache-2.0
# Builds Tenon and runs its tests. GNU make, one file; sources are found by
# being there. `make help` lists the targets and the variables.

TN_VERSION := $(shell sed -n 's/.*TENON_VERSION_STRING "\(.*\)".*/\1/p' \
    include/tenon/api.h)
# Goes up when a program built against the older library would break.
TN_SOVERSION := 0

# SAN=address,undefined or thread; TN_HOSTILE=1 makes buffers move and reads
# come one byte at a time; WERROR=1 is what `make check` builds with. Each
# combination has its own tree, so switching needs no clean.
SAN ?= none
TN_HOSTILE ?=
WERROR ?=
FUZZER ?=

CFLAGS ?= -O2 -g
AR ?= ar
PKG_CONFIG ?= pkg-config
CLANG ?= clang
CLANG_FORMAT ?= clang-format
PREFIX ?= /usr/local
DESTDIR ?=
OTP ?= 23 25 27 29
FUZZ_SECONDS ?= 600
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

UNAME := $(shell uname -s)
comma := ,

VARIANT := $(notdir $(firstword $(CC)))-$(subst $(comma),+,$(SAN))
VARIANT := $(VARIANT)$(if $(TN_HOSTILE),-hostile)
VARIANT := $(VARIANT)$(if $(FUZZER),-fuzzer$(FUZZER:1=))
VARIANT := $(VARIANT)$(if $(WERROR),-werror)

# As a Mix dependency everything goes where Mix says.
BUILD := $(if $(MIX_APP_PATH),$(MIX_APP_PATH)/obj,_build)
OUT := $(BUILD)/$(VARIANT)

# Results are linked in the variant's own tree; only the plain build, of
# whichever compiler, is then copied to priv/.
STAGE := $(OUT)/priv
ifeq ($(SAN)$(TN_HOSTILE)$(FUZZER)$(WERROR),none)
PRIV := $(if $(MIX_APP_PATH),$(MIX_APP_PATH)/,)priv
else
PRIV := $(STAGE)
endif

# --- sources ---------------------------------------------------------------

LIB_SRC := $(filter-out c_src/cli/%,$(wildcard c_src/*/*.c))
CLI_SRC := $(wildcard c_src/cli/*.c)
# Handler libraries: shared objects that `tenon run --load` serves. All examples
# but demo.c are programs, account.c, kv.c and reminder.c are both.
HANDLER_SRC := $(addprefix test/examples/,demo.c account.c kv.c reminder.c)
EXAMPLE_SRC := $(filter-out %/demo.c,$(wildcard test/examples/*.c))
UNIT_SRC := $(wildcard test/unit/*/test_*.c)
# Linked into every unit test; nomem.c only where the allocator is wrapped.
SUPPORT_SRC := $(wildcard test/unit/support/*.c)
FUZZ_SRC := $(wildcard test/fuzz/fuzz_*.c)
# Handler libraries that the ExUnit suite drives besides.
LIVE_HANDLER_SRC := $(wildcard test/live/*.c)
BENCH_SRC := $(wildcard test/bench/bench_*.c)
PUBLIC_H := $(wildcard include/*.h include/*/*.h)

obj = $(patsubst %.c,$(OUT)/%.o,$(1))
bin = $(patsubst %.c,$(OUT)/%,$(1))

LIB_OBJ := $(call obj,$(LIB_SRC))
CLI_OBJ := $(call obj,$(CLI_SRC))
NOMEM_OBJ := $(call obj,test/unit/support/nomem.c)
SUPPORT_OBJ := $(filter-out $(NOMEM_OBJ),$(call obj,$(SUPPORT_SRC)))
UNIT_BIN := $(call bin,$(UNIT_SRC))
EXAMPLE_BIN := $(call bin,$(EXAMPLE_SRC))
BENCH_BIN := $(call bin,$(BENCH_SRC))
# The cost of terms is counted in a tree of its own.
COST_SRC := test/fuzz/fuzz_cost.c
FUZZ_BIN := $(call bin,$(if $(filter cost,$(FUZZER)),$(COST_SRC),\
    $(filter-out $(COST_SRC),$(FUZZ_SRC))))
REPLAY_BIN := $(patsubst test/fuzz/fuzz_%.c,$(OUT)/test/fuzz/replay_%,$(FUZZ_SRC))
HANDLERS := $(patsubst test/examples/%.c,handlers/%.so,$(HANDLER_SRC))
LIVE_HANDLERS := $(patsubst test/live/%.c,$(PRIV)/handlers/%.so,$(LIVE_HANDLER_SRC))
ALL_OBJ := $(call obj,$(LIB_SRC) $(CLI_SRC) $(sort $(HANDLER_SRC) \
    $(EXAMPLE_SRC)) $(UNIT_SRC) $(SUPPORT_SRC) $(FUZZ_SRC) $(LIVE_HANDLER_SRC) \
    $(BENCH_SRC) test/fuzz/replay_main.c)

RESULTS := $(if $(LIB_SRC),lib/libtenon.a lib/libtenon.so) \
    $(if $(CLI_SRC),bin/tenon) $(HANDLERS)

# --- what the machine has --------------------------------------------------

# These goals compile nothing themselves, so they ask the machine nothing.
LIGHT := help clean format setup demo check check-% fuzz
NEEDS_PROBE := $(filter-out $(LIGHT),$(or $(MAKECMDGOALS),all))
NEEDS_CMOCKA := $(filter test programs unit-programs unit valgrind \
    valgrind-crypto $(UNIT_BIN),$(MAKECMDGOALS))

ifneq ($(NEEDS_PROBE),)

has = $(shell command -v $(firstword $(1)) 2>/dev/null)
has_header = $(shell printf '%s\n' $(patsubst %,'\#include <%>',$(1)) | \
    $(CC) $(CPPFLAGS) $(TN_BREW) -E -x c - >/dev/null 2>&1 && echo yes)
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
MISSING :=
need = $(if $(1),,$(eval MISSING += "tenon: $(2)"))

ifeq ($(UNAME),Darwin)
# Homebrew keeps these off the default paths.
BREW := $(shell brew --prefix 2>/dev/null)
TN_BREW := $(if $(BREW),-isystem $(BREW)/include)
TN_BREW_LIBS := $(if $(BREW),-L$(BREW)/lib)
export PKG_CONFIG_PATH := $(BREW)/opt/openssl@3/lib/pkgconfig:$(BREW)/opt/sqlite/lib/pkgconfig:$(PKG_CONFIG_PATH)
endif

$(call need,$(call has,$(CC)),C compiler '$(CC)' not found: install gcc \
(Debian/Ubuntu) or the Xcode command line tools (macOS))

# ei: the erl_interface application of the installed erl, or what an OTP built
# from source keeps under its root.
ifneq ($(and $(ERL_EI_INCLUDE_DIR),$(ERL_EI_LIBDIR)),)
EI_INCLUDE := $(ERL_EI_INCLUDE_DIR)
EI_LIBDIR := $(ERL_EI_LIBDIR)
else
EI_ROOTS := $(shell erl -noshell -boot no_dot_erlang -eval 'case \
    code:lib_dir(erl_interface) of {error,_} -> ok; D -> io:put_chars(D) end, \
    io:put_chars([" ", code:root_dir(), "/usr"]), halt().' 2>/dev/null)
EI_INCLUDE := $(or $(ERL_EI_INCLUDE_DIR),$(patsubst %/ei.h,%,\
    $(firstword $(wildcard $(EI_ROOTS:%=%/include/ei.h)))))
EI_LIBDIR := $(or $(ERL_EI_LIBDIR),$(patsubst %/libei.a,%,\
    $(firstword $(wildcard $(EI_ROOTS:%=%/lib/libei.a)))))
endif
EI_HINT := install erlang-dev (Debian/Ubuntu) or erlang (brew)
$(call need,$(wildcard $(EI_INCLUDE)/ei.h),ei.h not found: \
$(EI_HINT)$(comma) or set ERL_EI_INCLUDE_DIR)
$(call need,$(wildcard $(EI_LIBDIR)/libei.a),libei.a not found: \
$(EI_HINT)$(comma) or set ERL_EI_LIBDIR)

ifeq ($(call has,$(PKG_CONFIG)),)
$(call need,,pkg-config not found: install pkg-config (Debian/Ubuntu) or \
pkgconf (brew))
else
UV_LIBS := $(call pkg,--libs 'libuv >= 1.40')
SSL_LIBS := $(call pkg,--libs 'libssl >= 3' libcrypto)
SQLITE_LIBS := $(call pkg,--libs 'sqlite3 >= 3.24')
DEP_CFLAGS := $(patsubst -I%,-isystem %,$(call pkg,--cflags libuv libssl sqlite3))
$(call need,$(UV_LIBS),libuv 1.40 or newer not found: install libuv1-dev \
(Debian/Ubuntu) or libuv (brew))
$(call need,$(SSL_LIBS),libssl 3 or newer not found: install libssl-dev \
(Debian/Ubuntu) or openssl@3 (brew))
$(call need,$(SQLITE_LIBS),SQLite 3.24 or newer not found: install \
libsqlite3-dev (Debian/Ubuntu) or sqlite (brew))
endif
ifneq ($(call has,$(CC)),)
LONG_BYTES := $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -E -x c /dev/null \
    2>/dev/null | sed -n 's/^.define __SIZEOF_LONG__ //p')
$(call need,$(call has_header,uthash.h),uthash.h not found: install \
uthash-dev (Debian/Ubuntu) or uthash (brew))
ifneq ($(NEEDS_CMOCKA),)
$(call need,$(call has_header,stdarg.h stddef.h stdint.h setjmp.h cmocka.h),\
cmocka.h not found: install libcmocka-dev (Debian/Ubuntu) or cmocka (brew))
endif
endif

ifneq ($(MISSING),)
$(shell printf '%s\n' $(MISSING) >&2)
$(error tenon: cannot build until these are installed; `sh test/setup` does it)
endif
endif # NEEDS_PROBE

# --- flags -----------------------------------------------------------------

TN_CPPFLAGS := -D_GNU_SOURCE -Iinclude
# Times beyond 2038 and large files, where glibc has both only on request.
TN_CPPFLAGS += $(if $(filter 4,$(LONG_BYTES)),-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64)
LIB_CPPFLAGS := -Ic_src -isystem $(EI_INCLUDE) $(DEP_CFLAGS) $(TN_BREW)
TN_CFLAGS := -std=c11 -fPIC -fvisibility=hidden -pthread -Wall -Wextra \
    -Wpedantic -Wshadow -Wconversion -Wundef -Wvla -Wformat=2 \
    -Wstrict-prototypes -Wmissing-prototypes
TN_LDFLAGS := -pthread
ifneq ($(SAN),none)
SAN_FLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifneq ($(FUZZER),)
SAN_FLAGS += -fsanitize=fuzzer-no-link
endif
# One call at each edge of the flow, to where the cost fuzzer counts them.
ifeq ($(FUZZER),cost)
SAN_FLAGS += -fsanitize-coverage=trace-pc
FUZZ_LDFLAGS := -Wl,--wrap=__sanitizer_cov_trace_pc
endif
TN_CFLAGS += $(SAN_FLAGS) $(if $(WERROR),-Werror)
TN_LDFLAGS += $(SAN_FLAGS)
TN_CPPFLAGS += $(if $(TN_HOSTILE),-DTN_HOSTILE=1)
TN_LIBS := $(EI_LIBDIR)/libei.a $(TN_BREW_LIBS) $(UV_LIBS) $(SSL_LIBS) \
    $(SQLITE_LIBS) -lm -pthread

# ei's and our internal symbols stay inside; a handler library that `tenon`
# loads finds every tenon_ function in the program itself, also those that
# the program does not call.
LIB_A := $(STAGE)/lib/libtenon.a
LIB_SO := $(STAGE)/lib/libtenon.so
SONAME := libtenon.so.$(TN_SOVERSION)
ifeq ($(UNAME),Darwin)
SO_LDFLAGS := -dynamiclib -install_name @rpath/$(SONAME) \
    -Wl,-exported_symbol,'_tenon_*'
HOST_LDFLAGS := -Wl,-exported_symbol,'_tenon_*'
PLUGIN_LDFLAGS := -bundle -undefined dynamic_lookup
WHOLE_LIB := -Wl,-force_load,$(LIB_A)
else
SO_LDFLAGS := -shared -Wl,-soname,$(SONAME) -Wl,--exclude-libs,ALL \
    -Wl,--version-script,$(OUT)/exports.map
HOST_LDFLAGS := -Wl,--exclude-libs,libei.a -Wl,--dynamic-list,$(OUT)/exports.dyn
PLUGIN_LDFLAGS := -shared
WHOLE_LIB := -Wl,--whole-archive $(LIB_A) -Wl,--no-whole-archive
endif

# V=1 shows whole commands.
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@echo "  $@")
link = $(CC) $(TN_CFLAGS) $(CFLAGS) $(TN_LDFLAGS)

# --- build -----------------------------------------------------------------

.PHONY: all
.DEFAULT_GOAL := all
all: $(RESULTS:%=$(PRIV)/%)

.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:

# Rewritten only when the flags differ, so that a new CFLAGS rebuilds.
FLAGS_NOW := $(CC) $(TN_CPPFLAGS) $(LIB_CPPFLAGS) $(CPPFLAGS) $(TN_CFLAGS) \
    $(CFLAGS) $(LDFLAGS)
ifneq ($(NEEDS_PROBE),)
ifneq ($(strip $(FLAGS_NOW)),$(strip $(file <$(OUT)/flags)))
$(shell mkdir -p $(OUT))
$(file >$(OUT)/flags,$(strip $(FLAGS_NOW)))
endif
endif

# Examples, handlers and live tests see what a user sees; the command sees
# besides that only itself.
INSIDE := $(OUT)/test/unit/% $(OUT)/test/fuzz/% $(OUT)/test/bench/%
$(filter $(INSIDE),$(ALL_OBJ)): TN_CPPFLAGS += $(LIB_CPPFLAGS) -Itest
$(LIB_OBJ): TN_CPPFLAGS += $(LIB_CPPFLAGS)
$(CLI_OBJ): TN_CPPFLAGS += -Ic_src
$(OUT)/test/examples/%.o: TN_CPPFLAGS += $(DEP_CFLAGS)

$(OUT)/%.o: %.c Makefile $(OUT)/flags
	@mkdir -p $(@D)
	$(say)
	$(Q)$(CC) $(TN_CPPFLAGS) $(CPPFLAGS) $(TN_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/exports.map: Makefile
	@mkdir -p $(@D)
	@echo '{ global: tenon_*; local: *; };' >$@

$(OUT)/exports.dyn: Makefile
	@mkdir -p $(@D)
	@echo '{ tenon_*; };' >$@

$(LIB_A): $(LIB_OBJ)
	@mkdir -p $(@D)
	$(say)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(LIB_SO): $(LIB_OBJ) $(OUT)/exports.map
	@mkdir -p $(@D)
	$(say)
	$(Q)$(link) $(SO_LDFLAGS) -o $@ $(LIB_OBJ) $(TN_LIBS) $(LDFLAGS)
	@ln -sf $(@F) $(@D)/$(SONAME)

$(STAGE)/bin/tenon: $(CLI_OBJ) $(LIB_A) $(OUT)/exports.dyn
	@mkdir -p $(@D)
	$(say)
	$(Q)$(link) $(HOST_LDFLAGS) -o $@ $(CLI_OBJ) $(WHOLE_LIB) $(TN_LIBS) $(LDFLAGS)

$(STAGE)/handlers/%.so: $(OUT)/test/examples/%.o
	@mkdir -p $(@D)
	$(say)
	$(Q)$(link) $(PLUGIN_LDFLAGS) -o $@ $< $(SSL_LIBS) $(LDFLAGS)

$(STAGE)/handlers/%.so: $(OUT)/test/live/%.o
	@mkdir -p $(@D)
	$(say)
	$(Q)$(link) $(PLUGIN_LDFLAGS) -o $@ $< $(LDFLAGS)

ifneq ($(PRIV),$(STAGE))
# By content, because another compiler's result may be younger than ours.
.PHONY: force
$(PRIV)/%: $(STAGE)/% force
	@cmp -s $< $@ || { mkdir -p $(@D) && install -m 755 $< $@ && \
	    echo "$@ <- $<"; }
	@case $@ in *.so) test $(@F) != libtenon.so || \
	    ln -sf $(@F) $(@D)/$(SONAME);; esac
endif

-include $(ALL_OBJ:.o=.d)

# --- test programs ---------------------------------------------------------

# A unit test named *_nomem makes every allocation of a scenario fail in turn,
# also those inside ei, by wrapping the allocator at link time.
NOMEM_LDFLAGS := $(foreach f,malloc calloc realloc strdup,-Wl,--wrap=$(f))
$(filter %_nomem,$(UNIT_BIN)): TEST_EXTRA = $(NOMEM_LDFLAGS) $(NOMEM_OBJ)
$(filter %_nomem,$(UNIT_BIN)): $(NOMEM_OBJ)
# This one makes writes fail.
$(filter %/test_writer_io,$(UNIT_BIN)): TEST_EXTRA = -Wl,--wrap=write
$(OUT)/test/unit/%: $(OUT)/test/unit/%.o $(SUPPORT_OBJ) $(LIB_A)
	$(say)
	$(Q)$(link) -o $@ $< $(TEST_EXTRA) $(SUPPORT_OBJ) $(LIB_A) $(TN_LIBS) -lcmocka \
	    $(LDFLAGS)

# Tests of the command see all of it but its main.
CLI_PARTS := $(filter-out %/cli/main.o,$(CLI_OBJ))
$(filter $(OUT)/test/unit/cli/%,$(UNIT_BIN)): TEST_EXTRA += $(CLI_PARTS)
$(filter $(OUT)/test/unit/cli/%,$(UNIT_BIN)): $(CLI_PARTS)

$(OUT)/test/examples/%: $(OUT)/test/examples/%.o $(LIB_A)
	$(say)
	$(Q)$(link) -o $@ $< $(LIB_A) $(TN_LIBS) $(LDFLAGS)

$(OUT)/test/bench/%: $(OUT)/test/bench/%.o $(LIB_A)
	$(say)
	$(Q)$(link) -o $@ $< $(LIB_A) $(TN_LIBS) $(LDFLAGS)

$(OUT)/test/fuzz/replay_%: $(OUT)/test/fuzz/fuzz_%.o \
    $(OUT)/test/fuzz/replay_main.o $(LIB_A)
	$(say)
	$(Q)$(link) -o $@ $< $(OUT)/test/fuzz/replay_main.o $(LIB_A) $(TN_LIBS) $(LDFLAGS)

$(OUT)/test/fuzz/fuzz_%: $(OUT)/test/fuzz/fuzz_%.o $(LIB_A)
	$(say)
	$(Q)$(link) -fsanitize=fuzzer $(FUZZ_LDFLAGS) -o $@ $< $(LIB_A) $(TN_LIBS) \
	    $(LDFLAGS)

# --- test, each for the variant at hand --------------------------------------

# 99 is what test/run-one takes for a finding.
ASAN_OPTIONS ?= exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1
UBSAN_OPTIONS ?= exitcode=99:print_stacktrace=1
TSAN_OPTIONS ?= exitcode=99:halt_on_error=1:second_deadlock_stack=1
VALGRIND ?= valgrind -q --fair-sched=try --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS

.PHONY: programs unit-programs unit valgrind valgrind-crypto examples replay live elixir test bench
# Everything that compiles, and nothing run.
programs: all live $(UNIT_BIN) $(EXAMPLE_BIN) $(REPLAY_BIN) $(BENCH_BIN)

unit-programs: $(UNIT_BIN) $(REPLAY_BIN)

RUN_EACH = TN_JOBS=$(JOBS) sh test/run-each
unit: $(UNIT_BIN)
	@$(RUN_EACH) $(UNIT_BIN)

# Without those that fail each allocation, some thousand runs each, and those
# that measure how time grows: they are run under the address sanitizer, which
# finds the same.
PLAIN_UNIT_BIN := $(filter-out %_nomem %_growth,$(UNIT_BIN))
# Whose time under valgrind is OpenSSL's.
CRYPTO_UNIT_BIN := $(filter %/dist/test_tls,$(PLAIN_UNIT_BIN))
UNDER_VALGRIND = TN_RUNNER="$(VALGRIND)" TN_TEST_SECONDS=900 $(RUN_EACH)
valgrind: $(PLAIN_UNIT_BIN)
	@$(UNDER_VALGRIND) $(filter-out $(CRYPTO_UNIT_BIN),$(PLAIN_UNIT_BIN))
valgrind-crypto: $(CRYPTO_UNIT_BIN)
	@$(UNDER_VALGRIND) $(CRYPTO_UNIT_BIN)

examples: all $(EXAMPLE_BIN)
	@TENON_BIN=$(PRIV)/bin/tenon $(RUN_EACH) $(EXAMPLE_BIN)

replay: $(REPLAY_BIN)
	@sh test/replay $(REPLAY_BIN)

live: $(LIVE_HANDLERS)

# What the ExUnit suite is to drive.
SUBJECT = TENON_BIN=$(abspath $(PRIV)/bin/tenon) \
    TENON_DEMO_SO=$(abspath $(PRIV)/handlers/demo.so) \
    TENON_LIVE_SO=$(abspath $(PRIV)/handlers/probe.so) \
    TENON_SAN=$(filter-out none,$(SAN))
# A sanitizer reports into a file: a test that kills the node would not see it.
REPORTS := $(abspath $(OUT)/reports)
elixir: all live
	@rm -rf $(REPORTS) && mkdir -p $(REPORTS)
	@$(SUBJECT) ASAN_OPTIONS=$(ASAN_OPTIONS):log_path=$(REPORTS)/asan \
	    UBSAN_OPTIONS=$(UBSAN_OPTIONS):log_path=$(REPORTS)/ubsan \
	    TSAN_OPTIONS=$(TSAN_OPTIONS):log_path=$(REPORTS)/tsan sh test/elixir; \
	    rc=$$?; ! cat $(REPORTS)/* 2>/dev/null && exit $$rc

# The dispatcher's property test at length; SEED= repeats a run.
.PHONY: dispatch-property
RUNS ?= 10000
dispatch-property: all live
	@$(SUBJECT) TENON_DISPATCH_RUNS=$(RUNS) $(if $(SEED),TENON_DISPATCH_SEED=$(SEED)) \
	    sh test/elixir test/tenon/dispatch_property_test.exs

test: unit examples replay elixir

bench: all live $(BENCH_BIN)
	@for b in $(BENCH_BIN); do $$b || exit 1; done
	@for b in $(wildcard test/bench/bench_*.sh); do \
	    $(SUBJECT) sh $$b || exit 1; done

fuzzers: $(FUZZ_BIN)
	@sh test/fuzz/run $(FUZZ_SECONDS) $(JOBS) $(FUZZ_BIN)

fuzz:
	@$(MAKE) --no-print-directory -j$(JOBS) CC=$(CLANG) SAN=address,undefined \
	    FUZZER=1 fuzzers
	@$(MAKE) --no-print-directory -j$(JOBS) CC=$(CLANG) FUZZER=cost fuzzers

# --- check: all of the above, in every variant, warnings being errors ---------

# One stage each; test/check runs them all and says how long each took.
strict = $(MAKE) --no-print-directory WERROR=1 $(1)
built = $(call strict,-j$(JOBS) $(1) programs) && $(call strict,$(1) $(2))
CXX ?= c++

.PHONY: check headers exports exports-list
check:
	@MAKE="$(MAKE)" OTP="$(OTP)" sh test/check

headers:
	@CC="$(CC)" CXX="$(CXX)" INTERNAL_FLAGS="-isystem $(EI_INCLUDE) \
	    $(DEP_CFLAGS) $(TN_BREW)" sh test/check-headers

exports: all
	@sh test/check-exports $(STAGE)

exports-list: all
	@sh test/check-exports --write $(STAGE)

.PHONY: check-format check-includes check-readme check-headers check-build \
    check-exports check-install check-unit check-clang check-san check-tsan \
    check-hostile check-valgrind check-fuzz check-elixir check-elixir-san \
    check-elixir-tsan check-otp check-mesh check-i386 check-demo otp-plain \
    otp-tls
check-format:
	@CLANG_FORMAT="$(CLANG_FORMAT)" sh test/check-format
check-includes:
	@sh test/check-includes
check-readme:
	@sh test/check-readme
check-headers:
	@$(call strict,headers)
check-build:
	@$(call strict,-j$(JOBS) programs)
check-exports:
	@$(call strict,-j$(JOBS) exports)
check-install: check-build
	@MAKE="$(MAKE)" CC="$(CC)" CXX="$(CXX)" PKG_CONFIG="$(PKG_CONFIG)" \
	    sh test/check-install WERROR=1
check-unit:
	@$(call built,,unit examples)
check-clang:
	@$(call built,CC=$(CLANG),unit examples)
check-san:
	@$(call built,SAN=address$(comma)undefined,unit examples)
check-fuzz:
	@$(call built,SAN=address$(comma)undefined,replay)
# Without a sanitizer: a frame that comes byte by byte is slow enough.
check-hostile:
	@export TN_TEST_SECONDS=600; $(call built,TN_HOSTILE=1,unit replay)
check-tsan:
	@$(call built,SAN=thread,unit examples)
check-valgrind:
	@$(call built,,valgrind)
check-elixir:
	@export TENON_STRICT=1; $(call built,,elixir)
# With every node on IPv6 and TLS; without epmd.
check-elixir-san:
	@export TENON_CARRIER=inet6_tls; $(call built,SAN=address$(comma)undefined,elixir)
check-elixir-tsan:
	@export TENON_CARRIER=no_epmd; $(call built,SAN=thread,elixir)
# OTP=host: the installed one was enough. That has run without TLS by
# check-elixir. Warnings differ by release, not by carrier.
INSTALLED_OTP = $(shell erl -noshell -boot no_dot_erlang -eval \
    'io:put_chars(erlang:system_info(otp_release)), halt().')
check-otp: check-build
	@sh test/at-once "$(call strict,-s otp-plain)" "$(call strict,-s otp-tls)"
# With TLS the oldest and the newest; those between are for check-otp-long.
RELEASES = $(filter-out host,$(OTP))
TLS_ENDS = $(sort $(firstword $(RELEASES)) $(lastword $(RELEASES)))
TLS_RELEASES = $(TLS_ENDS)
otp-plain:
	@installed=$(INSTALLED_OTP); \
	for r in $(RELEASES); do \
	    [ $$r != $$installed ] || continue; \
	    echo "== OTP $$r"; \
	    TENON_STRICT=1 $(call strict,-s OTP_RELEASE=$$r elixir-otp) || exit 1; \
	done
otp-tls:
	@for r in $(TLS_RELEASES); do \
	    echo "== OTP $$r, TLS"; \
	    TENON_CARRIER=inet_tls \
	        $(call strict,-s OTP_RELEASE=$$r elixir-otp) || exit 1; \
	done

# What takes long and adds little to what `make check` runs: before a release.
.PHONY: check-long check-valgrind-long check-otp-long
check-long: check-valgrind-long check-otp-long
check-valgrind-long:
	@$(call built,,valgrind-crypto)
check-otp-long: check-build
	@$(call strict,-s otp-tls TLS_RELEASES="$(filter-out $(TLS_ENDS),$(RELEASES))")

check-demo:
	@$(MAKE) --no-print-directory demo

# 23 and releases from 26 on do not connect to each other.
MESHES := 25,27,29 23,25
check-mesh: check-build
	@for m in $(MESHES); do \
	    for r in $$(echo $$m | tr , ' '); do \
	        case " $(OTP) " in *" $$r "*) ;; *) continue 2;; esac; done; \
	    sh test/attempts $(call strict,-s MESH=$$m mesh) || exit 1; done

# Where sizes have 32 bits. With -O1, because nothing here is kept compiled for
# the next run, and the tests would not win back what -O2 costs.
I386 = sh test/roots run i386 -- make BUILD=_build/i386 WERROR=1 CFLAGS='-O1 -g' \
    --no-print-directory
check-i386:
	@sh test/roots usable i386
	@$(I386) -j$(JOBS) unit-programs
	@$(I386) unit replay

.PHONY: mesh
MESH_SECONDS ?= 30
mesh: all
	@$(SUBJECT) MESH_SECONDS=$(MESH_SECONDS) \
	    sh test/mesh/run $(subst $(comma), ,$(MESH))

.PHONY: elixir-otp fuzzers fuzz
elixir-otp: all live
	@$(SUBJECT) sh test/roots run $(OTP_RELEASE) -- \
	    sh test/elixir

# --- install -------------------------------------------------------------------

.PHONY: install
LIBDIR ?= $(PREFIX)/lib
DEST = $(DESTDIR)$(PREFIX)
DESTLIB = $(DESTDIR)$(LIBDIR)
SO_FULL := libtenon.so.$(TN_VERSION)
install: all
	mkdir -p $(DEST)/bin $(DESTLIB)/pkgconfig $(DEST)/include/tenon
	install -m 755 $(PRIV)/bin/tenon $(DEST)/bin/tenon
	install -m 644 $(PRIV)/lib/libtenon.a $(DESTLIB)/libtenon.a
	install -m 755 $(PRIV)/lib/libtenon.so $(DESTLIB)/$(SO_FULL)
	ln -sf $(SO_FULL) $(DESTLIB)/$(SONAME)
	ln -sf $(SONAME) $(DESTLIB)/libtenon.so
	install -m 644 include/tenon.h $(DEST)/include/tenon.h
	install -m 644 $(wildcard include/tenon/*.h) $(DEST)/include/tenon/
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' \
	    'includedir=$${prefix}/include' '' 'Name: tenon' \
	    'Description: A C process as a node of an Erlang or Elixir cluster' \
	    'Version: $(TN_VERSION)' 'Cflags: -I$${includedir}' \
	    'Libs: -L$${libdir} -ltenon' \
	    'Libs.private: -L$(EI_LIBDIR) -lei $(strip $(UV_LIBS) $(SSL_LIBS) $(SQLITE_LIBS)) -lm -pthread' \
	    >$(DESTLIB)/pkgconfig/tenon.pc

# --- the rest ----------------------------------------------------------------

.PHONY: setup demo format clean help
setup:
	sh test/setup

demo:
	sh test/setup demo
	$(MAKE) -j$(JOBS) all
	sh test/demo

format:
	sh test/check-format --write

clean:
	rm -rf _build priv/bin priv/lib priv/handlers elixir_harness/_build

help:
	@echo 'all test check check-long fuzz bench format install clean demo setup'
	@echo 'unit examples replay valgrind elixir live programs (this variant)'
	@echo 'dispatch-property RUNS= SEED= (this variant)'
	@echo 'CC= CFLAGS= LDFLAGS= SAN=address,undefined|thread TN_HOSTILE=1'
	@echo 'TN_ATTEMPTS=2 (check: what fails is tried once more)'
	@echo 'OTP="23 25 27 29"|host (check; host: no roots, and no check-i386)'
	@echo 'FUZZ_SECONDS= (fuzz)'
	@echo 'MESH_SECONDS= MESH_SEED= (check-mesh)'
	@echo 'PREFIX= DESTDIR= (install)  ERL_EI_INCLUDE_DIR= ERL_EI_LIBDIR='
