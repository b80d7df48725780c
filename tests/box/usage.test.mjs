// usage.test.mjs - what requests cost, to the nano-dollar, through the real binary: every kind
// of token, tiers, dates; usage that providers leave out or make up; and what the same tokens
// had cost elsewhere. All amounts are worked out by hand beside the case.
import * as tokenizer from 'gpt-tokenizer/encoding/o200k_base';
import assert from 'node:assert/strict';
import test from 'node:test';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { Weir } from './lib/weir.mjs';

let answer;
const far = await provider((call) => answer(call));
const day = (days) => new Date(Date.now() + days * 86400e3).toISOString().slice(0, 10);
const prices = {
  // A dollar per 1M tokens is 1,000 nano-dollars a token.
  plain: { input: '1', output: '2' },
  kinds: { input: '1', cached: '0.1', cache_write: '1.3', output: '10', audio_input: '40',
           audio_output: '80', request: '0.005' },
  tiers: { input: '1', cached: '0.5', output: '2',
           tiers: [{ above: 100, input: '3', cached: '1.5', output: '4' },
                   { above: 1000, input: '5', cached: '2', output: '6' }] },
  dated: [{ input: '1', output: '1' }, { from: day(-1), input: '2', output: '3' },
          { from: day(+2), input: '100', output: '100' }],
  dust: { input: '0.0005', output: '0.0005' },      // half a nano-dollar a token
};
const config = {
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [...Object.entries(prices).map(([name, price]) => ({ id: `far/${name}`, price })),
           { id: 'far/free' }],
  unknown_price: 'allow',
};
const weir = await Weir.start(config);
const api = '/admin/v1';

// The row of one request whose provider tells this usage; stream: in a last chunk.
async function row(model, usage, { stream = false } = {}) {
  answer = (call) => (stream ? call.stream(['some ', 'words'], { usage: usage ?? null })
                             : call.json({ ...chat('some words'), usage }));
  const sent = await weir.chat({ model: `far/${model}`, stream });
  assert.equal(sent.status, 200, sent.text);
  const found = await weir.row(sent.header('x-request-id'));
  if (!stream) assert.equal(nano(sent.header('x-weir-cost-usd')), nano(found.cost_usd));
  return found;
}

const usage = (prompt, completion, details = {}, written = {}) => ({
  prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion,
  prompt_tokens_details: details, completion_tokens_details: written });

const priced = [
  // kind by kind: 1000 in; 1000 in of which 400 were read from the cache; ...
  ['plain', usage(1000, 500), '0.002', { input_tokens: 1000, output_tokens: 500 }],
  ['plain', usage(1000, 1, { cached_tokens: 400 }), '0.001002', { cached_tokens: 400 }],
  ['kinds', usage(1000, 100), '0.007', { price: {
    input: '1', cached: '0.1', cache_write: '1.3', cache_write_1h: '2', output: '10',
    audio_input: '40', audio_output: '80', image_input: '1', request: '0.005' } }],
  // 600 x 1,000 + 400 x 100 + 100 x 10,000 + 5,000,000
  ['kinds', usage(1000, 100, { cached_tokens: 400 }), '0.00664', { input_tokens: 600 }],
  // 500 x 1,000 + 300 x 1,300 + 200 x 100 + 1 x 10,000 + 5,000,000
  ['kinds', usage(1000, 1, { cached_tokens: 200, cache_write_tokens: 300 }), '0.00592',
   { input_tokens: 500, cached_tokens: 200, cache_write_tokens: 300 }],
  // 10 x 40,000 + 5 x 80,000 + 15 x 10,000 + 5,000,000
  ['kinds', usage(10, 20, { audio_tokens: 10 }, { audio_tokens: 5 }), '0.00595',
   { input_tokens: 10, output_tokens: 20 }],
  // reasoning lies inside of the output: 50 x 10,000 once
  ['kinds', usage(1, 50, {}, { reasoning_tokens: 40 }), '0.005501',
   { output_tokens: 50, reasoning_tokens: 40 }],
  // the whole request pays the tier, cached tokens count towards it, its limit is outside
  ['tiers', usage(100, 10), '0.00012', { price: {
    input: '1', cached: '0.5', cache_write: '1.25', cache_write_1h: '2', output: '2',
    audio_input: '1', audio_output: '2', image_input: '1' } }],
  ['tiers', usage(101, 10), '0.000343', { price: {
    input: '3', cached: '1.5', cache_write: '3.75', cache_write_1h: '6', output: '4',
    audio_input: '3', audio_output: '4', image_input: '3' } }],
  ['tiers', usage(101, 10, { cached_tokens: 100 }), '0.000193', {}],
  ['tiers', usage(1001, 1), '0.005011', {}],
  // the price of the day
  ['dated', usage(10, 10), '0.00005', {}],
  // 2 and 3 tokens at half a nano-dollar: half up, once
  ['dust', usage(1, 1), '0.000000001', {}],
  ['dust', usage(2, 1), '0.000000002', {}],
  ['free', usage(10, 10), '0', { unpriced: true, price: {}, input_tokens: 10 }],
];

