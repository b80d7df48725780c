/* conf_kit.h - a configuration out of a text, without an environment, for tests that need it or
 * the tables it leads to. */
#ifndef TESTS_UNIT_CONF_KIT_H
#define TESTS_UNIT_CONF_KIT_H

struct conf;
struct hosts;
struct tables;

/* The configuration, which must be a good one. The caller frees it. */
struct conf *conf_of(const char *yaml);
/* The first version of its tables. The caller frees it. */
struct tables *tables_load(struct hosts *hosts, const char *yaml);

#endif
