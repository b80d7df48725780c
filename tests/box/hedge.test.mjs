// hedge.test.mjs - a stream that is late is asked of a second candidate too: the first content
// wins, the other connection is closed, both are booked, within a share of what is spent; and
// what may change something at the provider is never sent twice. Nobody is timed: a provider
// that is to be late says nothing until the test lets it.
// alone: who is late is learned from how late others are
import assert from 'node:assert/strict';
import test from 'node:test';
import { provider } from './lib/provider.mjs';
import { until, Weir, whole, within } from './lib/weir.mjs';
import { Wire } from './lib/wire.mjs';

const EVIDENCE = 16;      // engine/hedge.h

// A provider that answers at once, or, while it is held, when it is told to.
async function lateable(name) {
  const p = await provider(async (call) => {
    call.text = `from ${name}`;
    if (p.held) {
      const go = new Promise((resolve) => { call.go = resolve; });
      p.waiting.push(call);
      if (await Promise.race([go, call.over]) !== undefined) return;
    }
    if (call.request.target.endsWith('/responses')) {
      await call.json({ id: 'resp_1', object: 'response', status: 'completed', output: [] });
      return;
    }
    if (p.status) await call.error(p.status);
    else if (call.request.json.stream) await call.stream([call.text]);
    else await call.json({ object: 'chat.completion', choices: [{ index: 0, message:
      { role: 'assistant', content: call.text }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } });
  });
  return Object.assign(p, { held: false, waiting: [], status: 0 });
}

const slow = await lateable('slow'), other = await lateable('other');
const price = { input: '10', output: '10' };
const config = (max_share, mode = 'latency') => ({
  cores: 1,
  providers: [{ name: 'slow', url: slow.url, keys: ['sk-slow'] },
              { name: 'other', url: other.url, keys: ['sk-other'] }],
  models: [{ id: 'slow/m', price }, { id: 'other/m', price }],
  aliases: { m: ['slow/m', 'other/m'] },
  routing: { mode, hedge: { mode: 'latency', after: 'p95', max_share } },
});

// A streamed request: {status, id, text(), ...}; its text is what was said.
async function ask(weir, more = {}, { headers = {}, signal, path = '/v1/chat/completions' } = {}) {
  const response = await weir.fetch(path, { headers, signal, body: {
    model: 'm', stream: true, messages: [{ role: 'user', content: 'hello' }], ...more } });
  const answer = await whole(response);
  const said = answer.text.split('\n').filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? '').join('');
  return Object.assign(answer, { said });
}

// So many good streams of the first one, for what is known of it, and for what may be spent; in
// another mode, in which nobody is asked twice, however long it takes here.
async function warm(weir, n) {
  slow.held = other.held = false;
  slow.status = other.status = 0;
  for (let i = 0; i < n; i++) {
    const answer = await ask(weir, {}, { headers: { 'x-weir-mode': 'cost' } });
    assert.equal(answer.said, 'from slow', answer.text);
  }
}

// The same again, and then it is late.
async function late(weir, n = EVIDENCE + 4) {
  await warm(weir, n);
  slow.held = true;
  slow.waiting = [];
  other.waiting = [];
  return { slow: slow.requests.length, other: other.requests.length };
}

const metric = async (weir, name) =>
  Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await weir.metrics())[1]);

const weir = await Weir.start(config(0.5));

test('the second candidate answers, the first one is closed, both are booked', async () => {
  await late(weir);
  const live = await Wire.open(weir.admin);
  await live.send(`GET /admin/v1/events HTTP/1.1\r\nHost: x\r\n` +
                  `Authorization: Bearer ${weir.token}\r\n\r\n`);
  await within(live.intake.until(Buffer.from('\r\n\r\n')), 'events');
  const answer = await ask(weir);
  assert.equal(answer.said, 'from other');
  assert.equal(answer.header('x-weir-model'), 'other/m');
  assert.equal(answer.header('x-weir-attempts'), '2');
  assert.equal(slow.waiting.length, 1);
  await within(slow.waiting[0].over, 'the late connection is closed');
  const row = await weir.row(answer.header('x-request-id'));
  assert.equal(row.model, 'other/m');
  assert.equal(row.attempts, 2);
  assert.equal(row.close, 'done');
  assert.equal(row.billed.length, 1);
  assert.equal(row.billed[0].model, 'slow/m');
  assert.equal(row.billed[0].close, 'hedge_lost');
  assert.ok(Number(row.billed[0].cost_usd) > 0);
  let told = '';
  await until(() => {
    told += live.intake.cut(live.intake.length).toString();
    return told.includes(answer.header('x-request-id'));
  }, 'a live row');
  const event = told.split('\n\n').find((e) => e.includes(answer.header('x-request-id')));
  assert.deepEqual(JSON.parse(/^data: (.*)$/m.exec(event)[1]), row, 'it has all attempts too');
  live.close();
  assert.equal(await metric(weir, 'weir_hedges_total'), 1);
  assert.equal(await metric(weir, 'weir_hedges_won_total'), 1);
  await until(async () => await metric(weir, 'weir_hedge_cost_usd_total') > 0, 'its cost');
});

