"""weir - the product with everything on: client keys, journal and ledger, metrics, zero
retention; one core thread. The log level is warn, as the peers log nothing either; the
variant weir+log writes the access line of every request."""
import os
import re
import time

import proc

CONFIG = """log: {level: %(level)s}
listen: [{address: "%(address)s"%(tls)s}]
providers: [{name: mock, dialect: openai, url: "http://%(upstream)s/v1", keys: ["sk-up"]}]
models: [{id: mock/gpt, price: {input: "1", output: "2"}}%(models)s]
"""


def absent(build):
    return "" if os.access(build + "/weir", os.X_OK) else "not built"


def configure(box, name, address, options):
    """Write the configuration; gives the file."""
    tls = ", tls: {cert: %(cert)s, key: %(key)s}" % options if "cert" in options else ""
    return box.write(name + ".yaml", CONFIG % {
        "level": "info" if name.endswith("+log") else "warn", "address": address, "tls": tls,
        "upstream": box.upstream, "models": options.get("models", "")})


def command(box, name, address, options):
    return [box.build + "/weir", "serve", "-c", configure(box, name, address, options),
            "--data", box.path(name + ".data"), "--cores", "1", "--admin", "127.0.0.1:0"]


def start(box, name, address, options):
    box.start(name, command(box, name, address, options), address)


def find(box, name, pattern):
    """What the log says, once it says it."""
    for _ in range(250):
        found = re.search(pattern, box.text(name + ".log"))
        if found:
            return found.group(1)
        time.sleep(0.02)
    raise proc.Failed("no %s in the log of %s" % (pattern, name))


def fields(box, name):
    return {"authorization": "Bearer " + find(box, name, r"(sk-weir-\w+)")}
