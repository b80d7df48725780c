/* sim.c - the simulation's program.
 *   sim --seed N             one seed: its trace, what was drawn, what came of it
 *   sim --seeds N [--from M] [--jobs J]   N seeds; some of them twice, for the same hash
 *   sim --plant NAME         how many seeds it takes to find a planted bug
 *   sim --plants             all of them: each must be found
 *   sim --availability N     what share of N requests a case is answered when providers fail
 * Each seed runs in a process of its own, so that a crash is a finding like any other. The
 * last line counts: "N passed, N failed". A failure says how to repeat it. */
#include "tests/sim/machine.h"
#include "tests/sim/world.h"

#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TWICE_EVERY = 50,              /* of so many seeds one is run twice */
    PLANT_SEEDS = 200,             /* within so many each planted bug is found */
    SECONDS_MAX = 60,              /* of real time, for one seed */
    JOBS_MAX = 16,
    COVERING_SEEDS = 1000,         /* among so many, everything happens at least once */
};

static const char *const plants[] = {"lost_settle", "leaked_slot", "reordered_bytes",
                                     "missed_cancel", "double_end", "overdraw", "settle_twice",
                                     "forgotten_settle", "forgets_spent", "missed_fold",
                                     "folded_twice", "no_floor", "stale_path", "lost_prepaid",
                                     "leaked_running", "overfull", "leaked_room",
                                     "asks_cooling", "lost_waiter", "overtakes", "late_wait",
                                     "deaf",
                                     /* streams that are gone on with */
                                     "keeps_overlap", "attempt_lost", "half_is_whole",
                                     "forgets_said", "asks_anybody",
                                     /* hedges */
                                     "loser_runs", "loser_unpaid", "loser_twice", "no_share",
                                     /* cascades */
                                     "takes_any", "takes_unfit", "keeps_room", "eager",
                                     "wrong_end", "vote_unbooked"};

struct options {
    uint64_t seed, from, seeds, requests;
    int jobs;
    const char *plant;
    bool all_plants;
};

struct result {
    uint64_t seed;
    struct summary summary;
    pid_t pid;
    int err;                       /* what it said */
    char dir[200];
};

/* --- one seed in a process */

