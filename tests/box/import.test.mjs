// import.test.mjs - weir import litellm: files as people have them (tests/cases/litellm) become
// files that `weir check` takes and that serve the same models under the same names; what is not
// taken is said, with its line; nothing is written that is half right.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { command, directory, root, Weir } from './lib/weir.mjs';

const dir = directory();
const cases = path.join(root, 'tests/cases/litellm');
let serial = 0;

function file(text, ending = 'yaml') {
  const name = path.join(dir, `file-${serial++}.${ending}`);
  fs.writeFileSync(name, text);
  return name;
}

// What variables the files refer to stand for here.
const env = (text) => Object.fromEntries([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) =>
  [name, /BASE/.test(name) ? 'http://127.0.0.1:9/v1' : `key-of-${name}`]));

// Import a file; what came out has passed `weir check`. Gives {text, said, models}.
async function taken(from) {
  const run = await command(['import', 'litellm', from]);
  assert.equal(run.status, 0, run.stderr);
  const made = file(run.stdout);
  const check = await command(['check', '-c', made], { env: env(run.stdout) });
  assert.equal(check.status, 0, check.stderr + run.stdout);
  const models = await command(['models', '--json', '-c', made], { env: env(run.stdout) });
  const list = JSON.parse(models.stdout);
  return { text: run.stdout, said: run.stderr, made,
           model: (id) => list.find((one) => one.id === id) };
}

const notTaken = (said, line, name, why) => assert.match(said, new RegExp(
  `:${line}: not taken: '${name}': .*${why}`, 'm'), `line ${line}: ${name}`);
const changed = (said, line, name, how) => assert.match(said, new RegExp(
  `:${line}: changed: '${name}': .*${how}`, 'm'), `line ${line}: ${name}`);

test('one name over two Azure resources, a server of our own', async () => {
  const { text, said, model } = await taken(path.join(cases, 'quickstart.yaml'));
  assert.match(text, /name: "azure-acme-north".*\n    url: "https:\/\/acme-north\.openai\.azure\.com\/openai\/v1"\n    auth: api-key\n    keys: \["\$\{AZURE_NORTH_KEY\}"\]/);
  assert.match(text, /rpm: 600/, 'taken, or a comment until this release has it');
  assert.equal(model('azure-acme-north/gpt-4o').upstream, 'gpt-4o-north');
  assert.equal(model('azure-acme-south/gpt-4o').upstream, 'gpt-4o-south');
  assert.equal(model('azure-acme-south/gpt-4o').price.input, '2.5', 'of base_model');
  assert.doesNotMatch(text, /^\s+"gpt-4o":/m, 'the id that both share needs no alias');
  assert.match(text, /"house-model": "openai-10\.1\.2\.3\/acme\/house-7b"/);
  assert.match(text, /^unknown_price: allow$/m);
  notTaken(said, 20, 'claude', 'bedrock');
  notTaken(said, 29, 'temperature', 'parameters');
  notTaken(said, 34, 'drop_params', 'forwards');
  notTaken(said, 38, 'master_key', 'WEIR_ADMIN_TOKEN');
  assert.doesNotMatch(said + text, /acme-master-key/);
});

test('keys of one provider are rotated; a key is never given to another name', async () => {
  const { text, said } = await taken(path.join(cases, 'keys.yaml'));
  assert.match(text, /name: "openai" .*\n    keys: \["\$\{OPENAI_KEY_A\}", "\$\{OPENAI_KEY_B\}"\]/);
  assert.match(text, /name: "openai-2"[^]*?keys: \["\$\{OPENAI_KEY_FINANCE\}"\]\n    headers:\n      "x-cost-centre": "4711"\n      "openai-organization": "org-finance-1"/);
  assert.match(text, /"small": "openai\/gpt-4o-mini"/);
  assert.match(text, /"small-finance": "openai-2\/gpt-4o-mini"/);
  assert.match(text, /name: "openai-3"[^]*?keys: \["\$\{OPENAI_KEY_A\}"\]\n/);
  assert.match(text, /"small-a": "openai-3\/gpt-4o-mini"/, 'one key of two is another set');
  assert.match(text, /"mini-shared": "openai\/gpt-5-mini"/, 'the same set is the same provider');
  assert.match(text, /"fast": "groq\/llama-3\.1-8b-instant"/);
  assert.match(text, /"french": "mistral\/mistral-small-latest"/);
  notTaken(said, 14, 'Bad Name', 'RFC 9110');
  notTaken(said, 14, 'Host', 'itself');
});

