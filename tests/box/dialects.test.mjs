// dialects.test.mjs - applications with Anthropic's, Google's and OpenAI's official SDKs, the
// latter asking Responses, change base URL and key, and work. Behind Weir stands weir-mock in
// each dialect; what the SDKs make of weir-mock itself is what they must make of Weir.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { Mock, Weir, whole } from './lib/weir.mjs';

const mock = await Mock.start(['--key', 'sk-mock']);
const key = ['sk-mock'];
// Dollars per million tokens, of each kind another.
const price = { input: '1', cached: '0.1', cache_write: '1.25', cache_write_1h: '2',
                output: '5' };
const scripts = ['mock-n5', 'mock-n9', 'mock-tool-n7', 'mock-400', 'mock-500',
                 'mock-nousage-n8', 'mock-badusage-n8', 'mock-n8-reset6', 'mock-n8-noend6',
                 'mock-n8-error6', 'mock-n8-garbage6', 'mock-n8-stall0', 'mock-echoheaders',
                 'mock-reasoning3-n6-cached40-cachewrite20-cachehour10', 'mock-big90',
                 'mock-echobody', 'mock-error'];
const weir = await Weir.start({
  providers: [
    { name: 'ant', dialect: 'anthropic', url: mock.url, keys: key,
      timeouts: { first_byte: '1s', stall: '2s' } },
    { name: 'oai', dialect: 'openai', url: mock.url, keys: key },
    { name: 'res', dialect: 'responses', url: mock.url, keys: key,
      timeouts: { first_byte: '1s', stall: '2s' } },
    { name: 'gem', dialect: 'gemini', url: mock.url.replace(/v1$/, 'v1beta'), keys: key,
      timeouts: { first_byte: '1s', stall: '2s' } },
  ],
  models: [...['ant', 'res', 'gem'].flatMap((name) => scripts.map((script) =>
             ({ id: `${name}/${script}`, price }))),
           ...['oai', 'res'].map((name) => ({ id: `${name}/twice`, upstream: 'mock-n5', price })),
           { id: 'oai/mock-n5', price },
           { id: 'gem/deep/name', upstream: 'mock-n5', price }],
  aliases: Object.fromEntries(['ant', 'res', 'gem'].map((name) =>
    [`safe-${name}`, [`${name}/mock-500`, `${name}/mock-n8-stall0`, `${name}/mock-n5`]])),
});

const hello = 'Hello there, how are you?';
const look = { name: 'look_up', description: 'Looks something up.' };
const schema = { type: 'object', properties: { text: { type: 'string' } } };

// Every SDK calls the global fetch: here it keeps the header fields of Weir's newest answer.
let head = null;
const plainFetch = globalThis.fetch;
globalThis.fetch = async (url, init) => {
  const response = await plainFetch(url, init);
  if (response.url.startsWith(weir.url)) head = response.headers;
  return response;
};

// --- one caller for each dialect: {ask(model, more), stream(model, more), count(model)}

function anthropic(base, apiKey) {
  const client = new Anthropic({ baseURL: base, apiKey, maxRetries: 0 });
  const body = (model, more) => ({ model, max_tokens: 100, ...more,
                                   messages: [{ role: 'user', content: hello }] });
  const plain = (message) => ({
    text: message.content.filter((part) => part.type === 'text').map((p) => p.text).join(''),
    thought: message.content.filter((part) => part.type === 'thinking')
      .map((part) => part.thinking).join(''),
    call: message.content.find((part) => part.type === 'tool_use'),
    finish: message.stop_reason, model: message.model, usage: message.usage });
  return {
    client, tools: { tools: [{ ...look, input_schema: schema }] },
    ask: async (model, more) => plain(await client.messages.create(body(model, more))),
    stream: async (model, more) =>
      plain(await client.messages.stream(body(model, more)).finalMessage()),
    count: async (model) => (await client.messages.countTokens({
      model, messages: [{ role: 'user', content: hello }] })).input_tokens,
    argument: (answer) => answer.call.input,
    path: () => '/v1/messages', body, good: 'message_stop', error: '"type":"error"',
    status: (error) => error.status, message: (error) => error.error.error.message,
  };
}

