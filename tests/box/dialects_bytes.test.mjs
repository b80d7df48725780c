// dialects_bytes.test.mjs - byte for byte, as bytes.test.mjs, for Responses, Anthropic's Messages
// and Gemini: recorded exchanges through the real binary, and what is peculiar to their paths.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cassettes, missing } from './lib/cassettes.mjs';
import { provider } from './lib/provider.mjs';
import { answerTo, pieces, playing, post, seeded, Wire } from './lib/wire.mjs';
import { Mock, Weir, whole } from './lib/weir.mjs';

let answer = (call) => call.json({ ok: true });
const far = await provider((call) => answer(call));
const mock = await Mock.start();
const base = far.url.replace(/\/v1$/, '');
const weir = await Weir.start({
  providers: [{ name: 'ant', dialect: 'anthropic', url: `${base}/v1`, keys: ['sk-far'] },
              { name: 'res', dialect: 'responses', url: `${base}/v1`, keys: ['sk-far'] },
              { name: 'oai', dialect: 'openai', url: `${base}/v1`, keys: ['sk-far'] },
              { name: 'gem', dialect: 'gemini', url: `${base}/v1beta`, keys: ['sk-far'] },
              { name: 'mog', dialect: 'gemini', url: mock.url.replace(/v1$/, 'v1beta') }],
  models: [{ id: 'ant/m' }, { id: 'res/m' }, { id: 'oai/m' }, { id: 'gem/m' },
           // one for each recording: where one failed, the next must not have to rest
           ...['ant', 'res', 'gem'].flatMap((name) =>
             Array.from({ length: 400 }, (_, i) => ({ id: `${name}/m${i}` }))),
           { id: 'mog/mock-n9' }, { id: 'mog/mock-n9-noend3' }, { id: 'mog/mock-big90' }],
  unknown_price: 'allow',
});

