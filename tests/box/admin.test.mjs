// admin.test.mjs - the admin API over real requests: units, keys, policies in effect on every
// core when the answer is there, usage and rows exact to the nano-dollar, reload, metrics.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { cost, nano } from './lib/money.mjs';
import { chat, provider } from './lib/provider.mjs';
import { post, seeded, Wire } from './lib/wire.mjs';
import { pause, until, Weir, within } from './lib/weir.mjs';

let usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const far = await provider((call) => {
  const { json } = call.request;
  if (call.model === 'fails') return call.error(500, 'broken');
  if (json.stream) return call.stream(['a', 'b'], { usage });
  if (json.input) return call.json({ object: 'list', model: 'e', usage,
                                     data: [{ object: 'embedding', index: 0, embedding: [1] }] });
  return call.json(chat('ok', usage));
});
const prices = {
  plain: { input: '0.15', cached: '0.075', output: '0.6' },
  odd: { input: '1.234567', output: '7.000001', request: '0.000123456' },
  nocache: { input: '3', output: '15' },
  tiered: { input: '2', cached: '0.5', output: '12',
            tiers: [{ above: 1000, input: '4', cached: '1', output: '18' }] },
  free: { input: '0', output: '0' },
  fails: { input: '1', output: '1' },
};
const config = {
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: Object.entries(prices).map(([name, price]) => ({ id: `far/${name}`, price })),
};
const weir = await Weir.start(config);
const api = '/admin/v1';
const make = (body, options) => weir.ask('POST', `${api}/units`, body, options);

// What must be refused: this status, an error object with a sentence, a pointer if asked.
async function refused(method, where, body, status, pointer) {
  const answer = await weir.call(method, api + where, body);
  assert.equal(answer.status, status, `${method} ${where}: ${answer.text}`);
  const { error } = answer.json;
  assert.equal(typeof error.code, 'string');
  assert.ok(error.message.length > 5, error.message);
  if (pointer !== undefined) assert.equal(error.pointer, pointer);
  return error;
}

const org = await make({ kind: 'organization', name: 'Acme "Ltd" é' });
const department = await make({ kind: 'department', parent: org.id, name: 'Research' });
const team = await make({ kind: 'team', parent: department.id, name: 'Core' });
const member = await make({ kind: 'member', parent: team.id, name: 'Ada', email: 'ada@x.org' });
const newKey = (more = {}) =>
  weir.ask('POST', `${api}/keys`, { member: member.id, name: 'k', ...more });

// Sixteen connections, so that every core has some; ask(key) gives each one's status.
const wires = await Promise.all(Array.from({ length: 16 }, () => Wire.open(weir.url)));
async function everywhere(key, model = 'far/plain') {
  const answers = await asked(key, model);
  const statuses = new Set(answers.map((answer) => answer.status));
  assert.equal(statuses.size, 1, `cores disagree: ${[...statuses]}`);
  return answers[0];
}

async function asked(key, model) {
  const body = { model, messages: [{ role: 'user', content: 'x' }] };
  return Promise.all(wires.map(async (wire, i) => {
    await wire.send(post('/v1/chat/completions', key, body));
    const answer = await wire.answer();
    assert.ok(answer, 'an answer on a connection that was kept');
    if (answer.get('connection') === 'close') wires[i] = await Wire.open(weir.url);
    return answer;
  }));
}

// --- who may

test('the token is asked for, and only a right one will do', async () => {
  for (const token of [null, 'wrong', weir.key, weir.token.slice(0, -1), `${weir.token}x`]) {
    const answer = await weir.call('GET', `${api}/units`, undefined, { token });
    assert.equal(answer.status, 401);
    assert.equal(typeof answer.json.error.code, 'string');
  }
  const mode = fs.statSync(`${weir.data}/admin.token`).mode & 0o777;
  assert.equal(mode, 0o600);
});

// --- units

