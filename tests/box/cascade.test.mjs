// cascade.test.mjs - cheap first: what a client gets, who was asked, and what it cost, where one
// cheap answer is checked and where two or three are compared. Each model is a provider of its
// own that answers what the test says (lib/provider.mjs).
import assert from 'node:assert/strict';
import test from 'node:test';
import { command, directory, until, Weir, within } from './lib/weir.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import fs from 'node:fs';
import path from 'node:path';

const names = ['tiny', 'small', 'third', 'strong'];
const at = {};
for (const name of names) at[name] = await provider((call) => at[name].say(call));
const prices = { tiny: '0.1', small: '0.2', third: '0.3', strong: '20' };
const quality = { tiny: 57, small: 60, third: 58, strong: 95 };
const config = (cascade, more = {}) => ({
  cores: 1,
  providers: names.map((name) => ({ name, url: at[name].url, keys: ['k'] })),
  models: names.map((name) => ({
    id: `${name}/${name}`, quality: quality[name], supports: ['tools', 'json_schema'],
    context: 100000, price: { input: prices[name], output: prices[name] } })),
  routing: { mode: 'cost', explore: 0, quality_floor: 0.95, auto: names.map((n) => `${n}/*`),
             ...(cascade ? { cascade } : {}) },
  ...more });
const weir = await Weir.start(config(null));
const hard = [{ role: 'user', content: 'What is 17 times 23 minus the integral of x^2 from 0 to 3? ' +
                                       'Answer with a number.' }];

// A key of an organization of its own: what others were refused for teaches it nothing.
let key;
async function newcomer(budget) {
  let parent;
  for (const kind of ['organization', 'department', 'team', 'member']) {
    parent = (await weir.ask('POST', '/admin/v1/units', {
      kind, name: kind, ...(parent ? { parent } : {}) })).id;
  }
  if (budget) {
    await weir.ask('PUT', `/admin/v1/budgets/${parent}`,
                   { limits: [{ usd: budget, window: 'month' }] });
  }
  return (await weir.ask('POST', '/admin/v1/keys', { member: parent, name: 'k' })).key;
}
test.beforeEach(async () => { if (weir.run.status === null) key = await newcomer(); });

// What each says; who was asked since.
const asked = Object.fromEntries(names.map((name) => [name, 0]));
function say(answers) {
  for (const name of names) {
    asked[name] = 0;
    at[name].say = async (call) => {
      asked[name]++;
      const answer = answers[name] ?? 'nobody asked me';
      if (typeof answer === 'function') return answer(call);
      if (typeof answer === 'number') return call.error(answer);
      if (call.request.json.stream) return call.stream(answer.match(/.{1,5}/gs));
      return call.json(chat(answer));
    };
  }
}
const finish = (text, reason) => (call) => {
  const value = chat(text);
  value.choices[0].finish_reason = reason;
  return call.json(value);
};
const calls = () => names.map((name) => asked[name]).join(' ');

async function ask(cascade, body = {}, options = {}) {
  const answer = await weir.chat({ model: 'auto', messages: hard, max_tokens: 60, ...body },
                                 { key, headers: cascade ? { 'x-weir-cascade': cascade } : {}, ...options });
  return { ...answer, said: answer.headers.get('x-weir-cascade'),
           model: answer.headers.get('x-weir-model'),
           text: answer.json?.choices?.[0].message.content, raw: answer.text };
}

// The newest row, once it is there, by the request's id.
async function row(answer) {
  const id = answer.headers.get('x-request-id');
  return until(async () => {
    const { data } = await weir.ask('GET', `/admin/v1/requests?limit=20`);
    return data.find((one) => one.request_id === id || one.id === id);
  }, `a row of ${id}`);
}

