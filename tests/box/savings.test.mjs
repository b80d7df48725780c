// savings.test.mjs - weir savings: the list-price arithmetic to the dollar, quality only where
// outcomes say it, a wrong description pointed at, the same output at every run.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { command, directory, root } from './lib/weir.mjs';

const dir = directory();
const cases = path.join(root, 'tests/cases/savings');
const shared = path.join(root, '../shared/data/routing');
let serial = 0;

function file(text) {
  const name = path.join(dir, `month-${serial++}.yaml`);
  fs.writeFileSync(name, text);
  return name;
}

const outcomes = ['--outcomes', cases];

// The section of a mix: {text, frontier: [{share, cost, kept, low, high}], auto}.
function section(text, name) {
  const part = text.split(`== ${name} ==`)[1].split('\n== ')[0];
  const number = (word) => (word === '-' ? null : Number(word.replace(/[$,]/g, '')));
  const frontier = [...part.matchAll(
    /^ +([\d.]+) % +(\$\S+) +(-|[\d.]+)(?: % +\[([\d.]+)\.\.([\d.]+)\])?/gm)].map(
    ([, share, cost, kept, low, high]) => ({ share: Number(share), cost: number(cost),
      kept: number(kept), low: low && Number(low), high: high && Number(high) }));
  const auto = /^  auto +(\$\S+) +([\d.]+) % +(-|[\d.]+)/m.exec(part);
  return { text: part, frontier,
           auto: { cost: number(auto[1]), share: Number(auto[2]), kept: number(auto[3]) } };
}

test('one billion tokens at list prices, and what $2,000 leaves for the flagship', async () => {
  const run = await command(['savings', path.join(cases, 'list.yaml')]);
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stdout, fs.readFileSync(path.join(cases, 'list.txt'), 'utf8'));
  const half = await command(['savings', file(fs.readFileSync(path.join(cases, 'list.yaml'),
    'utf8').replace('input: 0.25', 'input: 0.5'))]);
  assert.match(half.stdout, /openai\/gpt-5\.5-pro +\$105,000\n/);
});

