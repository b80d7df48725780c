"""portkey - Portkey's gateway from npm, installed below the build directory: OpenAI's dialect
to a host of ours, no log, production mode."""
import os
import subprocess

import proc

VERSION = "1.15.2"
REWRITES = True


def program(build):
    return build + "/portkey/node_modules/@portkey-ai/gateway/build/start-server.js"


def absent(build):
    """Install it once; node and npm are what it takes."""
    why = proc.no_command("node", "npm")
    if why or os.path.exists(program(build)):
        return why
    os.makedirs(build + "/portkey", exist_ok=True)
    run = subprocess.run(["npm", "install", "--prefix", build + "/portkey", "--no-audit",
                          "--no-fund", "--ignore-scripts", "@portkey-ai/gateway@" + VERSION],
                         capture_output=True, text=True)
    return "" if os.path.exists(program(build)) else "npm: " + run.stderr.strip()[-200:]


def start(box, name, address, options):
    box.start(name, ["node", program(box.build), "--headless", "--port=" +
                     address.split(":")[1]], address,
              env={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"})


def fields(box, name):
    return {"x-portkey-provider": "openai",
            "x-portkey-custom-host": "http://%s/v1" % box.upstream}
