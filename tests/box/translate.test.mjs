// translate.test.mjs - what holds around every translation, whichever dialects it is between:
// errors, ends, budgets, fail-over between dialects, what cannot be said, marked signatures,
// counts, header fields. What each dialect's words become is the pairs' own tests' matter.
import assert from 'node:assert/strict';
import test from 'node:test';
import { provider } from './lib/provider.mjs';
import { Mock, Weir, pause, until, whole } from './lib/weir.mjs';

const mock = await Mock.start(['--key', 'sk-mock']);
const price = { input: '1', cached: '0.1', cache_write: '1.25', cache_write_1h: '2',
                output: '5' };
const names = ['oai', 'res', 'ant', 'gem'];
const spoken = { oai: 'openai', res: 'responses', ant: 'anthropic', gem: 'gemini' };
const all = ['tools', 'vision', 'json_schema', 'reasoning'];
const scripts = ['mock-n5', 'mock-n9', 'mock-tool-n7', 'mock-400', 'mock-500', 'mock-nousage-n8',
                 'mock-n8-reset6', 'mock-n8-noend6', 'mock-n8-error6', 'mock-n8-garbage6',
                 'mock-big90', 'mock-n5000', 'mock-error', 'mock-echoheaders'];

// What the JS providers answer is set by each test: (name, call) => ...
let answer = null;
const seen = [];
const own = Object.fromEntries(await Promise.all(names.map(async (name) =>
  [name, await provider(async (call) => {
    seen.push({ name, request: call.request });
    await answer(name, call);
  })])));
const at = (name, url) => (name === 'gem' ? url.replace(/v1$/, 'v1beta') : url);
const weir = await Weir.start({
  providers: names.flatMap((name) => [
    { name, dialect: spoken[name], url: at(name, mock.url), keys: ['sk-mock'] },
    { name: `own-${name}`, dialect: spoken[name], url: at(name, own[name].url),
      keys: ['sk-very-secret'] }]),
  models: names.flatMap((name) => [
    ...scripts.map((script) => ({ id: `${name}/${script}`, price })),
    ...['any', 'small'].map((id) => ({ id: `own-${name}/${id}`, price, supports: all,
      ...(id === 'small' ? { max_output: 20 } : {}) }))]),
  aliases: Object.fromEntries(names.flatMap((name, i) => [
    [`next-${name}`, [`${name}/mock-500`, `${names[(i + 1) % 4]}/mock-n5`]],
    [`said-${name}`, [`own-${name}/any`, 'oai/mock-n5']]])),
});

// --- the four clients, by hand: {path, body, text, usage, error, good}

const events = (text) => text.split(/\r?\n\r?\n/).filter((e) => /^data: /m.test(e))
  .map((e) => e.replace(/^event: .*\r?\n/, '').slice(6)).filter((d) => d !== '[DONE]')
  .map((d) => JSON.parse(d));
const hello = 'Hello there, how are you?';
const clients = {
  oai: {
    path: () => '/v1/chat/completions',
    body: (model, stream) => ({ model, stream, messages: [{ role: 'user', content: hello }],
                                ...(stream ? { stream_options: { include_usage: true } } : {}) }),
    text: (a) => a.choices[0].message.content,
    said: (list) => list.map((e) => e.choices?.[0]?.delta?.content ?? '').join(''),
    usage: (a) => [a.usage.prompt_tokens, a.usage.completion_tokens],
    last: (list) => list.find((e) => e.usage), good: '[DONE]', id: /^chatcmpl-/,
    limit: { max_tokens: 100 }, message: (e) => e.error.message,
  },
  res: {
    path: () => '/v1/responses',
    body: (model, stream) => ({ model, stream, input: hello }),
    text: (a) => a.output.filter((i) => i.type === 'message').flatMap((i) => i.content)
      .map((p) => p.text).join(''),
    said: (list) => list.filter((e) => e.type === 'response.output_text.delta')
      .map((e) => e.delta).join(''),
    usage: (a) => [a.usage.input_tokens, a.usage.output_tokens],
    last: (list) => list.find((e) => /^response\.(completed|incomplete)$/.test(e.type))?.response,
    good: 'response.completed', id: /^resp_/, limit: { max_output_tokens: 100 },
    message: (e) => e.error?.message ?? e.message,
  },
  ant: {
    path: () => '/v1/messages',
    body: (model, stream) => ({ model, stream, max_tokens: 9999,
                                messages: [{ role: 'user', content: hello }] }),
    text: (a) => a.content.map((b) => b.text ?? '').join(''),
    said: (list) => list.filter((e) => e.delta?.type === 'text_delta')
      .map((e) => e.delta.text).join(''),
    usage: (a) => [a.usage.input_tokens ?? 0, a.usage.output_tokens],
    last: (list) => list.find((e) => e.type === 'message_delta'),
    good: 'message_stop', id: /^msg_/, limit: { max_tokens: 100 },
    message: (e) => e.error.message,
  },
  gem: {
    path: (model, stream) => `/v1beta/models/${model}:` +
      (stream ? 'streamGenerateContent?alt=sse' : 'generateContent'),
    body: () => ({ contents: [{ role: 'user', parts: [{ text: hello }] }] }),
    text: (a) => a.candidates[0].content.parts.map((p) => p.text ?? '').join(''),
    said: (list) => list.map((e) => (e.candidates?.[0]?.content?.parts ?? [])
      .map((p) => p.text ?? '').join('')).join(''),
    usage: (a) => [a.usageMetadata.promptTokenCount, a.usageMetadata.candidatesTokenCount],
    last: (list) => list.findLast((e) => e.usageMetadata && e.candidates?.[0]?.finishReason),
    good: 'finishReason', id: /./, limit: { generationConfig: { maxOutputTokens: 100 } },
    message: (e) => e.error.message,
  },
};

