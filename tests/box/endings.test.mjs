// endings.test.mjs - every way to end that engine/close.def names, provoked once: the client is
// told with that status and code, its counter rises by exactly one, and there is exactly one
// line in the log with its name. A reason that is added without a row here fails the last test.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, delta, nowhere, provider } from './lib/provider.mjs';
import { exchange, post, Wire } from './lib/wire.mjs';
import { root, until, Weir, within } from './lib/weir.mjs';

// X(NAME, "label", status, "code", ...) of close.def, as it is compiled.
const source = fs.readFileSync(path.join(root, 'engine/close.def'), 'utf8');
const reasons = new Map([...source.matchAll(/^X\((\w+), "(\w+)", (\d+), "(\w*)",/gm)]
  .map(([, , label, status, code]) => [label, { status: Number(status), code }]));

// Where the others are provoked: they need a process, a disk or a kernel of their own.
const elsewhere = {
  none: 'not an ending', done: 'bytes.test.mjs', ledger_gone: 'endings_hard.test.mjs',
  draining: 'endings_hard.test.mjs', interrupted: 'endings_hard.test.mjs',
  killed: 'endings_hard.test.mjs', overloaded: 'endings_hard.test.mjs',
  tls_failed: 'tls.test.mjs', tls_slow: 'tls.test.mjs', tls_plain: 'tls.test.mjs',
  tls_broken: 'tls.test.mjs', tls_memory: 'test_conn_tls.c: an empty pool',
  rate_limited: 'budgets.test.mjs', budget_exceeded: 'budgets.test.mjs',
  credits_empty: 'budgets.test.mjs', budget_stopped: 'budgets.test.mjs',
  hedge_lost: 'hedge.test.mjs',
  escalated: 'cascade.test.mjs',
  outvoted: 'cascade.test.mjs',
  not_needed: 'cascade.test.mjs',
  client_recv: 'an error of the kernel that no peer can cause: test_conn_ends.c',
  client_send: 'an error of the kernel that no peer can cause: test_conn_ends.c',
};

const scripts = new Map();
const far = await provider((call) => (scripts.get(call.model) ?? ((c) => c.json(chat('ok'))))(call));
const price = { input: '1', output: '1' };
const names = ['ok', 'fails', 'slow', 'refuses', 'breaks', 'stalls', 'tells', 'large', 'pours',
               'denied', 'cold', 'waits'];
const weir = await Weir.start({
  cores: 1,
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'],
                timeouts: { first_byte: '500ms', stall: '500ms' } },
              { name: 'dead', url: await nowhere(), keys: ['sk-dead'] },
              { name: 'ant', dialect: 'anthropic', url: far.url, keys: ['sk-ant'] }],
  models: [...names.map((name) => ({ id: `far/${name}`, price })), { id: 'dead/cold', price },
           { id: 'ant/claude', price }, { id: 'far/short', price, context: 10 }],
  trusted_proxies: ['127.0.0.2'], cors: ['https://a.example'],
  limits: { body: 65536, header: 16384, answer: '2MiB', hold: '64KiB' },
  timeouts: { header: '500ms', body: '500ms', idle: '2s', write: '1s' },
});
const where = '/v1/chat/completions';
const auth = `Authorization: Bearer ${weir.key}\r\n`;
const get = (target, more = auth, version = 'HTTP/1.1') =>
  Buffer.from(`GET ${target} ${version}\r\nHost: x\r\n${more}\r\n`);
const ask = (model, more = {}) => post(where, weir.key, {
  model: `far/${model}`, messages: [{ role: 'user', content: 'x' }], ...more });

const count = async (label) => {
  const found = new RegExp(`^weir_closes_total\\{reason="${label}"\\} (\\d+)$`, 'm')
    .exec(await weir.metrics());
  return Number(found?.[1] ?? 0);
};
const lines = (label) =>
  weir.run.stdout.split('\n').filter((line) => line.split(' ')[3] === label).length;

