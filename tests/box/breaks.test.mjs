// breaks.test.mjs - a stream that breaks goes on: in the four dialects of clients, over
// providers of all four, broken at any byte and in every way. The first provider plays what
// weir-mock said for the same question, up to a byte; the second is weir-mock, which goes on
// from any byte of its own answer. So there is one right text, wherever the break was.
//   WEIR_SEED=n the seed; WEIR_TIMES=n more breaks; WEIR_BREAKS=all every byte (an hour)
// Rule: whatever breaks, the client has the whole text and a good end, or an error.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ask, CONFIG, DIALECTS } from './lib/peers.mjs';
import { provider } from './lib/provider.mjs';
import { Mock, Weir, proven } from './lib/weir.mjs';
import { exchange, post, seeded } from './lib/wire.mjs';

const WAYS = ['fin', 'end', 'reset', 'close', 'length', 'error', 'stall'];
const SEED = Number(process.env.WEIR_SEED ?? 1);
const TIMES = Number(process.env.WEIR_TIMES ?? 1);
const MODEL = 'mock-vary-asked-n14';

// --- answers of each dialect

// The events of a stream: [{ name, data }]; comments apart.
function eventsOf(body) {
  const comments = [];
  const events = [];
  const text = body.replace(/\r\n?/g, '\n');     // a lone CR ends a line too
  for (const block of text.split('\n\n')) {
    const event = {};
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) comments.push(line.slice(1).trim());
      else if (line.startsWith('event: ')) event.name = line.slice(7);
      else if (line.startsWith('data: ')) event.data = line.slice(6);
      else assert.equal(line, '', `a line of no event: ${line}`);
    }
    if (event.data !== undefined) events.push(event);
  }
  return { events, comments };
}

const one = (values, what) => assert.equal(new Set(values).size, 1, `${what}: ${[...values]}`);

// What a client has of a stream, read strictly: { text, error, usage, id }.
const read = {
  chat(events) {
    const out = { text: '' };
    const done = events.at(-1)?.data === '[DONE]';
    const parsed = events.filter((e) => e.data !== '[DONE]').map((e) => JSON.parse(e.data));
    out.error = parsed.find((e) => e.error)?.error;
    const chunks = parsed.filter((e) => !e.error);
    one(chunks.map((e) => e.id), 'ids');
    one(chunks.map((e) => e.model), 'models');
    const roles = chunks.filter((e) => e.choices[0]?.delta.role);
    assert.ok(roles.length <= 1, 'a second role');
    for (const chunk of chunks) out.text += chunk.choices[0]?.delta.content ?? '';
    const finishes = chunks.filter((e) => e.choices[0]?.finish_reason);
    out.usage = chunks.filter((e) => e.usage).map((e) => e.usage.completion_tokens);
    out.id = chunks[0].id;
    assert.equal(done, !out.error, 'an error or [DONE]');
    if (!out.error) {
      assert.equal(finishes.length, 1);
      assert.equal(finishes[0].choices[0].finish_reason, 'stop');
      // what ends well by itself, and never told its usage, is passed on as it is
      assert.ok(out.usage.length <= 1, 'usage twice');
    }
    return out;
  },
  messages(events) {
    const out = { text: '', usage: [] };
    let open = -1;
    let next = 0;
    let stopped = 0;
    for (const [i, { name, data }] of events.entries()) {
      const e = JSON.parse(data);
      assert.equal(name, e.type);
      assert.equal(e.type === 'message_start', i === 0, `${e.type} at ${i}`);
      assert.ok(!out.error && stopped < 2, `${e.type} behind the end`);
      if (e.type === 'message_start') out.id = e.message.id;
      if (e.type === 'content_block_start') {
        assert.deepEqual([e.index, open], [next++, -1]);
        open = e.index;
      }
      if (e.type === 'content_block_delta') {
        assert.equal(e.index, open);
        out.text += e.delta.text ?? '';
      }
      if (e.type === 'content_block_stop') {
        assert.equal(e.index, open);
        open = -1;
      }
      if (e.type === 'message_delta') {
        assert.deepEqual([open, stopped++, e.delta.stop_reason], [-1, 0, 'end_turn']);
        out.usage.push(e.usage.output_tokens);
      }
      if (e.type === 'message_stop') assert.equal(stopped++, 1);
      if (e.type === 'error') out.error = e.error;
    }
    assert.equal(stopped, out.error ? 0 : 2);
    return out;
  },
  responses(events) {
    const out = { text: '', usage: [] };
    let done;
    let end;
    for (const [i, { name, data }] of events.entries()) {
      const e = JSON.parse(data);
      assert.equal(name, e.type);
      assert.equal(e.sequence_number, i, `${e.type} has the number ${e.sequence_number}`);
      assert.ok(!end, `${e.type} behind the end`);
      if (i === 0) {
        assert.equal(e.type, 'response.created');
        out.id = e.response.id;
      }
      if (e.response) assert.equal(e.response.id, out.id);
      if (e.type === 'response.output_text.delta') out.text += e.delta;
      if (e.type === 'response.output_text.done') {
        assert.equal(done, undefined, 'done once');
        done = e.text;
      }
      if (e.type === 'error') out.error = end = e;
      if (e.type === 'response.failed') out.error = end = e.response.error;
      if (e.type === 'response.completed') end = e.response;
    }
    if (!out.error) {
      assert.equal(end?.status, 'completed');
      assert.equal(done, out.text);
      const said = end.output.filter((item) => item.type === 'message')
        .flatMap((item) => item.content).map((part) => part.text).join('');
      assert.equal(said, out.text, 'the end repeats it all');
      out.usage.push(end.usage.output_tokens);
    }
    return out;
  },
  gemini(events) {
    const out = { text: '', usage: [] };
    let finishes = 0;
    for (const [i, { data }] of events.entries()) {
      const e = JSON.parse(data);
      if (e.error) {
        out.error = e.error;
        assert.equal(i, events.length - 1);
        break;
      }
      out.id ??= e.responseId;
      assert.equal(e.responseId, out.id);
      for (const part of e.candidates?.[0]?.content?.parts ?? []) out.text += part.text ?? '';
      if (e.candidates?.[0]?.finishReason) {
        assert.equal(e.candidates[0].finishReason, 'STOP');
        finishes++;
        assert.equal(i, events.length - 1, 'the finish is last');
        out.usage.push(e.usageMetadata.candidatesTokenCount);
      }
    }
    assert.equal(finishes, out.error ? 0 : 1);
    return out;
  },
};

