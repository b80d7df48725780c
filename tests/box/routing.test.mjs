// routing.test.mjs - an application with OpenAI's SDK says `auto`, and the right one of four
// providers answers: they differ in price, quality, speed and failures (weir-mock, scripted by
// the models' upstream names). What each mode and constraint is documented to do is what
// x-weir-model then says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import OpenAI from 'openai';
import { command, directory, Mock, Weir, whole } from './lib/weir.mjs';

const mocks = {};
for (const name of ['cheap', 'quick', 'strong', 'shaky']) mocks[name] = await Mock.start();
const urls = Object.fromEntries(Object.entries(mocks).map(([name, mock]) => [name, mock.url]));
const all = ['tools', 'json_schema'];
const model = (id, upstream, input, output, quality, more = {}) => ({
  id, upstream, quality, supports: all, context: 100000, ...more,
  price: { input, output, cached: input, ...more.price } });
const routes = {
  cores: 1,
  providers: [
    { name: 'cheap', url: urls.cheap, keys: ['k'], zero_retention: true, region: 'eu' },
    { name: 'quick', url: urls.quick, keys: ['k'], region: 'us' },
    { name: 'strong', url: urls.strong, keys: ['k'], region: 'us' },
    { name: 'shaky', url: urls.shaky, keys: ['k'], region: 'us' }],
  models: [
    model('cheap/one', 'mock-n40-delay400-tps200', '0.05', '0.1', 40),
    model('quick/two', 'mock-n40-tps1000', '1', '2', 60, { price: { cached: '0.001' } }),
    model('strong/three', 'mock-n40-delay150-tps200', '5', '25', 97),
    model('shaky/four', 'mock-n40-fail2-tps200', '0.9', '1.8', 60),
    // one model at three providers
    model('cheap/shared', 'mock-n40-delay400-tps200', '0.2', '0.4', 50),
    model('quick/shared', 'mock-n40-tps1000', '2', '4', 50),
    model('strong/shared', 'mock-n40-delay150-tps200', '1', '3', 50),
    model('shaky/dead', 'mock-resethead', '1', '1', 50),
    model('cheap/tiny', 'mock-n8', '1', '1', 50, { context: 20 }),
    model('cheap/mute', 'mock-n8', '1', '1', 50, { supports: ['reasoning'] })],
  routing: { auto: ['*/one', '*/two', '*/three', '*/four'], quality_floor: 0.3, explore: 0 },
};
const weir = await Weir.start(routes);
const client = new OpenAI({ baseURL: `${weir.url}/v1`, apiKey: weir.key, maxRetries: 0 });

const easy = [{ role: 'user', content: 'Say hello to our guest.' }];
const hard = [{ role: 'user', content: 'Prove that there are infinitely many primes p with ' +
                                       'p = 3 mod 4, and give every step of the proof.' }];

// Ask by the SDK: what answered, and the answer's fields.
async function asked(body, headers = {}, by = client) {
  const { data, response } = await by.chat.completions
    .create({ model: 'auto', messages: easy, max_tokens: 40, ...body }, { headers }).withResponse();
  if (body.stream) for await (const part of data) assert.ok(part);
  return { model: response.headers.get('x-weir-model'), mode: response.headers.get('x-weir-mode'),
           gain: Number(response.headers.get('x-weir-gain')),
           attempts: Number(response.headers.get('x-weir-attempts')),
           id: response.headers.get('x-request-id') };
}

// The error that asking ends with.
async function refused(body, headers = {}) {
  const answer = await weir.chat({ model: 'auto', messages: easy, ...body }, { headers });
  assert.ok(answer.status >= 400, answer.text);
  return { status: answer.status, ...answer.json.error };
}

test('all four are met, so that something is known of each', async () => {
  for (const name of ['cheap/one', 'quick/two', 'strong/three']) {
    for (let i = 0; i < 6; i++) await asked({ model: name, stream: true });
  }
  let failed = 0;
  for (let i = 0; i < 6; i++) {
    await asked({ model: 'shaky/four' }).catch(() => failed++);
  }
  assert.ok(failed >= 2, `${failed} of 6 failed`);
});

