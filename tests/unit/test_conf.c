/* test_conf.c - the configuration: every sentence it can refuse with and where it points
 * (conf_cases.h), every value it gives, every limit at max and max + 1, and that no report
 * holds a secret. Inputs end at an unreadable page. */
#include "engine/conf.h"
#include "route/score.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/conf_cases.h"

enum { ROOM = 6 << 20, TEXT_MAX = 8192 };

static char *wall;               /* the first byte that must not be read */
static struct conf_report report;

static int setup(void **state)
{
    (void)state;
    char *map = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
    if (map == MAP_FAILED || mprotect(map + ROOM, 4096, PROT_NONE) != 0) return -1;
    wall = map + ROOM;
    return 0;
}

static const char *plain_env(const char *name)
{
    static const char *const set[][2] = {
        {"OPENAI_API_KEY", "k"}, {"WORD", "word"}, {"EMPTY", ""}, {"FOUR", "4"},
        {"HIDDEN", "hunter2"},
    };
    for (size_t i = 0; i < COUNT(set); i++) {
        if (strcmp(set[i][0], name) == 0) return set[i][1];
    }
    return NULL;
}

static struct conf *parse_len(const char *yaml, size_t len, const char *(*env)(const char *))
{
    struct conf *conf = NULL;
    assert_true(len <= ROOM);
    memcpy(wall - len, yaml, len);
    bool good = conf_parse(wall - len, len, "t.yaml", env, &conf, &report);
    assert_true(good == (report.error_count == 0));
    assert_true(good == (conf != NULL));
    assert_int_equal(strlen(report.text), report.len);
    return conf;
}

static struct conf *parse(const char *yaml)
{
    return parse_len(yaml, strlen(yaml), plain_env);
}

/* The report without file name, source lines and carets, in the form of conf_cases.h. */
static void said(char out[TEXT_MAX])
{
    size_t len = 0;
    out[0] = '\0';
    const char *line = report.text;
    while (*line) {
        const char *end = strchr(line, '\n');
        assert_non_null(end);
        const char *error = strstr(line, ": error: ");
        if (strncmp(line, "t.yaml:", 7) == 0 && error && error < end) {
            len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%.*s %.*s", len ? " | " : "",
                                    (int)(error - line - 7), line + 7, (int)(end - error - 9),
                                    error + 9);
        }
        line = end + 1;
    }
}

static void check_refusals(const struct refusal *cases, size_t count)
{
    char heard[TEXT_MAX];
    for (size_t i = 0; i < count; i++) {
        assert_null(parse(cases[i].yaml));
        said(heard);
        if (strcmp(heard, cases[i].said) != 0) print_error("in: %s\n", cases[i].yaml);
        assert_string_equal(heard, cases[i].said);
    }
}

static void test_settings_are_refused(void **state)
{
    (void)state;
    check_refusals(refused_settings, COUNT(refused_settings));
}

static void test_catalogue_is_refused(void **state)
{
    (void)state;
    check_refusals(refused_catalogue, COUNT(refused_catalogue));
}

/* ---- values ---- */

#define NUMBER(member) {#member, offsetof(struct conf, member), \
                        sizeof(((struct conf *)0)->member)}
static const struct { const char *name; size_t at, size; } numbers[] = {
    NUMBER(listen_count), NUMBER(cores), NUMBER(drain_ns), NUMBER(log_json), NUMBER(log_level),
    NUMBER(mode), NUMBER(max_attempts), NUMBER(quality_floor), NUMBER(explore),
    NUMBER(hedge_mode), NUMBER(hedge_after), NUMBER(hedge_share),
    NUMBER(balance_cost), NUMBER(balance_time), NUMBER(auto_count),
    NUMBER(cascade_mode), NUMBER(cascade_agree), NUMBER(cascade_on),
    NUMBER(limit_body), NUMBER(limit_header),
    NUMBER(limit_answer), NUMBER(limit_hold), NUMBER(limit_connections), NUMBER(limit_memory),
    NUMBER(header_ns), NUMBER(body_ns), NUMBER(idle_ns), NUMBER(write_ns),
    NUMBER(retain_requests_ns), NUMBER(retain_aggregates_ns), NUMBER(unknown_price_allow),
    NUMBER(durability_power), NUMBER(zero_retention), NUMBER(core_dumps),
};

static uint64_t number_at(const struct conf *c, size_t i)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)c + numbers[i].at, numbers[i].size);   /* little endian */
    return value;
}

