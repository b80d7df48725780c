// resume_sdk.test.mjs - what an official SDK makes of a stream that went on with another model,
// and of one that could not: every kind of break, every way a model is asked to go on, the row
// and the ledger behind it, clients that leave, budgets that end, memory. (Breaks at every event
// of every pair: resume.test.mjs.)
// timeout: 900
import assert from 'node:assert/strict';
import test from 'node:test';
import { canary, marks } from './lib/canary.mjs';
import { clients } from './lib/clients.mjs';
import { search, told } from './lib/memory.mjs';
import { nano } from './lib/money.mjs';
import { ask, DIALECTS, peers, providersOf, USAGE } from './lib/peers.mjs';
import { renderers } from './lib/render.mjs';
import { pause, proven, until, Weir, within } from './lib/weir.mjs';
import { seeded } from './lib/wire.mjs';

const FULL = 'Wehre führen Wasser — "über" die Kante.\n\nSie zählen: 1, 2, 3; \\ und 🌊 auch.  ' +
             'Am Ende steht ein Punkt, und danach nichts mehr.';
const price = { input: '1', cached: '0.1', cache_write: '1.25', output: '5' };
const supports = ['tools', 'json_schema', 'reasoning'];
const HOWS = ['reset', 'end', 'hang', 'error', 'chunk'];
// How a chat provider is asked to go on, by the end of its model's name (peers.mjs).
const WORDS = { prefill: 'prefill', prefix: 'prefix', echo: 'prefix_echo', partial: 'partial',
                final: 'final', instruct: 'instruct' };
const SAID = { prefill: {}, instruct: {}, prefix: { prefix: true }, echo: { prefix: true },
               partial: { partial: true },
               final: { continue_final_message: true, add_generation_prompt: false } };

const there = await peers();
// What fails five times in a row rests for a while, so a good answer goes between (heal()).
const GROUPS = ['a', 'b', 'c', 'd', 'e'];
const begins = DIALECTS.flatMap((client) => GROUPS.flatMap((group) =>
  providersOf(there, { timeouts: { stall: '400ms' }, continues: 'no' }).map((it) =>
    ({ ...it, name: `${client}-${group}-${it.name}` }))));
const config = {
  providers: [...begins, ...providersOf(there).map((it) => ({ ...it, name: `on-${it.name}` }))],
  models: [
    ...begins.flatMap(({ name }) => [0, 1, 2, 3].map((n) =>
      ({ id: `${name}/m${n}`, price, supports }))),
    // Responses has no way to go on with a turn of the model's.
    ...DIALECTS.map((name) => ({ id: `on-${name}/m`, price, supports,
                                 continues: name === 'responses' ? 'instruct' : 'prefill' })),
    ...['chat-e-chat/dear', 'on-messages/dear'].map((id) => ({ id, upstream: 'm0',
      continues: 'prefill', price: { input: '0', output: '0', request: '0.001' } })),
    ...Object.entries(WORDS).map(([word, continues]) => ({ id: `on-chat/${word}`,
      upstream: `m-${word}`, continues, price, supports })),
  ],
  aliases: { dear: ['chat-e-chat/dear', 'on-messages/dear'], ...Object.fromEntries(begins.flatMap(({ name }) => [0, 1, 2, 3].flatMap((n) => [
    ...DIALECTS.map((to) => [`${name}-${n}-${to}`, [`${name}/m${n}`, `on-${to}/m`]]),
    ...Object.keys(WORDS).map((w) => [`${name}-${n}-chat-${w}`,
                                      [`${name}/m${n}`, `on-chat/${w}`]]),
  ]))) },
  routing: { resume: 'always' },
};
const weir = await Weir.start(config);
weir.run.ended.then((status) => {
  if (status !== 0) process.stderr.write(`weir ended: ${weir.run.signal} ${weir.run.stderr}`);
});
const session = (client, model, more = {}, key = weir.key) =>
  new clients[client]({ url: weir.url, key, model, max: 900, ...more });

// The header fields of Weir's newest answer, which the SDKs keep for themselves.
const last = { id: null };
const plainFetch = globalThis.fetch;
globalThis.fetch = async (url, init) => {
  const response = await plainFetch(url, init);
  if (response.headers.has('x-weir-model')) last.id = response.headers.get('x-request-id');
  return response;
};

