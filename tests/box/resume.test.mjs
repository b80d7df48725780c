// resume.test.mjs - a stream that breaks after the client had a part of it goes on with the next
// candidate: official SDKs in front, strict providers behind (peers.mjs), broken in every way, at
// every event. The client has one stream: the first part, the rest, one finish, the usage of
// both. Where that is not possible, it has an error and never a good end.
import assert from 'node:assert/strict';
import test from 'node:test';
import { clients } from './lib/clients.mjs';
import { DIALECTS, peers, providersOf, USAGE } from './lib/peers.mjs';
import { renderers } from './lib/render.mjs';
import { pause, until, Weir, whole } from './lib/weir.mjs';

const FULL = 'The quick brown fox — "jumps"\nover 13 lazy dogs. Ünïcödé 🦊, too; and \\ more. The end.';
const PRICE = { input: '1', cached: '1', output: '2' };
const there = await peers();
const names = (list) => list.join('-then-');
const all = DIALECTS.flatMap((a) => DIALECTS.map((b) => [a, b]));
const weir = await Weir.start({
  providers: [
    ...providersOf(there, { timeouts: { stall: '3s' } }).map((p) => ({ ...p,
      continues: p.name === 'responses' ? 'instruct' : 'prefill' })),   // which has no prefill
    ...providersOf(there).map((p) => ({ ...p, name: `no-${p.name}`, continues: 'no' })),
    ...providersOf(there).map((p) => ({ ...p, name: `tell-${p.name}`, continues: 'instruct' })),
  ],
  models: ['', 'no-', 'tell-'].flatMap((set) => DIALECTS.flatMap((name) =>
    ['a', 'b', 'c', 'dead'].map((m) => ({ id: `${set}${name}/${m}`, price: PRICE })))),
  routing: { resume: 'always' },
  aliases: {
    ...Object.fromEntries(all.map(([a, b]) => [names([a, b]), [`${a}/a`, `${b}/b`]])),
    ...Object.fromEntries(all.map(([a, b]) => [`${names([a, b])}-told`,
                                               [`${a}/a`, `tell-${b}/b`]])),
    ...Object.fromEntries(DIALECTS.map((a) => [`${a}-alone`, [`${a}/a`, `no-${a}/b`]])),
    ...Object.fromEntries(DIALECTS.map((a) => [`${a}-thrice`, [`${a}/a`, 'chat/b', 'gemini/c']])),
    ...Object.fromEntries(DIALECTS.map((a) => [`${a}-dies`, [`${a}/a`, 'chat/dead']])),
    'chat-dead-gemini': ['chat/a', 'messages/dead', 'gemini/c'],
    'chat-empty-gemini': ['chat/a', 'responses/dead', 'gemini/c'],
  },
});

const session = (client, model) =>
  new clients[client]({ url: weir.url, key: weir.key, model, max: 900 }).user('Tell me.');

// What the provider that goes on was shown of the answer, as the last turn of the model.
function prefixOf(ask) {
  const turns = ask.neutral.turns.filter((turn) => turn.role === 'model');
  return (turns.at(-1)?.parts ?? []).map((part) => part.text ?? '').join('');
}

const rest = (ask) => ({ parts: [{ text: FULL.slice(prefixOf(ask).length) }] });

// The first one breaks after so many events; the second goes on.
function breaking(breaks, how, more = rest) {
  const asked = [];
  there.faults.length = 0;
  there.script = (ask) => {
    asked.push(ask);
    if (asked.length === 1) return { parts: [{ text: FULL }], breaks, how };
    const prefix = prefixOf(ask);
    assert.ok(FULL.startsWith(prefix), `the answer so far: ${JSON.stringify(prefix)}`);
    return more(ask, asked.length);
  };
  return asked;
}

// How many events a dialect's stream of FULL has, and behind which the first text is there.
function shape(dialect) {
  const { events } = renderers[dialect]({ parts: [{ text: FULL }] },
                                        { id: 'x', model: 'm', usage: USAGE });
  const first = events.findIndex((event) => event.includes('The') && !/"text":""/.test(event));
  assert.ok(first >= 0);
  return { count: events.length, first };
}

