// relays.test.mjs - images, speech and rerank: relayed in their own dialect, metered by what the
// answer says and by the price of a request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { toFile } from 'openai';
import { provider } from './lib/provider.mjs';
import { Weir, whole } from './lib/weir.mjs';

const sound = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i * 7 % 256));

test('images, speech, rerank', async () => {
  const p = await provider(async (call) => {
    const sent = call.request.json;
    switch (call.request.target) {
    case '/v1/images/generations':
      assert.equal(sent.prompt, 'a cat');
      return call.json({ created: 1, data: [{ b64_json: 'iVBORw0KGgo=' }], usage: {
        input_tokens: 10, output_tokens: 1000, total_tokens: 1010,
        input_tokens_details: { text_tokens: 10, image_tokens: 0 } } });
    case '/v1/audio/speech':
      assert.deepEqual(sent, { model: 'tts', input: 'hello', voice: 'alloy' });
      await call.head(200, { 'content-type': 'audio/mpeg', 'transfer-encoding': 'chunked' });
      for (let at = 0; at < sound.length; at += 9000) {
        await call.chunk(sound.subarray(at, at + 9000));
      }
      return call.end();
    case '/v1/rerank':
      if (sent.model === 'jina') {
        return call.json({ model: 'jina', results: [{ index: 0, relevance_score: 0.9 }],
                           usage: { total_tokens: 15 } });
      }
      return call.json({ id: 'r', results: [{ index: 1, relevance_score: 0.9 }], meta: {
        billed_units: { search_units: 1 }, tokens: { input_tokens: 20 } } });
    default: return call.error(404);
    }
  });
  const weir = await Weir.start({
    providers: [{ name: 'far', dialect: 'openai', url: p.url, keys: ['k'] }],
    models: [{ id: 'far/image', upstream: 'dall', price: { input: '5', output: '40' } },
             { id: 'far/tts', price: { input: '0', output: '0', request: '0.015' } },
             { id: 'far/jina', price: { input: '1', output: '0' } },
             { id: 'far/rank', price: { input: '0', output: '0', request: '0.002' } }] });
  const ask = async (where, body) => whole(await weir.fetch(where, { body }));
  const cost = async (answer) => (await weir.row(answer.header('x-request-id'))).cost_usd;

  const image = await ask('/v1/images/generations', { model: 'far/image', prompt: 'a cat' });
  assert.equal(image.status, 200, image.text);
  assert.equal(image.json.data[0].b64_json, 'iVBORw0KGgo=');
  assert.equal(p.requests.at(-1).json.model, 'dall');
  assert.equal(await cost(image), '0.04005');

  const speech = await weir.fetch('/v1/audio/speech', { body: {
    model: 'far/tts', input: 'hello', voice: 'alloy' } });
  assert.equal(speech.headers.get('content-type'), 'audio/mpeg');
  assert.deepEqual(Buffer.from(await speech.arrayBuffer()), sound);
  const row = await weir.row(speech.headers.get('x-request-id'));
  assert.equal(row.cost_usd, '0.015');

  const jina = await ask('/v1/rerank', { model: 'far/jina', query: 'q', documents: ['a', 'b'] });
  assert.equal(jina.status, 200, jina.text);
  assert.equal(jina.json.results[0].relevance_score, 0.9);
  assert.equal(await cost(jina), '0.000015');
  const rank = await ask('/v1/rerank', { model: 'far/rank', query: 'q', documents: ['a', 'b'] });
  assert.equal(await cost(rank), '0.002');
  assert.equal((await weir.row(rank.header('x-request-id'))).input_tokens, 20);
  assert.equal((await ask('/v1/rerank', { query: 'q' })).status, 400);    // no model
  assert.deepEqual(p.faults, []);
  await weir.stop();
});

