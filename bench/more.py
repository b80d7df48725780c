"""more.py - what is not CPU time: memory per stream, system calls, added latency; TLS; the
time to start; the speed of single modules; wrk as a second opinion.

Each function takes the options of run.py and gives a result: kind, figures, lines of a table.
"""
import concurrent.futures
import glob
import http.client
import json
import os
import shutil
import statistics
import subprocess
import time

import cpu
import proc

STREAMS, STREAM_GAP_MS = 9000, 200
OVERLOAD_US = 50000   # of delay: the streams are not idle then, but stuck
RATES = [5000, 20000]
KEYS = 10000
READY_MS_MAX = 300
LUA = """wrk.method = "POST"
wrk.path = "/v1/chat/completions"
%s
wrk.body = [[%s]]
"""


def memory(options):
    """Growth of resident memory per open stream, RLIMIT_NOFILE at its hard 20,000 or so."""
    peers, gone = cpu.present(cpu.ALL, options.build)
    figures = {}
    with proc.Box(options.build, cpu.TWO_CORE, STREAM_GAP_MS) as box:
        for name in peers:
            box.add(name, cpu.adapter_of(name), {})
        for name in peers:
            time.sleep(1)  # the streams of the one before are gone everywhere
            box.load(name)  # what every request needs is there before the first reading
            run = box.load(name, stream=True, options=["--connections", STREAMS])
            figures[name] = {"kb": (run["rss"] - run["rss_before"]) / STREAMS / 1024,
                             "cpu_us": run["cpu_us"], "p50_us": run["us"]["p50"],
                             "p99_us": run["us"]["p99"], "rss_mb": run["rss"] / 2**20}
    lines = ["%-10s %11s %14s %10s %18s" % ("", "KB a stream", "MB in the end", "CPU us",
                                            "delay p50/p99 ms")]
    for name, f in figures.items():
        goal = "  goal 0.70 %s" % ("met" if f["kb"] <= 0.7 else "missed")
        lines.append("%-10s %11.2f %14.1f %10.2f %8.2f / %7.2f%s" % (
            name, f["kb"], f["rss_mb"], f["cpu_us"], f["p50_us"] / 1e3, f["p99_us"] / 1e3,
            goal if name == "weir" else ""))
    void = any(f["p50_us"] > OVERLOAD_US for f in figures.values())
    if void:
        lines.append("VOID: a median delay over %d ms: what waits is in the memory too"
                     % (OVERLOAD_US / 1000))
    return {"kind": "memory", "figures": figures, "absent": gone, "void": void,
            "lines": lines}


def calls(options):
    """System calls per request, closed loop with 64 connections and at 20,000 a second."""
    if shutil.which("perf"):  # it also mounts what the counting needs
        subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"],
                       capture_output=True)
    peers, gone = cpu.present(cpu.ALL, options.build)
    figures, goals = {}, {"closed": 0.2, "20000": 2.1}
    with proc.Box(options.build, cpu.TWO_CORE, 20) as box:
        for name in peers:
            box.add(name, cpu.adapter_of(name), {})
            figures[name] = {}
            for kind, more in (("closed", []), ("20000", ["--rate", 20000])):
                runs = [box.load(name, options=["--calls"] + more) for _ in range(2)]
                if "calls" not in runs[0]:
                    return {"kind": "calls", "figures": {}, "lines": [
                        "not counted: this kernel shows no raw_syscalls:sys_enter to us "
                        "(perf absent, or not allowed)"]}
                figures[name][kind] = statistics.mean(r["calls"] for r in runs)
    lines = ["%-10s %10s %12s" % ("", "saturated", "20,000/s")]
    for name, f in figures.items():
        met = ", ".join("goal %.1f %s" % (goals[k], "met" if f[k] <= goals[k] else "missed")
                        for k in f)
        lines.append("%-10s %10.2f %12.2f%s" % (name, f["closed"], f["20000"],
                                                "  " + met if name == "weir" else ""))
    return {"kind": "calls", "figures": figures, "absent": gone, "lines": lines}


