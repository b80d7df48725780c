// openai_sdk.test.mjs - an application with OpenAI's official SDK changes base URL and key, and
// works. Behind Weir stands a foreign provider (node's HTTP stack), and weir-mock once.
import assert from 'node:assert/strict';
import test from 'node:test';
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError,
                 InternalServerError, NotFoundError, PermissionDeniedError } from 'openai';
import { foreign, reply, vector } from './lib/foreign.mjs';
import { nowhere, provider } from './lib/provider.mjs';
import { Mock, until, Weir } from './lib/weir.mjs';

const far = await foreign();
const mock = await Mock.start();
const broken = await provider((call) => {
  const status = Number(/\d{3}/.exec(call.model)[0]);
  return call.error(status, 'as asked for', status === 400 ? 'bad_thing' : null);
});
const model = (id, more = {}) => ({ id, price: { input: '1', output: '2' }, ...more });
const weir = await Weir.start({
  providers: [{ name: 'foreign', url: far.url, keys: ['sk-far'], headers: { 'x-team': 'box' } },
              { name: 'mock', url: mock.url, keys: ['sk-mock'] },
              { name: 'broken', url: broken.url, keys: ['sk-broken'] },
              { name: 'dead', url: await nowhere(), keys: ['sk-dead'] }],
  models: [model('foreign/small'), model('foreign/crlf'), model('foreign/endless'),
           model('foreign/embedder'), model('foreign/text'), model('foreign/moderator'),
           model('foreign/hidden-name', { upstream: 'their-own-name' }),
           model('mock/mock-n5'), model('mock/mock-ttft20-tps200-n20'),
           model('broken/status-400'), model('broken/status-429'), model('broken/status-500'),
           model('dead/none')],
  aliases: { everyday: 'foreign/small' },
});
const client = new OpenAI({ baseURL: `${weir.url}/v1`, apiKey: weir.key, maxRetries: 0 });
const say = (content) => [{ role: 'user', content }];
const prompt = 'Grüße aus 東京, ¿qué tal? 🚀 "quoted" \\ back';

test('a chat answer', async () => {
  const answer = await client.chat.completions.create({ model: 'foreign/small',
                                                        messages: say(prompt) });
  assert.equal(answer.choices[0].message.content, reply(prompt));
  assert.equal(answer.model, 'small', 'the provider is asked by its own name of the model');
  assert.ok(answer.usage.prompt_tokens > 0);
});

test('a model with another upstream name, a bare name and an alias', async () => {
  for (const [name, upstream] of [['foreign/hidden-name', 'their-own-name'],
                                  ['hidden-name', 'their-own-name'], ['everyday', 'small']]) {
    const answer = await client.chat.completions.create({ model: name, messages: say('x') });
    assert.equal(answer.model, upstream, name);
  }
});

for (const name of ['foreign/small', 'foreign/crlf']) {
  test(`a streamed answer of ${name}, usage only when asked for`, async () => {
    for (const asks of [false, true]) {
      let text = '', finish = null, usages = 0;
      const stream = await client.chat.completions.create({
        model: name, messages: say(prompt), stream: true,
        ...(asks ? { stream_options: { include_usage: true } } : {}) });
      for await (const part of stream) {
        text += part.choices[0]?.delta?.content ?? '';
        finish = part.choices[0]?.finish_reason ?? finish;
        if (part.usage) usages++;
        assert.ok(asks || part.choices.length > 0, 'the usage chunk nobody asked for');
      }
      assert.equal(text, reply(prompt));
      assert.equal(finish, 'stop');
      assert.equal(usages, asks ? 1 : 0);
    }
    const asked = far.requests.at(-2).body;  // the one without
    assert.equal(asked.stream_options.include_usage, true, 'Weir asks the provider always');
  });
}

test('tools, whole and streamed', async () => {
  const tools = ['weather', 'wind'].map((name) => ({ type: 'function', function: {
    name, parameters: { type: 'object', properties: { city: { type: 'string' } } } } }));
  const ask = { model: 'foreign/small', messages: say('weather?'), tools };
  const answer = await client.chat.completions.create(ask);
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  const calls = [];
  const stream = await client.chat.completions.create({ ...ask, stream: true });
  for await (const part of stream) {
    for (const call of part.choices[0]?.delta?.tool_calls ?? []) {
      calls[call.index] ??= { name: '', arguments: '' };
      calls[call.index].name += call.function.name ?? '';
      calls[call.index].arguments += call.function.arguments ?? '';
    }
  }
  assert.deepEqual(calls, answer.choices[0].message.tool_calls.map((call) => call.function));
  assert.deepEqual(JSON.parse(calls[1].arguments), { city: 'Zürich ☂', n: 1 });
});

test("the SDK's own stream helper assembles the same", async () => {
  const runner = client.chat.completions.stream({ model: 'foreign/crlf', messages: say('abc') });
  const final = await runner.finalChatCompletion();
  assert.equal(final.choices[0].message.content, 'cba');
});

