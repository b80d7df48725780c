// http.test.mjs - the wire as hostile and as merely unusual clients use it: raw sockets, every
// refusal readable before the close (contract.md section 4, RFC 9110, RFC 9112).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { exchange, post, Wire } from './lib/wire.mjs';
import { command, directory, until, Weir, within } from './lib/weir.mjs';

const far = await provider((call) => {
  const { json } = call.request;
  return json.stream ? call.stream(['one', 'two']) : call.json(chat(json.messages[0].content));
});
const LIMIT = 64 * 1024;
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [{ id: 'far/m', price: { input: '1', output: '1' } }],
  limits: { body: LIMIT, header: 4096 },
  timeouts: { header: '1s', body: '1s', idle: '2s' },
});
const path = '/v1/chat/completions';
const body = (content, more = {}) =>
  ({ model: 'far/m', messages: [{ role: 'user', content }], ...more });
const request = (content, fields) => post(path, weir.key, body(content), fields);
const auth = `Authorization: Bearer ${weir.key}\r\n`;
const content = (answer) => answer.json.choices[0].message.content;

// An error in OpenAI's shape.
function isError(answer, status, code) {
  assert.ok(answer, 'an answer before the close');
  assert.equal(answer.status, status, answer.text);
  const { error } = answer.json;
  assert.equal(typeof error.message, 'string');
  assert.ok(error.message.length > 8, error.message);
  assert.equal(typeof error.type, 'string');
  assert.ok('param' in error);
  if (code) assert.equal(error.code, code);
  assert.match(answer.get('x-request-id'), /^[A-Za-z0-9._-]{1,64}$/);
  assert.equal(answer.get('content-type'), 'application/json');
}

// Send bytes; an error must come, then the end of the connection.
async function refused(bytes, status, code) {
  const wire = await Wire.open(weir.url);
  await wire.send(bytes);
  const answer = await within(wire.answer(), 'the refusal');
  isError(answer, status, code);
  assert.equal(answer.get('connection'), 'close');
  const rest = await within(wire.ended(), 'the close');
  assert.equal(rest.length, 0, 'nothing behind the refusal');
  wire.close();
  return answer;
}

// --- connections

test('keep-alive: many requests on one connection', async () => {
  const wire = await Wire.open(weir.url);
  for (let i = 0; i < 20; i++) {
    await wire.send(request(`n${i}`));
    const answer = await wire.answer();
    assert.equal(content(answer), `n${i}`);
    assert.notEqual(answer.get('connection'), 'close');
  }
  wire.close();
});

test('ten pipelined requests are answered in order', async () => {
  const wire = await Wire.open(weir.url);
  const sent = Array.from({ length: 10 }, (_, i) => request(`p${i}`, [`X-Request-Id: id-${i}`]));
  await wire.send(Buffer.concat(sent));
  for (let i = 0; i < 10; i++) {
    const answer = await wire.answer();
    assert.equal(content(answer), `p${i}`);
    assert.equal(answer.get('x-request-id'), `id-${i}`);
  }
  wire.close();
});

test('pipelined: GET, POST, an unknown path, a stream, GET; and a bad one at the end', async () => {
  const wire = await Wire.open(weir.url);
  const get = (where) => Buffer.from(`GET ${where} HTTP/1.1\r\nHost: x\r\n${auth}\r\n`);
  await wire.send(Buffer.concat([get('/v1/models'), request('x'), get('/v1/nothing'),
                                 post(path, weir.key, body('s', { stream: true })),
                                 get('/healthz'), Buffer.from('BAD\r\n\r\n')]));
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push(await within(wire.answer(), `answer ${i}`));
  assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 404, 200, 200, 400]);
  assert.equal(answers[3].get('content-type'), 'text/event-stream');
  assert.match(answers[3].text, /data: \[DONE\]\n\n$/);
  assert.equal((await wire.ended()).length, 0);
  wire.close();
});

test('Connection: close is obeyed', async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(request('x', ['Connection: close']));
  const answer = await wire.answer();
  assert.equal(answer.status, 200);
  assert.equal(answer.get('connection'), 'close');
  assert.equal((await wire.ended()).length, 0);
});

