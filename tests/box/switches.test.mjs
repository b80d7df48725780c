// switches.test.mjs - a conversation that wanders: each turn another provider, of another dialect,
// between what the user says and in the middle of a loop of tools. Signed thoughts come back to
// who made them, and to nobody else; the rest of the conversation to everybody.
import assert from 'node:assert/strict';
import test from 'node:test';
import { DIALECTS, peers, providersOf } from './lib/peers.mjs';
import { able, Talk } from './lib/talk.mjs';
import { Weir } from './lib/weir.mjs';
import { seeded } from './lib/wire.mjs';

const TURNS = 30;
const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const weir = await Weir.start({
  providers: providersOf(there),
  models: DIALECTS.map((name) => ({ id: `${name}/m`, context: 400000,
    supports: ['tools', 'vision', 'json_schema', 'reasoning'] })),
  unknown_price: 'allow',
});
const can = await able(weir, there);
const tools = ['read_file', 'write_file'].map((name) => ({ name, description: `Does ${name}.`,
  schema: { type: 'object', properties: { path: { type: 'string' } } } }));

function answerOf(provider, next, turn, calls) {
  const letters = (n) => Array.from({ length: n }, () => 'abcdefghijkmnpqrstuvwxyz'[next() % 24])
    .join('');
  const signs = ['messages', 'responses'].includes(provider);
  const parts = [{ thought: `Thought ${turn} of ${provider} ☂`,
                   ...(signs ? { sign: `Er${letters(118)}` } : {}) }];
  if (next() % 2 || !calls) parts.push({ text: `Said ${turn}.` });
  for (let i = 0; i < calls; i++) {
    parts.push({ call: { id: `${provider === 'messages' ? 'toolu_' : 'call_'}${letters(18)}`,
                         name: tools[next() % 2].name, args: { path: `${turn}/${i}` } },
                 ...(provider === 'gemini' && i === 0 ? { sign: `Cg${letters(62)}` } : {}) });
  }
  return { parts, usage: { output: 40, reasoning: 0 } };
}

for (const client of DIALECTS) {
  for (const [kind, when] of [['between turns', (open) => open === 0],
                              ['anywhere', () => true]]) {
    const skip = !DIALECTS.every((provider) => can.has(`${client}-${provider}`));
    test(`${client}: providers change ${kind}`, { skip }, async () => {
      const next = seeded(DIALECTS.indexOf(client) * 77 + kind.length * 5 + 1);
      const talk = new Talk({ weir, there, client, provider: 'chat', tools, effort: 'medium',
                              max: 9000, system: 'Go on.' });
      const met = new Set();
      let open = 0;
      for (let turn = 0; turn < TURNS; turn++) {
        if (when(open)) talk.turnTo(DIALECTS[next() % 4]);
        met.add(talk.provider);
        const calls = turn % 4 === 3 || turn === TURNS - 1 ? 0 : 1 + next() % 2;
        const scripted = answerOf(talk.provider, next, turn, calls);
        const how = { stream: next() % 2 === 0 };
        try {
          if (open) {
            await talk.results(Array.from({ length: open }, (_, i) => `${turn} ${i}`), scripted,
                               how);
          } else await talk.say(`User ${turn}`, scripted, how);
        } catch (error) {
          error.message = `turn ${turn} at ${talk.provider}: ${error.message}`;
          throw error;
        }
        open = calls;
      }
      assert.ok(met.size >= 2);
    });
  }
}

test('it ends cleanly', async () => {
  await weir.stop();
});