/* What differs from the defaults, as "name=value" joined by blanks. */
static void changed(const struct conf *c, const struct conf *usual, char out[TEXT_MAX])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < COUNT(numbers); i++) {
        if (number_at(c, i) == number_at(usual, i)) continue;
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s=%" PRIu64, len ? " " : "",
                                numbers[i].name, number_at(c, i));
    }
    const char *texts[][3] = {
        {"data", c->data, usual->data},
        {"listen", c->listen[0].address, usual->listen[0].address},
        {"listen2", c->listen[1].address, usual->listen[1].address},
        {"admin", c->admin.address, usual->admin.address},
        {"token", c->admin_token, usual->admin_token},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (strcmp(texts[i][1], texts[i][2]) == 0) continue;
        len += (size_t)snprintf(out + len, TEXT_MAX - len, "%s%s=%s", len ? " " : "",
                                texts[i][0], texts[i][1]);
    }
}

static void test_values(void **state)
{
    (void)state;
    struct conf *usual = parse("");
    char heard[TEXT_MAX];
    for (size_t i = 0; i < COUNT(values); i++) {
        struct conf *c = parse(values[i].yaml);
        if (!c) print_error("in: %s\n%s", values[i].yaml, report.text);
        assert_non_null(c);
        /* No model here can go on, which is warned of (test_conf_provider.c). */
        if (!strstr(values[i].yaml, "resume")) assert_int_equal(report.len, 0);
        changed(c, usual, heard);
        if (strcmp(heard, values[i].changed) != 0) print_error("in: %s\n", values[i].yaml);
        assert_string_equal(heard, values[i].changed);
        conf_free(c);
    }
    conf_free(usual);
}

static void test_defaults_are_the_contract(void **state)
{
    (void)state;
    const uint64_t s = 1000000000, day = 86400 * s;
    struct conf *c = NULL;
    assert_true(conf_load(NULL, NULL, &c, &report));
    assert_string_equal(c->listen[0].address, "127.0.0.1:8080");
    assert_int_equal(c->listen_count, 1);
    assert_string_equal(c->admin.address, "127.0.0.1:8081");
    assert_string_equal(c->data, "./weir-data");
    assert_int_equal(c->cores, 0);
    assert_int_equal(c->drain_ns, 30 * s);
    assert_true(!c->log_json && c->log_level == 2 && c->mode == MODE_BALANCED);
    assert_int_equal(c->max_attempts, 4);
    assert_int_equal(c->auto_count, 1);
    assert_string_equal(c->auto_globs[0].ptr, "*");
    assert_int_equal(c->quality_floor, 950000);
    assert_int_equal(c->hedge_mode, HEDGE_LATENCY);
    assert_int_equal(c->hedge_after, SCORE_P95);
    assert_int_equal(c->hedge_share, 50000);
    assert_int_equal(c->explore, 20000);
    assert_true(c->balance_cost == 500000 && c->balance_time == 500000);
    assert_int_equal(c->limit_body, 32 << 20);
    assert_int_equal(c->limit_header, 64 << 10);
    assert_int_equal(c->limit_answer, 64 << 20);
    assert_int_equal(c->limit_hold, 1 << 20);
    assert_int_equal(c->limit_connections, 100000);
    assert_int_equal(c->limit_memory, 0);
    assert_int_equal(c->header_ns, 10 * s);
    assert_int_equal(c->body_ns, 30 * s);
    assert_int_equal(c->idle_ns, 75 * s);
    assert_int_equal(c->write_ns, 60 * s);
    assert_int_equal(c->retain_requests_ns, 90 * day);
    assert_int_equal(c->retain_aggregates_ns, 400 * day);
    assert_true(!c->unknown_price_allow && !c->durability_power && c->zero_retention);
    assert_false(c->core_dumps);
    assert_string_equal(c->admin_token, "");
    assert_int_equal(c->catalog.provider_count, 0);
    assert_int_equal(c->catalog.model_count, 0);
    conf_free(c);
    conf_free(NULL);
}

/* ---- the catalogue ---- */

static const struct catalog_model *model(const struct conf *c, const char *id)
{
    int32_t at = catalog_find(&c->catalog, bytes_of(id));
    assert_true(at >= 0);
    return &c->catalog.model[at];
}

