// zero.test.mjs - zero retention: no prompt, no answer, no query string, no cookie, no key is
// in DATA, in the log, in the metrics, in what the admin API tells; not even when it all breaks.
// What is left in memory is looked at in zero_memory.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { canary, disguised, keyMarks, marks, Yard } from './lib/canary.mjs';
import { post, Wire } from './lib/wire.mjs';
import { pause, until, Weir, within } from './lib/weir.mjs';

const yard = await Yard.open();
test.after(() => yard.close());

function everyFile(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(dir, entry.name);
    return entry.isDirectory() ? everyFile(at) : [at];
  });
}

function none(bytes, about, words) {
  const data = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  for (const word of words) {
    const at = data.indexOf(word);
    if (at < 0) continue;
    assert.fail(`${about}: ${JSON.stringify(data.subarray(Math.max(0, at - 60), at + 90).toString('latin1'))}`);
  }
}

// All that must not be there, in any disguise: what clients and providers said, provider keys,
// client keys, the admin token.
const forbidden = (weir, keys) => [...marks, ...keyMarks,
                                   ...[weir.token, ...keys].flatMap(disguised)];

// Everything a Weir ever wrote.
function look(about, weir, keys) {
  const words = forbidden(weir, keys);
  const files = everyFile(weir.data).filter((file) => path.basename(file) !== 'admin.token');
  assert.ok(files.length >= 3, files.join());
  for (const file of files) none(fs.readFileSync(file), `${about}: ${file}`, words);
  none(weir.run.stderr, `${about}: stderr`, words);
  const first = `first start: made an organization, a member and a key: ${weir.key}`;
  none(weir.run.stdout.replace(first, ''), `${about}: stdout`, words);
}

// Rows and rates as they come, until stop().
async function listen(weir) {
  const gone = new AbortController();
  const heard = { text: '', stop: () => gone.abort() };
  const answer = await fetch(`${weir.admin}/admin/v1/events`, {
    headers: { authorization: `Bearer ${weir.token}` }, signal: gone.signal });
  (async () => {
    for await (const part of answer.body) heard.text += Buffer.from(part).toString();
  })().catch(() => {});
  return heard;
}

for (const format of ['text', 'json']) {
  test(`requests of every kind, log: ${format}: nothing of them is told or written`, async () => {
    const config = yard.config({ log: { format, level: 'debug' } });
    const weir = await Weir.start(config, { env: yard.env });
    const heard = await listen(weir);
    const seen = await yard.everything(weir);
    for (const status of [200, 400, 401, 404, 413, 431, 502, 504]) {
      assert.ok(seen[status] > 0, `${status} is among the answers: ${JSON.stringify(seen)}`);
    }
    const { data } = await weir.ask('GET', '/admin/v1/units');
    const member = data.find((unit) => unit.kind === 'member').id;
    const make = () => weir.ask('POST', '/admin/v1/keys', { member, name: 'second' },
                                { headers: { 'idempotency-key': 'zero-1' } });
    const made = await make();
    assert.equal((await make()).id, made.id, 'the answer is repeated');
    const turned = await weir.ask('POST', `/admin/v1/keys/${made.id}/rotate`, { grace: '1h' });
    const keys = [weir.key, made.key, turned.key];
    await until(async () => {
      const closes = new Set((await weir.rows()).map((row) => row.close));
      return ['client_gone', 'upstream_failed', 'done', 'body_slow'].every((c) => closes.has(c));
    }, 'all is booked');
    const words = forbidden(weir, keys);
    for (const page of ['/metrics', '/', '/healthz', '/readyz']) {
      none((await weir.call('GET', page)).text, page, words);
    }
    for (const call of ['units', 'keys', 'requests?limit=500', 'usage?group_by=model,key,tag',
                        'providers', 'models', 'routes', 'audit', 'openapi.json']) {
      none((await weir.call('GET', `/admin/v1/${call}`)).text, call, words);
    }
    assert.match(heard.text, /canary/, 'rows with their tags were heard');
    none(heard.text, 'events', words);
    heard.stop();
    assert.ok(weir.run.stdout.split('\n').length > 80, 'there is a log to look at');
    look('running', weir, keys);
    yard.leave();

    // kill -9 and a second SIGTERM, both in the middle of streams.
    const amid = async (run) => {
      for (const stream of [true, false]) {
        const wire = await Wire.open(run.url);
        await wire.send(post('/v1/chat/completions', run.key,
                             yard.request('next/hangs', { stream })));
        if (stream) await wire.intake.until(Buffer.from(canary('two')));
        else await pause(50);
      }
    };
    await amid(weir);
    await weir.kill();
    look('killed', weir, keys);
    const again = await Weir.start(config, { data: weir.data, key: weir.key, env: yard.env });
    await amid(again);
    again.signal('SIGTERM');
    await until(async () => (await fetch(`${again.admin}/readyz`)).status === 503, 'it drains');
    again.signal('SIGTERM');
    await within(again.run.ended, 'the end');
    assert.equal(again.run.status, 0, again.run.stderr);
    look('ended', again, keys);
  });
}

test('what Weir forwarded was well-formed', () => assert.deepEqual(yard.far.faults, []));