const dialects = {
  'anthropic-messages': {
    path: () => '/v1/messages', model: 'ant/m',
    body: { max_tokens: 9, messages: [{ role: 'user', content: 'x' }] },
    fits: (body) => Array.isArray(body.messages) && Number.isInteger(body.max_tokens),
    last: /event: message_stop\r?\ndata:[^\n]*\n\r?\n/,
    ends: /"stop_reason": ?"/ },
  'openai-responses': {
    path: () => '/v1/responses', model: 'res/m', body: { input: 'x' },
    fits: (body) => body.input !== undefined && !body.background,
    last: /event: response\.(completed|incomplete)\r?\ndata:[^\n]*\n\r?\n/,
    ends: /event: response\.(completed|incomplete)/ },
  'gemini-generate': {
    path: (stream, n) => `/v1beta/models/gem/m${n}:` +
      (stream ? 'streamGenerateContent?alt=sse' : 'generateContent'),
    body: { contents: [{ parts: [{ text: 'x' }] }] },
    fits: (body) => Array.isArray(body.contents), last: null,
    ends: /"finishReason": ?"|"blockReason"/ },
};

function requestOf(tape, n) {
  const { body, fits, model } = dialects[tape.dialect];
  const recorded = tape.request.body;
  const good = recorded && typeof recorded === 'object' && !Array.isArray(recorded) &&
               fits(recorded);
  const request = { ...(good ? recorded : body) };
  delete request.model;
  delete request.stream;
  if (!model) return request;
  return { ...request, model: `${model}${n}`, ...(tape.stream ? { stream: true } : {}) };
}

async function replay(tape, n, parts, byLength) {
  answer = playing(tape, parts, byLength);
  return answerTo(weir.url, post(dialects[tape.dialect].path(tape.stream, n), weir.key,
                        requestOf(tape, n)));
}

// Several answers one after the other were recorded as one stream: the first is the answer.
function wanted(tape) {
  const { last } = dialects[tape.dialect];
  const text = tape.bytes.toString('utf8');
  const end = tape.stream && last && last.exec(text);
  if (tape.dialect === 'anthropic-messages' && tape.stream && !end) {  // Weir ends it well
    return Buffer.from(`${text}event: message_stop\ndata: {"type":"message_stop"}\n\n`);
  }
  return end ? Buffer.from(text.slice(0, end.index + end[0].length)) : tape.bytes;
}

function judge(tape, got) {
  const text = tape.bytes.toString('utf8');
  const { ends } = dialects[tape.dialect];
  const about = `${tape.file}: ${got.status} ${got.text.slice(0, 200)}`;
  if (tape.status >= 401 && tape.status !== 422) {
    assert.ok(got.status === 502 || got.status === 503, about);
  } else if (tape.stream && tape.status === 200 && !ends.test(text)) {
    assert.ok(/"error"/.test(got.text), about);
  } else {
    assert.equal(got.status, tape.status, about);
    if (!got.body.equals(wanted(tape))) assert.equal(got.text, wanted(tape).toString(), about);
  }
}

// --- what is peculiar to their paths

const said = { contents: [{ parts: [{ text: 'x' }] }] };
const stream = (model, query = '') =>
  weir.fetch(`/v1beta/models/${model}:streamGenerateContent${query}`, { body: said });

test('Gemini without alt=sse: an array, as its events', async () => {
  for (const model of ['mog/mock-n9', 'mog/mock-big90']) {
    const array = await whole(await stream(model));
    assert.match(array.header('content-type'), /^application\/json/);
    const events = (await (await stream(model, '?alt=sse')).text()).split('\r\n\r\n')
      .filter(Boolean).map((event) => JSON.parse(event.slice(6)));
    const same = (list) => list.map(({ responseId, ...rest }) => rest);
    assert.deepEqual(same(array.json), same(events));
  }
  const broken = await whole(await stream('mog/mock-n9-noend3'));
  assert.equal(broken.json.length, 4);
  assert.equal(broken.json.at(-1).error.status, 'INTERNAL');
  assert.equal((await stream('mog/mock-n9', '?alt=proto')).status, 400);
});

test("Gemini's key in the query: taken, never forwarded, never logged", async () => {
  answer = (call) => call.json({ candidates: [{ content: { parts: [{ text: 'x' }] },
                                                finishReason: 'STOP' }] });
  const ask = (query) => weir.fetch(`/v1beta/models/gem/m:generateContent${query}`,
                                    { key: null, body: said });
  assert.equal((await ask(`?key=${weir.key}&x=1`)).status, 200);
  const sent = far.requests.at(-1);
  assert.ok(!JSON.stringify(sent).includes(weir.key) && sent.target.endsWith('?x=1'));
  assert.equal(sent.get('x-goog-api-key'), 'sk-far');
  for (const query of ['', '?key=sk-weir-other']) assert.equal((await ask(query)).status, 401);
  const elsewhere = await weir.fetch(`/v1/chat/completions?key=${weir.key}`,
                                     { key: null, body: {} });
  assert.equal(elsewhere.status, 401);
  assert.ok(!weir.run.stdout.replace(/^first start.*$/m, '').includes(weir.key));
});

test('who keeps something for later must be known', async () => {
  answer = (call) => call.json({ id: 'resp_1', object: 'response', status: 'completed',
    output: [{ type: 'message', content: [{ type: 'output_text', text: 'x' }] }] });
  for (const more of [{ previous_response_id: 'resp_0' }, { store: true }]) {
    const ask = (model) => weir.fetch('/v1/responses', { body: { model, input: 'x', ...more } });
    assert.equal((await ask('res/m')).status, 200);
    assert.deepEqual(far.requests.at(-1).json, { model: 'm', input: 'x', ...more });
    const refused = await whole(await ask('m'));
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.json.error.param, Object.keys(more)[0]);
  }
  assert.equal((await weir.fetch('/v1/responses', { body: {
    model: 'res/m', input: 'x', background: true } })).status, 400);
});

test('models in the form of each dialect', async () => {
  const ask = async (path, headers) => (await whole(await weir.fetch(path, { headers }))).json;
  const version = { 'anthropic-version': '2023-06-01' };
  const ours = await ask('/v1/models', version), theirs = await ask('/v1beta/models');
  assert.equal(ours.has_more, false);
  assert.deepEqual([ours.first_id, ours.last_id],
                   [ours.data[0].id, ours.data.at(-1).id]);
  const ant = ours.data.find((row) => row.id === 'ant/m');
  assert.deepEqual([ant.type, ant.dialect], ['model', 'anthropic']);
  assert.deepEqual(await ask('/v1/models/ant/m', version), ant);
  const gem = theirs.models.find((row) => row.name === 'models/gem/m');
  assert.deepEqual(gem.supportedGenerationMethods, ['generateContent', 'countTokens']);
  assert.deepEqual(await ask('/v1beta/models/gem/m'), gem);
  assert.equal((await ask('/v1/models')).object, 'list');
  assert.equal((await ask('/v1/models/nobody', version)).error.type, 'not_found_error');
  assert.equal((await ask('/v1beta/models/nobody')).error.status, 'NOT_FOUND');
});

// --- recordings

for (const name of Object.keys(dialects)) {
  const tapes = cassettes(name).filter((tape) => ![401, 403, 429].includes(tape.status));
  for (const how of ['in one piece', 'cut at seeded points']) {
    test(`recorded ${name}, ${how}`, { skip: missing }, async () => {
      assert.ok(tapes.length > 30, `${tapes.length} recordings`);
      const wrong = [];
      for (const [i, tape] of tapes.entries()) {
        const most = Math.max([4000, 300, 40][i % 3], tape.bytes.length / 300);
        const parts = how === 'in one piece' ? [tape.bytes]
                                             : pieces(tape.bytes, seeded(i + 1), most);
        try {
          const n = how === 'in one piece' ? i : i + 200;
          judge(tape, await replay(tape, n, parts, i % 5 === 0));
        } catch (error) {
          wrong.push(error.message.slice(0, 400));
        }
      }
      assert.equal(wrong.length, 0, `${wrong.length} of ${tapes.length}:\n${wrong.join('\n')}`);
    });
  }
}

test('it ends cleanly', async () => {
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