const textOf = (parts) => parts.map((part) => part.text ?? '').join('');
const shown = (ask) => textOf(ask.neutral.turns.findLast((turn) => turn.role === 'model')
  ?.parts ?? []);

// Events of a scripted answer, and of which on the client has text of it.
function shape(dialect, scripted) {
  const { events } = renderers[dialect](scripted, { id: 'x', model: 'm', usage: USAGE });
  const first = Array.from(scripted.parts.find((part) => part.text).text).slice(0, 3).join('');
  const at = events.findIndex((event) => event.includes(JSON.stringify(first).slice(1, -1)));
  assert.ok(at >= 0);
  return { count: events.length, first: at };
}

// A good answer of who is going to break: nobody remembers its failures.
async function heal(model) {
  there.script = () => ({ parts: [{ text: 'well' }] });
  const { text, status } = await weir.chat({ model });
  assert.equal(status, 200, text);
}

// The first one says scripted until it breaks; who goes on says what more(ask) gives.
function breaking(scripted, breaks, how, more) {
  const asked = [];
  there.faults.length = 0;
  there.script = (ask) => {
    asked.push(ask);
    // A reset takes along what has not left yet: so it leaves bit by bit.
    return asked.length === 1 ? { ...scripted, breaks, how, pace: how === 'reset' ? 2 : 0 }
                              : more(ask);
  };
  return asked;
}

const goOn = (ask) => {
  const had = shown(ask);
  assert.ok(FULL.startsWith(had), `the answer so far: ${JSON.stringify(had)}`);
  return { parts: [{ text: FULL.slice(had.length) }] };
};

// Ids of the answer that its events name.
const ids = {
  chat: (chunks) => chunks.map((it) => it.id),
  responses: (chunks) => chunks.map((it) => it.response?.id).filter(Boolean),
  messages: (chunks) => chunks.map((it) => it.message?.id).filter(Boolean),
  gemini: (chunks) => chunks.map((it) => it.responseId),
};
const sum = (list, name) => list.reduce((all, it) => all + it[name], 0);

const rnd = seeded(8);
for (const client of DIALECTS) {
  for (const from of DIALECTS) {
    test(`${client} in front of ${from}: every kind of break`, async () => {
      for (const [i, how] of HOWS.entries()) {
        const to = DIALECTS[(DIALECTS.indexOf(from) + i) % 4];
        const { count, first } = shape(from, { parts: [{ text: FULL }] });
        const breaks = first + 1 + rnd() % (count - first - 4);
        await heal(`${client}-a-${from}/m0`);
        const asked = breaking({ parts: [{ text: FULL }] }, breaks, how, goOn);
        const name = `${how} after ${breaks}, ${to} goes on`;
        const answer = await session(client, `${client}-a-${from}-0-${to}`)
          .user('Erzähl.').ask({ stream: true })
          .catch((error) => assert.fail(`${name}: ${error.stack}`));
        assert.deepEqual(there.faults, [], name);
        assert.equal(answer.text, FULL, name);
        assert.equal(answer.finish, 'stop', name);
        assert.equal(asked.length, 2, name);
        assert.equal(asked[1].dialect, to);
        assert.equal(new Set(ids[client](answer.chunks)).size, 1, 'one id');
        await booked(answer, [`${client}-a-${from}/m0`, `on-${to}/m`], name);
      }
    });
  }
}

// The row tells of both, and its sums are what the client was told.
async function booked(answer, [first, second], name) {
  const row = await weir.row(last.id);
  assert.deepEqual([row.model, row.continued_by, row.close], [first, second, 'done'], name);
  assert.equal(row.billed.length, 1, name);
  const [before] = row.billed;
  assert.equal(before.model, first, name);
  assert.notEqual(before.close, 'done', name);
  assert.ok(before.output_tokens > 0 && nano(before.cost_usd) > 0n, name);
  assert.equal(row.output_tokens, before.output_tokens + USAGE.output, name);
  assert.equal(answer.usage.output, row.output_tokens, name);
  assert.equal(answer.usage.prompt, row.input_tokens + row.cached_tokens +
                                    row.cache_write_tokens, name);
  const own = BigInt(USAGE.input) * 1000n + BigInt(USAGE.cached) * 100n +
              BigInt(USAGE.output) * 5000n;
  assert.equal(nano(row.cost_usd), nano(before.cost_usd) + own, name);
}

