// ledger.test.mjs - what a client holds complete is booked, once, whatever happens to the
// process: kill -9 under load, SIGTERM in the middle of streams, a second instance.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { command, directory, Mock, pause, proven, until, Weir, within } from
  './lib/weir.mjs';

const ROUNDS = Number(process.env.WEIR_ROUNDS ?? 10);   // make kill: many more
const CLIENTS = 12;
const mock = await Mock.start();
let answer = (call) => call.json(chat('ok'));
const far = await provider((call) => answer(call));
const price = { input: '1.5', output: '7.25', request: '0.000001' };
const config = {
  providers: [{ name: 'mock', url: mock.url, keys: ['sk-mock'] },
              { name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [...['mock-n5', 'mock-ttft3-tps4000-n30'].map((name) => ({ id: `mock/${name}`, price })),
           { id: 'far/m', price }],
};
const ask = { model: 'far/m', messages: [{ role: 'user', content: 'x' }] };

// Rows agree with each other, with usage, and no exchange is there twice.
async function consistent(weir) {
  const rows = await weir.rows();
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length, 'an exchange ends once');
  const [total] = (await weir.ask('GET', '/admin/v1/usage')).data;
  assert.equal(total?.requests ?? 0, rows.length);
  const sum = (of) => rows.reduce((all, row) => all + of(row), 0n);
  assert.equal(nano(total?.cost_usd ?? '0'), sum((row) => nano(row.cost_usd)));
  for (const kind of ['input_tokens', 'output_tokens', 'cached_tokens']) {
    assert.equal(BigInt(total?.[kind] ?? 0), sum((row) => BigInt(row[kind])), kind);
  }
  return rows;
}

// Three keys of one member, a budget on one of them, on the member and on the organization: all
// far above what is spent, so that each request goes through all of the cells. Gives the keys
// and what has a budget.
async function keysWithBudgets(weir) {
  const { data } = await weir.ask('GET', '/admin/v1/units');
  const of = (kind) => data.find((unit) => unit.kind === kind).id;
  const more = await Promise.all(['b', 'c'].map((name) => (
    weir.ask('POST', '/admin/v1/keys', { member: of('member'), name }))));
  const limits = [{ usd: '1000', window: 'hour' }, { usd: '100000', window: 'total' }];
  const targets = [more[0].id, of('member'), of('organization')];
  for (const id of targets) await weir.ask('PUT', `/admin/v1/budgets/${id}`, { limits });
  return { keys: [weir.key, ...more.map((made) => made.key)], targets };
}

// What each budget says is spent is the sum of the rows below it, and nothing is held.
async function accounts(weir, targets, rows) {
  for (const id of targets) {
    const below = rows.filter((row) => Object.values(row).includes(id));
    const sum = below.reduce((all, row) => all + nano(row.cost_usd), 0n);
    const { limits } = await weir.ask('GET', `/admin/v1/budgets/${id}`);
    const total = limits.find((limit) => limit.window === 'total');
    assert.ok(sum > 0n && limits.length === 2, id);
    assert.equal(nano(total.spent), sum, `${id}: spent is the sum of its records`);
    assert.deepEqual(limits.map((limit) => nano(limit.held)), [0n, 0n], `${id}: nothing is held`);
  }
}

test(`kill -9, ${ROUNDS} times under load: each complete answer is booked once`, async () => {
  const held = [];       // ids of answers that clients hold to the last byte
  let sent = 0, cut = 0;
  let weir = await Weir.start(config);
  const { key, data } = weir;
  const { keys, targets } = await keysWithBudgets(weir);

  async function client(weir, n) {
    for (let i = 0; ; i++) {
      const stream = (i + n) % 2 === 0;
      sent++;
      try {
        const response = await weir.fetch('/v1/chat/completions', { key: keys[n % 3], body: {
          ...ask, stream, model: stream ? 'mock/mock-ttft3-tps4000-n30' : 'mock/mock-n5' } });
        const text = await response.text();
        assert.equal(response.status, 200, text);
        if (stream) assert.match(text, /data: \[DONE\]\n\n$/);
        held.push(response.headers.get('x-request-id'));
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        cut++;
        return;
      }
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    const before = held.length;
    const clients = Array.from({ length: CLIENTS }, (_, n) => client(weir, n));
    await until(() => held.length >= before + CLIENTS * 4, 'answers under load');
    await pause(round * 17 % 50);  // a different instant each round
    await weir.kill();
    await Promise.all(clients);
    await proven(data);        // journals not folded, requests interrupted
    weir = await Weir.start(config, { data, key });
    const rows = await weir.rows();
    const count = new Map();
    for (const row of rows) count.set(row.request_id, (count.get(row.request_id) ?? 0) + 1);
    for (const id of held) assert.equal(count.get(id), 1, `round ${round}: ${id}`);
    await accounts(weir, targets, rows);
    assert.ok(rows.length <= sent, `${rows.length} rows of ${sent} requests`);
  }
  assert.ok(cut >= ROUNDS, 'the kills hit running requests');
  const rows = await consistent(weir);
  for (const row of rows) {
    if (row.close !== 'done') continue;
    assert.equal(row.output_tokens, row.stream ? 30 : 5);
  }
  const broken = rows.filter((row) => row.close !== 'done');
  assert.ok(broken.every((row) => row.estimated || nano(row.cost_usd) === 0n),
            JSON.stringify(broken.find((row) => !row.estimated && nano(row.cost_usd) > 0n)));
  await weir.stop();
  await proven(data);
  const again = await Weir.start(config, { data, key });
  assert.equal((await consistent(again)).length, rows.length, 'a clean start adds nothing');
  await again.stop();
  await proven(data);
});

// A stream that waits in its middle until it is told to go on: {begun, go}.
function held() {
  const gate = {};
  gate.open = new Promise((resolve) => { gate.go = resolve; });
  gate.begun = new Promise((resolve) => {
    answer = async (call) => {
      await call.begin();
      await call.event(delta({ role: 'assistant', content: 'first ' }));
      resolve(call);
      await Promise.race([gate.open, call.over]);
      await call.event(delta({ content: 'second' }));
      await call.event(delta({}, 'stop'));
      await call.event('[DONE]');
      await call.end();
    };
  });
  return gate;
}

test('SIGTERM: running streams end well, new ones are not taken, the ledger is whole', async () => {
  const weir = await Weir.start(config);
  const gate = held();
  const response = await weir.fetch('/v1/chat/completions', { body: { ...ask, stream: true } });
  await gate.begun;
  const idle = await Wire.open(weir.url);
  weir.signal('SIGTERM');
  await until(async () => (await fetch(`${weir.admin}/readyz`)).status === 503, 'not ready');
  await until(() => Wire.open(weir.url).then((wire) => { wire.close(); return false; },
                                             () => true), 'the port is closed');
  assert.equal((await within(idle.ended(), 'idle connections close')).length, 0);
  assert.equal(weir.run.status, null, 'it waits for the stream');
  gate.go();
  const text = await response.text();
  assert.match(text, /second/);
  assert.match(text, /data: \[DONE\]\n\n$/);
  await within(weir.run.ended, 'the end', 8000);
  assert.equal(weir.run.status, 0, weir.run.stderr);
  const again = await Weir.start(config, { data: weir.data, key: weir.key });
  const rows = await consistent(again);
  assert.deepEqual(rows.map((row) => [row.request_id, row.close]),
                   [[response.headers.get('x-request-id'), 'done']]);
  await again.stop();
});

for (const how of ['the drain is over', 'a second SIGTERM comes']) {
  test(`a stream that does not end is cut when ${how}, told and booked`, async () => {
    const drain = how.startsWith('the') ? '300ms' : '60s';
    const weir = await Weir.start({ ...config, drain });
    const gate = held();
    const response = await weir.fetch('/v1/chat/completions', { body: { ...ask, stream: true } });
    const text = response.text().catch(() => '');
    await gate.begun;
    weir.signal('SIGTERM');
    if (drain === '60s') {
      await until(async () => (await fetch(`${weir.admin}/readyz`)).status === 503, 'draining');
      weir.signal('SIGTERM');
    }
    await within(weir.run.ended, 'the end', 8000);
    gate.go();
    assert.equal(weir.run.signal, null);
    assert.doesNotMatch(await text, /\[DONE\]/, 'no good end');
    const again = await Weir.start(config, { data: weir.data, key: weir.key });
    const rows = await consistent(again);
    assert.equal(rows.length, 1);
    assert.notEqual(rows[0].close, 'done');
    assert.equal(rows[0].estimated, true);
    assert.ok(nano(rows[0].cost_usd) > 0n, 'what was streamed is charged');
    await again.stop();
  });
}

test('a client that leaves is booked as far as it got', async () => {
  const weir = await Weir.start(config);
  const gate = held();
  const wire = await Wire.open(weir.url);
  await wire.send(post('/v1/chat/completions', weir.key, { ...ask, stream: true }));
  await gate.begun;
  await wire.intake.until(Buffer.from('first '));
  wire.reset();
  const [row] = await until(async () => {
    const rows = await weir.rows();
    return rows.length && rows;
  }, 'its row');
  assert.match(row.close, /^client_/);
  assert.equal(row.estimated, true);
  assert.ok(row.output_tokens > 0 && nano(row.cost_usd) > 0n);
  gate.go();
  await weir.stop();
});

// --- starting

async function refuses(args, pattern) {
  const run = await command(['serve', ...args]);
  assert.equal(run.status, 1, run.stdout + run.stderr);
  assert.match(run.stderr, pattern);
  const lines = run.stderr.trim().split('\n').filter((line) => !/^warning: /.test(line));
  assert.equal(lines.length, 1, `one sentence: ${run.stderr}`);
  assert.doesNotMatch(run.stdout, /ready|sk-weir/);
}

test('a second instance on the same data, a taken port: one sentence, exit 1', async () => {
  const weir = await Weir.start(config);
  const any = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  await refuses(['-c', weir.file, '--data', weir.data, ...any], /in use|another/i);
  const other = path.join(directory(), 'data');
  await refuses(['-c', weir.file, '--data', other, '--listen', new URL(weir.url).host],
                /taken|in use/i);
  await refuses(['-c', weir.file, '--data', other, '--admin', new URL(weir.admin).host],
                /taken|in use/i);
  assert.equal((await weir.chat({ model: 'mock/mock-n5' })).status, 200, 'the first one runs on');
  await weir.stop();
});

test('data in a file, where a directory should be: one sentence, exit 1', async () => {
  const file = path.join(directory(), 'file');
  fs.writeFileSync(file, 'x');
  await refuses(['--data', file, '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'], /\S/);
});

test('a restart keeps keys, token, units; the key is printed once', async () => {
  const weir = await Weir.start(config);
  await weir.stop();
  const again = await Weir.start(config, { data: weir.data, key: weir.key });
  assert.equal(again.token, weir.token);
  assert.doesNotMatch(again.run.stdout, /sk-weir-/);
  answer = (call) => call.json(chat('ok'));
  assert.equal((await again.chat({ model: 'far/m' })).status, 200);
  await again.stop();
});

test('nothing foreign was broken', async () => {
  await mock.stop();
  assert.deepEqual(far.faults, []);
});
