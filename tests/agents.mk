# agents.mk - coding agents, unmodified, in front of Weir with providers of all four dialects.
#   make agents [AGENT=claude|codex|gemini|opencode] [PROVIDER=chat|responses|messages|gemini]
# Apart from make test: npm installs 1.3 GB into build/agents, once, and a session takes
# seconds. Rule: it runs in a network namespace that has only a loopback, so that nothing but
# Weir can have answered.
AGENTS := build/agents

$(AGENTS)/node_modules/.package-lock.json: tests/agents/package.json
	$(call say,NPM,$(AGENTS)) mkdir -p $(AGENTS) && cp $< $(AGENTS)/ && \
	  npm install --prefix $(AGENTS) --no-audit --no-fund --loglevel error && touch $@

agents: all $(AGENTS)/node_modules/.package-lock.json
	$(Q)unshare $(if $(filter 0,$(shell id -u)),,-r) -n sh -c 'ip link set lo up && \
	  exec node tests/agents/agents.mjs $(AGENTS) $(AGENT) $(PROVIDER)'
.PHONY: agents
