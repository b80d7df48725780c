"""weir - the product with everything on: client keys, journal and ledger, metrics, zero
retention; one core thread. The log level is warn, as the peers log nothing either; option
log: info adds the access line."""
import re
import time

NEEDS = []
CONFIG = """log: {level: %(log)s}
providers: [{name: mock, dialect: openai, url: "http://%(upstream)s/v1", keys: ["sk-up"]}]
models: [{id: mock/gpt, price: {input: "1", output: "2"}}]
"""


def start(box, name, address, options):
    config = box.write(name + ".yaml", CONFIG % {"log": options.get("log", "warn"),
                                                "upstream": box.upstream})
    box.start(name, [box.build + "/weir", "serve", "-c", config, "--data",
                     box.path(name + ".data"), "--cores", "1", "--listen", address, "--admin",
                     "127.0.0.1:0"], address)


def key(box, name):
    """The key that the first start prints."""
    for _ in range(100):
        found = re.search(r"sk-weir-\w+", box.text(name + ".log"))
        if found:
            return found.group(0)
        time.sleep(0.02)
    raise RuntimeError("no key in the log of " + name)


def fields(box, name):
    return {"authorization": "Bearer " + key(box, name)}
