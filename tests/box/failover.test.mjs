// failover.test.mjs - which candidate is asked next, which key, when not, and what the client
// is told at the end. The providers are scripted to the byte (lib/provider.mjs); each test has
// models of its own, so that what one teaches the breakers does not reach another.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { chat, delta, nowhere, provider } from './lib/provider.mjs';
import { exchange, post, seeded, Wire } from './lib/wire.mjs';
import { until, Weir, whole, within } from './lib/weir.mjs';

// A provider that answers by the model's name: scripts[model](call), else a good answer.
const scripts = new Map();
async function scripted(name) {
  const p = await provider(async (call) => {
    call.by = name;
    const script = scripts.get(`${name}/${call.model}`);
    if (script) return script(call);
    return call.request.json.stream ? call.stream(['from ', name])
                                    : call.json(chat(`from ${name}`));
  });
  p.of = (model) => p.requests.filter((request) => request.json.model === model);
  return p;
}

const a = await scripted('a');
const b = await scripted('b');
const c = await scripted('c');
const slow = await scripted('s');
const names = ['plain', 'e500', 'e429', 'e404', 'e413', 'e408', 'refused', 'reset-head',
               'reset-body', 'stall-head', 'stall-body', 'cut-body', 'half-json', 'not-json',
               'empty', 'error-200', 'html', 'odd-length', 'context', 'e400', 'e422', 'e401',
               'sse-error', 'sse-stall', 'sse-empty', 'sse-reset', 'sse-cut', 'sse-meta',
               'late-error', 'late-reset', 'late-cut', 'late-end', 'late-garbage',
               'late-stall', 'late-line', 'late-cr', 'gzip', 'two-lengths', 'cl-te', 'status-99', 'keys', 'keys403',
               'keys429', 'alone', 'slow', 'twice', 'once', 'pause', 'd500', 'd429', 'sick', 'half', 'cuts', 'cuts-whole'];
// Only what is to stall goes to the impatient provider: a loaded machine is no failure.
const impatient = { connect: '5s', first_byte: '700ms', stall: '700ms', total: '6s' };
const at = (name) => `${/stall|slow/.test(name) ? 's' : 'a'}/${name}`;
const price = { input: '1', output: '1' };
const weir = await Weir.start({
  providers: [
    { name: 'a', url: a.url, keys: ['sk-a-one', 'sk-a-two'] },
    { name: 's', url: slow.url, keys: ['sk-s'], timeouts: impatient },
    { name: 'b', url: b.url, keys: ['sk-b'] },
    { name: 'c', url: c.url, keys: ['sk-c'] },
    { name: 'dead', url: await nowhere(), keys: ['sk-d'] }],
  models: [...names.flatMap((name) => ['a', 'b', 's', 'dead']
             .map((p) => ({ id: `${p}/${name}`, price }))),
           { id: 'c/spare', price }, { id: 'c/other', price }],
  aliases: { 'two-ways': ['a/alone', 'c/spare'], 'glob-*': 'c/other' },
});

const text = (answer) => answer.json.choices[0].message.content;
const names_of = (p, model) => p.of(model).map((request) => request.get('authorization'));

// The same request on sixteen new connections, so that every core has some: their statuses.
async function spread(body) {
  const message = { messages: [{ role: 'user', content: 'x' }], ...body };
  const answers = await Promise.all(Array.from({ length: 16 }, () =>
    exchange(weir.url, post('/v1/chat/completions', weir.key, message))));
  return [...new Set(answers.map((answer) => answer.status))];
}

// --- a breaker, first, because its recovery takes a while: the last test waits for it

let sick = true;