test('units: made, read, listed, changed', async () => {
  assert.equal(department.kind, 'department');
  assert.equal(department.parent, org.id);
  const read = await weir.ask('GET', `${api}/units/${member.id}`);
  assert.equal(read.email, 'ada@x.org');
  assert.equal(read.name, 'Ada');
  assert.equal((await weir.ask('GET', `${api}/units/${org.id}`)).name, 'Acme "Ltd" é');
  const { data } = await weir.ask('GET', `${api}/units?parent=${department.id}`);
  assert.deepEqual(data.map((unit) => unit.id), [team.id]);
  const changed = await weir.ask('PATCH', `${api}/units/${member.id}`, { name: 'Ada L.' });
  assert.equal(changed.name, 'Ada L.');
  assert.equal(changed.email, 'ada@x.org');
  const skipping = await make({ kind: 'member', parent: org.id, name: 'Bob' });
  assert.equal(skipping.parent, org.id);
  const all = (await weir.ask('GET', `${api}/units`)).data.map((unit) => unit.id);
  for (const unit of [org, department, team, member, skipping]) assert.ok(all.includes(unit.id));
});

test('units: pages', async () => {
  const seen = [];
  for (let after = '';;) {
    const { data } = await weir.ask('GET', `${api}/units?limit=2${after}`);
    seen.push(...data.map((unit) => unit.id));
    if (data.length < 2) break;
    after = `&after=${data[1].id}`;
  }
  const { data } = await weir.ask('GET', `${api}/units?limit=500`);
  assert.deepEqual(seen, data.map((unit) => unit.id));
});

test('units: what is refused, and where', async () => {
  await refused('POST', '/units', { kind: 'team', name: 'x' }, 400, '/parent');
  await refused('POST', '/units', { kind: 'department', parent: team.id, name: 'x' }, 400,
                '/parent');
  await refused('POST', '/units', { kind: 'organization', parent: org.id, name: 'x' }, 400,
                '/parent');
  await refused('POST', '/units', { kind: 'squad', parent: org.id, name: 'x' }, 400, '/kind');
  await refused('POST', '/units', { kind: 'team', parent: org.id }, 400);
  await refused('POST', '/units', { kind: 'team', parent: org.id, name: 7 }, 400, '/name');
  const hint = await refused('POST', '/units', { kind: 'team', parent: org.id, nam: 'x' }, 400,
                             '/nam');
  assert.match(hint.message, /name/);
  await refused('POST', '/units', '{"kind":', 400);
  await refused('POST', '/units', '', 400);
  await refused('POST', '/units', '[]', 400);
  await refused('PATCH', `/units/${team.id}`, { parent: org.id }, 400, '/parent');
  await refused('PATCH', `/units/${team.id}`, { policy: { alow: [] } }, 400, '/policy/alow');
  await refused('PATCH', `/units/${team.id}`, { policy: { allow: [1] } }, 400, '/policy/allow/0');
  const words = await refused('PATCH', `/units/${team.id}`, { policy: { mode: 'costs' } }, 400,
                              '/policy/mode');
  assert.match(words.message, /balanced, cost, latency, availability/);
  await refused('PATCH', `/units/${team.id}`, { policy: { quality_floor: 1.5 } }, 400,
                '/policy/quality_floor');
  await refused('PATCH', `/units/${team.id}`, { policy: { regions: ['eu', ''] } }, 400,
                '/policy/regions/1');
  await refused('GET', '/units/org_none', undefined, 404);
  await refused('GET', '/nothing', undefined, 404);
  await refused('PUT', '/units', {}, 405);
  await refused('GET', '/units?limit=0', undefined, 400);
  await refused('GET', '/units?colour=red', undefined, 400);
  for (const where of ['/alerts', '/audit', '/approvals',
                       `/units/${org.id}/roles`]) {
    const error = await refused('GET', where, undefined, 404);
    assert.match(error.message, /not in this release/, where);
  }
});