for (const [model, told, cost, more] of priced) {
  test(`${model}: ${JSON.stringify(told)} costs ${cost}`, async () => {
    for (const stream of [false, true]) {
      const found = await row(model, told, { stream });
      assert.equal(found.cost_usd, cost);
      assert.equal(found.estimated, false);
      for (const [name, value] of Object.entries(more)) {
        assert.deepEqual(found[name], value, name);
      }
    }
  });
}

// What a provider cannot mean: our own count stands in, of both sides, for a counter that is
// wrong once is not to be believed at all. 'hello' and the answer are of a few tokens.
const absurd = {
  'none at all': undefined, null: null, 'empty': {}, 'a text': 'seven', 'a list': [1, 2],
  'negative prompt': usage(-5, 3), 'negative completion': usage(5, -3),
  '2^63': { prompt_tokens: 2 ** 63, completion_tokens: 1 },
  '2^31 + 1': usage(2 ** 31 + 1, 1), '1e300': { prompt_tokens: 1e300, completion_tokens: 1 },
  'fractions': usage(1.5, 2), 'texts': { prompt_tokens: '5', completion_tokens: '6' },
  'objects': { prompt_tokens: {}, completion_tokens: [] },
  'more cached than prompt': usage(10, 3, { cached_tokens: 11 }),
  'more reasoning than output': usage(10, 3, {}, { reasoning_tokens: 4 }),
  'negative cached': usage(10, 3, { cached_tokens: -1 }),
  'completion without prompt': { completion_tokens: 3 },
  'prompt without completion': { prompt_tokens: 5 },
  'zeros for a text': usage(0, 0), 'nothing for a text': usage(5, 0),
};

for (const [name, told] of Object.entries(absurd)) {
  test(`usage that cannot be: ${name}`, async () => {
    for (const stream of [false, true]) {
      const found = await row('plain', told, { stream });
      const about = JSON.stringify(found);
      assert.equal(found.estimated, true, about);
      assert.ok(found.input_tokens > 0 && found.input_tokens < 20, about);
      assert.ok(found.output_tokens > 0 && found.output_tokens < 20, about);
      assert.equal(found.cached_tokens + found.cache_write_tokens, 0, about);
      assert.equal(found.reasoning_tokens, 0, about);
      assert.equal(nano(found.cost_usd),
                   BigInt(found.input_tokens * 1000 + found.output_tokens * 2000));
    }
  });
}

test('one side of the sum tells the other; a prompt alone is fine where no text is made', async () => {
  const side = await row('plain', { completion_tokens: 4, total_tokens: 9 });
  assert.deepEqual([side.input_tokens, side.output_tokens, side.estimated], [5, 4, false]);
  answer = (call) => call.json({ object: 'list', data: [{ object: 'embedding', index: 0,
    embedding: [0.5, 0.25] }], model: 'x', usage: { prompt_tokens: 3, total_tokens: 3 } });
  const made = await weir.fetch('/v1/embeddings', { body: { model: 'far/dust', input: 'x' } });
  assert.equal(made.status, 200, await made.text());
  const found = await weir.row(made.headers.get('x-request-id'));
  assert.deepEqual([found.input_tokens, found.output_tokens, found.estimated, found.cost_usd],
                   [3, 0, false, '0.000000002']);   // 1.5 nano-dollars
});

test('a row holds every name of the contract; tools count where we count', async () => {
  answer = (call) => call.json({ ...chat('some words'), usage: null });
  const tools = [{ type: 'function', function: { name: 'look_up',
    description: 'finds something in a table of things', parameters: { type: 'object' } } }];
  const seen = [];
  for (const body of [{}, { tools }]) {
    const sent = await weir.chat({ model: 'far/plain', ...body });
    seen.push(await weir.row(sent.header('x-request-id')));
  }
  // 'user' and 'hello' are a token each, and six stand for what is around them.
  assert.equal(seen[0].input_tokens, 8);
  const counted = (seen[1].input_tokens - 8) / tokenizer.encode(JSON.stringify(tools)).length;
  assert.ok(counted > 0.8 && counted < 1.2, counted);
  assert.deepEqual(new Set(Object.keys(seen[0])), new Set([
    'id', 'request_id', 'time', 'organization', 'department', 'team', 'member', 'key', 'model',
    'provider', 'mode', 'gain', 'reasons', 'status', 'close', 'stream', 'attempts',
    'input_tokens',
    'cached_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'cost_usd',
    'price', 'estimated', 'unpriced', 'ttft_ms', 'duration_ms', 'tags', 'continued_by',
    'billed']));
  assert.deepEqual([seen[0].continued_by, seen[0].billed], [null, []]);
});