// As event n of a stream.
const errorEvent = {
  chat: () => 'data: {"error":{"message":"out of breath","type":"server_error"}}\n\n',
  messages: () => 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",' +
                  '"message":"out of breath"}}\n\n',
  responses: (n) => `event: error\ndata: {"type":"error","sequence_number":${n},` +
                    '"code":"server_error","message":"out of breath","param":null}\n\n',
  gemini: () => 'data: {"error":{"code":503,"message":"out of breath",' +
                '"status":"UNAVAILABLE"}}\r\n\r\n',
};

// --- the first providers: what weir-mock says, up to a byte

let mock;
let weir;
const first = {};
const tapes = new Map();          // of a dialect and a question

async function tape(dialect, question) {
  const key = `${dialect} ${question}`;
  if (!tapes.has(key)) {
    const [path, body] = ask[dialect](MODEL, question);
    const answer = await fetch(mock.url.replace(/\/v1$/, '') + path, {
      method: 'POST', body: JSON.stringify(body) });
    assert.equal(answer.status, 200);
    tapes.set(key, Buffer.from(await answer.arrayBuffer()));
  }
  return tapes.get(key);
}

// The question says how its answer breaks: "N: way at BYTE".
const questionOf = (n, way, at) => `${n}: ${way} at ${at}`;

async function play(dialect, call) {
  const [, n, way, at] = /(\d+): (\w+) at (\d+)/.exec(call.request.body.toString());
  const all = await tape(dialect, questionOf(n, way, at));
  let said = all.subarray(0, Number(at));
  if (way === 'error') {
    const text = said.toString();
    const whole = Math.max(text.lastIndexOf('\n\n') + 2, text.lastIndexOf('\r\n\r\n') + 4);
    const before = whole > 3 ? text.slice(0, whole) : '';
    const n = before.split('event: ').length - 1;
    said = Buffer.from(before + errorEvent[dialect](n));
  }
  const type = { 'content-type': 'text/event-stream' };
  if (way === 'close') await call.head(200, { ...type, connection: 'close' });
  else if (way === 'length') await call.head(200, { ...type, 'content-length': all.length + 9 });
  else await call.begin();
  const put = (bytes) => (bytes.length === 0 ? undefined
    : way === 'close' || way === 'length' ? call.write(bytes) : call.chunk(bytes));
  const half = Math.floor(said.length / 2);
  await put(said.subarray(0, half));
  if (Number(n) % 2) await new Promise((resolve) => setImmediate(resolve));
  await put(said.subarray(half));
  if (way === 'reset') {          // what it said arrives before
    await new Promise((resolve) => setTimeout(resolve, 15));
    call.reset();
  } else if (way === 'end' || way === 'error') await call.end();
  else if (way !== 'stall') call.cut();
  if (way === 'stall') await call.over;
}