const hows = ['reset', 'end', 'error'];

for (const [a, b] of all) {
  for (const client of DIALECTS) {
    test(`${client}: ${a} breaks, ${b} goes on, at every event`, async () => {
      const { count, first } = shape(a);
      for (let breaks = first + 1; breaks < count; breaks++) {
        const how = hows[breaks % hows.length];
        // a clean end behind the finish: no break, and no usage where the provider told none
        if (how === 'end' && a === 'chat' && client === 'chat' && breaks === count - 2) continue;
        const asked = breaking(breaks, how);
        const answer = await session(client, names([a, b])).ask({ stream: true })
          .catch((error) => {
            throw new Error(`${how} after ${breaks}, asked ${asked.length}: ${error.message}`);
          });
        assert.deepEqual(there.faults, []);
        assert.equal(answer.text, FULL, `${how} after ${breaks}`);
        assert.equal(answer.finish, 'stop');
        assert.ok(asked.length <= 2);
        if (asked.length === 1 || prefixOf(asked[1]) === '') continue;   // before the commit
        assert.ok(answer.usage.output > USAGE.output, `${how} after ${breaks}: both answers`);
        assert.ok(answer.usage.prompt > USAGE.input + USAGE.cached, 'both prompts');
      }
    });
  }
}

// --- how it goes on

const stream = (path, body, options) => weir.fetch(path, { body, ...options }).then(whole);
const chat = (model, more = {}, options = {}) => stream('/v1/chat/completions', {
  model, stream: true, stream_options: { include_usage: true },
  messages: [{ role: 'user', content: 'Tell me.' }], ...more }, options);
const data = (text) => text.split(/\r?\n\r?\n/).map((event) => /^data: (.*)$/m.exec(event)?.[1])
  .filter((it) => it && it !== '[DONE]').map((it) => JSON.parse(it));
const said = (text) => data(text).map((e) => e.choices?.[0]?.delta?.content ?? '').join('');
const counter = async (name) =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await weir.metrics())[1]);

const asks = {
  chat: (model) => chat(model),
  responses: (model) => stream('/v1/responses', { model, stream: true, input: 'x' }),
  messages: (model) => stream('/v1/messages', { model, stream: true, max_tokens: 900,
    messages: [{ role: 'user', content: 'x' }] }),
  gemini: (model) => stream(`/v1beta/models/${model}:streamGenerateContent?alt=sse`,
                            { contents: [{ role: 'user', parts: [{ text: 'x' }] }] }),
};
const GOOD = /\[DONE\]|message_stop|response\.(completed|incomplete)|finishReason/;

const spoken = {
  responses: (list) => list.filter((e) => e.type === 'response.output_text.delta')
    .map((e) => e.delta).join(''),
  messages: (list) => list.map((e) => e.delta?.text ?? '').join(''),
  gemini: (list) => list.flatMap((e) => e.candidates?.[0]?.content?.parts ?? [])
    .map((part) => part.text ?? '').join(''),
};

test('one stream: a comment says who went on, ids and model stay, the row has both', async () => {
  const before = await counter('weir_streams_resumed_total');
  breaking(12, 'end');
  const answer = await chat('messages-then-chat');
  const events = data(answer.text);
  assert.equal(said(answer.text), FULL);
  assert.equal((answer.text.match(/^: continued by chat\/b$/mg) ?? []).length, 1);
  assert.equal(new Set(events.map((e) => e.id)).size, 1);
  assert.equal(new Set(events.map((e) => e.model)).size, 1);
  assert.equal(events.filter((e) => e.choices[0]?.delta.role).length, 1);
  assert.equal(events.filter((e) => e.choices[0]?.finish_reason).length, 1);
  assert.ok(answer.text.endsWith('data: [DONE]\n\n'));
  const row = await weir.row(answer.header('x-request-id'));

  assert.equal(row.model, 'messages/a');
  assert.equal(row.continued_by, 'chat/b');
  assert.equal(row.close, 'done');
  assert.equal(row.attempts, 2);
  assert.equal(await counter('weir_streams_resumed_total'), before + 1);
});

