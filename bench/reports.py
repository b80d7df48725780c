"""reports.py - what full reports and admin writes cost those who wait for an answer.

A million request rows of a month (rows.c) are put into Weir's ledger, every grouping of usage
and pages of requests are timed, then open-loop load runs with and without a loop of full
reports and admin writes beside it, in turns. The figures are p50 and p99 with them over those
without, turn by turn, and `wait`: how long the core thread was ready to run and had no
processor, for each request. A/A is one turn without over the one before.
Rule: what is measured is Weir and not the bench, so that on two processors it is done twice:
  apart     the core thread and the upstream have processor 0; the threads for reports, ledger
            and admin, generator (real-time) and this script have processor 1: a machine with
            a processor to spare
  together  all threads of Weir share processor 0: a machine without one
"""
import http.client
import json
import os
import statistics
import subprocess
import threading
import time

import cpu
import proc

ROWS, RATE, TURN_MS = 1000000, 2000, 2000
TIERS = (', {id: mock/tiers, price: {input: "1", output: "2", '
         'tiers: [{above: 2000, input: "2", output: "3"}]}}')
GROUPS = ["organization", "department", "team", "member", "key", "model", "provider", "tag",
          "hour", "day", "month", "month,model", "key,day"]
FULL = ["usage?group_by=key,day", "usage?group_by=model,hour", "usage?group_by=team,tag,day",
        "usage?group_by=member&baseline=mock/tiers", "requests?limit=1000"]


class Admin:
    """Calls to the admin API, each on a connection of its own."""

    def __init__(self, address, token):
        self.address, self.token = address, token

    def call(self, method, what, body=None):
        """The answer and how many ms it took; anything but success is a failure."""
        began = time.monotonic()
        link = http.client.HTTPConnection(self.address, timeout=60)
        link.request(method, "/admin/v1/" + what, body and json.dumps(body),
                     {"authorization": "Bearer " + self.token,
                      "content-type": "application/json"})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        if answer.status >= 300:
            raise proc.Failed("%s %s: %d %s" % (method, what, answer.status, text[:200]))
        return json.loads(text), (time.monotonic() - began) * 1000


class Weir:
    """The adapter of Weir, started on a ledger that is there; the key is of its first start."""

    def __init__(self, adapter, box, name):
        self.adapter, self.key = adapter, None
        self.data = box.path(name + ".data")

    def start(self, box, name, address, options):
        self.adapter.start(box, name, address, options)
        if not self.key:
            self.key = self.adapter.fields(box, name)

    def fields(self, _box, _name):
        return self.key

    def admin(self, box, name):
        with open(self.data + "/admin.token") as f:
            token = f.read().strip()
        return Admin(self.adapter.find(box, name, r"admin on http://(\S+)"), token)


class Beside(threading.Thread):
    """Reports one after the other, and a write each 20 ms, until told to stop."""

    def __init__(self, admin, key):
        super().__init__()
        self.admin, self.key = admin, key
        self.over, self.reports, self.writes, self.failed = threading.Event(), 0, 0, None
        self.writer = threading.Thread(target=self.guard, args=(self.write,))

    def guard(self, what):
        try:
            while not self.over.is_set():
                what()
        except (proc.Failed, OSError) as why:
            self.failed = why

    def read(self):
        self.admin.call("GET", FULL[self.reports % len(FULL)])
        self.reports += 1

    def write(self):
        self.admin.call("PATCH", "keys/" + self.key, {"name": "n%d" % self.writes})
        self.writes += 1
        time.sleep(0.02)

    def run(self):
        self.writer.start()
        self.guard(self.read)
        self.writer.join()

    def end(self):
        self.over.set()
        self.join()
        if self.failed:
            raise proc.Failed("beside the load: %s" % self.failed)


def waited_ns(pid, task):
    """How long a thread could have run and did not."""
    with open("/proc/%d/task/%d/schedstat" % (pid, task)) as f:
        return int(f.read().split()[1])


def place(box, name, apart):
    """Pin the threads of Weir; gives the core's, the one that worked most while load ran."""
    pid = box.children[name].pid
    tasks = [int(t) for t in os.listdir("/proc/%d/task" % pid)]

    def worked():
        out = {}
        for task in tasks:
            with open("/proc/%d/task/%d/schedstat" % (pid, task)) as f:
                out[task] = int(f.read().split()[0])
        return out

    before = worked()
    box.load(name, options=["--rate", RATE])
    after = worked()
    core = max(tasks, key=lambda task: after[task] - before[task])
    for task in tasks:
        os.sched_setaffinity(task, {1 if apart and task != core else 0})
    os.sched_setaffinity(box.children["upstream"].pid, {0 if apart else 1})
    return core


