/* fuzz_conf.c - properties of the configuration reader, for any bytes:
 *   1. there is a configuration, or there is at least one error; never both, never neither;
 *   2. the report is one text without control bytes, and counts what it shows;
 *   3. what a variable holds is never in the report;
 *   4. a configuration that was accepted keeps its own rules: ranges, sorted models, targets
 *      that exist. */
#include "engine/conf.h"

#include <stdlib.h>

#define REQUIRE(x) do { if (!(x)) abort(); } while (0)

static const char secret[] = "Zq7-hidden-value";

static const char *env(const char *name)
{
    if (strcmp(name, "K") == 0 || strcmp(name, "OPENAI_API_KEY") == 0) return secret;
    if (strcmp(name, "N") == 0) return "4";
    if (strcmp(name, "GEMINI_API_KEY") == 0) return "x";
    return NULL;
}

static void check_report(const struct conf_report *r, bool shown_before)
{
    REQUIRE(r->len < sizeof r->text);
    REQUIRE(strlen(r->text) == r->len);
    REQUIRE(r->len == 0 || r->text[r->len - 1] == '\n');
    REQUIRE((r->len == 0) == (r->error_count == 0 && r->warning_count == 0));
    REQUIRE(shown_before || !strstr(r->text, secret));
    for (size_t i = 0; i < r->len; i++) {
        unsigned char c = (unsigned char)r->text[i];
        REQUIRE(c >= 0x20 || c == '\n' || c == '\t');
        REQUIRE(c != 0x7F);
    }
}

static void check_catalog(const struct catalog *c)
{
    for (uint32_t i = 0; i < c->provider_count; i++) {
        const struct catalog_provider *p = &c->provider[i];
        REQUIRE(p->name && p->host && *p->host && p->base_path && p->auth && p->region);
        REQUIRE(p->dialect < DIALECT_OTHER && p->port > 0 && p->weight == 1);
        REQUIRE(p->connect_ns > 0 && p->total_ns > 0);
        REQUIRE(p->key_count <= CATALOG_KEYS_MAX && p->header_count <= CATALOG_HEADERS_MAX);
        REQUIRE(catalog_provider_find(c, bytes_of(p->name)) == (int32_t)i);
    }
    for (uint32_t i = 0; i < c->model_count; i++) {
        const struct catalog_model *m = &c->model[i];
        REQUIRE(i == 0 || strcmp(c->model[i - 1].id, m->id) < 0);
        REQUIRE(strlen(m->id) <= CATALOG_NAME_MAX && *m->bare && *m->upstream);
        REQUIRE(m->provider < c->provider_count && m->price.count > 0);
    }
    for (uint32_t i = 0; i < c->alias_count; i++) {
        const struct catalog_alias *a = &c->alias[i];
        REQUIRE(*a->pattern && a->target_count > 0);
        for (uint16_t t = 0; t < a->target_count; t++) {
            uint32_t first, count;
            struct bytes name = bytes_of(a->target[t]);
            REQUIRE(catalog_find(c, name) >= 0 || catalog_bare(c, name, &first, &count));
        }
    }
}

static void check_conf(const struct conf *c)
{
    REQUIRE(c->listen_count >= 1 && c->listen_count <= CONF_LISTEN_MAX);
    for (uint8_t i = 0; i < c->listen_count; i++) REQUIRE(c->listen[i].address[0]);
    REQUIRE(c->admin.address[0] && c->data[0] && c->cores <= 256);
    REQUIRE(c->mode == MODE_BALANCED && !c->durability_power && c->log_level <= 3);
    REQUIRE(c->max_attempts >= 1 && c->max_attempts <= 8);
    REQUIRE(c->limit_body && c->limit_header && c->limit_connections);
    REQUIRE(c->header_ns && c->body_ns && c->idle_ns && c->write_ns);
    REQUIRE(c->retain_requests_ns && c->retain_aggregates_ns);
    check_catalog(&c->catalog);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf_report report;
    struct conf *conf = NULL;
    bool shown = size && memmem(data, size, secret, sizeof secret - 1);
    bool good = conf_parse((const char *)data, size, "f", env, &conf, &report);
    REQUIRE(good == (conf != NULL));
    REQUIRE(good == (report.error_count == 0));
    check_report(&report, shown);
    if (good) check_conf(conf);
    conf_free(conf);
    return 0;
}
