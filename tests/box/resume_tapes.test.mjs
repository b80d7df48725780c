// resume_tapes.test.mjs - recorded streams of real providers, broken at seeded bytes, to clients
// of all four dialects; who goes on says one known text. What a client has must be a beginning
// of what the recording says, with nothing lost that had come whole, and that text behind it.
//   WEIR_SEED=n other bytes; WEIR_TIMES=n more breaks of each recording
// Rule: the judge reads streams by itself and is lenient (recordings are of forty providers);
// what it never forgives is a good end without the whole text. timeout: 300
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cassettes, missing } from './lib/cassettes.mjs';
import { ask, CONFIG, DIALECTS } from './lib/peers.mjs';
import { provider } from './lib/provider.mjs';
import { firstAnswer, KINDS } from './lib/tapes.mjs';
import { proven, Weir } from './lib/weir.mjs';
import { exchange, post, seeded } from './lib/wire.mjs';

const SEED = Number(process.env.WEIR_SEED ?? 1);
const TIMES = Number(process.env.WEIR_TIMES ?? 1);
const WAYS = ['reset', 'end', 'close', 'cut', 'length'];
const MORE = ' [[and "so" on \u00e9\n\ud83d\ude00]]';

// The data of the events that are whole, [DONE] as null; the comments.
function eventsOf(bytes) {
  const text = bytes.toString('utf8').replace(/\r\n?/g, '\n');
  const blocks = text.split('\n\n').slice(0, -1).map((block) => block.split('\n'));
  const comments = blocks.flat().filter((line) => line.startsWith(':'));
  const data = blocks.map((lines) => lines.filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trimStart()).join('\n')).filter((line) => line !== '');
  return { comments, events: data.map((line) => (line === '[DONE]' ? null : JSON.parse(line))) };
}

const words = (content) => (typeof content === 'string' ? content
  : (content ?? []).map((part) => (part.type === 'text' ? part.text : '')).join(''));

// What an event adds to { text, finishes, good, error, ids, numbers }.
const take = {
  chat(out, e) {
    if (e === null) { out.good = true; return; }
    if (e.error) { out.error = e.error; return; }
    if (e.id) out.ids.add(e.id);       // Azure's first chunk has none
    for (const { index, delta, finish_reason: finish } of e.choices ?? []) {
      if (index) continue;
      out.text += words(delta?.content);
      if (finish) out.finishes.push(finish);
    }
  },
  messages(out, e) {
    if (e.type === 'error') out.error = e.error;
    if (e.type === 'message_start') out.ids.add(e.message.id);
    if (e.type === 'content_block_start') out.text += e.content_block.text ?? '';
    if (e.type === 'content_block_delta') out.text += e.delta.text ?? '';
    if (e.type === 'message_delta' && e.delta?.stop_reason) out.finishes.push(e.delta.stop_reason);
    if (e.type === 'message_stop') out.good = true;
  },
  responses(out, e) {
    if (e.type === 'error' || e.type === 'response.failed') out.error = e;
    if (e.response?.id) out.ids.add(e.response.id);
    if (e.type === 'response.output_text.delta') out.text += e.delta;
    out.numbers.push(e.sequence_number);
    if (!/^response\.(completed|incomplete)$/.test(e.type)) return;
    out.good = true;
    out.finishes.push(e.type);
    out.end = e.response.output.filter((item) => item.type === 'message')
      .flatMap((item) => item.content).map((part) => part.text ?? '').join('');
  },
  gemini(out, e) {
    if (e.error) { out.error = e.error; return; }
    if (e.responseId) out.ids.add(e.responseId);
    for (const { index, content, finishReason: finish } of e.candidates ?? []) {
      if (index) continue;
      for (const part of content?.parts ?? []) if (!part.thought) out.text += part.text ?? '';
      if (finish) out.finishes.push(finish);
    }
    out.good = out.finishes.length > 0;
  },
};

function read(dialect, bytes) {
  const out = { text: '', finishes: [], good: false, ids: new Set(), numbers: [] };
  const { comments, events } = eventsOf(bytes);
  for (const event of events) take[dialect](out, event);
  return { ...out, comments, good: out.good && !out.error };
}

const tapes = cassettes(...Object.keys(KINDS)).filter((tape) => tape.stream && tape.status === 200)
  .map(firstAnswer).map((tape) => ({ ...tape, kind: KINDS[tape.dialect] }))
  // several answers in one file, or none that ends
  .filter((tape) => read(tape.kind, tape.bytes).finishes.length === 1);

// What the first provider plays for a model: { bytes, way }.
const plays = new Map();
// What the second one was asked, by model of the first.
const asked = new Map();

async function play(call) {
  const model = call.model ?? /models\/([^:]+):/.exec(call.request.target)[1];
  const { bytes, way, all } = plays.get(model);
  const type = { 'content-type': 'text/event-stream' };
  if (way === 'close') await call.head(200, { ...type, connection: 'close' });
  else if (way === 'length') await call.head(200, { ...type, 'content-length': all + 9 });
  else await call.begin();
  await (way === 'close' || way === 'length' ? call.write(bytes) : call.chunk(bytes));
  if (way === 'end') { await call.end(); return; }
  if (way !== 'reset') { call.cut(); return; }
  await new Promise((resolve) => setTimeout(resolve, 10));    // what it said arrives before
  call.reset();
}