for (const [i, word] of Object.keys(WORDS).entries()) {
  test(`a model that goes on by ${WORDS[word]}`, async () => {
    for (const [j, client] of DIALECTS.entries()) {
      const from = DIALECTS[(i + j) % 4];
      const { count } = shape(from, { parts: [{ text: FULL }] });
      await heal(`${client}-b-${from}/m${i % 4}`);
      const asked = breaking({ parts: [{ text: FULL }] }, count >> 1, 'end', (ask) => {
        assert.deepEqual(ask.marks, SAID[word]);
        const had = shown(ask);
        assert.ok(FULL.startsWith(had), JSON.stringify(had));
        assert.equal(ask.neutral.turns.at(-1).role, word === 'instruct' ? 'user' : 'model');
        if (word === 'echo') return { parts: [{ text: FULL }] };
        // Who is only asked to go on likes to say the last words again.
        const again = word === 'instruct' ? 15 : 0;
        return { parts: [{ text: FULL.slice(had.length - again) }] };
      });
      const answer = await session(client, `${client}-b-${from}-${i % 4}-chat-${word}`)
        .user('Erzähl.').ask({ stream: true });
      assert.deepEqual(there.faults, []);
      assert.equal(answer.text, FULL, `${client}, ${from} broke`);
      assert.equal(asked.length, 2);
      assert.equal((await weir.row(last.id)).continued_by, `on-chat/${word}`);
    }
  });
}

test('who can go on is told by the admin API', async () => {
  const { data } = await weir.ask('GET', '/admin/v1/models');
  const by = new Map(data.map((row) => [row.id, row.continues]));
  for (const [word, continues] of Object.entries(WORDS)) {
    assert.equal(by.get(`on-chat/${word}`), continues);
  }
  assert.equal(by.get('chat-a-chat/m0'), null);
});

test('one comment says who went on, in a stream that is one to who reads it raw', async () => {
  for (const client of DIALECTS) {
    await heal(`${client}-b-${client}/m2`);
    breaking({ parts: [{ text: FULL }] }, 12, 'reset', goOn);
    const [path, body] = ask[client](`${client}-b-${client}-2-messages`);
    const text = await (await weir.fetch(path, { body })).text();
    const comments = text.split(/\r?\n/).filter((line) => line.startsWith(': continued by'));
    if (client === 'gemini') assert.ok(comments.length <= 1, text);
    else assert.deepEqual(comments, [': continued by on-messages/m'], text);
    for (const [what, count] of Object.entries({
      chat: { '"finish_reason":"stop"': 1, 'data: [DONE]': 1, '"role":"assistant"': 1 },
      responses: { 'event: response.completed': 1, 'event: response.created': 1 },
      messages: { 'event: message_start': 1, 'event: message_stop': 1 },
      gemini: { '"finishReason":"STOP"': 1 },
    }[client])) assert.equal(text.split(what).length - 1, count, `${what}\n${text}`);
  }
});

// --- what cannot be gone on with

// Weir closes the connection of what broke: nobody may find it still open.
const outcome = (run) => run.then((answer) => ({ answer }), async (error) => {
  await pause(50);
  return { error };
});

// There is no good end for the SDK, and nobody else was asked. request: what the client says.
async function cannot(client, from, n, scripted, breaks, { request = {}, how = 'end',
                                                           more = {} } = {}) {
  await heal(`${client}-c-${from}/m${n}`);
  const asked = breaking(scripted, breaks, how, () => ({ parts: [{ text: 'never' }] }));
  const it = session(client, `${client}-c-${from}-${n}-messages`, more);
  const { error, answer } = await outcome(it.user('Erzähl.').ask({ stream: true, ...request }));
  assert.equal(answer, undefined, `a clean end: ${JSON.stringify(answer?.text)}`);
  assert.equal(asked.length, 1, 'nobody else is asked');
  assert.notEqual((await weir.row(last.id)).close, 'done');
  return clients[client].message(error);
}

const tools = [{ name: 'look', description: 'Looks.', schema: { type: 'object',
  properties: { at: { type: 'string' } } } }];