test('each mode chooses as it says', async () => {
  const cost = await asked({}, { 'x-weir-mode': 'cost' });
  assert.equal(cost.model, 'cheap/one');
  assert.equal(cost.mode, 'cost');
  const latency = await asked({}, { 'x-weir-mode': 'latency' });
  assert.equal(latency.model, 'quick/two');
  assert.equal(latency.mode, 'latency');
  const safe = await asked({}, { 'x-weir-mode': 'availability' });
  assert.notEqual(safe.model, 'shaky/four');
  assert.equal(safe.mode, 'availability');
  const balanced = await asked({});
  assert.equal(balanced.mode, 'balanced');
  assert.ok(balanced.gain >= 0 && balanced.gain <= 1);
});

test('-first is the same word, and an unknown one is an error', async () => {
  assert.equal((await asked({}, { 'x-weir-mode': 'cost-first' })).mode, 'cost');
  const error = await refused({}, { 'x-weir-mode': 'frugal' });
  assert.equal(error.status, 400);
  assert.match(error.message, /x-weir-mode must be one of balanced, cost, latency/);
  const suffix = await refused({ model: 'auto:frugal' });
  assert.equal(suffix.status, 400);
  assert.match(suffix.message, /auto:frugal.*:balanced, :cost, :latency, :availability/);
});

test('the suffix of a model is a mode, a header overrules it', async () => {
  assert.equal((await asked({ model: 'auto:cost' })).model, 'cheap/one');
  assert.equal((await asked({ model: 'auto:latency' })).model, 'quick/two');
  assert.equal((await asked({ model: 'openrouter/auto' })).mode, 'balanced');
  assert.equal((await asked({ model: 'shared:floor' })).model, 'cheap/shared');
  assert.equal((await asked({ model: 'shared:nitro' }, {})).mode, 'latency');
  const both = await asked({ model: 'auto:cost' }, { 'x-weir-mode': 'latency' });
  assert.equal(both.model, 'quick/two');
  assert.equal(both.mode, 'latency');
});

test('provider.sort orders, under header and suffix', async () => {
  assert.equal((await asked({ model: 'shared', provider: { sort: 'price' } })).model,
               'cheap/shared');
  assert.equal((await asked({ provider: { sort: 'latency' } })).model, 'quick/two');
  assert.equal((await asked({ provider: { sort: 'throughput' } })).mode, 'latency');
  const suffix = await asked({ model: 'auto:cost', provider: { sort: 'latency' } });
  assert.equal(suffix.model, 'cheap/one');
});

test('a named model is that model, whatever the mode', async () => {
  for (const mode of ['cost', 'latency', 'availability', 'balanced']) {
    const answer = await asked({ model: 'strong/three' }, { 'x-weir-mode': mode });
    assert.equal(answer.model, 'strong/three');
    assert.equal(answer.mode, mode);
  }
});

test('models: [...] are fall-backs in order', async () => {
  const answer = await asked({ model: 'shaky/dead', models: ['nobody/knows', 'quick/two'] });
  assert.equal(answer.model, 'quick/two');
  assert.equal(answer.attempts, 2);
  await assert.rejects(asked({ model: 'shaky/dead', models: ['quick/two'],
                               provider: { allow_fallbacks: false } }), /shaky\/dead/);
  await assert.rejects(asked({ model: 'shaky/dead', models: ['quick/two'] },
                             { 'x-weir-no-fallback': '1' }), /shaky\/dead/);
});

test('the floor keeps what would lose too much', async () => {
  const strict = await Weir.start({ ...routes, routing: { ...routes.routing,
                                                          quality_floor: 0.995 } });
  const by = client.withOptions({ baseURL: `${strict.url}/v1`, apiKey: strict.key });
  const answer = await asked({ messages: hard }, { 'x-weir-mode': 'cost' }, by);
  assert.equal(answer.model, 'strong/three');
  await strict.stop();
});

test('max_price leaves out what is dearer, and says so when that is all', async () => {
  const answer = await asked({ provider: { max_price: { prompt: 0.5 } } },
                             { 'x-weir-mode': 'latency' });
  assert.equal(answer.model, 'cheap/one');
  const error = await refused({ provider: { max_price: { prompt: 0.001 } } });
  assert.equal(error.status, 400);
  assert.match(error.message, /max_price/);
});

