// policy.test.mjs - who may be asked: what units and keys say of routing, what an operator takes
// out of rotation, what an organization's outcomes teach. Real requests at two providers that
// have the same models; what the admin API answered holds for the very next request.
import assert from 'node:assert/strict';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { Wire, post } from './lib/wire.mjs';
import { until, Weir } from './lib/weir.mjs';

const api = '/admin/v1';
let held = null;   // a stream that waits, resolved to let it end
async function answers(call) {
  const { json } = call.request;
  if (!json.stream) return call.json(chat('ok'));
  if (call.model !== 'slow') return call.stream(['a', 'b']);
  await call.begin();
  await call.event({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'slow',
                     choices: [{ index: 0, delta: { role: 'assistant', content: 'first' },
                                 finish_reason: null }] });
  await new Promise((resolve) => { held = resolve; });
  await call.event({ id: 'x', object: 'chat.completion.chunk', created: 1, model: 'slow',
                     choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
                     usage: { prompt_tokens: 3, completion_tokens: 1, total_tokens: 4 } });
  await call.event('[DONE]');
  return call.end();
}
const east = await provider(answers);
const west = await provider(answers);
const models = (name, price) => ['m', 'n', 'slow'].map((id) => ({
  id: `${name}/${id}`, price: { input: price, output: price }, context: 100000,
  quality: id === 'n' ? 95 : 10, supports: ['tools', 'json_schema'] }));
const config = {
  providers: [
    { name: 'east', url: east.url, keys: ['one', 'two'], region: 'eu', zero_retention: true },
    { name: 'west', url: west.url, keys: ['k'], region: 'us' }],
  models: [...models('east', '2'), ...models('west', '1')],
  routing: { auto: ['*/m', '*/n'], explore: 0 },
};
let weir = await Weir.start(config);
const wires = () => Promise.all(Array.from({ length: 8 }, () => Wire.open(weir.url)));
let open = await wires();

const answered = async (model, key = weir.key) => {
  const answer = await weir.chat({ model }, { key });
  assert.equal(answer.status, 200, answer.text);
  return answer.header('x-weir-model');
};
const refused = async (model, status, pattern, key = weir.key) => {
  const answer = await weir.chat({ model }, { key });
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.json.error.message, pattern);
  return answer.json.error;
};
// Who answers a bare model, by connections to every core.
async function everywhere(model) {
  const seen = new Set();
  const body = { model, messages: [{ role: 'user', content: 'hello' }] };
  for (let i = 0; i < open.length; i++) {
    await open[i].send(post('/v1/chat/completions', weir.key, body));
    const answer = await open[i].answer();
    seen.add(answer.status === 200 ? answer.get('x-weir-model') : answer.status);
    if (answer.get('connection') === 'close') open[i] = await Wire.open(weir.url);
  }
  return [...seen].join();
}
const set = (where, state) => weir.ask('PATCH', `${api}/${where}`, { state });
const make = (body) => weir.ask('POST', `${api}/units`, body);
const patch = (where, policy) => weir.ask('PATCH', `${api}/${where}`, { policy });

// --- states

test('what is taken out of rotation is asked no more, on any core, at once', async () => {
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await set('providers/west', 'off'), { name: 'west', state: 'off' });
    assert.equal(await everywhere('m'), 'east/m');
    assert.deepEqual(await set('providers/west', 'on'), { name: 'west', state: 'on' });
    await set('models/east/m', 'drain');
    assert.equal(await everywhere('m'), 'west/m');
    await set('models/east/m', 'on');
  }
  await set('providers/west', 'drain');
  await set('models/east/m', 'off');
  assert.equal(await everywhere('m'), '503');
  assert.equal(await everywhere('n'), 'east/n');   // the provider's other models are on
  const error = await refused('west/m', 503, /rotation/);
  assert.equal(error.code, 'no_provider_available');
  await set('providers/west', 'on');
  await set('models/east/m', 'on');
});