// --- how each is provoked: gives the answer, or nothing where nobody is there to be told

const once = (bytes) => () => exchange(weir.url, bytes);

// An answer that has begun breaks off: the error is in it.
const late = (model, script) => async () => {
  scripts.set(model, async (call) => {
    await call.begin();
    await call.event(delta({ content: 'half' }));
    return script(call);
  });
  const answer = await exchange(weir.url, ask(model, { stream: true }));
  assert.doesNotMatch(answer.text, /\[DONE\]/);
  const event = answer.text.split('\n\n').find((part) => part.startsWith('data: {"error"'));
  return { said: JSON.parse(event.slice(6)).error };
};

const after = (bytes, then) => async () => {
  const wire = await Wire.open(weir.url);
  await wire.send(bytes);
  return then(wire);
};

async function pour(call) {
  await call.begin();
  while (!call.socket.destroyed && !call.socket.readableEnded) {
    await Promise.race([call.event(delta({ content: 'x'.repeat(60000) })), call.over]);
  }
}

async function denied() {
  const [member] = (await weir.ask('GET', '/admin/v1/units')).data.filter((u) => u.kind === 'member');
  const { id, key } = await weir.ask('POST', '/admin/v1/keys', {
    member: member.id, name: 'narrow', policy: { deny: ['far/denied'] } });
  const answer = await exchange(weir.url, post(where, key, {
    model: 'far/denied', messages: [{ role: 'user', content: 'x' }] }));
  await weir.ask('DELETE', `/admin/v1/keys/${id}`);
  return answer;
}

// The breaker of a provider that nobody answers for is opened first; those endings are others.
async function cold() {
  for (let i = 0; i < 20; i++) {
    const answer = await exchange(weir.url, post(where, weir.key, {
      model: 'dead/cold', messages: [{ role: 'user', content: 'x' }] }));
    if (answer.status === 503) return answer;
    assert.equal(answer.status, 502);
  }
  return null;
}