static void test_provider_in_full(void **state)
{
    (void)state;
    struct conf *c = parse(
        "providers:\n"
        "  - name: local\n    dialect: openai\n    url: https://127.0.0.1:8443/v1/\n"
        "    auth: x-api-key\n    keys: [\"${HIDDEN}\", 'two', 3]\n"
        "    headers: {x-team: \" platform \", X-N: 5}\n    region: eu\n"
        "    zero_retention: true\n    queue: 3s\n    weight: 7\n"
        "    concurrency: 200\n    rpm: 5\n    tpm: 6000000000\n"
        "    timeouts: {connect: 1s, first_byte: 3s, stall: 4s, total: 5s}\n"
        "  - name: grok\n"
        "  - {name: vllm, url: \"http://gpu:8000/v1\", keys: [a]}\n"
        "  - {name: ollama}\n");
    assert_non_null(c);
    assert_int_equal(c->catalog.provider_count, 4);
    const struct catalog_provider *p = &c->catalog.provider[0];
    assert_string_equal(p->host, "127.0.0.1");
    assert_string_equal(p->base_path, "/v1");
    assert_true(p->tls && p->host_is_ip && p->zero_retention && p->port == 8443);
    assert_string_equal(p->auth, "x-api-key");
    assert_int_equal(p->key_count, 3);
    assert_string_equal(p->key[0], "hunter2");
    assert_string_equal(p->key[2], "3");
    assert_int_equal(p->header_count, 2);
    assert_string_equal(p->header_name[0], "x-team");
    assert_string_equal(p->header_value[0], "platform");
    assert_string_equal(p->region, "eu");
    assert_int_equal(p->connect_ns, 1000000000);
    assert_int_equal(p->first_byte_ns, 3000000000);
    assert_int_equal(p->stall_ns, 4000000000);
    assert_int_equal(p->total_ns, 5000000000);
    assert_int_equal(p->weight, 7);
    assert_int_equal(p->queue_ns, 3000000000);
    assert_true(p->concurrency == 200 && p->rpm == 5 && p->tpm == 6000000000);
    p = &c->catalog.provider[1];   /* another name of xai, which has no key */
    assert_string_equal(p->name, "grok");
    assert_string_equal(p->host, "api.x.ai");
    assert_string_equal(p->auth, "bearer");
    assert_string_equal(p->region, "global");
    assert_true(p->weight == 1 && p->queue_ns == 2000000000);
    assert_true(!p->concurrency && !p->rpm && !p->tpm);
    assert_true(p->connect_ns == 2000000000 && p->total_ns == 3600000000000);
    assert_true(p->first_byte_ns == 0 && p->stall_ns == 0);
    assert_true(p->key_count == 0 && !p->host_is_ip);
    assert_int_equal(report.warning_count, 1);
    assert_non_null(strstr(report.text,
                           "t.yaml:16:11: warning: the provider 'grok' has no key: set "
                           "XAI_API_KEY, or keys\n  - name: grok\n"));
    assert_string_equal(c->catalog.provider[2].auth, "bearer");   /* a key was given */
    assert_string_equal(c->catalog.provider[3].auth, "none");
    bool under_its_name = false;     /* the models of xai, as grok/... */
    for (uint32_t i = 0; i < c->catalog.model_count; i++) {
        under_its_name = under_its_name || strncmp(c->catalog.model[i].id, "grok/", 5) == 0;
        assert_true(strncmp(c->catalog.model[i].id, "xai/", 4) != 0);
    }
    assert_true(under_its_name);
    conf_free(c);
}

static const char *many_env(const char *name)
{
    if (strcmp(name, "GROQ_API_KEY") == 0) return "g";
    if (strcmp(name, "OPENAI_API_KEY") == 0) return "o";
    if (strcmp(name, "MISTRAL_API_KEY") == 0) return "";
    if (strcmp(name, "DEEPSEEK_API_KEY") == 0) return "two words";
    if (strcmp(name, "ANTHROPIC_API_KEY") == 0) return "a";
    if (strcmp(name, "AZURE_API_KEY") == 0) return "z";
    if (strcmp(name, "AWS_BEARER_TOKEN_BEDROCK") == 0) return "c";
    if (strcmp(name, "WEIR_ADMIN_TOKEN") == 0) return "root-token";
    return NULL;
}