test('embeddings as floats and as base64, the default of the SDK', async () => {
  const input = ['first', 'the second'];
  const want = input.map((text) => vector(text));
  for (const format of [undefined, 'float']) {
    const answer = await client.embeddings.create({
      model: 'foreign/embedder', input, ...(format ? { encoding_format: format } : {}) });
    assert.deepEqual(answer.data.map((row) => Array.from(row.embedding)), want);
    assert.equal(far.requests.at(-1).body.encoding_format, format ?? 'base64');
  }
});

test('completions, whole and streamed', async () => {
  const ask = { model: 'foreign/text', prompt: 'once upon' };
  const answer = await client.completions.create(ask);
  assert.equal(answer.choices[0].text, 'nopu ecno');
  let text = '';
  for await (const part of await client.completions.create({ ...ask, stream: true })) {
    assert.equal(part.usage ?? null, null);
    text += part.choices[0]?.text ?? '';
  }
  assert.equal(text, 'nopu ecno');
});

test('moderations', async () => {
  const answer = await client.moderations.create({ model: 'foreign/moderator',
                                                   input: ['good', 'bad'] });
  assert.deepEqual(answer.results.map((row) => row.flagged), [false, true]);
});

test('models: the list, one of them, one that is not there', async () => {
  const list = await client.models.list();
  const ids = list.data.map((row) => row.id);
  assert.ok(ids.includes('foreign/small') && ids.includes('mock/mock-n5'), ids.join());
  assert.equal(new Set(ids).size, ids.length);
  const one = await client.models.retrieve('foreign/small');
  assert.equal(one.id, 'foreign/small');
  assert.equal(one.object, 'model');
  assert.equal(one.owned_by, 'foreign');
  assert.equal(one.price.input, '1');
  await assert.rejects(client.models.retrieve('foreign/smal'), NotFoundError);
});

test('weir-mock behind, whole and streamed', async () => {
  const answer = await client.chat.completions.create({ model: 'mock/mock-n5',
                                                        messages: say('x') });
  assert.equal(answer.usage.completion_tokens, 5);
  let text = '', last = null;
  for await (const part of await client.chat.completions.create({
    model: 'mock/mock-ttft20-tps200-n20', messages: say('x'), stream: true,
    stream_options: { include_usage: true } })) {
    text += part.choices[0]?.delta?.content ?? '';
    last = part;
  }
  assert.ok(text.length > 0);
  assert.equal(last.usage.completion_tokens, 20);
});

// --- errors

const ask = (more, which = client) =>
  which.chat.completions.create({ model: 'foreign/small', messages: say('x'), ...more });

async function refused(promise, kind) {
  const error = await promise.then(() => null, (e) => e);
  assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
  assert.ok(error.requestID, 'every answer has its request id');
  return error;
}

test('a wrong key is an AuthenticationError', async () => {
  const other = client.withOptions({ apiKey: 'sk-weir-wrong' });
  const error = await refused(ask({}, other), AuthenticationError);
  assert.equal(error.code, 'invalid_api_key');
  assert.doesNotMatch(error.message, /sk-weir-wrong/);
});

test('an unknown model is a NotFoundError that names the nearest', async () => {
  const error = await refused(ask({ model: 'foreign/smal' }), NotFoundError);
  assert.equal(error.code, 'model_not_found');
  assert.match(error.message, /foreign\/small/);
});

test('a bad request is a BadRequestError that says where', async () => {
  const error = await refused(ask({ stream: 'yes' }), BadRequestError);
  assert.equal(error.code, 'invalid_request_error');
  assert.match(String(error.param) + error.message, /stream/);
  const json = await weir.fetch('/v1/chat/completions', { body: '{"model":"foreign/small",' });
  assert.equal(json.status, 400);
  assert.equal((await json.json()).error.code, 'invalid_json');
});

test("the provider's own refusal comes as it is", async () => {
  const error = await refused(ask({ model: 'broken/status-400' }), BadRequestError);
  assert.equal(error.code, 'bad_thing');
  assert.match(error.message, /as asked for/);
});

test('failed providers are an InternalServerError that says why', async () => {
  for (const [name, status, why] of [['broken/status-500', 502, /status 500/],
                                     ['broken/status-429', 502, /status 429/],
                                     ['dead/none', 502, /connection refused/]]) {
    const error = await refused(ask({ model: name }), InternalServerError);
    assert.equal(error.status, status, name);
    assert.equal(error.code, 'upstream_error', name);
    assert.match(error.message, why);
    assert.ok(error.message.includes(name));
  }
});

test('a policy that forbids the model is a PermissionDeniedError', async () => {
  const { data } = await weir.ask('GET', '/admin/v1/units');
  const member = data.find((unit) => unit.kind === 'member');
  const made = await weir.ask('POST', '/admin/v1/keys', {
    member: member.id, name: 'narrow', policy: { allow: ['mock/*'] } });
  const narrow = client.withOptions({ apiKey: made.key });
  const error = await refused(ask({}, narrow), PermissionDeniedError);
  assert.equal(error.code, 'model_not_allowed');
  assert.deepEqual([...new Set((await narrow.models.list()).data.map((m) => m.owned_by))],
                   ['mock']);
});

