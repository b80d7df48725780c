// endings.test.mjs - every reason of engine/close.def, provoked from outside: the status and the
// code that a client sees, one line in the log with the label, and weir_closes_total{reason}
// up by exactly one, no other reason counted. A reason without a test fails, and so does a
// test without its reason.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, readAnswer, Wire } from './lib/wire.mjs';
import { command, root, until, Weir, within } from './lib/weir.mjs';

const text = fs.readFileSync(path.join(root, 'engine/close.def'), 'utf8');
const reasons = new Map([...text.matchAll(/^X\([A-Z_]+, "([a-z_]+)", (\d+), "([a-z_]*)"/gm)]
  .map(([, label, status, code]) => [label, { status: Number(status), code }]));

// What no client and no provider can bring about, and the unit test that does.
const inside = {
  none: 'no ending: the value before one; book_end() asserts that it is never booked',
  client_recv: 'test_conn_ends: test_errors_of_the_kernel',
  client_send: 'test_conn_ends: test_errors_of_the_kernel',
};

// --- providers, by the name of the model

const scripts = {
  slow: () => new Promise(() => {}),
  failed: (call) => call.error(500),
  refused: (call) => call.error(422, 'bad temperature', 'bad_value'),
  cooling: (call) => call.error(429, 'wait', null, { 'retry-after': '60' }),
  broke: async (call) => { await begin(call); call.cut(); },
  stalled: async (call) => { await begin(call); return new Promise(() => {}); },
  event: async (call) => { await begin(call); await call.event({ error: { message: 'oh' } }); },
  endless: async (call) => { await begin(call); return call.over; },
  large: async (call) => {
    await call.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n' +
                     'Transfer-Encoding: chunked\r\n\r\n');
    await call.chunk('{"data":"');
    for (let i = 0; i < 20; i++) await call.chunk('x'.repeat(100000));
    return call.over;
  },
  pours: async (call) => {
    await begin(call);
    const piece = delta({ content: 'x'.repeat(60000) });
    while (!call.socket.destroyed) await call.event(piece);
  },
};

async function begin(call) {
  await call.begin();
  await call.event(delta({ role: 'assistant', content: 'half' }));
}

const good = (call) => call.json(chat('ok'));
const far = await provider((call) => (scripts[call.model] ?? good)(call));
const names = ['m', 'denied', ...Object.keys(scripts)];
const base = {
  cores: 1,
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'],
                timeouts: { first_byte: '500ms', stall: '500ms', total: '20s' } },
              { name: 'calm', url: far.url, keys: ['sk-calm'] }],
  models: [...names.map((name) => `far/${name}`), 'calm/endless', 'calm/pours',
           'calm/cooling'].map((id) => ({ id, price: { input: '1', output: '1' } })),
};

// --- what is seen of an ending

