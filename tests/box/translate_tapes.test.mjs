// translate_tapes.test.mjs - recorded answers of real providers, given to clients of the three
// other dialects: what the official SDK of the other side reads through Weir is what the SDK of
// their own dialect reads from the recording itself. Bedrock's and Cohere's are read without
// one. timeout: 300
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import test from 'node:test';
import { cassettes, counted, missing } from './lib/cassettes.mjs';
import { clients } from './lib/clients.mjs';
import { CONFIG, DIALECTS } from './lib/peers.mjs';
import { able } from './lib/talk.mjs';
import { firstAnswer, framed, KINDS as SPOKEN, MORE, native } from './lib/tapes.mjs';
import { atEnd, Weir } from './lib/weir.mjs';
import { pieces, seeded } from './lib/wire.mjs';

// A server that answers whatever it is asked with the newest tape.
const there = { tape: null, cuts: null, asked: [] };
const server = http.createServer((req, res) => {
  req.resume();
  req.on('end', async () => {
    const { tape, cuts } = there;
    res.writeHead(tape.status, { 'content-type': tape.type });
    for (const piece of cuts ? pieces(tape.bytes, cuts, 90) : [tape.bytes]) res.write(piece);
    res.end();
  });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
atEnd(() => { server.closeAllConnections(); server.close(); });
const base = `http://127.0.0.1:${server.address().port}`;

const KINDS = { ...SPOKEN, ...MORE };
const tapes = cassettes(...Object.keys(KINDS)).map(firstAnswer).map(framed);
const supports = ['tools', 'vision', 'json_schema', 'reasoning'];
const weir = await Weir.start({
  providers: [...DIALECTS.map((name) => ({ name, dialect: CONFIG[name], keys: ['k'],
    url: `${base}/${name === 'gemini' ? 'v1beta' : 'v1'}` })),
    { name: 'converse', dialect: 'bedrock', keys: ['k'], url: base, region: 'eu-central-1' },
    { name: 'cohere', dialect: 'cohere', keys: ['k'], url: `${base}/v2` }],
  // one for each recording: where one failed, the next must not have to rest
  models: tapes.map((tape, i) => ({ id: `${KINDS[tape.dialect]}/m${i}`, supports })),
  unknown_price: 'allow',
});

// Recordings that their own SDK does not read as one answer, and why.
const ODD = {
  'cerebras.openai-chat.stream.d41343e60cf7': 'two answers in one stream',
  'azure.openai-responses.json.9ed87157a5c2': 'the body is a chat completion',
  'anthropic.anthropic-messages.stream.c741b1fbea2d': 'its first answer was cut off by another',
  'anthropic.anthropic-messages.stream.a0219c22126f': 'its first answer was cut off by another',
  'first.vertex.anthropic-messages.stream.ad627896f8f3': 'one event that is a whole answer',
  'followup.vertex.anthropic-messages.stream.f12f86fa92cd': 'one event that is a whole answer',
  // arguments in parts, by path: only who asked for streamFunctionCallArguments gets them
  'google.gemini-generate.stream.fb41ef383aaa': 'arguments in parts',
  'google.gemini-generate.stream.3c2d650968e2': 'arguments in parts',
  'google.gemini-generate.stream.dcb127b56cbc': 'arguments in parts',
  'google.gemini-generate.stream.fef4813ec5bd': 'arguments in parts',
};
const oddity = (tape) => Object.keys(ODD).find((name) => tape.file.includes(name));

const about = (it) => ({ text: it.text, refusal: it.refusal,
  calls: it.calls.map(({ name, args }) => ({ name, args })), finish: it.finish });

// What only its own dialect can say is not compared with what became of it.
function comparable(tape, want, client) {
  const got = { ...want };
  // a refusal's text is text where a dialect has no word for it, and then its end tells
  if (!['chat', 'responses'].includes(client) && got.refusal) {
    Object.assign(got, { text: got.text + got.refusal, refusal: '',
                         finish: client === 'messages' ? 'filter' : got.finish });
  }
  return got;
}

async function through(tape, i, client, stream) {
  const session = new clients[client]({ url: weir.url, key: weir.key, max: 900,
    model: `${KINDS[tape.dialect]}/m${i}`, effort: 'medium' });
  return session.user('x').ask({ stream });
}

// What the SDK of its own dialect reads from a recording.
const read = new Map();
async function wanted(tape, i) {
  there.cuts = null;
  if (!read.has(i)) {
    read.set(i, await native[KINDS[tape.dialect]](base, tape.stream, tape)
      .catch((error) => ({ error })));
  }
  return read.get(i);
}

async function judged(tape, i, client) {
  there.tape = tape;
  const want = await wanted(tape, i);
  // a tool that takes any text: who cannot offer one is never told a call of it
  if (want.types?.includes('custom_tool_call')) return;
  there.cuts = tape.stream ? seeded(i + 1) : null;
  const got = await through(tape, i, client, tape.stream).catch((error) => ({ error }));
  if (want.error) {
    assert.ok(got.error, `the SDK of its dialect throws ${want.error.message}`);
    return;
  }
  if (got.error) throw got.error;
  got.text = got.text.replace('[an image, which this API has no way to hand out]', '');
  assert.deepEqual(about(got), about(comparable(tape, want, client)));
  if (want.usage?.output) assert.deepEqual({ prompt: got.usage.prompt, cached: got.usage.cached,
                                             output: got.usage.output }, want.usage);
  const bare = (text) => text.replace(/\s/g, '');     // parts of a summary are set apart
  assert.equal(bare(got.thoughts), bare(want.thoughts));
}

const only = process.env.WEIR_TAPE;
const part = process.env.WEIR_PAIR;
for (const dialect of Object.keys(KINDS)) {
  for (const client of DIALECTS) {
    if (client === KINDS[dialect] || (part && part !== `${client}-${KINDS[dialect]}`)) continue;
    test(`${dialect} recorded, read by ${client}'s SDK`, { skip: missing }, async () => {
      const wrong = [];
      let count = 0;
      for (const [i, tape] of tapes.entries()) {
        if (tape.dialect !== dialect || tape.status !== 200) continue;
        if ((only && !tape.file.includes(only)) || oddity(tape)) continue;
        count++;
        try {
          await judged(tape, i, client);
        } catch (error) {
          wrong.push(`${tape.file}: ${error.message.slice(0, Number(process.env.WEIR_LONG ?? 500))}`);
        }
      }
      assert.equal(wrong.length, 0, `${wrong.length} of ${count}:\n${wrong.join('\n')}`);
    });
  }
}

// Which test has the recordings of a dialect byte for byte, where clients speak it; what it
// leaves out: 401, 403 and 429 of a provider, which never reach a client as such.
const TESTS = { 'openai-chat': 'bytes', 'openai-completions': 'bytes', embeddings: 'bytes',
                'anthropic-messages': 'dialects_bytes', 'openai-responses': 'dialects_bytes',
                'gemini-generate': 'dialects_bytes', 'bedrock-converse': 'this one',
                'cohere-chat': 'this one' };

test('every recording is in a test', { skip: missing }, () => {
  const counts = counted();
  assert.deepEqual(Object.keys(counts).sort(), Object.keys(TESTS).sort());
  for (const [dialect, file] of Object.entries(TESTS)) {
    if (file === 'this one') continue;
    const text = fs.readFileSync(new URL(`./${file}.test.mjs`, import.meta.url), 'utf8');
    assert.ok(text.includes(`'${dialect}'`), `${dialect} in ${file}`);
  }
});

test('it ends cleanly', async () => {
  await weir.stop();
});
