// admin_money.test.mjs - budgets, credits and rates over real requests: every bad input leaves
// everything as it was, numbers are those of the running requests, what was answered is in
// effect on every core, and a key is told all that stands on its path.
import assert from 'node:assert/strict';
import test, { beforeEach } from 'node:test';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { nano } from './lib/money.mjs';
import { until, Weir } from './lib/weir.mjs';

let answer;
const far = await provider((call) => answer(call));
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [{ id: 'far/fixed', price: { input: '0', output: '0', request: '0.001' } }],
});

const api = '/admin/v1';
const units = ['organization', 'department', 'team', 'member'];
const layers = [...units, 'key'];
let tree;   // ids by level, and the key's secret

beforeEach(async () => {
  answer = (call) => call.json(chat('ok'));
  tree = {};
  let parent = {};
  for (const kind of units) {
    tree[kind] = (await weir.ask('POST', `${api}/units`, { kind, name: kind, ...parent })).id;
    parent = { parent: tree[kind] };
  }
  const made = await weir.ask('POST', `${api}/keys`, { member: tree.member, name: 'k' });
  tree.key = made.id;
  tree.secret = made.key;
});

const budgets = (layer) => `/budgets/${tree[layer]}`;
const credits = () => `/organizations/${tree.organization}/credits`;
const put = (layer, ...list) => weir.ask('PUT', api + budgets(layer), {
  limits: list.map(([usd, window]) => ({ usd, window })) });
const get = (where) => weir.ask('GET', api + where);
const enter = (usd, reference, kind = 'top_up') =>
  weir.call('POST', api + credits(), { usd, reference, kind });
const signed = (usd) => (usd[0] === '-' ? -nano(usd.slice(1)) : nano(usd));
const ask = () => weir.chat({ model: 'far/fixed' }, { key: tree.secret });
const mine = async (where) => (await weir.fetch(where, { key: tree.secret })).json();

// What must be refused: this status, code, a sentence, a pointer into the body or none.
async function refused(method, where, body, status, pointer, code) {
  const r = await weir.call(method, api + where, body);
  const said = `${method} ${where} ${JSON.stringify(body)}: ${r.status} ${r.text}`;
  assert.equal(r.status, status, said);
  const { error } = r.json;
  assert.equal(error.code, code ?? (status === 404 ? 'not_found' : 'invalid_request'), said);
  assert.ok(error.message.length > 8, said);
  assert.equal(error.pointer, pointer, said);
}

// All that money is about in this tree, as text.
async function everything() {
  const of = await Promise.all([
    ...layers.map((layer) => get(budgets(layer))), get(credits()),
    ...units.map((unit) => get(`/units/${tree[unit]}`)), get(`/keys/${tree.key}`)]);
  return JSON.stringify(of);
}

// --- bad input

const usdBad = [1, 1.5, -1, null, true, [], {}, '', ' 1', '1 ', '+1', '1e3', '1E3', '.5', '5.',
                '1,5', '0x10', 'NaN', '-', '--1', '01', '1.0000000001', '0.0000000000',
                '1000000000.000000001', '99999999999999999999999', '9'.repeat(500)];

test('budgets: every bad input is refused, and nothing is half done', async () => {
  await put('team', ['5', 'day'], ['0.000000001', 'total']);
  const before = await everything();
  const bad = (body, pointer, code) => refused('PUT', budgets('team'), body, 400, pointer, code);
  const good = { usd: '7', window: 'week' };
  for (const usd of [...usdBad, '-1', '-0.5']) {
    await bad({ limits: [{ usd, window: 'day' }] }, '/limits/0/usd');
    await bad({ limits: [good, { usd, window: 'day' }] }, '/limits/1/usd');
  }
  for (const window of ['', 'Day', 'year', 'hour ', 1, null, []]) {
    await bad({ limits: [good, { usd: '1', window }] }, '/limits/1/window');
  }
  for (const limits of [null, {}, 'x', 5, true]) await bad({ limits }, '/limits');
  for (const limit of [null, 'x', 5, []]) await bad({ limits: [good, limit] }, '/limits/1');
  await bad({ limits: [good, good] }, '/limits/1/window');
  await bad({ limits: [{ usd: '1' }] }, '/limits/0/window');
  await bad({ limits: [{ window: 'day' }] }, '/limits/0/usd');
  await bad({ limits: [{ ...good, spent: '0' }] }, '/limits/0/spent');
  await bad({ limits: [good], note: 'x' }, '/note');
  await bad({}, '/limits');
  await bad(undefined, '/limits');
  await bad([good], undefined);
  await bad('{"limits":[]', undefined, 'invalid_json');
  await bad('{"limits":[]}}', undefined, 'invalid_json');
  await bad('{"limits":[{"usd":"1","usd":"2","window":"day"}]}', '/limits/0/usd');
  await refused('PUT', `${budgets('team')}?force=1`, { limits: [] }, 400);
  assert.equal(await everything(), before);
});