static void on_signal(int number)
{
    static const char text[] = "checker crash: the process ended by a signal\n";
    machine_tell();
    ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
    (void)n;
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void tell_repeat(void)
{
    const struct machine *m = machine();
    if (available()->on) return;       /* the case is named, and comes again */
    (void)fprintf(stderr, "repeat with: make sim SEED=%" PRIu64 "%s%s\n", m->seed,
                  m->plant ? " PLANT=" : "", m->plant ? m->plant : "");
}

/* Memory where there is some: nothing here is to survive the machine. */
static const char *base_dir(void)
{
    const char *dir = getenv("TMPDIR");
    if (dir && *dir) return dir;
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void make_dir(char *out, size_t room)
{
    (void)snprintf(out, room, "%s/weir-sim-XXXXXX", base_dir());
    if (mkdtemp(out)) return;
    perror(out);
    exit(2);
}

static int take_away(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_dir(const char *dir) { (void)nftw(dir, take_away, 8, FTW_DEPTH | FTW_PHYS); }

static struct summary run_here(uint64_t seed, const char *plant, bool verbose, const char *dir)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    size_t count = sizeof fatal / sizeof fatal[0];
    for (size_t i = 0; i < count; i++) (void)signal(fatal[i], on_signal);
    (void)alarm(verbose ? 0 : SECONDS_MAX);
    machine()->plant = plant;
    machine()->verbose = verbose;
    machine()->on_fail = tell_repeat;
    struct summary summary;
    world_run(seed, dir, &summary);
    return summary;
}

static void begin(struct result *r, const char *plant)
{
    int out[2], err = -1;
    char name[] = "sim-stderr";
    (void)fflush(NULL);
    err = memfd_create(name, MFD_CLOEXEC);
    if (err < 0 || pipe(out) != 0) {
        perror("sim");
        exit(2);
    }
    make_dir(r->dir, sizeof r->dir);
    r->pid = fork();
    if (r->pid == 0) {
        (void)dup2(err, STDERR_FILENO);
        struct summary sum = run_here(r->seed, plant, false, r->dir);
        bool ok = write(out[1], &sum, sizeof sum) == sizeof sum;
        _exit(ok ? 0 : 1);
    }
    (void)close(out[1]);
    r->err = err;
    /* The summary is read once the process has ended: the pipe holds it. */
    (void)dup2(out[0], 100 + r->err);
    (void)close(out[0]);
}

static bool ended(struct result *r, int status)
{
    int pipe_end = 100 + r->err;
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
              read(pipe_end, &r->summary, sizeof r->summary) == sizeof r->summary;
    (void)close(pipe_end);
    remove_dir(r->dir);
    return ok;
}

/* What it said, from the last lines of `most` bytes on. */
static void show(const struct result *r, FILE *to, const char *only)
{
    char text[16384];
    off_t size = lseek(r->err, 0, SEEK_END);
    off_t from = size > (off_t)sizeof text - 1 ? size - (off_t)sizeof text + 1 : 0;
    ssize_t n = pread(r->err, text, sizeof text - 1, from);
    text[n > 0 ? n : 0] = 0;
    const char *at = only ? strstr(text, only) : text;
    if (!at) at = text;
    int len = (int)(only ? strcspn(at, "\n") : strlen(at));
    (void)fprintf(to, "%.*s\n", len, at);
    const char *assertion = only ? strstr(text, "Assertion") : NULL;
    if (assertion) (void)fprintf(to, "    %.*s\n", (int)strcspn(assertion, "\n"), assertion);
}

/* --- many seeds */

struct many {
    struct result job[JOBS_MAX];
    int running;
    uint64_t failed, passed;
    struct summary sum;
};

static void add_up(struct summary *to, const struct summary *s)
{
    to->sweeps += s->sweeps;
    to->turns += s->turns;
    to->virtual_ms += s->virtual_ms;
    to->asks += s->asks;
    to->kills += s->kills;
    to->publishes += s->publishes;
    to->handoffs += s->handoffs;
    to->reused += s->reused;
    to->no_buffers += s->no_buffers;
    to->waits += s->waits;
    to->shed += s->shed;
    to->hedges += s->hedges;
    to->onward += s->onward;
    to->taken += s->taken;
    to->escalated += s->escalated;
    to->changes += s->changes;
    to->rolls += s->rolls;
    for (int i = 0; i < REFUSALS; i++) to->refusals[i] += s->refusals[i];
    for (int i = 0; i < FAULTS; i++) to->faults[i] += s->faults[i];
    for (int i = 0; i < CLOSE_COUNT; i++) to->closes[i] += s->closes[i];
}

static void tell(const struct summary *s)
{
    (void)printf("%" PRIu64 " requests, %" PRIu64 " s, %" PRIu64 " turns, %" PRIu64 " kills, ",
                 s->asks, s->virtual_ms / 1000, s->turns, s->kills);
    (void)printf("%" PRIu64 " tables published, %" PRIu64 " handoffs, %" PRIu64 " reuses, ",
                 s->publishes, s->handoffs, s->reused);
    (void)printf("%" PRIu64 " waits for room, %" PRIu64 " shed\n", s->waits, s->shed);
    (void)printf("%" PRIu64 " hedges, %" PRIu64 " streams gone on with, %" PRIu64
                 " cheap answers taken, %" PRIu64 " escalated\n", s->hedges, s->onward,
                 s->taken, s->escalated);
    (void)printf("money: %" PRIu64 " changes, %" PRIu64 " rolls; refused: rates %" PRIu64
                 ", budgets %" PRIu64 ", credits %" PRIu64 ", stopped %" PRIu64 "\n",
                 s->changes, s->rolls, s->refusals[REFUSAL_RATE], s->refusals[REFUSAL_BUDGET],
                 s->refusals[REFUSAL_CREDITS], s->refusals[REFUSAL_STOPPED]);
    (void)printf("endings:");
    for (int i = 0; i < CLOSE_COUNT; i++) {
        if (s->closes[i] == 0) continue;
        (void)printf(" %s %" PRIu64, close_name((enum close_why)i), s->closes[i]);
    }
    (void)printf("\nfaults:");
    for (int i = 0; i < FAULTS; i++) {
        (void)printf(" %s %" PRIu64, fault_name((enum fault)i), s->faults[i]);
    }
    (void)printf("\n");
}

/* A thousand seeds in which something never happened do not test it. */
static uint64_t missing(const struct summary *s)
{
    uint64_t count = 0;
    for (int i = 0; i < FAULTS; i++) {
        if (s->faults[i]) continue;
        (void)printf("checker coverage: %s never happened\n", fault_name((enum fault)i));
        count++;
    }
    for (int i = 0; i < REFUSALS; i++) {
        if (s->refusals[i] && s->changes && s->rolls) continue;
        (void)printf("checker coverage: refusal %d, changes or rolls of limits\n", i);
        count++;
    }
    bool shortage = s->no_buffers && s->waits && s->shed;
    if (!s->hedges || !s->onward || !s->taken || !s->escalated) {
        (void)printf("checker coverage: no hedge, nothing gone on with, no cascade\n");
        count++;
    }
    if (s->kills && s->publishes && s->handoffs && s->reused && shortage) return count;
    (void)printf("checker coverage: no kill, publishing, handoff, reuse, shortage or wait\n");
    return count + 1;
}

static void second_run(struct many *m, const struct options *o, struct result *r)
{
    struct result again = {.seed = r->seed};
    uint64_t hash = r->summary.hash;
    int status;
    begin(&again, o->plant);
    (void)waitpid(again.pid, &status, 0);
    if (ended(&again, status) && again.summary.hash == hash) {
        m->passed++;
    } else {
        m->failed++;
        (void)printf("checker replay: seed %" PRIu64 " gave %016" PRIx64 ", then %016" PRIx64
                     "\n", r->seed, hash, again.summary.hash);
    }
    (void)close(again.err);
}

static void reap(struct many *m, const struct options *o)
{
    int status;
    pid_t pid = wait(&status);
    for (int i = 0; i < m->running; i++) {
        struct result *r = &m->job[i];
        if (r->pid != pid) continue;
        if (ended(r, status)) {
            m->passed++;
            add_up(&m->sum, &r->summary);
            if (r->seed % TWICE_EVERY == 0 && !o->plant) second_run(m, o, r);
        } else {
            m->failed++;
            if (!o->plant) show(r, stdout, NULL);
            else {
                (void)printf("plant %s: seed %" PRIu64 ": ", o->plant, r->seed);
                show(r, stdout, "checker ");
            }
        }
        (void)close(r->err);
        m->job[i] = m->job[--m->running];
        return;
    }
}

/* Run seeds; with a plant, until one finds it. */
static struct many run_many(const struct options *o)
{
    struct many m = {0};
    for (uint64_t seed = o->from; seed < o->from + o->seeds; seed++) {
        if (o->plant && m.failed) break;
        while (m.running >= o->jobs) reap(&m, o);
        struct result *r = &m.job[m.running++];
        *r = (struct result){.seed = seed};
        begin(r, o->plant);
    }
    while (m.running > 0) reap(&m, o);
    return m;
}

static bool find_plant(struct options o, const char *name)
{
    o.plant = name;
    o.seeds = PLANT_SEEDS;
    struct many m = run_many(&o);
    if (!m.failed) (void)printf("plant %s: NOT found in %d seeds\n", name, PLANT_SEEDS);
    (void)fflush(stdout);
    return m.failed > 0;
}

static int run_plants(const struct options *o)
{
    int found = 0, count = 0;
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        if (o->plant && strcmp(o->plant, plants[i]) != 0) continue;
        count++;
        found += find_plant(*o, plants[i]);
    }
    (void)printf("%d passed, %d failed\n", found, count - found);
    return found == count && count > 0 ? 0 : 1;
}

/* --- availability */

static bool run_available(const struct availability *c, uint64_t seed, struct available *out)
{
    struct result r = {.seed = seed};
    int status;
    *available() = *c;
    begin(&r, NULL);
    (void)waitpid(r.pid, &status, 0);
    bool ok = ended(&r, status);
    if (ok) *out = r.summary.available;
    else {
        (void)printf("seed %" PRIu64 " of: %u providers, outages %u, streams %d, resume %d\n",
                     seed, c->providers, c->outages, c->stream, c->resume);
        show(&r, stdout, NULL);
    }
    (void)close(r.err);
    return ok;
}

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--seed N | --seeds N] [--from N] [--jobs N] "
                          "[--plant NAME | --plants] [--availability N]\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(name, "--plants") == 0) {
            o->all_plants = true;
            continue;
        }
        if (!value) return false;
        i++;
        uint64_t number = strtoull(value, NULL, 10);
        if (strcmp(name, "--seed") == 0) o->seed = number;
        else if (strcmp(name, "--seeds") == 0) o->seeds = number;
        else if (strcmp(name, "--from") == 0) o->from = number;
        else if (strcmp(name, "--jobs") == 0) o->jobs = (int)number;
        else if (strcmp(name, "--plant") == 0) o->plant = value;
        else if (strcmp(name, "--availability") == 0) o->requests = number;
        else return false;
    }
    return o->jobs >= 1 && o->jobs <= JOBS_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {.from = 1, .seeds = 1000, .jobs = 2};
    /* Nobody speaks TLS here, and reading all certificates takes longer than a run. */
    (void)setenv("SSL_CERT_FILE", "/dev/null", 1);
    (void)setenv("SSL_CERT_DIR", "/dev/null", 1);
    if (!read_options(argc, argv, &o)) return usage();
    if (o.seed) {
        char dir[200];
        make_dir(dir, sizeof dir);
        struct summary sum = run_here(o.seed, o.plant, true, dir);
        remove_dir(dir);
        machine_tell_faults();
        tell(&sum);
        (void)printf("hash %016" PRIx64 "\n", sum.hash);
        (void)fflush(stdout);
        _exit(0);              /* what a killed engine held is nobody's: no leak to report */
    }
    if (o.all_plants || o.plant) return run_plants(&o);
    if (o.requests) return available_report((uint32_t)o.requests, run_available) ? 0 : 1;
    struct many m = run_many(&o);
    tell(&m.sum);
    if (o.seeds >= COVERING_SEEDS) m.failed += missing(&m.sum);
    (void)printf("%" PRIu64 " passed, %" PRIu64 " failed\n", m.passed, m.failed);
    return m.failed ? 1 : 0;
}