test('a model that fails ten times in a row is not asked again, on no core', async () => {
  scripts.set('b/sick', (call) => (sick ? call.error(500) : call.json(chat('well'))));
  for (let i = 0; i < 10; i++) {
    const answer = await weir.chat({ model: 'b/sick' });
    if (answer.status === 503) break;
    assert.equal(answer.status, 502);
  }
  await until(async () => (await weir.chat({ model: 'b/sick' })).status === 503, 'it is open');
  const asked = b.of('sick').length;
  assert.ok(asked <= 11, `asked ${asked} times`);
  assert.deepEqual(await spread({ model: 'b/sick' }), [503]);
  assert.equal(b.of('sick').length, asked);
  const other = await weir.chat({ model: 'b/sick', models: ['c/spare'] });
  assert.equal(text(other), 'from c', 'others are asked instead');
  sick = false;
});

// --- from one candidate to the next

const failures = {
  e500: (call) => call.error(500, 'LEAK-secret'),
  e429: (call) => call.error(429, 'slow down'),
  e404: (call) => call.error(404, 'no such model'),
  e413: (call) => call.error(413, 'too large'),
  e408: (call) => call.error(408, 'too slow'),
  'reset-head': (call) => call.reset(),
  'reset-body': async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 500 });
    await call.write('{"id":"x",');
    call.reset();
  },
  'stall-head': () => new Promise(() => {}),
  'stall-body': async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 500 });
    await call.write('{"id":"x",');
    return new Promise(() => {});
  },
  'cut-body': async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 500 });
    await call.write('{"id":"x",');
    call.cut();
  },
  'half-json': (call) => call.json('{"id":"x","choices":['),
  'not-json': (call) => call.json('I am a teapot'),
  empty: (call) => call.json(''),
  'error-200': (call) => call.json({ error: { message: 'overloaded', code: 503 } }),
  gzip: (call) => call.json('\x1f\x8b', { fields: { 'content-encoding': 'gzip' } }),
  'two-lengths': (call) => call.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n' +
                                      'Content-Length: 3\r\n\r\n{}\n'),
  'cl-te': (call) => call.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n' +
                                'Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
  'status-99': (call) => call.write('HTTP/1.1 99 Odd\r\nContent-Length: 2\r\n\r\n{}'),
};

