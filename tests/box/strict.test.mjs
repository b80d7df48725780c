// strict.test.mjs - hostile.md, "Rules that follow from other proxies' accidents", sentence by
// sentence: on the client's side and on the provider's, what comes in and what is written out,
// in bytes on bare sockets. A test is named after the rule it holds.
import assert from 'node:assert/strict';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { pause, Weir, within } from './lib/weir.mjs';

const good = (call) => call.json(chat('good'));
let script = good;
const far = await provider((call) => (call.model === 'calm' ? good : script)(call));
const MODELS = 64;   // one failure each: no breaker opens
const models = Array.from({ length: MODELS }, (_, i) => `m${i}`);
const weir = await Weir.start({
  cores: 1,
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'],
                timeouts: { first_byte: '5s', stall: '5s' } }],
  models: [...models, 'calm'].map((name) => ({ id: `far/${name}`,
                                               price: { input: '1', output: '1' } })),
  limits: { hold: 65536 },
});
const where = '/v1/chat/completions';
const auth = `Host: h\r\nAuthorization: Bearer ${weir.key}\r\n`;
const bytes = (text) => Buffer.from(text, 'latin1');
const ask = (model) => ({ model: `far/${model}`, messages: [{ role: 'user', content: 'x' }] });
const body = JSON.stringify(chat('ok'));
const ok = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
const length = `Content-Length: ${body.length}\r\n`;
const coded = 'Transfer-Encoding: chunked\r\n';
const hex = body.length.toString(16);
const chunks = `${hex}\r\n${body}\r\n0\r\n\r\n`;

async function send(raw) {
  const wire = await Wire.open(weir.url);
  await wire.send(raw);
  const answer = await within(wire.answer(), 'an answer');
  return { wire, answer };
}

let used = 0;
async function answered(raw, { cut = false, stays = false } = {}) {
  let call;
  script = async (one) => {
    call = one;
    await one.write(bytes(raw));
    if (cut) one.cut();
    else await one.over;          // nobody behind it: only Weir can end the connection
  };
  const { wire, answer } = await send(post(where, weir.key, ask(models[used++])));
  wire.close();
  // A good one is pooled now, before a provider that answers nothing more.
  if (!stays) call.cut();
  return { answer, call };
}

// --- a provider's head and body that could be framed in two ways: 502, closed, never reused