test('a cheap answer without fault is taken, and nobody else is asked', async () => {
  say({ small: 'The answer is 382.', third: 'The answer is 382.' });
  const got = await ask('check');
  assert.equal(got.status, 200, got.raw);
  assert.equal(got.said, 'taken');
  assert.equal(got.text, 'The answer is 382.');
  assert.equal(asked.strong, 0);
  assert.equal(asked.tiny + asked.small + asked.third, 1);
  assert.equal(got.headers.get('x-weir-attempts'), '1');
  const without = await ask(null);
  assert.equal(without.said, null, 'the file asks for none');
  assert.equal(asked.strong, 1);
});

test('what shows that an answer is bad sends the request on, and both calls are billed', async () => {
  const schema = { response_format: { type: 'json_object' } };
  const cases = [
    [finish('The answer is', 'length'), {}, 'escalated: length'],
    [finish('I will not', 'content_filter'), {}, 'escalated: refusal'],
    [(call) => call.json(chat('no json')), schema, 'escalated: json'],
    [(call) => call.error(500), {}, 'escalated: failed'],
    [(call) => call.reset(), {}, 'escalated: failed'],
  ];
  for (const [bad, body, said] of cases) {
    key = await newcomer();
    say({ tiny: bad, small: bad, third: bad, strong: '{"answer":382}' });
    const got = await ask('check', body);
    assert.equal(got.status, 200, got.raw);
    assert.equal(got.said, said);
    assert.equal(got.model, 'strong/strong');
    assert.equal(got.text, '{"answer":382}');
    assert.equal(asked.strong, 1);
    const cost = Number(got.headers.get('x-weir-cost-usd'));
    const alone = 10 * 20e-6, failed = said === 'escalated: failed';
    assert.ok(failed ? Math.abs(cost - alone) < 1e-9 : cost > alone && cost < alone * 1.1,
              `${said}: ${cost}`);
    const { cost_usd, billed, model } = await row(got);
    assert.equal(cost_usd, got.headers.get('x-weir-cost-usd'));
    assert.equal(model, 'strong/strong');
    assert.deepEqual(billed.map((one) => [one.close, one.estimated]),
                     failed ? [] : [['escalated', false]]);
  }
});

test('the cheap answer is sent where the strong one fails', async () => {
  const cut = finish('The answer is 38', 'length');
  say({ tiny: cut, small: cut, third: cut, strong: 500 });
  const got = await ask('check');
  assert.equal(got.status, 200, got.raw);
  assert.equal(got.said, 'unavailable');
  assert.equal(got.text, 'The answer is 38');
  assert.equal(calls().split(' ').reduce((sum, n) => sum + Number(n), 0), 2,
               'a fall-back below the floor is no better');
});

test('answers that say the same are taken, and others are not', async () => {
  say({ tiny: 'It is 382.0', small: 'The answer is 382.', third: 'So: \\boxed{382}', strong: '1' });
  const got = await ask('agree=2');
  assert.equal(got.status, 200, got.raw);
  assert.equal(asked.tiny + asked.small + asked.third, 2);
  assert.equal(got.said, got.said === 'agreed=2' ? 'agreed=2' : 'escalated: no agreement');
  say({ tiny: '382.0', small: 'The answer is 382.', third: 'So: \\boxed{382}', strong: '1' });
  const same = await ask('agree=2');
  assert.equal(same.said, 'agreed=2');
  assert.match(same.text, /382/);
  assert.equal(asked.strong, 0);
  assert.ok(Number(same.headers.get('x-weir-cost-usd')) > 10 * 0.2e-6, 'both are billed');
  const told = await row(same);
  assert.equal(told.cost_usd, same.headers.get('x-weir-cost-usd'));
  assert.deepEqual(told.billed.map((one) => one.close), ['outvoted'], 'it said the same');
  say({ tiny: '381', small: '382', third: '383', strong: '382' });
  const apart = await ask('agree=2');
  assert.equal(apart.said, 'escalated: no agreement');
  assert.equal(apart.model, 'strong/strong');
  assert.equal(asked.strong, 1);
  assert.equal((await row(apart)).cost_usd, apart.headers.get('x-weir-cost-usd'));
});

