/* test_learn.c - what outcomes teach: from a request's lesson by its record to the tenant, to
 * the cores, to the store and back; what counts once, what comes too late, what is bounded. */
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/exchange.h"
#include "engine/learn.h"
#include "engine/tables.h"
#include "net/jsonw.h"
#include "route/gain.h"
#include "store/org.h"
#include "store/tenants.h"

#include "tests/unit/conf_kit.h"
#include "tests/unit/data_dir.h"

#include <pthread.h>

static const uint64_t second = UINT64_C(1000000000);
static const uint64_t epoch = UINT64_C(1769731200) * 1000000000;

struct place {
    struct data_dir *d;
    struct engine *e;
    struct core *core[2];
    struct exchange *x;
    struct tables *t;
    store_id org, other;
};

static store_id org_new(struct data_dir *d)
{
    store_id id;
    MDB_txn *txn = data_dir_begin(d, true);
    assert_int_equal(org_make(d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &id), STORE_OK);
    data_dir_commit(d, txn);
    return id;
}

static void place_open(struct place *p, struct data_dir *d)
{
    *p = (struct place){.d = d, .e = calloc(1, sizeof *p->e), .x = calloc(1, sizeof *p->x)};
    assert_true(p->e && p->x);
    data_dir_open(d);
    p->org = org_new(d);
    p->other = org_new(d);
    p->t = tables_load(&p->e->hosts,
                       "providers: [{name: a, url: \"http://127.0.0.1:9/v1\", keys: [k]}]\n"
                       "models:\n  - {id: a/weak, quality: 5}\n"
                       "  - {id: a/best, quality: 99}\n");
    p->e->learn = learn_open(d->db, 2);
    assert_non_null(p->e->learn);
    for (uint32_t i = 0; i < 2; i++) {
        p->core[i] = calloc(1, sizeof *p->core[i]);
        assert_non_null(p->core[i]);
        p->core[i]->engine = p->e;
        p->core[i]->idx = i;
        p->core[i]->unix_ns = epoch;
    }
}

static void place_close(struct place *p)
{
    learn_close(p->e->learn);
    tables_free(p->t);
    for (uint32_t i = 0; i < p->e->hosts.count; i++) free(p->e->hosts.at[i]);
    for (uint32_t i = 0; i < 2; i++) free(p->core[i]);
    free(p->x);
    free(p->e);
}

static struct features features_of(const char *text)
{
    struct features f;
    struct features_ask ask = {.prompt_bytes = strlen(text), .last_bytes = strlen(text),
                               .message_count = 1, .user_turns = 1, .max_tokens = -1};
    ask.text[TEXT_LAST] = bytes_of(text);
    features_make(&ask, &f);
    return f;
}

static void set_id(struct record *r, const char *id)
{
    memset(r->request_id, 0, sizeof r->request_id);
    memcpy(r->request_id, id, strlen(id));
}

/* A request of that id is answered by a model on a core, and its record. */
static struct record answer(struct place *p, uint32_t core, store_id org, const char *id,
                            const char *model, const char *text)
{
    static uint64_t exchanges;
    struct features f = features_of(text);
    memset(p->x, 0, sizeof *p->x);
    p->x->tables = p->t;
    p->x->model = (uint32_t)catalog_find(p->t->catalog, bytes_of(model));
    struct record *r = &p->x->rec;
    r->kind = RECORD_REQUEST;
    r->status = 200;
    r->exchange_id = ++exchanges;
    r->admitted_unix_ns = epoch;
    r->path[UNIT_ORGANIZATION] = org;
    r->path[UNIT_KEY] = store_id_make(UNIT_KEY, 1);
    set_id(r, id);
    struct gain g;
    gain_score(gain_builtin(), NULL, &f, &g);
    learn_begin(p->x, &f, &g);
    learn_end(p->core[core], p->x);
    return *r;
}

