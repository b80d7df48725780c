// differential.test.mjs - two HTTP parsers, one framing: whatever Weir and node's parser both
// accept has the same method, target, fields and body, and the next message starts at the same
// byte. Messages are llhttp's own cases and a few of ours, mutated from a seed. First the
// parsers by themselves, then the same through the binary: what Weir makes of a request node
// must read, before Weir and behind it, as the same requests; and an answer likewise.
//   WEIR_SEED=n WEIR_TIMES=n tests/run --only differential box     again, or longer
import assert from 'node:assert/strict';
import http from 'node:http';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { cases } from './lib/cases.mjs';
import { requests, response } from './lib/node_http.mjs';
import { chat, provider } from './lib/provider.mjs';
import { readAnswer, seeded, Wire } from './lib/wire.mjs';
import { atEnd, binary, Weir, within } from './lib/weir.mjs';

const SEED = Number(process.env.WEIR_SEED ?? 20261121);
const TIMES = Number(process.env.WEIR_TIMES ?? 1);
const latin = (text) => Buffer.from(text, 'latin1');

// --- messages

const words = ['\r\n', '\n', '\r', '\r\n\r\n', ' ', '\t', '\0', '\x0b', ':', ',', ';', '"',
               '\\', 'Content-Length: 5\r\n', 'Content-Length: 0\r\n', 'Content-Length: +5\r\n',
               'Content-Length: 5, 5\r\n', 'content-length:7\r\n', 'Content-Length : 5\r\n',
               'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n',
               'transfer-encoding:\tchunked \r\n', 'Transfer-Encoding:\r\n chunked\r\n',
               'Transfer-Encoding: identity\r\n', 'Transfer-Encoding: xchunked\r\n',
               'Transfer_Encoding: chunked\r\n', 'Connection: close\r\n', 'X: \r\n', 'X:y\r\n',
               'Connection: keep-alive\r\n', 'Host: two\r\n', 'Expect: 100-continue\r\n',
               'Upgrade: h2c\r\nConnection: Upgrade\r\n', '0\r\n\r\n', '5\r\nhello\r\n',
               '5;a=b\r\nhello\r\n', '5;a="\\""\r\nhello\r\n', '05\r\nhello\r\n',
               ' 5\r\nhello\r\n', '5 \r\nhello\r\n', '0x5\r\nhello\r\n', '-1\r\n',
               '0\r\nTrailer: x\r\n\r\n', 'FFFFFFFF\r\n', '100000000\r\n', 'é', '\xff',
               'GET /next HTTP/1.1\r\nHost: h\r\n\r\n', 'HTTP/1.0', 'HTTP/1.1', 'HTTP/2.0',
               'HTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n', ' HTTP/1.1\r\n']
  .map(latin);

function mutate(bytes, next, from = 0) {
  const at = from + next() % (bytes.length - from + 1);
  const end = Math.min(bytes.length, at + next() % 9);
  const word = words[next() % words.length];
  const splice = (start, put, stop) =>
    Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(stop)]);
  switch (next() % 8) {
    case 0: return splice(at, word, at);
    case 1: return splice(at, word, end);
    case 2: return splice(at, Buffer.alloc(0), end);
    case 3: return splice(end, bytes.subarray(at), end);
    case 4: return splice(at, Buffer.from([next() & 255]), Math.min(at + 1, bytes.length));
    default: {  // a whole line between two: most of these stay well-formed
      const ends = [...bytes.toString('latin1').matchAll(/\r\n/g)].map((m) => m.index + 2)
        .filter((where) => where >= from);
      const where = ends.length ? ends[next() % ends.length] : at;
      return splice(where, word, where);
    }
  }
}

// llhttp's cases, with the Host that they lack and the line end that they lost, and ours.
function bases(kind, own) {
  const theirs = cases('llhttp').filter((row) => row[0] === kind).map((row) => {
    let text = row.at(-1).toString('latin1');
    if (kind === 'request' && !/\r\nhost:/i.test(text)) {
      text = text.replace('\r\n', '\r\nHost: h\r\n');
    }
    return latin(text.endsWith('\r\n') ? `${text}\r\n` : text);
  });
  return [...theirs, ...own.map(latin)];
}

