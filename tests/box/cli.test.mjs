// cli.test.mjs - the commands, their exit statuses (0 good, 1 failed, 2 usage), what a wrong
// file is told, and that nothing is accepted and ignored: what this release has not says so.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { command, directory, Weir } from './lib/weir.mjs';

const dir = directory();
let serial = 0;

function file(text) {
  const name = path.join(dir, `weir-${serial++}.yaml`);
  fs.writeFileSync(name, text);
  return name;
}

const check = (text, env) => command(['check', '-c', file(text)], { env });

test('check: good files', async () => {
  const good = ['', '# nothing\n', 'listen: ["127.0.0.1:0"]\n',
                'providers:\n  - name: local\n    url: http://127.0.0.1:9/v1\n' +
                '    keys: ["${A_KEY}"]\nmodels:\n  - id: local/m\n' +
                '    price: {input: "0.10", output: "0.30"}\naliases: {fast: local/m}\n',
                `data: "\${file:${file('somewhere\n')}}"\n`];
  for (const text of good) {
    const run = await check(text, { A_KEY: 'sk-1' });
    assert.equal(run.status, 0, text + run.stderr);
    assert.equal(run.stdout, 'ok\n');
  }
  assert.equal((await command(['check'])).status, 0, 'no file is needed');
});

test('check: file:line:col, the line, a caret, the nearest name; up to 20', async () => {
  const run = await check('listen: ["127.0.0.1:0"]\nlimits:\n  boddy: 1MiB\n  header: lots\n');
  assert.equal(run.status, 1);
  assert.equal(run.stdout, '');
  const lines = run.stderr.split('\n');
  const at = lines.findIndex((line) => /weir-\d+\.yaml:3:3: error: .*boddy/.test(line));
  assert.ok(at >= 0, run.stderr);
  assert.match(lines.slice(at, at + 3).join('\n'), /body/, 'the nearest known name');
  assert.match(lines[at + 1], /^\s*(\d+ \|)?\s*boddy: 1MiB$/);
  assert.match(lines[at + 2], /\^/);
  assert.equal(lines[at + 2].indexOf('^'), lines[at + 1].indexOf('boddy'), run.stderr);
  assert.match(run.stderr, /:4:11: error: .*lots/);
  const many = await check(Array.from({ length: 30 }, (_, i) => `wrong${i}: 1\n`).join(''));
  assert.equal(many.status, 1);
  assert.equal(many.stderr.match(/: error: /g).length, 20);
});

test('check: each kind of mistake is one', async () => {
  const local = 'providers: [{name: local, url: "http://127.0.0.1:9/v1"}]\n';
  const wrong = {
    'a repeated key': 'cores: 1\ncores: 2\n',
    'a wrong type': 'cores: [1]\n',
    'out of range': 'cores: 9999\n',
    'not a word of the list': 'log: {level: loud}\n',
    'an unset variable': 'data: "${WEIR_NO_SUCH}"\n',
    'a missing file': 'data: "${file:/no/such/file}"\n',
    'an unknown provider': `${local}models: [{id: other/m}]\n`,
    'a repeated model': `${local}models: [{id: local/m}, {id: local/m}]\n`,
    'a repeated provider': 'providers: [{name: local, url: "http://a/v1"}, ' +
                           '{name: local, url: "http://b/v1"}]\n',
    'a price that is a float': `${local}models: [{id: local/m, price: {input: "1e-3"}}]\n`,
    'a negative price': `${local}models: [{id: local/m, price: {input: "-1"}}]\n`,
    'bad YAML': 'listen: [\n', 'a tab': '\tlisten: x\n', 'a bad url':
      'providers: [{name: local, url: "ftp://x/v1"}]\n',
    'a bad duration': 'drain: soon\n', 'two documents': 'cores: 1\n---\ncores: 2\n',
  };
  for (const [name, text] of Object.entries(wrong)) {
    const run = await check(text);
    assert.equal(run.status, 1, `${name}: ${run.stdout}`);
    assert.match(run.stderr, /weir-\d+\.yaml:\d+:\d+: error: \S/, name);
  }
  assert.match((await check('log: {level: loud}\n')).stderr, /error.*warn.*info.*debug/);
  const missing = await command(['check', '-c', '/no/such/weir.yaml']);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /weir\.yaml/);
});

