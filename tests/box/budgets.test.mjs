// budgets.test.mjs - budgets that cannot be overrun, through the real binary: a thousand requests
// at once against a budget for some of them, every layer and the pool, streams that are stopped,
// answers that are shortened, limits that change while requests run, rates.
// alone: a hundred streams must run at the same time
import assert from 'node:assert/strict';
import test, { before } from 'node:test';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { command, pause, until, Weir } from './lib/weir.mjs';
import { post, Wire } from './lib/wire.mjs';

let answer = (call) => call.json(chat('ok'));
const far = await provider((call) => answer(call));
const config = {
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [
    { id: 'far/fixed', price: { input: '0', output: '0', request: '0.001' } },
    { id: 'far/words', price: { input: '0', output: '1000' }, max_output: 4000 },
    { id: 'far/prompt', price: { input: '1000', output: '0' } },
    { id: 'far/free', price: { input: '0', output: '0' } },
  ],
};
let weir, tree;

// An organisation of its own with every level: ids and the key's secret.
async function grow() {
  const make = async (kind, parent) => (await weir.ask('POST', '/admin/v1/units', {
    kind, name: kind, ...(parent ? { parent } : {}) })).id;
  const t = {};
  t.organization = await make('organization');
  t.department = await make('department', t.organization);
  t.team = await make('team', t.department);
  t.member = await make('member', t.team);
  const made = await weir.ask('POST', '/admin/v1/keys', { member: t.member, name: 'k' });
  t.key = made.id;
  t.secret = made.key;
  return t;
}

const budget = (id, ...limits) => weir.ask('PUT', `/admin/v1/budgets/${id}`, {
  limits: limits.map(([usd, window = 'month']) => ({ usd, window })) });
const limits = async (id) => (await weir.ask('GET', `/admin/v1/budgets/${id}`)).limits;
const one = (model, more = {}) => weir.chat({ model: `far/${model}`, ...more },
                                            { key: tree.secret });

// The error of a refused request, checked for what agents rely on.
function refused(r, status, code, layer) {
  assert.equal(r.status, status, r.text);
  assert.equal(r.json.error.code, code);
  assert.equal(r.header('x-weir-limit'), layer ?? null);
  if (code !== 'rate_limit_exceeded') {
    assert.equal(r.header('x-should-retry'), 'false');
    assert.equal(r.json.error.type, 'insufficient_quota');
  }
  if (layer) assert.match(r.json.error.message, new RegExp(layer));
}

// How often these ends were counted so far.
const ends = async (...labels) => {
  const metrics = await weir.metrics();
  return labels.map((label) => Number(
    new RegExp(`^weir_closes_total\\{reason="${label}"\\} (\\d+)$`, 'm').exec(metrics)[1]));
};
// The ends that the log has of a request.
const logged = (id) => weir.run.stdout.split('\n').map((line) => line.split(' '))
  .filter((words) => words[1] === id).map((words) => words[3]);

before(async () => { weir = await Weir.start(config); });
test.beforeEach(async () => {
  tree = await grow();
  answer = (call) => call.json(chat('ok'));
});

test('1,000 at once against a budget for exactly 37: 37 are admitted', async () => {
  answer = async (call) => { await pause(200); await call.json(chat('ok')); };
  await budget(tree.team, ['0.037']);
  const all = await Promise.all(Array.from({ length: 1000 }, () => one('fixed')));
  const good = all.filter((r) => r.status === 200);
  assert.equal(good.length, 37);
  for (const r of all) if (r.status !== 200) refused(r, 429, 'budget_exceeded', 'team');
  const [limit] = await limits(tree.team);
  assert.equal(nano(limit.spent), nano('0.037'));
  assert.equal(nano(limit.held), 0n);
  assert.equal(nano(limit.remaining), 0n);
  assert.ok(Date.parse(limit.resets_at) > Date.now());
  const [usage] = (await until(async () => {
    const { data } = await weir.ask('GET', `/admin/v1/usage?unit=${tree.team}`);
    return data[0]?.requests === 1000 && data;
  }, 'all are booked'));
  assert.equal(nano(usage.cost_usd), nano('0.037'));
});