for (const [name, script] of Object.entries(failures)) {
  test(`whole: after ${name} the next in models is asked`, async () => {
    scripts.set(at(name), script);
    const answer = await weir.chat({ model: at(name), models: ['c/spare'] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(text(answer), 'from c');
    assert.equal(answer.header('x-weir-model'), 'c/spare');
    assert.equal(answer.header('x-weir-attempts'), '2');
    assert.equal(c.requests.at(-1).json.model, 'spare');
    assert.equal(c.requests.at(-1).json.models, undefined, 'models stays with Weir');
  });
}

const early = {
  'sse-error': async (call) => {
    await call.begin();
    await call.event({ error: { message: 'overloaded', code: 529 } });
    await call.end();
  },
  'sse-stall': async (call) => {
    await call.begin();
    await call.event(delta({ role: 'assistant', content: '' }));
    return new Promise(() => {});
  },
  'sse-empty': async (call) => { await call.begin(); await call.end(); },
  'sse-reset': async (call) => {
    await call.begin();
    await call.event(delta({ role: 'assistant', content: '' }));
    call.reset();
  },
  'sse-cut': async (call) => { await call.begin(); call.cut(); },
  'sse-meta': async (call) => {
    await call.begin();
    await call.event(delta({ role: 'assistant', content: '' }));
    await call.event('[DONE]');
    await call.end();
  },
};

async function sse(model, more = {}, options = {}) {
  const answer = await whole(await weir.fetch('/v1/chat/completions', { ...options, body: {
    model, stream: true, messages: [{ role: 'user', content: 'x' }], ...more } }));
  const events = answer.text.split('\n\n').filter((event) => event.startsWith('data: '))
    .map((event) => event.slice(6));
  const parsed = events.filter((event) => event !== '[DONE]').map((event) => JSON.parse(event));
  return { status: answer.status, header: (name) => answer.header(name), raw: answer.text,
           events: parsed, done: events.includes('[DONE]'),
           text: parsed.map((event) => event.choices?.[0]?.delta?.content ?? '').join(''),
           error: parsed.find((event) => event.error)?.error };
}

for (const [name, script] of Object.entries(early)) {
  test(`streamed: after ${name} the client sees only the second candidate`, async () => {
    scripts.set(at(name), script);
    const answer = await sse(at(name), { models: ['c/spare'] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, 'from c');
    assert.ok(answer.done);
    assert.equal(answer.error, undefined);
    assert.equal(answer.header('x-weir-model'), 'c/spare');
    assert.equal(answer.header('x-weir-attempts'), '2');
  });
}

test('refused connections, aliases that are lists, bare names at two providers', async () => {
  const refused = await weir.chat({ model: 'dead/refused', models: ['b/refused'] });
  assert.equal(text(refused), 'from b');
  scripts.set('a/alone', (call) => call.error(503));
  const alias = await weir.chat({ model: 'two-ways' });
  assert.equal(text(alias), 'from c');
  assert.equal(alias.header('x-weir-attempts'), '2');
  assert.equal(text(await weir.chat({ model: 'glob-anything' })), 'from c');
  scripts.set('a/d500', (call) => call.error(500));
  const bare = await weir.chat({ model: 'd500' });
  assert.match(text(bare), /^from [bs]$/, 'a bare name goes to every provider that has it');
  assert.equal(bare.header('x-weir-attempts'), '2');
});

test('unknown names in models are skipped; model may be missing', async () => {
  const answer = await weir.chat({ model: 'b/plain', models: ['no/such', 'c/spare'] });
  assert.equal(text(answer), 'from b');
  assert.equal(text(await weir.chat({ models: ['no/such', 'c/spare'] })), 'from c');
});

test("provider: order, only, ignore, allow_fallbacks", async () => {
  const model = 'plain';
  for (const [rule, who] of [[{ order: ['b'] }, 'b'], [{ only: ['b'] }, 'b'],
                             [{ ignore: ['a', 's', 'dead'] }, 'b'], [{ only: ['b', 's'],
                               order: ['s'] }, 's'], [{ order: ['a', 'b'] }, 'a']]) {
    const answer = await weir.chat({ model, provider: rule });
    assert.equal(text(answer), `from ${who}`, JSON.stringify(rule));
    const asked = { a, b, s: slow }[who].requests.at(-1);
    assert.equal(asked.json.provider, undefined);
  }
  const none = await weir.chat({ model, provider: { only: ['nobody'] } });
  assert.equal(none.status, 403, none.text);
  assert.equal(none.json.error.code, 'policy_denied');
});

test('x-weir-no-fallback and allow_fallbacks: false mean one candidate', async () => {
  scripts.set('a/html', (call) => call.error(500));
  const before = c.requests.length;
  for (const [more, headers] of [[{}, { 'x-weir-no-fallback': '1' }],
                                 [{ provider: { allow_fallbacks: false } }, {}]]) {
    const answer = await weir.chat({ model: 'a/html', models: ['c/spare'], ...more },
                                   { headers });
    assert.equal(answer.status, 502, answer.text);
    assert.equal(answer.header('x-weir-attempts'), '1');
  }
  assert.equal(c.requests.length, before);
});

// --- keys

for (const [status, model] of [[401, 'keys'], [403, 'keys403'], [429, 'keys429']]) {
  test(`${status}: another key of the same provider, and the first one rests`, async () => {
    let bad;
    scripts.set(`a/${model}`, (call) => {
      bad ??= call.request.get('authorization');
      if (call.request.get('authorization') !== bad) return call.json(chat('good key'));
      return call.error(status, `sk-a-one sk-a-two LEAK`, null,
                        status === 429 ? { 'retry-after': '30' } : {});
    });
    const first = await weir.chat({ model: `a/${model}` });
    assert.equal(first.status, 200, first.text);
    assert.equal(text(first), 'good key');
    assert.equal(first.header('x-weir-attempts'), '1', 'another key is no other candidate');
    assert.equal(a.of(model).length, 2);
    assert.deepEqual(await spread({ model: `a/${model}` }), [200]);
    assert.equal(names_of(a, model).filter((key) => key === bad).length, 1,
                 'a resting key is not asked, on no core');
    if (status !== 429) await recover();
  });
}

// A key refused with 401 or 403 rests for all models: a reload of changed keys begins anew.
let generation = 0;
async function recover() {
  generation++;
  const changed = weir.text.replaceAll('"sk-a-one"', `"sk-a-one-${generation}"`)
    .replaceAll('"sk-a-two"', `"sk-a-two-${generation}"`);
  fs.writeFileSync(weir.file, changed.trimStart() + '\n');
  await weir.ask('POST', '/admin/v1/reload');
}

test('when every key is refused the client learns nothing of the keys', async () => {
  scripts.set('a/e401', (call) => call.error(401, 'bad key sk-a-one LEAK'));
  const answer = await weir.chat({ model: 'a/e401' });
  assert.equal(answer.status, 502);
  assert.equal(answer.json.error.code, 'upstream_error');
  assert.match(answer.json.error.message, /a\/e401: status 401/);
  assert.doesNotMatch(answer.text, /LEAK|sk-a/);
  assert.equal(a.of('e401').length, 2, 'each key once');
  const again = await weir.chat({ model: 'a/e401' });
  assert.equal(again.status, 503, again.text);
  assert.equal(again.json.error.code, 'no_provider_available');
  assert.equal(a.of('e401').length, 2);
  await recover();
});

test('retry-after is honoured: not asked before, asked after', async () => {
  let refuse = true;
  scripts.set('b/d429', (call) => (refuse
    ? call.error(429, 'wait', null, { 'retry-after': '2' }) : call.json(chat('back'))));
  const begin = Date.now();
  const first = await weir.chat({ model: 'b/d429' });
  assert.equal(first.status, 502);
  assert.match(first.json.error.message, /b\/d429: status 429/);
  refuse = false;
  let asked = Date.now();
  const good = await until(async () => {
    asked = Date.now();
    const answer = await weir.chat({ model: 'b/d429' });
    if (answer.status === 200) return answer;
    assert.equal(answer.status, 503, answer.text);
    return null;
  }, 'the provider is asked again');
  assert.equal(text(good), 'back');
  assert.ok(asked - begin >= 1900, `asked again after ${asked - begin} ms`);
  assert.equal(b.of('d429').length, 2);
});

// --- the last word

const anyhow = { headers: { 'x-weir-mode': 'availability' } };

test('availability: who failed in a way that passes is asked once more when none is left', async () => {
  const ill = (times) => (call) => (times-- > 0 ? call.error(503) : call.json(chat('at last')));
  scripts.set('a/twice', ill(1));
  scripts.set('b/twice', (call) => call.error(404));
  const models = ['a/twice', 'b/twice'];
  const answer = await weir.chat({ models }, anyhow);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(text(answer), 'at last');
  assert.equal(answer.header('x-weir-attempts'), '3');
  assert.equal(b.of('twice').length, 1, 'who does not know the model need not say it twice');
  scripts.set('a/twice', ill(2));
  const none = await weir.chat({ models }, anyhow);
  assert.equal(none.status, 502);
  assert.equal(a.of('twice').length, 4, 'once more, and not again and again');
  scripts.set('a/once', ill(1));
  assert.equal((await weir.chat({ model: 'a/once' })).status, 502, 'other modes: each once');
  assert.equal(a.of('once').length, 1);
});

test('availability: where all pause, the first whose pause ends is waited for', async () => {
  let times = 0;
  scripts.set('b/pause', (call) => (times++ === 0 ? call.error(429, 'no', null,
    { 'retry-after': '1' }) : call.json(chat('rested'))));
  assert.equal((await weir.chat({ model: 'b/pause' })).status, 502);
  const quiet = await weir.chat({ model: 'b/pause' });
  assert.equal(quiet.status, 503, 'other modes do not wait');
  const began = Date.now();
  const some = await Promise.all(Array.from({ length: 6 }, () =>
    weir.chat({ model: 'b/pause' }, anyhow)));
  assert.deepEqual(some.map((answer) => answer.status), Array(6).fill(200));
  assert.ok(Date.now() - began > 300, 'the pause was kept');
  times = 0;
  scripts.set('b/pause', (call) => call.error(429, 'no', null, { 'retry-after': '30' }));
  assert.equal((await weir.chat({ model: 'b/pause' }, anyhow)).status, 502);
  assert.equal((await weir.chat({ model: 'b/pause' }, anyhow)).status, 503, 'nobody waits 30 s');
});

test('the final error lists every attempt: 502, 504 and 503', async () => {
  scripts.set('a/d500', (call) => call.error(500));
  scripts.set('b/d500', (call) => call.error(503));
  const bad = await weir.chat({ model: 'a/d500', models: ['b/d500', 'dead/d500'] });
  assert.equal(bad.status, 502);
  for (const part of ['a/d500: status 500', 'b/d500: status 503',
                      'dead/d500: connection refused']) {
    assert.ok(bad.json.error.message.includes(part), bad.json.error.message);
  }
  assert.equal(bad.header('x-weir-attempts'), '3');
  assert.equal(bad.header('x-weir-mode'), 'balanced');
  assert.match(bad.header('x-weir-gain'), /^(0|1|0\.\d{1,4})$/);
  assert.match(bad.header('server-timing'), /^weir;dur=\S+, upstream;dur=\S+$/);
  scripts.set('s/slow', () => new Promise(() => {}));
  const late = await weir.chat({ model: 's/slow' });
  assert.equal(late.status, 504);
  assert.equal(late.json.error.code, 'upstream_timeout');
  assert.match(late.json.error.message, /s\/slow: timeout/);
});

test('max_attempts candidates are tried, and no more', async () => {
  for (const p of ['a', 'b', 's']) scripts.set(`${p}/e422`, (call) => call.error(500));
  const before = c.requests.length;
  const answer = await weir.chat({ model: 'a/e422', models: ['b/e422', 's/e422', 'dead/e422',
                                                             'c/spare'] });
  assert.equal(answer.status, 502);
  assert.equal(answer.header('x-weir-attempts'), '4', 'the default of routing.max_attempts');
  assert.equal(c.requests.length, before);
});

test('x-weir-timeout bounds all attempts together', async () => {
  scripts.set('b/slow', () => new Promise(() => {}));
  const begin = Date.now();
  const answer = await weir.chat({ model: 'b/slow', models: ['c/spare'] },
                                 { headers: { 'x-weir-timeout': '0.3' } });
  assert.equal(answer.status, 504, answer.text);
  assert.ok(Date.now() - begin >= 250, 'not before its time');
  const bad = await weir.chat({ model: 'b/plain' }, { headers: { 'x-weir-timeout': 'soon' } });
  assert.equal(bad.status, 400);
});

test("a provider's refusal of the request is passed on and tried nowhere else", async () => {
  for (const status of [400, 422]) {
    scripts.set(`a/e${status}`, (call) => call.error(status, 'bad temperature', 'bad_value'));
    const before = c.requests.length;
    const answer = await weir.chat({ model: `a/e${status}`, models: ['c/spare'] });
    assert.equal(answer.status, status);
    assert.equal(answer.json.error.message, 'bad temperature');
    assert.equal(answer.json.error.code, 'bad_value');
    assert.equal(c.requests.length, before);
  }
  scripts.set('a/context', (call) => call.error(400, 'too long', 'context_length_exceeded'));
  const longer = await weir.chat({ model: 'a/context', models: ['c/spare'] });
  assert.equal(text(longer), 'from c', 'a longer context may fit elsewhere');
  const alone = await weir.chat({ model: 'a/context' });
  assert.equal(alone.status, 400);
  assert.equal(alone.json.error.code, 'context_length_exceeded');
});

// --- after the first content there is no way back

const late = {
  'late-error': (call) => call.event({ error: { message: 'gpu on fire', code: 500 } }),
  'late-reset': (call) => call.reset(),
  'late-cut': (call) => call.cut(),
  'late-end': (call) => call.end(),
  'late-garbage': (call) => call.event('{"choices":[{"delta"'),
  'late-stall': () => new Promise(() => {}),
  'late-line': async (call) => {       // a whole line, and not the empty one behind it
    await call.chunk(`data: ${JSON.stringify(delta({ content: '' }))}\n`);
    return call.cut();
  },
  'late-cr': async (call) => {         // the same, of a line that ends with a CR
    await call.chunk(`data: ${JSON.stringify(delta({ content: '' }))}\r`);
    return call.cut();
  },
};

for (const [name, script] of Object.entries(late)) {
  test(`after content ${name} is an error event, no [DONE], no good end`, async () => {
    scripts.set(at(name), async (call) => {
      await call.begin();
      await call.event(delta({ role: 'assistant', content: 'half an ' }));
      await call.event(delta({ content: 'answer' }));
      return script(call);
    });
    const before = c.requests.length;
    const answer = await sse(at(name), { models: ['c/spare'] });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, 'half an answer');
    assert.ok(answer.error, 'an error event');
    assert.ok(answer.error.message && answer.error.type && answer.error.code);
    assert.equal(answer.done, false);
    assert.equal(answer.events.some((event) => event.choices?.[0]?.finish_reason), false);
    assert.equal(c.requests.length, before);
    const row = await weir.row(answer.header('x-request-id'));
    assert.notEqual(row.close, 'done');
    assert.equal(row.estimated, true);
  });
}

test('a pooled connection that died is replaced without being counted', async () => {
  let resets = 0;
  scripts.set('b/plain', (call) => {
    if (call.socket.served) { resets++; return call.reset(); }
    call.socket.served = true;
    return call.json(chat('fresh'));
  });
  const wire = await Wire.open(weir.url);  // one connection: one core, one pool
  const body = { model: 'b/plain', messages: [{ role: 'user', content: 'x' }] };
  for (let i = 0; i < 3; i++) {
    await wire.send(post('/v1/chat/completions', weir.key, body));
    const answer = await wire.answer();
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.get('x-weir-attempts'), '1');
  }
  wire.close();
  assert.ok(resets >= 1, 'connections are kept and used again');
  scripts.delete('b/plain');
});

test('a client that leaves takes the attempt with it', async () => {
  let over;
  const asked = new Promise((resolve) => {
    scripts.set('b/alone', (call) => { over = call.over; resolve(); return call.over; });
  });
  const wire = await Wire.open(weir.url);
  await wire.send(post('/v1/chat/completions', weir.key, {
    model: 'b/alone', messages: [{ role: 'user', content: 'x' }] }));
  await asked;
  wire.close();
  await within(over, 'the provider sees that the client has gone');
  await until(async () => (await weir.rows()).some((row) => row.model === 'b/alone' &&
                                                   row.close === 'client_gone'), 'its row');
});

// Wherever the bytes of an answer end, and however: its client has all of it, or the spare's,
// or an error event behind what it has. Seeded; never a clean end on half an answer.
test('an answer that ends anywhere is whole, another one, or broken for all to see', async () => {
  const next = seeded(20261122);
  const shell = (choices, more) => `data: ${JSON.stringify({ ...delta({}), choices, ...more })}\n\n`;
  const good = [...'half an answer or all'.split(' ').map((word) =>
    shell([{ index: 0, delta: { content: `${word} ` }, finish_reason: null }])),
  shell([{ index: 0, delta: {}, finish_reason: 'stop' }]), 'data: [DONE]\n\n'].join('');
  const want = 'half an answer or all ';
  const seen = { whole: 0, spare: 0, broken: 0 };
  for (let i = 0; i < 60; i++) {
    const cut = next() % (good.length + 1), how = next() % 3;
    scripts.set('a/cuts', async (call) => {
      await call.head(200, { 'content-type': 'text/event-stream',
        ...(how === 2 ? { connection: 'close' } : { 'transfer-encoding': 'chunked' }) });
      const part = good.slice(0, cut);
      if (part && how === 2) await call.write(part);
      else if (part) await call.chunk(part);
      if (how === 0) return call.reset();
      return how === 1 && next() % 2 ? call.end() : call.cut();
    });
    const answer = await sse('a/cuts', { models: ['c/spare'] });
    const finished = answer.events.some((event) => event.choices?.[0]?.finish_reason);
    if (answer.text === 'from c') seen.spare++;
    else if (answer.error) seen.broken++;
    else seen.whole++;
    const where = `cut at ${cut} of ${good.length}, way ${how}: ${answer.raw}`;
    assert.equal(answer.status, 200, where);
    assert.equal(answer.done, !answer.error, where);
    if (answer.error) assert.ok(want.startsWith(answer.text), where);
    else if (answer.text !== 'from c') assert.ok(answer.text === want && finished, where);
  }
  assert.ok(seen.spare && seen.broken, JSON.stringify(seen));
});

test('when a breaker\'s time is over one request probes, whoever asks on whatever core', async () => {
  scripts.set('b/half', (call) => call.error(500));
  await until(async () => (await weir.chat({ model: 'b/half' })).status === 503, 'it is open');
  let go, inside = 0;
  const held = new Promise((resolve) => { go = resolve; });
  scripts.set('b/half', async (call) => {
    inside++;
    await held;
    return call.json(chat('well'));
  });
  const failed = b.of('half').length;
  const body = { model: 'b/half', models: ['c/spare'], messages: [{ role: 'user', content: 'x' }] };
  const probes = [];
  await until(() => {
    probes.push(exchange(weir.url, post('/v1/chat/completions', weir.key, body)));
    return inside > 0;
  }, 'one probes');
  const others = await Promise.all(Array.from({ length: 16 }, () =>
    exchange(weir.url, post('/v1/chat/completions', weir.key, body))));
  assert.ok(others.every((answer) => answer.get('x-weir-model') === 'c/spare'));
  assert.equal(b.of('half').length, failed + 1);
  go();
  const all = await Promise.all(probes);
  assert.equal(all.filter((answer) => answer.get('x-weir-model') === 'b/half').length, 1);
  await until(async () => (await spread({ model: 'b/half' })).join() === '200', 'it is closed');
});

test('the breaker lets a probe through within 10 s and closes on its success', async () => {
  const good = await until(async () => {
    const answer = await weir.chat({ model: 'b/sick' });
    return answer.status === 200 && answer;
  }, 'the provider is asked again', 12000);
  assert.equal(text(good), 'well');
  await until(async () => (await spread({ model: 'b/sick' })).join() === '200', 'on all cores');
});

test('each attempt sends the client\'s body, its own model in it', async () => {
  const messages = [{ role: 'user', content: 'a question of some length. '.repeat(20) }];
  scripts.set('a/d500', (call) => call.error(500));
  scripts.set('b/d500', (call) => call.error(500));
  const sent = { model: 'a/d500', models: ['b/d500', 'c/spare'], max_tokens: 7, messages };
  const before = c.of('spare').length;
  const answer = await weir.chat(sent);
  assert.equal(answer.headers.get('x-weir-model'), 'c/spare');
  for (const [p, model] of [[a, 'd500'], [b, 'd500'], [c, 'spare']]) {
    const got = p.of(model).at(-1);
    assert.deepEqual(got.json, { model, max_tokens: 7, messages }, p.url);
    assert.equal(got.get('content-type'), 'application/json');
  }
  assert.equal(c.of('spare').length, before + 1);
});

test('the providers saw nothing but strict HTTP, and it ends cleanly', async () => {
  await weir.stop();
  for (const p of [a, b, c, slow]) assert.deepEqual(p.faults, []);
  assert.doesNotMatch(weir.run.stdout + weir.run.stderr, /LEAK/);
});