test('HTTP/1.0: answered and closed; kept where it is asked for', async () => {
  const bytes = Buffer.from(request('old').toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'),
                            'latin1');
  const wire = await Wire.open(weir.url);
  await wire.send(bytes);
  assert.equal(content(await wire.answer()), 'old');
  assert.equal((await within(wire.ended(), 'the close')).length, 0);
  const stream = Buffer.from(post(path, weir.key, body('s', { stream: true }))
    .toString('latin1').replace('HTTP/1.1', 'HTTP/1.0'), 'latin1');
  const answer = await exchange(weir.url, stream);
  assert.equal(answer.get('transfer-encoding'), undefined, 'RFC 9112 section 6.1');
  assert.match(answer.text, /data: \[DONE\]\n\n$/);
});

// On purpose: a client's FIN is its leaving, so that an aborted stream costs nothing more.
test('half-close: the client has gone, and what it asked for is given up', async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(request('half', ['X-Request-Id: half-closed']));
  wire.half();
  const rest = await within(wire.ended(), 'the close');
  assert.ok(rest.length === 0 || /\r\n\r\n\{.*\}$/s.test(rest.toString()), 'all or nothing');
  const row = await weir.row('half-closed');
  assert.ok(['client_gone', 'done'].includes(row.close), row.close);
});

test('a client that comes and goes, empty lines before a request, nothing at all', async () => {
  const silent = await Wire.open(weir.url);
  silent.half();
  assert.equal((await within(silent.ended(), 'the close')).length, 0);
  const wire = await Wire.open(weir.url);
  await wire.send(Buffer.concat([Buffer.from('\r\n'), request('x')]));  // RFC 9112 section 2.2
  assert.equal((await wire.answer()).status, 200);
  wire.reset();
  assert.equal((await exchange(weir.url, request('after'))).status, 200);
});

test('connections that come and go do not harm those that follow', async () => {
  const get = Buffer.from(`GET /v1/key HTTP/1.1\r\nHost: x\r\n${auth}\r\n`);
  for (let i = 0; i < 1500; i++) {
    const wire = await Wire.open(weir.url);
    await wire.send(get);
    const answer = await wire.answer();
    assert.ok(answer, `connection ${i} was closed without an answer`);
    if (i % 3 === 0) wire.reset();
    else if (i % 3 === 1) wire.close();
    else wire.half();
  }
});

// --- methods, paths, HEAD

test('HEAD is GET without the body', async () => {
  for (const where of ['/v1/models', '/healthz']) {
    const wire = await Wire.open(weir.url);
    const ask = (method) => wire.send(`${method} ${where} HTTP/1.1\r\nHost: x\r\n${auth}\r\n`);
    await ask('HEAD');
    const head = await wire.answer('HEAD');
    assert.equal(head.status, 200);
    await ask('GET');  // misread framing would show here
    const get = await wire.answer();
    assert.equal(head.get('content-length'), String(get.body.length));
    wire.close();
  }
});

test('404 and 405 are errors, and the connection stays', async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(`GET /v1/nothing HTTP/1.1\r\nHost: x\r\n${auth}\r\n`);
  isError(await wire.answer(), 404);
  for (const [method, where] of [['GET', path], ['DELETE', path], ['POST', '/v1/models']]) {
    await wire.send(`${method} ${where} HTTP/1.1\r\nHost: x\r\n${auth}Content-Length: 0\r\n\r\n`);
    const answer = await wire.answer();
    isError(answer, 405, 'method_not_allowed');
    assert.ok(answer.get('allow'), 'RFC 9110 section 15.5.6');
  }
  wire.close();
});

test('health needs no key; everything else does', async () => {
  for (const where of ['/healthz', '/readyz']) {
    assert.equal((await weir.fetch(where, { key: null })).status, 200);
  }
  for (const where of ['/v1/models', '/v1/key']) {
    assert.equal((await weir.fetch(where, { key: null })).status, 401);
  }
});

// --- keys