test('the lists show states, and who is nobody is not found', async () => {
  await set('providers/west', 'drain');
  await set('models/east/m', 'off');
  const providers = await weir.ask('GET', `${api}/providers`);
  assert.deepEqual(providers.data.map((p) => [p.name, p.state]),
                   [['east', 'on'], ['west', 'drain']]);
  const list = (await weir.ask('GET', `${api}/models`)).data;
  const of = (id) => list.find((m) => m.id === id);
  assert.equal(of('east/m').state, 'off');
  assert.equal(of('east/m').provider_state, 'on');
  assert.equal(of('west/m').state, 'on');
  assert.equal(of('west/m').provider_state, 'drain');
  const routes = (await weir.ask('GET', `${api}/routes?model=m`)).data;
  assert.deepEqual(routes.map((r) => [r.model, r.key, r.state]),
                   [['east/m', 0, 'off'], ['east/m', 1, 'off'], ['west/m', 0, 'drain']]);
  for (const [where, hint] of [['providers/wset', 'west'], ['models/east/mm', 'east/m']]) {
    const answer = await weir.call('PATCH', `${api}/${where}`, { state: 'off' });
    assert.equal(answer.status, 404, answer.text);
    assert.match(answer.json.error.message, new RegExp(`did you mean '${hint}'`));
  }
  await set('providers/west', 'on');
  await set('models/east/m', 'on');
});

test('off closes what waits in pools, and lets running requests end', async () => {
  await Promise.all(Array.from({ length: 6 }, () => answered('west/m')));
  assert.ok(west.sockets.size > 0);
  await set('providers/west', 'drain');
  assert.ok(west.sockets.size > 0);                 // drain keeps connections
  await set('providers/west', 'on');
  const response = await weir.fetch('/v1/chat/completions', { body: {
    model: 'west/slow', stream: true, messages: [{ role: 'user', content: 'hello' }] } });
  assert.equal(response.status, 200);
  await until(() => held, 'the stream has begun');
  await set('providers/west', 'off');
  await until(() => west.sockets.size === 1, 'idle connections are closed');
  held();
  assert.match(await response.text(), /\[DONE\]/);
  await until(() => west.sockets.size === 0, 'nor is that of the stream put back');
  await set('providers/west', 'on');
  assert.equal(await answered('west/m'), 'west/m');
  assert.deepEqual(west.faults, []);
});

test('states outlive a reload and a restart', async () => {
  await set('providers/west', 'off');
  await set('models/east/n', 'drain');
  weir.config({ ...config, models: config.models.map((m) => ({ ...m, max_output: 5000 })) });
  assert.deepEqual(await weir.ask('POST', `${api}/reload`), { reloaded: true });
  assert.equal(await everywhere('m'), 'east/m');
  assert.equal(await everywhere('n'), '503');
  const { data, key } = weir;
  for (const wire of open) wire.close();
  await weir.stop();
  weir = await Weir.start(config, { data, key });
  open = await wires();
  assert.equal(await everywhere('m'), 'east/m');
  assert.equal(await everywhere('n'), '503');
  await set('providers/west', 'on');
  await set('models/east/n', 'on');
  assert.equal(await answered('west/m'), 'west/m');
});

// --- policies

async function line(name) {
  const org = await make({ kind: 'organization', name });
  const team = await make({ kind: 'team', parent: org.id, name: 't' });
  const member = await make({ kind: 'member', parent: team.id, name: 'm' });
  const key = await weir.ask('POST', `${api}/keys`, { member: member.id, name: 'k' });
  return { org: `units/${org.id}`, team: `units/${team.id}`, member: `units/${member.id}`,
           key: `keys/${key.id}`, secret: key.key, id: org.id };
}

