// room.test.mjs - the room at providers: what a key takes at once and in a minute, who waits for
// it, how long, and what is said to whom there is no room for; and what providers tell of it in
// their answers' heads. Nobody's requests are counted by the clock: who is asked waits for a
// word from the test.
// alone: who is turned away at once is told from who has waited
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { until, Weir, within } from './lib/weir.mjs';

// A provider whose requests stay until they are let go; counts who is there, by key.
async function held(name) {
  const p = await provider(async (call) => {
    const key = call.request.get('authorization');
    const one = { call, key, model: call.model };
    p.inside.push(one);
    p.most = Math.max(p.most, p.inside.length);
    p.mostOfKey = Math.max(p.mostOfKey, p.inside.filter((other) => other.key === key).length);
    const done = new Promise((resolve) => { one.go = resolve; });
    await Promise.race([done, call.over]);
    p.inside.splice(p.inside.indexOf(one), 1);
    const answer = p.scripts.get(call.model);
    return answer ? answer(call) : call.json(chat(`from ${name}`));
  });
  Object.assign(p, { inside: [], most: 0, mostOfKey: 0, scripts: new Map() });
  p.holds = (n) => until(() => p.inside.length === n, `${n} requests at ${name}`);
  p.letGo = () => p.inside[0].go();
  return p;
}

const far = await held('far');
const spare = await provider((call) => call.json(chat('from spare')));
const price = { input: '1', output: '1' };
const models = ['two', 'keys', 'brief', 'none', 'rpm', 'tpm', 'long'].map((name) => `${name}/m`);
const config = {
  providers: [
    { name: 'two', url: far.url, keys: ['sk-two'], concurrency: 2, queue: '20s' },
    { name: 'keys', url: far.url, keys: ['sk-k1', 'sk-k2'], concurrency: 1, queue: '20s' },
    { name: 'brief', url: far.url, keys: ['sk-brief'], concurrency: 1, queue: '300ms' },
    { name: 'none', url: far.url, keys: ['sk-none'], concurrency: 1, queue: '0s' },
    { name: 'rpm', url: spare.url, keys: ['sk-rpm'], rpm: 2, queue: '1s' },
    { name: 'tpm', url: spare.url, keys: ['sk-tpm'], tpm: 10, queue: '1s' },
    { name: 'long', url: far.url, keys: ['sk-long'], concurrency: 1, queue: '30s' },
    { name: 'spare', url: spare.url, keys: ['sk-spare'] }],
  models: [...models, 'spare/m'].map((id) => ({ id, price })),
};
const weir = await Weir.start(config);
const text = (answer) => answer.json.choices[0].message.content;
const metric = async (name) =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await weir.metrics())[1]);
const waiting = (n, of = weir) => until(async () => new RegExp(`^weir_open_waits ${n}$`, 'm')
  .test(await of.metrics()), `${n} requests wait`);

// A request on a connection of its own, so that every core has some.
async function ask(body, { fields = [], of = weir, key = of.key } = {}) {
  const wire = await Wire.open(of.url);
  await wire.send(post('/v1/chat/completions', key,
                       { messages: [{ role: 'user', content: 'x' }], ...body }, fields));
  return { wire, answer: wire.answer() };
}

async function letAllGo(asked) {
  let left = asked.length;
  const ends = asked.map((one) => one.answer.then(() => { left--; one.wire.close(); }));
  await until(() => {
    while (far.inside.length) far.inside.shift().go();
    return left === 0;
  }, 'all are answered');
  await Promise.all(ends);
}

test('concurrency: no more are asked at once than the key takes, on all cores; all are', async () => {
  far.most = 0;
  const asked = await Promise.all(Array.from({ length: 24 }, () => ask({ model: 'two/m' })));
  await far.holds(2);
  await waiting(22);
  for (let i = 0; i < 22; i++) {
    await far.holds(2);
    far.letGo();
    await waiting(21 - i);
  }
  await letAllGo(asked);
  assert.equal(far.most, 2);
  for (const one of asked) {
    const answer = await one.answer;
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.get('x-weir-attempts'), '1');
  }
});