def latency(options):
    """Latency that a proxy adds to the direct way, open loop, from the time a request was
    due; the generator is real-time on processor 1."""
    peers, gone = cpu.present(cpu.ALL, options.build)
    count, waiting = min(options.rounds, 5), 0.0
    figures = {str(rate): {name: {} for name in peers} for rate in RATES}
    lines = ["%-10s %-8s %-26s %-28s %s" % ("", "per s", "added p50 us", "added p99 us",
                                            "its p99 of forward's")]
    with proc.Box(options.build, cpu.TWO_CORE, 20) as box:
        for name in peers:
            box.add(name, cpu.adapter_of(name), {})
        for rate in RATES:
            load = ["--rate", rate, "--window-ms", int(options.seconds * 1000)]
            rounds = [{name: box.load(name, fifo=True, options=load)
                       for name in ["direct"] + peers} for _ in range(count)]
            waiting = max([waiting] + [run["late"] / run["count"]
                                       for r in rounds for run in r.values()])
            for name in peers:
                for p in ("p50", "p99"):
                    added = [r[name]["us"][p] - r["direct"]["us"][p] for r in rounds]
                    floor = [r["forward"]["us"][p] - r["direct"]["us"][p] for r in rounds]
                    figures[str(rate)][name][p] = cpu.spread(added)
                    figures[str(rate)][name][p + "_of_forward"] = (
                        statistics.median(added) / max(statistics.median(floor), 1))
                f = figures[str(rate)][name]
                lines.append("%-10s %-8d %-26s %-28s %.2f" % (
                    name, rate, cpu.show(f["p50"], 0), cpu.show(f["p99"], 0),
                    f["p99_of_forward"]))
    void = waiting > 0.01
    if void:
        lines.append("VOID: %.0f %% of the requests of a window had not been sent at its end; "
                     "the machine is too busy" % (waiting * 100))
    return {"kind": "latency", "rounds": count, "figures": figures, "absent": gone,
            "void": void, "lines": lines}


# --- wrk

def wrk(box, name, scheme="http"):
    """CPU microseconds a request with wrk as generator, its connections set up inside."""
    text = proc.make_request(box.address(name), 1024, False,
                             box.adapters[name].fields(box, name)
                             if hasattr(box.adapters[name], "fields") else {})
    head, body = text.split("\r\n\r\n", 1)
    fields = [line.split(": ", 1) for line in head.split("\r\n")[1:]]
    script = box.write("wrk.lua", LUA % ("\n".join(
        'wrk.headers["%s"] = "%s"' % tuple(f) for f in fields
        if f[0] not in ("host", "content-length")), body))
    pids = box.pids(name)
    before = sum(proc.cpu_ns(pid) for pid in pids)
    run = subprocess.run(["wrk", "-t1", "-c64", "-d2s", "-s", script,
                          "%s://%s/" % (scheme, box.address(name))],
                         capture_output=True, text=True,
                         preexec_fn=proc.pinned(box.cores[1], False))
    spent = sum(proc.cpu_ns(pid) for pid in pids) - before
    found = [line.split() for line in run.stdout.splitlines() if "requests in" in line]
    if run.returncode or not found or "Non-2xx" in run.stdout or "Socket err" in run.stdout:
        raise proc.Failed("wrk against %s: %s" % (name, (run.stdout + run.stderr)[-300:]))
    return spent / int(found[0][0]) / 1000


def cross_check(options):
    """The ratio to HAProxy again, by a generator that is not ours."""
    why = proc.no_command("wrk", "haproxy")
    if why:
        return {"kind": "wrk", "lines": ["not measured: " + why]}
    with proc.Box(options.build, cpu.ONE_CORE, 20) as box:
        for name in ("weir", "haproxy"):
            box.add(name, cpu.adapter_of(name), {})
        rounds = [(wrk(box, "weir"), wrk(box, "haproxy"), wrk(box, "weir"))
                  for _ in range(min(options.rounds, 4))]
    ratio = cpu.spread([(a + b) / 2 / h for a, h, b in rounds])
    return {"kind": "wrk", "rounds": len(rounds), "ratio": ratio, "lines": [
        "weir %.2f us, haproxy %.2f us: weir is %s x" % (
            statistics.median([(a + b) / 2 for a, _, b in rounds]),
            statistics.median([h for _, h, _ in rounds]), cpu.show(ratio))]}


def tls(options):
    """What TLS towards clients adds, beside what it adds to HAProxy: the same certificate, a
    keep-alive connection each, wrk as generator."""
    why = proc.no_command("wrk", "haproxy", "openssl")
    if why:
        return {"kind": "tls", "lines": ["not measured: " + why]}
    with proc.Box(options.build, cpu.ONE_CORE, 20) as box:
        cert, key = box.path("cert.pem"), box.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                        "-days", "2", "-subj", "/CN=bench", "-addext",
                        "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True)
        pem = box.write("both.pem", box.text("cert.pem") + box.text("key.pem"))
        with_tls = {"cert": cert, "key": key, "pem": pem}
        try:
            for name in ("weir", "haproxy", "weir+tls", "haproxy+tls"):
                box.add(name, cpu.adapter_of(name), with_tls if "+" in name else {})
        except proc.Failed as why:
            return {"kind": "tls", "lines": ["not measured: %s" % str(why).split("\n")[0]]}
        names = ["weir", "weir+tls", "haproxy", "haproxy+tls"]
        rounds = [{n: wrk(box, n, "https" if "+" in n else "http") for n in names}
                  for _ in range(min(options.rounds, 5))]
    extra = {p: [r[p + "+tls"] - r[p] for r in rounds] for p in ("weir", "haproxy")}
    figures = {p: cpu.spread(e) for p, e in extra.items()}
    ratio = cpu.spread([w / h for w, h in zip(extra["weir"], extra["haproxy"])])
    lines = ["%-10s extra CPU us a request %s" % (p, cpu.show(figures[p])) for p in figures]
    return {"kind": "tls", "figures": figures, "ratio": ratio, "rounds": len(rounds),
            "lines": lines + ["weir's extra is %s x HAProxy's" % cpu.show(ratio)]}