test('regions and zero retention choose the provider, at every level', async () => {
  const at = await line('rules');
  for (const level of ['org', 'team', 'member', 'key']) {
    for (const [policy, model] of [[{ regions: ['US'] }, 'west/m'], [{ regions: ['eu'] }, 'east/m'],
                                   [{ regions: null, zero_retention_only: true }, 'east/m'],
                                   [{ zero_retention_only: false, regions: ['eu', 'us'],
                                      mode: 'cost' }, 'west/m']]) {
      await patch(at[level], policy);
      assert.equal(await answered('m', at.secret), model, `${level} ${JSON.stringify(policy)}`);
    }
    await patch(at[level], null);
  }
  await patch(at.org, { regions: ['eu'] });
  await patch(at.key, { regions: ['us'] });
  const error = await refused('m', 403, /region/, at.secret);
  assert.equal(error.code, 'policy_denied');
  await patch(at.key, { regions: [] });
  await refused('east/m', 403, /region/, at.secret);
  await patch(at.key, { regions: null, zero_retention_only: true });
  await refused('west/m', 403, /region|retention/, at.secret);
  assert.equal(await answered('m', at.secret), 'east/m');
});

test('the narrowest mode and the highest floor hold', async () => {
  const at = await line('modes');
  const mode = async () => (await weir.chat({ model: 'm' }, { key: at.secret }))
    .header('x-weir-mode');
  assert.equal(await mode(), 'balanced');
  await patch(at.org, { mode: 'availability' });
  assert.equal(await mode(), 'availability');
  await patch(at.team, { mode: 'latency-first' });
  assert.equal(await mode(), 'latency');
  await patch(at.key, { mode: 'cost' });
  assert.equal(await mode(), 'cost');
  await patch(at.key, { mode: null });
  assert.equal(await mode(), 'latency');
  // auto in cost mode takes the weak model, unless nothing at all may be given up
  await patch(at.key, { mode: 'cost', quality_floor: 0 });
  assert.match(await answered('auto', at.secret), /\/m$/);
  await patch(at.org, { quality_floor: 1 });
  assert.match(await answered('auto', at.secret), /\/n$/);
});

// --- learning

const question = (i) => `Which of these is a prime number? A. ${i} B. ${i + 1} C. ${i + 2}`;
async function teach(at, model, i, score) {
  const body = { model, messages: [{ role: 'user', content: question(i) }] };
  const answer = await weir.chat(body, { key: at.secret });
  assert.equal(answer.status, 200, answer.text);
  const id = answer.header('x-request-id');
  const told = await weir.fetch('/v1/feedback', { key: at.secret, body: { request_id: id, score } });
  assert.equal(told.status, 204);
  return id;
}
const gain = async (at) => Number((await weir.chat(
  { model: 'm', messages: [{ role: 'user', content: question(1000) }] }, { key: at.secret }))
  .header('x-weir-gain'));
const tenant = async (at) =>
  (await weir.ask('GET', `${api}/routes?model=east/m&tenant=${at.id}`)).tenant;

test('scores teach their organization, and nobody else, and stay', async () => {
  const at = await line('learns'), other = await line('does not');
  const before = await gain(at);
  assert.equal(await tenant(at), null);
  let id;
  for (let i = 0; i < 30; i++) id = await teach(at, i % 3 ? 'm' : 'n', i, i % 3 ? 0 : 1);
  await until(async () => (await tenant(at))?.scores === 30, 'all scores are learned');
  for (let i = 0; i < 3; i++) {   // stated again: the first one counts
    await weir.fetch('/v1/feedback', { key: at.secret, body: { request_id: id, score: 0 } });
  }
  const after = await gain(at);
  assert.ok(after > before + 0.03, `${before} -> ${after}`);
  assert.equal(await gain(other), before);
  assert.equal(await tenant(other), null);
  const shown = await tenant(at);
  assert.equal(shown.scores, 30);
  assert.equal(shown.weight, 30);
  assert.ok(shown.weights.length > 0 && shown.weights.every((w) => w.feature && w.gain));
  const { data, key } = weir;
  for (const wire of open) wire.close();
  await weir.stop();
  weir = await Weir.start(config, { data, key });
  assert.deepEqual(await tenant(at), shown);
  assert.equal(await gain(at), after);
  await weir.ask('DELETE', `${api}/${at.org}?recursive=1`);
  assert.equal((await weir.call('GET', `${api}/routes?tenant=${at.id}`)).status, 404);
});

test('providers saw nothing odd, and the ledger holds', async () => {
  assert.deepEqual([...east.faults, ...west.faults], []);
  await weir.stop();
});
