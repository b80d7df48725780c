# arm64.mk - the product for aarch64, built and tested on another machine: Debian's cross
# compiler makes all of it, qemu-user runs the unit tests and a few seeds of the simulation.
#   make arm64 [SAN=undefined] [V=1]
# Rule: its libraries lie below build/arm64/root (see tools/setup), the system is left alone.
# The target runs make again with ARM64 set: the same rules, under another B.
ARM64_ROOT := build/arm64/root/usr
ARM64_LIB := $(ARM64_ROOT)/lib/aarch64-linux-gnu
ARM64_RUN := qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$(ARM64_LIB):$(ARM64_LIB)/android

# What qemu-user cannot do: io_uring; the ledger's default map of 64 GiB, in one case of
# test_db; and it adds a line of its own to what a child that aborts says, in test_heap_sealed.
ARM64_OUT := admin conn conn_ends conn_proxy conn_tls ring upstream db heap_sealed
ARM64_UNIT := $(filter-out $(ARM64_OUT:%=$(B)/unit/test_%),$(UNIT))

ifdef ARM64
CPPFLAGS += -isystem $(ARM64_ROOT)/include -isystem $(ARM64_ROOT)/include/android
LDFLAGS += -L$(ARM64_LIB) -L$(ARM64_LIB)/android \
           -Wl,-rpath-link,$(ARM64_LIB):$(ARM64_LIB)/android
$(B)/embed $(B)/words: override CC := gcc  # runs here
endif

arm64:
	$(Q)if tools/setup arm64; then \
	  $(MAKE) ARM64=1 CC=aarch64-linux-gnu-gcc B=$(B)/arm64 arm64-all && \
	  $(ARM64_RUN) $(B)/arm64/weir version | grep scanner && \
	  tests/run --build $(B)/arm64 --through '$(ARM64_RUN)' unit && \
	  $(ARM64_RUN) $(B)/arm64/sim/sim --seeds 20 --jobs 2; \
	else echo 'arm64: skipped, its compiler, emulator or libraries are not to be had here'; fi
arm64-all: all $(ARM64_UNIT) $(SIM) ; @:
.PHONY: arm64 arm64-all