static void test_providers_from_the_environment(void **state)
{
    (void)state;
    const char *yaml = "admin: {token: other}\naliases: {a: openai/gpt-4o}\n";
    struct conf *c = parse_len(yaml, strlen(yaml), many_env);
    assert_non_null(c);
    assert_string_equal(c->admin_token, "root-token");
    assert_int_equal(c->catalog.provider_count, 3);
    assert_string_equal(c->catalog.provider[0].name, "openai");
    assert_string_equal(c->catalog.provider[0].key[0], "o");
    assert_string_equal(c->catalog.provider[1].name, "anthropic");
    assert_string_equal(c->catalog.provider[1].auth, "x-api-key");
    assert_int_equal(c->catalog.provider[1].dialect, DIALECT_ANTHROPIC);
    assert_string_equal(c->catalog.provider[2].name, "groq");
    assert_int_equal(report.warning_count, 3);
    assert_non_null(strstr(report.text,
                           "AWS_BEARER_TOKEN_BEDROCK is set, but bedrock needs region, or "
                           "AWS_REGION; it is left out\n"));
    assert_non_null(strstr(report.text, "AZURE_API_KEY is set, but azure needs resource, or "));
    assert_non_null(strstr(report.text, "DEEPSEEK_API_KEY is not one word"));
    conf_free(c);
    yaml = "providers: [{name: groq}]";   /* a list leaves all others out, silently */
    c = parse_len(yaml, strlen(yaml), many_env);
    assert_non_null(c);
    assert_int_equal(c->catalog.provider_count, 1);
    assert_int_equal(report.len, 0);
    conf_free(c);
    yaml = "providers: [{name: groq, keys: }]";
    c = parse_len(yaml, strlen(yaml), many_env);
    assert_non_null(c);
    assert_string_equal(c->catalog.provider[0].key[0], "g");
    conf_free(c);
    yaml = "providers: []";
    c = parse_len(yaml, strlen(yaml), many_env);
    assert_int_equal(c->catalog.provider_count, 0);
    conf_free(c);
}

static void test_models(void **state)
{
    (void)state;
    struct conf *c = parse(
        "models:\n"
        "  - id: openai/mine/v2\n    context: 131072\n    max_output: 32768\n"
        "    supports: [tools, json_schema]\n    upstream: org/mine\n"
        "    price: {input: \"0.10\", cached: 0.02, output: \"0.30\", request: 0.001,\n"
        "            tiers: [{above: 200000, input: \"0.20\"}]}\n"
        "  - id: openai/gpt-4o\n    context: 77\n"
        "  - id: openai/gpt-4o-mini\n    price: [{input: 1, output: 2}, "
        "{from: 2026-03-01, input: 3, output: 4}]\n"
        "  - id: openai/bare\n");
    assert_non_null(c);
    const struct catalog_model *m = model(c, "openai/mine/v2");
    assert_string_equal(m->bare, "mine/v2");
    assert_string_equal(m->upstream, "org/mine");
    assert_true(m->context == 131072 && m->max_output == 32768 && m->configured);
    assert_int_equal(m->abilities + 16 * m->lacks, 5 + 16 * 10);    /* a list is whole */
    const struct price *p = &m->price.at[0];
    assert_true(m->price.count == 1 && p->known && p->tier_count == 1);
    assert_int_equal(p->kind[PRICE_INPUT], 100000);
    assert_int_equal(p->kind[PRICE_CACHED], 20000);
    assert_int_equal(p->kind[PRICE_CACHE_WRITE], 125000);
    assert_int_equal(p->kind[PRICE_CACHE_WRITE_1H], 200000);
    assert_int_equal(p->kind[PRICE_OUTPUT], 300000);
    assert_int_equal(p->request, 1000000000);
    assert_int_equal(p->tier[0].above, 200000);
    assert_int_equal(p->tier[0].kind[PRICE_INPUT], 200000);
    assert_int_equal(p->tier[0].kind[PRICE_CACHED], 200000);
    assert_int_equal(p->tier[0].kind[PRICE_OUTPUT], 300000);
    m = model(c, "openai/gpt-4o");   /* one field changed, the rest built in */
    assert_true(m->context == 77 && m->configured && m->price.at[0].known);
    assert_int_equal(m->price.at[0].kind[PRICE_INPUT], 2500000);
    assert_int_equal(m->max_output, 16384);
    assert_string_equal(m->upstream, "gpt-4o");
    m = model(c, "openai/gpt-4o-mini");
    assert_int_equal(m->price.count, 2);
    assert_int_equal(m->price.at[0].kind[PRICE_CACHED], 1000000);   /* replaced whole */
    assert_int_equal(m->price.at[1].from_unix_s, 1772323200);   /* date -ud 2026-03-01 +%s */
    m = model(c, "openai/bare");
    assert_true(m->price.count == 1 && !m->price.at[0].known && m->context + m->lacks == 0);
    m = model(c, "openai/gpt-4.1");
    assert_true(!m->configured && m->abilities == (ABILITY_TOOLS | ABILITY_VISION |
                                                   ABILITY_JSON_SCHEMA));
    conf_free(c);
}