test('the key in any of its headers; two that differ are 401', async () => {
  const key = (fields) => Buffer.from(
    `GET /v1/key HTTP/1.1\r\nHost: x\r\n${fields.join('\r\n')}\r\n\r\n`);
  for (const field of [`Authorization: Bearer ${weir.key}`, `authorization: bearer ${weir.key}`,
                       `x-api-key: ${weir.key}`, `x-goog-api-key: ${weir.key}`,
                       `api-key: ${weir.key}`]) {
    assert.equal((await exchange(weir.url, key([field]))).status, 200, field);
  }
  const both = [`Authorization: Bearer ${weir.key}`, `x-api-key: ${weir.key}`];
  assert.equal((await exchange(weir.url, key(both))).status, 200, 'the same twice');
  const differ = [`Authorization: Bearer ${weir.key}`, 'x-api-key: sk-weir-other'];
  isError(await exchange(weir.url, key(differ)), 401, 'invalid_api_key');
  isError(await exchange(weir.url, key([])), 401, 'invalid_api_key');
  isError(await exchange(weir.url, key(['Authorization: Basic dTpw'])), 401);
});

// --- malformed: answered, then closed

const host = 'Host: x\r\n';
const malformed = {
  'no version': [`GET /v1/models\r\n\r\n`, 400],
  'not HTTP at all': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  'HTTP/2.0 preface': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  'HTTP/2.0 in a request line': [`GET /v1/models HTTP/2.0\r\n${host}\r\n`, 505],
  'a version that is none': [`GET /v1/models HTTP/one\r\n${host}\r\n`, 400],
  'no Host': [`GET /v1/models HTTP/1.1\r\n${auth}\r\n`, 400],
  'two Hosts': [`GET /v1/models HTTP/1.1\r\n${host}${host}${auth}\r\n`, 400],
  'a bad Host': [`GET /v1/models HTTP/1.1\r\nHost: a b\r\n${auth}\r\n`, 400],
  'a bare LF': [`GET /v1/models HTTP/1.1\r\n${host}X-A: b\n${auth}\r\n`, 400],
  'a bare CR': [`GET /v1/models HTTP/1.1\r\n${host}X-A: b\rc\r\n${auth}\r\n`, 400],
  'a folded field': [`GET /v1/models HTTP/1.1\r\n${host}X-A: b\r\n c\r\n${auth}\r\n`, 400],
  'a blank before the colon': [`GET /v1/models HTTP/1.1\r\n${host}X-A : b\r\n${auth}\r\n`, 400],
  'NUL in a value': [`GET /v1/models HTTP/1.1\r\n${host}X-A: a\0b\r\n${auth}\r\n`, 400],
  'a blank in the target': [`GET /v1/mo dels HTTP/1.1\r\n${host}${auth}\r\n`, 400],
  'length and coding': [`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: 5\r\n` +
                        'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  'two lengths': [`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: 2\r\n` +
                  'Content-Length: 2\r\n\r\n{}', 400],
  'a list of lengths': [`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: 2, 2\r\n\r\n{}`,
                        400],
  'a signed length': [`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: +2\r\n\r\n{}`, 400],
  'a huge length': [`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: ${'9'.repeat(30)}` +
                    '\r\n\r\n', 400],
  'gzip, chunked': [`POST ${path} HTTP/1.1\r\n${host}${auth}Transfer-Encoding: gzip, chunked` +
                    '\r\n\r\n0\r\n\r\n', 400],
  'xchunked': [`POST ${path} HTTP/1.1\r\n${host}${auth}Transfer-Encoding: xchunked` +
               '\r\n\r\n0\r\n\r\n', 400],
  'HTTP/1.0 with a coding': [`POST ${path} HTTP/1.0\r\n${host}${auth}` +
                             'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  'a bad chunk size': [`POST ${path} HTTP/1.1\r\n${host}${auth}Transfer-Encoding: chunked` +
                       '\r\n\r\n 2\r\n{}\r\n0\r\n\r\n', 400],
  'a chunk without its CRLF': [`POST ${path} HTTP/1.1\r\n${host}${auth}` +
                               'Transfer-Encoding: chunked\r\n\r\n2\r\n{}X0\r\n\r\n', 400],
  'bare LF in chunks': [`POST ${path} HTTP/1.1\r\n${host}${auth}Transfer-Encoding: chunked` +
                        '\r\n\r\n2\n{}\n0\n\n', 400],
};

for (const [name, [bytes, status]] of Object.entries(malformed)) {
  test(`malformed: ${name}`, async () => {
    await refused(Buffer.from(bytes, 'latin1'), status);
  });
}

test('a refusal does not swallow what is answered before it', async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(Buffer.concat([request('first'), Buffer.from('G@T / HTTP/1.1\r\n\r\n')]));
  assert.equal(content(await wire.answer()), 'first');
  isError(await wire.answer(), 400);
  assert.equal((await wire.ended()).length, 0);
});