test('the first one answers after all: the second is closed', async () => {
  await late(weir);
  other.held = true;
  const answer = ask(weir);
  await until(() => other.waiting.length === 1, 'the second one is asked');
  slow.waiting[0].go();
  assert.equal((await answer).said, 'from slow');
  await within(other.waiting[0].over, 'the second connection is closed');
  const row = await weir.row((await answer).header('x-request-id'));
  assert.deepEqual([row.model, row.billed[0].model, row.billed[0].close],
                   ['slow/m', 'other/m', 'hedge_lost']);
});

test('the second one fails: the first goes on, and nobody else is booked', async () => {
  await late(weir);
  other.status = 500;
  const before = other.requests.length;
  const answer = ask(weir);
  await until(() => other.requests.length > before, 'the second one is asked');
  slow.waiting[0].go();
  assert.equal((await answer).said, 'from slow');
  const row = await weir.row((await answer).header('x-request-id'));
  assert.equal(row.attempts, 2);
  assert.deepEqual(row.billed ?? [], []);
});

test('both fail: the error tells of both', async () => {
  await late(weir);
  slow.status = other.status = 500;
  const before = other.requests.length;
  const answer = ask(weir);
  await until(() => other.requests.length > before, 'the second one is asked');
  slow.waiting[0].go();
  assert.equal((await answer).status, 502);
  assert.match((await answer).text, /slow\/m: status 500/);
  assert.match((await answer).text, /other\/m: status 500/);
});

test('the client leaves: both are closed, both are booked', async () => {
  await late(weir);
  other.held = true;
  const leaving = new AbortController();
  const answer = ask(weir, {}, { signal: leaving.signal,
                                 headers: { 'x-request-id': 'leaves-1' } });
  await until(() => other.waiting.length === 1, 'the second one is asked');
  leaving.abort();
  await assert.rejects(answer);
  await within(slow.waiting[0].over, 'the first connection is closed');
  await within(other.waiting[0].over, 'the second connection is closed');
  const row = await weir.row('leaves-1');
  assert.equal(row.close, 'client_gone');
  assert.deepEqual(row.billed.map((one) => [one.model, one.close]),
                   [['other/m', 'client_gone']]);
});

const never = [
  ['in another mode', {}, { headers: { 'x-weir-mode': 'cost' } }],
  ['without another candidate', { model: 'slow/m' }],
  ['where fall-backs are denied', {}, { headers: { 'x-weir-no-fallback': '1' } }],
  ['for a whole answer', { stream: false }],
  ['for an answer that the provider keeps', { store: true }],
  ['for tools that the provider runs', { tools: [{ type: 'web_search' }] }],
  ['for search', { web_search_options: {} }],
];
for (const [what, more, options] of never) {
  test(`never ${what}`, async () => {
    const before = await late(weir);
    const hedges = await metric(weir, 'weir_hedges_total');
    const answer = ask(weir, more, options);
    await until(() => slow.waiting.length === 1, 'the first one is asked');
    // a stream that may be asked twice is, meanwhile: its time passes after this one's
    const witness = await ask(weir);
    assert.equal(witness.said, 'from other');
    assert.equal(other.requests.length, before.other + 1);
    slow.waiting[0].go();
    assert.equal((await answer).status, 200, (await answer).text);
    assert.equal(await metric(weir, 'weir_hedges_total'), hedges + 1);
  });
}

test('a Responses request is kept by default: asked once', async () => {
  const before = await late(weir);
  const answer = ask(weir, { messages: undefined, input: 'hello' }, { path: '/v1/responses' });
  await until(() => slow.waiting.length === 1, 'the first one is asked');
  assert.equal((await ask(weir)).said, 'from other');
  assert.equal(other.requests.length, before.other + 1);
  slow.waiting[0].go();
  await answer;
});

test('no more than the share of what was spent is lost', async () => {
  const strict = await Weir.start(config(0.05));
  await late(strict, 60);            // 3 requests' worth, and of money more than that
  const answers = Array.from({ length: 8 }, () => ask(strict));
  await until(() => slow.waiting.length === 8, 'all are asked');
  await until(async () => await metric(strict, 'weir_hedges_total') === 3, 'three hedges');
  await until(() => answers.length === 8 && slow.waiting.length === 8, 'and no more');
  for (const call of slow.waiting) call.go?.();
  const said = (await Promise.all(answers)).map((answer) => answer.said);
  assert.equal(said.filter((text) => text === 'from other').length, 3);
  assert.equal(said.filter((text) => text === 'from slow').length, 5);
  assert.equal(await metric(strict, 'weir_hedges_total'), 3);
  await strict.stop();
});

test('never, where it is switched off', async () => {
  const off = await Weir.start({ ...config(0.5), routing: { mode: 'latency',
    hedge: { mode: 'never' } } });
  const before = await late(off);
  const answer = ask(off);
  await until(() => slow.waiting.length === 1, 'the first one is asked');
  const second = ask(off);
  await until(() => slow.waiting.length === 2, 'so is it for the next one');
  for (const call of slow.waiting) call.go();
  assert.equal((await answer).said, 'from slow');
  assert.equal((await second).said, 'from slow');
  assert.equal(other.requests.length, before.other);
  await off.stop();
});

test('it ends cleanly, and every cost is told once', async () => {
  assert.deepEqual([...slow.faults, ...other.faults], []);
  await weir.stop();
});