async function ask(name, model, stream = false, more = {}, options = {}) {
  const client = clients[name];
  return whole(await weir.fetch(client.path(model, stream),
    { ...options, body: { ...client.body(model, stream), ...more } }));
}
const pairs = names.flatMap((from) => names.map((to) => [from, to]));
const foreign = pairs.filter(([from, to]) => from !== to);

// --- what every pair does

for (const [from, to] of pairs) {
  test(`${from} -> ${to}: whole and streamed, text, usage, cost, header fields`, async () => {
    const client = clients[from];
    const one = await ask(from, `${to}/mock-n5`);
    assert.equal(one.status, 200, one.text);
    assert.match(one.header('content-type'), /^application\/json/);
    assert.equal(one.header('x-weir-model'), `${to}/mock-n5`);
    const row = await weir.row(one.header('x-request-id'));
    assert.equal(one.header('x-weir-cost-usd'), row.cost_usd);
    assert.deepEqual(client.usage(one.json), [row.input_tokens, row.output_tokens]);
    assert.equal(row.estimated, false);
    assert.match(one.json.id ?? one.json.responseId, client.id);
    const two = await ask(from, `${to}/mock-n5`, true);
    assert.equal(two.status, 200, two.text);
    assert.match(two.header('content-type'), /^text\/event-stream/);
    const list = events(two.text);
    assert.equal(client.said(list), client.text(one.json));
    assert.ok(two.text.includes(client.good), two.text.slice(-300));
    const again = await weir.row(two.header('x-request-id'));
    assert.equal(again.close, 'done');
    assert.equal(again.estimated, false);
    assert.equal(client.usage(client.last(list))[1], again.output_tokens);
  });

  test(`${from} -> ${to}: what breaks after it began ends with an error`, async () => {
    for (const script of ['mock-n8-reset6', 'mock-n8-noend6', 'mock-n8-error6',
                          'mock-n8-garbage6']) {
      const got = await ask(from, `${to}/${script}`, true);
      assert.equal(got.status, 200);
      assert.ok(clients[from].said(events(got.text)).includes('Water'), got.text.slice(0, 300));
      assert.ok(!got.text.includes(clients[from].good), `${script}: ${got.text.slice(-400)}`);
      assert.match(events(got.text).at(-1).type ?? 'error', /error/);
      assert.ok(got.text.trimEnd().split('\n').at(-1).includes('error'), got.text.slice(-300));
      assert.notEqual((await weir.row(got.header('x-request-id'))).close, 'done');
    }
  });
}

