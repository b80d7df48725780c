// translate_cuts.test.mjs - every recorded stream, translated into the three other dialects, is
// the same to the client however the network cut it: in one piece, at seeded points, and one
// byte at a time. Ids and times are Weir's own and left aside.
import assert from 'node:assert/strict';
import http from 'node:http';
import test from 'node:test';
import { cassettes, missing } from './lib/cassettes.mjs';
import { ask, CONFIG, DIALECTS } from './lib/peers.mjs';
import { firstAnswer, KINDS } from './lib/tapes.mjs';
import { atEnd, Weir } from './lib/weir.mjs';
import { pieces, seeded } from './lib/wire.mjs';

const BYTEWISE = 2500;       // bytes of a recording that is also sent one by one

const there = { bytes: null, type: '' };
const server = http.createServer((req, res) => {
  req.resume();
  req.on('end', async () => {
    res.socket.setNoDelay(true);
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const [i, piece] of there.parts.entries()) {
      res.write(piece);
      if (i % 8 === 7) await new Promise((resolve) => setImmediate(resolve));
    }
    res.end();
  });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
atEnd(() => { server.closeAllConnections(); server.close(); });
const base = `http://127.0.0.1:${server.address().port}`;

const tapes = cassettes(...Object.keys(KINDS)).map(firstAnswer)
  .filter((tape) => tape.stream && tape.status === 200);
const weir = await Weir.start({
  providers: DIALECTS.map((name) => ({ name, dialect: CONFIG[name], keys: ['k'],
    url: `${base}/${name === 'gemini' ? 'v1beta' : 'v1'}` })),
  models: tapes.flatMap((tape, i) => [0, 1, 2].map((n) =>
    ({ id: `${KINDS[tape.dialect]}/m${i}-${n}`, upstream: 'm' }))),
  unknown_price: 'allow',
});

const plain = (text) => text
  .replace(/"(chatcmpl-|resp_|msg_|rs_|fc_|ctc_|call_|toolu_|req_)[A-Za-z0-9_-]+"/g, '"$1"')
  .replace(/"(created|created_at|completed_at)":\d+/g, '"$1":0')
  .replace(/"responseId":"[^"]*"/g, '"responseId":""')
  .replace(/"m\d+-\d"|[a-z]+\/m\d+-\d/g, 'm');

async function told(client, tape, i, n, parts) {
  there.parts = parts;
  const [path, body] = ask[client](`${KINDS[tape.dialect]}/m${i}-${n}`);
  const response = await weir.fetch(path, { body });
  return `${response.status}\n${plain(await response.text())}`;
}

const part = process.env.WEIR_PAIR;
for (const dialect of Object.keys(KINDS)) {
  for (const client of DIALECTS) {
    if (client === KINDS[dialect] || (part && part !== `${client}-${KINDS[dialect]}`)) continue;
    test(`${dialect} for ${client}: any cut gives the same`, { skip: missing }, async () => {
      const wrong = [];
      let count = 0, good = 0;
      for (const [i, tape] of tapes.entries()) {
        if (tape.dialect !== dialect) continue;
        count++;
        const want = await told(client, tape, i, 0, [tape.bytes]);
        good += want.startsWith('200\n') && want.length > 100;
        const next = seeded(i * 4 + DIALECTS.indexOf(client) + 1);
        const most = Math.max([7, 60, 700][i % 3], tape.bytes.length / 200);
        const cut = await told(client, tape, i, 1, pieces(tape.bytes, next, most));
        if (cut !== want) wrong.push(`${tape.file}: ${differ(want, cut)}`);
        if (tape.bytes.length > BYTEWISE) continue;
        const bytes = Array.from(tape.bytes, (_, at) => tape.bytes.subarray(at, at + 1));
        const single = await told(client, tape, i, 2, bytes);
        if (single !== want) wrong.push(`${tape.file}, bytewise: ${differ(want, single)}`);
      }
      assert.equal(wrong.length, 0, `${wrong.length} of ${count}:\n${wrong.join('\n')}`);
      assert.ok(good > count * 0.9, `${good} of ${count} were translated`);
    });
  }
}

function differ(want, got) {
  let at = 0;
  while (want[at] === got[at]) at++;
  return `at ${at}: ${JSON.stringify(want.slice(at - 40, at + 80))} became ` +
         JSON.stringify(got.slice(at - 40, at + 80));
}

test('it ends cleanly', async () => {
  await weir.stop();
});