test('units: deleted only when empty, or with all below', async () => {
  const top = await make({ kind: 'organization', name: 'Doomed' });
  const below = await make({ kind: 'member', parent: top.id, name: 'D' });
  const key = await newKey({ member: below.id });
  assert.equal((await everywhere(key.key)).status, 200);
  await refused('DELETE', `/units/${top.id}`, undefined, 409);
  await refused('DELETE', `/units/${below.id}`, undefined, 409);
  await weir.ask('DELETE', `${api}/units/${top.id}?recursive=1`);
  assert.equal((await everywhere(key.key)).status, 401, 'in effect on every core');
  for (const id of [top.id, below.id]) await refused('GET', `/units/${id}`, undefined, 404);
  await refused('GET', `/keys/${key.id}`, undefined, 404);
});

// --- keys

test('keys: the secret is shown once; expiry, change, deletion', async () => {
  const made = await newKey({ name: 'first' });
  assert.match(made.key, /^sk-weir-[A-Za-z0-9_-]{20,}$/);
  const read = await weir.call('GET', `${api}/keys/${made.id}`);
  assert.ok(!read.text.includes(made.key));
  assert.equal(read.json.name, 'first');
  assert.equal(read.json.member, member.id);
  const listed = await weir.call('GET', `${api}/keys?unit=${department.id}`);
  assert.ok(listed.json.data.some((key) => key.id === made.id));
  assert.ok(!listed.text.includes(made.key));
  assert.deepEqual((await weir.ask('GET', `${api}/keys?unit=${made.id}`)).data
    .map((key) => key.id), [made.id]);
  const mine = await (await weir.fetch('/v1/key', { key: made.key })).json();
  assert.deepEqual(mine.limits, []);
  assert.equal(mine.team, team.id);
  assert.equal((await weir.ask('PATCH', `${api}/keys/${made.id}`, { name: 'new' })).name, 'new');
  assert.equal((await everywhere(made.key)).status, 200);
  await weir.ask('DELETE', `${api}/keys/${made.id}`);
  assert.equal((await everywhere(made.key)).status, 401);
  await refused('POST', '/keys', { member: team.id, name: 'x' }, 400, '/member');
  await refused('POST', '/keys', { member: member.id, name: 'x',
                                   expires_at: '2001-01-01T00:00:00Z' }, 400, '/expires_at');
  const soon = new Date(Date.now() + 1200).toISOString();
  const brief = await newKey({ expires_at: soon });
  assert.equal((await everywhere(brief.key)).status, 200);
  await until(() => Date.now() > Date.parse(soon), 'its time');
  assert.equal((await everywhere(brief.key)).status, 401, 'expired');
});

test('keys: rotated at once, and with grace', async () => {
  const one = await newKey();
  const two = await weir.ask('POST', `${api}/keys/${one.id}/rotate`);
  assert.equal(two.id, one.id);
  assert.notEqual(two.key, one.key);
  assert.equal((await everywhere(one.key)).status, 401);
  assert.equal((await everywhere(two.key)).status, 200);
  const begin = Date.now();
  const three = await weir.ask('POST', `${api}/keys/${one.id}/rotate`, { grace: '2s' });
  assert.equal((await everywhere(three.key)).status, 200);
  if (Date.now() - begin < 1500) assert.equal((await everywhere(two.key)).status, 200, 'grace');
  await until(async () => (await everywhere(three.key)).status === 200 &&
                          Date.now() - begin > 2100, 'the grace ends');
  assert.equal((await everywhere(two.key)).status, 401);
});