for (const [from, to] of foreign) {
  test(`${from} -> ${to}: a refusal is in the client's form, and says whose it is`, async () => {
    for (const stream of [false, true]) {
      const got = await ask(from, `${to}/mock-400`, stream);
      assert.equal(got.status, 400, got.text);
      assert.match(clients[from].message(got.json), new RegExp(`${to}/mock-400 refused .*script`));
      const row = await weir.row(got.header('x-request-id'));
      assert.equal(row.close, 'upstream_refused');
      assert.equal(row.cost_usd, '0');
    }
  });

  test(`${from} -> ${to}: an event of 90 KiB comes whole`, async () => {
    const got = await ask(from, `${to}/mock-big90`, true);
    assert.equal(clients[from].said(events(got.text)).length, 90 << 10);
    assert.ok(got.text.includes(clients[from].good));
    const one = await ask(from, `${to}/mock-big90`);
    assert.equal(clients[from].text(one.json).length, 90 << 10);
  });

  test(`${from} -> ${to}: without usage from the provider, an estimate`, async () => {
    for (const stream of [false, true]) {
      const got = await ask(from, `${to}/mock-nousage-n8`, stream);
      assert.equal(got.status, 200, got.text);
      const row = await weir.row(got.header('x-request-id'));
      assert.equal(row.estimated, true);
      const told = stream ? clients[from].last(events(got.text)) : got.json;
      assert.equal(clients[from].usage(told)[1], row.output_tokens, got.text.slice(-500));
    }
  });
}

for (const from of names) {
  test(`${from}: a candidate of one dialect fails, one of another answers`, async () => {
    for (const to of names) {
      for (const stream of [false, true]) {
        const got = await ask(from, `next-${to}`, stream);
        assert.equal(got.status, 200, got.text);
        const want = `${names[(names.indexOf(to) + 1) % 4]}/mock-n5`;
        assert.equal(got.header('x-weir-model'), want);
        assert.equal((await weir.row(got.header('x-request-id'))).model, want);
      }
    }
  });

  test(`${from}: a limit above the answering model's is lowered, and said`, async () => {
    for (const to of names.filter((name) => name !== from)) {
      answer = (name, call) => call.error(500);
      const got = await ask(from, `own-${to}/small`, false, clients[from].limit);
      assert.equal(got.header('x-weir-capped'), 'model');
      const { request } = seen.at(-1), sent = request.json;
      assert.equal(sent.max_tokens ?? sent.max_completion_tokens ?? sent.max_output_tokens ??
                   sent.generationConfig.maxOutputTokens, 20);
    }
  });

  test(`${from}: the header fields of one dialect do not go to another`, async () => {
    const headers = { 'anthropic-beta': 'a', 'openai-organization': 'b',
                      'x-stainless-lang': 'c', 'x-goog-api-client': 'd', 'x-own': 'e' };
    answer = (name, call) => call.error(500);
    for (const to of names) {
      await ask(from, `own-${to}/any`, false, {}, { headers });
      const { request } = seen.at(-1);
      const kin = from === to || (names.indexOf(from) < 2 && names.indexOf(to) < 2);
      for (const name of Object.keys(headers)) {
        assert.equal(request.get(name) !== undefined, kin || name === 'x-own',
                     `${from} ${to} ${name}`);
      }
      assert.equal(request.get('anthropic-version') !== undefined, to === 'ant');
    }
  });

  test(`${from}: a key that a foreign refusal quotes is not passed on`, async () => {
    for (const to of names.filter((name) => name !== from)) {
      answer = (name, call) => call.json(name === 'ant'
        ? { type: 'error', error: { type: 'invalid_request_error', message: 'no sk-very-secret' } }
        : { error: { code: 400, message: 'no sk-very-secret', status: 'INVALID_ARGUMENT' } },
        { status: 400 });
      const got = await ask(from, `own-${to}/any`);
      assert.equal(got.status, 400);
      assert.ok(!got.text.includes('sk-very'), got.text);
    }
  });

  test(`${from}: too long a prompt, said so by a foreign provider`, async () => {
    for (const to of names.filter((name) => name !== from)) {
      answer = (name, call) => call.json({ error: { code: 400, status: 'INVALID_ARGUMENT',
        message: 'This model\'s maximum context length is 10 tokens' } }, { status: 400 });
      const got = await ask(from, `own-${to}/any`);
      assert.equal(got.status, 400, got.text);
      assert.match(clients[from].message(got.json), /^prompt is too long: /);
      if (names.indexOf(from) < 2) assert.equal(got.json.error.code, 'context_length_exceeded');
    }
  });

  test(`${from}: whole where a stream was asked, or the other way: a failed attempt`, async () => {
    for (const to of names.filter((name) => name !== from)) {
      answer = (name, call) => call.json({ id: 'x' });
      const got = await ask(from, `said-${to}`, true);
      assert.equal(got.status, 200, got.text);
      assert.equal(got.header('x-weir-model'), 'oai/mock-n5');
      answer = async (name, call) => {
        await call.begin();
        await call.event({ id: 'x' });
        await call.end();
      };
      const one = await ask(from, `said-${to}`);
      assert.equal(one.status, 200, one.text);
      assert.equal(one.header('x-weir-model'), 'oai/mock-n5');
    }
  });
}