test('each key has room of its own', async () => {
  far.most = far.mostOfKey = 0;
  const asked = await Promise.all(Array.from({ length: 6 }, () => ask({ model: 'keys/m' })));
  await far.holds(2);
  await waiting(4);
  assert.deepEqual(far.inside.map((one) => one.key).sort(), ['Bearer sk-k1', 'Bearer sk-k2']);
  await letAllGo(asked);
  assert.equal(far.most, 2);
  assert.equal(far.mostOfKey, 1);
});

test('who has waited for the queue asks the next candidate; where there is none, 503', async () => {
  const first = await ask({ model: 'brief/m' });
  await far.holds(1);
  const begin = Date.now();
  const other = await weir.chat({ model: 'brief/m', models: ['spare/m'] });
  assert.equal(text(other), 'from spare');
  assert.equal(other.header('x-weir-attempts'), '1', 'who had no room was not tried');
  assert.ok(Date.now() - begin >= 290, 'it waited');
  const none = await weir.chat({ model: 'brief/m' });
  assert.equal(none.status, 503, none.text);
  assert.equal(none.json.error.code, 'no_provider_available');
  assert.match(none.json.error.message, /brief\/m: no room at the provider: its concurrency/);
  assert.ok(Number(none.header('retry-after')) >= 1);
  assert.equal(none.header('x-weir-attempts'), '0');
  await letAllGo([first]);
  assert.equal(await metric('weir_open_waits'), 0);
});

test('queue: 0s is no waiting', async () => {
  const first = await ask({ model: 'none/m' });
  await far.holds(1);
  const waits = await metric('weir_waits_total');
  const other = await weir.chat({ model: 'none/m', models: ['spare/m'] });
  assert.equal(text(other), 'from spare');
  assert.equal(await metric('weir_waits_total'), waits);
  await letAllGo([first]);
});

test('a client that leaves while it waits is gone; its deadline ends its waiting', async () => {
  const first = await ask({ model: 'long/m' });
  await far.holds(1);
  const asked = far.requests.length;
  const leaver = await ask({ model: 'long/m' });
  await waiting(1);
  leaver.wire.close();
  await waiting(0);
  const late = await within(weir.chat({ model: 'long/m' }, { headers: {
    'x-weir-timeout': '0.3' } }), 'its time is over', 5000);
  assert.equal(late.status, 503, late.text);
  assert.match(late.json.error.message, /no room/);
  const next = await ask({ model: 'long/m' });
  await waiting(1);
  await letAllGo([first, next]);
  assert.equal(far.requests.length, asked + 1, 'only who waited on was asked for');
});

test('rpm and tpm: so many at once, then not before their time', async () => {
  for (let i = 0; i < 2; i++) assert.equal((await weir.chat({ model: 'rpm/m' })).status, 200);
  const begin = Date.now();
  const third = await weir.chat({ model: 'rpm/m' });
  assert.equal(third.status, 503, third.text);
  assert.match(third.json.error.message, /rpm\/m: no room at the provider: its requests a minute/);
  const after = Number(third.header('retry-after'));
  assert.ok(after >= 20 && after <= 30, `retry-after: ${after}`);
  assert.ok(Date.now() - begin < 900, 'who cannot have room within the queue does not wait');
  assert.equal((await weir.chat({ model: 'tpm/m' })).status, 200);    // 10 tokens were used
  const second = await weir.chat({ model: 'tpm/m', models: ['spare/m'] });
  assert.equal(text(second), 'from spare', 'the next candidate has room');
  const none = await weir.chat({ model: 'tpm/m', models: ['rpm/m'] });
  assert.equal(none.status, 503, none.text);
  assert.match(none.json.error.message, /its tokens a minute; rpm\/m: .*its requests a minute/);
});

test('a reload neither forgets who runs nor gives the minute again', async () => {
  const asked = await Promise.all(Array.from({ length: 3 }, () => ask({ model: 'two/m' })));
  await far.holds(2);
  await waiting(1);
  far.most = 0;
  fs.appendFileSync(weir.file, 'aliases: {other: spare/m}\n');
  await weir.ask('POST', '/admin/v1/reload');
  assert.equal((await weir.chat({ model: 'other' })).status, 200, 'it was reloaded');
  const more = await Promise.all(Array.from({ length: 3 }, () => ask({ model: 'two/m' })));
  await waiting(4);
  assert.equal((await weir.chat({ model: 'rpm/m' })).status, 503);
  await letAllGo([...asked, ...more]);
  assert.ok(far.most <= 2, `${far.most} at once`);
});

