"""cpu.py - CPU time per request, or per chunk of a stream, of Weir beside its peers.

A round measures every peer in order and weir once more; weir's figure is the mean of its two,
the quotient of the two is the A/A control. A workload is void when the median of that is
outside 1 +- VOID_ABOVE, or when the forwarder costs more than FLOOR_ABOVE times the least it
ever did on this machine (BUILD/bench/floor.json), or when streams fall behind their rate:
then the machine is busy with other things.
"""
import importlib.util
import json
import os
import statistics

import proc

HERE = os.path.dirname(os.path.abspath(__file__))
ONE_CORE, TWO_CORE = (0, 0), (0, 1)
ALL = ["weir", "forward", "haproxy", "nginx"]
TRANSLATED = ["weir+anthropic", "weir+responses", "weir+gemini"]
VOID_ABOVE = 0.03
FLOOR_ABOVE = 1.25
RATE_BELOW = 0.9  # of the chunks that streams should bring

# cores of the proxies and of the others; goals: most that weir may be of a peer; least: least
# that weir may be of a variant of itself, which then costs at most the inverse of it.
WORKLOADS = [
    {"name": "one-core-1k", "title": "1 KB, 64 connections, one core", "cores": ONE_CORE,
     "connections": 64, "body": 1024, "goals": {"forward": 1.40, "haproxy": 0.45}},
    {"name": "two-core-1k-64", "title": "1 KB, 64 connections, two cores", "cores": TWO_CORE,
     "connections": 64, "body": 1024, "goals": {"haproxy": 0.55}},
    {"name": "two-core-1k-512", "title": "1 KB, 512 connections, two cores",
     "cores": TWO_CORE, "connections": 512, "body": 1024, "goals": {"haproxy": 0.55},
     "peers": ["weir", "forward", "haproxy"]},
    {"name": "one-core-64k", "title": "64 KB, 64 connections, one core", "cores": ONE_CORE,
     "connections": 64, "body": 65536, "goals": {"haproxy": 0.50}},
    {"name": "sse-1000", "title": "SSE, 1,000 streams x 20 ms, per chunk, one core",
     "cores": ONE_CORE, "connections": 1000, "body": 1024, "stream": True, "gap_ms": 20,
     "goals": {"forward": 1.08, "haproxy": 0.72}},
    {"name": "access-log", "title": "1 KB, 64 connections, one core: the access line on",
     "cores": ONE_CORE, "connections": 64, "body": 1024, "goals": {},
     "peers": ["weir", "weir+log"], "rounds_max": 6},
    {"name": "six-cells", "title": "1 KB, 64 connections, one core: budgets at every level and "
     "the credit pool", "cores": ONE_CORE, "connections": 64, "body": 1024, "goals": {},
     "least": {"weir+budgets": 1 / 1.05}, "peers": ["weir", "weir+budgets"]},
    {"name": "auto", "title": "1 KB, 64 connections, one core: the model is left to the "
     "router, among 300", "cores": ONE_CORE, "connections": 64, "body": 1024, "goals": {},
     "least": {"weir+auto": 1 / 1.15}, "peers": ["weir", "weir+auto"]},
    {"name": "translate-1k", "title": "1 KB, 64 connections, one core: the provider speaks "
     "another dialect", "cores": ONE_CORE, "connections": 64, "body": 1024, "goals": {},
     "least": dict.fromkeys(TRANSLATED, 1 / 1.5), "peers": ["weir"] + TRANSLATED},
    {"name": "translate-sse", "title": "SSE, 1,000 streams x 20 ms, per chunk, one core: the "
     "provider speaks another dialect", "cores": ONE_CORE, "connections": 1000, "body": 1024,
     "stream": True, "gap_ms": 20, "goals": {}, "peers": ["weir"] + TRANSLATED},
    {"name": "resume-sse", "title": "SSE, 1,000 streams x 20 ms, per chunk, one core: kept, to "
     "go on with another model", "cores": ONE_CORE, "connections": 1000, "body": 1024,
     "stream": True, "gap_ms": 20, "goals": {}, "peers": ["weir", "weir+resume"]},
    {"name": "gateways", "title": "1 KB, 64 connections, one core: other AI gateways",
     "cores": ONE_CORE, "connections": 64, "body": 1024, "goals": {"portkey": 1 / 150},
     "peers": ["weir", "haproxy", "portkey", "bifrost", "litellm"], "rounds_max": 4},
]


def adapter_of(name):
    """The adapter bench/compare/NAME.py; that of weir+log is weir's."""
    base = name.split("+")[0]
    spec = importlib.util.spec_from_file_location(base, HERE + "/compare/%s.py" % base)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def present(names, build):
    """Which of names can run here, and why the others cannot."""
    why = {name: adapter_of(name).absent(os.path.abspath(build)) for name in names}
    return [n for n in names if not why[n]], {n: w for n, w in why.items() if w}