test('credits: every bad input is refused, and nothing is half done', async () => {
  assert.equal((await enter('10', 'inv-1')).status, 201);
  const before = await everything();
  const good = { usd: '1', reference: 'r', kind: 'grant' };
  const bad = (body, pointer, status = 400, code) =>
    refused('POST', credits(), body, status, pointer, code);
  for (const usd of [...usdBad, '-1', '0', '-0', '0.000000000']) {
    await bad({ ...good, usd }, '/usd');
  }
  for (const usd of ['0', '-0.0', '-1000000000.000000001']) {
    await bad({ ...good, usd, kind: 'correction' }, '/usd');
  }
  await bad({ ...good, usd: '-1', kind: 'refund' }, '/usd');
  await bad({ ...good, usd: '10.000000001', kind: 'refund' }, '/usd', 409, 'conflict');
  await bad({ ...good, usd: '999999990.000000001' }, '/usd');
  for (const reference of [null, 5, '', 'a\nb', 'x'.repeat(128), [], {}]) {
    await bad({ ...good, reference }, '/reference');
  }
  for (const kind of [null, 1, '', 'topup', 'Grant', []]) await bad({ ...good, kind }, '/kind');
  for (const name of Object.keys(good)) await bad({ ...good, [name]: undefined }, `/${name}`);
  await bad({ ...good, balance: '1' }, '/balance');
  for (const [usd, kind] of [['11', 'top_up'], ['10', 'grant'], ['10', 'refund'],
                             ['-10', 'correction'], ['10.000000001', 'top_up']]) {
    await bad({ usd, kind, reference: 'inv-1' }, '/reference', 409, 'conflict');
  }
  for (const pool of [null, true, '', 'Prepaid', 'off', []]) {
    await refused('PATCH', credits(), { pool }, 400, '/pool');
  }
  await refused('PATCH', credits(), { pool: 'prepaid', usd: '1' }, 400, '/usd');
  for (const query of ['?limit=0', '?limit=x', '?after=1', '?after=crd_x', '?from=2026']) {
    await refused('GET', credits() + query, undefined, 400);
  }
  await refused('PUT', credits(), good, 405, undefined, 'method_not_allowed');
  await refused('DELETE', credits(), undefined, 405, undefined, 'method_not_allowed');
  assert.equal(await everything(), before);
});

test('policies: a wrong member changes none of them', async () => {
  for (const where of [`/units/${tree.team}`, `/keys/${tree.key}`]) {
    await weir.ask('PATCH', api + where, { policy: { rpm: 600, tpm: 4294967295, deny: ['x'] } });
    const before = await everything();
    for (const name of ['rpm', 'tpm', 'concurrency']) {
      for (const value of [0, -1, 1.5, 4294967296, 1e30, '5', true, [], {}]) {
        await refused('PATCH', where, { policy: { deny: [], [name]: value } }, 400,
                      `/policy/${name}`);
      }
    }
    for (const [name, ...values] of [['mode', 'dear', '', 1, {}], ['regions', 'eu', [1], {}],
                                     ['zero_retention_only', 1, 'true', []],
                                     ['quality_floor', 1.1, -1, '1', 1e-7, [0.5]]]) {
      for (const value of values) {
        const item = name === 'regions' && Array.isArray(value) ? '/0' : '';
        await refused('PATCH', where, { policy: { rpm: 1, [name]: value } }, 400,
                      `/policy/${name}${item}`);
      }
    }
    await refused('PATCH', where, { policy: { rpn: 1 } }, 400, '/policy/rpn');
    assert.equal(await everything(), before);
    const { policy } = await weir.ask('PATCH', api + where, { policy: { tpm: null } });
    assert.deepEqual(policy, { deny: ['x'], rpm: 600 });
  }
});

test('ids of nobody: 404, with any body', async () => {
  const gone = (await weir.ask('POST', `${api}/units`, { kind: 'organization', name: 'x' })).id;
  await weir.ask('DELETE', `${api}/units/${gone}`);
  for (const id of ['x', 'org_', 'key_0000000000000', gone, 'crd_0000000000000001']) {
    for (const [method, body] of [['GET'], ['PUT', { limits: [] }], ['DELETE'],
                                  ['PUT', { limits: [{ usd: '1', window: 'day' }] }]]) {
      await refused(method, `/budgets/${id}`, body, 404);
    }
    const where = `/organizations/${id}/credits`;
    await refused('GET', where, undefined, 404);
    await refused('PATCH', where, { pool: 'prepaid' }, 404);
    await refused('POST', where, { usd: '1', reference: 'r', kind: 'grant' }, 404);
  }
  await refused('GET', `/organizations/${tree.team}/credits`, undefined, 404);
});

