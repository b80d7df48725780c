"""litellm - LiteLLM's proxy, one worker, where the command litellm is installed. It wants a
master key; requests bear that."""
import proc

REWRITES = True
CONFIG = """model_list:
  - model_name: mock/gpt
    litellm_params: {model: openai/gpt, api_base: "http://%s/v1", api_key: sk-up}
litellm_settings: {telemetry: false, turn_off_message_logging: true}
"""


def absent(build):
    return proc.no_command("litellm")


def start(box, name, address, options):
    config = box.write(name + ".yaml", CONFIG % box.upstream)
    host, port = address.split(":")
    box.start(name, ["litellm", "--config", config, "--host", host, "--port", port,
                     "--num_workers", "1"], address,
              env={"LITELLM_MASTER_KEY": proc.CLIENT_KEY, "LITELLM_LOG": "ERROR",
                   "LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True"})