// A form is relayed byte for byte but for its model, whatever is in its file.
test('transcriptions and translations, asked by the official SDK', async () => {
  const file = Buffer.concat([Buffer.from('\r\n--not\r\n\n-'), sound,
                              Buffer.alloc(1 << 20, '\r\n--')]);
  const seen = [];
  const p = await provider(async (call) => {
    const type = call.request.get('content-type');
    const form = await new Response(call.request.body,
                                    { headers: { 'content-type': type } }).formData();
    const sent = Object.fromEntries(form);
    seen.push(sent);
    assert.match(call.request.target, /^\/v1\/audio\/trans(criptions|lations)$/);
    assert.deepEqual(Buffer.from(await sent.file.arrayBuffer()), file);
    if (sent.language === 'xx') return call.stream(['a', 'b']);
    if (sent.response_format === 'srt') {
      return call.json('1\n00:00:00,000 --> 00:00:01,000\nhello\n',
                       { fields: { 'content-type': 'text/plain; charset=utf-8' } });
    }
    if (sent.response_format === 'verbose_json') {
      return call.json({ task: 'transcribe', duration: 9, text: 'hello', segments: [],
                         usage: { type: 'duration', seconds: 9 } });
    }
    return call.json({ text: 'hello', usage: { type: 'tokens', input_tokens: 30,
      output_tokens: 4, total_tokens: 34,
      input_token_details: { text_tokens: 10, audio_tokens: 20 } } });
  });
  const weir = await Weir.start({
    providers: [{ name: 'far', dialect: 'openai', url: p.url, keys: ['k'] }],
    models: [{ id: 'far/hear', upstream: 'gpt-4o-transcribe-2025',
               price: { input: '2', output: '10', audio_input: '6' } },
             { id: 'far/whisper', price: { input: '0', output: '0', request: '0.006' } }] });
  const client = new OpenAI({ baseURL: `${weir.url}/v1`, apiKey: weir.key, maxRetries: 0 });
  const ask = async (what, more) => {
    const { data, response } = await client.audio[what].create({
      file: await toFile(file, 'a;b.mp3', { type: 'audio/mpeg' }), ...more }).withResponse();
    return { data, row: await weir.row(response.headers.get('x-request-id')) };
  };

  const told = await ask('transcriptions', { model: 'far/hear', prompt: 'names', language: 'en' });
  assert.equal(told.data.text, 'hello');
  assert.equal(seen.at(-1).model, 'gpt-4o-transcribe-2025');
  assert.equal(seen.at(-1).prompt, 'names');
  assert.equal(told.row.cost_usd, '0.00018');                // 10 * 2 + 20 * 6 + 4 * 10
  const verbose = await ask('transcriptions', { model: 'far/whisper',
                                                response_format: 'verbose_json' });
  assert.equal(verbose.data.duration, 9);
  assert.equal(seen.at(-1).model, 'whisper');
  assert.equal(verbose.row.cost_usd, '0.006');
  const srt = await ask('translations', { model: 'far/whisper', response_format: 'srt' });
  assert.match(srt.data, /^1\n00:00:00,000 --> .*\nhello\n$/);
  assert.equal(srt.row.cost_usd, '0.006');

  const streamed = ask('transcriptions', { model: 'far/hear', stream: true });
  await assert.rejects(streamed, (e) => e.status === 400 && /stream is not in this/.test(e.message));
  await assert.rejects(ask('transcriptions', { model: 'far/whisper', language: 'xx' }),
                       (e) => e.status >= 500);              // events that nobody asked for
  const json = await whole(await weir.fetch('/v1/audio/transcriptions',
                                            { body: { model: 'far/hear' } }));
  assert.equal(json.status, 400);
  assert.match(json.text, /must be multipart\/form-data/);
  assert.equal(seen.length, 4);
  assert.deepEqual(p.faults, []);
  await weir.stop();
});

test('events that answer what has no text end the attempt', async () => {
  const p = await provider(async (call) => call.stream(['data: {"x":1}\n\n']));
  const weir = await Weir.start({
    providers: [{ name: 'far', dialect: 'openai', url: p.url, keys: ['k'] }],
    models: [{ id: 'far/m', price: { input: '1', output: '1', request: '0.01' } }] });
  for (const [where, body] of [['embeddings', { input: 'x' }], ['moderations', { input: 'x' }],
                               ['images/generations', { prompt: 'x', stream: true }],
                               ['audio/speech', { input: 'x', voice: 'a', stream_format: 'sse' }],
                               ['rerank', { query: 'q', documents: ['a'] }]]) {
    const answer = await whole(await weir.fetch(`/v1/${where}`, {
      body: { model: 'far/m', ...body } }));
    assert.equal(answer.status, 502, `${where}: ${answer.text}`);
  }
  await weir.stop();
});