// --- budgets

test('budgets: set at every level, shown, taken away', async () => {
  for (const layer of layers) {
    assert.deepEqual(await get(budgets(layer)), { limits: [] });
    const set = await put(layer, ['1000000000', 'total'], ['0', 'hour'], ['2.50', 'month']);
    assert.deepEqual(set.limits.map((l) => [l.window, l.usd, l.spent, l.held, l.remaining]), [
      ['hour', '0', '0', '0', '0'], ['month', '2.5', '0', '0', '2.5'],
      ['total', '1000000000', '0', '0', '1000000000']]);
    const [hour, month, total] = set.limits.map((l) => l.resets_at);
    const now = new Date();
    assert.equal(total, null);
    assert.ok(Date.parse(hour) - now > 0 && Date.parse(hour) - now <= 3600e3, hour);
    assert.equal(month, new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1))
      .toISOString().replace('.000', ''));
    assert.deepEqual(await get(budgets(layer)), set);
    await weir.ask('DELETE', api + budgets(layer));
    assert.deepEqual(await get(budgets(layer)), { limits: [] });
  }
});

test('budgets: what runs is held, what ended is spent, to the nano-dollar', async () => {
  let go;
  answer = async (call) => {
    await call.begin();
    await call.event(delta({ content: 'a' }));
    await new Promise((resolve) => { go = resolve; });
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    await call.end();
  };
  await weir.ask('PATCH', api + credits(), { pool: 'prepaid' });
  assert.equal((await enter('1', 'r')).status, 201);
  for (const layer of layers) await put(layer, ['0.01', 'total']);
  const running = weir.fetch('/v1/chat/completions', { key: tree.secret, body: {
    model: 'far/fixed', stream: true, messages: [{ role: 'user', content: 'x' }] } });
  await until(() => go, 'it runs');
  for (const layer of layers) {
    const [limit] = (await get(budgets(layer))).limits;
    assert.deepEqual([limit.spent, limit.held, limit.remaining], ['0', '0.001', '0.009'], layer);
  }
  let pool = await get(credits());
  assert.deepEqual([pool.balance, pool.held], ['0.999', '0.001']);
  const refund = await enter('0.9990001', 'back', 'refund');
  assert.equal(refund.status, 409, 'what is held cannot be taken out');
  go();
  await (await running).text();
  for (const layer of layers) {
    const [limit] = (await get(budgets(layer))).limits;
    assert.deepEqual([limit.spent, limit.held, limit.remaining], ['0.001', '0', '0.009'], layer);
  }
  pool = await get(credits());
  assert.deepEqual([pool.balance, pool.held], ['0.999', '0']);
});

test('budgets: an answered change is in effect on every core', async () => {
  const wires = await Promise.all(Array.from({ length: 16 }, () => Wire.open(weir.url)));
  const body = { model: 'far/fixed', messages: [{ role: 'user', content: 'x' }] };
  const everywhere = async () => {
    const statuses = await Promise.all(wires.map(async (wire, i) => {
      await wire.send(post('/v1/chat/completions', tree.secret, body));
      const r = await wire.answer();
      if (r.get('connection') === 'close') wires[i] = await Wire.open(weir.url);
      return r.status;
    }));
    assert.equal(new Set(statuses).size, 1, `cores disagree: ${statuses}`);
    return statuses[0];
  };
  assert.equal(await everywhere(), 200);
  for (let round = 0; round < 5; round++) {
    for (const layer of layers) {
      await put(layer, ['0.001', 'day']);   // less than what is spent
      assert.equal(await everywhere(), 429);
      await weir.ask('DELETE', api + budgets(layer));
      assert.equal(await everywhere(), 200);
    }
    await weir.ask('PATCH', api + credits(), { pool: 'prepaid' });
    assert.equal(await everywhere(), 402);
    await weir.ask('PATCH', api + credits(), { pool: 'unlimited' });
  }
  for (const wire of wires) wire.close();
});

test('budgets go with their unit', async () => {
  await put('team', ['0.001', 'total']);
  await weir.ask('DELETE', `${api}/units/${tree.organization}?recursive=1`);
  for (const layer of layers) await refused('GET', budgets(layer), undefined, 404);
  await refused('GET', credits(), undefined, 404);
});

// --- credits