// --- Gemini's array

for (const to of ['oai', 'res', 'ant']) {
  test(`gem -> ${to}: without alt=sse an array, with an error as its last entry`, async () => {
    const path = (script) => `/v1beta/models/${to}/${script}:streamGenerateContent`;
    const body = clients.gem.body();
    const got = await whole(await weir.fetch(path('mock-n5'), { body }));
    assert.match(got.header('content-type'), /^application\/json/);
    assert.equal(clients.gem.said(got.json).split(' ').length, 5);
    assert.ok(got.json.at(-1).candidates[0].finishReason);
    const bad = await whole(await weir.fetch(path('mock-n8-reset6'), { body }));
    assert.ok(bad.json.at(-1).error, bad.text);
  });
}

// --- what cannot be said, and what is malformed

test('what no dialect of a candidate can say is a 400 that names member and dialect', async () => {
  const body = { ...clients.oai.body('ant/mock-n5'), n: 2 };
  const got = await whole(await weir.fetch('/v1/chat/completions', { body }));
  assert.equal(got.status, 400, got.text);
  assert.match(got.json.error.message, /Anthropic/);
  assert.equal(got.json.error.param, '/n');
  const row = await weir.row(got.header('x-request-id'));
  assert.deepEqual([row.close, row.cost_usd, row.attempts], ['unsayable', '0', 0]);
});

test('a candidate that cannot be asked so gives way to one that can', async () => {
  const body = { ...clients.oai.body('x'), model: 'ant/mock-n5', models: ['oai/mock-n5'], n: 2 };
  const got = await whole(await weir.fetch('/v1/chat/completions', { body }));
  assert.equal(got.status, 200, got.text);
  assert.equal(got.header('x-weir-model'), 'oai/mock-n5');
  assert.equal(got.header('x-weir-attempts'), '1');
});

test('what the client\'s own API forbids is a 400 at once', async () => {
  const body = { model: 'oai/mock-n5', max_tokens: 9, messages: [{ role: 'user', content: 7 }] };
  const got = await whole(await weir.fetch('/v1/messages', { body }));
  assert.equal(got.status, 400, got.text);
  assert.equal(got.json.error.type, 'invalid_request_error');
});

// --- marks

const signed = 'EuYBCkQYAiJAbase64signature';
const thinking = (name, call) => (name === 'ant' ? call.json({
  id: 'msg_1', type: 'message', role: 'assistant', model: 'any', stop_reason: 'end_turn',
  content: [{ type: 'thinking', thinking: 'I thought', signature: signed },
            { type: 'text', text: 'said' }],
  usage: { input_tokens: 3, output_tokens: 4 } }) : call.error(500));

test('a signature comes back to its maker as it was, and to nobody else', async () => {
  answer = thinking;
  const first = await ask('oai', 'own-ant/any', false,
                          { reasoning_effort: 'high', max_tokens: 20000 });
  assert.equal(first.status, 200, first.text);
  const messages = [{ role: 'user', content: hello }, first.json.choices[0].message,
                    { role: 'user', content: 'go on' }];
  const more = { messages, reasoning_effort: 'high', max_tokens: 20000 };
  for (const to of names) {
    await ask('oai', `own-${to}/any`, false, more);
    const sent = seen.at(-1).request.body.toString();
    assert.equal(sent.includes(signed), to === 'ant', `${to}: ${sent}`);
    assert.ok(!sent.includes('WeirSg'), `${to}: ${sent}`);
  }
});

// --- counts

test('counts: of the same kind relayed, else translated or estimated and said so', async () => {
  const asks = {
    ant: ['/v1/messages/count_tokens', (model) => ({ model, tools: [],
      messages: [{ role: 'user', content: hello }] }), (a) => a.input_tokens],
    res: ['/v1/responses/input_tokens', (model) => ({ model, input: hello }),
          (a) => a.input_tokens],
    gem: [null, () => ({ contents: [{ parts: [{ text: hello }] }] }), (a) => a.totalTokens],
  };
  for (const [from, [path, body, count]] of Object.entries(asks)) {
    for (const to of names) {
      if (from === 'res' && to === 'res') continue;      // weir-mock has no such path
      const model = `${to}/mock-n5`;
      const got = await whole(await weir.fetch(path ?? `/v1beta/models/${model}:countTokens`,
                                               { body: body(model) }));
      assert.equal(got.status, 200, got.text);
      assert.ok(count(got.json) > 0, got.text);
      const estimated = got.header('x-weir-estimated');
      assert.equal(estimated, to === 'oai' || to === 'res' || from === 'res' ? 'tokens' : null,
                   `${from} ${to}`);
      const row = await weir.row(got.header('x-request-id'));
      assert.deepEqual([row.status, row.cost_usd, row.model], [200, '0', model]);
    }
  }
});

