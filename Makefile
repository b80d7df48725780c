# Makefile - builds, tests and installs Weir (GNU make). There is no configure step: sources
# are found by wildcard and everything made lies under build/.
#   make [V=1] [CC=clang] [SAN=address,undefined | SAN=thread] [TLS=openssl | BORINGSSL=DIR]
#   make quick | test | tidy | box | fuzz [SECONDS=10] [SEED=n] | bench | rfc
#   make run [LISTEN= ADMIN=] | sim [SEED=n | SEEDS=n] | kill [ROUNDS=200]
#   make proof [SEEDS=1000] [SECONDS=10] | arm64 | tsan | agents
#   make install [PREFIX=/usr/local] [DESTDIR=]

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)  # a -j on the command line wins
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
ifeq ($(origin CC),default)
CC := gcc
endif
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-6s %s\n' $(1) $(2);)
comma := ,

SECONDS ?= 10
PREFIX ?= /usr/local
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter openssl,$(TLS)),/openssl)
ifdef FUZZ  # set by the target fuzz: the same objects, instrumented for libFuzzer
B := build/fuzz
override SAN := address,undefined
endif

# --- flags and libraries
CPPFLAGS := -std=c11 -D_GNU_SOURCE -DOPENSSL_SUPPRESS_DEPRECATED -I. -I$(B)/gen
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes \
        -Wmissing-prototypes -Wvla -Werror
OPT ?= $(if $(FUZZ),-O1,-O2) -g
CFLAGS := $(OPT) $(WARN) -pthread -fPIE -fno-strict-aliasing -fno-omit-frame-pointer \
          -fstack-protector-strong
LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now
LDLIBS := -luring -llmdb -lyaml
ifdef SAN
CFLAGS += -fsanitize=$(SAN)$(if $(FUZZ),$(comma)fuzzer-no-link) -fno-sanitize-recover=all
CFLAGS += $(and $(findstring thread,$(SAN)),$(findstring gcc,$(CC)),-Wno-tsan -Wno-error)
LDFLAGS += -fsanitize=$(SAN)
else
CFLAGS += -D_FORTIFY_SOURCE=2
# Never with a sanitizer, which brings an allocator of its own. Nobody calls it by name.
LDLIBS += -Wl,--push-state,--no-as-needed -ljemalloc -Wl,--pop-state
endif
ifeq ($(TLS),openssl)
LDLIBS += -lssl -lcrypto
else ifdef BORINGSSL
CPPFLAGS += -isystem $(BORINGSSL)/include
LDLIBS += $(BORINGSSL)/build/libssl.a $(BORINGSSL)/build/libcrypto.a -lstdc++
else
ANDROID := /usr/lib/$(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch)/android
CPPFLAGS += -isystem /usr/include/android
LDLIBS += -L$(ANDROID) -Wl,-rpath,$(ANDROID) -lssl -lcrypto
endif
LDLIBS += -lm
compile = $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -MT $@
link = $(compile) $(LDFLAGS) -o $@ $< $(filter %.o %.a,$^)  # $^ may hold included sources

