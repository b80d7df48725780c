# bench.mk - the part of the Makefile that measures. Every bench/*.c is a program but for the
# parts that load, upstream and forward share.
#   make bench [QUICK=1]

BENCH_HELP := $(patsubst %.c,$(B)/%.o,bench/answer.c bench/loop.c bench/meter.c)
BENCH := $(filter-out $(BENCH_HELP:%.o=%),$(patsubst %.c,$(B)/%,$(wildcard bench/*.c)))

$(B)/bench/%: bench/%.c $(BENCH_HELP) $(LIB)
	$(call say,LD,$@) mkdir -p $(@D) && $(link) $(LDLIBS)

bench:
	$(Q)tools/setup build && { tools/setup bench || true; }  # what is missing is not measured
	$(Q)$(MAKE) all benches
	$(Q)bench/run.py --build $(B) $(if $(QUICK),--rounds 3)
benches: $(BENCH) ; @:
.SECONDARY: $(BENCH_HELP)
.PHONY: benches