test('credits: entries add up, and one that comes again is answered, not entered', async () => {
  let balance = 0n;
  const steps = [['100', 'top_up'], ['0.000000001', 'grant'], ['30.25', 'refund'],
                 ['-70', 'correction'], ['1.5', 'correction']];
  for (const [i, [usd, kind]] of steps.entries()) {
    const first = await enter(usd, `r${i}`, kind);
    assert.equal(first.status, 201, first.text);
    assert.equal(first.json.usd, usd);
    balance += kind === 'refund' ? -signed(usd) : signed(usd);
    const again = await enter(usd, `r${i}`, kind);
    assert.equal(again.status, 200);
    assert.deepEqual(again.json, first.json);
    const pool = await get(credits());
    assert.equal(signed(pool.balance), balance);
    assert.equal(signed(first.json.balance_change),
                 kind === 'refund' ? -signed(usd) : signed(usd));
    assert.equal(pool.entries.length, i + 1);
    assert.deepEqual(pool.entries[0], first.json);
  }
  const seen = [];
  for (let after = '', more = true; more;) {
    const page = await get(`${credits()}?limit=2${after}`);
    seen.push(...page.entries);
    more = page.has_more;
    after = `&after=${page.entries.at(-1).id}`;
  }
  assert.deepEqual(seen.map((entry) => entry.reference), ['r4', 'r3', 'r2', 'r1', 'r0']);
});

test('credits: a reference that is sent many times at once is entered once', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => enter('7', 'inv-7')));
  assert.equal(all.filter((r) => r.status === 201).length, 1);
  assert.equal(all.filter((r) => r.status === 200).length, 49);
  assert.equal(new Set(all.map((r) => r.text)).size, 1);
  assert.equal((await get(credits())).balance, '7');
  const headers = { 'idempotency-key': `k-${tree.organization}` };
  const body = { usd: '1', reference: 'other', kind: 'grant' };
  const one = await weir.call('POST', api + credits(), body, { headers });
  const two = await weir.call('POST', api + credits(), body, { headers });
  assert.deepEqual([one.status, two.status], [201, 201]);
  assert.equal(one.text, two.text);
  assert.equal((await get(credits())).balance, '8');
});

// --- what a key is told

test('/v1/key tells of every limit on the path, the narrowest first', async () => {
  assert.deepEqual((await mine('/v1/key')).limits, []);
  for (const [i, layer] of layers.entries()) {
    await put(layer, [`${i + 1}`, 'total'], [`0.0${i + 1}`, 'hour']);
  }
  await weir.ask('PATCH', api + credits(), { pool: 'prepaid' });
  await enter('3', 'r');
  await weir.ask('PATCH', `${api}/units/${tree.department}`, { policy: { rpm: 60 } });
  await weir.ask('PATCH', `${api}/keys/${tree.key}`, { policy: { tpm: 9, concurrency: 2 } });
  assert.equal((await ask()).status, 200);
  const told = await mine('/v1/key');
  for (const layer of layers) assert.equal(told[layer], tree[layer]);
  const rest = layers.map((layer, i) => [[layer, 'hour', `0.0${i + 1}`],
                                         [layer, 'total', `${i + 1}`]]).reverse().flat();
  assert.deepEqual(told.limits.map((l) => [l.layer, l.window, l.usd]),
                   [...rest, ['credits', 'total', '3']]);
  for (const limit of told.limits) {
    assert.deepEqual([limit.spent, limit.held], ['0.001', '0'], limit.layer);
    assert.equal(nano(limit.remaining), nano(limit.usd) - nano('0.001'));
    assert.equal(limit.resets_at === null, limit.window === 'total');
  }
  assert.deepEqual(told.rates, [
    { layer: 'key', rpm: null, tpm: 9, concurrency: 2 },
    { layer: 'department', rpm: 60, tpm: null, concurrency: null }]);
  const { limits } = await mine('/v1/credits');
  assert.deepEqual(limits, told.limits);
});

test('/v1/credits tells of the pool, in OpenRouter\'s form too', async () => {
  await enter('2.5', 'r');
  for (const where of ['/v1/credits', '/openai/v1/credits']) {
    const told = await mine(where);
    assert.equal(told.pool, 'unlimited');
    assert.equal(told.balance, '2.5');
    assert.deepEqual(told.data, { total_credits: 2.5, total_usage: 0 });
  }
  await weir.ask('PATCH', api + credits(), { pool: 'prepaid' });
  assert.equal((await ask()).status, 200);
  const told = await mine('/v1/credits');
  assert.equal(told.pool, 'prepaid');
  assert.equal(told.balance, '2.499');
  assert.deepEqual(told.data, { total_credits: 2.5, total_usage: 0.001 });
  assert.equal((await weir.fetch('/v1/credits', { key: 'sk-weir-nobody' })).status, 401);
  assert.equal((await weir.fetch('/v1/credits', { key: tree.secret, method: 'POST' })).status,
               405);
});

test('the description has it all', async () => {
  const { paths } = await get('/openapi.json');
  assert.deepEqual(Object.keys(paths['/admin/v1/budgets/{id}']).sort(), ['delete', 'get', 'put']);
  assert.deepEqual(Object.keys(paths['/admin/v1/organizations/{id}/credits']).sort(),
                   ['get', 'patch', 'post']);
});

test('it ends cleanly', async () => {
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