for (const layer of ['organization', 'department', 'team', 'member', 'key']) {
  test(`the budget of the ${layer} is named when it is the one that is reached`, async () => {
    await budget(tree[layer], ['0.002', 'day']);
    for (const wide of ['organization', 'department', 'team', 'member', 'key']) {
      if (wide !== layer) await budget(tree[wide], ['0.5', 'total']);
    }
    for (let i = 0; i < 2; i++) assert.equal((await one('fixed')).status, 200);
    const r = await one('fixed');
    refused(r, 429, 'budget_exceeded', layer);
    const wait = Number(r.header('retry-after'));
    const midnight = (86400000 - Date.now() % 86400000) / 1000;
    assert.ok(Math.abs(wait - midnight) < 5, `${wait} s, the day ends in ${midnight} s`);
  });
}

test('a total has no retry-after; what costs nothing goes on', async () => {
  await budget(tree.key, ['0', 'total']);
  const r = await one('fixed');
  refused(r, 429, 'budget_exceeded', 'key');
  assert.equal(r.header('retry-after'), null);
  assert.equal((await one('free')).status, 200);
});

test('the credit pool: prepaid, emptied, topped up', async () => {
  const credits = `/admin/v1/organizations/${tree.organization}/credits`;
  await weir.ask('PATCH', credits, { pool: 'prepaid' });
  refused(await one('fixed'), 402, 'insufficient_credits');
  await weir.ask('POST', credits, { usd: '0.003', reference: 'inv-1', kind: 'top_up' });
  await weir.ask('POST', credits, { usd: '0.001', reference: 'inv-2', kind: 'refund' });
  for (let i = 0; i < 2; i++) assert.equal((await one('fixed')).status, 200);
  refused(await one('fixed'), 402, 'insufficient_credits');
  const state = await weir.ask('GET', credits);
  assert.equal(nano(state.balance), 0n);
  assert.equal(nano(state.held), 0n);
  await weir.ask('PATCH', credits, { pool: 'unlimited' });
  assert.equal((await one('fixed')).status, 200);
});

test('limits set, raised, lowered and removed act on the very next request', async () => {
  for (let i = 0; i < 3; i++) assert.equal((await one('fixed')).status, 200);
  // What was spent before the limit was set counts, folded or not.
  await budget(tree.member, ['0.004', 'hour']);
  assert.equal((await one('fixed')).status, 200);
  refused(await one('fixed'), 429, 'budget_exceeded', 'member');
  await budget(tree.member, ['0.005', 'hour']);
  assert.equal((await one('fixed')).status, 200);
  refused(await one('fixed'), 429, 'budget_exceeded', 'member');
  await weir.ask('DELETE', `/admin/v1/budgets/${tree.member}`);
  assert.equal((await one('fixed')).status, 200);
  await budget(tree.member, ['0.004', 'hour']);
  refused(await one('fixed'), 429, 'budget_exceeded', 'member');
  await until(async () => nano((await limits(tree.member))[0].spent) === nano('0.006'),
              'six were paid');
});

test('under load, an answered change acts on the next request of every core', async () => {
  let on = true, failed;
  const load = Array.from({ length: 8 }, async () => {
    while (on && !failed) await one('free').catch((error) => { failed = error; });
  });
  for (let round = 0; round < 30; round++) {
    await budget(tree.department, [round % 2 ? '1000' : '0', 'total']);
    const all = await Promise.all(Array.from({ length: 8 }, () => one('fixed')));
    const want = round % 2 ? 200 : 429;
    assert.deepEqual(all.map((r) => r.status), all.map(() => want), `round ${round}`);
  }
  const { id, key } = await weir.ask('POST', '/admin/v1/keys', { member: tree.member,
                                                                 name: 'short' });
  for (let round = 0; round < 10; round++) {
    const deny = round % 2 ? [] : ['far/*'];
    await weir.ask('PATCH', `/admin/v1/units/${tree.team}`, { policy: { deny } });
    const r = await weir.chat({ model: 'far/fixed' }, { key });
    assert.equal(r.status, round % 2 ? 200 : 403, `round ${round}`);
  }
  await weir.ask('DELETE', `/admin/v1/keys/${id}`);
  assert.equal((await weir.chat({ model: 'far/free' }, { key })).status, 401);
  on = false;
  await Promise.all(load);
  assert.equal(failed, undefined);
});