test('of three, all must say it', async () => {
  say({ tiny: '382', small: '\\boxed{382}', third: 'The answer is 382', strong: '9' });
  const got = await ask('agree=3');
  assert.equal(got.said, 'agreed=3');
  assert.match(got.text, /382/);
  assert.equal(calls(), '1 1 1 0');
  say({ tiny: '382', small: '2', third: '382', strong: '9' });
  const apart = await ask('agree=3');
  assert.equal(apart.said, 'escalated: no agreement');
  assert.equal(calls(), '1 1 1 1');
  for (const bad of [['tiny'], ['small'], ['third'], ['tiny', 'small'], names.slice(0, 3)]) {
    say({ tiny: '382', small: '382', third: '382', strong: '9',
          ...Object.fromEntries(bad.map((name) => [name, 500])) });
    const one = await ask('agree=3');
    assert.equal(one.said, 'escalated: failed', bad.join());
    assert.equal(one.text, '9');
  }
  say({ tiny: '1', small: '2', third: '3', strong: 500 });
  const best = await ask('agree=3');
  assert.equal(best.said, 'unavailable');
  assert.match(best.text, /^[123]$/);
});

// All of a stream: its text, and whether it had its good end.
async function stream(cascade, body = {}) {
  const answer = await weir.fetch('/v1/chat/completions', {
    key, headers: { 'x-weir-cascade': cascade },
    body: { model: 'auto', messages: hard, stream: true, max_tokens: 60,
            stream_options: { include_usage: true }, ...body } });
  const raw = await answer.text();
  const events = raw.split('\n\n').filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)));
  return { said: answer.headers.get('x-weir-cascade'), status: answer.status, raw,
           headers: answer.headers,
           text: events.map((event) => event.choices?.[0]?.delta?.content ?? '').join(''),
           usage: events.at(-1)?.usage, done: raw.includes('data: [DONE]'),
           ids: new Set(events.map((event) => event.id)).size };
}

test('streams are held until the verdict', async () => {
  say({ tiny: 'The answer is 382.', small: 'The answer is 382.0', third: 'The answer is 382',
        strong: 'strong words' });
  const taken = await stream('check');
  assert.equal(taken.said, 'taken', taken.raw);
  assert.match(taken.text, /^The answer is 382/);
  assert.ok(taken.done && taken.usage);
  const agreed = await stream('agree=2');
  assert.equal(agreed.said, 'agreed=2');
  assert.match(agreed.text, /^The answer is 382(\.0|\.)?$/);
  assert.ok(agreed.done && agreed.ids === 1);
  assert.equal(asked.strong, 0);
  const cut = async (call) => {
    await call.begin();
    await call.event(delta({ content: 'cheap words that are not meant for the client' }));
    await call.event(delta({}, 'length'));
    await call.event('[DONE]');
    await call.end();
  };
  say({ tiny: cut, small: cut, third: cut, strong: 'strong words' });
  const long = await stream('check');
  assert.equal(long.said, 'escalated: length');
  assert.equal(long.text, 'strong words');
  assert.ok(!long.raw.includes('cheap words'));
  const open = async (call) => {            // all is told, and its framing does not end
    await call.begin();
    await call.event(delta({ content: 'The answer is 382.' }));
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    await call.over;
  };
  say({ tiny: open, small: open, third: open, strong: 'strong words' });
  for (const how of ['check', 'agree=2']) {
    const told = await within(stream(how), 'nobody waits for the end of a framing', 20000);
    assert.match(told.said, /^(taken|agreed=2)$/);
    assert.equal(told.text, 'The answer is 382.');
  }
  const broken = async (call) => {
    await call.begin();
    await call.event(delta({ content: 'cheap words' }));
    await call.reset();
  };
  say({ tiny: broken, small: broken, third: broken, strong: 'strong words' });
  const reset = await stream('check');
  assert.equal(reset.text, 'strong words');
  assert.equal(reset.said, 'escalated: failed');
  const both = await stream('agree=2');
  assert.equal(both.text, 'strong words');
  say({ tiny: cut, small: cut, third: cut, strong: 500 });
  const best = await stream('check');
  assert.equal(best.said, 'unavailable');
  assert.ok(best.done);
  assert.match(best.text, /^cheap words/);
});