test('policies: the narrowest of each level, in effect at once on every core', async () => {
  const key = await newKey();
  const allow = (where, policy) => weir.ask('PATCH', `${api}/${where}`, { policy });
  const levels = [`units/${org.id}`, `units/${department.id}`, `units/${team.id}`,
                  `units/${member.id}`, `keys/${key.id}`];
  for (const level of levels) {
    await allow(level, { allow: ['far/odd', 'far/t*'] });
    const no = await everywhere(key.key);
    assert.equal(no.status, 403, level);
    assert.equal(no.json.error.code, 'model_not_allowed');
    assert.equal((await everywhere(key.key, 'far/tiered')).status, 200, level);
    await allow(level, { allow: null });
    assert.equal((await everywhere(key.key)).status, 200, level);
    await allow(level, { deny: ['*/plain'] });
    assert.equal((await everywhere(key.key)).status, 403, level);
    assert.equal((await everywhere(key.key, 'far/odd')).status, 200, level);
    await weir.ask('PATCH', `${api}/${level}`, { policy: null });
    assert.equal((await everywhere(key.key)).status, 200, level);
  }
  await allow(levels[0], { allow: ['far/plain', 'far/odd'] });
  await allow(levels[4], { deny: ['far/odd'] });
  const ids = (await (await weir.fetch('/v1/models', { key: key.key })).json()).data
    .map((model) => model.id);
  assert.deepEqual(ids, ['far/plain'], 'both levels hold; /v1/models shows what is left');
  for (const level of levels) await weir.ask('PATCH', `${api}/${level}`, { policy: null });
});

// --- rows and usage

// One request; gives its row and what it must have cost.
async function pay(key, model, tokens, { stream = false, tags, path = 'chat/completions' } = {}) {
  usage = tokens;
  const body = path === 'embeddings'
    ? { model: `far/${model}`, input: 'x' }
    : { model: `far/${model}`, stream, messages: [{ role: 'user', content: 'x' }] };
  const answer = await weir.fetch(`/v1/${path}`, {
    key: key.key, body, headers: tags ? { 'x-weir-tags': tags } : {} });
  assert.equal(answer.status, 200);
  await answer.text();
  const want = cost(prices[model], tokens);
  if (!stream) assert.equal(nano(answer.headers.get('x-weir-cost-usd')), want);
  return { id: answer.headers.get('x-request-id'), want, model, tokens, stream, tags };
}

test('rows: exact costs, tokens, path, tags', async () => {
  const key = await newKey({ name: 'payer' });
  const next = seeded(42);
  const paid = [];
  const models = ['plain', 'odd', 'nocache', 'tiered', 'free'];
  for (let i = 0; i < 30; i++) {
    const prompt = [1, 999, 1000, 1001, 123457][i % 5] + next() % 3;
    const tokens = { prompt_tokens: prompt, completion_tokens: next() % 4000, total_tokens: 0,
                     prompt_tokens_details: { cached_tokens: next() % (prompt + 1) },
                     completion_tokens_details: { reasoning_tokens: 0 } };
    tokens.completion_tokens_details.reasoning_tokens =
      Math.floor(tokens.completion_tokens / 2);
    paid.push(await pay(key, models[i % 5], tokens, {
      stream: i % 2 === 1, tags: i % 3 ? `job=${i % 2},app=box` : undefined }));
  }
  paid.push(await pay(key, 'plain', { prompt_tokens: 12, total_tokens: 12 },
                      { path: 'embeddings' }));
  for (const p of paid) {
    const row = await weir.row(p.id);
    const about = JSON.stringify([p.model, p.tokens, row], (_, v) =>
      (typeof v === 'bigint' ? String(v) : v));
    const cached = p.tokens.prompt_tokens_details?.cached_tokens ?? 0;
    assert.equal(nano(row.cost_usd), p.want, about);
    assert.equal(row.input_tokens, p.tokens.prompt_tokens - cached, about);
    assert.equal(row.cached_tokens, cached, about);
    assert.equal(row.output_tokens, p.tokens.completion_tokens ?? 0, about);
    assert.equal(row.reasoning_tokens,
                 p.tokens.completion_tokens_details?.reasoning_tokens ?? 0, about);
    assert.equal(row.model, `far/${p.model}`);
    assert.equal(row.provider, 'far');
    assert.equal(row.stream, p.stream);
    assert.equal(row.status, 200);
    assert.equal(row.close, 'done');
    assert.equal(row.attempts, 1);
    assert.equal(row.estimated, false);
    assert.equal(row.mode, 'balanced');
    assert.ok(row.gain >= 0 && row.gain <= 1, about);
    assert.deepEqual([row.organization, row.department, row.team, row.member, row.key],
                     [org.id, department.id, team.id, member.id, key.id]);
    assert.deepEqual(row.tags, p.tags ? Object.fromEntries(p.tags.split(',')
      .map((tag) => tag.split('='))) : {});
    assert.ok(Math.abs(Date.parse(row.time) - Date.now()) < 60000, row.time);
    assert.match(row.time, /Z$/);
    assert.ok(row.duration_ms > 0 && row.ttft_ms > 0, about);
  }
});

