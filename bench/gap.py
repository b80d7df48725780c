#!/usr/bin/env python3
"""gap.py - what a client sees where a stream breaks and another model goes on: the time from
the last text of the first to the first text of the second, less what the second one took to
begin.

  bench/gap.py [STREAMS]                    needs build/weir; 400 streams take half a minute

The first provider closes in the middle, after a drawn number of events; the second begins some
100 ms after it was asked, and says itself how long it took. Both, and the client, are this one
program: what its loop adds is in the figure."""
import asyncio
import json
import re
import sys
import time

import hedge

BEGIN_S = 0.100
ABREAST = 8                    # streams at once


def event(delta, finish=None):
    return hedge.chunk('data: ' + json.dumps({'id': 'chatcmpl-1', 'model': 'm', 'choices': [
        {'index': 0, 'delta': delta, 'finish_reason': finish}]}) + '\n\n')


class Provider(hedge.Provider):
    """The first breaks off, the second goes on."""

    def __init__(self, seed, breaks):
        super().__init__(seed)
        self.breaks = breaks

    async def answer(self, writer):
        if self.breaks:
            writer.write(hedge.HEAD)
            for _ in range(self.draw.randint(1, 30)):
                writer.write(event({'content': 'word '}))
                await asyncio.sleep(0.002)
            return False
        begun = time.perf_counter()
        await asyncio.sleep(BEGIN_S * self.draw.uniform(0.8, 1.2))
        took = time.perf_counter() - begun
        writer.write(hedge.HEAD + event({'content': f'took={took:.6f} '})
                     + event({}, 'stop') + hedge.chunk('data: [DONE]\n\n') + b'0\r\n\r\n')
        return True


async def gap_s(weir, turn):
    """Seconds that the client waited longer than the second provider did."""
    async with turn:
        reader, writer, last = await weir.stream('word ' * 50)
        text = b''
        while True:
            piece = await reader.read(65536)
            now = time.perf_counter()
            if not piece:
                sys.exit('a stream did not go on: %r' % text[-300:])
            text += piece
            if b': continued by b/m' in text:
                break                          # which its first text follows
            last = now
        text += await reader.read()
        writer.close()
        if b'[DONE]' not in text:
            sys.exit('a stream broke')
        said = ''.join(re.findall(r'"content":"([^"]*)"', text.decode()))
        return now - last - float(re.search(r'took=([\d.]+)', said)[1])


async def main(count):
    ports = [await Provider(i, i == 0).start() for i in range(2)]
    weir = hedge.Weir(['routing: {resume: always}', 'providers:'] + [
        f'  - {{name: {name}, url: "http://127.0.0.1:{port}/v1", auth: none, '
        f'continues: prefill}}' for name, port in zip('ab', ports)] + [
        'models:'] + [f'  - {{id: {name}/m, price: {{input: "1", output: "4"}}}}'
                      for name in 'ab'] + ['aliases: {m: [a/m, b/m]}'])
    try:
        turn = asyncio.Semaphore(ABREAST)
        gaps = sorted(await asyncio.gather(*[gap_s(weir, turn) for _ in range(count)]))
    finally:
        weir.end()
    print('gap beyond the time to the first token of who went on, %d streams: p50 %.1f ms, '
          'p99 %.1f ms, most %.1f ms' % (count, hedge.at(gaps, .5), hedge.at(gaps, .99),
                                         gaps[-1] * 1000))


if __name__ == '__main__':
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 400))
