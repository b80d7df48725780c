#!/usr/bin/env python3
"""hedge.py - what hedging does to a heavy tail: two providers whose streams begin after some
200 ms, one in a hundred ten times later, asked through two Weirs in the same minute, one of
which hedges. Prints the time to the first content of both, and what the second one spent more.

  bench/hedge.py [ROUNDS [REQUESTS]]        needs build/weir; 3 rounds of 2,000 take two minutes

Open loop: requests begin at their time whether or not others have ended. The tail is drawn
from the seed of the round, not from the machine; what the machine adds is in both columns."""
import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

BASE_S, TIMES, SHARE = 0.200, 10, 0.01
RATE = 60                      # requests a second, of each Weir
WARM = 300                     # of each, before anything counts: evidence, connections
PROMPT, OUTPUT = 500, 100      # tokens; a token of output costs four times one of the prompt
EVENT = 'data: ' + json.dumps({'choices': [{'index': 0, 'delta': {'content': 'word '}}]})
LAST = ('data: ' + json.dumps({'choices': [{'index': 0, 'delta': {}, 'finish_reason': 'stop'}]})
        + '\n\ndata: ' + json.dumps({'choices': [], 'usage': {
            'prompt_tokens': PROMPT, 'completion_tokens': OUTPUT,
            'total_tokens': PROMPT + OUTPUT}}) + '\n\ndata: [DONE]\n\n')
HEAD = (b'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n'
        b'transfer-encoding: chunked\r\n\r\n')


def chunk(text):
    return b'%x\r\n%s\r\n' % (len(text), text.encode())


class Provider:
    """Streams after a drawn time, on kept connections."""

    def __init__(self, seed):
        self.draw = random.Random(seed)

    def wait_s(self):
        usual = BASE_S * self.draw.uniform(0.8, 1.2)
        return usual * TIMES if self.draw.random() < SHARE else usual

    async def answer(self, writer):
        """Answer one request. False: and no more on this connection."""
        await asyncio.sleep(self.wait_s())
        writer.write(HEAD + chunk(EVENT + '\n\n') + chunk(LAST) + b'0\r\n\r\n')
        return True

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b'\r\n\r\n')
                length = int(re.search(rb'content-length: (\d+)', head, re.I)[1])
                await reader.readexactly(length)
                if not await self.answer(writer):
                    return
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass                               # given up, or the end: nothing of ours
        finally:
            writer.close()

    async def start(self):
        server = await asyncio.start_server(self.serve, '127.0.0.1', 0)
        return server.sockets[0].getsockname()[1]


def hedging(mode, ports):
    """The configuration of a Weir that hedges, or does not."""
    names = ['a', 'b']
    lines = ['routing:', '  mode: latency',
             f'  hedge: {{mode: {mode}, after: p95, max_share: 0.05}}', 'providers:']
    lines += [f'  - {{name: {n}, url: "http://127.0.0.1:{p}/v1", auth: none}}'
              for n, p in zip(names, ports)]
    lines += ['models:'] + [f'  - {{id: {n}/m, price: {{input: "1", output: "4"}}}}'
                            for n in names]
    return lines + ['aliases: {m: [a/m, b/m]}']