test('a failed request has a row too; usage groupings add up to the rows', async () => {
  const failed = await weir.chat({ model: 'far/fails' });
  assert.equal(failed.status, 502);
  const row = await weir.row(failed.header('x-request-id'));
  assert.equal(row.status, 502);
  assert.equal(nano(row.cost_usd), 0n);
  const rows = await weir.rows();
  const sum = (list, of) => list.reduce((total, one) => total + of(one), 0n);
  const check = (group, mine) => {
    assert.equal(group.requests, mine.length);
    assert.equal(nano(group.cost_usd), sum(mine, (r) => nano(r.cost_usd)));
    for (const kind of ['input_tokens', 'cached_tokens', 'output_tokens']) {
      assert.equal(BigInt(group[kind]), sum(mine, (r) => BigInt(r[kind])), kind);
    }
    assert.equal(group.errors, mine.filter((r) => r.status >= 400).length);
  };
  const get = (query) => weir.ask('GET', `${api}/usage?${query}`);
  const total = (await get('')).data;
  assert.equal(total.length, 1);
  check(total[0], rows);
  for (const column of ['organization', 'department', 'team', 'member', 'key', 'model',
                        'provider']) {
    const { data } = await get(`group_by=${column}`);
    const values = new Set(rows.map((r) => r[column]));
    assert.equal(data.length, values.size, column);
    for (const group of data) check(group, rows.filter((r) => r[column] === group[column]));
  }
  for (const [column, length] of [['hour', 13], ['day', 10], ['month', 7]]) {
    const { data } = await get(`group_by=${column}`);
    const start = (r) => r.time.slice(0, length);
    assert.equal(data.length, new Set(rows.map(start)).size);
    for (const group of data) {
      check(group, rows.filter((r) => start(r) === group[column].slice(0, length)));
    }
  }
  const both = (await get('group_by=team,model')).data;
  for (const group of both) {
    check(group, rows.filter((r) => r.team === group.team && r.model === group.model));
  }
  assert.ok(both.some((group) => group.team_name === 'Core'));
  const tags = (await get('group_by=tag')).data;
  const app = tags.find((group) => group.tag === 'app=box');
  check(app, rows.filter((r) => r.tags.app === 'box'));
  check((await get(`unit=${team.id}`)).data[0], rows.filter((r) => r.team === team.id));
  const future = new Date(Date.now() + 86400e3).toISOString();
  assert.ok((await get(`from=${future}`)).data.every((group) => group.requests === 0));
  check((await get(`to=${future}`)).data[0], rows);
  const own = await weir.rows(`&unit=${department.id}`);
  assert.deepEqual(own.map((r) => r.id),
                   rows.filter((r) => r.department === department.id).map((r) => r.id));
  await refused('GET', '/usage?group_by=colour', undefined, 400);
  for (const query of ['format=csv', 'format=pdf']) {
    const error = await refused('GET', `/usage?${query}`, undefined, 400);
    assert.match(error.message, /not in this release/);
  }
});

test('requests: newest first, pages without a gap, from and to', async () => {
  const rows = await weir.rows();
  const times = rows.map((row) => Date.parse(row.time));
  assert.deepEqual(times, [...times].sort((x, y) => y - x));
  const paged = [];
  for (let after = '';;) {
    const { data } = await weir.ask('GET', `${api}/requests?limit=7${after}`);
    paged.push(...data.map((row) => row.id));
    if (data.length < 7) break;
    after = `&after=${data.at(-1).id}`;
  }
  assert.deepEqual(paged, rows.map((row) => row.id));
  assert.equal(new Set(paged).size, paged.length);
  const middle = rows[Math.floor(rows.length / 2)].time;
  const newer = await weir.rows(`&from=${middle}`);
  const older = await weir.rows(`&to=${middle}`);
  assert.equal(newer.length + older.length, rows.length);
});

