// bytes.test.mjs - byte for byte. What stays in its dialect is not touched but for the spliced
// edits; answers come back as they were sent, wherever the network cut them.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cassettes, missing } from './lib/cassettes.mjs';
import { chat, provider } from './lib/provider.mjs';
import { answerTo, pieces, playing, post, seeded, Wire } from './lib/wire.mjs';
import { Weir } from './lib/weir.mjs';

let answer = (call) => call.json(chat('ok'));
const far = await provider((call) => answer(call));
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [{ id: 'far/m' }, { id: 'far/q', upstream: 'a "quoted" \\ näme' }],
  aliases: { short: 'far/m' },
  unknown_price: 'allow',
});
const wire = await Wire.open(weir.url);

// Send exactly this body; gives what arrived at the provider.
async function forwarded(body, path = '/v1/chat/completions') {
  const before = far.requests.length;
  await wire.send(post(path, weir.key, body));
  const got = await wire.answer();
  assert.equal(got.status, 200, got.text);
  assert.equal(far.requests.length, before + 1);
  return far.requests[before].body.toString('utf8');
}

// --- requests

const rest = '"messages":[{"role":"user","content":"h\\u00e9 \\n é \\ud83d\\ude80 🚀"}]';
const edits = [
  // what the client sends, what the provider gets
  [`{"model":"far/m",${rest}}`, `{"model":"m",${rest}}`],
  [`{"model":"m",${rest}}`, `{"model":"m",${rest}}`],
  [`{"model":"short",${rest}}`, `{"model":"m",${rest}}`],
  [`{"model":"fa\\u0072\\/m",${rest}}`, `{"model":"m",${rest}}`],
  [`  {\r\n\t"model" :\t"far/m" , ${rest} ,"x":1e5,"y":-0.0E+2 } \n`,
   `  {\r\n\t"model" :\t"m" , ${rest} ,"x":1e5,"y":-0.0E+2 } \n`],
  [`{${rest},"model":"far/m"}`, `{${rest},"model":"m"}`],
  [`{"model":"far/m","models":["far/m","x"],${rest}}`, `{"model":"m",${rest}}`],
  [`{"models":["far/m"],${rest}}`, `{"model":"m",${rest}}`],
  [`{${rest},"models":["far/m"],"model":"far/m"}`, `{${rest},"model":"m"}`],
  [`{"model":"far/m",${rest},"provider":{"order":["far"]},"usage":{"include":false}}`,
   `{"model":"m",${rest}}`],
  [`{"usage":{"include":false},"provider":{},"model":"far/m",${rest}}`,
   `{"model":"m",${rest}}`],
  [`{"model":"far/m" , "provider" : {} , ${rest} , "usage" : {"include":true} }`,
   `{"model":"m" , ${rest} }`],
  [`{"model":"far/m",${rest},"unknown":{"model":"far/m","models":[],"stream":true}}`,
   `{"model":"m",${rest},"unknown":{"model":"far/m","models":[],"stream":true}}`],
  [`{"model":"far/q",${rest}}`,
   `{"model":"a \\"quoted\\" \\\\ näme",${rest}}`],
];

edits.forEach(([sent, want], i) => {
  test(`request ${i}: only the edits differ`, async () => {
    assert.equal(await forwarded(sent), want);
  });
});

const asked = '"stream_options":{"include_usage":true}';
const streams = [
  [`{"model":"m","stream":true,${rest}}`, `{${asked},"model":"m","stream":true,${rest}}`],
  [`{"model":"m","stream":true,${rest},"stream_options":{}}`,
   `{"model":"m","stream":true,${rest},${asked}}`],
  [`{"model":"m","stream":true,${rest},"stream_options":null}`,
   `{"model":"m","stream":true,${rest},${asked}}`],
  [`{"model":"m","stream":true,${rest},"stream_options":{"x":1}}`,
   `{"model":"m","stream":true,${rest},"stream_options":{"include_usage":true,"x":1}}`],
  [`{"model":"m","stream":true,${rest},"stream_options":{"include_usage":false}}`,
   `{"model":"m","stream":true,${rest},${asked}}`],
  [`{"model":"m","stream":true,${rest},"stream_options":{"include_usage": true }}`,
   `{"model":"m","stream":true,${rest},"stream_options":{"include_usage": true }}`],
  [`{"model":"m","stream":false,${rest}}`, `{"model":"m","stream":false,${rest}}`],
];

streams.forEach(([sent, want], i) => {
  test(`streamed request ${i}: usage is asked for, the rest stays`, async () => {
    answer = (call) => (call.request.json.stream ? call.stream(['ok']) : call.json(chat('ok')));
    const got = await forwarded(sent);
    assert.deepEqual(JSON.parse(got), JSON.parse(want));
    if (!sent.includes('stream_options') || i >= 4) assert.equal(got.length, want.length);
    for (const part of [rest, '"model":"m"']) assert.ok(got.includes(part));
  });
});

