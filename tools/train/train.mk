# train.mk - makes route/gain.weights anew, and measures routing; included by the Makefile.
#   make train          from ../shared/data/routing: rows of split train with use=train only
#   make bench-routing  what the estimate is worth, beside random, length and rule
ROUTING ?= ../shared/data/routing
TRAIN_OBJ := $(patsubst %.c,$(B)/%.o,tools/train/rows.c tools/train/fit.c)

$(B)/train: tools/train/train.c $(TRAIN_OBJ) $(LIB)
	$(call say,LD,$@) $(link) $(LDLIBS)
$(B)/bench/routing: $(TRAIN_OBJ)
$(B)/bench/routing: LDLIBS := $(LIB) $(LDLIBS)  # they stand behind it else
train: $(B)/train
	$(Q)gzip -dc $(ROUTING)/train.jsonl.gz | $(B)/train route/gain.weights
bench-routing: $(B)/bench/routing $(B)/bench/cascade
	$(Q)if [ -e $(ROUTING)/train.jsonl.gz ]; then \
	  gzip -dc $(ROUTING)/train.jsonl.gz $(ROUTING)/dev.jsonl.gz | $<; \
	  gzip -dc $(ROUTING)/dev.jsonl.gz | $(B)/bench/cascade; else \
	  echo "bench-routing: skipped, $(ROUTING) is not there"; fi
.PHONY: train bench-routing
