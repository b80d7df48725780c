# sim.mk - builds and runs the simulation (tests/sim); included by the Makefile.
#   make sim                    300 seeds, and the planted bugs
#   make sim-availability [REQUESTS=2000]   what is answered when providers fail, a table
#   make sim SEED=n [PLANT=p]   one seed with its trace;  make sim SEEDS=n [FROM=m] [JOBS=j]
# It is the product's own objects, but for the files that have points of store/maybe.h (built
# once more, with WEIR_SIM) and those behind the seams: ring, clock, randomness, sockets.
SIM_POINTS := $(shell grep -l '"store/maybe.h"' engine/*.c store/*.c)
SIM_SRC := $(wildcard tests/sim/*.c)
SIM_OBJ := $(SIM_POINTS:%.c=$(B)/sim/%.o) $(SIM_SRC:%.c=$(B)/sim/%.o)
SIM := $(B)/sim/sim
JOBS ?= 2

$(B)/sim/%.o: %.c | $(GEN)
	$(call say,CC,$< for the simulation) mkdir -p $(@D) && $(compile) -DWEIR_SIM -c -o $@ $<
$(SIM): $(SIM_OBJ) $(if $(SAN),,$(B)/engine/heap_trap.o) $(LIB)
	$(call say,LD,$@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
# Its objects stand before the library, which then leaves out what they define.
$(B)/unit/test_sim_ring: tests/unit/test_sim_ring.c \
                         $(patsubst %,$(B)/sim/tests/sim/%.o,machine wire ring_sim) $(LIB)
	$(call say,TEST,$@) mkdir -p $(@D) && $(link) -lcmocka $(LDLIBS)

sim-availability: $(SIM)
	$(Q)$(SIM) --availability $(or $(REQUESTS),2000)
.PHONY: sim-availability

unit: $(SIM)  # built with the unit tests: an operation that it lacks is noticed at once
sim: $(SIM)
ifdef SEED
	$(Q)$(SIM) --seed $(SEED) $(PLANT:%=--plant %)
else ifdef PLANT
	$(Q)$(SIM) --plant $(PLANT) --jobs $(JOBS)
else
	$(Q)$(SIM) --seeds $(or $(SEEDS),300) --from $(or $(FROM),1) --jobs $(JOBS)
	$(if $(SEEDS),,$(Q)$(SIM) --plants --jobs $(JOBS))
endif