function* draw(kind, own, count) {
  const next = seeded(SEED);
  const all = bases(kind, own);
  yield* all;
  for (let i = 0; i < count; i++) {
    let bytes = all[i % 3 ? next() % all.length : all.length - 1 - next() % own.length];
    for (let n = 1 + next() % 3; n > 0; n--) bytes = mutate(bytes, next);
    yield bytes;
  }
}

const post = 'POST /v1/x HTTP/1.1\r\nHost: h\r\n';
const ownRequests = [
  `${post}Content-Length: 5\r\n\r\nhelloGET /two HTTP/1.1\r\nHost: h\r\n\r\n`,
  `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n` +
    `${post}Content-Length: 2\r\n\r\nhi`,
  `${post}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n` +
    'GET /t HTTP/1.1\r\nHost: h\r\n\r\n',
  `${post}Transfer-Encoding: chunked\r\n\r\n1A\r\n${'y'.repeat(26)}\r\n0\r\n\r\n`,
  'GET http://h:80/p?q HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  'OPTIONS * HTTP/1.1\r\nHost: h\r\nX-Y:   z  \r\n\r\n',
];
const ownResponses = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  'HTTP/1.0 200 OK\r\n\r\nuntil the end', 'HTTP/1.1 204 No\r\nX: y\r\n\r\n',
  'HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n',
];

// --- our parser's reading of many messages: build/unit/test_llhttp --read

const unhex = (text) => (text === '-' ? Buffer.alloc(0) : Buffer.from(text, 'hex'));

function fieldLines(bytes) {
  const text = bytes.toString('latin1');
  return text.split('\r\n').slice(0, -1).map((line) => {
    const colon = line.indexOf(':');
    return `${line.slice(0, colon).toLowerCase()}: ` +
           line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
  });
}

function ours(kind, list) {
  const input = Buffer.concat(list.flatMap((bytes) =>
    [latin(`${kind} ${bytes.length}\n`), bytes]));
  const ran = spawnSync(binary('unit/test_llhttp'), ['--read'], { input, maxBuffer: 1 << 28 });
  assert.equal(ran.status, 0, String(ran.stderr));
  const results = [];
  let messages = [];
  for (const line of ran.stdout.toString().trimEnd().split('\n')) {
    if (!line.startsWith('message ')) {
      results.push({ messages, bad: line === 'bad' });
      messages = [];
      continue;
    }
    const [, status, whole, method, target, fields, body] = line.split(' ');
    messages.push({ status: Number(status), whole: whole === '1', body: unhex(body),
                    method: unhex(method).toString(), target: unhex(target).toString('latin1'),
                    fields: fieldLines(unhex(fields)) });
  }
  assert.equal(results.length, list.length);
  return results;
}

const shown = (i, bytes) =>
  `message ${i} of seed ${SEED}: ${JSON.stringify(bytes.toString('latin1'))}`;

function sameMessage(us, they, about) {
  assert.deepEqual(us.fields, they.fields, about);
  assert.equal(us.body.toString('latin1'), they.body.toString('latin1'), about);
}

// Node reads nothing behind a request that offers an upgrade, also where nobody takes the offer;
// Weir goes on in HTTP/1.1 (RFC 9110 section 7.8).
const offers = (message) => message.fields.some((line) => line.startsWith('upgrade:'));

// One input, two readings of its requests. Gives how many messages both read whole.
function agree(us, they, about) {
  let both = 0;
  for (let i = 0; ; i++) {
    const a = us.messages[i], b = they.messages[i];
    if (a?.whole && b?.whole) {
      assert.equal(a.method, b.method, about);
      assert.equal(a.target, b.target, about);
      sameMessage(a, b, about);
      both++;
      if (offers(b)) return both;
      continue;
    }
    if (us.bad || they.bad) return both;  // one refuses: nothing can be read in two ways
    assert.equal(a?.whole ?? false, b?.whole ?? false, `${i} is whole for one: ${about}`);
    return both;
  }
}