static void test_dates(void **state)
{
    (void)state;
    static const struct { const char *day; uint64_t unix_s; } cases[] = {
        {"1970-01-01", 0}, {"1970-03-01", 5097600}, {"1972-02-29", 68169600},
        {"2000-02-29", 951782400}, {"2000-12-31", 978220800}, {"2100-03-01", 4107542400},
        {"2026-01-31", 1769817600}, {"9999-12-31", 253402214400},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, "models: [{id: openai/x, price: {from: %s, input: 1, "
                 "output: 1}}]", cases[i].day);
        struct conf *c = parse(yaml);
        assert_non_null(c);
        assert_int_equal(model(c, "openai/x")->price.at[0].from_unix_s, cases[i].unix_s);
        conf_free(c);
    }
    static const char *const wrong[] = {"2026-13-01", "2026-00-01", "2026-04-31", "2100-02-29",
                                        "1969-12-31", "2026-1-01", "2026/01/01", "26-01-01x"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        char yaml[256];
        snprintf(yaml, sizeof yaml, "models: [{id: openai/x, price: {from: %s, input: 1, "
                 "output: 1}}]", wrong[i]);
        assert_null(parse(yaml));
    }
}

static void test_aliases(void **state)
{
    (void)state;
    struct conf *c = parse("aliases: {fast: \"openai/gpt-4o\", \"gpt-9*\": gpt-4o-mini, "
                           "smart: [openai/gpt-4o, gpt-4.1]}");
    assert_non_null(c);
    assert_int_equal(c->catalog.alias_count, 3);
    const struct catalog_alias *a = c->catalog.alias;
    assert_string_equal(a[0].pattern, "fast");
    assert_true(!a[0].is_list && a[0].target_count == 1);
    assert_string_equal(a[1].target[0], "gpt-4o-mini");
    assert_true(a[2].is_list && a[2].target_count == 2);
    assert_string_equal(a[2].target[1], "gpt-4.1");
    assert_int_equal(catalog_alias_find(&c->catalog, BYTES("gpt-9-turbo")), 1);
    conf_free(c);
    /* A known provider that is not switched on here: the alias goes without, with a warning. */
    c = parse("aliases: {smart: [groq/llama-x, openai/gpt-4o]}");
    assert_non_null(c);
    assert_int_equal(c->catalog.alias[0].target_count, 2);
    conf_free(c);
}

/* ---- how it is printed ---- */

static void test_layout(void **state)
{
    (void)state;
    assert_null(parse("cores: 2\nlog: {format:\txml}\n"));
    assert_string_equal(report.text,
        "t.yaml:2:15: error: log.format is 'xml'; it takes one of text, json\n"
        "log: {format:\txml}\n"
        "             \t^\n");
    assert_null(parse("\xC3\xA9\xC3\xA9: 1 # \xE2\x82\xAC\ndata: \"a\\nb\\x1b[31m\"\n"));
    assert_string_equal(report.text,
        "t.yaml:1:1: error: unknown setting '\xC3\xA9\xC3\xA9'\n"
        "\xC3\xA9\xC3\xA9: 1 # \xE2\x82\xAC\n"
        "^\n"
        "t.yaml:2:7: error: data is 'a?b?[31m'; it takes text of 1 to 1023 bytes (a number "
        "needs quotes)\n"
        "data: \"a\\nb\\x1b[31m\"\n"
        "      ^\n");
}

static void test_long_line_is_cut_around_the_place(void **state)
{
    (void)state;
    char yaml[4096], pad[1001];
    memset(pad, 'x', 1000);
    pad[1000] = '\0';
    snprintf(yaml, sizeof yaml, "{data: \"%s\", cores: nine, drain: 1s}", pad);
    assert_null(parse(yaml));
    const char *line = strchr(report.text, '\n') + 1;
    const char *caret = strchr(line, '\n') + 1;
    size_t at = strcspn(caret, "^");
    assert_int_equal(at, 40);
    assert_memory_equal(line + at, "nine, drain", 11);
    assert_true(caret - line < 130);
    memset(yaml, 'y', 3000);         /* and a long value */
    memcpy(yaml, "cores: ", 7);
    yaml[3000] = '\0';
    assert_null(parse(yaml));
    assert_non_null(strstr(report.text, "yyy...'; it takes auto"));
}

