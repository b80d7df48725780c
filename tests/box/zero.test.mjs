// zero.test.mjs - zero retention: no prompt, no answer, no query string, no cookie, no key is
// in DATA, in the log, in the metrics, in what the admin API tells; not even when it all breaks.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { until, Weir } from './lib/weir.mjs';

// Canaries: one for each thing that must leave no trace.
const canary = Object.fromEntries(['prompt', 'answer', 'error', 'query', 'cookie', 'tool', 'upkey',
                                   'upheader', 'guess', 'field', 'username'].map((name) =>
  [name, `CANARY${name.toUpperCase()}x9q8z7`]));
const upKey = `sk-${canary.upkey}`;

const far = await provider(async (call) => {
  switch (call.model) {
    case 'refuses': return call.error(400, `no: ${canary.error}`, canary.error);
    case 'denies': return call.error(401, `bad key ${upKey} ${canary.error}`);
    case 'fails': return call.error(500, canary.error);
    case 'garbles': return call.json(`{"x":"${canary.answer}`);
    case 'errs':
    case 'resets':
    case 'hangs':
      await call.begin({ 'x-secret': canary.upheader });
      await call.event(delta({ role: 'assistant', content: canary.answer }));
      if (call.model === 'errs') return call.event({ error: { message: canary.error } });
      return call.model === 'resets' ? call.reset() : call.over;
    default:
      return call.request.json.stream ? call.stream([canary.answer, canary.answer])
                                      : call.json(chat(canary.answer));
  }
});
const names = ['good', 'refuses', 'denies', 'fails', 'garbles', 'errs', 'resets', 'hangs'];
const config = {
  providers: [{ name: 'far', url: far.url, keys: [upKey] }],
  models: names.map((name) => ({ id: `far/${name}`, price: { input: '1', output: '1' } })),
  log: { level: 'debug' },
};
const weir = await Weir.start(config);
const body = (model, more = {}) => ({
  model: `far/${model}`, user: canary.username, [canary.field]: canary.field,
  messages: [{ role: 'user', content: canary.prompt }],
  tools: [{ type: 'function', function: { name: canary.tool, parameters: {} } }], ...more });
const headers = { cookie: `c=${canary.cookie}` };
const where = `/v1/chat/completions?q=${canary.query}`;
let made;

test('requests of every kind: good, refused, failed, broken, aborted', async () => {
  const send = async (b, options = {}) => {
    const answer = await weir.fetch(where, { body: b, headers, ...options });
    await answer.text();
    return answer.status;
  };
  for (const stream of [false, true]) {
    assert.equal(await send(body('good', { stream })), 200);
    assert.equal(await send(body('refuses', { stream })), 400);
    assert.equal(await send(body('fails', { stream })), 502);
    assert.equal(await send(body('garbles', { stream })), 502);
  }
  for (const model of ['errs', 'resets']) {
    assert.equal(await send(body(model, { stream: true })), 200);
  }
  assert.equal(await send(body('nosuch')), 404);
  assert.equal(await send(`{"model":"far/good","messages":"${canary.prompt}`), 400);
  assert.equal(await send(body('good', { stream: canary.prompt })), 400);
  assert.equal(await send(body('good'), { key: `sk-weir-${canary.guess}` }), 401);
  assert.equal((await weir.fetch(`/v1/${canary.query}?${canary.query}`)).status, 404);
  assert.equal((await weir.call('GET', `/admin/v1/units?limit=1`, undefined,
                                { token: canary.guess })).status, 401);
  for (let i = 0; i < 2; i++) {  // the client leaves, once with a reset
    const wire = await Wire.open(weir.url);
    await wire.send(post(where, weir.key, body('hangs', { stream: true })));
    await wire.intake.until(Buffer.from(canary.answer));
    if (i) wire.reset(); else wire.close();
  }
  const broken = await Wire.open(weir.url);
  await broken.send(post(where, weir.key, body('good')).subarray(0, -20));
  broken.reset();
  const head = await Wire.open(weir.url);
  await head.send(`GET /v1/models HTTP/1.1\r\nHost: x\r\nX-A: ${canary.prompt}\nB\r\n\r\n`);
  assert.equal((await head.answer()).status, 400);
  head.close();
  assert.equal(await send(body('denies')), 502);   // last: the key rests after it
  const { data } = await weir.ask('GET', '/admin/v1/units');
  made = await weir.ask('POST', '/admin/v1/keys', {
    member: data.find((unit) => unit.kind === 'member').id, name: 'second' },
    { headers: { 'idempotency-key': 'zero-1' } });
  await until(async () => (await weir.rows()).filter((row) => row.close === 'client_gone')
    .length >= 2, 'all are booked');
});

function everyFile(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(dir, entry.name);
    return entry.isDirectory() ? everyFile(at) : [at];
  });
}

// None of the canaries and keys, plain or in any simple disguise.
function none(bytes, about, secrets) {
  const data = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  for (const secret of secrets) {
    const bare = Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(2, -2);
    for (const form of [secret, bare, Buffer.from(secret).toString('hex'),
                        encodeURIComponent(secret)]) {
      assert.equal(data.indexOf(form), -1, `${about} holds ${secret} (as ${form})`);
    }
    const wide = Buffer.from(secret, 'utf16le');
    assert.equal(data.indexOf(wide), -1, `${about} holds ${secret} in UTF-16`);
  }
}

const secrets = () => [...Object.values(canary), weir.key, made.key];

test('nothing of it in what Weir tells', async () => {
  const pages = ['/metrics', '/', '/healthz'];
  for (const page of pages) none((await weir.call('GET', page)).text, page, secrets());
  for (const call of ['units', 'keys', 'requests?limit=500', 'usage?group_by=model,key,tag',
                      'providers', 'models', 'openapi.json']) {
    const answer = await weir.call('GET', `/admin/v1/${call}`);
    assert.equal(answer.status, 200, call);
    none(answer.text, call, secrets());
  }
});

test('nothing of it in DATA or the log: running, after kill -9, after a clean end', async () => {
  const look = (about, run) => {
    const files = everyFile(weir.data);
    assert.ok(files.length >= 4, files.join());
    for (const file of files) none(fs.readFileSync(file), `${about}: ${file}`, secrets());
    none(run.run.stderr, `${about}: stderr`, secrets());
    const first = `first start: made an organization, a member and a key: ${weir.key}`;
    none(run.run.stdout.replace(first, ''), `${about}: stdout`, secrets());
  };
  look('running', weir);
  assert.ok(weir.run.stdout.split('\n').length > 15, 'there is a log to look at');
  const wire = await Wire.open(weir.url);
  await wire.send(post(where, weir.key, body('good')));
  await wire.answer();
  await weir.kill();
  look('killed', weir);
  const again = await Weir.start(config, { data: weir.data, key: weir.key });
  assert.equal((await again.chat(body('good'))).status, 200);
  await again.stop();
  look('ended', again);
  assert.deepEqual(far.faults, []);
});