test('what came as it was goes on as it was: id, time and model of the first', async () => {
  breaking(9, 'end');
  const events = data((await chat('chat-then-gemini')).text);
  assert.equal(new Set(events.map((e) => `${e.id} ${e.created} ${e.model}`)).size, 1);
  assert.match(events[0].id, /^chatcmpl-there/);
});

test('a stall is a break too', async () => {
  breaking(9, 'hang');
  assert.equal(said((await chat('chat-then-chat')).text), FULL);
});

test('who is told to go on repeats some of it first', async () => {
  const asked = breaking(12, 'end', (ask) => {
    const prefix = prefixOf(ask);
    assert.equal(ask.neutral.turns.at(-1).role, 'user');
    return { parts: [{ text: prefix.slice(-12) + FULL.slice(prefix.length) }] };
  });
  assert.equal(said((await chat('chat-then-messages-told')).text), FULL);
  assert.equal(asked.length, 2);
});

test('the second breaks too, and the third goes on', async () => {
  for (const a of DIALECTS) {
    const { first } = shape(a);
    const asked = breaking(first + 3, 'end', (ask, n) => (n === 2
      ? { ...rest(ask), breaks: 4, how: 'end' } : rest(ask)));
    const answer = await session('responses', `${a}-thrice`).ask({ stream: true });
    assert.equal(answer.text, FULL);
    assert.equal(asked.length, 3);
  }
});

// In that mode nobody is asked only once (attempt.c), be it in the middle of an answer.
test('availability: who broke goes on itself where nobody else is left', async () => {
  const mode = { headers: { 'x-weir-mode': 'availability' } };
  for (const model of ['messages/a', 'chat-alone']) {
    const asked = breaking(12, 'end');
    const answer = await chat(model, {}, mode);
    assert.equal(said(answer.text), FULL);
    assert.equal(asked.length, 2);
    const row = await weir.row(answer.header('x-request-id'));
    assert.equal(row.continued_by, row.model);
    assert.equal(row.billed.length, 1);
  }
  // once: a second break ends it
  const asked = breaking(12, 'end', (ask) => ({ ...rest(ask), breaks: 4, how: 'end' }));
  const answer = await chat('messages/a', {}, mode);
  assert.equal(asked.length, 2);
  assert.match(answer.text, /"error"/);
  assert.doesNotMatch(answer.text, /\[DONE\]/);
  // in the others nobody is asked twice
  const once = breaking(12, 'end');
  assert.match((await chat('messages/a')).text, /"error"/);
  assert.equal(once.length, 1);
});

test('the second fails before its first text: the third', async () => {
  breaking(9, 'end', (ask, n) => (n === 2 ? { status: 500 } : rest(ask)));
  assert.equal(said((await chat('chat-dead-gemini')).text), FULL);
  breaking(9, 'end', (ask, n) => (n === 2 ? { parts: [{ text: 'x' }], breaks: 0, how: 'reset' }
                                          : rest(ask)));
  assert.equal(said((await chat('chat-empty-gemini')).text), FULL);
});

test('the output limit holds for both together', async () => {
  const asked = breaking(14, 'end');
  await chat('chat-then-chat', { max_completion_tokens: 100 });
  const { max_tokens: old, max_completion_tokens: limit = old } = asked[1].body;
  assert.ok(limit > 50 && limit < 100, `limit ${limit}`);
});