class Weir:
    """A program of its own, configured by lines of weir.yaml; its model is called m."""

    def __init__(self, lines):
        self.dir = tempfile.mkdtemp(prefix='weir-hedge-')
        lines = ['listen: ["127.0.0.1:0"]', 'admin: {listen: "127.0.0.1:0"}', 'cores: 1',
                 'log: {level: warn}'] + lines
        self.file = os.path.join(self.dir, 'weir.yaml')
        with open(self.file, 'w', encoding='ascii') as f:
            f.write('\n'.join(lines) + '\n')
        data = os.path.join(self.dir, 'data')
        self.run = subprocess.Popen(['build/weir', 'serve', '-c', self.file, '--data', data],
                                    stdout=subprocess.PIPE, text=True)
        said = ''
        while 'ready' not in said:
            line = self.run.stdout.readline()
            if not line:
                sys.exit('weir did not start')
            said += line
        self.port = int(re.search(r'listening on http://127\.0\.0\.1:(\d+)', said)[1])
        self.admin = int(re.search(r'admin on http://127\.0\.0\.1:(\d+)', said)[1])
        self.key = re.search(r'(sk-weir-\S+)', said)[1]
        with open(os.path.join(data, 'admin.token'), encoding='ascii') as f:
            self.token = f.read().strip()

    def end(self):
        self.run.terminate()
        self.run.wait()
        shutil.rmtree(self.dir)

    async def stream(self, text):
        """A connection that is asked for a stream, and when."""
        body = json.dumps({'model': 'm', 'stream': True,
                           'messages': [{'role': 'user', 'content': text}]})
        reader, writer = await asyncio.open_connection('127.0.0.1', self.port)
        begun = time.perf_counter()
        writer.write((f'POST /v1/chat/completions HTTP/1.1\r\nhost: w\r\n'
                      f'authorization: Bearer {self.key}\r\ncontent-type: application/json\r\n'
                      f'connection: close\r\ncontent-length: {len(body)}\r\n\r\n').encode()
                     + body.encode())
        return reader, writer, begun

    async def ask(self, text='hello'):
        """Seconds to the first content."""
        reader, writer, begun = await self.stream(text)
        await reader.readuntil(b'word')
        first = time.perf_counter() - begun
        rest = await reader.read()
        writer.close()
        if b'[DONE]' not in rest:
            sys.exit('a stream broke')
        return first

    async def metrics(self):
        reader, writer = await asyncio.open_connection('127.0.0.1', self.admin)
        writer.write((f'GET /metrics HTTP/1.1\r\nhost: w\r\nauthorization: Bearer {self.token}'
                      '\r\nconnection: close\r\n\r\n').encode())
        text = (await reader.read()).decode()
        writer.close()
        return {name: float(value) for name, value in
                re.findall(r'^(weir_\w+) ([\d.]+)$', text, re.M)}


async def load(weir, count, text):
    begun = time.perf_counter()
    tasks = []
    for i in range(count):
        wait = begun + i / RATE - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(weir.ask(text)))
    return sorted(await asyncio.gather(*tasks))


def at(times, share):
    return times[min(len(times) - 1, int(len(times) * share))] * 1000


async def one_round(seed, count):
    ports = [await Provider(seed * 2 + i).start() for i in range(2)]
    weirs = [Weir(hedging(mode, ports)) for mode in ('never', 'latency')]
    text = 'word ' * PROMPT
    try:
        await asyncio.gather(*(load(w, WARM, text) for w in weirs))
        await asyncio.sleep(1.5)               # rows reach the counters within a second
        before = await weirs[1].metrics()
        plain, hedged = await asyncio.gather(*(load(w, count, text) for w in weirs))
        await asyncio.sleep(1.5)
        after = await weirs[1].metrics()
    finally:
        for weir in weirs:
            weir.end()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    lost, spent = grown['weir_hedge_cost_usd_total'], grown['weir_cost_usd_total']
    return plain, hedged, grown['weir_hedges_total'] / count, lost / (spent - lost)


async def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    print('            p50 ms       p95 ms       p99 ms      p99.9 ms   asked   spend')
    print('round    off hedged   off hedged   off hedged   off hedged   twice   more')
    ratios = []
    for i in range(rounds):
        plain, hedged, twice, more = await one_round(i + 1, count)
        cells = '  '.join(f'{at(plain, s):5.0f} {at(hedged, s):5.0f}'
                          for s in (.5, .95, .99, .999))
        stood = at(plain, .95) > 2000 * BASE_S     # no tail of ours reaches there
        print(f'{i + 1:5}  {cells}   {twice * 100:4.1f}%  {more * 100:4.1f}%'
              + ('  (not counted: the machine stood still)' if stood else ''), flush=True)
        if not stood:
            ratios.append(at(hedged, .99) / at(plain, .99))
    if ratios:
        print(f'p99 with hedging, of that without: {min(ratios):.2f} to {max(ratios):.2f}')


if __name__ == '__main__':
    asyncio.run(main())