const name = (role, dialect) => `${role}${dialect}`;

before(async () => {
  mock = await Mock.start();
  const providers = [];
  const models = [];
  const aliases = {};
  for (const dialect of DIALECTS) {
    const theirs = await provider((call) => play(dialect, call));
    first[dialect] = theirs;
    const continues = dialect === 'responses' ? 'instruct' : 'prefill';   // it has no other
    const base = { dialect: CONFIG[dialect], keys: ['sk-there'], continues,
                   timeouts: { stall: '600ms', first_byte: '5s' } };
    const url = (address) => (dialect === 'gemini' ? address.replace(/v1$/, 'v1beta') : address);
    providers.push({ ...base, name: name('a', dialect), url: url(theirs.url) });
    providers.push({ ...base, name: name('b', dialect), url: url(mock.url) });
    for (const role of 'ab') {
      models.push({ id: `${name(role, dialect)}/m`, upstream: MODEL,
                    price: { input: '1', output: '4' } });
    }
    for (const other of DIALECTS) {
      aliases[`${dialect}-${other}`] = [`${name('a', dialect)}/m`, `${name('b', other)}/m`];
    }
  }
  weir = await Weir.start({ providers, models, aliases, routing: { resume: 'always' } });
});

after(async () => {
  for (const dialect of DIALECTS) assert.deepEqual(first[dialect]?.faults ?? [], []);
});

// One request whose first provider breaks: what its client has.
async function broken(client, from, to, question) {
  const [path, body] = ask[client](`${from}-${to}`, question);
  const wire = await exchange(weir.url, post(path, weir.key, JSON.stringify(body)));
  return { status: wire.status, text: wire.text };
}

let number = 0;

async function check(client, from, to, way, at) {
  const question = questionOf(1000 + number++, way, at);
  const whole = JSON.parse(await (await fetch(`${mock.url}/chat/completions`, {
    method: 'POST', body: JSON.stringify({ model: MODEL,
                                           messages: [{ role: 'user', content: question }] }) }))
    .text()).choices[0].message.content;
  const what = `client ${client}, ${from} then ${to}, ${way} at ${at} (${question})`;
  const { status, text } = await broken(client, from, to, question);
  try {
    assert.equal(status, 200);
    const { events, comments } = eventsOf(text);
    const got = read[client](events);
    assert.equal(got.error, undefined, JSON.stringify(got.error));
    assert.equal(got.text, whole);
    return { events, comments, ...got };
  } catch (error) {
    throw new Error(`${what}: ${error.message}\n--- the client got:\n${text}`);
  }
}

async function several(jobs, most = 8) {
  const left = [...jobs];
  const faults = [];
  await Promise.all(Array.from({ length: most }, async () => {
    while (left.length > 0) await left.shift()().catch((error) => faults.push(error));
  }));
  assert.equal(faults.length, 0, `${faults.length} failed; the first: ${faults[0]?.message}`);
}

for (const client of DIALECTS) {
  for (const from of DIALECTS) {
    test(`${client}'s client, a provider of ${from}'s breaks`, async () => {
      const random = seeded(SEED * 100 + DIALECTS.indexOf(client) * 10 + DIALECTS.indexOf(from));
      const all = (await tape(from, 'how long is it')).length;
      const jobs = [];
      for (const to of DIALECTS) {
        for (const way of WAYS) {
          const count = way === 'stall' ? 1 : 4 * TIMES;
          const every = process.env.WEIR_BREAKS === 'all' && way !== 'stall';
          for (let i = 0; i < (every ? all : count); i++) {
            const at = every ? i : random() % all;
            jobs.push(() => check(client, from, to, way, at));
          }
        }
      }
      await several(jobs);
    });
  }
}

test('the ledger is right behind it all', async () => {
  const { data } = weir;
  await weir.stop();
  await proven(data);
});
