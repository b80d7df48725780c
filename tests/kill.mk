# kill.mk - the long test of the ledger; included by the Makefile.
#   make kill [ROUNDS=200]     kill -9 under load, so many times: tests/box/ledger.test.mjs

ROUNDS ?= 200

.PHONY: kill
kill: all
	$(Q)tools/setup test
	$(Q)WEIR_ROUNDS=$(ROUNDS) WEIR_TIMES=$$((1 + $(ROUNDS) / 20)) \
	  tests/run --build $(B) --only ledger.test box
