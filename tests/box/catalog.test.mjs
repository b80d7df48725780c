// catalog.test.mjs - providers out of the table alone: a known name, a url of ours and a key in
// its environment variable. What each wants otherwise than the others stands in columns.
import assert from 'node:assert/strict';
import test from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { Weir } from './lib/weir.mjs';

// Each knows what its maker's API refuses, and tells its usage only where it may.
const refusals = {
  openai: (body) => /^(gpt-5|o\d)/.test(body.model) && ['max_tokens', 'temperature', 'top_p'],
  mistral: () => ['max_completion_tokens'],
  databricks: () => ['stream_options'],
  groq: () => [],
  deepseek: () => [],
};
const names = Object.keys(refusals);
const variable = (name) => (name === 'databricks' ? 'DATABRICKS_TOKEN'
                                                 : `${name.toUpperCase()}_API_KEY`);
const far = {};
for (const name of names) {
  far[name] = await provider((call) => {
    const body = call.request.json;
    const bad = (refusals[name](body) || []).find((member) => member in body);
    if (bad) {
      return call.json({ error: { message: `Unsupported parameter: ${bad}`, param: bad,
                                  type: 'invalid_request_error' } }, { status: 400 });
    }
    if (!body.stream) return call.json(chat(name));
    const usage = body.stream_options?.include_usage || name === 'databricks';
    return call.stream(['one', 'two'], usage ? {} : { usage: null });
  });
}
const weir = await Weir.start({
  providers: names.map((name) => ({ name, url: far[name].url })),
  models: [{ id: 'databricks/m', price: { input: '1', output: '1' } }],
  aliases: { brain: 'openai/gpt-5-mini' },
}, { env: Object.fromEntries(names.map((n) => [variable(n), `key-of-${n}`])) });
const last = (name) => far[name].requests.at(-1);
const models = { openai: 'openai/gpt-4.1', mistral: 'mistral/mistral-small-2603',
                 groq: 'groq/llama-3.1-8b-instant', deepseek: 'deepseek/deepseek-v4-flash',
                 databricks: 'databricks/m' };

test('a known name needs no more than its key: models, prices, authentication', async () => {
  for (const name of names) {
    const answer = await weir.chat({ model: models[name] });
    assert.equal(answer.status, 200, `${name}: ${answer.text}`);
    assert.equal(answer.header('x-weir-model'), models[name]);
    assert.equal(last(name).get('authorization'), `Bearer key-of-${name}`);
    assert.equal(last(name).json.model, models[name].slice(name.length + 1));
    assert.ok(Number(answer.header('x-weir-cost-usd')) > 0, name);
  }
});

test('an output limit goes by the name that the model takes', async () => {
  const cases = [
    ['openai/gpt-5-mini', 'max_tokens', 'max_completion_tokens'],
    ['openai/gpt-5-mini', 'max_completion_tokens', 'max_completion_tokens'],
    ['openai/gpt-4.1', 'max_tokens', 'max_tokens'],
    [models.mistral, 'max_completion_tokens', 'max_tokens'],
    [models.mistral, 'max_tokens', 'max_tokens'],
    [models.groq, 'max_tokens', 'max_tokens'],
    [models.groq, 'max_completion_tokens', 'max_completion_tokens'],
  ];
  for (const [model, sent, seen] of cases) {
    const answer = await weir.chat({ model, [sent]: 40 });
    assert.equal(answer.status, 200, `${model} ${sent}: ${answer.text}`);
    const { json } = last(model.split('/')[0]);
    assert.equal(json[seen], 40, `${model} ${sent}`);
    assert.equal('max_tokens' in json && 'max_completion_tokens' in json, false);
  }
});

test('an output limit that a budget adds, too', async () => {
  const { id: unit } = await weir.ask('POST', '/admin/v1/units',
                                      { kind: 'organization', name: 'small' });
  const { id: member } = await weir.ask('POST', '/admin/v1/units',
                                        { kind: 'member', parent: unit, name: 'm' });
  const { id, key } = await weir.ask('POST', '/admin/v1/keys', { member, name: 'k' });
  await weir.ask('PUT', `/admin/v1/budgets/${id}`,
                 { limits: [{ usd: '0.001', window: 'total' }] });
  for (const [model, name] of [['openai/gpt-5-mini', 'max_completion_tokens'],
                               ['openai/gpt-4.1', 'max_completion_tokens'],
                               [models.mistral, 'max_tokens']]) {
    const answer = await weir.chat({ model }, { key });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(last(model.split('/')[0]).json[name] > 0, `${model}: ${name}`);
  }
});

test('stream_options is not sent where it is refused', async () => {
  for (const [model, sent] of [[models.databricks, false], [models.groq, true]]) {
    for (const more of [{}, { stream_options: { include_usage: true } }]) {
      const answer = await weir.chat({ model, stream: true, ...more });
      assert.equal(answer.status, 200, answer.text);
      assert.match(answer.text, /two/);
      assert.equal('stream_options' in last(model.split('/')[0]).json, sent, model);
      const row = await weir.row(answer.header('x-request-id'));
      assert.equal(row.estimated, false, model);
      assert.equal(row.output_tokens, 2, model);
    }
  }
});

test('sampling that a model refuses goes where the client did not choose the model', async () => {
  const body = { temperature: 0, top_p: 0.5 };
  const named = await weir.chat({ model: 'openai/gpt-5-mini', ...body });
  assert.equal(named.status, 400, 'the provider says what it refuses');
  assert.match(named.json.error.message, /Unsupported parameter: temperature/);
  const routed = await weir.chat({ model: 'brain', ...body });
  assert.equal(routed.status, 200, routed.text);
  assert.ok(!('temperature' in last('openai').json) && !('top_p' in last('openai').json));
  const plain = await weir.chat({ model: models.groq, ...body });
  assert.equal(plain.status, 200);
  assert.equal(last('groq').json.temperature, 0);
});

test('the configuration overrules the columns, and a reload is enough', async () => {
  const text = (more) => ({ providers: [{ name: 'mistral', url: far.mistral.url, ...more }] });
  weir.config(text({ quirks: [] }));
  await weir.ask('POST', '/admin/v1/reload');
  const as = await weir.chat({ model: models.mistral, max_completion_tokens: 5 });
  assert.equal(as.status, 400, 'sent as it was written');
  weir.config(text({}));
  await weir.ask('POST', '/admin/v1/reload');
  const again = await weir.chat({ model: models.mistral, max_completion_tokens: 5 });
  assert.equal(again.status, 200, again.text);
});

test('it ends well', async () => {
  for (const name of names) assert.deepEqual(far[name].faults, []);
  await weir.stop();
});