function responses(base, apiKey) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey, maxRetries: 0 });
  const body = (model, more) => ({ model, ...more, input: hello });
  const plain = (answer) => ({
    text: answer.output.filter((item) => item.type === 'message')
      .flatMap((item) => item.content).map((part) => part.text).join(''),
    thought: answer.output.filter((item) => item.type === 'reasoning')
      .flatMap((item) => item.summary).map((part) => part.text).join(''),
    call: answer.output.find((item) => item.type === 'function_call'),
    finish: answer.status, model: answer.model, usage: answer.usage });
  return {
    client, tools: { tools: [{ type: 'function', ...look, parameters: schema }] },
    ask: async (model, more) => plain(await client.responses.create(body(model, more))),
    stream: async (model, more) => {
      let end = null, text = '';
      for await (const event of await client.responses.create({ ...body(model, more),
                                                                stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        if (/^response\.(completed|incomplete)$/.test(event.type)) end = event.response;
        if (event.type === 'error') throw Object.assign(new Error(event.message), { event });
      }
      const answer = plain(end);
      assert.equal(text, answer.text, 'the deltas say what the end says');
      return answer;
    },
    argument: (answer) => JSON.parse(answer.call.arguments),
    path: () => '/v1/responses', body, good: 'response.completed', error: '"type":"error"',
    status: (error) => error.status, message: (error) => error.error.message,
  };
}

function gemini(base, apiKey) {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: base } });
  const body = (model, { max_tokens, ...config } = {}) => ({ model, contents: hello,
    config: { ...config, ...(max_tokens ? { maxOutputTokens: max_tokens } : {}) } });
  const text = (parts, thought) => parts.filter((part) => Boolean(part.thought) === thought)
    .map((part) => part.text ?? '').join('');
  const plain = (chunks) => {
    const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
    const last = chunks.at(-1);
    return { text: text(parts, false), thought: text(parts, true),
             call: parts.find((part) => part.functionCall)?.functionCall,
             finish: last.candidates[0].finishReason, model: last.modelVersion,
             usage: last.usageMetadata };
  };
  return {
    client, tools: { tools: [{ functionDeclarations: [{ ...look, parameters: schema }] }] },
    ask: async (model, more) => plain([await client.models.generateContent(body(model, more))]),
    stream: async (model, more) => {
      const chunks = [];
      for await (const chunk of await client.models.generateContentStream(body(model, more))) {
        chunks.push(chunk);
      }
      return plain(chunks);
    },
    count: async (model) =>
      (await client.models.countTokens({ model, contents: hello })).totalTokens,
    argument: (answer) => answer.call.args,
    path: (model, stream) => `/v1beta/models/${model}:` +
      (stream ? 'streamGenerateContent?alt=sse' : 'generateContent'),
    body: () => ({ contents: [{ parts: [{ text: hello }] }] }),
    good: '"finishReason"', error: '"error"',
    status: (error) => error.status, message: (error) => JSON.parse(error.message).error.message,
  };
}

const dialects = { ant: anthropic, res: responses, gem: gemini };
const at = Object.fromEntries(Object.entries(dialects).map(([name, make]) => [name, {
  here: make(weir.url, weir.key), there: make(mock.address.replace(/\/$/, ''), 'sk-mock') }]));

// The row of the newest answer through Weir.
const row = () => weir.row(head.get('x-request-id'));

// What the dialect's usage says, in the ledger's kinds.
function kinds(name, usage) {
  if (name === 'ant') {
    return { input: usage.input_tokens, cached: usage.cache_read_input_tokens,
             write: usage.cache_creation.ephemeral_5m_input_tokens,
             hour: usage.cache_creation.ephemeral_1h_input_tokens,
             output: usage.output_tokens, reasoning: 0 };
  }
  if (name === 'res') {
    const { cached_tokens: cached, cache_write_tokens: write = 0 } = usage.input_tokens_details;
    return { input: usage.input_tokens - cached - write, cached, write, hour: 0,
             output: usage.output_tokens,
             reasoning: usage.output_tokens_details.reasoning_tokens };
  }
  const cached = usage.cachedContentTokenCount ?? 0, thoughts = usage.thoughtsTokenCount ?? 0;
  return { input: usage.promptTokenCount - cached, cached, write: 0, hour: 0,
           output: usage.candidatesTokenCount + thoughts, reasoning: thoughts };
}

// In billionths of a dollar: the prices above are per million, so a token of $1 is 1000.
const cost = (k) => k.input * 1000 + k.cached * 100 + k.write * 1250 + k.hour * 2000 +
                    k.output * 5000;
const dollars = (nano) => (nano / 1e9).toFixed(9).replace(/\.?0+$/, '');