test('a limit set while a request runs hears of it when it ends', async () => {
  let go;
  answer = async (call) => {
    await new Promise((resolve) => { go = resolve; });
    await call.json(chat('ok'));
  };
  const running = one('fixed');
  await until(() => go, 'it runs');
  await budget(tree.key, ['0.001', 'total']);
  go();
  assert.equal((await running).status, 200);
  await until(async () => nano((await limits(tree.key))[0].spent) === nano('0.001'), 'counted');
  refused(await one('fixed'), 429, 'budget_exceeded', 'key');
});

// A stream of n words, each 4 bytes, which is a token by our count.
const words = (n, usage) => async (call) => {
  await call.begin();
  await call.event(delta({ role: 'assistant', content: '' }));
  for (let i = 0; i < n && !call.socket.destroyed; i++) {
    await call.event(delta({ content: 'word' }));
  }
  await call.event(delta({}, 'stop'));
  if (usage) await call.event({ ...delta({}), choices: [], usage });
  await call.event('[DONE]');
  await call.end();
};

test('a stream is stopped when its budget is spent: a proper end, usage, cost', async () => {
  answer = words(3000);
  await budget(tree.key, ['1', 'total']);        // 1,000 tokens
  const response = await weir.fetch('/v1/chat/completions', { key: tree.secret, body: {
    model: 'far/words', stream: true, stream_options: { include_usage: true },
    usage: { include: true }, messages: [{ role: 'user', content: 'x' }] } });
  const text = await response.text();
  assert.match(text, /data: \[DONE\]\n\n$/);
  const events = text.split('\n\n').filter((e) => e.startsWith('data: {'))
    .map((e) => JSON.parse(e.slice(6)));
  const finish = events.filter((e) => e.choices[0]?.finish_reason);
  assert.deepEqual(finish.map((e) => e.choices[0].finish_reason), ['length']);
  const usage = events.at(-1).usage;
  assert.ok(usage.completion_tokens >= 872 && usage.completion_tokens <= 1128,
            `${usage.completion_tokens} tokens of 1000`);
  const row = await weir.row(response.headers.get('x-request-id'));
  assert.equal(row.close, 'budget_stopped');
  assert.equal(row.estimated, true);
  assert.equal(row.output_tokens, usage.completion_tokens);
  assert.ok(nano(row.cost_usd) <= nano('1.128'), row.cost_usd);
  assert.equal(Number(row.cost_usd), usage.cost);
  const [limit] = await limits(tree.key);
  assert.equal(nano(limit.held), 0n);
  assert.equal(nano(limit.spent), nano(row.cost_usd));
});

test('100 streams at once overrun a budget by less than a slice each', async () => {
  answer = words(1000);
  await budget(tree.organization, ['10', 'total']);   // 10,000 tokens; 100,000 are asked for
  const all = await Promise.all(Array.from({ length: 100 }, async () => {
    const response = await weir.fetch('/v1/chat/completions', { key: tree.secret, body: {
      model: 'far/words', stream: true, messages: [{ role: 'user', content: 'x' }] } });
    const text = await response.text();
    if (response.status === 200) assert.match(text, /data: \[DONE\]\n\n$/);
    return response.status;
  }));
  const [limit] = await limits(tree.organization);
  const count = all.filter((s) => s === 200).length;
  assert.ok(count >= 20, `${count} were admitted: nobody is locked out without need`);
  assert.ok(nano(limit.spent) >= nano('9.5'), limit.spent);
  assert.ok(nano(limit.spent) <= nano('10') + 20n * nano('0.128'), limit.spent);
  assert.equal(nano(limit.held), 0n);
});

