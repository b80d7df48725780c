#!/usr/bin/env python3
"""first_look - CPU time per request of Weir beside HAProxy, side by side in one run.

    bench/first_look.py [--rounds 5] [--seconds 2] [--connections 64]

Behind both: nginx answering a fixed 600-byte completion. In front: wrk with the head and body
of an SDK's request (about 1 KB). Both proxies keep connections alive on both sides; HAProxy
replaces the authorization field and adds one, Weir does everything it does (key, JSON, usage,
price, journal, ledger, log line). CPU time is that of all threads of the process, from
/proc/PID/task/*/schedstat. A round runs HAProxy, Weir, HAProxy again (the A/A control).
Everything is pinned to one processor, where ratios are steadiest on a noisy machine.

Needs build/weir, and wrk, nginx, haproxy (Debian packages; the script says which is missing).
Traffic goes to loopback only and ends by itself.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "gpt",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "A plain answer of ordinary length. " * 10}}],
    "usage": {"prompt_tokens": 200, "completion_tokens": 70, "total_tokens": 270}})
BODY = json.dumps({
    "model": "mock/gpt", "temperature": 0.7, "max_tokens": 200, "messages": [
        {"role": "system", "content": "You answer in complete sentences."},
        {"role": "user", "content": "word " * 160}]})
LUA = """wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["accept"] = "application/json"
wrk.headers["user-agent"] = "OpenAI/JS 6.0"
wrk.headers["x-stainless-lang"] = "js"
wrk.headers["x-stainless-os"] = "Linux"
wrk.headers["x-stainless-arch"] = "x64"
wrk.headers["x-stainless-runtime"] = "node"
wrk.headers["authorization"] = "Bearer %s"
wrk.body = [[%s]]
"""
NGINX = """daemon off; worker_processes 1; pid %(dir)s/nginx.pid; error_log %(dir)s/nginx.err;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path %(dir)s/body;
  server { listen 127.0.0.1:%(up)d; location / { return 200 '%(answer)s'; } } }
"""
HAPROXY = """global
  nbthread 1
  maxconn 4000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend f
  bind 127.0.0.1:%(proxy)d
  http-request set-header authorization "Bearer sk-up"
  http-response set-header x-gateway haproxy
  default_backend b
backend b
  server s 127.0.0.1:%(up)d pool-max-conn -1
"""
WEIR = """log: {level: info}
providers: [{name: mock, dialect: openai, url: "http://127.0.0.1:%(up)d/v1", keys: ["sk-up"]}]
models: [{id: mock/gpt, price: {input: "1", output: "2"}}]
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_ns(pid):
    """CPU time of all threads that process pid has now."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total


def load(pid, port, where, options):
    """One round of wrk: microseconds of CPU a request, requests, errors."""
    command = ["wrk", "-t1", "-c%d" % options.connections, "-d%ds" % options.seconds, "-s",
               where + "/request.lua", "http://127.0.0.1:%d/v1/chat/completions" % port]
    before = cpu_ns(pid)
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = cpu_ns(pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    errors = re.findall(r"Non-2xx[^\n]*|Socket errors[^\n]*", out)
    return spent / requests / 1000, requests, errors


def wait_port(port):
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit("first_look: nothing listens on port %d" % port)


def start(where, ports):
    names = dict(ports, dir=where, answer=ANSWER)
    for file, text in (("nginx.conf", NGINX), ("haproxy.cfg", HAPROXY), ("weir.yaml", WEIR)):
        with open(os.path.join(where, file), "w") as f:
            f.write(text % names)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    log = open(where + "/weir.log", "w")
    children = {
        "nginx": subprocess.Popen(["nginx", "-c", where + "/nginx.conf"], **quiet),
        "haproxy": subprocess.Popen(["haproxy", "-f", where + "/haproxy.cfg"], **quiet),
        "weir": subprocess.Popen(
            ["build/weir", "serve", "-c", where + "/weir.yaml", "--data", where + "/data",
             "--cores", "1", "--listen", "127.0.0.1:%d" % ports["weir"], "--admin",
             "127.0.0.1:0"], stdout=log, stderr=subprocess.STDOUT)}
    for port in ports.values():
        wait_port(port)
    time.sleep(0.5)
    with open(where + "/weir.log") as f:
        key = re.search(r"sk-weir-\w+", f.read()).group(0)
    with open(where + "/request.lua", "w") as f:
        f.write(LUA % (key, BODY))
    return children


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=64)
    options = parser.parse_args()
    missing = [p for p in ("wrk", "nginx", "haproxy") if not shutil.which(p)]
    if missing:
        sys.exit("first_look: install " + " ".join(missing))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the children inherit it
    where = tempfile.mkdtemp(prefix="weir-first-look-")
    os.makedirs(where + "/body")
    ports = {"up": free_port(), "proxy": free_port(), "weir": free_port()}
    children = start(where, ports)
    rows = []
    try:
        for i in range(options.rounds):
            a = load(children["haproxy"].pid, ports["proxy"], where, options)
            w = load(children["weir"].pid, ports["weir"], where, options)
            b = load(children["haproxy"].pid, ports["proxy"], where, options)
            rows.append((a[0], w[0], b[0]))
            print("round %d: haproxy %.2f us, weir %.2f us, haproxy again %.2f us; %d, %d, %d "
                  "requests %s" % (i + 1, a[0], w[0], b[0], a[1], w[1], b[1],
                                   a[2] + w[2] + b[2] or ""), flush=True)
    finally:
        for child in children.values():
            child.send_signal(signal.SIGTERM)
        for child in children.values():
            child.wait(timeout=40)
        shutil.rmtree(where, ignore_errors=True)
    ratios = [2 * w / (a + b) for a, w, b in rows]
    control = [b / a for a, _, b in rows]
    print("CPU per request, weir / haproxy: median %.2f [%.2f..%.2f]; A/A control %.2f" % (
        statistics.median(ratios), min(ratios), max(ratios), statistics.median(control)))


if __name__ == "__main__":
    main()
