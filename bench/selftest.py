"""selftest.py - that load notices what must spoil a measurement: bench/run.py --self-test.

A small server answers well a few hundred times and then wrongly in one way; load must count
errors and name them. With a good server it must count none.
"""
import socket
import threading
import time

import proc

BODY = b"x" * 700
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 700\r\n\r\n" + BODY
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(text):
    return b"%x\r\n%s\r\n" % (len(text), text)


def stamp(ahead_ns=0):
    return b"@%016d " % (time.monotonic_ns() + ahead_ns)


def stream(*odd):
    """A stream of 40 stamps, a few cut in two, then what is odd."""
    for i in range(40):
        text = stamp()
        yield (STREAM if i == 0 else b"") + chunk(text[:i % 18]) * (i % 18 > 0)
        yield chunk(text[i % 18:]) * (i % 18 < len(text))
        time.sleep(0.01)
    yield from odd
    while not odd:
        time.sleep(0.01)
        yield chunk(stamp())


CASES = [  # name, is it a stream, what the 300th request is answered, part of the error
    ("all is well", False, GOOD, ""),
    ("status", False, GOOD.replace(b"200", b"503"), "status"),
    ("length", False, GOOD.replace(b"700", b"699")[:-1], "length"),
    ("no HTTP", False, b"SSH-2.0-x\r\n\r\n", "not HTTP"),
    ("closed", False, b"", "closed"),
    ("twice", False, GOOD + GOOD, "before its request"),
    ("a stream", True, stream(), ""),
    ("a stream ends", True, stream(chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"), "ended"),
    ("a stream breaks", True, stream(None), "closed"),
    ("a stamp of letters", True, stream(chunk(b"@01234567abcdefgh")), "no number"),
    ("a stamp ahead", True, stream(chunk(stamp(10**12))), "future"),
]


def serve(listener, odd):
    """Answer one connection after the other until the listener is closed."""
    while True:
        try:
            link, _ = listener.accept()
        except OSError:
            return
        with link:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                talk(link, odd)
            except OSError:
                pass  # load went away


def talk(link, odd):
    for count in range(10**9):
        if not link.recv(65536):
            return
        if not isinstance(odd, bytes):
            for piece in odd:
                if piece is None:
                    return
                link.sendall(piece)
        elif count < 300:
            link.sendall(GOOD)
        else:
            link.sendall(odd)
            if not odd:
                return


def run(build):
    wrong = 0
    with proc.Box(build, (0, 0), 20) as box:
        for name, is_stream, odd, error in CASES:
            listener = socket.create_server(("127.0.0.1", 0))
            box.ports[name] = listener.getsockname()[1]
            thread = threading.Thread(target=serve, args=(listener, odd), daemon=True)
            thread.start()
            box.children[name] = box.children["upstream"]  # any process will do as measured
            try:
                box.load(name, body=512, stream=is_stream, options=[
                    "--connections", 1, "--warm-ms", 50, "--window-ms", 700])
                said = ""
            except proc.Failed as why:
                said = str(why)
            if (error not in said) if error else said:
                print("self-test: %s: should say %r: %r" % (name, error, said))
                wrong += 1
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            del box.children[name]
    print("bench: self-test %s, %d cases" % ("failed" if wrong else "passed", len(CASES)))
    return 1 if wrong else 0
