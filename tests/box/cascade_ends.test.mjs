// cascade_ends.test.mjs - cheap first, where something goes wrong: time that runs out while
// answers wait for each other, an answer that cannot be told in the client's dialect, all cheap
// ones failing at once, a shutdown, and requests that must not be asked of two. Each model is a
// provider of its own that answers what the test says (lib/provider.mjs).
import assert from 'node:assert/strict';
import test from 'node:test';
import { proven, until, Weir, within } from './lib/weir.mjs';
import { chat, provider } from './lib/provider.mjs';

const names = ['tiny', 'small', 'third', 'strong'];
const quality = { tiny: 57, small: 60, third: 58, strong: 95 };
const price = { tiny: '0.1', small: '0.2', third: '0.3', strong: '20' };
const at = {};
for (const name of names) at[name] = await provider((call) => at[name].say(call));
const config = {
  cores: 1, drain: '1s',
  providers: names.map((name) => ({ name, url: at[name].url, keys: ['k'] })),
  models: names.map((name) => ({
    id: `${name}/${name}`, quality: quality[name], context: 1000000, supports: ['tools'],
    price: { input: price[name], output: price[name] } })),
  routing: { mode: 'cost', explore: 0, quality_floor: 0.95,
             auto: names.map((name) => `${name}/*`) } };
const weir = await Weir.start(config);
const question = 'What is 17 times 23 minus the integral of x^2 from 0 to 3? Answer with a number.';

// What each says from now on, a text or what it does with a call; who was asked since.
const asked = {};
function say(answers) {
  for (const name of names) {
    asked[name] = 0;
    at[name].say = async (call) => {
      asked[name]++;
      const answer = answers[name];
      if (typeof answer === 'function') return answer(call);
      if (call.request.json.stream) return call.stream([answer]);
      return call.json(chat(answer));
    };
  }
}
const silent = (call) => call.over;
const fails = (call) => call.error(500);

// A key of an organization of its own: what others were refused for teaches it nothing.
async function newcomer() {
  let parent;
  for (const kind of ['organization', 'department', 'team', 'member']) {
    parent = (await weir.ask('POST', '/admin/v1/units', {
      kind, name: kind, ...(parent ? { parent } : {}) })).id;
  }
  return (await weir.ask('POST', '/admin/v1/keys', { member: parent, name: 'k' })).key;
}

async function ask(cascade, { path = '/v1/chat/completions', headers = {}, body, key, more } = {}) {
  const answer = await within(weir.fetch(path, {
    key: key ?? await newcomer(), headers: { 'x-weir-cascade': cascade, ...headers },
    body: body ?? { model: 'auto', max_tokens: 60, ...more,
                    messages: [{ role: 'user', content: question }] } }), 'an answer', 20000);
  return { status: answer.status, said: answer.headers.get('x-weir-cascade'),
           model: answer.headers.get('x-weir-model'), raw: await answer.text(),
           attempts: answer.headers.get('x-weir-attempts'),
           id: answer.headers.get('x-request-id') };
}

test('where time is over, an answer that waits for others is sent', async () => {
  for (const late of ['tiny', 'small', 'third']) {
    for (const stream of [false, true]) {
      say({ tiny: '382', small: '382', third: '382', strong: 'never', [late]: silent });
      const got = await ask('agree=3', { headers: { 'x-weir-timeout': '1' }, more: { stream } });
      assert.equal(got.status, 200, got.raw);
      assert.equal(got.said, 'unavailable');
      assert.notEqual(got.model, `${late}/${late}`);
      assert.equal(got.attempts, '3', 'nobody is asked who could not answer in time');
      assert.equal(asked.strong, 0);
      const { billed } = await weir.row(got.id);
      assert.deepEqual(billed.map((one) => one.close), ['outvoted']);
    }
  }
});

test('where all are late, the error says so', async () => {
  say({ tiny: silent, small: silent, third: silent, strong: 'never' });
  for (const how of ['check', 'agree=2', 'agree=3']) {
    const got = await ask(how, { headers: { 'x-weir-timeout': '1' } });
    assert.equal(got.status, 504, got.raw);
    assert.equal(asked.strong, 0);
  }
});

test('an answer that cannot be told in the dialect of the client is one that failed', async () => {
  const deep = (call) => call.json(JSON.stringify(chat('382')).slice(0, -1) +
                                   `,"x":${'['.repeat(200)}${']'.repeat(200)}}`);
  say({ tiny: deep, small: deep, third: deep, strong: '382' });
  for (const how of ['check', 'agree=2', 'agree=3']) {
    const got = await ask(how, { path: '/v1/messages' });
    assert.equal(got.status, 200, got.raw);
    assert.equal(got.said, 'escalated: failed');
    assert.equal(got.model, 'strong/strong');
    const { billed } = await weir.row(got.id);
    assert.ok(billed.every((one) => one.close === 'not_needed'), 'who ran yet, at most');
  }
});