const ambiguous = {
  'Content-Length with Transfer-Encoding': `${ok}${length}${coded}\r\n${chunks}`,
  'Transfer-Encoding before Content-Length': `${ok}${coded}${length}\r\n${chunks}`,
  'two lengths, alike': `${ok}${length}${length}\r\n${body}`,
  'two lengths that differ': `${ok}${length}Content-Length: 3\r\n\r\n${body}`,
  'a list of lengths': `${ok}Content-Length: ${body.length}, ${body.length}\r\n\r\n${body}`,
  'a signed length': `${ok}Content-Length: +${body.length}\r\n\r\n${body}`,
  'a hexadecimal length': `${ok}Content-Length: 0x${hex}\r\n\r\n${body}`,
  'an empty length': `${ok}Content-Length:\r\n\r\n${body}`,
  'a length beyond 2^63': `${ok}Content-Length: 18446744073709551617\r\n\r\n${body}`,
  'gzip, chunked': `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n${chunks}`,
  'chunked twice': `${ok}${coded}${coded}\r\n${chunks}`,
  'chunked, chunked': `${ok}Transfer-Encoding: chunked, chunked\r\n\r\n${chunks}`,
  'xchunked': `${ok}Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
  'identity': `${ok}Transfer-Encoding: identity\r\n\r\n${body}`,
  'a coding in HTTP/1.0': `${ok.replace('1.1', '1.0')}${coded}\r\n${chunks}`,
  'a bare LF behind the status': `${ok.replace('OK\r\n', 'OK\n')}${length}\r\n${body}`,
  'a bare LF behind a field': `${ok}X: y\n${length}\r\n${body}`,
  'a bare CR in a value': `${ok}X: y\rz\r\n${length}\r\n${body}`,
  'a folded field': `${ok}X: y\r\n z\r\n${length}\r\n${body}`,
  'a folded coding': `${ok}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}`,
  'NUL in a value': `${ok}X: a\0b\r\n${length}\r\n${body}`,
  'a blank before a colon': `${ok}Content-Length : ${body.length}\r\n\r\n${body}`,
  'a blank before the chunk size': `${ok}${coded}\r\n ${chunks}`,
  'a blank behind the chunk size': `${ok}${coded}\r\n${hex} \r\n${body}\r\n0\r\n\r\n`,
  'a chunk size with 0x': `${ok}${coded}\r\n0x${chunks}`,
  'a chunk size with a sign': `${ok}${coded}\r\n-${chunks}`,
  'a chunk size of nothing': `${ok}${coded}\r\n\r\n${body}\r\n0\r\n\r\n`,
  'a chunk size of nine digits': `${ok}${coded}\r\n0${hex.padStart(8, '0')}\r\n${body}`,
  'a chunk extension without a name': `${ok}${coded}\r\n${hex};=x\r\n${body}\r\n0\r\n\r\n`,
  'a chunk extension with a control': `${ok}${coded}\r\n${hex};a="\x01"\r\n${body}\r\n` +
                                      '0\r\n\r\n',
  'a chunk size ended by a bare LF': `${ok}${coded}\r\n${hex}\n${body}\r\n0\r\n\r\n`,
  'a chunk without its CRLF': `${ok}${coded}\r\n${hex}\r\n${body}0\r\n\r\n`,
  'a chunk too long': `${ok}${coded}\r\n${hex}\r\n${body}xx\r\n0\r\n\r\n`,
  'a trailer with a blank before its colon': `${ok}${coded}\r\n${hex}\r\n${body}\r\n0\r\n` +
                                             'A : b\r\n\r\n',
  'status 99': `HTTP/1.1 99 Odd\r\n${length}\r\n${body}`,
  'status 1000': `HTTP/1.1 1000 Odd\r\n${length}\r\n${body}`,
  'status 600': `HTTP/1.1 600 Odd\r\n${length}\r\n${body}`,
  'HTTP/2.0': `HTTP/2.0 200 OK\r\n${length}\r\n${body}`,
  'HTTP/0.9': body,
  'an empty line in front': `\r\n${ok}${length}\r\n${body}`,
  '204 with a length': `HTTP/1.1 204 No\r\n${length}\r\n${body}`,
  '100 with a length': `HTTP/1.1 100 Go\r\nContent-Length: 1\r\n\r\nx${ok}${length}\r\n${body}`,
  '101': 'HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n' +
         `${ok}${length}\r\n${body}`,
  '100 for ever': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100) + `${ok}${length}\r\n${body}`,
  'a head of 100 kB': `${ok}X: ${'y'.repeat(100000)}\r\n${length}\r\n${body}`,
  '300 fields': `${ok}${'A: b\r\n'.repeat(300)}${length}\r\n${body}`,
  'gzip': `${ok}Content-Encoding: gzip\r\n${length}\r\n${body}`,
  'identity, then gzip': `${ok}Content-Encoding: identity\r\nContent-Encoding: gzip\r\n` +
                         `${length}\r\n${body}`,
};

for (const [name, raw] of Object.entries(ambiguous)) {
  test(`answer, refused and closed: ${name}`, async () => {
    const { answer, call } = await answered(raw, { stays: true });
    assert.equal(answer.status, 502, answer.text);
    assert.equal(answer.json.error.code, 'upstream_error');
    assert.ok(!answer.text.includes('chatcmpl-foreign'), 'nothing of it is passed on');
    assert.deepEqual(answer.interim, []);
    await within(call.over, 'Weir closes the connection');
  });
}

test('answer: interim answers are swallowed, up to a limit', async () => {
  const { answer } = await answered('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n' +
                                    `Link: </x>\r\n\r\n${ok}${length}\r\n${body}`);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.interim, []);
  assert.equal(answer.get('link'), undefined);
});

test('answer: until the close is whole where it is JSON, with a length of ours', async () => {
  const { answer } = await answered(`${ok}\r\n${body}`, { cut: true });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.get('content-length'), String(body.length));
  const half = await answered(`${ok}\r\n${body.slice(0, -1)}`, { cut: true });
  assert.equal(half.answer.status, 502);
});

test('answer: too short for its length, or its last chunk missing: 502', async () => {
  for (const raw of [`${ok}Content-Length: ${body.length + 1}\r\n\r\n${body}`,
                     `${ok}${coded}\r\n${hex}\r\n${body}\r\n`,
                     `${ok}${coded}\r\n${hex}\r\n${body}`,
                     `${ok}${coded}\r\n${hex}\r\n${body}\r\n0\r\n`]) {
    const { answer } = await answered(raw, { cut: true });
    assert.equal(answer.status, 502, answer.text);
  }
});

test('a pooled connection that sends bytes nobody asked for is closed', async () => {
  for (const more of ['x', `${ok}${length}\r\n${body}`, '\r\n']) {
    const { answer, call } = await answered(`${ok}${length}\r\n${body}${more}`,
                                            { stays: true });
    assert.equal(answer.status, 200, answer.text);
    await within(call.over, 'Weir closes the connection');
  }
  let late;
  script = async (call) => { late = call; await good(call); await call.over; };
  const { answer, wire } = await send(post(where, weir.key, ask(models[used++])));
  wire.close();
  assert.equal(answer.status, 200);
  await late.write(bytes(`${ok}${length}\r\n${body}`));
  await within(late.over, 'Weir closes the idle connection');
});

test('drain or close before reuse: an answer before the request was read', async () => {
  const early = `HTTP/1.1 413 No\r\n${length}\r\n${body}`;
  const { answer } = await answered(early);
  assert.equal(answer.status, 502, answer.text);
  script = good;
  const next = await send(post(where, weir.key, ask('calm')));
  assert.equal(next.answer.json.choices[0].message.content, 'good');
  next.wire.close();
});

test("one framing: fields of framing and of the hop are ours, not a provider's", async () => {
  const { answer } = await answered(`${ok}${coded}Keep-Alive: timeout=9\r\nTrailer: X-T\r\n` +
    'Connection: x-mine\r\nX-Mine: 1\r\nProxy-Authenticate: Basic\r\nSet-Cookie: a=b\r\n' +
    `\r\n${hex}\r\n${body}\r\n0\r\nX-T: smuggled\r\nContent-Length: 3\r\n\r\n`);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.get('content-length'), String(body.length));
  for (const name of ['transfer-encoding', 'keep-alive', 'trailer', 'x-mine', 'set-cookie',
                      'proxy-authenticate', 'x-t']) {
    assert.equal(answer.get(name), undefined, name);
  }
});

test('never forward a declared length whose bytes have not been seen: answers', async () => {
  const large = `{"data":"${'x'.repeat(200000)}"}`;
  script = async (call) => {
    await call.write(bytes(`${ok}Content-Length: ${large.length}\r\n\r\n`));
    await call.write(bytes(large.slice(0, 150000)));
    call.cut();
  };
  const wire = await Wire.open(weir.url);
  await wire.send(post(where, weir.key, ask(models[used++])));
  const head = (await within(wire.intake.until(Buffer.from('\r\n\r\n')), 'a head')).toString();
  assert.match(head, /\r\ntransfer-encoding: chunked\r\n/);
  assert.doesNotMatch(head, /content-length/);
  const rest = await within(wire.ended(), 'the close');
  assert.ok(!rest.includes('\r\n0\r\n\r\n'), 'no good end');
  wire.close();
});

test('never forward a declared length whose bytes have not been seen: requests', async () => {
  const before = far.requests.length;
  const raw = post(where, weir.key, ask('calm'));
  const wire = await Wire.open(weir.url);
  await wire.send(raw.subarray(0, -1));
  await pause(200);
  assert.equal(far.requests.length, before);
  await wire.send(raw.subarray(-1));
  assert.equal((await within(wire.answer(), 'an answer')).status, 200);
  assert.equal(far.requests.length, before + 1);
  wire.close();
});

// --- a client's body that could be framed in two ways: 400, closed, nothing forwarded

const json = JSON.stringify(ask('calm'));
const size = json.length.toString(16);
const malformed = {
  'a blank behind the size': `${size} \r\n${json}\r\n0\r\n\r\n`,
  'a tab before the size': `\t${size}\r\n${json}\r\n0\r\n\r\n`,
  '0x': `0x${size}\r\n${json}\r\n0\r\n\r\n`,
  'a plus': `+${size}\r\n${json}\r\n0\r\n\r\n`,
  'an underscore': `${size[0]}_${size[1]}\r\n${json}\r\n0\r\n\r\n`,
  'nine digits': `00000000${size}\r\n${json}\r\n0\r\n\r\n`,
  'an extension of nothing': `${size};\r\n${json}\r\n0\r\n\r\n`,
  'an extension with blanks': `${size} ; a=b\r\n${json}\r\n0\r\n\r\n`,
  'an extension with a bare LF': `${size};a\nb\r\n${json}\r\n0\r\n\r\n`,
  'an unclosed quote': `${size};a="b\r\n${json}\r\n0\r\n\r\n`,
  'no CRLF behind the data': `${size}\r\n${json}0\r\n\r\n`,
  'a bare LF behind the data': `${size}\r\n${json}\n0\r\n\r\n`,
  'a bare CR behind the size': `${size}\r${json}\r\n0\r\n\r\n`,
  'a folded trailer': `${size}\r\n${json}\r\n0\r\nA: b\r\n c\r\n\r\n`,
  'a trailer without a colon': `${size}\r\n${json}\r\n0\r\nABC\r\n\r\n`,
};

