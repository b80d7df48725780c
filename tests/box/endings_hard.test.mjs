// endings_hard.test.mjs - the endings that need a process, a disk or memory of their own:
// status and code, one line in the log, one count and nothing else counted (the others are in
// endings.test.mjs). And the form of those lines.
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

// --- providers, by the name of the model

const scripts = {
  endless: async (call) => { await begin(call); return call.over; },
};

async function begin(call) {
  await call.begin();
  await call.event(delta({ role: 'assistant', content: 'half' }));
}

const good = (call) => call.json(chat('ok'));
const far = await provider((call) => (scripts[call.model] ?? good)(call));
const base = {
  cores: 1,
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: ['far/m', 'far/endless'].map((id) => ({ id, price: { input: '1', output: '1' } })),
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
  .matchAll(/^\S+Z \S+ (\d+) ([a-z_]+) .*\bmodel=\S+ stream=.* duration_ms=\d+\b.*$/gm)]
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
const model = (name, more, told) => (weir) => said(weir, ask(weir, name, more), told);

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
  client_idle: async () => {
    const other = await Weir.start({ ...base, timeouts: { idle: '1s' } });
    await ends(other, 'client_idle', async () => {
      const wire = await Wire.open(other.url);
      await wire.send(`GET /healthz HTTP/1.1\r\n${host}\r\n`);
      assert.equal((await wire.answer()).status, 200);
      assert.equal((await within(wire.ended(), 'the close')).length, 0);
      wire.close();
    });
    await other.stop();
  },
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
    await stream.send(ask(last, 'far/endless', { stream: true }));
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
    await wire.send(ask(weir2, 'far/endless', { stream: true }));
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
    await wire.send(ask(first, 'far/endless', { stream: true }));
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
};

for (const [label, run] of Object.entries(alone)) {
  test(`${label}: one answer, one line, one count`, run);
}

test('the providers saw nothing but strict HTTP', () => assert.deepEqual(far.faults, []));