test('where two differ already, the third is ended before the strong one answers', async () => {
  for (const late of ['tiny', 'small', 'third']) {
    let go, ended = false;
    const gate = new Promise((resolve) => { go = resolve; });
    say({ tiny: '1', small: '2', third: '3',
          strong: async (call) => { await gate; return call.json(chat('382')); },
          [late]: async (call) => { await call.over; ended = true; } });
    const answer = ask('agree=3');
    await until(() => asked.strong === 1, 'the strong one is asked');
    await until(() => ended, `${late} is let go of`);
    go();
    const got = await answer;
    assert.deepEqual([got.said, got.model, got.attempts],
                     ['escalated: no agreement', 'strong/strong', '4'], got.raw);
    const { billed } = await weir.row(got.id);
    assert.deepEqual(billed.map((one) => one.close).sort(),
                     ['escalated', 'escalated', 'not_needed']);
    assert.equal(billed.find((one) => one.close === 'not_needed').model, `${late}/${late}`);
    say({ tiny: '1', small: '2', third: '3', strong: fails, [late]: silent });
    const rescued = await ask('agree=3');
    assert.deepEqual([rescued.status, rescued.said], [200, 'unavailable'], rescued.raw);
  }
});

test('where all cheap ones fail, nobody below the floor races the strong one', async () => {
  let go;
  const gate = new Promise((resolve) => { go = resolve; });
  say({ tiny: fails, small: fails, third: fails,
        strong: async (call) => { await gate; return call.json(chat('382')); } });
  const answer = ask('agree=2');
  await until(() => asked.strong === 1, 'the strong one is asked');
  await until(() => asked.tiny + asked.small + asked.third >= 2, 'and two cheap ones');
  go();
  const got = await answer;
  assert.equal(got.model, 'strong/strong', got.raw);
  assert.equal(got.said, 'escalated: failed');
  assert.equal(got.attempts, '3');
  assert.equal(asked.tiny + asked.small + asked.third, 2);
});

test('where the strong one fails too, those behind it are asked', async () => {
  say({ tiny: fails, small: fails, third: fails, strong: fails });
  const none = await ask('agree=2');
  assert.equal(none.status, 502, none.raw);
  assert.equal(names.filter((name) => asked[name] > 0).length, 4, none.raw);
  const { attempts, billed } = await weir.row(none.id);
  assert.deepEqual([attempts, billed.length], [4, 0]);
});

test('what a cheap one refuses is asked of the strong one', async () => {
  const refuses = (call) => call.error(400, 'I do not know that');
  say({ tiny: refuses, small: refuses, third: refuses, strong: '382' });
  for (const how of ['check', 'agree=2', 'agree=3']) {
    const got = await ask(how);
    assert.deepEqual([got.status, got.said, got.model],
                     [200, 'escalated: failed', 'strong/strong'], got.raw);
  }
  say({ tiny: refuses, small: refuses, third: refuses, strong: refuses });
  const all = await ask('check');
  assert.deepEqual([all.status, asked.strong], [400, 1], all.raw);
});

test('an answer of nothing is none', async () => {
  say({ tiny: '', small: '', third: '', strong: '382' });
  for (const how of ['check', 'agree=2']) {
    const got = await ask(how);
    assert.deepEqual([got.status, got.said, got.model],
                     [200, 'escalated: refusal', 'strong/strong'], got.raw);
  }
});

test('a request that cannot be said to the strong one leaves the answer that waits', async () => {
  const apart = structuredClone(config);
  apart.providers[3].dialect = 'anthropic';
  apart.routing.cascade = { agree: 2, on: [] };
  const other = await Weir.start(apart);
  const odd = { model: 'auto', max_tokens: 60, messages: [
    { role: 'narrator', content: 'Once.' }, { role: 'user', content: question }] };
  for (const late of ['tiny', 'small']) {
    let go;
    const gate = new Promise((resolve) => { go = resolve; });
    say({ tiny: '382', small: '382', third: '382', strong: 'never',
          [late]: async (call) => { await gate; return call.error(500); } });
    const answer = within(other.chat(odd), 'an answer', 10000);
    await until(() => asked.tiny + asked.small === 2, 'both are asked');
    await until(async () => /^weir_attempts_total\{[^}]*outcome="good"\} [1-9]/m
      .test(await other.metrics()), 'one has answered');
    go();
    const got = await answer;
    assert.deepEqual([got.status, got.header('x-weir-cascade'), asked.strong],
                     [200, 'unavailable', 0], got.text);
  }
  const cut = (call) => {
    const value = chat('382');
    value.choices[0].finish_reason = 'length';
    return call.json(value);
  };
  apart.providers[3].dialect = 'openai';
  other.config(apart);
  await other.ask('POST', '/admin/v1/reload', {});
  say({ tiny: cut, small: cut, third: cut, strong: '382' });
  const got = await other.chat({ model: 'auto', max_tokens: 60, messages: odd.messages.slice(1) },
                               { headers: { 'x-weir-cascade': 'check' } });
  assert.equal(got.header('x-weir-cascade'), 'escalated: length', 'an empty list is for votes');
  await other.stop();
});