def turn(box, name, core):
    """One run of load: p50, p99, and how long the core wanted a processor and had none."""
    began = waited_ns(box.children[name].pid, core)
    run = box.load(name, fifo=True, options=["--rate", RATE, "--window-ms", TURN_MS])
    waited = waited_ns(box.children[name].pid, core) - began
    return {"p50": run["us"]["p50"], "p99": run["us"]["p99"],
            "wait": waited / 1000 / run["count"]}


def turns(box, name, core, admin, key, count):
    """Without and with, in turns; each is one run of load."""
    quiet, busy, done = [], [], [0, 0]
    for _ in range(count):
        quiet.append(turn(box, name, core))
        beside = Beside(admin, key)
        beside.start()
        try:
            busy.append(turn(box, name, core))
        finally:
            beside.end()
        done = [done[0] + beside.reports, done[1] + beside.writes]
    figures = {"reports": done[0], "writes": done[1]}
    for p in ("p50", "p99", "wait"):
        figures[p] = {"without": cpu.spread([q[p] for q in quiet]),
                      "with": cpu.spread([b[p] for b in busy]),
                      "ratio": cpu.spread([b[p] / q[p] for q, b in zip(quiet, busy)]),
                      "control": cpu.spread([b[p] / a[p] for a, b in zip(quiet, quiet[1:])])}
    return figures


def times(admin, pid, count):
    """Each question a few times: the median and the slowest, ms, and the least processor time
    of Weir, which says more on a busy machine."""
    out = {}
    key = admin.call("GET", "keys?limit=3")[0]["data"][2]["id"]
    asked = ["usage"] + ["usage?group_by=" + g for g in GROUPS]
    asked += ["usage?group_by=model&baseline=mock/" + m for m in ("gpt", "tiers")]
    asked += ["requests?limit=500", "requests?limit=50&unit=" + key]
    for what in asked:
        ms, busy = [], []
        for _ in range(count):
            began = proc.cpu_ns(pid)
            ms.append(admin.call("GET", what)[1])
            busy.append((proc.cpu_ns(pid) - began) / 1e6)
        out[what.replace(key, "KEY")] = {"median": statistics.median(ms), "max": max(ms),
                                         "cpu": min(busy)}
    after, ms = "", []
    for _ in range(20):
        page, took = admin.call("GET", "requests?limit=500" + after)
        ms.append(took)
        after = "&after=" + page["data"][-1]["id"]
    out["20 pages of 500 requests, each"] = {"median": statistics.median(ms), "max": max(ms),
                                             "cpu": 0}
    return out, key


def prepare(box, options):
    """Weir with a million rows, and its admin API."""
    weir = Weir(cpu.adapter_of("weir"), box, "weir")
    box.add("weir", weir, {})
    box.stop("weir")
    subprocess.run([options.build + "/bench/rows", weir.data, "--rows", str(ROWS)], check=True)
    weir.start(box, "weir", box.address("weir"), {"models": TIERS})
    return weir.admin(box, "weir")


def run(options):
    """The workload `reports` of run.py."""
    count = options.rounds
    lines, figures = [], {}
    os.sched_setaffinity(0, {1})
    with proc.Box(options.build, cpu.TWO_CORE, 20) as box:
        admin = prepare(box, options)
        figures["questions"], key = times(admin, box.children["weir"].pid, 4)
        for what, ms in figures["questions"].items():
            lines.append("%-46s cpu %4.0f ms, median %5.0f, slowest %5.0f%s" % (
                what, ms["cpu"], ms["median"], ms["max"],
                "" if ms["max"] < 1000 else "  goal 1000 missed"))
        for name in ("apart", "together"):
            core = place(box, "weir", name == "apart")
            f = figures[name] = turns(box, "weir", core, admin, key, count)
            for p in ("p50", "p99", "wait"):
                lines.append("%-9s %-4s us: without %s, with %s; ratio %s (A/A %s)" % (
                    name, p, cpu.show(f[p]["without"], 1), cpu.show(f[p]["with"], 1),
                    cpu.show(f[p]["ratio"], 2), cpu.show(f[p]["control"], 2)))
            lines.append("%-9s beside it: %d reports and %d writes in %d turns of %.1f s" % (
                name, f["reports"], f["writes"], count, TURN_MS / 1000))
    return {"kind": "reports", "rounds": count, "figures": figures, "lines": lines}


WORKLOADS = [{"name": "reports", "title": "full reports beside %d requests/s, a million rows"
              % RATE, "run": run}]
