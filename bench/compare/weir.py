"""weir - the product with everything on: client keys, journal and ledger, metrics, zero
retention; one core thread. The log level is warn, as the peers log nothing either; the
variant weir+log writes the access line of every request, weir+budgets has a budget on every
level of the key's path and a prepaid pool: six cells, none of which is ever spent; weir+auto
leaves the model to the router, among 300 of different prices and qualities; weir+anthropic,
weir+responses and weir+gemini translate, for their provider speaks another dialect than the
load, which is OpenAI chat; weir+resume keeps of every stream what it takes to go on with it at
a second model."""
import json
import os
import re
import time
import urllib.request

import proc

CONFIG = """log: {level: %(level)s}
listen: [{address: "%(address)s"%(tls)s}]
providers: [{name: mock, dialect: %(dialect)s, url: "http://%(upstream)s/v1", keys: ["sk-up"],
  continues: prefill}]
models: [{id: mock/gpt, price: {input: "1", output: "2"}}%(models)s]
%(more)s"""

RESUME_MODELS = ', {id: mock/other, upstream: gpt, price: {input: "1", output: "2"}}'
RESUME = """aliases: {both: [mock/gpt, mock/other]}
routing: {resume: always}
"""

AUTO_MODELS = 300
DIALECTS = ["anthropic", "responses", "gemini"]


def auto_models():
    """As many models as auto is measured with, none like another."""
    one = ', {id: mock/m%d, price: {input: "%d.%02d", output: "%d"}, quality: %d}'
    return "".join(one % (i, i % 7, 1 + i % 99, 1 + i % 31, 1 + i * 37 % 98)
                   for i in range(AUTO_MODELS - 1))


def model(name):
    """What requests name."""
    names = {"auto": "auto", "resume": "both"}
    return names.get(name.split("+")[-1], "mock/gpt")


def dialect(name):
    """What the provider speaks."""
    variant = name.split("+")[-1]
    return variant if variant in DIALECTS else "openai"


def REWRITES(name):
    """Are answers other bytes than the provider's?"""
    return dialect(name) != "openai"


def absent(build):
    return "" if os.access(build + "/weir", os.X_OK) else "not built"


def configure(box, name, address, options):
    """Write the configuration; gives the file."""
    tls = ", tls: {cert: %(cert)s, key: %(key)s}" % options if "cert" in options else ""
    resume = name.endswith("+resume")
    models = auto_models() if name.endswith("+auto") else options.get("models", "")
    if resume:
        models = RESUME_MODELS
    return box.write(name + ".yaml", CONFIG % {
        "level": "info" if name.endswith("+log") else "warn", "address": address, "tls": tls,
        "upstream": box.upstream, "models": models, "dialect": dialect(name),
        "more": RESUME if resume else ""})


def command(box, name, address, options):
    return [box.build + "/weir", "serve", "-c", configure(box, name, address, options),
            "--data", box.path(name + ".data"), "--cores", "1", "--admin", "127.0.0.1:0"]


def start(box, name, address, options):
    box.start(name, command(box, name, address, options), address)
    if name.endswith("+budgets"):
        set_budgets(box, name)


def set_budgets(box, name):
    """Levels that the key of the first start lacks are not made: a key of its own is."""
    admin = find(box, name, r"admin on (http://\S+)") + "/admin/v1/"
    with open(box.path(name + ".data") + "/admin.token") as f:
        token = f.read().strip()

    def ask(method, path, body):
        request = urllib.request.Request(admin + path, json.dumps(body).encode(), {
            "authorization": "Bearer " + token, "content-type": "application/json"},
            method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    parent = None
    for kind in ("organization", "department", "team", "member"):
        unit = {"kind": kind, "name": kind}
        if parent:
            unit["parent"] = parent
        parent = ask("POST", "units", unit)["id"]
        ask("PUT", "budgets/" + parent, {"limits": [{"usd": "1000000", "window": "month"}]})
        if kind == "organization":
            credits = "organizations/%s/credits" % parent
    key = ask("POST", "keys", {"member": parent, "name": "bench"})
    ask("PUT", "budgets/" + key["id"], {"limits": [{"usd": "1000000", "window": "day"}]})
    ask("POST", credits, {"usd": "1000000", "reference": "bench", "kind": "top_up"})
    ask("PATCH", credits, {"pool": "prepaid"})
    box.write(name + ".key", key["key"])


def find(box, name, pattern):
    """What the log says, once it says it."""
    for _ in range(250):
        found = re.search(pattern, box.text(name + ".log"))
        if found:
            return found.group(1)
        time.sleep(0.02)
    raise proc.Failed("no %s in the log of %s" % (pattern, name))


def fields(box, name):
    if name.endswith("+budgets"):
        with open(box.path(name + ".key")) as f:
            return {"authorization": "Bearer " + f.read()}
    return {"authorization": "Bearer " + find(box, name, r"(sk-weir-\w+)")}