test(`requests: the same framing wherever both accept, seed ${SEED}`, async () => {
  const list = [...draw('request', ownRequests, 2500 * TIMES)];
  const seen = { both: 0, second: 0, bodies: 0, strict: 0 };
  for (const [i, us] of ours('request', list).entries()) {
    const they = await requests(list[i]);
    const both = agree(us, they, shown(i, list[i]));
    seen.both += both > 0;
    seen.second += both > 1;
    seen.bodies += us.messages.some((message) => message.whole && message.body.length);
    seen.strict += us.bad && !they.bad;
  }
  for (const [what, n] of Object.entries(seen)) assert.ok(n > 20 * TIMES, `${what}: ${n}`);
});

test(`answers: the same framing wherever both accept, seed ${SEED}`, async () => {
  const list = [...draw('response', ownResponses, 1200 * TIMES)];
  const seen = { both: 0, bodies: 0, cut: 0, strict: 0 };
  for (const [i, us] of ours('response', list).entries()) {
    const about = shown(i, list[i]);
    const they = await response(list[i]);
    const first = us.messages.find(({ status }) => status >= 200 || status === 101);
    if (!first || first.status === 101) {
      seen.strict += they.status !== undefined;
      continue;
    }
    if (us.bad && !first.whole) continue;
    if (they.status === undefined) continue;
    if (!they.whole && they.bad && they.bad !== 'ECONNRESET') continue;
    assert.equal(first.status, they.status, about);
    assert.equal(first.whole, they.whole, `${about}: whole for one`);
    sameMessage(first, they, about);
    seen.both++;
    seen.bodies += first.body.length > 0;
    seen.cut += !first.whole;
  }
  for (const [what, n] of Object.entries(seen)) assert.ok(n > 9 * TIMES, `${what}: ${n}`);
});

// --- through the binary: clients

const arrived = [];
const behind = http.createServer({ insecureHTTPParser: false }, (req, res) => {
  const parts = [];
  req.on('data', (part) => parts.push(part));
  req.on('end', () => {
    arrived.push({ method: req.method, target: req.url, raw: req.rawHeaders,
                   body: Buffer.concat(parts) });
    const body = JSON.stringify(chat('ok'));
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    res.end(body);
  });
});
const troubles = [];
behind.on('clientError', (error, socket) => { troubles.push(error.code); socket.destroy(); });
await new Promise((resolve) => behind.listen(0, '127.0.0.1', resolve));
behind.keepAliveTimeout = 0;
atEnd(() => { behind.closeAllConnections(); behind.close(); });

let script = (call) => call.json(chat('ok'));
const far = await provider((call) => script(call));
const price = { input: '1', output: '1' };
const weir = await Weir.start({
  cores: 1,
  providers: [{ name: 'node', url: `http://127.0.0.1:${behind.address().port}/v1`,
                keys: ['sk-n'] },
              { name: 'far', url: far.url, keys: ['sk-far'],
                timeouts: { first_byte: '2s', stall: '2s' } }],
  models: [{ id: 'node/m', price }, { id: 'far/m', price }],
  timeouts: { header: '500ms', body: '500ms', idle: '1s' }, log: { level: 'warn' },
});
const where = '/v1/chat/completions';
const sentinel = 'GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

