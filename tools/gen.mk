# gen.mk - sources that the build makes; included by the Makefile. Texts and weights become
# arrays with a name (tools/embed.c; several share a file), keywords a table (tools/words.c).
GEN := $(B)/gen/builtin_tsv.c $(B)/gen/page.c $(B)/gen/words.c $(B)/gen/weights.c

$(B)/gen/%.o: $(B)/gen/%.c
	$(call say,CC,$<) $(compile) -c -o $@ $<
embed = printf '/* made by tools/embed.c */\n' >$@.tmp && \
        $(foreach pair,$(1),$< $(subst :, ,$(pair)) >>$@.tmp &&) mv $@.tmp $@
$(B)/embed $(B)/words: $(B)/%: tools/%.c
	$(call say,CC,$<) mkdir -p $(@D) && $(compile) $(LDFLAGS) -o $@ $<
TSV := $(foreach f,$(wildcard route/*.tsv),builtin_$(basename $(notdir $f))_tsv:$f)
$(B)/gen/builtin_tsv.c: $(B)/embed $(wildcard route/*.tsv)
	$(call say,EMBED,$@) mkdir -p $(@D) && $(call embed,$(TSV))
$(B)/gen/page.c: $(B)/embed tools/console/index.html
	$(call say,EMBED,$@) mkdir -p $(@D) && $(call embed,console_html:$(lastword $^))
$(B)/gen/weights.c: $(B)/embed route/gain.weights
	$(call say,EMBED,$@) mkdir -p $(@D) && $(call embed,builtin_gain_weights:$(lastword $^))
$(B)/gen/words.c: $(B)/words route/words.txt
	$(call say,WORDS,$@) mkdir -p $(@D) && $< $(lastword $^) >$@.tmp && mv $@.tmp $@
