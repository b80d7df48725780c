#!/usr/bin/env python3
"""availability.py - what share of requests is answered whole and right when providers fail.

    bench/availability.py [--requests 2000] [--rate 700] [--connections 128]
                          [--build build] [--seed 1] [--only TEXT] [--add] [--list] [--strict]

Providers are weir-mock, which fails 50 of 1,000 requests: 60 % of those for want of room (429,
503, 529), the others by a 500, a reset, a stall, an error event or an end at any place of the
answer. Worlds: `random` has only those; in `independent` and `correlated` 30 of 1,000 fail so
and each provider is out for 2 % of the time, by itself or all at once. In front of them Weir,
once with routing.resume: always and once with never; in front of it endure, which asks for
whole answers and for streams and compares every text with that of a provider without faults.
100 models take turns, so that a 429 stops a key for a hundredth of the requests, not for all.

A line is one such case: the share of good answers and its 95 % interval (Wilson), what else
came, latency beside that of the same case without faults, and of what was billed the share
that bought no answer. Answers that look whole and are not (`wrong`) end the run with exit code
1 in any case; with --strict so does a share below its goal: 99.9 % with two independent
providers, 99.99 % with three, as far as the interval can say.
Tables go to stdout, BUILD/bench/availability.json and .svg beside it; with --add those keep the
cases of earlier runs that this one does not measure again.
"""
import argparse
import ctypes
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)
import plot  # noqa: E402
import proc  # noqa: E402

MODELS, TOKENS, TPS = 100, 24, 400
DIALECTS = ["openai", "anthropic", "openai"]
FIRST = 100000        # numbers of equal length: prompts that cost the same
PORT_WAIT_S = 30
WORLDS = {"none": (0, None), "random": (50, None), "independent": (30, "own"),
          "correlated": (30, "one")}
OUTAGE = "3000:60"
GOALS = {2: 0.999, 3: 0.9999}
Z = 1.959964          # of the normal distribution: 95 % lie within