const event = (e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`;

async function goOn(call) {
  asked.set(call.model, call.request.json.messages);
  const delta = (text) => ({ type: 'content_block_delta', index: 0,
                             delta: { type: 'text_delta', text } });
  await call.begin();
  await call.chunk([
    { type: 'message_start', message: { id: 'msg_2', type: 'message', role: 'assistant',
      model: 'second', content: [], stop_reason: null, stop_sequence: null,
      usage: { input_tokens: 70, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    delta(MORE.slice(0, 4)), delta(MORE.slice(4)),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: 9 } },
    { type: 'message_stop' }].map(event).join(''));
  await call.end();
}

let weir;
let first;
let second;

before(async () => {
  if (missing) return;
  [first, second] = [await provider(play), await provider(goOn)];
  const base = { keys: ['k'] };
  const models = tapes.flatMap(({ kind }, i) => ['a', 'b'].map((role) => ({
    id: role === 'a' ? `${kind}/m${i}` : `second/m${i}`, upstream: `m${i}`,
    price: { input: '1', output: '4' } })));
  weir = await Weir.start({
    providers: [...DIALECTS.map((name) => ({ ...base, name, dialect: CONFIG[name],
      url: name === 'gemini' ? first.url.replace(/v1$/, 'v1beta') : first.url })),
      { ...base, name: 'second', dialect: 'anthropic', url: second.url, continues: 'prefill' }],
    models, routing: { resume: 'always' },
    aliases: Object.fromEntries(tapes.map(({ kind }, i) =>
      [`t${i}`, [`${kind}/m${i}`, `second/m${i}`]])),
  });
});

// The text that was handed to who goes on; undefined: it was asked anew.
function prefill(messages) {
  const last = messages.at(-1);
  return last.role === 'assistant' ? words(last.content) : undefined;
}

// Gives what became of it: continued, anew, whole, error.
async function judged(tape, i, client, way, cut) {
  const part = tape.bytes.subarray(0, cut);
  plays.set(`m${i}`, { bytes: part, way, all: tape.bytes.length });
  asked.delete(`m${i}`);
  const [path, body] = ask[client](`t${i}`);
  const answer = await exchange(weir.url, post(path, weir.key, body));
  assert.equal(answer.status, 200, answer.text);
  const got = read(client, answer.body);
  const came = read(tape.kind, part);
  const all = read(tape.kind, tape.bytes).text;
  const messages = asked.get(`m${i}`);
  if (!got.good) {
    assert.ok(got.error, `neither a good end nor an error:\n${answer.text.slice(-600)}`);
    const text = got.text.replace('[an image, which this API has no way to hand out]', '');
    assert.ok(all.startsWith(text) || messages, 'foreign text before the error');
    return 'error';
  }
  assert.equal(got.finishes.length, 1, `finishes: ${got.finishes}`);
  assert.ok(got.ids.size <= 1, `ids: ${[...got.ids]}`);
  if (client === 'responses') {
    // one recording was shortened in the middle
    const gaps = came.numbers.some((number, n) => n > 0 && number !== came.numbers[n - 1] + 1);
    const right = (number, n) => n === 0 || (gaps ? number > got.numbers[n - 1]
                                                  : number === got.numbers[n - 1] + 1);
    assert.ok(got.numbers.every(right), `numbers: ${got.numbers}`);
    assert.equal(got.end, got.text, 'the end repeats it all');
  }
  if (!messages) {
    assert.ok(came.finishes.length > 0, 'a good end, and the recording had none yet');
    assert.ok(got.text === came.text || got.text === all, 'another text');
    return 'whole';
  }
  const begun = prefill(messages);
  if (begun === undefined) {
    assert.equal(got.text, MORE);
    return 'anew';
  }
  // blanks at the joint are said once; no provider takes a beginning that ends in them
  const [joint] = /\s*$/.exec(begun) ?? [''];
  const tail = got.text.endsWith(MORE) ? MORE : MORE.trimStart();
  assert.ok(got.text.endsWith(tail), `the end is ${JSON.stringify(got.text.slice(-80))}`);
  const head = got.text.slice(0, -tail.length);
  assert.equal(joint, '');
  assert.ok(all.startsWith(head), `no beginning: ${JSON.stringify(head.slice(-80))}`);
  assert.ok(head.startsWith(came.text.trimEnd()), 'text that had come is lost');
  assert.ok(head.startsWith(begun) && head.trimEnd() === begun, 'it was handed another text');
  assert.ok(tail === MORE || /\s$/.test(head), 'a blank is lost');
  const told = got.comments.some((line) => line.startsWith(': continued by second/'));
  assert.equal(told, client !== 'gemini', 'comments');    // Gemini's SDKs take none
  return 'continued';
}

for (const kind of DIALECTS) {
  test(`recorded streams of ${kind}, broken at any byte`, { skip: missing }, async () => {
    const next = seeded(SEED * 10 + DIALECTS.indexOf(kind) + 1);
    const became = { continued: 0, anew: 0, whole: 0, error: 0 };
    const wrong = [];
    for (let round = 0; round < TIMES * 2; round++) {
      for (const [i, tape] of tapes.entries()) {
        if (tape.kind !== kind) continue;
        const client = round % 2 ? kind : DIALECTS[next() % DIALECTS.length];
        const way = WAYS[next() % WAYS.length];
        const cut = 1 + next() % tape.bytes.length;
        await judged(tape, i, client, way, cut).then((what) => { became[what]++; }, (error) => {
          wrong.push(`${tape.file}, to ${client}, ${way} at ${cut} of ${tape.bytes.length}: ` +
                     error.message.slice(0, 700));
        });
      }
    }
    assert.equal(wrong.length, 0, `${wrong.length} wrong:\n${wrong.slice(0, 9).join('\n')}`);
    assert.ok(became.continued > 9, `hardly any went on: ${JSON.stringify(became)}`);
  });
}

test('the ledger is right behind it all', { skip: missing }, async () => {
  assert.deepEqual([...first.faults, ...second.faults], []);
  await weir.stop();
  await proven(weir.data);
});

after(() => { for (const there of [first, second]) there?.close(); });