test('a whole answer is shortened to what is left, and refused where nothing is', async () => {
  let asked;
  answer = (call) => {
    asked = call.request.json;
    const completion_tokens = Math.min(asked.max_tokens ?? asked.max_completion_tokens, 5000);
    return call.json(chat('ok', { prompt_tokens: 7, completion_tokens,
                                  total_tokens: 7 + completion_tokens }));
  };
  await budget(tree.key, ['0.7', 'total']);      // 700 tokens
  const r = await one('words', { max_tokens: 1000 });
  assert.equal(r.status, 200, r.text);
  assert.equal(r.header('x-weir-capped'), 'key');
  assert.equal(asked.max_tokens, 700);
  refused(await one('words', { max_tokens: 1000 }), 429, 'budget_exceeded', 'key');
  await budget(tree.key, ['9', 'total']);
  const free = await one('words', { max_completion_tokens: 1000 });
  assert.equal(free.header('x-weir-capped'), null);
  assert.equal(asked.max_completion_tokens, 1000);
  await budget(tree.key, ['2.7', 'total']);      // 1,000 tokens are left, the model has 4,000
  const none = await one('words');
  assert.equal(none.header('x-weir-capped'), 'key');
  assert.equal(asked.max_tokens, 1000);
  const [limit] = await limits(tree.key);
  assert.equal(nano(limit.spent), nano('2.7'));
  assert.equal(nano(limit.held), 0n);
});

test('of two output limits the larger one counts, and both are lowered', async () => {
  let asked;
  answer = (call) => {
    asked = call.request.json;
    return call.json(chat('ok'));
  };
  await budget(tree.key, ['0.7', 'total']);
  const r = await one('words', { max_completion_tokens: 1, max_tokens: 100000 });
  assert.equal(r.header('x-weir-capped'), 'key');
  assert.equal(asked.max_tokens, 700);
  assert.equal(asked.max_completion_tokens, 1);
});

test('the worst case of some locks nobody out', async () => {
  answer = (call) => call.json(chat('ok', { prompt_tokens: 7, completion_tokens: 10,
                                            total_tokens: 17 }));
  await Promise.all(Array.from({ length: 40 }, () => one('words')));   // each core has learned
  const { cost_usd } = (await until(async () => {
    const { data } = await weir.ask('GET', `/admin/v1/usage?unit=${tree.organization}`);
    return data[0]?.requests === 40 && data;
  }, 'all are booked'))[0];
  await budget(tree.organization, [String(5 + Number(cost_usd)), 'total']);   // 5,000 tokens
  answer = async (call) => {
    await pause(300);
    await call.json(chat('ok', { prompt_tokens: 7, completion_tokens: 10, total_tokens: 17 }));
  };
  const all = await Promise.all(Array.from({ length: 100 }, () => one('words')));
  assert.deepEqual([...new Set(all.map((r) => r.status))], [200]);
  assert.ok(all.some((r) => r.header('x-weir-capped') === null), 'the first has all it may');
  assert.ok(all.some((r) => r.header('x-weir-capped')), 'what is promised is not promised twice');
  assert.equal(nano((await limits(tree.organization))[0].held), 0n);
});

test('a client that leaves before the answer pays for its prompt', async () => {
  answer = async (call) => { await call.over; };
  await budget(tree.key, ['10', 'total']);
  const gone = new AbortController();
  const asked = weir.fetch('/v1/chat/completions', { key: tree.secret, signal: gone.signal,
    body: { model: 'far/prompt', messages: [{ role: 'user', content: 'word '.repeat(1000) }] } })
    .catch((error) => error.name);
  const was = far.requests.length;
  await until(() => far.requests.length > was || far.requests.length, 'the provider has it');
  await pause(200);
  gone.abort();
  assert.equal(await asked, 'AbortError');
  await until(async () => nano((await limits(tree.key))[0].spent) > nano('0.8'), 'it is paid');
});