static struct record score_of(const struct record *r, uint16_t score, uint64_t later_s)
{
    struct record s = *r;
    s.kind = RECORD_FEEDBACK;
    s.status = score;
    s.exchange_id = 999999;      /* its own */
    s.admitted_unix_ns = epoch + later_s * second;
    return s;
}

static void score(struct place *p, const struct record *r, uint16_t value)
{
    struct record s = score_of(r, value, 1);
    learn_see(p->e->learn, &s);
}

static uint32_t gain_of(struct place *p, uint32_t viewer, store_id org, const char *text)
{
    struct features f = features_of(text);
    struct gain g;
    gain_score(gain_builtin(), learn_tenant(p->e->learn, viewer, org), &f, &g);
    return g.gain;
}

/* In scores: each is trusted for a quarter of a label (lesson.c). */
static float weight_of(struct place *p, store_id org)
{
    const struct gain_tenant *t = learn_tenant(p->e->learn, 0, org);
    return t ? t->weight * 4 : 0;
}

static void test_scores_move_the_gain_of_their_organisation(void **state)
{
    static const char text[] = "What is the capital of the third largest country of Africa?";
    struct place p;
    char id[16];
    place_open(&p, *state);
    uint32_t before = gain_of(&p, 0, p.org, text);
    assert_null(learn_tenant(p.e->learn, 0, p.org));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "req-%u", i);
        struct record r = answer(&p, i % 2, p.org, id, i % 4 ? "a/weak" : "a/best", text);
        score(&p, &r, i % 4 ? 0 : 10000);       /* only the strong one gets it right */
    }
    uint32_t after = gain_of(&p, 0, p.org, text);
    assert_true(after > before + 500);
    for (uint32_t viewer = 1; viewer <= 2; viewer++) {
        assert_int_equal(gain_of(&p, viewer, p.org, text), after);
    }
    assert_int_equal(gain_of(&p, 0, p.other, text), before);
    assert_null(learn_tenant(p.e->learn, 0, p.other));
    for (unsigned i = 0; i < 80; i++) {         /* it turns out the weak one does well */
        snprintf(id, sizeof id, "good-%u", i);
        struct record r = answer(&p, 0, p.org, id, "a/weak", text);
        score(&p, &r, 10000);
    }
    assert_true(gain_of(&p, 1, p.org, text) < after);   /* a copy that was there is renewed */
    place_close(&p);
}

static void test_a_score_counts_once(void **state)
{
    struct place p;
    place_open(&p, *state);
    struct record r = answer(&p, 0, p.org, "one", "a/weak", "Prove it.");
    score(&p, &r, 2000);
    assert_true(weight_of(&p, p.org) == 1);
    uint32_t gain = gain_of(&p, 0, p.org, "Prove it.");
    score(&p, &r, 2000);
    score(&p, &r, 9000);
    assert_true(weight_of(&p, p.org) == 1);
    assert_int_equal(gain_of(&p, 0, p.org, "Prove it."), gain);
    p.core[1]->unix_ns++;
    struct record again = answer(&p, 1, p.org, "one", "a/weak", "Prove it.");
    score(&p, &again, 2000);     /* the newest request of that id */
    assert_true(weight_of(&p, p.org) == 2);
    place_close(&p);
}

/* A cheap answer that was not taken has a lesson of its own, which its attempt's record finds,
 * whichever comes first, and neither the request's signs nor its score. */
static void test_an_escalated_answer_teaches(void **state)
{
    struct place p;
    place_open(&p, *state);
    struct record r = answer(&p, 0, p.org, "r", "a/weak", "Why?"), s = r;
    s.kind = RECORD_ATTEMPT;
    s.outcome = 1 << SIGN_JSON;
    learn_see(p.e->learn, &s);
    assert_true(weight_of(&p, p.org) == 0);        /* not the lesson of who answered */
    learn_escalated(p.core[0], p.x);
    learn_see(p.e->learn, &s);
    assert_true(weight_of(&p, p.org) == 0.5f);
    s.exchange_id++;
    learn_see(p.e->learn, &s);
    s = r;
    s.outcome = 0;
    learn_see(p.e->learn, &s);
    assert_true(weight_of(&p, p.org) == 0.5f);
    score(&p, &r, 2000);
    assert_true(weight_of(&p, p.org) == 1.5f);
    place_close(&p);
}