function ask(model, next) {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: `n${next()}` }] });
  const head = `POST ${where} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${weir.key}\r\n`;
  if (next() % 2) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`;
  const cut = 1 + next() % (body.length - 1);
  const piece = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;
  return `${head}Transfer-Encoding: chunked\r\n\r\n${piece(body.slice(0, cut))}` +
         `${piece(body.slice(cut))}0\r\n\r\n`;
}

// Everything that Weir answers until it closes.
async function answers(bytes) {
  const wire = await Wire.open(weir.url);
  await wire.send(bytes);
  const all = [];
  for (;;) {
    const answer = await within(readAnswer(wire.intake), 'an answer or the close');
    if (!answer) break;
    all.push(answer);
  }
  wire.close();
  return all;
}

test(`requests through Weir: node behind it gets what node before it reads, seed ${SEED}`,
  async () => {
    const next = seeded(SEED + 1);
    let forwarded = 0, refused = 0;
    for (let i = 0; i < 300 * TIMES; i++) {
      let bytes = latin(ask('node/m', next) + ask('node/m', next) + sentinel);
      for (let n = next() % 3; n > 0; n--) bytes = mutate(bytes, next);
      const before = arrived.length;
      const about = shown(i, bytes);
      const told = await answers(bytes);
      const they = await requests(bytes);
      const got = arrived.slice(before);
      for (const [k, answer] of told.entries()) {
        if (answer.status !== 200 || they.messages[k]?.target.startsWith('/healthz')) {
          refused += answer.status !== 200;
          continue;
        }
        const message = they.messages[k], behindIt = got.shift();
        if (!behindIt) continue;            // a GET of something else
        assert.equal(behindIt.method, 'POST', about);
        assert.equal(behindIt.target, where, about);
        if (they.messages.slice(0, k).some(offers)) continue;
        if (message?.whole) {
          assert.equal(behindIt.body.toString('latin1'),
                       message.body.toString('latin1').replace('node/m', 'm'), about);
        } else {
          assert.match(they.bad ?? '', /^HPE_/, `node before it has no such: ${about}`);
        }
        const framing = behindIt.raw.filter((name, at) => at % 2 === 0 &&
          /^(content-length|transfer-encoding)$/i.test(name));
        assert.equal(framing.length, 1, about);
        forwarded++;
      }
      assert.equal(got.length, 0, `forwarded what was not answered: ${about}`);
    }
    assert.deepEqual(troubles, []);
    assert.ok(forwarded > 200 && refused > 50, `${forwarded} forwarded, ${refused} refused`);
  });

// --- through the binary: providers

test(`answers through Weir: a client gets what node reads, or an error, seed ${SEED}`,
  async () => {
    const next = seeded(SEED + 2);
    let passed = 0, refused = 0;
    for (let i = 0; i < 200 * TIMES; i++) {
      const body = JSON.stringify(chat(`mutated ${i}`));
      const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
      let bytes = latin(next() % 2
        ? `${head}Content-Length: ${body.length}\r\n\r\n${body}`
        : `${head}Transfer-Encoding: chunked\r\n\r\n` +
          `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
      for (let n = next() % 3; n > 0; n--) bytes = mutate(bytes, next, 15);
      const about = shown(i, bytes);
      const ends = next() % 16 !== 0;  // else the rest is waited for
      script = async (call) => {
        await call.write(bytes);
        if (ends) call.cut();
      };
      const wire = await Wire.open(weir.url);
      await wire.send(ask('far/m', next));
      const first = await within(wire.answer(), 'an answer');
      const they = await response(bytes);
      if (first.status === 200) {
        // node refuses framing fields in trailers, which Weir drops (RFC 9110 section 6.5.1)
        if (they.whole) assert.ok(first.body.equals(they.body), about);
        else assert.match(they.bad, /^HPE_/, `node has no whole answer: ${about}`);
        passed++;
      } else {
        assert.ok([502, 504].includes(first.status), `${first.status}: ${about}`);
        refused++;
      }
      script = (call) => call.json(chat(`good ${i}`));  // nothing of the last one is left
      await wire.send(ask('far/m', next));
      const second = await within(wire.answer(), 'the next answer');
      assert.equal(second.status, 200, `${second.text} behind ${about}`);
      assert.equal(second.json.choices[0].message.content, `good ${i}`, about);
      wire.close();
    }
    assert.ok(passed > 20 && refused > 20, `${passed} passed, ${refused} refused`);
  });

test('it ends cleanly', async () => {
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