test('usage.cost where the request includes usage', async () => {
  usage = { prompt_tokens: 1000, completion_tokens: 10, total_tokens: 1010 };
  const whole = await weir.chat({ model: 'far/odd', usage: { include: true } });
  const want = Number(cost(prices.odd, usage)) / 1e9;
  assert.equal(whole.json.usage.cost, want);
  assert.equal(far.requests.at(-1).json.usage, undefined);
  const stream = await weir.chat({ model: 'far/odd', stream: true, usage: { include: true } });
  const events = stream.text.split('\n\n').filter((e) => e.startsWith('data: {'))
    .map((e) => JSON.parse(e.slice(6)));
  assert.deepEqual(events.filter((e) => e.usage).map((e) => e.usage.cost), [want]);
});

test('feedback: only this key\'s own requests', async () => {
  const answer = await weir.chat({ model: 'far/plain' });
  const id = answer.header('x-request-id');
  await weir.row(id);
  const send = (body, key) => weir.fetch('/v1/feedback', { body, key });
  assert.equal((await send({ request_id: id, score: 0.75 })).status, 204);
  assert.equal((await send({ request_id: 'req_nobody', score: 1 })).status, 404);
  const other = await newKey();
  assert.equal((await send({ request_id: id, score: 1 }, other.key)).status, 404);
  for (const bad of [{ request_id: id }, { request_id: id, score: 1.5 },
                     { request_id: id, score: 'good' }, { score: 1 }]) {
    assert.equal((await send(bad)).status, 400, JSON.stringify(bad));
  }
  const rows = (await weir.rows()).filter((row) => row.request_id === id);
  assert.equal(rows.length, 1, 'feedback is no request');
});

// --- live

test('events: a row for each request, rates each second', async () => {
  const wire = await Wire.open(weir.admin);
  await wire.send(`GET ${api}/events HTTP/1.1\r\nHost: x\r\n` +
                  `Authorization: Bearer ${weir.token}\r\n\r\n`);
  const head = (await within(wire.intake.until(Buffer.from('\r\n\r\n')), 'events')).toString();
  assert.match(head, /^HTTP\/1\.1 200 /);
  assert.match(head, /text\/event-stream/i);
  const answer = await weir.chat({ model: 'far/plain' });
  let text = '';
  await until(async () => {
    text += wire.intake.cut(wire.intake.length).toString();
    return text.includes(answer.header('x-request-id')) && text.includes('requests_per_s');
  }, 'a row and rates');
  const event = text.split('\n\n').find((e) => e.includes(answer.header('x-request-id')));
  const row = JSON.parse(/^data: (.*)$/m.exec(event)[1]);
  assert.deepEqual(row, await weir.row(answer.header('x-request-id')));
  wire.close();
});

