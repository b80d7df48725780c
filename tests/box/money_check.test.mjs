// money_check.test.mjs - the ledger proves itself, whatever happened: check --ledger after kill -9
// under load, beside a running instance, of backups made under load and of what they restore.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { nano } from './lib/money.mjs';
import { command, directory, Mock, pause, until, Weir } from './lib/weir.mjs';

const ROUNDS = Number(process.env.WEIR_KILLS ?? 4);
const CLIENTS = 8;
const mock = await Mock.start();
const models = ['mock-n5', 'mock-ttft3-tps4000-n30'];
const price = { input: '1.5', output: '7.25', request: '0.000001' };
const config = { providers: [{ name: 'mock', url: mock.url, keys: ['sk-mock'] }],
                 models: models.map((name) => ({ id: `mock/${name}`, price })) };

// Names, modes, times and bytes of all files.
function fingerprint(dir) {
  const hash = crypto.createHash('sha256');
  for (const name of fs.readdirSync(dir, { recursive: true }).sort()) {
    const file = path.join(dir, name), stat = fs.statSync(file);
    hash.update(`${name} ${stat.mode} ${stat.mtimeMs} ${stat.size}\n`);
    if (stat.isFile()) hash.update(fs.readFileSync(file));
  }
  return hash.digest('hex');
}

async function passes(dir) {
  const run = await command(['check', '--ledger', dir]);
  assert.equal(run.stdout, 'ok\n', run.stderr);
  assert.equal(run.status, 0);
  return run;
}

// Requests without end, until the process is gone; counts whole answers.
function load(weir, key, count) {
  return Promise.all(Array.from({ length: CLIENTS }, async (_, n) => {
    for (let i = n; !count.stop; i++) {
      try {
        const response = await weir.fetch('/v1/chat/completions', {
          key, headers: i % 3 ? {} : { 'x-weir-tags': `n=${i % 5}`, 'x-request-id': `c-${n}-${i}` },
          body: { model: `mock/${models[i % 2]}`, stream: i % 2 === 0,
                  messages: [{ role: 'user', content: 'x' }] } });
        await response.text();
        if (response.status !== 200) continue;
      } catch {
        return;
      }
      count.whole++;
    }
  }));
}

const total = async (weir) => (await weir.ask('GET', '/admin/v1/usage')).data[0];

// What keys have spent of a budget of all time.
async function spent(weir, unit) {
  const { limits } = await weir.ask('GET', `/admin/v1/budgets/${unit}`);
  return limits.find((limit) => limit.window === 'total').spent;
}

let weir = await Weir.start(config);
const { key, data } = weir;
const org = (await weir.ask('GET', '/admin/v1/units')).data
  .find((unit) => unit.kind === 'organization').id;
await weir.ask('POST', `/admin/v1/organizations/${org}/credits`,
               { usd: '1000', reference: 'invoice 1', kind: 'top_up' });
await weir.ask('PATCH', `/admin/v1/organizations/${org}/credits`, { pool: 'prepaid' });
await weir.ask('PUT', `/admin/v1/budgets/${org}`, { limits: [{ usd: '500', window: 'total' },
                                                             { usd: '400', window: 'month' }] });

test(`kill -9 under load, ${ROUNDS} times: the check passes, and changes nothing`, async () => {
  const count = { whole: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const before = count.whole, clients = load(weir, key, count);
    await until(() => count.whole >= before + CLIENTS * 4, 'answers under load');
    await pause(round * 17 % 50);
    await weir.kill();
    await clients;
    const files = fingerprint(data);
    await passes(data);
    assert.equal(fingerprint(data), files, 'a check changes nothing');
    weir = await Weir.start(config, { data, key });
    const run = await passes(data);
    assert.match(run.stderr, /in use.*journals of a running instance are not looked at/);
  }
  const usage = await total(weir);
  assert.ok(usage.requests >= count.whole);
  assert.equal(nano(await spent(weir, org)), nano(usage.cost_usd), 'budgets count what rows do');
});