test('router settings: orders, fall-backs, aliases, time-outs; Redis is not taken', async () => {
  const { text, said } = await taken(path.join(cases, 'router.yaml'));
  assert.match(text, /"zephyr": \["zephyr", "openai-2\/gpt-4o", "google\/gemini-2\.5-pro"\]/);
  assert.match(text, /"ordered": \["openai\/gpt-4o-mini", "groq\/llama-3\.1-8b-instant", "openai-2\/gpt-4o"\]/);
  assert.match(text, /"gpt-4": "openai-2\/gpt-4o"/);
  assert.match(text, /max_attempts: 3/);
  assert.match(text, /mode: latency/);
  assert.match(text, /name: "openai" [^]*?timeouts: \{total: 30s\}/);
  assert.match(text, /name: "openai-2" [^]*?timeouts: \{total: 300s\}/);
  assert.match(text, /weight: 90\n[^]*weight: 10\n/);
  for (const [line, name] of [[38, 'redis_host'], [39, 'redis_password'], [40, 'redis_port']]) {
    notTaken(said, line, name, 'Redis');
  }
  notTaken(said, 37, 'cooldown_time', 'breakers');
  notTaken(said, 28, 'nobody', 'no model');
  notTaken(said, 25, 'num_retries', 'router_settings');
  changed(said, 33, 'routing_strategy', 'latency');
  changed(said, 28, 'zephyr', 'when the others fail');
});

test('prices per token become exact prices per million; limits and abilities', async () => {
  const { text, said, model } = await taken(path.join(cases, 'prices.yaml'));
  const house = model('openai-house/house-32b');
  assert.deepEqual([house.price.input, house.price.output, house.price.cached,
                    house.price.cache_write], ['2.5', '10', '0.125', '3.125']);
  assert.match(text, /tiers: \[\{above: 200000, input: "5", output: "15"\}\]/);
  assert.equal(house.context, 131072);
  assert.equal(house.max_output, 8192);
  assert.match(text, /supports: \[tools, json_schema\]/);
  assert.equal(model('openai-house/house-embed').price.input, '0.01');
  const ours = model('openai/gpt-4o').price;
  assert.deepEqual([ours.input, ours.cached, ours.output], ['2', '1.25', '10'],
                   'what is not said stays as it is known; litellm_params wins');
  assert.match(text, /"openai\/gpt-4o"[^]*?supports: \[tools, json_schema\]/, 'no vision');
  notTaken(said, 33, 'input_cost_per_token', 'pico-dollars');
  notTaken(said, 38, 'speech', 'audio_transcription');
});

test('patterns: providers bring the models that are known; names are not made', async () => {
  const { text, said, model } = await taken(path.join(cases, 'wildcard.yaml'));
  assert.ok(model('groq/llama-3.1-8b-instant'));
  assert.ok(model('anthropic/claude-opus-4-5'));
  assert.match(text, /"best": \["anthropic\/claude-opus-4-5", "groq\/llama-3\.3-70b-versatile"\]/);
  notTaken(said, 9, 'house/\\*', 'models');
  notTaken(said, 13, '\\*', 'list');
  changed(said, 3, 'anthropic/\\*', 'knows');
});

test('"*" alone: every provider whose key is in the environment', async () => {
  const { text, said, made } = await taken(path.join(cases, 'everything.yaml'));
  assert.match(text, /body: 64MiB/);
  assert.match(text, /retention: \{requests: 30d\}/);
  notTaken(said, 7, 'database_url', 'embedded');
  assert.doesNotMatch(said, /secret-of-the-db/);
  const models = await command(['models', '-c', made], { env: { GROQ_API_KEY: 'gsk-x' } });
  assert.match(models.stdout, /^groq\//m);
});

test('credentials, variables, further providers', async () => {
  const { text, said } = await taken(path.join(cases, 'credentials.yaml'));
  assert.equal(text.match(/name: "azure-eu"/g).length, 1, 'one provider for both models');
  assert.match(text, /url: "\$\{AZURE_EU_API_BASE\}\/openai\/v1"/);
  assert.match(text, /region: "eu"/);
  assert.match(text, /name: "together" .*\n    keys: \["\$\{TOGETHERAI_API_KEY\}"\]/);
  assert.match(text, /name: "ollama"/);
  assert.match(text, /dialect: anthropic\n    url: "https:\/\/claude\.proxy\.internal\/v1"/);
  assert.match(text, /"gpt-5-mini": "openai\/gpt-5-mini"/, 'an entry without a name');
  assert.match(text, /sk-ant-literal-key-0001/, 'a key in clear is copied');
  assert.doesNotMatch(said, /sk-ant-literal|a-literal-key/, 'and never shown');
  notTaken(said, 35, 'vertex-gemini', 'vertex_ai');
  notTaken(said, 38, 'model', 'nobody-knows');
  notTaken(said, 24, 'api_base', 'scheme');
  notTaken(said, 2, 'environment_variables', 'environment');
});

test('a shared id stands for nothing but its group', async () => {
  const { text, said, model } = await taken(path.join(cases, 'pool.yaml'));
  assert.match(text, /"gpt-4o": "gpt-4o-pool"/, "openai's own gpt-4o is not of the group");
  assert.equal(model('azure-two/gpt-4o-pool').upstream, 'b');
  assert.match(text, /url: "https:\/\/two\.openai\.azure\.com\/openai\/v1"/);
  assert.match(text, /"turbo": \["azure-one\/turbo-small", "azure-one\/turbo-large"\]/);
  changed(said, 12, 'turbo', 'order');
});

test('nothing to take, nothing to read, nothing to understand', async () => {
  for (const [text, why] of [
    [fs.readFileSync(path.join(cases, 'nothing.yaml'), 'utf8'), /no model of it can be taken/],
    ['', /map with model_list/], ['- a\n', /map with model_list/], ['model_list: []\n', /no model/],
    ['model_list: 5\n', /no model/], ['model_list: [5, {}, {model_name: x}]\n', /litellm_params/],
    ['model_list:\n  - model_name: *\n', /:2:\d+: error: /],
    ['model_list: [\n', /:\d+:\d+: error: /], ['a: 1\na: 2\n', /:2:1: error: .*twice/],
    ['model_list: &x [1]\n', /anchors/], ['a: "\xff"\n', /error: /],
  ]) {
    const run = await command(['import', 'litellm', file(text)]);
    assert.equal(run.status, 1, text);
    assert.equal(run.stdout, '', text);
    assert.match(run.stderr, why, text);
  }
  const missing = await command(['import', 'litellm', '/no/such/file.yaml']);
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /no\/such\/file/);
});