static void test_what_teaches_nothing(void **state)
{
    struct place p;
    place_open(&p, *state);
    struct record r = answer(&p, 0, p.org, "r", "a/weak", "Why?"), s;
    s = score_of(&r, 0, LEARN_KEEP_S + 1);                  /* too late */
    learn_see(p.e->learn, &s);
    s = score_of(&r, 0, 1);
    set_id(&s, "q");                                        /* another request */
    learn_see(p.e->learn, &s);
    s = score_of(&r, 0, 1);
    s.path[UNIT_KEY]++;                                     /* of another key */
    learn_see(p.e->learn, &s);
    s = r;                                                  /* answered, no sign */
    learn_see(p.e->learn, &s);
    s.outcome = 1 << SIGN_JSON;
    s.exchange_id++;                                        /* an id that was used again */
    learn_see(p.e->learn, &s);
    s.exchange_id--;
    s.kind = RECORD_ATTEMPT;
    learn_see(p.e->learn, &s);
    p.x->rec.status = 502;                                  /* was not answered */
    set_id(&p.x->rec, "failed");
    learn_end(p.core[0], p.x);
    s = score_of(&p.x->rec, 0, 1);
    learn_see(p.e->learn, &s);
    p.x->rec.status = 200;                                  /* was not planned: an embedding */
    p.x->has_lesson = false;
    learn_end(p.core[0], p.x);
    learn_see(p.e->learn, &s);
    assert_null(learn_tenant(p.e->learn, 0, p.org));
    s = score_of(&r, 0, LEARN_KEEP_S);
    learn_see(p.e->learn, &s);
    assert_non_null(learn_tenant(p.e->learn, 0, p.org));
    place_close(&p);
}

/* Signs weigh what is documented, and together no more than is. */
static void test_signs_are_bounded(void **state)
{
    static const struct { uint8_t outcome; float weight; } cases[] = {
        {1 << SIGN_LENGTH, 0.05f}, {1 << SIGN_REFUSAL, 0.1f}, {1 << SIGN_JSON, 0.5f},
        {1 << SIGN_TOOLS, 0.5f}, {1 << SIGN_LENGTH | 1 << SIGN_JSON, 0.5f}, {1 << SIGNS, 0},
    };
    struct place p;
    char id[16];
    float sum = 0;
    place_open(&p, *state);
    for (size_t i = 0; i < COUNT(cases); i++) {
        snprintf(id, sizeof id, "s-%zu", i);
        struct record r = answer(&p, 0, p.org, id, "a/weak", "List them.");
        r.outcome = cases[i].outcome;
        learn_see(p.e->learn, &r);
        sum += cases[i].weight;
        assert_true(weight_of(&p, p.org) > sum - 0.001f && weight_of(&p, p.org) < sum + 0.001f);
    }
    for (unsigned i = 0; i < 500; i++) {
        snprintf(id, sizeof id, "t-%u", i);
        struct record r = answer(&p, 0, p.org, id, "a/weak", "List them.");
        r.outcome = 1 << SIGN_TOOLS;
        learn_see(p.e->learn, &r);
    }
    float most = weight_of(&p, p.org);
    assert_true(most > LEARN_SIGNS_MOST - 1 && most <= LEARN_SIGNS_MOST);
    for (unsigned i = 0; i < 2; i++) {           /* a score, and there is room again */
        snprintf(id, sizeof id, "u-%u", i);
        struct record r = answer(&p, 0, p.org, id, "a/weak", "List them.");
        score(&p, &r, 10000);
        r.outcome = 1 << SIGN_TOOLS;
        learn_see(p.e->learn, &r);
    }
    assert_true(weight_of(&p, p.org) > most + 2.9f);
    place_close(&p);
}