test('a stream that has finished is not stopped again; one of two choices ends both', async () => {
  answer = async (call) => {
    await call.begin();
    await call.chunk([delta({ role: 'assistant', content: 'word'.repeat(400) }),
                      delta({}, 'stop')]
      .map((e) => `data: ${JSON.stringify(e)}\n\n`).join(''));
    await pause(100);
    await call.event({ ...delta({}), choices: [],
                       usage: { prompt_tokens: 7, completion_tokens: 400, total_tokens: 407 } });
    await call.event('[DONE]');
    await call.end();
  };
  const stream = async (more) => (await weir.fetch('/v1/chat/completions', {
    key: tree.secret, body: { model: 'far/words', stream: true, ...more,
                              messages: [{ role: 'user', content: 'x' }] } })).text();
  await budget(tree.key, ['0.2', 'total']);
  const ended = await stream({});
  assert.deepEqual(ended.match(/"finish_reason":"\w+"/g), ['"finish_reason":"stop"']);
  const [limit] = await limits(tree.key);
  assert.equal(nano(limit.spent), nano('0.4'), 'what the provider told is booked');
  await budget(tree.key, ['0.6', 'total']);
  answer = words(3000);
  const two = await stream({ n: 2 });
  assert.equal(two.match(/"finish_reason":"length"/g).length, 2);
});

test('heads whose bodies do not come hold no place of others', async () => {
  await weir.ask('PATCH', `/admin/v1/units/${tree.organization}`, { policy: { concurrency: 1 } });
  const slow = await Wire.open(weir.url);
  const bytes = post('/v1/chat/completions', tree.secret, { model: 'far/free', messages: [] });
  await slow.send(bytes.subarray(0, bytes.length - 5));
  await pause(100);
  assert.equal((await one('free')).status, 200);
  slow.close();
});

test('another candidate that is affordable is taken', async () => {
  await budget(tree.key, ['0.0001', 'total']);
  const r = await weir.chat({ model: 'far/fixed', models: ['far/free'] }, { key: tree.secret });
  assert.equal(r.status, 200, r.text);
  assert.equal(r.header('x-weir-model'), 'far/free');
});

test('another model than the one named is asked for no more than it can give', async () => {
  let asked;
  answer = (call) => {
    asked = call.request.json;
    return asked.model === 'fixed' ? call.error(500) : call.json(chat('ok'));
  };
  const r = await one('fixed', { models: ['far/words'], max_tokens: 5000 });
  assert.equal(r.header('x-weir-model'), 'far/words');
  assert.equal(r.header('x-weir-capped'), 'model');
  assert.equal(asked.max_tokens, 4000);
  const named = await one('words', { max_tokens: 5000 });
  assert.equal(named.header('x-weir-capped'), null);
  assert.equal(asked.max_tokens, 5000);
});

test('what is spent survives a restart, and a kill', async () => {
  await budget(tree.team, ['0.003', 'week']);
  for (let i = 0; i < 2; i++) assert.equal((await one('fixed')).status, 200);
  await weir.kill();
  weir = await Weir.start(config, { data: weir.data, key: weir.key });
  assert.equal(nano((await limits(tree.team))[0].spent), nano('0.002'));
  assert.equal((await one('fixed')).status, 200);
  refused(await one('fixed'), 429, 'budget_exceeded', 'team');
  await weir.stop();
  weir = await Weir.start(config, { data: weir.data, key: weir.key });
  refused(await one('fixed'), 429, 'budget_exceeded', 'team');
});