// An admin call whose connection is not left to end by timeouts.idle, which is counted.
async function admin(weir, method, where, value) {
  const data = value ? JSON.stringify(value) : '';
  const wire = await Wire.open(weir.admin);
  await wire.send(`${method} ${where} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
                  `Authorization: Bearer ${weir.token}\r\nContent-Length: ${data.length}` +
                  `\r\n\r\n${data}`);
  const answer = await wire.answer();
  assert.ok(answer.status < 300, answer.text);
  await wire.ended();
  wire.half();
  return answer;
}

async function counters(weir) {
  const answer = await admin(weir, 'GET', '/metrics');
  return new Map([...answer.text.matchAll(/^weir_closes_total\{reason="(\w+)"\} (\d+)$/gm)]
    .map(([, label, count]) => [label, Number(count)]));
}

const change = (before, after) => Object.fromEntries([...after].filter(([label]) =>
  label !== 'done').map(([label, count]) => [label, count - before.get(label)])
  .filter(([, count]) => count !== 0));

// Lines of requests and connections that ended badly: [status, label].
const lines = (weir, from) => [...weir.run.stdout.slice(from)
  .matchAll(/^\S+Z \S+ (\d+) ([a-z_]+) key=\S+ model=\S+ stream=.* duration_ms=\d+$/gm)]
  .map(([, status, label]) => [Number(status), label]).filter(([, label]) => label !== 'done');

// Do it, then look: exactly this one ending was counted and logged.
async function ends(weir, label, provoke) {
  const before = await counters(weir);
  const from = weir.run.stdout.length;
  const told = await provoke(weir);
  await until(() => lines(weir, from).length > 0, `a line with ${label}`);
  assert.deepEqual(change(before, await counters(weir)), { [label]: 1 });
  const { status, code } = reasons.get(label);
  const logged = lines(weir, from);
  assert.deepEqual(logged.map(([, name]) => name), [label]);
  assert.equal(logged[0][0], told?.logged ?? status, 'the status in the log');
  if (!told?.answer) return;
  const { answer } = told;
  assert.equal(answer.status, told.status ?? status, answer.text);
  const error = told.error ?? answer.json.error;
  assert.equal(error.code, told.code ?? code);
  assert.ok(error.message.length > 8, error.message);
}

// --- ways to bring one about; each ends its connection

const chatPath = '/v1/chat/completions';
const host = 'Host: x\r\n';
const body = (model, more = {}) =>
  ({ model, messages: [{ role: 'user', content: 'x' }], ...more });
const ask = (weir, model, more, key = weir.key) => post(chatPath, key, body(model, more));

// Send this, wait for an answer, let the connection go when Weir has.
async function said(weir, bytes, more = {}) {
  const wire = await Wire.open(weir.url);
  await wire.send(bytes);
  const answer = await within(wire.answer(), 'an answer');
  assert.ok(answer, 'an answer before the close');
  if (answer.get('connection') === 'close') await within(wire.ended(), 'the close');
  wire.half();
  await within(wire.ended(), 'the end');
  wire.close();
  return { answer, ...more };
}

const get = (where, fields = '') => (weir) =>
  said(weir, `GET ${where} HTTP/1.1\r\n${host}Authorization: Bearer ${weir.key}\r\n` +
             `${fields}\r\n`);
const head = (bytes) => (weir) => said(weir, Buffer.from(bytes, 'latin1'));
const model = (name, more, told) => (weir) => said(weir, ask(weir, name, more), told);

// A stream that ends with an error event behind content.
const breaks = (name) => async (weir) => {
  const told = await said(weir, ask(weir, name, { stream: true }));
  const events = told.answer.text.split('\n\n').filter((part) => part.startsWith('data: '));
  assert.ok(!events.includes('data: [DONE]'), 'no good end');
  return { ...told, status: 200, logged: 200, error: JSON.parse(events.at(-1).slice(6)).error };
};

async function deniedKey(weir) {
  const [{ member }] = (await admin(weir, 'GET', '/admin/v1/keys')).json.data;
  return (await admin(weir, 'POST', '/admin/v1/keys', {
    member, name: 'narrow', policy: { deny: ['far/denied'] } })).json.key;
}

// --- with one Weir, nothing of it broken afterwards

const here = {
  client_gone: async (weir) => {
    const wire = await Wire.open(weir.url);
    await wire.send(ask(weir, 'calm/endless', { stream: true }));
    await within(wire.intake.until(Buffer.from('half')), 'content');
    wire.reset();
  },
  client_idle: async (weir) => {
    const wire = await Wire.open(weir.url);
    await wire.send(`GET /healthz HTTP/1.1\r\n${host}\r\n`);
    assert.equal((await wire.answer()).status, 200);
    assert.equal((await within(wire.ended(), 'the close')).length, 0);
    wire.close();
  },
  client_write_slow: async (weir) => {
    const wire = await Wire.open(weir.url);
    wire.socket.pause();
    await wire.send(ask(weir, 'calm/pours', { stream: true }));
    await until(() => lines(weir, 0).some(([, label]) => label === 'client_write_slow'),
                'the end of a client that does not read', 20000);
    wire.close();
  },
  head_slow: head(`GET /v1/models HTTP/1.1\r\n${host}X-`),
  body_slow: (weir) => said(weir, ask(weir, 'far/m').subarray(0, -3)),
  head_large: head(`GET /v1/models HTTP/1.1\r\n${host}X-Big: ${'x'.repeat(33000)}\r\n\r\n`),
  head_fields: head(`GET /v1/models HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(300)}\r\n`),
  target_long: head(`GET /${'x'.repeat(9000)} HTTP/1.1\r\n${host}\r\n`),
  head_bad: head(`GET /v1/models HTTP/1.1\r\n${host}X : b\r\n\r\n`),
  version_bad: head(`GET /v1/models HTTP/2.0\r\n${host}\r\n`),
  chunk_bad: (weir) => said(weir, `POST ${chatPath} HTTP/1.1\r\n${host}` +
    `Authorization: Bearer ${weir.key}\r\nTransfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n`),
  body_large: (weir) => said(weir, ask(weir, 'far/m', { pad: 'x'.repeat(70000) })),
  json_bad: (weir) => said(weir, post(chatPath, weir.key, '{"model":"far/m",}')),
  request_bad: (weir) => said(weir, post(chatPath, weir.key, { model: 7 })),
  key_bad: (weir) => said(weir, ask(weir, 'far/m', {}, 'sk-weir-wrong')),
  model_denied: async (weir) => said(weir, ask(weir, 'far/denied', {}, await deniedKey(weir))),
  policy_denied: model('m', { provider: { only: ['nobody'] } }),
  model_unknown: model('far/nothing'),
  path_unknown: get('/v1/nothing'),
  method_bad: get(chatPath),
  expect_bad: get('/v1/models', 'Expect: miracles\r\n'),
  websocket: get('/v1/realtime', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'),
  not_built: get('/v1/responses'),
  feedback_unknown: (weir) => said(weir, post('/v1/feedback', weir.key,
                                              { request_id: 'none-such', score: 1 })),
  no_provider: model('calm/cooling'),
  upstream_failed: model('far/failed'),
  upstream_slow: model('far/slow'),
  upstream_refused: model('far/refused', {}, { status: 422, logged: 422, code: 'bad_value' }),
  upstream_broke: breaks('far/broke'),
  upstream_stalled: breaks('far/stalled'),
  upstream_error_event: breaks('far/event'),
  answer_large: async (weir) => {   // a whole answer, half told: only the close can say so
    const wire = await Wire.open(weir.url);
    await wire.send(ask(weir, 'far/large'));
    const begun = await within(wire.intake.until(Buffer.from('\r\n\r\n')), 'a head');
    assert.match(begun.toString(), /^HTTP\/1\.1 200 .*transfer-encoding: chunked\r\n/s);
    const rest = await within(wire.ended(), 'the close');
    assert.ok(!rest.subarray(-16).includes('0\r\n\r\n'), 'no good end');
    wire.close();
    return { logged: 200 };
  },
};

const weir = await Weir.start({ ...base,
  limits: { body: 65536, header: 32768, answer: 1 << 20, hold: 65536 },
  timeouts: { header: '1s', body: '1s', idle: '1s', write: '1s' } });

test('one calm key is cooling down before the tests begin', async () => {
  const { answer } = await said(weir, ask(weir, 'calm/cooling'));
  assert.equal(answer.status, 502, answer.text);
  await until(() => lines(weir, 0).length === 1, 'its line');
});

for (const [label, provoke] of Object.entries(here)) {
  test(`${label}: one answer, one line, one count`, () => ends(weir, label, provoke));
}

test('the same lines in JSON; below level info there are none', async () => {
  for (const [log, count] of [[{ format: 'json' }, 1], [{ level: 'warn' }, 0]]) {
    const other = await Weir.start({ ...base, log });
    const from = other.run.stdout.length;
    await get('/v1/nothing')(other);
    const before = await counters(other);
    await other.stop();
    const found = other.run.stdout.slice(from).trim().split('\n').filter((line) => line);
    assert.equal(before.get('path_unknown'), 1);
    assert.equal(found.length, count, found.join('\n'));
    for (const line of found) {
      const { close, status, key, model: name } = JSON.parse(line);
      assert.deepEqual({ close, status, key, name },
                       { close: 'path_unknown', status: 404, key: '-', name: '' });
    }
  }
});

// --- each with a Weir of its own

const alone = {
  overloaded: async () => {
    const small = await Weir.start({ ...base, limits: { memory: '16MiB', body: '64MiB' } });
    await ends(small, 'overloaded', async () => {
      const wire = await Wire.open(small.url);
      const pad = Buffer.alloc(1 << 20, 120);
      await wire.send(`POST ${chatPath} HTTP/1.1\r\n${host}Authorization: Bearer ${small.key}` +
                      `\r\nContent-Length: ${48 << 20}\r\n\r\n{"model":"`);
      let over = false;
      const answer = readAnswer(wire.intake).finally(() => { over = true; });
      for (let i = 0; i < 40 && !over; i++) await Promise.race([wire.send(pad), answer]);
      const told = await within(answer, 'a refusal inside the body');
      wire.close();
      return { answer: told };
    });
    await small.stop();
  },
  ledger_gone: async () => {   // a limit on file sizes is a full disk that can be emptied
    const full = await Weir.start(base);
    const limit = (bytes) => command(['--pid', String(full.pid), `--fsize=${bytes}:unlimited`],
                                     { file: '/usr/bin/prlimit' });
    assert.equal((await said(full, ask(full, 'far/m'))).answer.status, 200);
    assert.equal((await limit(4096)).status, 0);
    await said(full, ask(full, 'far/m'));
    await until(() => /cannot commit|ledger/.test(full.run.stderr), 'the store notices');
    await ends(full, 'ledger_gone', model('far/m'));
    assert.equal((await limit('unlimited')).status, 0);
    await until(async () => (await said(full, ask(full, 'far/m'))).answer.status === 200,
                'it goes on by itself');
    await full.stop();
  },
  draining: async () => {
    const last = await Weir.start(base);
    const stream = await Wire.open(last.url);
    await stream.send(ask(last, 'calm/endless', { stream: true }));
    await within(stream.intake.until(Buffer.from('half')), 'content');
    const late = await Wire.open(last.url);
    const bytes = ask(last, 'far/m');
    await late.send(bytes.subarray(0, 20));
    await said(last, `GET /healthz HTTP/1.1\r\n${host}\r\n`);  // the 20 bytes are read by now
    last.signal('SIGTERM');
    await until(async () => (await Wire.open(last.url).then((wire) => wire.close(), () => 'no'))
      === 'no', 'nobody listens any more');
    await ends(last, 'draining', async () => {
      await late.send(bytes.subarray(20));
      const answer = await within(late.answer(), 'the refusal');
      await within(late.ended(), 'the close');
      late.close();
      return { answer };
    });
    stream.close();
    await within(last.run.ended, 'the end');
    assert.equal(last.run.status, 0, last.run.stderr);
  },
  killed: async () => {   // its counter ends with the process: the line and the row remain
    const weir2 = await Weir.start(base);
    const wire = await Wire.open(weir2.url);
    await wire.send(ask(weir2, 'calm/endless', { stream: true }));
    await within(wire.intake.until(Buffer.from('half')), 'content');
    const from = weir2.run.stdout.length;
    weir2.signal('SIGTERM');
    await until(async () => (await Wire.open(weir2.url).then((w) => w.close(), () => 'no'))
      === 'no', 'nobody listens any more');
    weir2.signal('SIGTERM');
    const rest = (await within(wire.ended(), 'the end of the stream')).toString();
    await within(weir2.run.ended, 'the end');
    assert.deepEqual(lines(weir2, from), [[200, 'killed']]);
    assert.match(rest, /data: \{"error":.*"code":"overloaded"/);
    assert.ok(!rest.includes('[DONE]'));
    wire.close();
    const again = await Weir.start(base, { data: weir2.data, key: weir2.key });
    assert.deepEqual((await again.rows()).map((row) => [row.status, row.close]),
                     [[200, 'killed']]);
    await again.stop();
  },
  interrupted: async () => {
    const first = await Weir.start(base);
    const wire = await Wire.open(first.url);
    await wire.send(ask(first, 'calm/endless', { stream: true }));
    await within(wire.intake.until(Buffer.from('half')), 'content');
    await first.kill();
    wire.close();
    const again = await Weir.start(base, { data: first.data, key: first.key });
    assert.match(again.run.stderr, /: 0 records, 1 requests interrupted$/m);
    assert.equal((await counters(again)).get('interrupted'), 1);
    const { status } = reasons.get('interrupted');
    assert.deepEqual((await again.rows()).map((row) => [row.status, row.close]),
                     [[status, 'interrupted']]);
    await again.stop();
  },
  done: async () => {
    const before = await counters(weir);
    const from = weir.run.stdout.length;
    assert.equal((await said(weir, ask(weir, 'far/m'))).answer.status, 200);
    await until(() => / 200 done key=/.test(weir.run.stdout.slice(from)), 'its line');
    const after = await counters(weir);
    assert.equal(after.get('done') - before.get('done'), 1);
    assert.equal(weir.run.stdout.slice(from).match(/ 200 done key=/g).length, 1);
  },
};

for (const [label, run] of Object.entries(alone)) {
  test(`${label}: one answer, one line, one count`, run);
}

// --- nothing is left out

test('every reason of close.def is provoked, here or in a unit test that exists', () => {
  const tested = [...Object.keys(here), ...Object.keys(alone), ...Object.keys(inside)];
  assert.deepEqual([...tested].sort(), [...reasons.keys()].sort());
  for (const where of Object.values(inside)) {
    const m = /^(test_\w+): (test_\w+)$/.exec(where);
    if (!m) continue;
    const source = fs.readFileSync(path.join(root, `tests/unit/${m[1]}.c`), 'utf8');
    assert.ok(source.includes(`teardown(${m[2]}, `), where);
  }
});

test('when all is over nothing was counted or logged twice, late', async () => {
  const counted = await counters(weir);
  const logged = lines(weir, 0).map(([, label]) => label);
  for (const label of Object.keys(here)) {
    const times = label === 'upstream_failed' ? 2 : 1;  // the first test cooled a key down
    assert.equal(counted.get(label), times, label);
    assert.equal(logged.filter((name) => name === label).length, times, label);
  }
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