static void test_twenty_are_shown_in_order(void **state)
{
    (void)state;
    char yaml[TEXT_MAX] = "";
    size_t len = 0;
    for (int i = 0; i < 20; i++) {
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "a%02d: 1\n", i);
    }
    assert_null(parse(yaml));
    assert_int_equal(report.error_count, 20);
    assert_null(strstr(report.text, "more error"));
    snprintf(yaml + len, sizeof yaml - len, "a20: 1\n");
    assert_null(parse(yaml));
    assert_int_equal(report.error_count, 21);
    assert_non_null(strstr(report.text, "\n... and 1 more error\n"));
    assert_non_null(strstr(report.text, "t.yaml:20:1:"));
    assert_null(strstr(report.text, "t.yaml:21:1:"));
    snprintf(yaml + len, sizeof yaml - len, "a20: 1\na21: 1\n");
    assert_null(parse(yaml));
    assert_non_null(strstr(report.text, "\n... and 2 more errors\n"));
    /* models are read after all else, and shown where they stand */
    assert_null(parse("aliases: {a: zzz}\nmodels: [5]\ncores: 0\n"));
    char heard[TEXT_MAX];
    said(heard);
    assert_string_equal(heard, "1:14 no model is called 'zzz' | 2:10 an entry of models is "
        "'5'; it takes a map | 3:8 cores is '0'; it takes auto, or a whole number from 1 to "
        "256");
    /* also where twenty others are known before the first one of the file is */
    len = (size_t)snprintf(yaml, sizeof yaml, "aliases: {a: zzz}\n");
    for (int i = 0; i < 25; i++) {
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "a%02d: 1\n", i);
    }
    assert_null(parse(yaml));
    assert_int_equal(report.error_count, 26);
    assert_memory_equal(report.text, "t.yaml:1:14:", 12);
    assert_non_null(strstr(report.text, "t.yaml:20:1:"));
    assert_null(strstr(report.text, "t.yaml:21:1:"));
    assert_non_null(strstr(report.text, "\n... and 6 more errors\n"));
}

/* Long names and wide characters must not make a report overflow or lose its count. */
static void test_the_report_is_bounded(void **state)
{
    (void)state;
    static char yaml[200 * 600];
    size_t len = 0;
    for (int i = 0; i < 100; i++) {
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "\"%03d", i);
        for (int k = 0; k < 250; k++) {
            memcpy(yaml + len, "\xF0\x9F\x98\x80", 4);
            len += 4;
        }
        len += (size_t)snprintf(yaml + len, sizeof yaml - len, "\": 1\n");
    }
    assert_null(parse_len(yaml, len, plain_env));
    assert_int_equal(report.error_count, 100);
    assert_non_null(strstr(report.text, "... and "));
    assert_int_equal(report.text[report.len - 1], '\n');
}

static void test_secrets_are_never_shown(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "providers: [{name: x, url: \"http://h\", keys: [\"hunter2\", \"b c\"]}]",
        "providers: [{name: x, url: \"http://h\", keys: hunter2}]",
        "providers: [{name: x, url: \"http://h\", keys: {a: hunter2}}]",
        "providers: [{name: x, url: \"http://h\", kesy: [hunter2]}]",
        "providers: [{name: x, url: \"http://h\", api_key: hunter2}]",
        "providers: [{name: x, url: \"http://h\", keys: [], keys: [hunter2]}]",
        "providers: [{name: x, url: \"http://h\", headers: {host: hunter2}}]",
        "providers: [{name: x, url: \"http://h\", headers: hunter2}]",
        "providers: [{name: x, url: \"http://hunter2@h\"}]",
        "providers: [{name: \"${HIDDEN}\"}]",
        "providers: [{name: x, url: \"${HIDDEN}\"}]",
        "models: [{id: \"${HIDDEN}/x\"}]",
        "models: [{id: \"${HIDDEN}\"}]",
        "aliases: {a: \"${HIDDEN}\", b: \"x/${HIDDEN}\"}",
        "listen: [\"${HIDDEN}\"]",
        "log: {level: \"${HIDDEN}\"}",
        "data: \"sk-hunter2hunter2\"\ncores: sk-hunter2hunter2",
        "admin: {token: [hunter2]}",
        "admin: {token: \"hunter2 x\"}",
        "admin: {tokne: hunter2}",
        "api_key: hunter2",
        "- hunter2",
        "hunter2",
        "providers:\n  - keys: [\"hunter2\"\n    url: x",
        "providers:\n  - keys:\n    - hunter2\n    - [ hunter2\n",
        "providers:\n  - keys:\n      - hunter2: a: b\n",
        "providers: [{name: x, keys: [hunter2, *a]}]",
        "providers: [{name: x, keys: [\n hunter2,\nhunter2 ] ] ",
        "admin: {token: hunter2: x}",
        "? keys\n: - hunter2: a: b",
        "a: b\rkeys:\r - hunter2: a: b",
        "keys: !tag hunter2",
        "token: \"hunter2",
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_null(parse(cases[i]));
        if (strstr(report.text, "hunter2")) print_error("in: %s\n%s", cases[i], report.text);
        assert_null(strstr(report.text, "hunter2"));
    }
    /* what is a number, or only says where a secret is, may be seen */
    assert_null(parse("models: [{id: openai/x, max_tokens: 5}]"));
    assert_non_null(strstr(report.text, "max_tokens: 5}"));
    assert_null(parse("providers: [{name: x, url: \"http://h\", keys: [\"${NOPE}\"]}]"));
    assert_non_null(strstr(report.text, "keys: [\"${NOPE}\"]"));
}

