#!/usr/bin/env python3
"""run.py - Weir beside its peers, in the same minutes on the same processors.

    bench/run.py [--only NAME,...] [--rounds 10] [--seconds 1.5] [--build build] [--strict]
    bench/run.py --list
    bench/run.py --self-test   load must notice what spoils a measurement

A round measures, one after the other, weir, the raw forwarder, HAProxy, nginx and weir again.
What is compared is the CPU time of all threads of a proxy per request (or chunk) in the same
round; weir's is the mean of its two, and their quotient is the A/A control, which tells how
much to believe. Numbers of other runs are never compared. A workload is void when the median
of its A/A is outside 1 +- 0.03 or the forwarder is far from its best; any error of any
request ends it. --strict turns that into exit code 1.
one-core: load, proxy and upstream share processor 0. two-core: the proxy has 0, the others 1.
Tables go to stdout, BUILD/bench/results.json and plots beside it.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True  # the tree stays as it was checked out
sys.path.insert(0, HERE)
import cpu  # noqa: E402
import more  # noqa: E402
import plot  # noqa: E402
import proc  # noqa: E402
import reports  # noqa: E402
import selftest  # noqa: E402


def output(*command):
    """What a command prints, or nothing where it cannot run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=HERE).stdout.strip()
    except OSError:
        return ""


def machine():
    """What the figures belong to."""
    with open("/proc/cpuinfo") as f:
        model = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    versions = {"haproxy": output("haproxy", "-v").split("\n")[0], "nginx": subprocess.run(
        "nginx -v 2>&1", shell=True, capture_output=True, text=True).stdout.strip()}
    return {"processor": model[0] if model else platform.machine(), "processors": len(model),
            "kernel": platform.release(), "compiler": output("gcc", "--version").split("\n")[0],
            "commit": output("git", "rev-parse", "--short=12", "HEAD") +
            ("+" if output("git", "status", "--porcelain", "-uno") else ""),
            "load_average": os.getloadavg()[0], "versions": versions,
            "time": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())}


def header(m):
    return "%s, %d processors, Linux %s, commit %s, %s" % (
        m["processor"], m["processors"], m["kernel"], m["commit"], m["time"])


def measure(work, options):
    """Run one workload; what fails is a result too."""
    began = time.monotonic()
    try:
        result = work["run"](options) if "run" in work else cpu.run(work, options)
    except proc.Failed as why:
        result = {"kind": "failed", "failed": str(why), "lines": ["failed: %s" % why]}
    result.update(name=work["name"], title=work["title"], took_s=time.monotonic() - began)
    rounds = ", %d rounds" % result["rounds"] if "rounds" in result else ""
    print("\n%s: %s%s" % (result["name"], result["title"], rounds))
    for line in result["lines"]:
        print("  " + line)
    sys.stdout.flush()
    return result


def plots(results, where, m):
    """The plots that the results allow."""
    def row(name, s, goal=None):
        return name, s["median"], s["min"], s["max"], goal

    measured = [r for r in results if r["kind"] == "cpu" and "nginx" not in r["absent"]
                and len(r["relative"]) >= 3 and "portkey" not in r["relative"]]
    plot.bars(where + "/cpu.svg", "CPU time beside HAProxy's", header(m),
              "CPU per request or chunk, HAProxy in the same round = 1 (median, range)",
              [(r["title"], [row(n, s, r["goals"].get("haproxy") if n == "weir" else None)
                             for n, s in r["relative"].items()]) for r in measured])
    for r in results:
        if r["kind"] == "latency":
            plot.bars(where + "/latency.svg", "Latency added to the direct way", header(m),
                      "microseconds (median of %d runs, range)" % r["rounds"],
                      [("%s, %s requests/s" % (p, rate),
                        [row(n, f[p]) for n, f in figures.items()])
                       for p in ("p50", "p99") for rate, figures in r["figures"].items()])
        if r["kind"] == "memory":
            plot.bars(where + "/memory.svg", "Memory of an open stream", header(m),
                      "growth of resident memory, KB a stream (9,000 streams)",
                      [("9,000 streams x 200 ms", [
                          (n, f["kb"], f["kb"], f["kb"], 0.7 if n == "weir" else None)
                          for n, f in r["figures"].items()])])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.5, help="of a window")
    parser.add_argument("--build", default="build")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    works = {w["name"]: w for w in cpu.WORKLOADS + more.WORKLOADS + reports.WORKLOADS}
    if options.list:
        print("\n".join("%-16s %s" % (w["name"], w["title"]) for w in works.values()))
        return 0
    wanted = [n for n in options.only.split(",") if n] or list(works)
    for name in wanted:
        if name not in works:
            parser.error("no workload %s; --list shows them" % name)
    if options.rounds < 1 or not 0.1 <= options.seconds <= 60:
        parser.error("--rounds from 1, --seconds 0.1 to 60")
    options.build = os.path.abspath(options.build)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # boxes end what they started
    if options.self_test:
        return selftest.run(options.build)
    m = machine()
    print(header(m))
    if os.cpu_count() < 2:
        print("one processor only: two-core workloads share it, and say nothing")
    results = [measure(works[name], options) for name in wanted]
    where = options.build + "/bench"
    with open(where + "/results.json", "w") as f:
        json.dump({"machine": m, "rounds": options.rounds, "results": results}, f, indent=1)
    plots(results, where, m)
    bad = [r["name"] for r in results if r.get("void") or "failed" in r]
    print("\n%d workloads in %.0f s; %s; JSON and plots in %s" % (
        len(results), sum(r["took_s"] for r in results),
        "void or failed: " + " ".join(bad) if bad else "all valid", os.path.relpath(where)))
    return 1 if bad and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