test('requests a minute: N at once, then a true retry-after, headers as OpenAI has them',
     async () => {
  await weir.ask('PATCH', `/admin/v1/units/${tree.team}`, { policy: { rpm: 30 } });
  const all = [];
  for (let i = 0; i < 31; i++) all.push(await one('free'));
  assert.ok(all.slice(0, 30).every((r) => r.status === 200));
  assert.equal(all[0].header('x-ratelimit-limit-requests'), '30');
  assert.equal(all[0].header('x-ratelimit-remaining-requests'), '29');
  assert.match(all[0].header('x-ratelimit-reset-requests'), /^(\d+m)?(\d+(\.\d+)?m?s)$/);
  const last = all[30];
  if (last.status === 200) return;               // two seconds went by: a slow machine
  refused(last, 429, 'rate_limit_exceeded', 'team');
  assert.ok(['1', '2'].includes(last.header('retry-after')), last.header('retry-after'));
  assert.equal(last.header('x-should-retry'), null);
  await pause(Number(last.header('retry-after')) * 1000);
  assert.equal((await one('free')).status, 200, 'it was true');
});

test('tokens a minute and concurrency', async () => {
  await weir.ask('PATCH', `/admin/v1/keys/${tree.key}`, { policy: { tpm: 100 } });
  answer = (call) => call.json(chat('ok', { prompt_tokens: 60, completion_tokens: 60,
                                            total_tokens: 120 }));
  const first = await one('free');
  assert.equal(first.header('x-ratelimit-limit-tokens'), '100');
  refused(await one('free'), 429, 'rate_limit_exceeded', 'key');
  await weir.ask('PATCH', `/admin/v1/keys/${tree.key}`, { policy: { tpm: null,
                                                                    concurrency: 2 } });
  const open = [];
  answer = async (call) => {
    await new Promise((resolve) => open.push(resolve));
    await call.json(chat('ok'));
  };
  const running = [one('free'), one('free')];
  await until(() => open.length === 2, 'two run');
  refused(await one('free'), 429, 'rate_limit_exceeded', 'key');
  open.forEach((go) => go());
  for (const r of running) assert.equal((await r).status, 200);
  answer = (call) => call.json(chat('ok'));
  assert.equal((await one('free')).status, 200, 'both ended');
});

test('each way to be refused or stopped has one line and one count', async () => {
  const labels = ['budget_stopped', 'budget_exceeded', 'credits_empty', 'rate_limited'];
  const was = await ends(...labels);
  await weir.ask('PATCH', `/admin/v1/keys/${tree.key}`, { policy: { rpm: 3 } });
  await budget(tree.key, ['0.2', 'total']);
  answer = words(400);
  const response = await weir.fetch('/v1/chat/completions', { key: tree.secret, body: {
    model: 'far/words', stream: true, messages: [{ role: 'user', content: 'x' }] } });
  await response.text();
  const ids = [response.headers.get('x-request-id')];
  const turned = async (model, ...how) => {
    const r = await one(model);
    refused(r, ...how);
    ids.push(r.header('x-request-id'));
  };
  answer = (call) => call.json(chat('ok'));
  await turned('words', 429, 'budget_exceeded', 'key');
  await weir.ask('DELETE', `/admin/v1/budgets/${tree.key}`);
  await weir.ask('PATCH', `/admin/v1/organizations/${tree.organization}/credits`,
                 { pool: 'prepaid' });
  await turned('fixed', 402, 'insufficient_credits');
  await turned('fixed', 429, 'rate_limit_exceeded', 'key');
  // By id: lines of requests that ended before may still be on their way here.
  await until(() => ids.every((id) => logged(id).length > 0), 'all have a line');
  assert.deepEqual(ids.map(logged), labels.map((label) => [label]));
  assert.deepEqual(await ends(...labels), was.map((count) => count + 1));
  assert.match(await weir.metrics(),
               /^weir_refusals_total\{layer="credits",code="insufficient_credits"\} [1-9]/m);
});

test('it ends well, and the ledger agrees with itself', async () => {
  await weir.stop();
  const check = await command(['check', '--ledger', weir.data]);
  assert.equal(check.stdout, 'ok\n', check.stderr);
  assert.equal(check.status, 0);
});
