# bench.mk - the part of the Makefile that measures. Every bench/*.c is a program but for the
# parts that load, upstream and forward share.
#   make bench [QUICK=1]
#   make bench-availability [REQUESTS=2000] [ONLY=text]

BENCH_HELP := $(patsubst %.c,$(B)/%.o,bench/answer.c bench/loop.c bench/meter.c)
BENCH := $(filter-out $(BENCH_HELP:%.o=%),$(patsubst %.c,$(B)/%,$(wildcard bench/*.c)))

$(B)/unit/test_bench: $(BENCH_HELP)
$(B)/unit/test_bench: LDLIBS := $(LIB) $(LDLIBS)  # the parts stand behind it else

$(B)/bench/%: bench/%.c $(BENCH_HELP) $(LIB)
	$(call say,LD,$@) mkdir -p $(@D) && $(link) $(LDLIBS)

# simdjson's on-demand reader, which bench_json loads: once per instruction set.
SHIMS := $(if $(and $(wildcard /usr/include/simdjson.h),$(shell command -v g++)), \
         $(if $(findstring x86_64,$(shell uname -m)),icelake haswell))
$(B)/bench/bench_json: $(SHIMS:%=$(B)/bench/simdjson_%.so)
$(B)/bench/simdjson_icelake.so: MARCH := icelake-server
$(B)/bench/simdjson_haswell.so: MARCH := haswell
$(B)/bench/simdjson_%.so: bench/simdjson_shim.cc
	$(call say,CXX,$@) mkdir -p $(@D) && g++ -std=c++17 -O3 -march=$(MARCH) -shared -fPIC \
	  -fvisibility=hidden -DSHIM='"$*"' -o $@ $< -lsimdjson

bench:
	$(Q)tools/setup build && { tools/setup bench || true; }  # what is missing is not measured
	$(Q)$(MAKE) all benches
	$(Q)bench/run.py --build $(B) --self-test
	$(Q)bench/run.py --build $(B) $(if $(QUICK),--rounds 3)
bench-availability: all $(B)/bench/endure
	$(Q)bench/availability.py --build $(B) --requests $(or $(REQUESTS),2000) \
	  $(if $(ONLY),--only '$(ONLY)')
benches: $(BENCH) ; @:
quick: benches  # bench_logic stands in for seams of the engine: whoever changes one sees it
.SECONDARY: $(BENCH_HELP)
.PHONY: benches bench-availability
