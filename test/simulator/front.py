"""nginx as a TLS and HTTP/2 front of the simulator, in a directory of ours.

It runs on sockets that we bind for it, so that no port can be taken between
choosing and using it.  That needs its master process: without one, nginx 1.22
crashes over inherited sockets.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import certs

START_S = 10
PR_SET_PDEATHSIG = 1

# Keyed with the credentials too, so that a cached answer is a right answer.
CACHE = """
    proxy_cache_path {dir}/cache keys_zone=answers:64m max_size=2g
                     inactive=1h use_temp_path=off;
    proxy_cache answers;
    proxy_cache_methods POST;
    proxy_cache_valid 200 1h;
    proxy_cache_key "$request_uri $http_x_velt_workspace_id
        $http_x_velt_auth_token $http_x_velt_workspace_auth_token
        $http_accept_encoding $request_body";
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port} {how};
        location / {{ proxy_pass http://simulator; }}
    }}
"""

# keepalive_requests: nginx would otherwise close a connection every 1000
# requests.  The buffers hold credentials of 8 kB, and request bodies whole,
# as they are a part of the cache key.
CONFIG = """
daemon off;
worker_processes 1;
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;

    large_client_header_buffers 8 64k;
    client_body_buffer_size 1m;
    client_body_in_single_buffer on;
    underscores_in_headers on;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    open_file_cache max=8000;
    ssl_certificate {dir}/server.crt;
    ssl_certificate_key {dir}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:4m;

    upstream simulator {{
        server 127.0.0.1:{upstream};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Front-Protocol $server_protocol;
    proxy_set_header X-Front-Connection $connection;
    proxy_read_timeout 1h;
    proxy_next_upstream off;
    proxy_buffers 64 64k;
    proxy_buffer_size 64k;
    proxy_busy_buffers_size 128k;
{cache}{servers}}}
"""


class Front:
    def __init__(self, directory, upstream_port, cache):
        self.directory = os.path.abspath(directory)
        if not os.path.exists(os.path.join(self.directory, "server.crt")):
            certs.make(self.directory)
        # What an earlier simulator answered is not what this one would.
        shutil.rmtree(self.path("cache"), ignore_errors=True)
        self.sockets = [listener() for _ in range(3 if cache else 2)]
        self.write_config(upstream_port, cache)
        self.process = self.start()
        self.await_start()

    def ready(self):
        """What the front adds to the ready line."""
        ports = [sock.getsockname()[1] for sock in self.sockets]
        urls = {"tls_url": "https://localhost:%d" % ports[0],
                "tls_http1_url": "https://localhost:%d" % ports[1],
                "ca": os.path.join(self.directory, "ca.crt")}
        if len(ports) > 2:
            urls["cached_url"] = "http://127.0.0.1:%d" % ports[2]
        return urls

    def write_config(self, upstream_port, cache):
        servers = ""
        for sock, how in zip(self.sockets, ("ssl http2", "ssl", "")):
            servers += SERVER.format(port=sock.getsockname()[1], how=how)
        text = CONFIG.format(
            dir=self.directory, upstream=upstream_port, servers=servers,
            # Else root's worker would be a user who cannot read our files.
            user="user root;" if os.geteuid() == 0 else "",
            cache=CACHE.format(dir=self.directory) if cache else "")
        with open(self.path("nginx.conf"), "w") as file:
            file.write(text)

    def start(self):
        descriptors = [sock.fileno() for sock in self.sockets]
        # nginx takes over listening sockets by this variable, meant for its
        # upgrade on the fly.
        inherited = "".join("%d;" % fd for fd in descriptors)
        if os.path.exists(self.path("nginx.pid")):
            os.unlink(self.path("nginx.pid"))
        return subprocess.Popen(
            ["nginx", "-p", self.directory, "-e", self.path("error.log"),
             "-c", self.path("nginx.conf")],
            env={**os.environ, "NGINX": inherited}, pass_fds=descriptors,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def await_start(self):
        deadline = time.monotonic() + START_S
        while not os.path.exists(self.path("nginx.pid")):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit("nginx did not start: see "
                         + self.path("error.log"))
            time.sleep(0.005)

    def stop(self):
        # No kill -9: only a master that is asked to ends its worker.
        self.process.terminate()
        self.process.wait()

    def path(self, name):
        return os.path.join(self.directory, name)


def listener():
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(1024)
    return sock


LIBC = ctypes.CDLL(None)


def die_with_parent():
    """Between fork and exec: even a kill -9 of ours leaves no nginx."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