for (const [i, client] of DIALECTS.entries()) {
  const from = (n) => DIALECTS[(i + n) % 4];
  test(`${client}: an open call is an error`, async () => {
    const scripted = { parts: [{ text: 'I look.' },
      { call: { id: 'call_1', name: 'look', args: { at: 'x'.repeat(80) } } }] };
    const other = from(0) === 'gemini' ? 'chat' : from(0);   // Gemini's calls come whole
    const { count } = shape(other, scripted);
    await cannot(client, other, 0, scripted, count - 6, { more: { tools } });
  });

  // The two that sign thoughts: half of one is nothing that could be sent back.
  const signs = { skip: !['responses', 'messages'].includes(client) };
  test(`${client}: an open thought is an error`, signs, async () => {
    const other = client;
    const scripted = { parts: [{ thought: 'Hm, water. '.repeat(12), sign: 'Er'.repeat(40) },
                               { text: FULL }] };
    await cannot(client, other, 1, scripted, 12, { more: { effort: 'medium', max: 8000 } });
  });

  test(`${client}: a turn of its own that the client began is an error`, async () => {
    const begun = {
      chat: { messages: [{ role: 'user', content: 'x' }, { role: 'assistant', content: 'We' }] },
      responses: { input: [{ role: 'user', content: 'x' },
                           { role: 'assistant', content: 'We' }] },
      messages: { messages: [{ role: 'user', content: 'x' },
                             { role: 'assistant', content: 'We' }] },
      gemini: { contents: [{ role: 'user', parts: [{ text: 'x' }] },
                           { role: 'model', parts: [{ text: 'We' }] }] },
    };
    await cannot(client, from(2), 2, { parts: [{ text: FULL }] }, 12, { request: begun[client] });
  });

  test(`${client}: a document is cut between its words only`, async () => {
    const schema = { type: 'object', properties: { city: { type: 'string' },
      n: { type: 'integer' } }, required: ['city', 'n'], additionalProperties: false };
    const text = '{"city": "Köln \\"am\\" Rhein", "n": 1234567890,  "x": [true, {}] }';
    const other = from(3), scripted = { parts: [{ text }] };
    const { count, first } = shape(other, scripted);
    let on = 0, refused = 0;
    for (let breaks = first + 1; breaks < count - 2; breaks++) {
      await heal(`${client}-b-${other}/m3`);
      const asked = breaking(scripted, breaks, 'end', (ask) =>
        ({ parts: [{ text: text.slice(shown(ask).length) }] }));
      const { answer, error } = await outcome(
        session(client, `${client}-b-${other}-3-gemini`, { schema }).user('x')
          .ask({ stream: true }));
      if (asked.length === 2) {
        const had = shown(asked[1]);
        assert.ok(!isInside(had), `cut inside of a word: ${had}`);
        assert.equal(answer?.text, text, error?.stack);
        on++;
      } else {
        assert.ok(error, `a clean end after ${breaks}: ${JSON.stringify(answer?.text)}`);
        refused++;
      }
    }
    assert.ok(on >= 2 && refused >= 3, `${on} went on, ${refused} did not`);
  });
}

// Does a beginning of JSON end inside of a string, a number or a word?
function isInside(text) {
  let string = false, escaped = false;
  for (const c of text) {
    if (string && escaped) escaped = false;
    else if (string && c === '\\') escaped = true;
    else if (c === '"') string = !string;
  }
  return string || /[0-9a-z.+-]$/i.test(text);
}

test('several answers, and their probabilities, are an error', async () => {
  const scripted = { parts: [{ text: FULL }] };
  await cannot('chat', 'chat', 3, scripted, 12, { request: { n: 2 } });
  await cannot('chat', 'chat', 3, scripted, 12, { request: { logprobs: true } });
});

test('nobody behind is an error that says what happened', async () => {
  const asked = breaking({ parts: [{ text: FULL }] }, 12, 'end', goOn);
  const { error } = await outcome(session('chat', 'chat-d-messages/m0').user('x')
    .ask({ stream: true }));
  assert.match(clients.chat.message(error), /closed/);
  assert.equal(asked.length, 1);
});

// --- who leaves, and what ends