const ways = {
  client_gone: async () => {
    const asked = new Promise((resolve) => {
      scripts.set('waits', (call) => { resolve(); return call.over; });
    });
    const wire = await Wire.open(weir.url);
    await wire.send(ask('waits'));
    await asked;
    wire.reset();
  },
  client_idle: after(Buffer.alloc(0), async (wire) => {
    assert.equal((await within(wire.ended(), 'the close')).length, 0);
  }),
  client_write_slow: async () => {
    scripts.set('pours', pour);
    const wire = await Wire.open(weir.url);
    wire.socket.pause();
    await wire.send(ask('pours', { stream: true }));
    await until(async () => await count('client_write_slow') > 0, 'it is let go');
    wire.close();
  },
  head_slow: once(Buffer.from('GET /v1/models HTTP/1.1\r\nHost:')),
  body_slow: once(ask('ok').subarray(0, -3)),
  head_large: once(get('/v1/models', `${auth}X: ${'x'.repeat(17000)}\r\n`)),
  head_fields: once(get('/v1/models', auth + 'A:b\r\n'.repeat(400))),
  target_long: once(Buffer.from(`GET /${'x'.repeat(8500)} HTTP/1.1\r\n\r\n`)),
  head_bad: once(Buffer.from('G@T / HTTP/1.1\r\n\r\n')),
  version_bad: once(get('/v1/models', auth, 'HTTP/3.0')),
  chunk_bad: once(Buffer.from(`POST ${where} HTTP/1.1\r\nHost: x\r\n${auth}` +
                              'Transfer-Encoding: chunked\r\n\r\nxyz\r\n')),
  body_large: once(post(where, weir.key, 'x'.repeat(65537))),
  json_bad: once(post(where, weir.key, '{"model":')),
  request_bad: once(ask('ok', { stream: 7 })),
  key_bad: once(get('/v1/key', 'Authorization: Bearer sk-weir-nobody\r\n')),
  model_denied: denied,
  policy_denied: once(ask('ok', { provider: { only: ['nobody'] } })),
  model_unknown: once(ask('nothing-like-it')),
  path_unknown: once(get('/v1/nothing')),
  method_bad: once(get(where)),
  expect_bad: once(post(where, weir.key, '{}', ['Expect: miracles'])),
  websocket: once(get('/v1/realtime', `${auth}Connection: Upgrade\r\nUpgrade: websocket\r\n`)),
  not_built: once(post('/v1/images/edits', weir.key, '{}')),
  proxy_denied: once(Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n')),
  proxy_bad: () => exchange(weir.url, Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n'), 'GET',
                            '127.0.0.2'),
  origin_denied: once(Buffer.from(`OPTIONS ${where} HTTP/1.1\r\nHost: x\r\n` +
    'Origin: https://b.example\r\nAccess-Control-Request-Method: POST\r\n\r\n')),
  feedback_unknown: once(post('/v1/feedback', weir.key, { request_id: 'nobody', score: 1 })),
  no_provider: cold,
  upstream_failed: async () => {
    scripts.set('fails', (call) => call.error(500));
    return exchange(weir.url, ask('fails'));
  },
  upstream_slow: async () => {
    scripts.set('slow', (call) => call.over);
    return exchange(weir.url, ask('slow'));
  },
  upstream_refused: async () => {
    scripts.set('refuses', (call) => call.error(400, 'no such thing', 'upstream_refused'));
    return exchange(weir.url, ask('refuses'));
  },
  upstream_broke: late('breaks', (call) => call.reset()),
  upstream_stalled: late('stalls', (call) => call.over),
  upstream_error_event: late('tells', (call) => call.event({ error: { message: 'on fire' } })),
  dialect: once(post('/v1/embeddings', weir.key, { model: 'ant/claude', input: 'x' })),
  unsayable: once(post(where, weir.key, {
    model: 'ant/claude', n: 2, messages: [{ role: 'user', content: 'x' }] })),
  context_long: once(ask('short', { messages: [{ role: 'user', content: 'long '.repeat(99) }] })),
  answer_large: async () => {
    scripts.set('large', (call) => call.json({ ...chat('x'), data: 'y'.repeat(3 << 20) }));
    await assert.rejects(exchange(weir.url, ask('large')), 'it breaks off');
  },
};

for (const [label, way] of Object.entries(ways)) {
  test(`${label}: told, counted once, logged once`, async () => {
    const counted = await count(label), logged = lines(label);
    const answer = await way();
    const { status, code } = reasons.get(label);
    if (answer?.said) {
      assert.equal(answer.said.code, code);
    } else if (answer) {
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.json.error.code, code, answer.text);
      assert.ok(answer.json.error.message.length > 4);
    }
    await until(async () => await count(label) > counted, `${label} is counted`);
    if (label === 'client_idle') return;   // so do our own metrics calls: endings_hard
    await until(() => lines(label) > logged, `${label} is logged`);
    await new Promise((resolve) => setTimeout(resolve, 120));   // a second line would come now
    assert.equal(await count(label) - counted, 1, 'counted once');
    assert.equal(lines(label) - logged, 1, 'logged once');
  });
}

test('every reason of close.def is provoked here or has its test elsewhere', () => {
  assert.ok(reasons.size > 40);
  for (const label of reasons.keys()) {
    assert.ok(ways[label] || elsewhere[label], `${label} has no test`);
    const file = /^\S+\.mjs$/.exec(elsewhere[label] ?? '')?.[0];
    if (!file) continue;
    const text = fs.readFileSync(path.join(root, 'tests/box', file), 'utf8');
    assert.ok(label === 'done' || text.includes(label), `${file} does not name ${label}`);
  }
});

test('it ends cleanly', async () => {
  await weir.stop();
  assert.equal(weir.run.stderr, '');
  assert.deepEqual(far.faults, []);
});