test('thoughts that were told before the text stay in what Responses repeats', async () => {
  const parts = [{ thought: 'Let me think about foxes.', sign: 'c2lnbmVk' }, { text: FULL }];
  for (const a of ['responses', 'chat']) {
    const { events } = renderers[a]({ parts }, { id: 'x', model: 'm', usage: USAGE });
    const first = events.findIndex((event) => /"(delta|content)":"The/.test(event));
    const asked = [];
    there.script = (ask) => (asked.push(ask) === 1 ? { parts, breaks: first + 4, how: 'end' }
                                                   : rest(ask));
    const answer = await session('responses', names([a, 'chat'])).ask({ stream: true });
    assert.equal(answer.text, FULL);
    assert.equal(answer.thoughts, 'Let me think about foxes.');
    assert.equal(asked.length, 2);
  }
});

// Who signs none has no end to it that somebody else could not give: what is told stays.
test('a thought that nobody signs may break off, and the conversation goes on', async () => {
  const parts = [{ thought: 'Let me think about foxes.' }, { text: FULL }];
  const { events } = renderers.chat({ parts }, { id: 'x', model: 'm', usage: USAGE });
  const open = events.findIndex((event) => /"Let/.test(event));
  assert.ok(open >= 0);
  for (const client of DIALECTS) {
    for (const b of ['chat', 'messages']) {
      const asked = [];
      there.script = (ask) => (asked.push(ask) === 1 ? { parts, breaks: open + 1, how: 'end' }
                                                     : { parts: [{ text: FULL }] });
      const talk = session(client, names(['chat', b]));
      const answer = await talk.ask({ stream: true });
      assert.equal(answer.text, FULL, `${client}, ${b}`);
      assert.equal(answer.finish, 'stop');
      assert.equal(asked.length, 2);
      assert.equal(prefixOf(asked[1]), '');
      assert.equal((await talk.user('And then?').ask({ stream: true })).text, FULL);
      assert.deepEqual(there.faults, []);
    }
  }
});

test('Gemini without alt=sse: one array', async () => {
  for (const a of DIALECTS) {
    breaking(shape(a).first + 4, 'end');
    const answer = await stream(`/v1beta/models/${names([a, 'chat'])}:streamGenerateContent`,
                                { contents: [{ role: 'user', parts: [{ text: 'Tell me.' }] }] });
    const text = answer.json.flatMap((e) => e.candidates?.[0]?.content?.parts ?? [])
      .map((part) => part.text ?? '').join('');
    assert.equal(text, FULL);
    assert.equal(answer.json.filter((e) => e.candidates?.[0]?.finishReason).length, 1);
  }
});

// As agents have it: instructions and tools, of which each event of the response's own has a copy.
test('what a provider says before the first text may be long', async () => {
  const { events } = renderers.responses({ parts: [{ text: FULL }] },
                                         { id: 'x', model: 'm', usage: USAGE });
  const first = shape('responses').first;
  for (const size of [5000, 20000, 40000, 60000]) {
    const long = events.map((event) => event.replace('"response":{',
      `"response":{"instructions":"${'x'.repeat(size)}",`));
    const asked = [];
    there.script = (ask) => {
      if (asked.push(ask) > 1) return rest(ask);
      return { raw: (res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.end(long.slice(0, first + 4).join(''));
      } };
    };
    const { text } = await asks.responses('responses-then-chat');
    assert.equal(spoken.responses(data(text)), FULL, `${size} bytes, twice`);
    assert.deepEqual(data(text).map((e) => e.sequence_number), data(text).map((_, i) => i));
    assert.match(text, GOOD);
  }
});

// A provider that is cut off behind so many bytes, in the middle of whatever stands there; not
// before its first text, which is fail-over's matter, and shuts it out after some times.
for (const a of DIALECTS) {
  test(`${a}: cut at any byte, all of it arrives, once`, async () => {
    const { events } = renderers[a]({ parts: [{ text: FULL }] },
                                    { id: 'x', model: 'm', usage: USAGE });
    const bytes = Buffer.from(events.join(''));
    const begun = Buffer.from(events.slice(0, shape(a).first + 1).join('')).length;
    for (let cut = begun, n = 0; cut < bytes.length; cut += 17, n++) {
      const asked = [];
      there.script = (ask) => {
        asked.push(ask);
        if (asked.length > 1) return rest(ask);
        return { raw: (res) => {
          res.writeHead(200, { 'content-type': 'text/event-stream' });
          res.write(bytes.subarray(0, cut));
          setTimeout(() => (n % 2 ? res.end() : res.socket.destroy()), 2);
        } };
      };
      const client = DIALECTS[n % 4];
      const { text } = await asks[client](names([a, DIALECTS[(n >> 2) % 4]]));
      const told = client === 'chat' ? said(text) : spoken[client](data(text));
      assert.equal(told, FULL, `${client}, cut at ${cut}`);
      assert.match(text, GOOD);
    }
  });
}

// --- where it must not

// Weir closes the connection behind an error: it is not to be used again too soon.
async function refused(client, model, why) {
  const { text } = await asks[client](model);
  assert.match(text, why);
  assert.doesNotMatch(text, GOOD);
  assert.match(text.trimEnd().split(/\r?\n\r?\n/).at(-1), /error/);
  await pause(30);
}

for (const client of DIALECTS) {
  test(`${client}: an error event, and no good end, where nobody can go on`, async () => {
    for (const a of DIALECTS) {
      const { first } = shape(a);
      breaking(first + 5, 'end', () => ({ status: 500 }));
      await refused(client, `${a}-dies`,
                    /nobody could go on: chat\/dead: (status 500|cooling down)/);
      breaking(first + 3, 'end');
      await refused(client, `${a}-alone`,
                    /connection closed; it cannot be continued: no candidate is left that can/);
      if (a === 'gemini') continue;          // a call of it is one event, the last
      const call = { id: 'call_1', name: 'look', args: { where: 'here' } };
      const parts = [{ text: 'Let me look.' }, { call }];
      const { events } = renderers[a]({ parts }, { id: 'x', model: 'm', usage: USAGE });
      const begun = events.findIndex((event) => /"look"/.test(event));
      there.script = () => ({ parts, breaks: begun + 2, how: 'end' });
      await refused(client, names([a, 'chat']), /it cannot be continued: a tool call had begun/);
    }
  });
}

test('what the request itself rules out is said', async () => {
  const cannot = async (answer, why) => {
    const { text } = await answer;
    assert.match(text, new RegExp(`connection closed; it cannot be continued: ${why}`));
    assert.doesNotMatch(text, GOOD);
    await pause(30);
  };
  const ask = (more) => {
    breaking(shape('chat').first + 3, 'end');
    return chat('chat-then-chat', more);
  };
  await cannot(ask({ n: 2 }), 'several answers were asked for');
  await cannot(ask({ modalities: ['text', 'audio'], audio: { voice: 'alloy', format: 'wav' } }),
               'it holds more than text');
  breaking(shape('responses').first + 3, 'end');
  await cannot(stream('/v1/responses', { model: 'responses/a', stream: true, input: 'x',
                                         store: true }), 'a part of it lies at its provider');
});

test('JSON is not cut inside of a token', async () => {
  const json = { response_format: { type: 'json_object' } };
  const text = '{"fox": "quick", "dogs": [13, true]}';
  let cut = '';
  there.script = (ask) => {
    const prefix = prefixOf(ask);
    if (ask.model === 'b') return { parts: [{ text: text.slice(prefix.length) }] };
    return { raw: (res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      res.end(`data: ${JSON.stringify({ id: 'chatcmpl-j', created: 1, model: 'm', choices: [
        { index: 0, delta: { content: cut }, finish_reason: null }] })}\n\n`);
    } };
  };
  for (cut of ['{"fox": "quick", ', '{"fox":', '{"fox": "quick", "dogs": [13, ']) {
    assert.equal(said((await chat('chat-then-chat', json)).text), text);
  }
  for (cut of ['{"fo', '{"fox": "quick", "dogs": [1', '{"fox": "quick", "dogs": [13, tr']) {
    const answer = await chat('chat-then-chat', json);
    assert.match(answer.text, /it cannot be continued: JSON was cut inside of a token/);
    assert.ok(!answer.text.includes('[DONE]'));
    await pause(30);
  }
});

test('the budget that the second one is refused by is named', async () => {
  const unit = async (kind, parent) => (await weir.ask('POST', '/admin/v1/units', {
    kind, name: kind, ...(parent ? { parent } : {}) })).id;
  const member = await unit('member', await unit('team', await unit('department',
    await unit('organization'))));
  const key = await weir.ask('POST', '/admin/v1/keys', { member, name: 'poor' });
  const words = Array.from({ length: 400 }, (_, i) => `word${i}`).join(' ');
  there.script = (ask) => (ask.model === 'a'
    ? { parts: [{ text: words }], breaks: 150, how: 'end' } : { parts: [{ text: 'more' }] });
  await weir.ask('PUT', `/admin/v1/budgets/${key.id}`, {
    limits: [{ usd: '0.0004', window: 'total' }] });
  const answer = await chat('chat-then-chat', {}, { key: key.key });
  assert.match(answer.text, /budget of this request's key is spent|\[DONE\]/);
  const row = await weir.row(answer.header('x-request-id'));
  assert.ok(['budget_exceeded', 'budget_stopped'].includes(row.close), row.close);
});

test('a client that leaves while the second is awaited cancels it', async () => {
  let second = null;
  const gone = there.gone;
  breaking(9, 'end', () => ({ raw: (res) => { second = res; res.writeHead(200,
    { 'content-type': 'text/event-stream' }); res.flushHeaders(); } }));
  const abort = new AbortController();
  const response = await weir.fetch('/v1/chat/completions', { signal: abort.signal, body: {
    model: 'chat-then-chat', stream: true, messages: [{ role: 'user', content: 'x' }] } });
  const reading = response.text().catch(() => {});
  await until(() => second, 'the second is asked');
  abort.abort();
  await reading;
  await until(() => there.gone > gone, 'the second is cancelled');
});

// Kept: the request, 8 KiB of events, three pages, the text; not what it came in. A page counts
// as the block that it is a part of.
test('what is kept is bounded, and nothing is where the text is too long', async () => {
  const small = await Weir.start({
    providers: providersOf(there, { continues: 'prefill' }).slice(0, 1), cores: 1,
    models: ['a', 'b'].map((m) => ({ id: `chat/${m}`, price: PRICE })),
    routing: { resume: 'always' }, aliases: { two: ['chat/a', 'chat/b'] },
    limits: { hold: '64KiB' } });
  const used = async () => Number(/^weir_memory_used_bytes (\d+)$/m.exec(await small.metrics())[1]);
  const body = { model: 'two', stream: true, messages: [{ role: 'user', content: 'x' }] };
  for (const [kib, goesOn] of [[40, true], [100, false]]) {
    let first = null, second = 0;
    const word = JSON.stringify({ id: 'chatcmpl-m', created: 1, model: 'm',
      choices: [{ index: 0, delta: { content: 'x'.repeat(64) }, finish_reason: null }] });
    there.script = (ask) => {
      if (ask.model === 'b') return second++, { parts: [{ text: 'end' }] };
      return { raw: (res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.write(`data: ${word}\n\n`.repeat(kib * 16));
        first = res;
      } };
    };
    const response = await small.fetch('/v1/chat/completions', { body });
    const reader = response.body.getReader();
    let text = '';
    while (text.split('\n\n').length <= kib * 16) {
      text += Buffer.from((await reader.read()).value).toString();
    }
    await until(async () => (await used()) <= (goesOn ? 2 : 1) * 65536, 'a bound');
    first.end();
    for (let it = await reader.read(); !it.done; it = await reader.read()) {
      text += Buffer.from(it.value).toString();
    }
    assert.equal(second, goesOn ? 1 : 0);
    assert.match(text, goesOn ? /\[DONE\]/ : /it cannot be continued: its text was not kept/);
    await until(async () => (await used()) === 0, 'all is given back');
  }
  await small.stop();
});

test('nothing of it stays in memory', async () => {
  await until(async () => (await counter('weir_memory_used_bytes')) === 0 &&
                          (await counter('weir_open_exchanges')) === 0, 'all was given back');
});