const resumed = async () =>
  Number(/^weir_streams_resumed_total (\d+)/m.exec(await weir.metrics())[1]);

test('a client that leaves in the second part: both are booked, and the provider is left',
     async () => {
  const long = 'Water runs over the weir and on. '.repeat(100);
  for (const client of DIALECTS) {
    const { events } = renderers.chat({ parts: [{ text: long }] },
                                      { id: 'x', model: 'm', usage: USAGE });
    const asked = breaking({ parts: [{ text: long }] }, events.length >> 2, 'end', (ask) =>
      ({ parts: [{ text: long.slice(shown(ask).length) }], pace: 10 }));
    const stop = new AbortController(), gone = there.gone, before = await resumed();
    const run = outcome(session(client, `${client}-d-chat-3-responses`).user('x')
      .ask({ stream: true, signal: stop.signal }));
    await until(() => asked.length === 2, `somebody goes on: ${client}, ${asked.length}`);
    await until(async () => await resumed() > before, 'the client has some of it');
    stop.abort();
    assert.match((await run).error.message, /abort/i);
    await until(() => there.gone > gone, 'the provider is left');
    const row = await weir.row(last.id);
    assert.notEqual(row.close, 'done');
    assert.equal(row.billed.length, 1);
    assert.equal(row.continued_by, 'on-responses/m');
    assert.ok(nano(row.cost_usd) > nano(row.billed[0].cost_usd), 'the second part too');
  }
});

test('a budget that ends with the first part is an error of the budget', async () => {
  const units = {};
  for (const [kind, parent] of [['organization'], ['department', 'organization'],
                                ['team', 'department'], ['member', 'team']]) {
    units[kind] = (await weir.ask('POST', '/admin/v1/units', {
      kind, name: `r-${kind}`, ...(parent ? { parent: units[parent] } : {}) })).id;
  }
  const { key } = await weir.ask('POST', '/admin/v1/keys', { member: units.member, name: 'k' });
  for (const client of DIALECTS) {
    const { limits: [{ spent = '0' } = {}] = [] } =
      await weir.ask('GET', `/admin/v1/budgets/${units.team}`);
    await heal('chat-e-chat/m0');
    await weir.ask('PUT', `/admin/v1/budgets/${units.team}`, {
      limits: [{ usd: (Number(spent) + 0.0015).toFixed(9), window: 'month' }] });
    const asked = breaking({ parts: [{ text: FULL }] }, 20, 'end', goOn);
    const { error, answer } = await outcome(
      session(client, 'dear', {}, key).user('x').ask({ stream: true }));
    assert.equal(asked.length, 1, 'the second is not paid for');
    assert.equal(answer, undefined, `a clean end: ${JSON.stringify(answer?.text)}`);
    if (client !== 'responses') assert.match(clients[client].message(error), /budget/i);
  }
});

// --- what is kept of it

const used = async () => Number(/^weir_memory_used_bytes (\d+)/m.exec(await weir.metrics())[1]);

test('a thousand broken streams leave the memory as it was', async () => {
  const base = await used(), short = 'Water runs over the weir and on.';
  const next = seeded(3);
  there.faults.length = 0;
  there.script = (ask) => {
    if (/^m\d$/.test(ask.model) && next() % 2) return { parts: [{ text: short }] };
    if (/^m\d$/.test(ask.model)) {
      began++;
      return { parts: [{ text: short }], breaks: 5 + next() % 6,
               how: ['end', 'reset'][next() % 2] };
    }
    const had = shown(ask);
    if (next() % 4 === 0) return { parts: [{ text: short }], breaks: 5, how: 'reset' };
    return { parts: [{ text: short.slice(had.length) }] };
  };
  let whole = 0, broken = 0, left = 0, began = 0;
  const one = async (i) => {
    const from = DIALECTS[i % 4], client = DIALECTS[(i >> 2) % 4];
    const stop = new AbortController();
    const timer = i % 10 === 0 ? setTimeout(() => stop.abort(), next() % 8) : null;
    await session(client, `${client}-${GROUPS[i % 5]}-${from}-${(i >> 4) % 4}-${DIALECTS[i % 3]}`)
      .user('x').ask({ stream: true, signal: stop.signal })
      .then(() => whole++, () => (stop.signal.aborted ? left++ : broken++));
    clearTimeout(timer);
  };
  let n = 0;
  await within(Promise.all(Array.from({ length: 24 }, async () => {
    while (began < 1000 && n < 4000) await one(n++);
  })), 'a thousand streams', 600000);
  assert.ok(began >= 1000 && whole > 200 && broken > 0 && left > 0,
            `${n} streams, ${began} broke: ${whole} whole, ${broken} errors, ${left} left`);
  await until(async () => await used() <= base, `memory is ${base} bytes again`);
});