test('two of a family that wait for another key may both be over at once', async () => {
  const full = structuredClone(config);
  for (const i of [0, 2]) {
    Object.assign(full.providers[i], { keys: ['k', 'l'], concurrency: 1, queue: '60s' });
  }
  const other = await Weir.start(full);
  const held = [];
  const refused = (call) => call.error(429, 'later', null, { 'retry-after': '50' });
  const hold = async (call) => {
    await new Promise((resolve) => { held.push({ call, resolve }); });
    return refused(call);
  };
  const waits = async (n) => until(async () =>
    new RegExp(`^weir_open_waits ${n}$`, 'm').test(await other.metrics()), `${n} wait`);
  let late;
  const gate = new Promise((resolve) => { late = resolve; });
  say({ tiny: hold, third: hold, small: '382', strong: '382' });
  const before = ['tiny', 'third'].map((name) => other.chat({ model: `${name}/${name}` }));
  await until(() => held.length === 2, 'a key of each is full');
  say({ tiny: refused, third: async (call) => { await gate; return refused(call); },
        small: '382', strong: '382' });
  const answer = other.chat({ model: 'auto', max_tokens: 60,
                              messages: [{ role: 'user', content: question }] },
                            { headers: { 'x-weir-cascade': 'agree=3' } });
  await waits(1);
  late();
  await waits(2);
  held.find((one) => one.call.model === 'tiny').resolve();
  const got = await within(answer, 'an answer', 20000);
  assert.equal(got.header('x-weir-model'), 'strong/strong', got.text);
  await waits(0);
  held.find((one) => one.call.model === 'third').resolve();
  await Promise.all(before);
  await other.stop();
});

test('what changes something at the provider is asked of one', async () => {
  const said = 'none: the provider keeps something of the request, or acts on it';
  const post = (path, body) => ask('agree=2', { path, body });
  say({ tiny: '382', small: '382', third: '382', strong: '382' });
  const messages = [{ role: 'user', content: question }];
  const cases = [
    ['/v1/chat/completions', { messages, store: true }],
    ['/v1/chat/completions', { messages, web_search_options: {} }],
    ['/v1/chat/completions', { messages, plugins: [{ id: 'web' }] }],
    ['/v1/responses', { input: question }],
    ['/v1/responses', { input: question, store: false, tools: [{ type: 'web_search_preview' }] }],
  ];
  for (const [path, body] of cases) {
    say({ tiny: '382', small: '382', third: '382', strong: '382' });
    const got = await post(path, { model: 'auto', ...body });
    assert.equal(got.said, said, JSON.stringify(body));
    assert.equal(names.reduce((sum, name) => sum + asked[name], 0), 1, JSON.stringify(body));
  }
  const kept = await post('/v1/responses', { model: 'auto', input: question, store: false });
  assert.equal(kept.said, 'agreed=2', kept.raw);
  const large = await post('/v1/chat/completions', { model: 'auto', messages: [
    { role: 'system', content: 'word '.repeat(220000) }, ...messages] });
  assert.equal(large.said, 'none: the request is larger than 1 MiB', large.raw);
});

test('an answer that waits at the shutdown was paid for', async () => {
  say({ tiny: '1', small: '2', third: '3', strong: silent });
  const cut = ask('agree=2').catch(() => 'closed');
  await until(() => asked.strong === 1, 'the strong one is asked');
  await weir.stop();
  await cut;
  await proven(weir.data);
  for (const name of names) assert.deepEqual(at[name].faults, []);
  const again = await Weir.start(config, { data: weir.data, key: weir.key });
  const { data } = await again.ask('GET', '/admin/v1/requests?limit=1');
  assert.deepEqual([data[0].close, data[0].attempts], ['killed', 3]);
  assert.deepEqual(data[0].billed.map((one) => [one.close, one.estimated]).sort(),
                   [['not_needed', true], ['outvoted', false]]);
  const parts = data[0].billed.reduce((sum, one) => sum + Number(one.cost_usd), 0);
  assert.ok(Number(data[0].cost_usd) > parts, 'its own cost is in it');
  await again.stop();
});