# --- starting

def ask(address, token, method, path, body=None, link=None):
    """One call of the admin API; gives its JSON."""
    link = link or http.client.HTTPConnection(address, timeout=60)
    link.request(method, "/admin/v1" + path, json.dumps(body) if body else None,
                 {"authorization": "Bearer " + token, "content-type": "application/json"})
    answer = link.getresponse()
    text = answer.read()
    if answer.status not in (200, 201):
        raise proc.Failed("%s %s: %d %s" % (method, path, answer.status, text[:200]))
    return json.loads(text)


def fill(box, weir, name):
    """Put KEYS keys into the ledger, by the admin API."""
    admin = weir.find(box, name, r"admin on http://([0-9.:]+)")
    token = box.text(name + ".data/admin.token").strip()
    unit = None
    for kind in ("organization", "member"):
        unit = ask(admin, token, "POST", "/units", {
            "kind": kind, "name": kind, **({"parent": unit} if unit else {})})["id"]

    def make(share):
        link = http.client.HTTPConnection(admin, timeout=60)
        for i in range(share):
            ask(admin, token, "POST", "/keys", {"member": unit, "name": "k%d" % i}, link)

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        list(pool.map(make, [KEYS // 40] * 40))


def ready_ms(box, command, address):
    """Milliseconds from exec to the first 200 of /readyz."""
    started = time.monotonic()
    with open(box.path("start.log"), "a") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, cwd=box.dir,
                                 preexec_fn=proc.pinned(box.cores[0], False))
    try:
        while time.monotonic() - started < proc.PORT_WAIT_S:
            link = http.client.HTTPConnection(address, timeout=5)
            try:
                link.request("GET", "/readyz")
                if link.getresponse().status == 200:
                    return (time.monotonic() - started) * 1000
            except OSError:
                time.sleep(0.001)
            finally:
                link.close()
        raise proc.Failed("not ready: " + box.text("start.log")[-300:])
    finally:
        child.terminate()
        child.wait(proc.END_WAIT_S)


def start(options):
    """From exec to ready with KEYS keys in the ledger; `weir check` by hyperfine."""
    weir = cpu.adapter_of("weir")
    with proc.Box(options.build, cpu.TWO_CORE, 20) as box:
        box.add("weir", weir, {})
        fill(box, weir, "weir")
        box.stop("weir")
        address = box.address("weir")
        command = weir.command(box, "weir", address, {})
        times = cpu.spread([ready_ms(box, command, address) for _ in range(10)])
        lines = ["ready with %d keys: %s ms  goal %d %s" % (
            KEYS, cpu.show(times, 1), READY_MS_MAX,
            "met" if times["median"] < READY_MS_MAX else "missed")]
        result = {"kind": "start", "keys": KEYS, "ready_ms": times, "lines": lines}
        if shutil.which("hyperfine"):
            subprocess.run(["hyperfine", "-N", "--warmup", "3", "--export-json",
                            box.path("h.json"), "%s/weir check -c %s" % (
                                box.build, box.path("weir.yaml"))],
                           capture_output=True, check=True)
            check = json.loads(box.text("h.json"))["results"][0]
            result["check_ms"] = check["median"] * 1000
            lines.append("weir check: median %.1f ms of %d runs (hyperfine)" % (
                check["median"] * 1000, len(check["times"])))
        else:
            lines.append("weir check: not timed, hyperfine is not installed")
    return result


def modules(options):
    """The programs bench_*: speed of single modules, the JSON scan beside simdjson's."""
    lines = []
    for program in sorted(glob.glob(options.build + "/bench/bench_*")):
        if os.access(program, os.X_OK) and os.path.isfile(program) and "." not in program:
            run = subprocess.run([os.path.abspath(program)], capture_output=True, text=True,
                                 preexec_fn=proc.pinned(0, False))
            lines += ["", os.path.basename(program)] + run.stdout.splitlines()
            if run.returncode:
                lines.append("failed: " + run.stderr.strip()[-300:])
    return {"kind": "modules", "lines": lines[1:]}


WORKLOADS = [
    {"name": "memory-9000", "title": "memory: 9,000 streams x 200 ms, two cores",
     "run": memory},
    {"name": "calls", "title": "system calls per request: 1 KB, 64 connections, two cores",
     "run": calls},
    {"name": "latency", "title": "latency: open loop, 1 KB, 64 connections, two cores",
     "run": latency},
    {"name": "tls", "title": "TLS towards clients: 1 KB, 64 connections, one core",
     "run": tls},
    {"name": "wrk", "title": "cross-check with wrk: 1 KB, 64 connections, one core",
     "run": cross_check},
    {"name": "start", "title": "start-up", "run": start},
    {"name": "modules", "title": "single modules", "run": modules},
]
