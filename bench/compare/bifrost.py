"""bifrost - Bifrost's HTTP gateway, where the command bifrost-http is installed: a provider of
our own that speaks OpenAI's dialect, no plug-ins, no log of requests."""
import json
import os

import proc

REWRITES = True


def absent(build):
    return proc.no_command("bifrost-http")


def start(box, name, address, options):
    where = box.path(name)
    os.mkdir(where)
    box.write(name + "/config.json", json.dumps({
        "client": {"drop_excess_requests": False, "enable_logging": False,
                   "allow_direct_keys": False},
        "providers": {"mock": {
            "keys": [{"name": "up", "value": "sk-up", "models": ["gpt"], "weight": 1.0}],
            "network_config": {"base_url": "http://" + box.upstream},
            "concurrency_and_buffer_size": {"concurrency": 512, "buffer_size": 4096},
            "custom_provider_config": {"base_provider_type": "openai", "allowed_requests": {
                "chat_completion": True, "chat_completion_stream": True}}}}}))
    host, port = address.split(":")
    box.start(name, ["bifrost-http", "-app-dir", where, "-host", host, "-port", port,
                     "-log-level", "error"], address, env={"GOMAXPROCS": "1"})