test('a second instance is refused, and takes nothing from the first', async () => {
  const run = await command(['serve', '--data', data, '--listen', '127.0.0.1:0', '--admin',
                             '127.0.0.1:0']);
  assert.equal(run.status, 1);
  assert.match(run.stderr, new RegExp(`in use by another instance \\(pid ${weir.pid}\\)`));
  assert.equal((await weir.chat({ model: `mock/${models[0]}` }, { key })).status, 200);
});

test('backup under load: each copy passes, and holds a commit', async () => {
  const count = { whole: 0, stop: false }, clients = load(weir, key, count);
  const dir = directory();
  let before = 0;
  for (let i = 0; i < 3; i++) {
    const to = path.join(dir, `b${i}`), whole = count.whole;
    await until(() => count.whole > whole + CLIENTS, 'answers under load');
    const run = await command(['backup', '-c', weir.file, '--data', data, to]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /b\d: backed up, checked: ok\n$/);
    assert.doesNotMatch(run.stderr, /warning/);
    await passes(to);
    assert.equal(fs.statSync(path.join(to, 'admin.token')).mode & 0o777, 0o600);
    const again = await command(['backup', '--data', data, to]);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /is not empty/);
    const other = path.join(dir, `r${i}`);
    assert.equal((await command(['restore', '--data', other, to])).status, 0);
    const restored = await Weir.start(config, { data: other, key });
    const rows = await restored.rows(), usage = await total(restored);
    assert.equal(usage.requests, rows.length);
    assert.equal(nano(usage.cost_usd), rows.reduce((sum, row) => sum + nano(row.cost_usd), 0n));
    assert.equal(nano(await spent(restored, org)), nano(usage.cost_usd));
    assert.ok(usage.requests > before, 'the later copy holds more');
    before = usage.requests;
    await restored.stop();
    await passes(other);
  }
  assert.deepEqual(fs.readdirSync(dir).sort(), ['b0', 'b1', 'b2', 'r0', 'r1', 'r2']);
  count.stop = true;
  await clients;
});

test('backup at rest, restore: the same usage, credits and budgets', async () => {
  const dir = directory(), to = path.join(dir, 'backup'), other = path.join(dir, 'data');
  await weir.stop();
  await passes(data);
  assert.equal((await command(['backup', '--data', data, to])).status, 0);
  assert.equal((await command(['restore', '--data', other, to])).status, 0);
  const first = await Weir.start(config, { data, key });
  const second = await Weir.start(config, { data: other, key });
  for (const where of ['/admin/v1/usage?group_by=key,model,hour', `/admin/v1/budgets/${org}`,
                       `/admin/v1/organizations/${org}/credits`, '/admin/v1/requests?limit=500']) {
    assert.deepEqual(await second.ask('GET', where), await first.ask('GET', where), where);
  }
  assert.equal((await second.chat({ model: `mock/${models[0]}` }, { key })).status, 200);
  const refused = await command(['restore', '--data', other, to]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /is not empty/);
  await first.stop();
  await second.stop();
  await passes(data);
  await passes(other);
});

test('damage is told, and no backup is made of it', async () => {
  const dir = directory(), to = path.join(dir, 'backup'), bad = path.join(dir, 'bad');
  assert.equal((await command(['backup', '--data', data, to])).status, 0);
  fs.cpSync(to, bad, { recursive: true });
  const file = path.join(bad, 'store', 'data.mdb'), bytes = fs.readFileSync(file);
  fs.truncateSync(file, bytes.length / 2);
  let run = await command(['check', '--ledger', bad]);
  assert.equal(run.status, 1);
  assert.match(run.stdout, /data\.mdb is cut off: expected \d+ bytes, found \d+\n$/);
  for (let i = 8192; i < bytes.length; i++) bytes[i] = (bytes[i] * 7 + i) & 255;
  fs.writeFileSync(file, bytes);    // pages of nonsense: whoever follows them may be killed
  run = await command(['check', '--ledger', bad]);
  assert.equal(run.status, 1);
  assert.match(run.stdout, /damage|MDB_/);
  const copy = await command(['backup', '--data', bad, path.join(dir, 'copy')]);
  assert.notEqual(copy.status, 0);
  assert.ok(!fs.existsSync(path.join(dir, 'copy')));
  const none = await command(['check', '--ledger', path.join(dir, 'nothing')]);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /error: cannot open the store/);
});