test('JSON that two parsers could read differently is 400 and says where', async () => {
  const m = '"messages":[{"role":"user","content":"x"}]';
  const cases = {
    'cut off': '{"model":"far/m",', 'trailing bytes': `{"model":"far/m",${m}} x`,
    'twice the model': `{"model":"far/m",${m},"model":"far/m"}`,
    'twice the stream': `{"model":"far/m",${m},"stream":false,"stream":true}`,
    'a comma too many': `{"model":"far/m",${m},}`, 'single quotes': `{'model':'far/m'}`,
    'an array': `[{"model":"far/m",${m}}]`, 'nothing': '',
    'model a number': `{"model":7,${m}}`, 'no model': `{${m}}`,
    'bad UTF-8': Buffer.concat([Buffer.from('{"model":"far/m","x":"'), Buffer.from([0xff]),
                                Buffer.from(`",${m}}`)]),
    'a control byte': `{"model":"far/m","x":"a\u0001b",${m}}`,
    'far too deep': `{"model":"far/m","x":${'['.repeat(5000)}${']'.repeat(5000)},${m}}`,
  };
  for (const [name, text] of Object.entries(cases)) {
    const before = far.requests.length;
    const answer = await exchange(weir.url, post(path, weir.key, text));
    assert.equal(answer.status, 400, `${name}: ${answer.text}`);
    assert.ok(['invalid_json', 'invalid_request_error'].includes(answer.json.error.code), name);
    assert.equal(far.requests.length, before, name);
  }
});

// --- limits

test('a target too long is 414, a head too large 431', async () => {
  const long = await exchange(weir.url, Buffer.from(
    `GET /v1/${'x'.repeat(9000)} HTTP/1.1\r\n${host}${auth}\r\n`));
  assert.ok([414, 431].includes(long.status), String(long.status));
  await refused(Buffer.from(`GET /v1/models HTTP/1.1\r\n${host}${auth}X-Big: ` +
                            `${'x'.repeat(5000)}\r\n\r\n`), 431);
  await refused(Buffer.from(`GET /v1/models HTTP/1.1\r\n${host}${auth}` +
                            'A: b\r\n'.repeat(700) + '\r\n'), 431);
});

test('a body over the limit: with a length, in chunks, with Expect', async () => {
  const pad = 'x'.repeat(LIMIT);
  const big = post(path, weir.key, body(pad));
  const declared = await Wire.open(weir.url);
  await declared.send(big.subarray(0, big.indexOf('\r\n\r\n') + 4));  // the head alone suffices
  isError(await within(declared.answer(), '413 before the body'), 413, 'request_too_large');
  declared.close();
  const whole = await Wire.open(weir.url);
  await whole.send(big);
  isError(await whole.answer(), 413, 'request_too_large');
  assert.equal((await within(whole.ended(), 'the close')).length, 0);
  const chunks = await Wire.open(weir.url);
  await chunks.send(`POST ${path} HTTP/1.1\r\n${host}${auth}Transfer-Encoding: chunked\r\n\r\n` +
                    `${(LIMIT + 1).toString(16)}\r\n${pad}x\r\n`);
  isError(await within(chunks.answer(), '413 inside chunks'), 413, 'request_too_large');
  chunks.close();
  const expects = await Wire.open(weir.url);
  await expects.send(`POST ${path} HTTP/1.1\r\n${host}${auth}Content-Length: ${LIMIT + 1}\r\n` +
                     'Expect: 100-continue\r\n\r\n');
  const answer = await within(expects.answer(), '413 instead of 100');
  isError(answer, 413, 'request_too_large');
  assert.deepEqual(answer.interim, []);
  expects.close();
  const exact = Buffer.from(JSON.stringify(body('')));
  const fits = body('y'.repeat(LIMIT - exact.length));
  assert.equal((await exchange(weir.url, post(path, weir.key, fits))).status, 200);
});