test('check: what a variable holds is never quoted', async () => {
  const run = await check('drain: "${A_SECRET}"\n', { A_SECRET: 'sk-very-secret' });
  assert.equal(run.status, 1);
  assert.doesNotMatch(run.stderr, /sk-very-secret/);
});

test('check: settings that are not in this release', async () => {
  const later = ['x402: {enabled: true}\n', 'cluster: {nodes: [a]}\n',
                 'durability: power\n', 'alerts: {retry_for: 1h}\n'];
  for (const text of later) {
    const run = await check(text);
    assert.equal(run.status, 1, text);
    assert.match(run.stderr, /not in this release/, text);
  }
});

test('serve with a wrong file starts nothing', async () => {
  const data = path.join(dir, 'untouched');
  const run = await command(['serve', '-c', file('wrong: 1\n'), '--data', data]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /error: .*wrong/);
  assert.ok(!fs.existsSync(data));
});

test('usage errors are 2 and show the usage', async () => {
  for (const args of [[], ['frobnicate'], ['serve', '--frobnicate'], ['check', '-c'],
                      ['serve', '--cores', 'many'], ['serve', '--cores', '0'], ['check', 'x'],
                      ['backup'], ['restore'], ['backup', 'a', 'b'], ['check', '--ledger'],
                      ['serve', '--ledger', 'x'], ['import'], ['import', 'litellm'],
                      ['import', 'nginx', 'x'], ['import', 'litellm', 'x', 'y'],
                      ['import', 'litellm', 'x', '-o'], ['import', 'litellm', 'x', '--force'],
                      ['import', 'litellm', 'x', '--json']]) {
    const run = await command(args);
    assert.equal(run.status, 2, args.join(' '));
    assert.match(run.stderr, /usage: weir/, args.join(' '));
    assert.equal(run.stdout, '');
  }
  const help = await command(['--help']);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /usage: weir/);
});

test('commands and options that are not in this release', async () => {
  for (const args of [['plan']]) {
    const run = await command(args);
    assert.equal(run.status, 2, args.join(' '));
    assert.match(run.stderr, /not in this release/, args.join(' '));
  }
});

test('version: libraries and kernel features', async () => {
  const run = await command(['version']);
  assert.equal(run.status, 0, run.stdout + run.stderr);
  for (const name of [/^weir \S+/m, /liburing/i, /ssl/i, /lmdb \d+\.\d+/i, /yaml \d/i,
                      /kernel Linux \d/, /multishot_recv\s+(found|missing)/,
                      /provided_buffers\s+(found|missing)/]) {
    assert.match(run.stdout, name);
  }
});

test('models: of the file, and of providers whose key is in the environment', async () => {
  const text = 'providers: [{name: local, url: "http://127.0.0.1:9/v1"}]\nmodels:\n' +
    '  - {id: local/m, price: {input: "0.10", output: "0.3"}, context: 1000, upstream: "M-1"}\n';
  const run = await command(['models', '--json', '-c', file(text)]);
  assert.equal(run.status, 0, run.stderr);
  const rows = JSON.parse(run.stdout);
  const [row] = rows.filter((one) => one.id === 'local/m');
  assert.equal(row.price.input, '0.1');
  assert.equal(row.context, 1000);
  assert.equal(row.upstream, 'M-1');
  const plain = await command(['models', '-c', file(text)]);
  assert.match(plain.stdout, /^local\/m\s/m);
  const known = await command(['models', '--json'], { env: { GROQ_API_KEY: 'gsk-x',
                                                             OPENAI_API_KEY: 'sk-x' } });
  const ids = JSON.parse(known.stdout);
  for (const name of ['groq', 'openai']) {
    assert.ok(ids.filter((one) => one.provider === name).length > 3, name);
  }
  assert.ok(!known.stdout.includes('gsk-x'));
  const none = await command(['models', '--json']);
  const all = JSON.parse(none.stdout);
  assert.ok(all.every((one) => !one.available), 'without a key nothing is switched on');
  assert.ok(all.length > 1000 && new Set(all.map((one) => one.provider)).size >= 25);
});