/* ---- limits ---- */

/* "head" + n times "item" with its number for each %d + "tail". */
static bool list_is_good(const char *head, const char *item, size_t n, const char *tail)
{
    static char yaml[1 << 20];
    size_t len = (size_t)snprintf(yaml, sizeof yaml, "%s", head);
    for (size_t i = 0; i < n; i++) {
        for (const char *c = item; *c; c++) {
            if (*c != '#') yaml[len++] = *c;
            else len += (size_t)snprintf(yaml + len, sizeof yaml - len, "%zu", i + 1);
        }
    }
    len += (size_t)snprintf(yaml + len, sizeof yaml - len, "%s", tail);
    struct conf *c = parse_len(yaml, len, plain_env);
    bool good = c != NULL;
    conf_free(c);
    return good;
}

static void test_limits_at_max_and_beyond(void **state)
{
    (void)state;
    static const struct { const char *head, *item, *tail; size_t max; } cases[] = {
        {"listen: [", "\"127.0.0.1:#\",", "]", CONF_LISTEN_MAX},
        {"providers: [{name: x, url: \"http://h\", keys: [", "k#,", "]}]", CATALOG_KEYS_MAX},
        {"providers: [{name: x, url: \"http://h\", headers: {", "h#: v,", "}}]",
         CATALOG_HEADERS_MAX},
        {"providers: [", "{name: p#, url: \"http://h\"},", "]", CATALOG_PROVIDERS_MAX},
        {"models: [{id: openai/x, price: {input: 1, output: 1, tiers: [", "{above: #},", "]}}]",
         PRICE_TIERS_MAX},
        {"models: [{id: openai/x, price: [", "{from: 200#-01-01, input: 1, output: 1},", "]}]",
         PRICE_DATES_MAX},
        {"aliases: {a: [", "gpt-4o,", "]}", 255},
        {"data: ", "a", "", 1023},
        {"providers: [{url: \"http://h\", name: ", "a", "}]", 64},
        {"models: [{id: openai/", "a", "}]", CATALOG_NAME_MAX - 7},
        {"admin: {token: ", "a", "}", 255},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool at = list_is_good(cases[i].head, cases[i].item, cases[i].max, cases[i].tail);
        if (!at) print_error("at max: %s\n%s", cases[i].head, report.text);
        assert_true(at);
        bool beyond = list_is_good(cases[i].head, cases[i].item, cases[i].max + 1,
                                   cases[i].tail);
        if (beyond) print_error("beyond max: %s\n", cases[i].head);
        assert_false(beyond);
    }
    assert_false(list_is_good("", "[", 32, ""));
    assert_null(strstr(report.text, "inside each other"));
    assert_false(list_is_good("", "[", 33, ""));
    assert_non_null(strstr(report.text, "more than 32 lists and maps inside each other"));
}

static void test_a_file_of_4_mib_is_the_largest(void **state)
{
    (void)state;
    enum { MAX = 4 << 20 };
    char *yaml = malloc(MAX + 1);
    assert_non_null(yaml);
    for (size_t i = 0; i <= MAX; i++) yaml[i] = i % 80 == 79 ? '\n' : '#';
    struct conf *c = parse_len(yaml, MAX, plain_env);
    assert_non_null(c);
    conf_free(c);
    assert_null(parse_len(yaml, MAX + 1, plain_env));
    assert_string_equal(report.text, "t.yaml: error: the file is larger than 4 MiB\n");
    free(yaml);
}

