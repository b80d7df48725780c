/* conf_kit.c - see conf_kit.h. */
#include "tests/unit/conf_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "engine/conf.h"
#include "engine/tables.h"

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

struct conf *conf_of(const char *yaml)
{
    static struct conf_report report;
    struct conf *conf = NULL;
    if (!conf_parse(yaml, strlen(yaml), "weir.yaml", no_env, &conf, &report)) {
        fail_msg("%s", report.text);
    }
    return conf;
}

struct tables *tables_load(struct hosts *hosts, const char *yaml)
{
    struct tables *t = tables_make(conf_of(yaml), hosts, NULL);
    assert_non_null(t);
    return t;
}