test('a body sent in pieces, in chunks, a byte at a time arrives the same', async () => {
  answer = (call) => call.json(chat('ok'));
  const body = Buffer.from(`{"model":"far/m",${rest},"pad":"${'äö'.repeat(300)}"}`);
  const want = body.toString().replace('far/m', 'm');
  const next = seeded(7);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Api-Key: ${weir.key}\r\n`;
  for (const most of [1, 7, 200]) {
    const own = await Wire.open(weir.url);
    await own.send(`${head}Transfer-Encoding: chunked\r\n\r\n`);
    for (const part of pieces(body, next, most)) {
      await own.send(Buffer.concat([Buffer.from(part.length.toString(16) + '\r\n'), part,
                                    Buffer.from('\r\n')]));
    }
    await own.send('0\r\n\r\n');
    assert.equal((await own.answer()).status, 200);
    assert.equal(far.requests.at(-1).body.toString(), want);
    assert.equal(far.requests.at(-1).get('content-length'), String(Buffer.byteLength(want)));
    own.close();
  }
  const own = await Wire.open(weir.url);
  for (const part of pieces(Buffer.concat([Buffer.from(
    `${head}Content-Length: ${body.length}\r\n\r\n`), body]), next, 40)) {
    await own.send(part);
  }
  assert.equal((await own.answer()).status, 200);
  assert.equal(far.requests.at(-1).body.toString(), want);
  own.close();
});

// --- answers

const paths = { 'openai-chat': '/v1/chat/completions',
                'openai-completions': '/v1/completions', embeddings: '/v1/embeddings' };
const bodies = { 'openai-chat': { messages: [{ role: 'user', content: 'x' }] },
                 'openai-completions': { prompt: 'x' }, embeddings: { input: 'x' } };

// The request as recorded where it was, else a small one; always for our model, with usage.
function requestOf(tape) {
  const recorded = tape.request.body;
  const fits = recorded && typeof recorded === 'object' && !Array.isArray(recorded) &&
               Object.keys(bodies[tape.dialect]).every((name) => recorded[name] !== undefined);
  const body = { ...(fits ? recorded : bodies[tape.dialect]), model: 'far/m' };
  delete body.stream_options;
  delete body.stream;
  if (tape.stream) Object.assign(body, { stream: true, stream_options: { include_usage: true } });
  return body;
}

// What the client must get. A stream that has no [DONE] gets one; one whose last event lacks
// its empty line is ended as the provider ended it.
function wanted(tape) {
  const text = tape.bytes.toString('utf8');
  if (!tape.stream || /data: ?\[DONE\]/.test(text)) return tape.bytes;
  return Buffer.concat([tape.bytes, Buffer.from('data: [DONE]\n\n')]);
}

const ends = (tape) => /"finish_reason": ?"|data: ?\[DONE\]/.test(tape.bytes.toString());
// Never passed on: 401, 404, and an error that pretends to be a good answer.
const refusal = (tape) => [401, 404].includes(tape.status) ||
  (!tape.stream && tape.status === 200 && JSON.parse(tape.bytes).error);

// Replay tape with its answer cut into these pieces; chunked unless it is sent with a length.
async function replay(tape, parts, byLength) {
  answer = playing(tape, parts, byLength);
  return answerTo(weir.url, post(paths[tape.dialect], weir.key, requestOf(tape)));
}

function judge(tape, got, how) {
  const about = `${tape.file} ${how}`;
  if (refusal(tape)) {
    assert.ok(got.status === 502 || got.status === 503, `${about}: ${got.status}`);
    return;
  }
  if (tape.stream && !ends(tape)) {  // recorded short: an error, no good end
    assert.ok(got.json.error, about);
    return;
  }
  assert.equal(got.status, tape.status, `${about}: ${got.text.slice(0, 300)}`);
  let want = wanted(tape);
  // Recorded without the empty line behind its last event: Weir adds it, so that it counts.
  if (tape.stream && /[^\r\n]\r?\n$/.test(want.subarray(-4).toString('latin1'))) {
    want = Buffer.concat([want, Buffer.from('\n')]);
  }
  if (!got.body.equals(want)) {
    assert.equal(got.body.toString('utf8'), want.toString('utf8'), about);
    assert.fail(`${about}: the bytes differ`);
  }
}

// What rests after 401 and 404 (a key, for a minute) must not stand in the way of the others.
const all = cassettes('openai-chat', 'openai-completions', 'embeddings')
  .filter((tape) => tape.status !== 401);
const sets = { 'whole answers': all.filter((tape) => !tape.stream),
               streams: all.filter((tape) => tape.stream) };

// Judge every tape of the list; fails with all that differ, not only the first.
async function every(tapes, play) {
  const wrong = [];
  for (const [i, tape] of tapes.entries()) {
    try {
      const { how, got } = await play(tape, i);
      judge(tape, got, how);
    } catch (error) {
      wrong.push(error);
    }
  }
  if (wrong.length === 1) throw wrong[0];
  assert.equal(wrong.length, 0, wrong.map((error) => error.message.slice(0, 300)).join('\n'));
}

for (const [name, tapes] of Object.entries(sets)) {
  test(`recorded ${name}, in one piece`, { skip: missing }, async () => {
    assert.ok(tapes.length > 100, `${tapes.length} recordings`);
    await every(tapes, async (tape) =>
      ({ how: 'whole', got: await replay(tape, [tape.bytes], !tape.stream) }));
  });

  test(`recorded ${name}, cut at seeded points`, { skip: missing }, () =>
    every(tapes, async (tape, i) => {
      const most = Math.max([4000, 300, 40][i % 3], tape.bytes.length / 300);
      const parts = pieces(tape.bytes, seeded(i + 1), most);
      return { how: `cut at most ${most}, seed ${i + 1}`,
               got: await replay(tape, parts, i % 5 === 0) };
    }));

  test(`recorded ${name}, one byte at a time`, { skip: missing }, async () => {
    const small = tapes.filter((tape) => tape.bytes.length < 6000 && !refusal(tape));
    const chosen = small.filter((_, i) => i % Math.ceil(small.length / 6) === 0);
    assert.ok(chosen.length >= 5);
    await every(chosen, async (tape) =>
      ({ how: 'by bytes', got: await replay(tape, pieces(tape.bytes, () => 0, 1), false) }));
  });
}

test('401 with a key inside is never passed on', { skip: missing }, async () => {
  const [tape] = cassettes('openai-chat').filter((t) => t.status === 401);
  judge(tape, await replay(tape, [tape.bytes], true), 'whole');
});

test('it ends cleanly', async () => {
  wire.close();
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