test('a stream longer than may be held goes out unchecked', async () => {
  const small = await Weir.start(config(null, { limits: { hold: '4KiB' } }));
  const long = async (call) => {
    await call.begin();
    for (let i = 0; i < 200; i++) await call.event(delta({ content: `part ${i} of a long text; ` }));
    await call.event(delta({}, 'length'));
    await call.event('[DONE]');
    await call.end();
  };
  say({ tiny: long, small: long, third: long, strong: 'no' });
  const answer = await small.fetch('/v1/chat/completions', {
    headers: { 'x-weir-cascade': 'check' }, body: { model: 'auto', messages: hard, stream: true } });
  const raw = await answer.text();
  assert.equal(answer.headers.get('x-weir-cascade'), 'unchecked');
  assert.ok(raw.includes('part 199') && raw.includes('[DONE]'));
  assert.equal(asked.strong, 0);
  await small.stop();
});

test('Messages and Responses clients have the same', async () => {
  say({ tiny: '382', small: '382', third: '382', strong: 'no' });
  const messages = await weir.fetch('/v1/messages', {
    key, headers: { 'x-weir-cascade': 'agree=2' },
    body: { model: 'auto', max_tokens: 60, messages: hard } });
  const message = await messages.json();
  assert.equal(messages.headers.get('x-weir-cascade'), 'agreed=2', JSON.stringify(message));
  assert.equal(message.content[0].text, '382');
  const streamed = await weir.fetch('/v1/responses', {
    key, headers: { 'x-weir-cascade': 'agree=2' },
    body: { model: 'auto', input: hard[0].content, stream: true, store: false } });
  const raw = await streamed.text();
  assert.equal(streamed.headers.get('x-weir-cascade'), 'agreed=2', raw);
  assert.match(raw, /event: response.completed/);
});

test('a budget that the strong one does not fit leaves the cheap answer', async () => {
  const cut = finish('The answer is 38', 'length');
  say({ tiny: cut, small: cut, third: cut, strong: 'strong' });
  key = await newcomer('0.0002');
  const got = await ask('check');
  assert.equal(got.status, 200, got.raw);
  assert.equal(got.said, 'unaffordable');
  assert.equal(got.text, 'The answer is 38');
  assert.equal(asked.strong, 0);
});

test('a client that leaves ends all of them', async () => {
  let open = 0;
  const wait = async (call) => {
    open++;
    await call.over;
    open--;
  };
  say({ tiny: wait, small: wait, third: wait, strong: 'no' });
  const leave = new AbortController();
  const gone = weir.fetch('/v1/chat/completions', {
    key, signal: leave.signal, headers: { 'x-weir-cascade': 'agree=3' },
    body: { model: 'auto', messages: hard } }).catch(() => 'gone');
  await until(() => open === 3, 'three are asked');
  leave.abort();
  assert.equal(await gone, 'gone');
  await until(() => open === 0, 'all are let go of');
  const left = await until(async () => {
    const { data } = await weir.ask('GET', '/admin/v1/requests?limit=5');
    return data.find((one) => one.close === 'client_gone');
  }, 'its row');
  assert.deepEqual(left.billed.map((one) => [one.close, one.estimated]),
                   [['client_gone', true], ['client_gone', true]], 'they had the prompt');
});

test('a cheap answer that comes too late is cut short, and owes its prompt', async () => {
  say({ tiny: 'The answer is 1.', small: 'The answer is 2.', strong: 'The answer is 382.',
        third: (call) => call.over });
  const got = await ask('agree=3');
  assert.equal(got.text, 'The answer is 382.');
  const { billed } = await row(got);
  const late = billed.find((one) => one.model === 'third/third');
  assert.equal(late.close, 'not_needed');
  assert.ok(late.estimated && late.input_tokens > 0);
});