# --- what there is
SRC := $(filter-out engine/main.c engine/heap_trap.c $(if $(SAN),engine/heap_wipe.c), \
       $(wildcard net/*.c net/dialect/*.c net/translate/*.c route/*.c store/*.c engine/*.c \
       engine/admin/*.c))
ifdef FUZZ  # no target needs more of the engine
SRC := $(filter-out engine/%,$(SRC)) $(filter engine/conf% engine/admin/% \
       $(addprefix engine/,ask.c dialect.c log.c show.c vault.c),$(SRC))
endif
include tools/gen.mk
LIB := $(B)/libweir.a
OBJ := $(SRC:%.c=$(B)/%.o) $(GEN:%.c=%.o)
BIN := $(if $(wildcard engine/main.c),$(B)/weir) \
       $(if $(wildcard tools/weir-mock.c),$(B)/weir-mock) \
       $(if $(wildcard tools/weirctl.c),$(B)/weirctl)
MOCK := $(wildcard tools/weir-mock.c tools/mock_*.c)
TRAP := $(and $(wildcard engine/main.c),$(wildcard engine/heap_trap.c))
SEALED := $(if $(SAN),,$(TRAP:%=$(B)/weir-sealed))
UNIT := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/test_*.c))
UNIT := $(filter-out $(if $(SAN),%_sealed),$(UNIT))  # sanitizers replace malloc themselves
UNIT_HELP := $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c))
FUZZ_HELP := tr_kit tr_text tr_props_ask tr_props_tell
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/bin/%,$(wildcard tests/fuzz/fuzz_*.c))

.PHONY: all unit quick test proof tidy run bench fuzz fuzzers box sim rfc install clean
all: $(BIN) $(SEALED) ; @:
unit: $(UNIT) ; @:

# --- how it is made
$(B)/%.o: %.c | $(GEN)
	$(call say,CC,$<) mkdir -p $(@D) && $(compile) -c -o $@ $<
$(LIB): $(OBJ)
	$(call say,AR,$@) mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^
$(B)/weir: $(B)/engine/main.o $(if $(SAN),,$(B)/engine/heap_wipe.o) $(LIB)
$(B)/weir-sealed: $(addprefix $(B)/engine/,main.o heap_trap.o heap_wipe.o) $(LIB)
$(B)/weir-mock: $(MOCK:%.c=$(B)/%.o) $(LIB)
$(B)/weirctl: $(B)/tools/weirctl.o $(LIB)
$(B)/weir $(B)/weir-sealed $(B)/weir-mock $(B)/weirctl:
	$(call say,LD,$@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(B)/unit/% $(B)/tests/unit/%: private CFLAGS += -O1  # they check, and need not be fast
$(B)/unit/%: tests/unit/%.c $(UNIT_HELP:%.c=$(B)/%.o) $(LIB)
	$(call say,TEST,$@) mkdir -p $(@D) && $(link) -lcmocka $(LDLIBS)
$(B)/bin/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_HELP:%=$(B)/tests/unit/%.o) $(LIB)
	$(call say,FUZZ,$@) mkdir -p $(@D) && $(link) -fsanitize=fuzzer $(LDLIBS)
include tests/sim/sim.mk tests/arm64.mk tests/tsan.mk tests/kill.mk tests/agents.mk

# --- what it is for
quick: unit
	$(Q)tests/run --build $(B) unit
test:
	$(Q)tools/setup build && tools/setup test
	$(Q)$(MAKE) all unit $(B)/bench/attack $(SIM)
	$(Q)$(MAKE) FUZZ=1 CC=clang fuzzers
	$(Q)tests/run --build $(B) unit fuzz sim box
tidy:
	$(Q)tests/tidy.py --self-test && tests/tidy.py
run:
	$(Q)tools/setup build
	$(Q)$(MAKE) all
	$(Q)LISTEN='$(LISTEN)' ADMIN='$(ADMIN)' exec tools/run
fuzzers: $(FUZZERS) ; @:
fuzz:
	$(Q)$(MAKE) FUZZ=1 CC=clang fuzzers
	$(Q)tests/run --seconds $(SECONDS) $(SEED:%=--seed %) fuzz
	$(Q)$(MAKE) all unit && tools/setup test
	$(Q)for t in differential json; do WEIR_SEED=$(or $(SEED),$$(date +%s)) \
	  WEIR_TIMES=$$((($(SECONDS) + 9) / 10)) tests/run --only $$t.test box || exit 1; done
proof:  # at length what make test does in short
	$(Q)$(MAKE) sim SEEDS=$(or $(SEEDS),1000)
	$(Q)$(MAKE) fuzz
box: all unit $(B)/bench/attack
	$(Q)tools/setup test && tests/run --build $(B) box
rfc:
	$(Q)tests/tidy.py --rfc
install: all
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin
	$(Q)install $(BIN) $(DESTDIR)$(PREFIX)/bin
	$(Q)set -e; for s in 1 5 8; do for m in tools/man/*.$$s; do [ ! -e $$m ] || \
	  install -D -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$$s/$${m##*/}; done; done
	$(Q)for u in tools/*.service; do [ ! -e $$u ] || \
	  install -D -m 644 $$u $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done
clean:
	$(Q)rm -rf build

include tools/train/train.mk bench/bench.mk
-include $(shell find $(B) -type f -name '*.d' 2>/dev/null)
