"""nginx - one worker, connections kept on both sides, one request field replaced and one
answer field added, no log, no buffering of answers, bodies in memory."""
import os

import proc

CONFIG = """daemon off; worker_processes 1; worker_rlimit_nofile 20000; pid %(dir)s/nginx.pid;
error_log %(dir)s/nginx.err;
events { worker_connections 19900; multi_accept on; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; tcp_nodelay on;
  client_body_buffer_size 256k; client_max_body_size 32m; client_body_temp_path %(dir)s/body;
  proxy_temp_path %(dir)s/proxy; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u;
  scgi_temp_path %(dir)s/s;
  upstream up { server %(upstream)s; keepalive 10000; keepalive_requests 1000000000; }
  server {
    listen %(address)s backlog=4096;
    location / {
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer sk-up"; add_header x-gateway nginx;
      proxy_buffering off; proxy_read_timeout 300s;
    }
  }
}
"""


def absent(build):
    return proc.no_command("nginx")


def start(box, name, address, options):
    where = box.path(name)
    os.mkdir(where)
    os.chmod(box.dir, 0o711)  # the worker is another user where root starts it
    os.chmod(where, 0o777)
    config = box.write(name + "/nginx.conf", CONFIG % {"dir": where, "address": address,
                                                      "upstream": box.upstream})
    box.start(name, ["nginx", "-p", where, "-c", config, "-e", where + "/start.err"], address)
