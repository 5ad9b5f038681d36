"""The simulator as a process: listeners, the ready line, a clean end."""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
import threading

from control import Control
from exchange import Exchange
from proxy import Proxy
from stall import ConnectStall, Silence
from wire import Connection

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "simulator.py")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="simulator.py serve")
    parser.add_argument("--config", type=json.loads, default={},
                        metavar="JSON")
    parser.add_argument("--config-file", metavar="FILE")
    parser.add_argument("--port", type=int, default=0,
                        help="of the API; by default the kernel's choice")
    parser.add_argument("--tls-cert", metavar="FILE")
    parser.add_argument("--tls-key", metavar="FILE")
    parser.add_argument("--tls-client-ca", metavar="FILE",
                        help="demand a client certificate")
    parser.add_argument("--nginx", metavar="DIR",
                        help="start nginx in front: TLS and HTTP/2")
    parser.add_argument("--nginx-cache", action="store_true",
                        help="let nginx answer what it has seen before")
    parser.add_argument("--ready-file", metavar="FILE")
    parser.add_argument("--exit-with-stdin", action="store_true")
    options = parser.parse_args(arguments)
    if options.nginx and options.tls_cert:
        parser.error("--nginx and --tls-cert: one at a time")
    if options.nginx_cache and not options.nginx:
        parser.error("--nginx-cache needs --nginx")
    if options.config_file:
        with open(options.config_file) as file:
            options.config = {**json.load(file), **options.config}
    return options


def tls_context(options):
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert, options.tls_key)
    context.set_alpn_protocols(["http/1.1"])
    if options.tls_client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.tls_client_ca)
    return context


async def listen(factory, context=None, port=0):
    """Serve on a port, by default of the kernel's choice: (server, port)."""
    server = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", port, ssl=context, backlog=1024)
    return server, server.sockets[0].getsockname()[1]


async def serve(options):
    asyncio.get_running_loop().set_exception_handler(report)
    stop = stop_event(options)
    exchange = Exchange(options.config)
    control_app = Control(exchange)
    context = tls_context(options)
    # Servers and sockets are held by these names until the end.
    main, port = await listen(lambda: Connection(exchange), context,
                              options.port)
    control, control_port = await listen(lambda: Connection(control_app))
    proxy, proxy_port = await listen(lambda: Proxy(exchange))
    silence, silent_port = await listen(Silence)
    stalled = ConnectStall()
    control_url = "http://127.0.0.1:%d" % control_port
    ready = {
        "url": "%s://127.0.0.1:%d" % ("https" if context else "http", port),
        "control": control_url,
        # Without the site's modules it starts in half the time.
        "ctl": "%s -E -S %s ctl %s" % (sys.executable, SCRIPT, control_url),
        "pid": os.getpid(),
        "stall_url": "http://127.0.0.1:%d" % stalled.port,
        "tls_stall_url": "https://127.0.0.1:%d" % silent_port,
        "proxy": "http://127.0.0.1:%d" % proxy_port,
    }
    front = None
    if options.nginx:
        from front import Front
        front = Front(options.nginx, port, options.nginx_cache)
        ready.update(front.ready())
    try:
        announce(json.dumps(ready), options.ready_file)
        await stop.wait()
    finally:
        if front:
            front.stop()


def report(loop, context):
    """Pass on what asyncio complains of, but for one mistake of its own: a
    TLS connection reset while it is being written to is lost twice."""
    twice = (isinstance(context.get("exception"), AttributeError)
             and "_call_connection_lost" in context["message"])
    if not twice:
        loop.default_exception_handler(context)


def announce(line, path):
    if path:
        with open(path + ".new", "w") as file:
            file.write(line + "\n")
        os.rename(path + ".new", path)
    print(line, flush=True)


def stop_event(options):
    """An event that is set when it is time to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A shell ignores SIGINT for its background jobs with good reason:
        # a Ctrl-C is for psql, not for the simulator behind it.
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop.set)
    if options.exit_with_stdin:
        threading.Thread(target=watch_stdin, args=(loop, stop),
                         daemon=True).start()
    return stop


def watch_stdin(loop, stop):
    """A thread, as the loop could not wait for every kind of stdin."""
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    loop.call_soon_threadsafe(stop.set)


def main(arguments):
    options = parse(arguments)
    try:
        asyncio.run(serve(options))
    except (ValueError, OSError) as error:
        sys.exit("simulator.py serve: %s" % error)
