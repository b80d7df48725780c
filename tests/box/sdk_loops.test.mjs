// sdk_loops.test.mjs - loops that the official SDKs bring along: OpenAI's runTools, Anthropic's
// tool runner, Gemini's chats. They keep the history themselves, in their own way, and drop what
// they take for invalid: what comes back to the provider must still be the whole conversation.
import assert from 'node:assert/strict';
import test from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { DIALECTS, peers, providersOf } from './lib/peers.mjs';
import { able } from './lib/talk.mjs';
import { Weir } from './lib/weir.mjs';

const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const weir = await Weir.start({
  providers: providersOf(there),
  models: DIALECTS.map((name) => ({ id: `${name}/m`, supports: ['tools', 'vision', 'reasoning'] })),
  unknown_price: 'allow',
});
const can = await able(weir, there);

const ASKED = 'How warm is it in Zürich and in Oslo?';
const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const about = { name: 'weather', description: 'The weather of a city.' };
const WARM = { Zürich: '21 °C', Oslo: '9 °C' };

// Two calls at once, then one, then an answer; the provider sees what came before.
function script(provider, seen) {
  const signed = provider === 'gemini' ? { sign: 'Q'.repeat(64) } : {};
  const call = (n, city) => ({ call: { id: `call_${n}`, name: 'weather', args: { city } } });
  const thought = ['messages', 'responses'].includes(provider)
    ? [{ thought: 'Two cities.', sign: 'R'.repeat(80) }] : [];
  return ({ neutral }) => {
    seen.push(neutral.turns);
    const results = neutral.turns.flatMap(({ parts }) => parts).filter((part) => part.result)
      .map((part) => part.result.text);
    if (results.length === 0) {
      return { parts: [...thought, { text: 'I ask.' }, { ...call(1, 'Zürich'), ...signed },
                       call(2, 'Oslo')] };
    }
    if (results.length === 2) {
      assert.ok(results[0].includes(WARM.Zürich) && results[1].includes(WARM.Oslo), results.join());
      return { parts: [{ ...call(3, 'Oslo'), ...signed }] };
    }
    assert.equal(results.length, 3);
    return { parts: [{ text: 'Warm, ' }, { text: 'and cold.' }] };
  };
}

const loops = {
  async chat(model, stream) {
    const client = new OpenAI({ baseURL: `${weir.url}/v1`, apiKey: weir.key, maxRetries: 0 });
    const runner = client.chat.completions.runTools({ model, stream,
      messages: [{ role: 'user', content: ASKED }],
      tools: [{ type: 'function', function: { ...about, parameters: schema, parse: JSON.parse,
                                              function: ({ city }) => WARM[city] } }] });
    return runner.finalContent();
  },
  async messages(model, stream) {
    const client = new Anthropic({ baseURL: weir.url, apiKey: weir.key, maxRetries: 0 });
    const runner = client.beta.messages.toolRunner({ model, stream, max_tokens: 900,
      messages: [{ role: 'user', content: ASKED }],
      tools: [betaTool({ ...about, inputSchema: schema, run: ({ city }) => WARM[city] })] });
    const { content } = await runner.runUntilDone();
    return content.filter((block) => block.type === 'text').map((block) => block.text).join('');
  },
  async gemini(model, stream) {
    const client = new GoogleGenAI({ apiKey: weir.key, httpOptions: { baseUrl: weir.url } });
    const chat = client.chats.create({ model, config: { tools: [{ functionDeclarations: [
      { ...about, parametersJsonSchema: schema }] }] } });
    let message = ASKED;
    for (;;) {
      const calls = [], texts = [];
      const chunks = stream ? await chat.sendMessageStream({ message })
                            : [await chat.sendMessage({ message })];
      for await (const chunk of chunks) {
        calls.push(...(chunk.functionCalls ?? []));
        texts.push(chunk.text ?? '');
      }
      if (calls.length === 0) return texts.join('');
      message = calls.map(({ id, name, args }) => ({ functionResponse: { id, name,
        response: { output: WARM[args.city] } } }));
    }
  },
};

for (const [client, loop] of Object.entries(loops)) {
  for (const provider of DIALECTS) {
    for (const stream of [false, true]) {
      const skip = !can.has(`${client}-${provider}`);
      test(`${client}'s own loop in front of ${provider}${stream ? ', streamed' : ''}`, { skip },
           async () => {
        const seen = [];
        there.faults.length = 0;
        there.script = script(provider, seen);
        const text = await loop(`${provider}/m`, stream).catch((error) => {
          assert.deepEqual(there.faults, []);
          throw error;
        });
        assert.deepEqual(there.faults, []);
        assert.equal(text, 'Warm, and cold.');
        assert.equal(seen.length, 3);
        const calls = seen[2].flatMap(({ parts }) => parts).filter((part) => part.call);
        assert.deepEqual(calls.map((part) => part.call.args.city), ['Zürich', 'Oslo', 'Oslo']);
        assert.equal(seen[2][0].parts[0].text, ASKED);
        assert.equal(seen[2][1].parts.filter((part) => part.text).map((p) => p.text).join(''),
                     'I ask.');
      });
    }
  }
}

test('it ends cleanly', async () => {
  await weir.stop();
});