test('metrics, health, the page, openapi', async () => {
  const text = await weir.metrics();
  for (const name of ['weir_requests_total', 'weir_request_duration_seconds', 'weir_ttft_seconds',
                      'weir_tokens_total', 'weir_cost_usd_total', 'weir_attempts_total',
                      'weir_closes_total', 'weir_refusals_total', 'weir_open_exchanges',
                      'weir_open_connections', 'weir_breaker_state', 'weir_ledger_lag_seconds',
                      'weir_core_busy_ratio', 'gen_ai_client_operation_duration_seconds',
                      'gen_ai_client_token_usage']) {
    const line = new RegExp(`^${name}(_bucket|_count)?(\\{[^}]*\\})? [0-9.eE+-]+$`, 'm');
    assert.match(text, line, name);
  }
  for (const line of text.trim().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .*|[a-z_:]+(\{([a-z_]+="[^"\n]*",?)*\})? \S+)$/);
  }
  const rows = await weir.rows();
  const good = rows.filter((row) => row.model === 'far/plain' && row.status === 200).length;
  assert.match(text, new RegExp(`^weir_requests_total\\{provider="far",model="[^"]*plain",` +
                                `status="200"\\} ${good}$`, 'm'));
  for (const base of [weir.url, weir.admin]) {
    for (const where of ['/healthz', '/readyz']) {
      assert.equal((await fetch(base + where)).status, 200, base + where);
    }
  }
  const page = await fetch(`${weir.admin}/`);
  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type'), /^text\/html/);
  assert.match(await page.text(), /weir/i);
  const open = await weir.ask('GET', `${api}/openapi.json`);
  assert.match(open.openapi, /^3\.1\./);
  for (const path of ['/admin/v1/units', '/admin/v1/keys/{id}/rotate', '/admin/v1/requests']) {
    assert.ok(open.paths[path], path);
  }
  const providers = (await weir.ask('GET', `${api}/providers`)).data;
  assert.deepEqual(providers.map((p) => p.name), ['far']);
  assert.ok(!JSON.stringify(providers).includes('sk-far'));
  const models = (await weir.ask('GET', `${api}/models`)).data.map((m) => m.id);
  for (const name of Object.keys(prices)) assert.ok(models.includes(`far/${name}`), name);
});

test('an idle process is healthy all the time', async () => {
  for (const end = Date.now() + 2200; Date.now() < end; await pause(5)) {
    for (const base of [weir.url, weir.admin]) {
      const answer = await fetch(`${base}/healthz`);
      assert.equal(answer.status, 200, await answer.text());
    }
  }
});

// --- repeated POSTs

test('Idempotency-Key: the same again is not done again', async () => {
  const options = { headers: { 'idempotency-key': 'abc-1' } };
  const body = { kind: 'team', parent: org.id, name: 'once' };
  const one = await weir.call('POST', `${api}/units`, body, options);
  const two = await weir.call('POST', `${api}/units`, body, options);
  assert.equal(one.status, 201);
  assert.equal(two.status, 201);
  assert.equal(two.json.id, one.json.id);
  const { data } = await weir.ask('GET', `${api}/units?parent=${org.id}`);
  assert.equal(data.filter((unit) => unit.name === 'once').length, 1);
  const other = await weir.call('POST', `${api}/units`, { ...body, name: 'twice' }, options);
  assert.ok([400, 409].includes(other.status), 'another body under the same key');
});

// --- reload

test('reload: a good file takes effect, a bad one is refused whole', async () => {
  const key = await newKey();
  assert.equal((await everywhere(key.key, 'far/new')).status, 404);
  const more = { ...config, models: [...config.models,
                                     { id: 'far/new', price: { input: '1', output: '1' } }] };
  weir.config(more);
  await weir.ask('POST', `${api}/reload`);
  assert.equal((await everywhere(key.key, 'far/new')).status, 200, 'on every core');
  weir.config({ ...more, routing: { max_attemps: 3 } });
  const error = await refused('POST', '/reload', undefined, 400);
  assert.match(error.message, /weir\.yaml:\d+:\d+: error: /);
  assert.match(error.message, /max_attemps/);
  assert.match(error.message, /max_attempts/, 'the nearest known name');
  assert.equal((await everywhere(key.key, 'far/new')).status, 200, 'the old one stays');
  weir.signal('SIGHUP');
  await until(() => /reload refused/.test(weir.run.stderr.slice(-400)), 'SIGHUP refuses it too');
  assert.match(weir.run.stderr, /max_attemps/);
  weir.config(config);
  weir.signal('SIGHUP');
  await until(async () => (await asked(key.key, 'far/new')).every((a) => a.status === 404),
              'SIGHUP takes a good one');
  weir.config({ ...config, cores: 1, data: '/elsewhere' });
  await weir.ask('POST', `${api}/reload`);
  await until(() => /cores: needs a restart/.test(weir.run.stderr), 'what needs a restart');
});

test('it ends cleanly', async () => {
  for (const wire of wires) wire.close();
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
