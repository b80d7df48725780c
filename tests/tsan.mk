# tsan.mk - what threads share without a lock, under ThreadSanitizer (clang): journals, cells,
# the fold beside writing cores, mailboxes.
#   make tsan
# Rule: only what these tests need is built, below build/san-thread, so that it takes seconds
# where a whole build with SAN=thread takes minutes.
TSAN_UNIT := journal budget fold mailbox
TSAN_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard store/*.c))

$(B)/tsan/%: tests/unit/%.c $(TSAN_OBJ)
	$(call say,TEST,$@) mkdir -p $(@D) && $(link) -lcmocka $(LDLIBS)
tsan:
	$(Q)$(MAKE) CC=clang SAN=thread tsan-run
tsan-run: $(TSAN_UNIT:%=$(B)/tsan/test_%)
	$(Q)for t in $^; do TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 $$t || exit 1; done
.PHONY: tsan tsan-run