def spread(values):
    """Median and range of a list, and the list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def show(s, digits=2):
    """A spread as text; a small quotient as 1/N."""
    if 0 < s["median"] < 0.05:
        return "1/%.0f [1/%.0f..1/%.0f]" % (1 / s["median"], 1 / s["min"], 1 / s["max"])
    return "%.*f [%.*f..%.*f]" % (digits, s["median"], digits, s["min"], digits, s["max"])


def goal_text(median, goal):
    limit = "1/%.0f" % (1 / goal) if goal < 0.05 else "%.2f" % goal
    return "  goal %s %s" % (limit, "met" if median <= goal else "missed")


def above_floor(name, median, build):
    """How many times its least known cost the forwarder had; keeps the least."""
    path = build + "/bench/floor.json"
    known = {}
    if os.path.exists(path):
        with open(path) as f:
            known = json.load(f)
    known[name] = min(median, known.get(name, median))
    with open(path, "w") as f:
        json.dump(known, f, indent=1)
    return median / known[name]


def run(work, options):
    """One workload; gives a result with its figures and the lines of the table."""
    peers, gone = present(work.get("peers", ALL), options.build)
    count = min(options.rounds, work.get("rounds_max", options.rounds))
    load = ["--connections", work["connections"], "--window-ms", int(options.seconds * 1000)]
    rounds = []
    with proc.Box(options.build, work["cores"], work.get("gap_ms", 20)) as box:
        for name in peers:
            box.add(name, adapter_of(name), {})
        for _ in range(count):
            rounds.append([box.load(name, work["body"], work.get("stream", False),
                                    options=load) for name in peers + ["weir"]])
    result = {"name": work["name"], "title": work["title"], "kind": "cpu", "rounds": count,
              "goals": work["goals"], "least": work.get("least", {}), "absent": gone,
              "cpu_us": {}, "rate": {}, "ratio": {}, "p50_us": {}, "p99_us": {},
              "relative": {}}
    cpu = {name: [r[i]["cpu_us"] for r in rounds] for i, name in enumerate(peers)}
    cpu["weir"] = [(r[0]["cpu_us"] + r[-1]["cpu_us"]) / 2 for r in rounds]
    for i, name in enumerate(peers):
        result["cpu_us"][name] = spread(cpu[name])
        result["rate"][name] = spread([r[i]["count"] / r[i]["seconds"] for r in rounds])
        for p in ("p50", "p99"):
            result[p + "_us"][name] = spread([r[i]["us"][p] for r in rounds])
        result["ratio"][name] = spread([w / c for w, c in zip(cpu["weir"], cpu[name])])
        if "haproxy" in cpu:
            result["relative"][name] = spread([c / h for c, h in
                                               zip(cpu[name], cpu["haproxy"])])
    result["aa"] = spread([r[-1]["cpu_us"] / r[0]["cpu_us"] for r in rounds])
    result["floor"] = 1.0
    if "forward" in cpu:
        result["floor"] = above_floor(work["name"], result["cpu_us"]["forward"]["median"],
                                      options.build)
    result["void"] = (abs(result["aa"]["median"] - 1) > VOID_ABOVE or
                      result["floor"] > FLOOR_ABOVE)
    result["rate_share"] = 1.0
    if work.get("stream"):
        due = work["connections"] * 1000 / work["gap_ms"]
        result["rate_share"] = min(r["median"] for r in result["rate"].values()) / due
        result["void"] = result["void"] or result["rate_share"] < RATE_BELOW
    result["lines"] = list(lines(result))
    return result


def lines(result):
    yield "%-10s %-22s %9s %9s %9s  %s" % ("", "CPU us", "per s", "p50 ms", "p99 ms",
                                           "weir is this many times it")
    for name, cpu in result["cpu_us"].items():
        ratio, goal = result["ratio"][name], result["goals"].get(name)
        text = "%-10s %-22s %9.0f %9.2f %9.2f" % (
            name, show(cpu), result["rate"][name]["median"],
            result["p50_us"][name]["median"] / 1e3, result["p99_us"][name]["median"] / 1e3)
        if name != "weir":
            text += "  %-20s" % show(ratio)
            text += goal_text(ratio["median"], goal) if goal else ""
            least = result["least"].get(name)
            if least:
                text += "  it costs %.3f x weir's, goal %.2f %s" % (
                    1 / ratio["median"], 1 / least,
                    "met" if ratio["median"] >= least else "missed")
        yield text.rstrip()
    for name, why in result["absent"].items():
        yield "%-10s not installed (%s)" % (name, why)
    yield "%-10s %s" % ("A/A", show(result["aa"], 3))
    if result["floor"] > FLOOR_ABOVE:
        yield "VOID: the forwarder costs %.2f x its least known; the machine is busy" % (
            result["floor"])
    elif result["rate_share"] < RATE_BELOW:
        yield "VOID: only %.0f %% of the chunks came in time; they share sends then" % (
            result["rate_share"] * 100)
    elif result["void"]:
        yield "VOID: A/A is outside 1 +- %.2f; run it again" % VOID_ABOVE