test('constraints that leave nobody say which one it was', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }];
  const late = await refused({}, { 'x-weir-max-ttft': '0.000001' });
  assert.equal(late.status, 400);
  assert.match(late.message, /x-weir-max-ttft/);
  const mute = await refused({ model: 'cheap/mute', tools });
  assert.equal(mute.status, 400);
  assert.match(mute.message, /needs tools/);
  assert.equal(mute.param, 'tools');
  const long = await refused({ model: 'cheap/tiny',
                               messages: [{ role: 'user', content: 'word '.repeat(100) }] });
  assert.equal(long.status, 400);
  assert.equal(long.code, 'context_length_exceeded');
  const kept = await refused({ model: 'quick/two', provider: { zdr: true } });
  assert.equal(kept.status, 403);
  assert.match(kept.message, /zero retention/);
  const only = await refused({ provider: { only: ['nobody'] } });
  assert.equal(only.status, 403);
  assert.match(only.message, /only, ignore/);
  const typo = await refused({ model: 'quick/tow' });
  assert.equal(typo.status, 404);
  assert.match(typo.message, /did you mean 'quick\/two'/);
  for (const [name, value] of [['x-weir-max-ttft', 'soon'], ['x-weir-priority', 'urgent']]) {
    const error = await refused({}, { [name]: value });
    assert.equal(error.status, 400);
    assert.match(error.message, new RegExp(name));
  }
});

test('x-weir-max-ttft leaves out who is too slow', async () => {
  const answer = await asked({}, { 'x-weir-mode': 'cost', 'x-weir-max-ttft': '0.3' });
  assert.notEqual(answer.model, 'cheap/one');
});