test('what cannot be done is said', async () => {
  say({ tiny: 'a', small: 'a', third: 'a', strong: 'a' });
  for (const bad of ['agree=1', 'agree=4', 'always', '']) {
    const got = await ask(bad || ' ');
    assert.equal(got.status, 400, bad);
    assert.match(got.raw, /x-weir-cascade must be one of/);
  }
  const named = await ask('agree=2', { model: 'small/small' });
  assert.equal(named.said, 'none: a model is named');
  const several = await ask('check', { n: 2 });
  assert.equal(several.said, 'none: only one answer in text can be checked');
  const never = await ask('never');
  assert.equal(never.said, null);
});

test('explain tells what would be asked, and why not', async () => {
  const dir = directory(), file = path.join(dir, 'ask.json');
  fs.writeFileSync(file, JSON.stringify({ model: 'auto', messages: hard }));
  const shown = await command(['explain', '-c', weir.file, '--json', file]);
  assert.equal(JSON.parse(shown.stdout).cascade.reason, 'routing.cascade.mode is never');
  for (const [how, agree] of [['check', 0], ['agree=2', 2], ['agree=3', 3]]) {
    const said = await command(['explain', '-c', weir.file, '--cascade', how, '--json', file]);
    const plan = JSON.parse(said.stdout);
    assert.deepEqual([plan.cascade.cheap, plan.cascade.agree], [agree || 1, agree]);
    const live = await weir.ask('POST', `/admin/v1/explain?cascade=${encodeURIComponent(how)}`,
                                { model: 'auto', messages: hard });
    assert.deepEqual([live.cascade.cheap, live.cascade.agree], [agree || 1, agree]);
    say({ tiny: '382', small: '382', third: '382', strong: 'no' });
    const got = await ask(how);
    assert.equal(got.said, agree ? `agreed=${agree}` : 'taken');
    for (const { model } of live.candidates.slice(0, live.cascade.cheap)) {
      assert.equal(asked[model.split('/')[0]], 1, `${model} was foretold`);
    }
  }
  const denied = await command(['explain', '-c', weir.file, '--cascade', 'never', '--json', file]);
  assert.equal(JSON.parse(denied.stdout).cascade.reason, 'the request says never');
  const odd = await command(['explain', '-c', weir.file, '--cascade', 'agree=4', file]);
  assert.deepEqual([odd.status, odd.stderr],
                   [2, 'weir: --cascade is one of never, check, agree=2, agree=3\n']);
  const wrong = await weir.call('POST', '/admin/v1/explain?cascade=agree', { model: 'auto' });
  assert.equal(wrong.status, 400);
  const with2 = await Weir.start(config({ agree: 2 }));
  const told = await command(['explain', '-c', with2.file, '--json', file]);
  const { cascade, candidates } = JSON.parse(told.stdout);
  assert.equal(cascade.cheap, 2);
  assert.equal(cascade.agree, 2);
  assert.ok(Number(cascade.cost_usd) < Number(cascade.alone_usd));
  assert.equal(candidates[2].model, 'strong/strong');
  const admin = await with2.ask('POST', '/admin/v1/explain', { model: 'auto', messages: hard });
  assert.equal(admin.cascade.cheap, 2);
  say({ tiny: '382', small: '382', third: '382', strong: 'no' });
  const got = await with2.chat({ model: 'auto', messages: hard });
  assert.equal(got.headers.get('x-weir-cascade'), 'agreed=2', 'the file asks for it');
  await with2.stop();
});

test('every call is in the ledger once, and the ledger proves itself', async () => {
  for (const name of names) assert.deepEqual(at[name].faults, []);
  await weir.stop();
  const { proven } = await import('./lib/weir.mjs');
  await proven(weir.data);
});