for (const [name, raw] of Object.entries(malformed)) {
  test(`chunks, refused and closed: ${name}`, async () => {
    const before = far.requests.length;
    const head = `POST ${where} HTTP/1.1\r\n${auth}${coded}\r\n`;
    const { wire, answer } = await send(bytes(head + raw));
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.get('connection'), 'close');
    assert.equal((await within(wire.ended(), 'the close')).length, 0);
    assert.equal(far.requests.length, before, 'nothing was forwarded');
    wire.close();
  });
}

test('a request never ends by close: without a framing it has no body', async () => {
  const { wire, answer } = await send(bytes(`POST ${where} HTTP/1.1\r\n${auth}\r\n${json}`));
  assert.equal(answer.status, 400);
  assert.equal(answer.json.error.code, 'invalid_json');
  const next = await within(wire.answer(), 'what followed is read as a request');
  assert.equal(next.status, 400);
  wire.close();
});

test('one framing: a body in chunks goes on with one length, without trailers', async () => {
  const raw = `POST ${where} HTTP/1.1\r\n${auth}${coded}Trailer: X-T\r\nTE: trailers\r\n\r\n` +
              `${size};a="b;c"\r\n${json}\r\n0\r\nX-T: 1\r\nContent-Length: 9\r\n` +
              'Authorization: smuggled\r\n\r\n';
  const { wire, answer } = await send(bytes(raw));
  assert.equal(answer.status, 200, answer.text);
  const { all, get, body: got } = far.requests.at(-1);
  assert.deepEqual(all('content-length'), [String(got.length)]);
  for (const name of ['transfer-encoding', 'trailer', 'te', 'x-t']) {
    assert.equal(get(name), undefined, name);
  }
  assert.deepEqual(all('authorization'), ['Bearer sk-far']);
  wire.close();
});