test('tight memory: what cannot be kept is not gone on with, and nothing breaks', async () => {
  const COUNT = 100, BLOCKS = 60;    // of 4 KiB each: more than there is room for
  const small = await Weir.start({ ...config, limits: { memory: '16MiB', body: '4MiB' },
    providers: config.providers.map((it) => ({ ...it, timeouts: { stall: '20s' } })) });
  const block = 'Water runs over the weir and on.'.repeat(128), end = ' It ends.';
  const chunk = (content) => `data: ${JSON.stringify({ id: 'chatcmpl-there', created: 1,
    object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta: { role: 'assistant',
    content }, finish_reason: null }] })}\n\n`;
  let there0 = 0, all;
  const together = new Promise((resolve) => { all = resolve; });
  setTimeout(() => all(), 15000).unref();
  const first = async (res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let n = 0; n < BLOCKS; n++) {
      res.write(chunk(block));
      await pause(1);
    }
    if (++there0 === COUNT) all();
    await together;
    res.end();
  };
  there.strict = false;              // judging 240 KiB of each would take its time
  there.script = (ask) => (/^m\d$/.test(ask.model) ? { raw: first } : { parts: [{ text: end }] });
  const texts = await Promise.all(Array.from({ length: COUNT }, (_, i) =>
    outcome(session('chat', `chat-${GROUPS[i % 5]}-chat-${i % 4}-messages`, { url: small.url },
                    small.key).user('x').ask({ stream: true }))));
  there.strict = true;
  const whole = texts.filter(({ answer }) => answer);
  for (const { answer } of whole) assert.equal(answer.text, block.repeat(BLOCKS) + end);
  assert.ok(whole.length > 0 && whole.length < COUNT, `${whole.length} of ${COUNT} went on`);
  const metric = async () => Number(/^weir_memory_used_bytes (\d+)/m.exec(await small.metrics())[1]);
  await until(async () => await metric() < 1 << 20, 'the memory is given back');
  await small.stop();
  await proven(small.data);
});

test('zero retention: nothing of the text is anywhere once it is over', async () => {
  const isRoot = process.getuid?.() === 0;
  const quiet = await Weir.start({ ...config, core_dumps: !isRoot });
  const mark = canary('kept'), text = `${mark} and on, ${mark}. `.repeat(8);
  for (const [i, client] of DIALECTS.entries()) {
    for (const [j, how] of ['end', 'reset', 'error'].entries()) {
      const from = DIALECTS[(i + j) % 4];
      const { count, first } = shape(from, { parts: [{ text }] });
      breaking({ parts: [{ text }] }, (first + count) >> 1, how, (ask) => {
        assert.ok(text.startsWith(shown(ask)));
        // It breaks again, and nobody is left: an error. Or it goes well.
        if (j === 2) return { parts: [{ text: text.slice(shown(ask).length) }], breaks: 9, how };
        return { parts: [{ text: text.slice(shown(ask).length) }] };
      });
      await session(client, `${client}-${GROUPS[j]}-${from}-0-${['chat', 'gemini', 'messages'][j]}`,
                    { url: quiet.url }, quiet.key).user(canary('asked')).ask({ stream: true }).then(
        (answer) => assert.equal(answer.text, text),
        (error) => { assert.ok(j === 2, error.stack); return pause(50); });
    }
  }
  await pause(200);
  const { hits, bytes } = search(quiet.pid, marks);
  assert.ok(bytes > 10 << 20, `only ${bytes} bytes were read`);
  assert.equal(hits.length, 0, told(hits));
  await quiet.stop();
  await proven(quiet.data);
});

test('it ends cleanly, and the ledger adds up', async () => {
  await weir.stop();
  await proven(weir.data);
});