test('when as many wait as may, the next one is told so, and when to come again', async () => {
  const small = await Weir.start({ ...config, cores: 1, limits: { connections: 16 } });
  const first = await ask({ model: 'long/m' }, { of: small });
  await far.holds(1);
  const asked = [first];
  for (let i = 0; i < 8; i++) {
    asked.push(await ask({ model: 'long/m', max_tokens: 100 + i }, { of: small }));
    await waiting(i + 1, small);
  }
  const shed = await small.chat({ model: 'long/m' });
  assert.equal(shed.status, 503, shed.text);
  assert.equal(shed.json.error.code, 'overloaded');
  assert.ok(Number(shed.header('retry-after')) >= 1);
  const other = await small.chat({ model: 'long/m', models: ['spare/m'] });
  assert.equal(text(other), 'from spare', 'elsewhere there may be room');
  await letAllGo(asked);
  for (const one of asked) assert.equal((await one.answer).status, 200);
  assert.deepEqual(far.requests.slice(-8).map((request) => request.json.max_tokens),
                   [100, 101, 102, 103, 104, 105, 106, 107], 'in the order they came');
  assert.match(await small.metrics(), /^weir_waits_shed_total 2$/m);
  await small.stop();
});

test('who is urgent is asked first, and who can wait gives way', async () => {
  const small = await Weir.start({ ...config, cores: 1, limits: { connections: 16 } });
  const at = (level, n) => ask({ model: 'long/m', max_tokens: n },
                               { of: small, fields: [`x-weir-priority: ${level}`] });
  const first = await ask({ model: 'long/m' }, { of: small });
  await far.holds(1);
  const asked = [first];
  let n = 0;
  for (const level of ['low', 'low', 'normal', 'high', 'low', 'normal', 'high', 'low']) {
    asked.push(await at(level, 200 + n));
    await waiting(++n, small);
  }
  const urgent = await at('high', 300);
  asked.push(urgent);
  const gone = await within(asked[8].answer, 'the last of the least urgent gives way');
  assert.equal(gone.status, 503, gone.text);
  assert.equal(gone.json.error.code, 'overloaded');
  assert.ok(Number(gone.get('retry-after')) >= 1);
  const flex = await small.chat({ model: 'long/m', service_tier: 'flex' });
  assert.equal(flex.status, 503, 'nobody is less urgent than flex');
  await letAllGo(asked);
  assert.deepEqual(far.requests.slice(-8).map((request) => request.json.max_tokens),
                   [203, 206, 300, 202, 205, 200, 201, 204]);
  await small.stop();
});

// A second client key of the same organization.
async function another(of) {
  const units = await of.ask('GET', '/admin/v1/units');
  const parent = units.data.find((unit) => unit.kind === 'organization').id;
  const { id: member } = await of.ask('POST', '/admin/v1/units',
                                      { kind: 'member', name: 'other', parent });
  return (await of.ask('POST', '/admin/v1/keys', { member, name: 'other' })).key;
}

test('a key with 500 waiting keeps no other key from its turns', async () => {
  const small = await Weir.start({ ...config, cores: 1 });
  const key = await another(small);
  const first = await ask({ model: 'long/m' }, { of: small });
  await far.holds(1);
  const before = far.requests.length;
  const many = await Promise.all(Array.from({ length: 500 }, () =>
    ask({ model: 'long/m', max_tokens: 500 }, { of: small })));
  await waiting(500, small);
  const few = [];
  for (let i = 0; i < 5; i++) {
    few.push(await ask({ model: 'long/m', max_tokens: 1 + i }, { of: small, key }));
    await waiting(501 + i, small);
  }
  assert.match(await small.metrics(), /^weir_open_waits_normal 505$/m);
  for (let n = 1; n <= 10; n++) {
    far.letGo();
    await until(() => far.requests.length === before + n, `${n} were asked`);
    await far.holds(1);
  }
  assert.deepEqual(far.requests.slice(before).map((request) => request.json.max_tokens),
                   [500, 1, 500, 2, 500, 3, 500, 4, 500, 5]);
  for (const one of many) one.answer.catch(() => {});
  for (const one of many) one.wire.close();
  await waiting(0, small);
  await letAllGo([first, ...few]);
  for (const one of few) assert.equal((await one.answer).status, 200);
  await small.stop();
});