test('a stream whose counter breaks on the way is counted by us, all of it', async () => {
  answer = async (call) => {
    await call.begin();
    await call.event({ ...delta({ content: 'some words' }),
                       usage: usage(100, 10, {}, { reasoning_tokens: 9 }) });
    await call.event({ ...delta({}, 'stop'), usage: usage(100, -1) });
    await call.event('[DONE]');
    await call.end();
  };
  const sent = await weir.chat({ model: 'far/plain', stream: true });
  const found = await weir.row(sent.header('x-request-id'));
  assert.equal(found.estimated, true);
  assert.ok(found.input_tokens < 20 && found.output_tokens < 20, JSON.stringify(found));
  assert.equal(found.reasoning_tokens, 0);
});

test('a fall-back from a model with a price to one without keeps nothing of it', async () => {
  answer = (call) => (call.model === 'free' ? call.json(chat('ok')) : call.error(500));
  for (const [models, unpriced] of [[['far/kinds', 'far/free'], true],
                                    [['far/plain', 'far/free'], true]]) {
    const sent = await weir.chat({ model: models[0], models: models.slice(1) });
    assert.equal(sent.status, 200, sent.text);
    const found = await weir.row(sent.header('x-request-id'));
    assert.deepEqual([found.model, found.cost_usd, found.price, found.unpriced],
                     [models[1], '0', {}, unpriced]);
  }
});

test('baseline: the same tokens at another model\'s price, each request in its tier', async () => {
  const { id: member } = await weir.ask('POST', `${api}/units`, { kind: 'member', name: 'b',
    parent: (await weir.ask('GET', `${api}/units`)).data.find((u) => u.kind === 'organization').id });
  const made = await weir.ask('POST', `${api}/keys`, { member, name: 'b' });
  const send = async (model, told) => {
    answer = (call) => call.json(chat('hello', told));
    const sent = await weir.chat({ model: `far/${model}` }, { key: made.key });
    await weir.row(sent.header('x-request-id'));
  };
  await send('plain', usage(100, 10));                          // 120,000 nano-dollars
  await send('plain', usage(101, 10, { cached_tokens: 100 }));  // 121,000
  await send('dust', usage(1001, 1));                           // 501
  const get = async (query) => (await weir.ask('GET',
    `${api}/usage?unit=${member}&${query}`)).data;
  const [all] = await get('baseline=far/tiers');
  // 120,000 + (3,000 + 100 x 1,500 + 10 x 4,000) + (1001 x 5,000 + 6,000)
  assert.equal(all.baseline_usd, '0.005324');
  assert.equal(all.cost_usd, '0.000241501');
  assert.equal(all.saved_usd, '0.005082499');
  for (const column of ['model', 'hour', 'tag', 'key', 'day', 'team', 'provider', 'month']) {
    const rows = await get(`baseline=far/tiers&group_by=${column}`);
    assert.equal(rows.reduce((sum, one) => sum + nano(one.baseline_usd), 0n), 5324000n, column);
  }
  const models = await get('baseline=far/plain&group_by=model');
  assert.deepEqual(models.map((one) => [one.model, one.baseline_usd, one.saved_usd]),
                   [['far/dust', '0.001003', '0.001002499'], ['far/plain', '0.000241', '0']]);
  const [dear] = await get('baseline=far/dust');
  assert.equal(dear.saved_usd, '-0.000240889', 'what was dearer is negative');
  assert.equal((await get('group_by=model'))[0].baseline_usd, undefined);
  // A model that is only compiled in: its provider has no key here.
  const [known] = await get('baseline=openai/gpt-4o-mini');
  assert.ok(nano(known.baseline_usd) > 0n);
});

test('a baseline that is unknown, without price, not yet priced: 400, nearest name', async () => {
  for (const [name, code, says] of [
    ['far/plane', 'invalid_request', /'baseline'.*'far\/plane'.*did you mean 'far\/plain'/],
    ['plain', 'invalid_request', /'baseline'.*'plain'/],
    ['far/free', 'unknown_price', /no price/], ['', 'invalid_request', /'baseline'/]]) {
    const refused = await weir.call('GET', `${api}/usage?baseline=${name}`);
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.json.error.code, code, refused.text);
    assert.match(refused.json.error.message, says);
  }
});

test('nothing foreign was broken', async () => {
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
