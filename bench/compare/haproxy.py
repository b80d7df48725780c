"""haproxy - HTTP mode, one thread, connections kept on both sides, one request field replaced
and one answer field added, no log, no checks."""

import proc

CONFIG = """global
  nbthread 1
  maxconn 9700
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  option http-keep-alive
  option http-no-delay
  http-reuse always
frontend f
  bind %(address)s%(tls)s
  http-request set-header authorization "Bearer sk-up"
  http-response set-header x-gateway haproxy
  default_backend b
backend b
  server s %(upstream)s pool-max-conn -1
"""


def absent(build):
    return proc.no_command("haproxy")


def start(box, name, address, options):
    tls = " ssl crt %s alpn http/1.1" % options["pem"] if "pem" in options else ""
    config = box.write(name + ".cfg", CONFIG % {"address": address, "upstream": box.upstream,
                                               "tls": tls})
    box.start(name, ["haproxy", "-db", "-f", config], address)