def wilson(good, count):
    """The interval in which the share lies with a probability of 95 %."""
    share, z2 = good / count, Z * Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z / (1 + z2 / count) * math.sqrt(share * (1 - share) / count
                                            + z2 / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


class Case:
    """One line of the table."""

    def __init__(self, world, providers, keys, kind):
        self.world, self.providers, self.keys, self.kind = world, providers, keys, kind
        self.name = "%s, %d provider%s, %d key%s each, %s" % (
            world, providers, "" if providers == 1 else "s", keys, "" if keys == 1 else "s",
            kind)

    def goal(self):
        return GOALS.get(self.providers) if self.world in ("random", "independent") else None


def cases():
    found = []
    for world in ("random", "independent", "correlated"):
        for providers, keys in ((1, 2), (2, 2), (3, 2), (2, 1), (3, 1)):
            if world != "random" and keys == 1:
                continue
            for kind in ("whole", "stream", "stream, resume never"):
                found.append(Case(world, providers, keys, kind))
    return found


def dies_with_us():
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Stand:
    """The processes of one case; what was started ends with it."""

    def __init__(self, options, case, world):
        self.options, self.case, self.children = options, case, []
        self.dir = tempfile.mkdtemp(prefix="weir-availability-")
        build = os.path.abspath(options.build)
        failing, outage = WORLDS[world]
        self.reference = self.start([build + "/weir-mock"], "mock")
        mocks = []
        for i in range(case.providers):
            command = [build + "/weir-mock"]
            if failing:
                command += ["--faults", "%d:%d:600" % (options.seed * 10 + i, failing)]
            if outage:
                seed = options.seed * 10 + (i if outage == "own" else 0)
                command += ["--outages", "%d:%s" % (seed, OUTAGE)]
            mocks.append(self.start(command, "mock%d" % i))
        self.listen = "127.0.0.1:%d" % proc.free_port()
        self.admin = "127.0.0.1:%d" % proc.free_port()
        with open(self.dir + "/weir.yaml", "w") as f:
            f.write(self.config(mocks))
        log = self.spawn([build + "/weir", "serve", "-c", self.dir + "/weir.yaml", "--data",
                          self.dir + "/data"], "weir")
        text = self.wait(log, r": ready\n")
        self.key = re.search(r"sk-weir-\S+", text).group(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        subprocess.run(["rm", "-r", self.dir], check=True)

    def spawn(self, command, name):
        log = "%s/%s.log" % (self.dir, name)
        with open(log, "w") as out:
            self.children.append(subprocess.Popen(
                command, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                preexec_fn=dies_with_us, env={"PATH": os.environ["PATH"], "HOME": self.dir}))
        return log

    def wait(self, log, pattern):
        end = time.monotonic() + PORT_WAIT_S
        alive = True
        while time.monotonic() < end and alive:
            alive = self.children[-1].poll() is None
            with open(log, errors="replace") as f:
                text = f.read()
            if re.search(pattern, text):
                return text
            time.sleep(0.02)
        raise proc.Failed("%s: %s" % (log, text[-500:]))

    def start(self, command, name):
        """A provider; gives its address."""
        log = self.spawn(command + ["--listen", "127.0.0.1:0"], name)
        return re.search(r"http://(\S+)", self.wait(log, r"listening on .*\n")).group(1)

    def config(self, mocks):
        """weir.yaml: every model at every provider, and an alias that names them in turn."""
        out = ["listen: ['%s']" % self.listen, "admin: {listen: '%s'}" % self.admin, "cores: 1",
               "limits: {memory: 256MiB, connections: 2000}", "providers:"]
        for i, mock in enumerate(mocks):
            keys = ", ".join("key-%d%s" % (i, letter) for letter in "ab"[:self.case.keys])
            out.append("  - {name: p%d, dialect: %s, url: 'http://%s/v1', keys: [%s], "
                       "continues: prefill, timeouts: {connect: 500ms, first_byte: 1s, "
                       "stall: 500ms}}" % (i, DIALECTS[i], mock, keys))
        out.append("models:")
        for m in range(MODELS):
            for i in range(len(mocks)):
                out.append("  - {id: p%d/m%d, upstream: mock-vary-n%d-tps%d-m%d, "
                           "price: {input: '1', output: '4'}}" % (i, m, TOKENS, TPS, m))
        out.append("aliases:")
        for m in range(MODELS):
            names = ", ".join("p%d/m%d" % (i, m) for i in range(len(mocks)))
            out.append("  m%d: [%s]" % (m, names))
        resume = "never" if "never" in self.case.kind else "always"
        out.append("routing: {mode: availability, resume: %s}" % resume)
        return "\n".join(out) + "\n"

    def endure(self):
        options = self.options
        command = [os.path.abspath(options.build) + "/bench/endure", "--to", self.listen,
                   "--reference", self.reference, "--reference-model",
                   "mock-vary-n%d" % TOKENS, "--key", self.key, "--first", FIRST, "--count",
                   options.requests, "--connections", options.connections, "--rate",
                   options.rate, "--models", MODELS]
        if self.case.kind != "whole":
            command.append("--streams")
        run = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if run.returncode:
            raise proc.Failed(run.stderr)
        sys.stderr.write(run.stderr)
        return json.loads(run.stdout)

    def billed(self):
        """Dollars and requests that the ledger has, once all are in it."""
        with open(self.dir + "/data/admin.token") as f:
            token = f.read().strip()
        ask = urllib.request.Request("http://%s/admin/v1/usage" % self.admin,
                                     headers={"authorization": "Bearer " + token})
        for _ in range(100):
            with urllib.request.urlopen(ask) as answer:
                rows = json.load(answer)["data"]
            count = sum(row["requests"] for row in rows)
            if count >= self.options.requests:
                break
            time.sleep(0.1)
        return sum(float(row["cost_usd"]) for row in rows)


def measure(case, options, calm):
    """Run a case; calm: what the same one without faults gave, by its name."""
    def run(world):
        with Stand(options, case, world) as stand:
            result = stand.endure()
            result["billed_usd"] = stand.billed()
            return result
    name = (case.providers, case.keys, case.kind == "whole")
    if name not in calm:
        calm[name] = run("none")
        if calm[name]["good"] != options.requests:
            raise proc.Failed("without faults: %s" % calm[name])
    base, result = calm[name], run(case.world)
    each = base["billed_usd"] / base["count"]
    result["lost"] = 1 - result["good"] * each / result["billed_usd"]
    result["low"], result["high"] = wilson(result["good"], result["count"])
    result["share"] = result["good"] / result["count"]
    for quantile in ("p50_ms", "p99_ms"):
        result["added_" + quantile] = result[quantile] - base[quantile]
    result["name"], result["goal"] = case.name, case.goal()
    result.update(world=case.world, providers=case.providers, keys=case.keys, kind=case.kind)
    return result


def line(r):
    other = ["%s %d" % (k, r[k]) for k in ("refused", "broke", "cut", "wrong", "continued")
             if r[k]]
    return "%-56s %8.4f %% (%.4f to %.4f)  p50 %+.1f ms, p99 %+.0f ms, lost %.2f %%  %s" % (
        r["name"], 100 * r["share"], 100 * r["low"], 100 * r["high"], r["added_p50_ms"],
        r["added_p99_ms"], 100 * r["lost"], ", ".join(other))


def together(path, results):
    """These results, and those of the file that are of other cases."""
    with open(path) as f:
        kept = [r for r in json.load(f) if r["name"] not in {r["name"] for r in results}]
    order = [case.name for case in cases()]
    return sorted(kept + results, key=lambda r: order.index(r["name"]))


def draw(path, results):
    """Failures in a hundred thousand, one bar a case; the goal is a line in it."""
    groups = {}
    for r in results:
        label = "%s: %d provider%s with %d key%s" % (
            r["world"], r["providers"], "s" * (r["providers"] > 1), r["keys"],
            "s" * (r["keys"] > 1))
        goal = None if r["goal"] is None else 1e5 * (1 - r["goal"])
        groups.setdefault(label, []).append(
            (r["kind"].replace("stream, resume never", "never resumed"), 1e5 * (1 - r["share"]),
             1e5 * (1 - r["high"]), 1e5 * (1 - r["low"]), goal))
    plot.ranges(path, "Requests that failed, where 5 in 100 fail at the provider",
                "%s requests a case; with the 95 %% interval; red: the goal" %
                " or ".join("{:,}".format(n) for n in sorted({r["count"] for r in results})),
                "failed, of 100,000", list(groups.items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--rate", type=int, default=700)
    parser.add_argument("--build", default="build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--add", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    wanted = [case for case in cases() if options.only in case.name]
    if options.list:
        print("\n".join(case.name for case in wanted))
        return 0
    calm, results, failed = {}, [], False
    for case in wanted:
        try:
            results.append(measure(case, options, calm))
        except proc.Failed as why:
            print("%s: failed: %s" % (case.name, why))
            return 1
        print(line(results[-1]), flush=True)
        r = results[-1]
        failed |= r["wrong"] > 0 or (options.strict and bool(r["goal"]) and
                                     r["high"] < r["goal"])
    where = os.path.join(options.build, "bench")
    os.makedirs(where, exist_ok=True)
    told = os.path.join(where, "availability.json")
    if options.add and os.path.exists(told):
        results = together(told, results)
    with open(told, "w") as f:
        json.dump(results, f, indent=1)
    draw(os.path.join(where, "availability.svg"), results)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