test('what the request needs, auto looks for', async () => {
  const image = [{ role: 'user', content: [
    { type: 'text', text: 'What is this?' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] }];
  const error = await refused({ messages: image });
  assert.equal(error.status, 400);
  assert.match(error.message, /images/);
});

test('embeddings are not routed', async () => {
  const answer = whole(await weir.fetch('/v1/embeddings', {
    body: { model: 'auto', input: 'x' } }));
  assert.equal((await answer).status, 400);
  assert.match((await answer).text, /name a model/);
});

test('a session goes back to who answered it', async () => {
  const session = { 'x-weir-session': 'a-chat', 'x-weir-mode': 'cost' };
  assert.equal((await asked({ model: 'strong/three' }, session)).model, 'strong/three');
  assert.equal((await asked({}, session)).model, 'strong/three');
  assert.equal((await asked({}, { ...session, 'x-weir-session': 'b-chat' })).model,
               'cheap/one');
});

test('a conversation stays where its beginning is cached, as far as that pays', async () => {
  const long = `Here are our rules. ${'Rule: be brief and be right. '.repeat(900)}`;
  const first = [{ role: 'system', content: long }, { role: 'user', content: 'Hello?' }];
  const next = [...first, { role: 'assistant', content: 'Hi.' },
                { role: 'user', content: 'And now?' }];
  const only = { provider: { only: ['quick', 'shaky'] } };
  const fresh = await asked({ messages: next, ...only }, { 'x-weir-mode': 'cost' });
  assert.equal(fresh.model, 'shaky/four', 'the cheaper one of the two, by list price');
  const other = first.map((m) => ({ ...m, content: `${m.content} Other.` }));
  await asked({ model: 'quick/two', messages: other });
  const again = [...other, ...next.slice(2)];
  const warm = await asked({ messages: again, ...only }, { 'x-weir-mode': 'cost' });
  assert.equal(warm.model, 'quick/two', 'its cached price is lower than a fresh prompt');
});

test('policies: the key overrules the organization, a header both', async () => {
  const org = (await weir.ask('POST', '/admin/v1/units',
                              { kind: 'organization', name: 'o',
                                policy: { mode: 'latency' } })).id;
  const member = (await weir.ask('POST', '/admin/v1/units',
                                 { kind: 'member', parent: org, name: 'm' })).id;
  const key = await weir.ask('POST', '/admin/v1/keys', { member, name: 'k' });
  const by = client.withOptions({ apiKey: key.key });
  assert.equal((await asked({}, {}, by)).model, 'quick/two');
  await weir.ask('PATCH', `/admin/v1/keys/${key.id}`, { policy: { mode: 'cost' } });
  assert.equal((await asked({}, {}, by)).model, 'cheap/one');
  assert.equal((await asked({}, { 'x-weir-mode': 'latency' }, by)).model, 'quick/two');
  await weir.ask('PATCH', `/admin/v1/units/${org}`, { policy: { regions: ['us'] } });
  assert.equal((await asked({}, {}, by)).model.split('/')[0] === 'cheap', false);
  const error = await by.chat.completions.create({ model: 'cheap/one', messages: easy })
    .then(() => null, (e) => e);
  assert.equal(error.status, 403);
  assert.equal(error.code, 'policy_denied');
  assert.match(error.message, /organization names regions/);
  await weir.ask('PATCH', `/admin/v1/units/${org}`, { policy: { regions: null,
                                                                zero_retention_only: true } });
  assert.equal((await asked({}, { 'x-weir-mode': 'latency' }, by)).model, 'cheap/one');
});

test('the row of a request has mode, gain and reasons', async () => {
  const answer = await asked({ messages: hard }, { 'x-weir-mode': 'cost' });
  const row = await weir.row(answer.id);
  assert.equal(row.mode, 'cost');
  assert.equal(row.gain, answer.gain);
  assert.ok(row.reasons.length >= 2, JSON.stringify(row.reasons));
  const embedding = whole(await weir.fetch('/v1/embeddings', {
    body: { model: 'quick/two', input: 'x' } }));
  assert.equal((await embedding).headers.get('x-weir-gain'), '0');
});

test('an effort that was chosen is asked for, one that was stated stays', async () => {
  const clever = await Weir.start({
    cores: 1, providers: [{ name: 'openai', url: urls.quick, keys: ['k'] }],
    models: [{ id: 'openai/gpt-5', upstream: 'mock-echobody' }],
    routing: { auto: ['openai/gpt-5'], quality_floor: 0.01, explore: 0 } });
  const by = client.withOptions({ baseURL: `${clever.url}/v1`, apiKey: clever.key });
  const sent = async (body, headers = { 'x-weir-mode': 'cost' }) => JSON.parse(
    (await by.chat.completions.create({ messages: easy, ...body }, { headers }))
      .choices[0].message.content);
  assert.equal((await sent({ model: 'auto' })).reasoning_effort, 'minimal');
  assert.equal((await sent({ model: 'auto', reasoning_effort: 'high' })).reasoning_effort, 'high');
  assert.equal((await sent({ model: 'openai/gpt-5' })).reasoning_effort, undefined);
  await clever.stop();
});

test('weir explain agrees with what happens', async () => {
  const file = path.join(directory(), 'request.json');
  for (const [mode, model] of [['cost', 'cheap/one'], ['balanced', null]]) {
    fs.writeFileSync(file, JSON.stringify({ model: 'auto', messages: hard }));
    const run = await command(['explain', '-c', weir.file, '--mode', mode, '--json', file]);
    assert.equal(run.status, 0, run.stderr);
    const told = JSON.parse(run.stdout);
    assert.equal(told.mode, mode);
    assert.equal(told.candidates.length, 4);
    assert.ok(told.left_out.length === 0);
    if (model) assert.equal(told.candidates[0].model, model);
    const done = await asked({ messages: hard }, { 'x-weir-mode': mode });
    if (model) assert.equal(done.model, model);
    assert.equal(told.gain.value, done.gain, 'the very same estimate');
  }
  const text = await command(['explain', '-c', weir.file, file]);
  assert.match(text.stdout, /^gain +0\.\d{4} \+- 0\.\d{4}/m);
  assert.match(text.stdout, /^ +1 \S+\/\S+ /m);
});

test('POST /admin/v1/explain knows what was learned, and policies', async () => {
  const told = await weir.ask('POST', '/admin/v1/explain', { model: 'auto', messages: hard });
  assert.equal(told.mode, 'balanced');
  const shaky = [...told.candidates, ...told.left_out].find((c) => c.model === 'shaky/four');
  assert.ok(shaky.error_rate > 0.1, 'it has failed before our eyes');
  const latency = await weir.ask('POST', '/admin/v1/explain?mode=latency',
                                 { model: 'auto', messages: easy, max_tokens: 40 });
  assert.equal(latency.candidates[0].model, 'quick/two');
  assert.equal(latency.mode_from, 'header');
  const org = (await weir.ask('POST', '/admin/v1/units', { kind: 'organization', name: 'e',
                                                           policy: { deny: ['strong/*'],
                                                                     mode: 'cost' } })).id;
  const member = (await weir.ask('POST', '/admin/v1/units',
                                 { kind: 'member', parent: org, name: 'm' })).id;
  const key = await weir.ask('POST', '/admin/v1/keys', { member, name: 'k' });
  const held = await weir.ask('POST', `/admin/v1/explain?key=${key.id}`,
                              { model: 'auto', messages: easy });
  assert.equal(held.mode_from, 'policy');
  assert.equal(held.candidates[0].model, 'cheap/one');
  assert.match(held.left_out.find((c) => c.model === 'strong/three').reason, /policy/);
  const none = await weir.call('POST', '/admin/v1/explain', '{"model":');
  assert.equal(none.status, 400);
  const nobody = await weir.call('POST', '/admin/v1/explain?key=key_0000000000000', {});
  assert.ok([400, 404].includes(nobody.status), nobody.text);
});

// Names that stand for a choice of models, where no model that writes is asked for.
test('auto is refused where nothing is written, by any of its names', async () => {
  for (const way of ['embeddings', 'moderations']) {
    for (const name of [{ model: 'auto' }, { model: 'openrouter/auto:floor' },
                        { model: 'auto:nitro' }, { models: ['auto'], model: 'quick/tow' },
                        { model: 'openrouter/auto:cost' }]) {
      const r = await fetch(`${weir.url}/v1/${way}`, {
        method: 'POST', headers: { authorization: `Bearer ${weir.key}` },
        body: JSON.stringify({ input: 'x', ...name }) });
      assert.ok([400, 404].includes(r.status), `${way} ${JSON.stringify(name)} ${r.status}`);
      await r.text();
    }
  }
  const cost = await client.chat.completions.create(
    { model: 'openrouter/auto:cost', messages: easy }).asResponse();
  assert.equal(cost.headers.get('x-weir-mode'), 'cost');
  await cost.text();
});

// A model that nobody says can think is not told how much to.
test('a stated effort leaves out, of auto, who cannot think', async () => {
  await assert.rejects(client.chat.completions.create(
    { model: 'auto', messages: easy, reasoning_effort: 'high' }),
  (error) => error.status === 400 && /reasoning/.test(error.message));
  await client.chat.completions.create(
    { model: 'quick/two', messages: easy, reasoning_effort: 'high' });
});

test('weir explain: dialects by shape, refusals, usage', async () => {
  const run = async (body, ...args) => {
    const file = path.join(directory(), 'r.json');
    fs.writeFileSync(file, typeof body === 'string' ? body : JSON.stringify(body));
    return command(['explain', '-c', weir.file, ...args, '--json', file]);
  };
  const shapes = [[{ model: 'auto', input: 'hi' }, 'responses'],
                  [{ model: 'auto', system: 'x', max_tokens: 5, messages: easy }, 'messages'],
                  [{ contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }, 'generate'],
                  [{ model: 'auto', messages: easy }, 'chat']];
  for (const [body, api] of shapes) {
    const told = JSON.parse((await run(body)).stdout);
    assert.equal(told.api, api);
  }
  const none = JSON.parse((await run({ model: 'quick/tow', messages: easy })).stdout);
  assert.equal(none.error.status, 404);
  assert.match(none.error.message, /quick\/two/);
  const bad = await run('{"model":');
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /the request is not served/);
  for (const args of [['--mode', 'frugal'], ['--mode']]) {
    const wrong = await command(['explain', ...args]);
    assert.equal(wrong.status, 2);
  }
  assert.equal((await command(['check', '--mode', 'cost'])).status, 2);
});

test('it all ends cleanly', async () => {
  await weir.stop();
  assert.equal(weir.run.stderr, '');
  for (const mock of Object.values(mocks)) await mock.stop();
});