test('a mix: cost, premium share and quality agree with the outcomes', async () => {
  const svg = path.join(dir, 'plot.svg');
  const run = await command(['savings', path.join(cases, 'mix.yaml'), ...outcomes, '--svg', svg]);
  assert.equal(run.status, 0, run.stderr);
  const mix = section(run.stdout, 'made <for> the test');
  assert.match(mix.text, /40 outcomes stand behind the quality of 100\.0 % of the tokens/);
  // 0.6 of the tokens at 25 % input, 0.4 at 90 %
  assert.match(mix.text, /anthropic\/claude-opus-4-7 +\$14,800 /);
  assert.match(mix.text, /openai\/gpt-5\.4 +\$8,625 /);
  const [first, last] = [mix.frontier[0], mix.frontier.at(-1)];
  assert.equal(first.cost, 208.6);
  // llmrouter: 10 of 20 by the weak one; bfcl: 7.5 of 17
  assert.equal(first.kept, 47.6);
  assert.deepEqual([last.share, last.cost, last.kept, last.low], [100, 14800, 100, 100]);
  for (const [i, point] of mix.frontier.entries()) {
    assert.ok(point.low <= point.kept && point.kept <= point.high, `${point.share}`);
    if (i) assert.ok(point.cost >= mix.frontier[i - 1].cost, `${point.share}`);
  }
  const budget = mix.frontier.find((point) => Math.abs(point.cost - 2000) < 0.5);
  assert.ok(budget && budget.share > 8 && budget.share < 10, JSON.stringify(mix.frontier));
  assert.ok(mix.auto.cost > 208 && mix.auto.cost <= 14800, JSON.stringify(mix.auto));
  assert.match(mix.text, /auto chose: \S+\/\S+ [\d.]+ %/);

  const unknown = section(run.stdout, 'nobody knows');
  assert.ok(unknown.frontier.every((point) => point.kept === null), 'never invented');
  assert.equal(unknown.auto.kept, null);
  assert.ok(unknown.auto.cost > 0);

  const plot = fs.readFileSync(svg, 'utf8');
  assert.match(plot, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  assert.match(plot, /made &lt;for&gt; the test/);
  assert.match(plot, /nobody knows \(known for 0 % of its tokens\)/);
  assert.match(plot, /prefers-color-scheme: dark/);
  assert.doesNotMatch(plot, /href|script|@import|url\(/, 'self-contained');
  assert.match(plot, /<\/svg>\n$/);
  const again = await command(['savings', path.join(cases, 'mix.yaml'), ...outcomes]);
  assert.equal(again.stdout, run.stdout, 'the same at every run');
});

test('outcomes packed by gzip are read alike; a pair may be named', async () => {
  const packed = path.join(dir, 'packed');
  fs.mkdirSync(packed);
  const { gzipSync } = await import('node:zlib');
  fs.writeFileSync(path.join(packed, 'dev.jsonl.gz'),
                   gzipSync(fs.readFileSync(path.join(cases, 'dev.jsonl'))));
  const mix = path.join(cases, 'mix.yaml');
  const [plain, zipped] = [await command(['savings', mix, ...outcomes]),
                           await command(['savings', mix, '--outcomes', packed])];
  assert.equal(zipped.status, 0, zipped.stderr);
  assert.equal(zipped.stdout, plain.stdout);
  const text = fs.readFileSync(mix, 'utf8');
  const other = text.replace('outcomes: llmrouter, share: 0.6',
    'outcomes: llmrouter, share: 0.6, strong: llama-3.1-nemotron-51b-instruct, weak: other');
  const named = section((await command(['savings', file(other), ...outcomes])).stdout,
                        'made <for> the test');
  assert.equal(named.frontier[0].kept, 47.6, 'half of the strong one, everywhere');
  const nobody = await command(['savings', file(other.replace('weak: other', 'weak: nobody')),
                                ...outcomes]);
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /:\d+:\d+: error: no row of 'llmrouter' has outcomes of both/);
  fs.writeFileSync(path.join(packed, 'dev.jsonl.gz'), 'no gzip');
  const broken = await command(['savings', mix, '--outcomes', packed]);
  assert.equal(broken.status, 1);
  assert.match(broken.stderr, /gzip cannot read it/);
});

test('prompts of a file of one\'s own', async () => {
  const own = path.join(dir, 'own.jsonl');
  fs.writeFileSync(own, '{"prompt":"one"}\n{"prompt":"two","id":"2"}\n');
  const month = `tokens: 1000000\nflagships: [openai/gpt-5.4]\ncheap: [openai/gpt-5.4-nano]\n` +
    `mixes: [{name: mine, tasks: [{prompts: "${own}", share: 1, prompt: 100, answer: 100}]}]\n`;
  const run = await command(['savings', file(month)]);
  assert.equal(run.status, 0, run.stderr);
  assert.match(run.stdout, /openai\/gpt-5\.4 +\$8\.75 /);
  fs.writeFileSync(own, '{"prompt":"one"}\n{"id":"no prompt"}\n');
  const bad = await command(['savings', file(month)]);
  assert.equal(bad.status, 1);
  assert.match(bad.stderr, /own\.jsonl: a line is no object with a prompt/);
});

test('a wrong description is pointed at', async () => {
  const good = fs.readFileSync(path.join(cases, 'mix.yaml'), 'utf8');
  for (const [from, to, why] of [
    ['tokens: 1000000000', 'tokens: many', /:1:9: error: tokens is 'many'/],
    ['tokens: 1000000000', 'tokns: 1', /:1:1: error: unknown setting 'tokns'.*did you mean 'tokens'/],
    ['input: 0.25', 'input: 1.5', /:2:8: error: input is '1\.5'/],
    ['share: 0.6', 'share: 0.5', /add up to 0\.900000/],
    ['share: 0.6', 'share: 0', /above 0/],
    ['outcomes: llmrouter, ', '', /one of outcomes/],
    ['outcomes: llmrouter', 'outcomes: nowhere', /no prompt of 'nowhere'/],
    ['prompt: 900, answer: 100', 'prompt: 900', /go together/],
    ['openai/gpt-5.4]', 'openai/gpt-5.44]', /no model is called 'openai\/gpt-5\.44'/],
    ['openai/gpt-5.4]', 'nobody/x]', /nobody/],
    ['mode: cost', 'mode: loud', /mode is .*loud/],
    ['quality_floor: 0.9', 'quality_floor: high', /quality_floor/],
    ['mixes:', 'mixes: [', /:\d+:\d+: error: /],
  ]) {
    assert.ok(good.includes(from), from);
    const run = await command(['savings', file(good.replace(from, to)), ...outcomes]);
    assert.equal(run.status, 1, to);
    assert.match(run.stderr, why, to);
  }
  const nowhere = await command(['savings', path.join(cases, 'mix.yaml'), '--outcomes', dir]);
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.stderr, /--outcomes DIR/);
  for (const args of [['savings'], ['savings', 'a', 'b'], ['savings', 'a', '--svg'],
                      ['savings', 'a', '--plot', 'x']]) {
    assert.equal((await command(args)).status, 2, args.join(' '));
  }
});

test('the description that comes with Weir, on real outcomes', { skip: !fs.existsSync(shared) },
     async () => {
  const run = await command(['savings', path.join(root, 'tools/savings.yaml'), '--outcomes',
                             shared]);
  assert.equal(run.status, 0, run.stderr);
  for (const line of [/claude-opus-4-7 +\$20,000\n/, /gpt-5\.4 +\$11,875\n/,
                      /gemini-3\.1-pro-preview +\$9,500\n/, /gpt-5\.5-pro +\$142,500\n/]) {
    assert.match(run.stdout, line);
  }
  const hard = section(run.stdout, 'hard benchmarks');
  const last = hard.frontier.at(-1);
  assert.deepEqual([last.share, last.cost, last.kept], [100, 20000, 100]);
  const at = (share) => hard.frontier.find((point) => point.share === share);
  assert.equal(at(10).cost, 2220.5, '10 % Opus 4.7 and 90 % DeepSeek V4 Flash');
  // Better than chance: the straight line between the weak and the strong model.
  const line = at(0).kept + (100 - at(0).kept) / 2;
  assert.ok(at(50).kept > line, `${at(50).kept} at half, a coin gives ${line}`);
});