/* What an operator is shown of an organisation, NUL-ended. */
static void show(struct place *p, store_id org, char out[1024])
{
    struct jsonw w;
    jsonw_init(&w, out, 1023);
    learn_put(p->e->learn, 2, org, &w);
    assert_false(w.full);
    out[w.len] = '\0';
}

static void test_tenants_outlive_a_restart(void **state)
{
    struct place p;
    char before[1024], after[1024];
    place_open(&p, *state);
    show(&p, p.org, before);
    assert_string_equal(before, "null");
    struct record r = answer(&p, 0, p.org, "r", "a/weak", "Is 7 * 8 = 54?");
    score(&p, &r, 1000);
    r.outcome = 1 << SIGN_TOOLS;
    learn_see(p.e->learn, &r);
    show(&p, p.org, before);
    assert_non_null(strstr(before, "{\"scores\":1,\"signs\":{\"length\":0,\"refusal\":0,"
                                   "\"invalid_json\":0,\"bad_tool_arguments\":1},"
                                   "\"weight\":1.5"));
    assert_non_null(strstr(before, "\"weights\":[{\"feature\":\""));
    uint32_t gain = gain_of(&p, 0, p.org, "Is 7 * 8 = 54?");
    assert_true(learn_save(p.e->learn, 0, false));           /* not yet */
    assert_true(learn_save(p.e->learn, 2 * second, false));
    struct record other = answer(&p, 0, p.other, "o", "a/weak", "Is 7 * 8 = 54?");
    score(&p, &other, 1000);
    assert_true(learn_save(p.e->learn, 2 * second + 1, false));     /* a second apart */
    learn_close(p.e->learn);
    p.e->learn = learn_open(p.d->db, 2);
    show(&p, p.org, after);
    assert_string_equal(before, after);
    assert_int_equal(gain_of(&p, 0, p.org, "Is 7 * 8 = 54?"), gain);
    assert_null(learn_tenant(p.e->learn, 0, p.other));
    place_close(&p);
}

static void test_tenants_go_with_their_organisation(void **state)
{
    struct place p;
    place_open(&p, *state);
    struct record r = answer(&p, 0, p.org, "r", "a/weak", "Why?");
    struct record o = answer(&p, 0, p.other, "o", "a/weak", "Why?");
    score(&p, &r, 0);
    score(&p, &o, 0);
    assert_true(learn_save(p.e->learn, second, true));
    MDB_txn *txn = data_dir_begin(p.d, true);
    assert_int_equal(org_delete(p.d->db, txn, p.org, true), STORE_OK);
    data_dir_commit(p.d, txn);
    r = answer(&p, 0, p.org, "late", "a/weak", "Why?");      /* it ran while that was deleted */
    score(&p, &r, 0);
    score(&p, &o, 0);
    assert_true(learn_save(p.e->learn, second, true));
    learn_close(p.e->learn);
    p.e->learn = learn_open(p.d->db, 2);
    assert_null(learn_tenant(p.e->learn, 0, p.org));
    assert_non_null(learn_tenant(p.e->learn, 0, p.other));
    place_close(&p);
}

/* Many tenants at once are kept, in more than one transaction. */
static void test_many_tenants(void **state)
{
    enum { MANY = 600 };
    struct place p;
    store_id org[MANY];
    place_open(&p, *state);
    MDB_txn *txn = data_dir_begin(p.d, true);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(org_make(p.d->db, txn, UNIT_ORGANIZATION, 0, "o", NULL, 1, &org[i]),
                         STORE_OK);
    }
    data_dir_commit(p.d, txn);
    for (unsigned i = 0; i < MANY; i++) {
        struct record r = answer(&p, 0, org[i], "same", "a/weak", "Why?");
        p.core[0]->unix_ns++;    /* the newest of that id */
        score(&p, &r, (uint16_t)(i % 10000));
    }
    assert_true(learn_save(p.e->learn, second, true));
    learn_close(p.e->learn);
    p.e->learn = learn_open(p.d->db, 2);
    for (unsigned i = 0; i < MANY; i++) assert_true(weight_of(&p, org[i]) == 1);
    for (unsigned i = 0; i < MANY; i++) {        /* whatever copies are at hand */
        assert_non_null(learn_tenant(p.e->learn, 0, org[i * 7 % MANY]));
    }
    place_close(&p);
}

