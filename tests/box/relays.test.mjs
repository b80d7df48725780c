// relays.test.mjs - images, speech and rerank: relayed in their own dialect, metered by what the
// answer says and by the price of a request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