// --- streams that end early, many at once, large, unknown

test('an abort reaches the provider', async () => {
  const before = far.closes;
  const stream = await client.chat.completions.create({
    model: 'foreign/endless', messages: say('never ends'), stream: true });
  const seen = [];
  await assert.doesNotReject(async () => {
    for await (const part of stream) {
      seen.push(part);
      if (seen.length === 2) stream.controller.abort();
    }
  });
  await until(() => far.closes > before, 'the provider sees that the client has gone');
  const control = new AbortController();
  const whole = client.chat.completions.create(
    { model: 'mock/mock-ttft20-tps200-n20', messages: say('x') }, { signal: control.signal });
  control.abort();
  await assert.rejects(whole, APIUserAbortError);
});

test('fifty streams at once, each its own', async () => {
  await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const mine = `stream number ${i} ${'ab'.repeat(i)}`;
    let text = '';
    for await (const part of await client.chat.completions.create({
      model: i % 2 ? 'foreign/small' : 'foreign/crlf', messages: say(mine), stream: true })) {
      text += part.choices[0]?.delta?.content ?? '';
    }
    assert.equal(text, reply(mine));
  }));
});

test('a prompt of two megabytes', async () => {
  const long = 'Lorem ipsum dolor sit amet, 東京. '.repeat(64 * 1024);
  const answer = await client.chat.completions.create({
    model: 'foreign/small', messages: [{ role: 'system', content: long }, ...say('end')] });
  assert.equal(answer.choices[0].message.content, 'dne');
  assert.equal(far.requests.at(-1).body.messages[0].content, long);
});

test('fields nobody knows pass, in both directions', async () => {
  const answer = await ask({ frobnicate: { deep: [1, 2, { x: null }] }, seed: 7, user: 'u1' });
  assert.deepEqual(far.requests.at(-1).body.frobnicate, { deep: [1, 2, { x: null }] });
  assert.ok(answer.echo.includes('frobnicate'), 'and so do fields of the answer');
});

test('headers: what goes up, what comes back', async () => {
  const { data, response } = await client.chat.completions.create(
    { model: 'foreign/small', messages: say('x') },
    { headers: { 'x-request-id': 'my-own.id_1', 'openai-organization': 'org-1',
                 'x-weir-tags': 'a=b', cookie: 'secret=1', 'x-forwarded-for': '10.0.0.1',
                 traceparent: '00-b06bd411a29b770f9be327269924c581-de1463339b574dbd-01' } },
  ).withResponse();
  assert.equal(data.choices[0].message.content, 'x');
  const head = Object.fromEntries(response.headers);
  assert.equal(head['x-request-id'], 'my-own.id_1');
  assert.equal(head['x-weir-model'], 'foreign/small');
  assert.equal(head['x-weir-attempts'], '1');
  assert.match(head['x-weir-gain'], /^(0(\.\d{1,4})?|1)$/);
  assert.equal(head['x-weir-mode'], 'balanced');
  assert.match(head['server-timing'], /^weir;dur=\d+(\.\d+)?, upstream;dur=\d+(\.\d+)?$/);
  assert.match(head['x-weir-cost-usd'], /^0\.\d{1,9}$/);
  assert.match(head['x-upstream-request-id'], /^foreign-\d+$/);
  assert.equal(head['openai-processing-ms'], '12', "the provider's own headers come back");
  assert.equal(head['set-cookie'], undefined);
  const up = far.requests.at(-1).headers;
  assert.equal(up.authorization, 'Bearer sk-far', "the provider's key, not the client's");
  assert.equal(up['x-team'], 'box');
  assert.equal(up['openai-organization'], 'org-1');
  assert.match(up.traceparent, /^00-b06b/);
  assert.equal(up['accept-encoding'], 'identity');
  assert.match(up['user-agent'], /^OpenAI\/JS/);
  for (const name of ['cookie', 'x-forwarded-for', 'x-weir-tags', 'x-api-key']) {
    assert.equal(up[name], undefined, `${name} stops at Weir`);
  }
  assert.ok(!JSON.stringify(up).includes(weir.key));
  const stream = await client.chat.completions.create(
    { model: 'foreign/small', messages: say('x'), stream: true }).withResponse();
  for await (const part of stream.data) assert.ok(part);
  assert.match(stream.response.headers.get('x-request-id'), /^[A-Za-z0-9._-]{1,64}$/);
  assert.equal(stream.response.headers.get('x-weir-model'), 'foreign/small');
});

test('the same under /openai/v1', async () => {
  const other = client.withOptions({ baseURL: `${weir.url}/openai/v1` });
  assert.equal((await ask({}, other)).choices[0].message.content, 'x');
});

test('what is not in this release says so', async () => {
  const error = await client.images.edit({ model: 'foreign/small', prompt: 'x',
    image: new File(['x'], 'x.png') })
    .then(() => null, (e) => e);
  assert.ok(error instanceof APIError);
  assert.match(error.message, /not in this release/);
});

test('it all ends cleanly', async () => {
  await weir.stop();
  assert.deepEqual(broken.faults, []);
  assert.equal(weir.run.stderr, '');
});