/* A set has room for few: the newest stay. */
static void test_old_lessons_make_room(void **state)
{
    enum { MANY = 100000 };
    struct place p;
    char id[16];
    unsigned kept = 0;
    place_open(&p, *state);
    struct features f = features_of("Why?");
    struct gain g;
    gain_score(gain_builtin(), NULL, &f, &g);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "r-%u", i);
        if (i == 0) (void)answer(&p, 0, p.org, id, "a/weak", "Why?");
        set_id(&p.x->rec, id);
        p.core[0]->unix_ns = epoch + i;
        learn_begin(p.x, &f, &g);
        learn_end(p.core[0], p.x);
    }
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "r-%u", i);
        struct record s = score_of(&p.x->rec, 5000, 1);
        set_id(&s, id);
        float before = weight_of(&p, p.org);
        learn_see(p.e->learn, &s);
        bool counted = weight_of(&p, p.org) > before;
        assert_true(counted || i < MANY - 100);
        kept += counted;
    }
    /* All share one exchange id, so that a score counts in each place of its own. */
    assert_true(kept > 15000 && kept <= 16384);
    place_close(&p);
}

/* ---- two threads */

enum { RACE = 3000 };

struct race { struct place *p; const struct gain_tenant *after; _Atomic bool stop; };

static void *look_on(void *arg)
{
    struct race *r = arg;
    while (!atomic_load(&r->stop)) {
        const struct gain_tenant *t = learn_tenant(r->p->e->learn, 1, r->p->org);
        if (!t) continue;
        float scores = t->weight * 4;
        assert_true(scores >= 1 && scores <= RACE);
        assert_memory_equal(t, &r->after[(uint32_t)scores], sizeof *t);   /* whole */
    }
    return NULL;
}

/* The same score of the same request again and again. */
static void teach_once(struct place *p, store_id org, unsigned i)
{
    char id[24];
    snprintf(id, sizeof id, "%llu-%u", (unsigned long long)org & 0xff, i);
    struct record r = answer(p, 0, org, id, "a/weak", "Why?");
    score(p, &r, 5000);
}

static void test_a_core_looks_while_it_is_written(void **state)
{
    struct place p;
    pthread_t thread;
    struct gain_tenant *after = calloc(RACE + 1, sizeof *after);
    assert_non_null(after);
    place_open(&p, *state);
    for (unsigned i = 1; i <= RACE; i++) {
        teach_once(&p, p.other, i);
        after[i] = *learn_tenant(p.e->learn, 0, p.other);
    }
    struct race race = {.p = &p, .after = after};
    assert_int_equal(pthread_create(&thread, NULL, look_on, &race), 0);
    for (unsigned i = 1; i <= RACE; i++) teach_once(&p, p.org, i);
    atomic_store(&race.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(weight_of(&p, p.org) == RACE);
    free(after);
    place_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DATA_TEST(test_scores_move_the_gain_of_their_organisation),
        DATA_TEST(test_a_score_counts_once),
        DATA_TEST(test_an_escalated_answer_teaches),
        DATA_TEST(test_what_teaches_nothing),
        DATA_TEST(test_signs_are_bounded),
        DATA_TEST(test_tenants_outlive_a_restart),
        DATA_TEST(test_tenants_go_with_their_organisation),
        DATA_TEST(test_many_tenants),
        DATA_TEST(test_old_lessons_make_room),
        DATA_TEST(test_a_core_looks_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