test("the client's credentials never go upstream, wherever they stood", async () => {
  const secret = weir.key.slice(-20);
  for (const field of [`Authorization: Bearer ${weir.key}`, `x-api-key: ${weir.key}`,
                       `API-KEY: ${weir.key}`, `x-goog-api-key: ${weir.key}`]) {
    const { wire, answer } = await send(bytes(
      `POST ${where}?key=${weir.key} HTTP/1.1\r\nHost: h\r\n${field}\r\n` +
      `Cookie: s=${secret}\r\n` +
      `Proxy-Authorization: Basic ${secret}\r\nX-Weir-Tags: a=b\r\n` +
      `Content-Length: ${json.length}\r\n\r\n${json}`));
    assert.equal(answer.status, 200, answer.text);
    const { head, target } = far.requests.at(-1);
    assert.ok(!head.raw.includes(secret), `${field.split(':')[0]} went on`);
    assert.ok(!target.includes('key='));
    assert.doesNotMatch(head.raw.toString(), /x-weir-tags|cookie|proxy-authorization/i);
    wire.close();
  }
});

test('no byte passes an upgrade before 101: what follows is a request of its own', async () => {
  const raw = Buffer.concat([
    bytes(`POST ${where} HTTP/1.1\r\n${auth}Connection: Upgrade\r\nUpgrade: h2c\r\n` +
          `Content-Length: ${json.length}\r\n\r\n${json}`),
    bytes('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')]);
  const before = far.requests.length;
  const { wire, answer } = await send(raw);
  assert.equal(answer.status, 200);
  assert.equal((await within(wire.answer(), 'the preface is answered')).status, 505);
  assert.equal(far.requests.length, before + 1);
  assert.equal(far.requests.at(-1).get('upgrade'), undefined);
  wire.close();
});

test('the provider saw nothing but strict HTTP, and it ends cleanly', async () => {
  await weir.stop();
  assert.deepEqual(far.faults, []);
  assert.ok(used <= MODELS, String(used));
});