test('Expect: 100-continue is answered before the body, refusals instead of it', async () => {
  const all = request('expected', ['Expect: 100-continue']);
  const at = all.indexOf('\r\n\r\n') + 4;
  const wire = await Wire.open(weir.url);
  await wire.send(all.subarray(0, at));
  const go = await within(wire.intake.until(Buffer.from('\r\n\r\n')), '100 Continue');
  assert.match(go.toString(), /^HTTP\/1\.1 100 [^\r]*\r\n\r\n$/);
  await wire.send(all.subarray(at));
  assert.equal(content(await wire.answer()), 'expected');
  wire.close();
  const bad = await exchange(weir.url, post(path, 'sk-weir-wrong', '{}',
                                            ['Expect: 100-continue']).subarray(0, -2));
  isError(bad, 401);
  assert.deepEqual(bad.interim, []);
  isError(await exchange(weir.url, request('x', ['Expect: miracles'])), 417);
});

// --- upgrades

test('websocket: 426 at once on any path; h2c is ignored', async () => {
  for (const where of ['/v1/responses', '/v1/realtime?model=x', path]) {
    const answer = await exchange(weir.url, Buffer.from(
      `GET ${where} HTTP/1.1\r\n${host}${auth}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'));
    isError(answer, 426);
  }
  const h2c = await exchange(weir.url, request('x', [
    'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']));
  assert.equal(h2c.status, 200);
  assert.equal(far.requests.at(-1).get('upgrade'), undefined);
  assert.equal(far.requests.at(-1).get('http2-settings'), undefined);
});

test('hop-by-hop fields stop here, those that Connection names too', async () => {
  await exchange(weir.url, request('x', ['Connection: keep-alive, X-Mine', 'X-Mine: 1',
                                         'Keep-Alive: 5', 'TE: trailers', 'X-Other: 2']));
  const { get } = far.requests.at(-1);
  for (const name of ['x-mine', 'keep-alive', 'te']) assert.equal(get(name), undefined, name);
  assert.equal(get('x-other'), '2');
});

// --- slow clients

test('a slow head is 408 after timeouts.header, a slow body after timeouts.body', async () => {
  const slowHead = await Wire.open(weir.url);
  await slowHead.send(`GET /v1/models HTTP/1.1\r\n${host}X-`);
  const slowBody = await Wire.open(weir.url);
  await slowBody.send(request('never whole').subarray(0, -5));
  isError(await within(slowHead.answer(), '408 for the head'), 408);
  isError(await within(slowBody.answer(), '408 for the body'), 408);
  assert.equal((await within(slowHead.ended(), 'the close')).length, 0);
  slowHead.close();
  slowBody.close();
});

test('an idle connection is closed without a word', async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(request('x'));
  assert.equal((await wire.answer()).status, 200);
  assert.equal((await within(wire.ended(), 'the close after timeouts.idle')).length, 0);
});

// --- curl

test('curl: the request of the README, streamed and not, and a large upload', async () => {
  const curl = (args) => command(['-sS', '-m', '10', ...args], { file: '/usr/bin/curl' });
  const key = ['-H', `Authorization: Bearer ${weir.key}`];
  const plain = await curl([...key, `${weir.url}${path}`, '-H', 'Content-Type: application/json',
                            '-d', JSON.stringify(body('hello'))]);
  assert.equal(plain.status, 0, plain.stderr);
  assert.equal(JSON.parse(plain.stdout).choices[0].message.content, 'hello');
  const stream = await curl([...key, '-N', `${weir.url}${path}`, '-d',
                             JSON.stringify(body('s', { stream: true }))]);
  assert.match(stream.stdout, /data: \[DONE\]\n\n$/);
  const file = `${directory()}/large.json`;
  fs.writeFileSync(file, JSON.stringify(body('x'.repeat(LIMIT * 4))));
  const large = await curl([...key, '--http2', `${weir.url}${path}`, '-w', '%{http_code}',
                            '--data-binary', `@${file}`]);
  assert.match(large.stdout, /413$/, large.stderr);
});

test('every refusal has a counter, and it ends cleanly', async () => {
  const metrics = await until(() => weir.metrics(), 'metrics');
  for (const reason of ['head_bad', 'head_large', 'head_slow', 'body_slow', 'body_large',
                        'chunk_bad', 'json_bad', 'key_bad', 'path_unknown', 'method_bad',
                        'websocket', 'client_idle']) {
    const m = new RegExp(`^weir_closes_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(metrics);
    assert.ok(m && Number(m[1]) > 0, `weir_closes_total{reason="${reason}"}`);
  }
  const open = /^weir_open_exchanges (\d+)$/m.exec(metrics);
  assert.equal(open?.[1], '0');
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