test('models: what is known of one, and where it comes from', async () => {
  const text = 'providers: [{name: openai, keys: [k]}, {name: mistral, keys: [k]}]\nmodels:\n' +
    '  - {id: openai/gpt-5, quality: {code: 84.13}}\n' +
    '  - {id: openai/mine, price: [{input: "1", output: "2", audio_input: "3", request: "0.01",' +
    ' tiers: [{above: 1000, input: "4", output: "5"}]},' +
    ' {from: 2999-01-31, input: "6", output: "7"}], supports: [vision, tools]}\n';
  const run = await command(['models', '--json', '-c', file(text)]);
  assert.equal(run.status, 0, run.stderr);
  const by = new Map(JSON.parse(run.stdout).map((row) => [row.id, row]));
  const gpt = by.get('openai/gpt-5');
  assert.equal(gpt.available, true);
  const { figures, ...code } = gpt.quality.code;
  assert.deepEqual(code, { percent: 84.1, t: 1, width: 0.15, evidence: 'stated' });
  assert.ok(figures > 5);
  assert.equal(gpt.quality.math.evidence, 'figures');
  assert.ok(gpt.quality.math.figures >= 2 && gpt.quality.math.width < 0.3);
  assert.equal(gpt.figures_of, 'gpt-5');
  assert.match(gpt.sources, /A/);
  assert.match(gpt.released, /^2025-08/);
  assert.deepEqual(Object.keys(gpt.efforts), ['minimal', 'low', 'medium', 'high', 'default']);
  assert.deepEqual(gpt.quirks, ['completion', 'no_sampling', 'no_stop', 'no_max']);
  const mine = by.get('openai/mine');
  assert.equal(mine.price.audio_input, '3');
  assert.equal(mine.price.audio_output, '2');
  assert.equal(mine.price.request, '0.01');
  assert.deepEqual([mine.price.tiers[0].above, mine.price.tiers[0].input], [1000, '4']);
  assert.deepEqual([mine.later[0].from, mine.later[0].price.output], ['2999-01-31', '7']);
  assert.deepEqual(mine.supports, ['tools', 'vision']);
  assert.equal(mine.quality.chat.evidence, 'price');
  const mistral = [...by.values()].find((row) => row.provider === 'mistral');
  assert.deepEqual([mistral.region, mistral.usage_in_stream], ['eu', 'always']);
  assert.equal(by.get('anthropic/claude-opus-4-7').available, false);
  assert.deepEqual([gpt, by.get('mistral/mistral-large-latest'),
    by.get('mistral/magistral-small'), by.get('anthropic/claude-opus-4-5'),
    by.get('anthropic/claude-opus-4-7')].map((row) => row.continues),
  [null, 'prefix_echo', null, 'prefill', null]);
  const plain = await command(['models', '-c', file(text)]);
  assert.match(plain.stdout, /^openai\/mine +1 +1 +2 +\? +\? tv +/m);
  assert.match(plain.stdout, /^mistral\/mistral-large-latest .* tv?j?r?c +/m);
  assert.match(plain.stdout, /\n# known, but without a key[^]*\nanthropic\/claude-opus-4-7 /);
});

test('the settings in the manual are those of the program', async () => {
  const run = await command(['settings']);
  assert.equal(run.status, 0);
  for (const name of ['listen', 'timeouts', 'retention', 'unknown_price']) {
    assert.match(run.stdout, new RegExp(`\\b${name}\\b`));
  }
});

test('over HTTP: paths that are not in this release', async () => {
  const far = await provider((call) => call.json(chat('ok')));
  const weir = await Weir.start({
    providers: [{ name: 'far', url: far.url, keys: ['k'] }],
    models: [{ id: 'far/m', price: { input: '1', output: '1' } }] });
  const says = async (answer, status) => {
    const text = await answer.text();
    assert.match(JSON.parse(text).error.message, /not in this release/, answer.url);
    assert.equal(answer.status, status, answer.url);
  };
  for (const where of ['/v1/responses/resp_1/cancel', '/v1/messages/batches',
                       '/anthropic/v1/messages/batches', '/v1beta/models/x:embedContent',
                       '/gemini/v1beta/models/x:batchEmbedContents',
                       '/v1/images/edits', '/v1/audio/voices']) {
    await says(await weir.fetch(where, { body: {} }), 404);
  }
  await says(await weir.fetch('/v1beta/files'), 404);
  const body = { model: 'far/m', messages: [{ role: 'user', content: 'x' }] };
  assert.equal(far.requests.length, 0, 'none of them was sent');
  assert.equal((await weir.fetch('/v1/chat/completions', {
    body, headers: { 'x-weir-mode': 'frugal' } })).status, 400);
  await weir.stop();
});