test('too many: the key with most of them gives way, and then is refused itself', async () => {
  const small = await Weir.start({ ...config, cores: 1, limits: { connections: 16 } });
  const key = await another(small);
  const first = await ask({ model: 'long/m' }, { of: small });
  await far.holds(1);
  const asked = [first];
  for (let i = 0; i < 8; i++) {
    asked.push(await ask({ model: 'long/m', max_tokens: 400 + i }, { of: small }));
    await waiting(i + 1, small);
  }
  const other = await ask({ model: 'long/m', max_tokens: 1 }, { of: small, key });
  const gone = await within(asked[8].answer, 'the last one of the key with most gives way');
  assert.equal(gone.status, 503, gone.text);
  assert.equal(gone.json.error.code, 'overloaded');
  const refused = await small.chat({ model: 'long/m' });
  assert.equal(refused.status, 503, 'the key with most gets no other place');
  await letAllGo([...asked, other]);
  assert.deepEqual(far.requests.slice(-8).map((request) => request.json.max_tokens),
                   [400, 1, 401, 402, 403, 404, 405, 406]);
  await small.stop();
});

test('retry-after of who finds no place is as long as those before take', async () => {
  const small = await Weir.start({ ...config, cores: 1, limits: { connections: 8 } });
  const first = await ask({ model: 'long/m' }, { of: small });
  await far.holds(1);
  await new Promise((resolve) => { setTimeout(resolve, 2000); });   // so long one takes here
  far.letGo();
  assert.equal((await first.answer).status, 200);
  first.wire.close();
  const asked = [await ask({ model: 'long/m' }, { of: small })];
  await far.holds(1);
  for (let i = 0; i < 4; i++) {
    asked.push(await ask({ model: 'long/m' }, { of: small }));
    await waiting(i + 1, small);
  }
  const shed = await small.chat({ model: 'long/m' });
  assert.equal(shed.status, 503, shed.text);
  assert.ok(Number(shed.header('retry-after')) >= 10, shed.header('retry-after'));
  await letAllGo(asked);
  await small.stop();
});

test('who waits for a provider that is taken out of rotation goes on, and is told', async () => {
  const first = await ask({ model: 'long/m' });
  await far.holds(1);
  const alone = await ask({ model: 'long/m' });
  const other = await ask({ model: 'long/m', models: ['spare/m'] });
  await waiting(2);
  await weir.ask('PATCH', '/admin/v1/providers/long', { state: 'drain' });
  const told = await within(alone.answer, 'it is told');
  assert.equal(told.status, 503, told.text);
  assert.match(told.json.error.message, /long\/m: taken out of rotation/);
  assert.equal((await within(other.answer, 'it goes on')).get('x-weir-model'), 'spare/m');
  await letAllGo([first, alone, other]);
  assert.equal((await first.answer).status, 200, 'who runs there ends there');
  await weir.ask('PATCH', '/admin/v1/providers/long', { state: 'on' });
});

// --- what heads tell

const told = await provider((call) => call.json(chat('told')));
const heads = await Weir.start({
  cores: 2,
  providers: [{ name: 'told', url: told.url, keys: ['sk-one'] },
              { name: 'pair', url: told.url, keys: ['sk-1', 'sk-2'] },
              { name: 'spare', url: spare.url, keys: ['sk-spare'] }],
  models: [...['a', 'b', 'c', 'd', 'e', 'f'].flatMap((name) => [`told/${name}`, `pair/${name}`]),
           'spare/m'].map((id) => ({ id, price })),
});
const answers = (fields, status = 200) => {
  told.answer = (call) => (status === 200 ? call.json(chat('told'), { fields })
                                          : call.error(status, 'no', null, fields));
};
const asks = (model, more = {}) => heads.chat({ model, ...more });
const count = (model) => told.requests.filter((request) => request.json.model === model).length;
const in_s = (s) => new Date(Date.now() + s * 1000).toISOString();

