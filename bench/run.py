#!/usr/bin/env python3
"""run.py - Weir beside its peers, in the same minutes on the same processors.

    bench/run.py [--only NAME,...] [--rounds 10] [--seconds 1.5] [--build build] [--list]
                 [--strict]

A round measures, one after the other, weir, the raw forwarder, HAProxy, nginx and weir again.
What is compared is the CPU time of all threads of a proxy per request (or chunk) in the same
round; weir's is the mean of its two, and their quotient is the A/A control, which tells how
much to believe. Numbers of other runs are never compared. A workload is void when the median
of its A/A is outside 1 +- 0.03; any error of any request ends it.
one-core: load, proxy and upstream share processor 0. two-core: the proxy has 0, the others 1.
"""
import argparse
import importlib.util
import os
import shutil
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # the tree stays as it was checked out
sys.path.insert(0, HERE)
import proc  # noqa: E402

ONE_CORE, TWO_CORE = (0, 0), (0, 1)
PEERS = ["weir", "forward", "haproxy", "nginx"]
VOID_ABOVE = 0.03

# name, title, and how: cores, connections, body bytes, goals (ratios of weir to a peer).
CPU_WORKLOADS = [
    {"name": "one-core-1k", "title": "1 KB, 64 connections, one core", "cores": ONE_CORE,
     "connections": 64, "body": 1024, "goals": {"forward": 1.40, "haproxy": 0.45}},
    {"name": "two-core-1k-64", "title": "1 KB, 64 connections, two cores", "cores": TWO_CORE,
     "connections": 64, "body": 1024, "goals": {"haproxy": 0.55}},
    {"name": "two-core-1k-512", "title": "1 KB, 512 connections, two cores",
     "cores": TWO_CORE, "connections": 512, "body": 1024, "goals": {"haproxy": 0.55}},
    {"name": "one-core-64k", "title": "64 KB, 64 connections, one core", "cores": ONE_CORE,
     "connections": 64, "body": 65536, "goals": {"haproxy": 0.50}},
    {"name": "sse-1000", "title": "SSE, 1,000 streams x 20 ms, a chunk, one core",
     "cores": ONE_CORE, "connections": 1000, "body": 1024, "stream": True, "gap_ms": 20,
     "goals": {"forward": 1.08, "haproxy": 0.72}},
]


def adapter_of(name):
    """The adapter bench/compare/NAME.py; weir+log is that of weir with an option."""
    path = os.path.join(HERE, "compare", name.split("+")[0] + ".py")
    spec = importlib.util.spec_from_file_location(name.split("+")[0], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def missing(name):
    """What name needs and this machine has not, as a text; empty: nothing."""
    return " ".join(c for c in adapter_of(name).NEEDS if not shutil.which(c))


def spread(values):
    """Median and range of a list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "values": values}


def show(s, digits=2):
    return "%.*f [%.*f..%.*f]" % (digits, s["median"], digits, s["min"], digits, s["max"])


def run_cpu(work, options):
    """One workload of CPU_WORKLOADS; gives a result for the table and the plots."""
    peers = [p for p in PEERS if not missing(p)]
    rounds = []
    load = ["--connections", work["connections"], "--window-ms", int(options.seconds * 1000)]
    with proc.Box(options.build, work["cores"], work.get("gap_ms", 20)) as box:
        for name in peers:
            box.add(name, adapter_of(name), {})
        for _ in range(options.rounds):
            rounds.append([box.load(name, work["body"], work.get("stream", False),
                                    options=load) for name in peers + ["weir"]])
    result = {"name": work["name"], "title": work["title"], "rounds": options.rounds,
              "goals": work["goals"], "cpu_us": {}, "rate": {}, "ratio": {},
              "absent": [p for p in PEERS if p not in peers]}
    weir = [(r[0]["cpu_us"] + r[-1]["cpu_us"]) / 2 for r in rounds]
    for i, name in enumerate(peers):
        cpu = weir if name == "weir" else [r[i]["cpu_us"] for r in rounds]
        result["cpu_us"][name] = spread(cpu)
        result["rate"][name] = spread([r[i]["count"] / r[i]["seconds"] for r in rounds])
        if name != "weir":
            result["ratio"][name] = spread([w / c for w, c in zip(weir, cpu)])
    result["aa"] = spread([r[-1]["cpu_us"] / r[0]["cpu_us"] for r in rounds])
    result["void"] = abs(result["aa"]["median"] - 1) > VOID_ABOVE
    return result


def print_cpu(result):
    print("\n%s (%d rounds)" % (result["title"], result["rounds"]))
    for name, cpu in result["cpu_us"].items():
        line = "  %-9s CPU us %-24s" % (name, show(cpu))
        if name in result["ratio"]:
            line += "  weir is %s x" % show(result["ratio"][name])
            goal = result["goals"].get(name)
            if goal:
                line += ", goal %.2f" % goal
        print(line)
    for name in result["absent"]:
        print("  %-9s not installed (%s)" % (name, missing(name)))
    print("  A/A       %s%s" % (show(result["aa"], 3),
                                "  VOID: outside 1 +- %.2f" % VOID_ABOVE
                                if result["void"] else ""), flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--build", default="build")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    works = {w["name"]: w for w in CPU_WORKLOADS}
    if options.list:
        print("\n".join(works))
        return 0
    wanted = [n for n in options.only.split(",") if n] or list(works)
    for name in wanted:
        if name not in works:
            parser.error("no workload %s; --list shows them" % name)
    bad = 0
    for name in wanted:
        try:
            result = run_cpu(works[name], options)
            print_cpu(result)
            bad += result["void"]
        except proc.Failed as why:
            print("\n%s: failed: %s" % (name, why), flush=True)
            bad += 1
    return 1 if bad and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