test('thirty counts at once, as agents ask for them', async () => {
  const all = await Promise.all(Array.from({ length: 30 }, () => weir.fetch(
    '/v1/messages/count_tokens', { body: { model: 'oai/mock-n5', tools: [],
      messages: [{ role: 'user', content: hello }] } }).then(whole)));
  for (const got of all) assert.equal(got.status, 200, got.text);
});

// --- a client that goes away

test('a client that goes away ends the provider\'s answer, in every pair', async () => {
  for (const [from, to] of foreign) {
    let over = null;
    answer = async (name, call) => {
      over = call.over;
      await call.begin();
      const start = { ant: { type: 'message_start', message: { id: 'm', type: 'message',
        role: 'assistant', model: 'any', content: [], usage: { input_tokens: 1,
        output_tokens: 1 } } }, res: { type: 'response.created', response: { id: 'r',
        object: 'response', status: 'in_progress', model: 'any', output: [] } } }[name];
      if (start) await call.chunk(`event: ${start.type}\ndata: ${JSON.stringify(start)}\n\n`);
      if (name === 'ant') {
        await call.chunk('event: content_block_start\ndata: {"type":"content_block_start",' +
          '"index":0,"content_block":{"type":"text","text":""}}\n\n');
      }
      const delta = { oai: { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'any',
          choices: [{ index: 0, delta: { content: 'Water ' }, finish_reason: null }] },
        res: { type: 'response.output_text.delta', item_id: 'i', output_index: 0,
               content_index: 0, delta: 'Water ' },
        ant: { type: 'content_block_delta', index: 0,
               delta: { type: 'text_delta', text: 'Water ' } },
        gem: { candidates: [{ content: { role: 'model', parts: [{ text: 'Water ' }] },
                              index: 0 }] } }[name];
      for (let i = 0; i < 200 && !call.socket.destroyed; i++) {
        await call.event(delta);
        await pause(20);
      }
    };
    const stop = new AbortController();
    const got = await weir.fetch(clients[from].path(`own-${to}/any`, true), {
      body: clients[from].body(`own-${to}/any`, true), signal: stop.signal });
    await got.body.getReader().read();
    stop.abort();
    await over;
    const row = await weir.row(got.headers.get('x-request-id'));
    assert.equal(row.close, 'client_gone');
    assert.ok(row.output_tokens > 0);
  }
  for (const name of names) assert.deepEqual(own[name].faults, []);
});

// --- budgets

test('a stream is stopped in every pair when its budget is spent: a proper end', async () => {
  const unit = (kind, parent) => weir.ask('POST', '/admin/v1/units',
    { kind, parent, name: kind, ...(kind === 'member' ? { email: 'm@example.com' } : {}) });
  const org = await unit('organization');
  const member = await unit('member', org.id);
  for (const [from, to] of pairs) {
    const key = await weir.ask('POST', '/admin/v1/keys', { member: member.id, name: 'k' });
    await weir.ask('PUT', `/admin/v1/budgets/${key.id}`,
                   { limits: [{ usd: '0.01', window: 'total' }] });
    const got = await ask(from, `${to}/mock-n5000`, true, {}, { key: key.key });
    assert.equal(got.status, 200, got.text.slice(0, 300));
    const list = events(got.text);
    assert.match(got.text, /"(length|max_output_tokens|max_tokens|MAX_TOKENS)"/,
                 `${from} ${to}`);
    assert.ok(clients[from].said(list).length > 100);
    const good = from === 'res' ? 'response.incomplete' : clients[from].good;
    assert.ok(got.text.includes(good), got.text.slice(-400));
    const row = await weir.row(got.header('x-request-id'));
    assert.equal(row.close, 'budget_stopped', `${from} ${to}`);
    assert.equal(clients[from].usage(clients[from].last(list))[1], row.output_tokens);
  }
});

test('nothing is left open', async () => {
  await until(async () => /^weir_open_exchanges(\{[^}]*\})? 0$/m.test(await weir.metrics()),
              'all exchanges end');
});