test('nothing remains: nobody is sent there before the reset, on no core', async () => {
  answers({ 'x-ratelimit-limit-requests': 60, 'x-ratelimit-remaining-requests': 0,
            'x-ratelimit-reset-requests': '2s' });
  const begin = Date.now();
  assert.equal(text(await asks('told/a')), 'told');
  const some = await Promise.all(Array.from({ length: 12 }, () => ask({ model: 'told/a',
    models: ['spare/m'] }, { of: heads })));
  for (const one of some) {
    assert.equal((await one.answer).status, 200);
    assert.equal((await one.answer).get('x-weir-model'), 'spare/m');
    one.wire.close();
  }
  const none = await asks('told/a');
  assert.equal(none.status, 503);
  assert.ok(['1', '2'].includes(none.header('retry-after')), none.header('retry-after'));
  assert.equal(count('a'), 1);
  answers({});
  await until(async () => (await asks('told/a')).status === 200, 'it is asked again');
  assert.ok(Date.now() - begin >= 1900, 'not before its time');
});

test('of two keys the other one goes on, and other models are not concerned', async () => {
  let key;
  told.answer = (call) => {
    key ??= call.request.get('authorization');
    const used = call.request.get('authorization') === key;
    return call.json(chat('told'), { fields: used ? { 'anthropic-ratelimit-requests-limit': 5,
      'anthropic-ratelimit-requests-remaining': 0,
      'anthropic-ratelimit-requests-reset': in_s(30) } : {} });
  };
  for (let i = 0; i < 6; i++) assert.equal((await asks('pair/b')).status, 200);
  const keys = told.requests.filter((request) => request.json.model === 'b')
    .map((request) => request.get('authorization'));
  assert.equal(keys.filter((one) => one === key).length, 1, keys.join());
  answers({});
  assert.equal((await asks('pair/c')).status, 200);
});

test('a 429 without retry-after cools as long as its head says', async () => {
  answers({ 'x-ratelimit-limit-tokens': 100, 'x-ratelimit-remaining-tokens': 0,
            'x-ratelimit-reset-tokens': '25.2s' }, 429);
  assert.equal((await asks('told/d')).status, 502);
  const cooling = await asks('told/d');
  assert.equal(cooling.status, 503);
  const after = Number(cooling.header('retry-after'));
  assert.ok(after >= 20 && after <= 26, `retry-after: ${after}`);
  answers({ 'retry-after': 5, 'x-ratelimit-limit': 100, 'x-ratelimit-remaining': 0,
            'x-ratelimit-reset': 50 }, 429);
  assert.equal((await asks('told/e')).status, 502);
  const less = Number((await asks('told/e')).header('retry-after'));
  assert.ok(less >= 1 && less <= 5, `its own word holds: ${less}`);
});

test('a limit that is not told, or has room, keeps nobody away', async () => {
  for (const fields of [{ 'x-ratelimit-remaining-requests': 0 }, { 'x-ratelimit-limit': 0,
    'x-ratelimit-remaining': 0 }, { 'x-ratelimit-limit-requests': 9,
    'x-ratelimit-remaining-requests': 1, 'x-ratelimit-reset-requests': '30s' }]) {
    answers(fields);
    for (let i = 0; i < 3; i++) assert.equal((await asks('told/f')).status, 200);
  }
});

test('it ends cleanly, and nobody waits', async () => {
  for (const one of [weir, heads]) {
    await until(async () => /^weir_open_exchanges 0$/m.test(await one.metrics()), 'none is open');
    assert.match(await one.metrics(), /^weir_open_waits 0$/m);
    await one.stop();
    assert.equal(one.run.stderr.replace('reloaded\n', ''), '');
  }
  for (const p of [far, spare, told]) assert.deepEqual(p.faults, []);
});