test('what has a wrong form is said, and the rest is taken', async () => {
  const { said } = await taken(file(`model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-5-mini, extra_headers: [x]}, model_info: 5}
  - 7
router_settings: [1]
litellm_settings: {fallbacks: [b, {a: c}], request_timeout: soon, num_retries: two}
general_settings: yes
credential_list: {}
`));
  for (const [line, name] of [[2, 'model_info'], [2, 'extra_headers'], [4, 'router_settings'],
                              [5, 'a'], [5, 'request_timeout'], [5, 'num_retries'],
                              [6, 'general_settings'], [7, 'credential_list']]) {
    notTaken(said, line, name, '');
  }
  assert.match(said, /:3: not taken: an entry: .*map/);
  assert.match(said, /:5: not taken: an entry: .*map of model names/);
});

test('-o keeps what exists, unless forced; only its owner may read it', async () => {
  const out = path.join(dir, 'weir.yaml');
  const args = ['import', 'litellm', path.join(cases, 'keys.yaml'), '-o', out];
  assert.equal((await command(args)).status, 0);
  assert.equal(fs.statSync(out).mode & 0o777, 0o600);
  const made = fs.readFileSync(out, 'utf8');
  fs.writeFileSync(out, 'mine\n');
  const again = await command(args);
  assert.equal(again.status, 1);
  assert.match(again.stderr, /exists.*--force/);
  assert.equal(fs.readFileSync(out, 'utf8'), 'mine\n');
  assert.equal((await command([...args, '--force'])).status, 0);
  assert.equal(fs.readFileSync(out, 'utf8'), made);
  const bad = await command(['import', 'litellm', file('a: [\n'), '-o', out, '--force']);
  assert.equal(bad.status, 1);
  assert.equal(fs.readFileSync(out, 'utf8'), made, 'a failure writes nothing');
});

test('what was imported serves, under the old names', async () => {
  const asked = [];
  const answer = (name) => provider(async (call) => {
    asked.push([name, call.model, call.request.get('authorization')]);
    if (name === 'down') return call.error(503);
    return call.json(chat(`from ${name}`));
  });
  const [up, down, last] = [await answer('up'), await answer('down'), await answer('last')];
  const source = file(`
model_list:
  - model_name: team/chat
    litellm_params: {model: openai/house-a, api_base: "${down.url}", api_key: key-down}
  - model_name: team/chat
    litellm_params: {model: openai/house-b, api_base: "${up.url}", api_key: os.environ/UP_KEY}
  - model_name: plan-b
    litellm_params:
      model: hosted_vllm/house-c
      api_base: "${last.url}"
      input_cost_per_token: 1.5e-06
      output_cost_per_token: 2e-06
  - model_name: broken
    litellm_params: {model: openai/house-a, api_base: "${down.url}", api_key: key-down}
router_settings: {model_group_alias: {gpt-4: team/chat}}
litellm_settings: {fallbacks: [{broken: [plan-b]}]}
`);
  const run = await command(['import', 'litellm', source]);
  assert.equal(run.status, 0, run.stderr);
  const weir = await Weir.start({}, { more: run.stdout, env: { UP_KEY: 'key-up' } });
  const first = await weir.chat({ model: 'team/chat' });
  assert.equal(first.status, 200, first.text);
  assert.equal(first.json.choices[0].message.content, 'from up');
  assert.equal((await weir.chat({ model: 'gpt-4' })).status, 200);
  const second = await weir.chat({ model: 'broken' });
  assert.equal(second.status, 200, second.text);
  assert.equal(second.json.choices[0].message.content, 'from last');
  assert.ok(Number(second.header('x-weir-cost-usd')) > 0, 'at the price of the file');
  const told = (name) => asked.find(([one]) => one === name);
  assert.deepEqual(told('up'), ['up', 'house-b', 'Bearer key-up']);
  assert.deepEqual(told('down'), ['down', 'house-a', 'Bearer key-down']);
  assert.deepEqual(told('last'), ['last', 'house-c', undefined]);
  await weir.stop();
});
