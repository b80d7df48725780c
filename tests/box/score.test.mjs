// score.test.mjs - weir explain --score: one gain a line in input order, however the request is
// written; labels teach their tenant and nobody else; a wrong line is told with its number.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { command, directory } from './lib/weir.mjs';

const dir = directory();
let serial = 0;

function file(text) {
  const name = path.join(dir, `score-${serial++}`);
  fs.writeFileSync(name, text);
  return name;
}

const lines = (list) => file(list.map((line) => JSON.stringify(line) + '\n').join(''));

// The rows of a run, as [id, gain].
async function scores(list, ...more) {
  const run = await command(['explain', '--score', lines(list), ...more]);
  assert.equal(run.status, 0, run.stderr);
  return run.stdout.trimEnd().split('\n').map((row) => {
    assert.match(row, /^[^\t]+\t[01]\.\d{6}$/);
    const [id, gain] = row.split('\t');
    return [id, Number(gain)];
  });
}

const proof = 'Prove that the sum of 2 odd integers is even.';
const fact = 'Who wrote The Trial?';

test('a gain a line, in order, the same however the request is written', async () => {
  const messages = [{ role: 'user', content: proof }];
  const rows = await scores([
    { id: 'b', prompt: proof }, { id: 'a', prompt: fact }, { id: 7, messages },
    { id: 'body', body: { model: 'auto', messages } },
    { id: 'text', body: JSON.stringify({ model: 'x', messages }) },
    { id: 'parts', messages: [{ role: 'system', content: 'Be brief.' },
                              { role: 'user', content: [{ type: 'text', text: proof }] }] },
    { id: 'empty', prompt: '', extra: [1] },
  ]);
  assert.deepEqual(rows.map(([id]) => id), ['b', 'a', '7', 'body', 'text', 'parts', 'empty']);
  const [b, a, ...same] = rows.map(([, gain]) => gain);
  assert.ok(b > a + 0.1, `${b} ${a}`);
  for (const gain of same.slice(0, 4)) assert.equal(gain, b);
  assert.ok(a > 0 && b < 1);
});

test('tools are an array, or a string that holds one', async () => {
  const tools = [{ name: 'get_weather', description: 'of a place', parameters: {} }];
  const prompt = 'weather for Paris and London';
  const rows = await scores([{ id: 'array', prompt, tools },
    { id: 'string', prompt, tools: JSON.stringify(tools) },
    { id: 'none', prompt }, { id: 'null', prompt, tools: null }, { id: 'no', prompt, tools: '' }]);
  const gain = Object.fromEntries(rows);
  assert.equal(gain.array, gain.string);
  assert.notEqual(gain.array, gain.none);
  assert.equal(gain.null, gain.none);
  assert.equal(gain.no, gain.none);
});

test('labels teach the tenant they name, and nobody else', async () => {
  const list = [], labels = [];
  for (let i = 0; i < 60; i++) {
    list.push({ id: `law${i}`, prompt: `The court heard the plaintiff and the law of case ${i}` });
    list.push({ id: `cat${i}`, prompt: `The cat saw the mouse and the cheese of house ${i}` });
    labels.push(`law${i}\tone\t0.9\n`, `cat${i}\tone\t-0.1\n`);
  }
  const law = 'The court and the defendant: what does the law say?';
  list.push({ id: 'member', prompt: law, tenant: 'one' }, { id: 'other', prompt: law, tenant: 'two' },
            { id: 'nobody', prompt: law });
  const before = Object.fromEntries(await scores(list));
  const after = Object.fromEntries(await scores(list, '--learn', file(labels.join(''))));
  assert.ok(after.law3 > before.law3 + 0.2 && after.law3 > after.cat3 + 0.4);
  assert.ok(after.member > before.member + 0.2);
  assert.equal(after.other, before.other);
  assert.equal(after.nobody, before.nobody, 'there are two tenants');
  const alone = list.filter((line) => line.id !== 'other' && line.id !== 'member');
  const only = Object.fromEntries(await scores(alone, '--learn', file(labels.join(''))));
  assert.equal(only.nobody, after.member, 'the only tenant there is');
});

test('a wrong line is told with its number, and nothing is printed', async () => {
  const good = '{"id":"a","prompt":"x"}\n';
  for (const [bad, why] of [
    ['[]', /not an object/], ['{"id":"b"', /error: /], ['{"prompt":"x"}', /no "id"/],
    ['{"id":"b"}', /prompt/], ['{"id":"b","prompt":1}', /prompt/],
    ['{"id":"b","prompt":"x","messages":[]}', /one of/], ['{"id":"b","prompt":"x","tools":3}', /tools/],
    ['{"id":"b","prompt":"x","prompt":"y"}', /twice/], ['{"id":"","prompt":"x"}', /id/],
    ['{"id":"b\\t","prompt":"x"}', /id/], ['{"id":"b","body":{"messages":[]}}', /model/],
    ['{"id":"b","prompt":"x","tools":"nonsense"}', /error: /], ['nothing', /error: /],
    ['{"id":"b","body":{"model":"m","messages":[]},"tools":[]}', /beside/],
  ]) {
    const name = file(good + '\n' + bad + '\n' + good);
    const run = await command(['explain', '--score', name]);
    assert.equal(run.status, 1, bad);
    assert.equal(run.stdout, '', bad);
    assert.ok(run.stderr.startsWith(`${name}:3: error: `), run.stderr);
    assert.match(run.stderr, why, bad);
  }
  for (const row of ['a\tt', 'a\tt\t2', 'a\tt\tx', 'a\tt\t0.5\tmore', 'b\tt\t0.5', 'a\t\t0.5',
                     'a\tt\tnan', 'a t 0.5']) {
    const labels = file(`a\tt\t0.5\n${row}\n`);
    const run = await command(['explain', '--score', file(good), '--learn', labels]);
    assert.equal(run.status, 1, row);
    assert.equal(run.stdout, '', row);
    assert.ok(run.stderr.startsWith(`${labels}:2: error: `), run.stderr);
  }
});

test('usage', async () => {
  for (const args of [['--score'], ['--learn', 'x'], ['--score', 'x', '--learn'],
                      ['--score', 'x', '--json'], ['--score', 'x', '--score', 'y'],
                      ['--score', 'x', '--learn', '-']]) {
    assert.equal((await command(['explain', ...args])).status, 2, args.join(' '));
  }
  const run = await command(['explain', '--score', path.join(dir, 'missing')]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /cannot be read/);
});
