#!/usr/bin/env python3
"""seed - writes the committed cases (tests/cases) as a fuzz target's first inputs.

    tests/fuzz/seed.py TARGET FOLDER

One file a case, in the form that the target reads. A target without such cases gets an empty
folder. What fuzzing itself has found worth keeping is committed under tests/fuzz/corpus.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ESCAPE = re.compile(rb"\\(?:x(..)|\*(\d+)\(([^)]*)\)|(.))", re.S)
PLAIN = {b"\\": b"\\", b"r": b"\r", b"n": b"\n", b"t": b"\t"}
INPUT_MAX = 4096  # libFuzzer cuts what is longer


def unescape(text):
    def meaning(m):
        if m.group(1):
            return bytes.fromhex(m.group(1).decode())
        if m.group(2):
            return m.group(3) * int(m.group(2))
        return PLAIN[m.group(4)]
    return ESCAPE.sub(meaning, text)


def rows(name):
    with open(os.path.join(ROOT, "tests", "cases", name), "rb") as file:
        for line in file.read().splitlines():
            columns = line.split(b"\t")
            yield columns[:-1], unescape(columns[-1])


def messages(kind):
    """Messages, with the line end that they lost and the Host that they lack."""
    for columns, raw in rows("llhttp.tsv"):
        if columns[0] != kind:
            continue
        if raw.endswith(b"\r\n"):
            raw += b"\r\n"
        yield raw
        if kind == b"request" and b"\nHost:" not in raw:
            yield raw.replace(b"\r\n", b"\r\nHost: h\r\n", 1)


def chunked():
    """Bodies of chunked messages, behind the two bytes that choose the cuts."""
    for _, raw in rows("llhttp.tsv"):
        head, _, body = raw.partition(b"\r\n\r\n")
        if b"chunked" in head.lower() and body:
            yield b"\x03\x01" + body


def documents(around):
    for _, raw in rows("json.tsv"):
        yield around(raw)


SEEDS = {
    "http_request": lambda: messages(b"request"),
    "http_response": lambda: messages(b"response"),
    "chunk": chunked,
    "json": lambda: documents(lambda raw: raw),
    "openai_request": lambda: documents(
        lambda raw: b"\x00{\"model\":\"m\",\"messages\":[],\"x\":" + raw + b"}"),
    "api_request": lambda: documents(
        lambda raw: b"\x01{\"model\":\"m\",\"messages\":[],\"x\":" + raw + b"}"),
    "api_event": lambda: documents(
        lambda raw: b"\x05{\"type\":\"message_delta\",\"delta\":{},\"x\":" + raw + b"}"),
    "openai_event": lambda: documents(
        lambda raw: b"\x07{\"choices\":[{\"delta\":{\"content\":\"x\"}}],\"x\":" + raw + b"}"),
}


def main():
    target, folder = sys.argv[1], sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    for n, data in enumerate(SEEDS.get(target, lambda: ())()):
        if len(data) <= INPUT_MAX:
            with open(os.path.join(folder, "case-%03d" % n), "wb") as file:
                file.write(data)


if __name__ == "__main__":
    main()