/* ---- files ---- */

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void test_file_references(void **state)
{
    (void)state;
    static const struct { const char *text; size_t len; const char *token; } cases[] = {
        {"abc\n", 4, "abc"}, {"abc\r\n", 5, "abc"}, {"abc", 3, "abc"},
        {"abc\n\n", 5, NULL}, {"", 0, NULL}, {"\n", 1, NULL}, {"a b\n", 4, NULL},
        {"a\0b", 3, NULL},
    };
    char path[] = "/tmp/weir-test-conf-XXXXXX", yaml[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(yaml, sizeof yaml, "admin: {token: \"${file:%s}\"}", path);
    for (size_t i = 0; i < COUNT(cases); i++) {
        write_file(path, cases[i].text, cases[i].len);
        struct conf *c = parse(yaml);
        assert_int_equal(c != NULL, cases[i].token != NULL);
        if (c) assert_string_equal(c->admin_token, cases[i].token);
        conf_free(c);
    }
    static char large[(64 << 10) + 2];
    memset(large, 'a', sizeof large);
    write_file(path, large, (64 << 10) + 1);
    assert_null(parse(yaml));
    assert_non_null(strstr(report.text, "larger than 64 KiB"));
    write_file(path, large, 64 << 10);
    assert_null(parse(yaml));             /* it can be read, and is no token */
    assert_null(strstr(report.text, "64 KiB"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(parse(yaml));             /* and does not wait for a writer */
    assert_non_null(strstr(report.text, "not a regular file"));
    assert_int_equal(unlink(path), 0);
}

static void test_load(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-test-conf-XXXXXX", want[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct conf *c = NULL;
    write_file(path, "cores: 7\n", 9);
    assert_true(conf_load(path, plain_env, &c, &report));
    assert_int_equal(c->cores, 7);
    conf_free(c);
    c = NULL;
    write_file(path, "coers: 7\n", 9);
    assert_false(conf_load(path, plain_env, &c, &report));
    assert_null(c);
    snprintf(want, sizeof want, "%s:1:1: error: unknown setting 'coers' (did you mean 'cores'?)"
             "\ncoers: 7\n^\n", path);
    assert_string_equal(report.text, want);
    assert_int_equal(unlink(path), 0);
    assert_false(conf_load(path, plain_env, &c, &report));
    snprintf(want, sizeof want, "%s: error: cannot be read: No such file or directory\n", path);
    assert_string_equal(report.text, want);
    assert_int_equal(report.error_count, 1);
}

static const char *bad_token_env(const char *name)
{
    return strcmp(name, "WEIR_ADMIN_TOKEN") == 0 ? "hunter2 x" : NULL;
}

static void test_what_an_address_stands_for(void **state)
{
    (void)state;
    assert_int_equal(conf_listen_kind("127.0.0.1:80"), LISTEN_TCP);
    assert_int_equal(conf_listen_kind("[::1]:80"), LISTEN_TCP);
    assert_int_equal(conf_listen_kind("unix:/run/weir.sock"), LISTEN_UNIX);
    assert_int_equal(conf_listen_kind(""), LISTEN_TCP);
}

static void test_token_of_the_environment(void **state)
{
    (void)state;
    assert_null(parse_len("", 0, bad_token_env));
    assert_string_equal(report.text,
        "t.yaml: error: WEIR_ADMIN_TOKEN in the environment must be one word of 1 to 255 "
        "visible ASCII characters\n");
}

/* ---- the manual ---- */

struct lines { char text[1 << 16]; size_t len; };

static void put_line(void *arg, const char *line)
{
    struct lines *l = arg;
    assert_true(line[0] != '\'');
    assert_true(line[0] != '.' || strncmp(line, ".It Cm ", 7) == 0 ||
                strncmp(line, ".Bl", 3) == 0 || strcmp(line, ".El") == 0 ||
                strncmp(line, "\\&", 2) == 0);
    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%s\n", line);
    assert_true(l->len < sizeof l->text);
}

static void test_manual_has_every_setting(void **state)
{
    (void)state;
    static struct lines l;
    conf_manual(put_line, &l);
    static const char *const parts[] = {
        ".It Cm listen\n", ".It Cm admin.token\n", ".It Cm providers[].timeouts.first_byte\n",
        ".It Cm models[].price\n", ".It Cm routing.hedge.max_share\n", ".It Cm cluster\n",
        "\nDefault: 32MiB.\n", "\nTakes one of process, power.\n",
        "\nAnything but the default is not in this release.\n",
    };
    for (size_t i = 0; i < COUNT(parts); i++) assert_non_null(strstr(l.text, parts[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_are_refused),
        cmocka_unit_test(test_catalogue_is_refused),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_defaults_are_the_contract),
        cmocka_unit_test(test_provider_in_full),
        cmocka_unit_test(test_providers_from_the_environment),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_long_line_is_cut_around_the_place),
        cmocka_unit_test(test_twenty_are_shown_in_order),
        cmocka_unit_test(test_the_report_is_bounded),
        cmocka_unit_test(test_secrets_are_never_shown),
        cmocka_unit_test(test_limits_at_max_and_beyond),
        cmocka_unit_test(test_a_file_of_4_mib_is_the_largest),
        cmocka_unit_test(test_file_references),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_what_an_address_stands_for),
        cmocka_unit_test(test_token_of_the_environment),
        cmocka_unit_test(test_manual_has_every_setting),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