for (const [name, { here, there }] of Object.entries(at)) {
  for (const how of ['ask', 'stream']) {
    test(`${name}, ${how}: the same through Weir as without it`, async () => {
      for (const [script, more] of [['mock-n9', {}], ['mock-tool-n7', here.tools],
        ['mock-reasoning3-n6-cached40-cachewrite20-cachehour10', {}]]) {
        const got = await here[how](`${name}/${script}`, more);
        const want = await there[how](script, more);
        for (const answer of [got, want]) {
          if (!answer.call) continue;
          assert.match(answer.call.name, /look_up/);
          assert.deepEqual(here.argument(answer), { text: 'Water runs over the weir' });
          for (const id of ['id', 'call_id']) delete answer.call[id];
        }
        assert.deepEqual(got, want, script);
        assert.ok(got.text || got.call, script);
      }
    });

    test(`${name}, ${how}: tokens and cost in the ledger are what was told`, async () => {
      for (const script of ['mock-n5', 'mock-reasoning3-n6-cached40-cachewrite20-cachehour10']) {
        const { usage } = await here[how](`${name}/${script}`, {});
        const want = kinds(name, usage), had = await row();
        assert.deepEqual({ input: had.input_tokens, cached: had.cached_tokens,
                           write: had.cache_write_tokens, output: had.output_tokens,
                           reasoning: had.reasoning_tokens },
                         { input: want.input, cached: want.cached,
                           write: want.write + want.hour, output: want.output,
                           reasoning: want.reasoning }, script);
        assert.equal(had.cost_usd, dollars(cost(want)), script);
        assert.equal(had.estimated, false);
        assert.equal(had.stream, how === 'stream');
        assert.equal(had.model, `${name}/${script}`);
      }
    });

    test(`${name}, ${how}: a candidate that fails, one that is silent, one that answers`,
         async () => {
      const answer = await here[how](`safe-${name}`, {});
      assert.equal(answer.text.split(' ').length, 5);
      assert.equal(head.get('x-weir-model'), `${name}/mock-n5`);
      assert.equal(head.get('x-weir-attempts'), '3');
    });

    test(`${name}, ${how}: no usage, or an absurd one, is estimated`, async () => {
      for (const script of ['mock-nousage-n8', 'mock-badusage-n8']) {
        const answer = await whole(await weir.fetch(here.path(`${name}/${script}`,
          how === 'stream'), { body: { ...here.body(`${name}/${script}`),
            ...(name === 'gem' ? {} : { stream: how === 'stream' }) } }));
        assert.equal(answer.status, 200, answer.text);
        const had = await weir.row(answer.header('x-request-id'));
        assert.equal(had.estimated, true, script);
        assert.ok(had.output_tokens > 0 && had.input_tokens > 0, script);
      }
    });
  }

  test(`${name}: refusals are the SDK's own errors`, async () => {
    const cases = [['nowhere/none', 404, /does not exist/], [`${name}/mock-400`, 400, /script/]];
    for (const [model, status, message] of cases) {
      for (const how of ['ask', 'stream']) {
        await assert.rejects(here[how](model, {}), (error) => {
          assert.equal(here.status(error), status, `${model} ${how}: ${error.message}`);
          assert.match(here.message(error), message, `${model} ${how}`);
          return true;
        });
      }
    }
    const stranger = dialects[name](weir.url, 'sk-weir-nobody');
    await assert.rejects(stranger.ask(`${name}/mock-n5`, {}), (error) => {
      assert.equal(stranger.status(error), 401);
      assert.match(stranger.message(error), /not known/);
      return true;
    });
  });

  test(`${name}: what breaks after it began ends with an error and no good end`, async () => {
    for (const script of ['mock-n8-reset6', 'mock-n8-noend6', 'mock-n8-error6',
                          'mock-n8-garbage6']) {
      const model = `${name}/${script}`;
      const text = await (await weir.fetch(here.path(model, true), {
        body: { ...here.body(model), ...(name === 'gem' ? {} : { stream: true }) } })).text();
      assert.ok(text.includes('Water'), `${script}: ${text.slice(0, 300)}`);
      assert.ok(!text.includes(here.good), script);
      assert.ok(text.trimEnd().split('\n').at(-1).includes(here.error), text.slice(-300));
      assert.ok(!text.includes('[DONE]'));
      await assert.rejects(here.stream(model, {}), undefined, script);
      assert.notEqual((await row()).close, 'done');
    }
  });

  test(`${name}: an event over 64 KiB passes, and what it tells is booked`, async () => {
    const answer = await here.stream(`${name}/mock-big90`, {});
    assert.equal(answer.text.length, 90 << 10);
    const had = await row();
    assert.equal(had.estimated, false);
    assert.equal(had.cost_usd, dollars(cost(kinds(name, answer.usage))));
  });

  test(`${name}: an output limit`, async () => {
    for (const how of ['ask', 'stream']) {
      const limit = name === 'res' ? { max_output_tokens: 16 } : { max_tokens: 3 };
      const answer = await here[how](`${name}/mock-n9`, limit);
      if (name === 'res') assert.equal(answer.finish, 'completed');
      else assert.match(answer.finish, /^max_tokens$/i);
    }
  });
}

for (const name of ['ant', 'gem']) {
  test(`${name}: counted tokens cost nothing and have a row`, async () => {
    const { here, there } = at[name];
    const n = await here.count(`${name}/mock-n5`);
    const had = await row();
    assert.deepEqual([had.status, had.cost_usd, had.input_tokens, had.output_tokens,
                      had.estimated], [200, '0', 0, 0, false]);
    assert.equal(n, await there.count('mock-n5'));
    assert.ok(n > 0);
    await assert.rejects(here.count('nowhere/none'), (error) => here.status(error) === 404);
  });
}
