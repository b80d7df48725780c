"""proc.py - processes of the bench: started pinned, measured by pid, ended by pid.

A Box is one directory, one upstream and the proxies in front of it. Rule: what a Box started
ends with it, whatever happens; nothing else is ever signalled.
"""
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

NICE = -10            # where it is allowed: less disturbance by what else runs
PORT_WAIT_S = 120     # a gateway in Python takes its time
END_WAIT_S = 40


CLIENT_KEY = "sk-bench-0123456789abcdef0123456789abcdef"  # what peers are asked with
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Something that is measured did not start or did not answer well."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def family(pid):
    """The process and all that descend from it."""
    children = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue  # it ended meanwhile
        parent = int(text.rsplit(")", 1)[1].split()[1])
        children.setdefault(parent, []).append(int(path.split("/")[2]))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def cpu_ns(pid):
    """CPU time of all threads that process pid has now."""
    total = 0
    for path in glob.glob("/proc/%d/task/*/schedstat" % pid):
        with open(path) as f:
            total += int(f.read().split()[0])
    return total


def pinned(core, fifo):
    """What a child does before its program: its processor, its priority; and it ends should
    this script be killed."""
    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.sched_setaffinity(0, {core})
        try:
            os.nice(NICE)
            if fifo:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass  # measured all the same, with more spread
    return prepare


def no_command(*names):
    """Why an adapter cannot run here: which of its commands is missing; empty: none."""
    gone = [name for name in names if not shutil.which(name)]
    return "no " + " ".join(gone) if gone else ""


class Box:
    """One upstream and the proxies in front of it, in a directory of their own."""

    def __init__(self, build, cores, gap_ms):
        self.build = os.path.abspath(build)
        self.cores = cores  # of the proxies, of load and upstream
        self.dir = tempfile.mkdtemp(prefix="weir-bench-")
        self.children = {}
        self.ports = {}
        self.adapters = {}
        self.upstream = "127.0.0.1:%d" % free_port()
        self.start("upstream", [self.build + "/bench/upstream", "--listen", self.upstream,
                                "--gap-ms", str(gap_ms)], self.upstream, core=cores[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children.values():
            child.send_signal(signal.SIGTERM)
        for child in self.children.values():
            try:
                child.wait(END_WAIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self, name):
        """End one that was started; its files stay."""
        child = self.children.pop(name)
        child.send_signal(signal.SIGTERM)
        child.wait(END_WAIT_S)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def text(self, name):
        with open(self.path(name), errors="replace") as f:
            return f.read()

    def start(self, name, command, address, core=None, env=None):
        """Start a process, wait until it takes connections on address, if there is one."""
        with open(self.path(name + ".log"), "w") as log:
            self.children[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.dir,
                env=dict(os.environ, **(env or {})),
                preexec_fn=pinned(self.cores[0] if core is None else core, False))
        host, port = address.split(":")
        end = time.monotonic() + PORT_WAIT_S
        while time.monotonic() < end and self.children[name].poll() is None:
            with socket.socket() as s:
                if s.connect_ex((host, int(port))) == 0:
                    return
            time.sleep(0.02)
        raise Failed("%s does not listen: %s" % (name, self.text(name + ".log")[-500:]))

    def add(self, name, adapter, options):
        """Start the proxy of an adapter under a name, with its configuration in the box."""
        self.adapters[name] = adapter
        self.ports[name] = free_port()
        adapter.start(self, name, "127.0.0.1:%d" % self.ports[name], options)

    def address(self, name):
        return self.upstream if name == "direct" else "127.0.0.1:%d" % self.ports[name]

    def pids(self, name):
        return family(self.children["upstream" if name == "direct" else name].pid)

    def request(self, name, body, stream):
        """Write the whole request that load sends to name: 12 fields as an SDK sends them,
        about 500 bytes, and a JSON body of body bytes. Gives the file."""
        adapter = self.adapters.get(name)
        more = adapter.fields(self, name) if hasattr(adapter, "fields") else {}
        model = adapter.model(name) if hasattr(adapter, "model") else "mock/gpt"
        text = make_request(self.address(name), body, stream, more, model)
        file = "%s-%d%s.request" % (name.replace(" ", "-"), body, "s" if stream else "")
        return self.write(file, text)

    def load(self, name, body=1024, stream=False, fifo=False, options=()):
        """Run load against name once; gives what it printed. Raises Failed on any error."""
        command = [self.build + "/bench/load", "--to", self.address(name), "--request",
                   self.request(name, body, stream)] + [str(o) for o in options]
        adapter = self.adapters.get(name)
        rewrites = getattr(adapter, "REWRITES", False)
        if not stream and not (rewrites(name) if callable(rewrites) else rewrites):
            command += ["--expect", "700"]
        if stream:
            command += ["--streams"]
        for pid in self.pids(name):
            command += ["--pid", str(pid)]
        run = subprocess.run(command, capture_output=True, text=True,
                             preexec_fn=pinned(self.cores[1], fifo))
        if run.returncode != 0:
            raise Failed("%s: load: %s" % (name, run.stderr.strip()))
        result = json.loads(run.stdout)
        if result["errors"] or not result["count"]:
            raise Failed("%s: %d errors: %s" % (name, result["errors"], result["error"]))
        return result


def make_request(host, body, stream, more, model="mock/gpt"):
    """A whole request of the official client library for node, over the wire."""
    doc = {"model": model, "temperature": 0.7, "max_tokens": 200, "messages": [
        {"role": "system", "content": "You answer in complete sentences."},
        {"role": "user", "content": ""}]}
    if stream:
        doc["stream"] = True
    room = body - len(json.dumps(doc, separators=(",", ":")))
    prose = "The harbour was quiet that morning, and the ferry had left without them again. "
    doc["messages"][1]["content"] = (prose * (room // len(prose) + 1))[:max(room, 0)]
    text = json.dumps(doc, separators=(",", ":"))
    fields = {
        "host": host, "authorization": "Bearer " + CLIENT_KEY,
        "accept": "application/json", "content-type": "application/json",
        "user-agent": "OpenAI/JS 6.9.1", "x-stainless-retry-count": "0",
        "x-stainless-lang": "js", "x-stainless-package-version": "6.9.1",
        "x-stainless-os": "Linux", "x-stainless-arch": "x64", "x-stainless-runtime": "node",
        "x-stainless-runtime-version": "v18.20.4", "content-length": str(len(text))}
    fields.update(more)
    head = "".join("%s: %s\r\n" % item for item in fields.items())
    return "POST /v1/chat/completions HTTP/1.1\r\n" + head + "\r\n" + text
