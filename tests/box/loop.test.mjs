// loop.test.mjs - an agent's day: fifty turns with tools, thoughts and parallel calls, streamed
// and not by turns, by every official SDK in front of every dialect. The provider checks all of
// the history each time, by its maker's rules (strict.mjs) and against the script (talk.mjs).
// timeout: 300
import test from 'node:test';
import { DIALECTS, peers, providersOf } from './lib/peers.mjs';
import { able, Talk } from './lib/talk.mjs';
import { Weir } from './lib/weir.mjs';
import { seeded } from './lib/wire.mjs';

const TURNS = Number(process.env.WEIR_TURNS ?? 50);
const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const weir = await Weir.start({
  providers: providersOf(there),
  models: DIALECTS.map((name) => ({ id: `${name}/m`, context: 400000,
    supports: ['tools', 'vision', 'json_schema', 'reasoning'] })),
  unknown_price: 'allow',
});

const tools = ['read_file', 'write_file', 'run-command', 'listDir'].map((name, i) => ({
  name, description: `Does ${name}.`, schema: { type: 'object', properties: {
    path: { type: 'string' }, ...(i ? { text: { type: 'string' } } : {}) } } }));
const bits = ['plain words ', 'Zürich ☂ ', '🚀🚀', '"quotes" \\ ', '\n\n\t', '</think> ', '{"a":[1]} ',
              'data: [DONE] ', '\u2028\u0000'.slice(0, 1), 'x'.repeat(80)];

class Script {
  constructor(seed, provider) {
    this.next = seeded(seed);
    this.provider = provider;
    this.count = 0;
  }

  one(n) { return this.next() % n; }

  text(most) {
    const words = Array.from({ length: 1 + this.one(most) }, () => bits[this.one(bits.length)]);
    return `w${words.join('')}.`;     // never blank at an end, which Anthropic refuses
  }

  letters(n) {
    return Array.from({ length: n }, () => 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'[
      this.one(56)]).join('');
  }

  thoughts() {
    if (this.one(3) === 0) return [];
    const text = this.text(9), signs = ['responses', 'messages'].includes(this.provider);
    return [{ thought: text, ...(signs ? { sign: this.letters(200) } : {}) }];
  }

  // What the model says next: { answer, calls }.
  answer(first, last) {
    const calls = last ? 0 : 1 + this.one(4);
    // Anthropic's turns begin with thoughts while thinking is on.
    const parts = this.provider === 'messages' && first
      ? [{ thought: this.text(5), sign: this.letters(120) }] : this.thoughts();
    if (calls === 0 || this.one(2)) parts.push({ text: this.text(6) });
    for (let i = 0; i < calls; i++) {
      const tool = tools[this.one(tools.length)];
      const prefix = { messages: 'toolu_', gemini: 'g' }[this.provider] ?? 'call_';
      const own = this.provider === 'gemini' && this.count % 3 === 0 ? { own: true } : {};
      parts.push({ call: { id: prefix + this.letters(20), name: tool.name, ...own,
                           args: { path: this.text(3), n: this.one(9) - 4, deep: [{ x: null }] } },
                   ...(this.provider === 'gemini' && i === 0 ? { sign: this.letters(64) } : {}) });
    }
    this.count++;
    return { parts, calls, cuts: this.next, most: 60,
             usage: { input: 10 + this.one(900), cached: this.one(500), output: 50 + this.one(50),
                      reasoning: this.one(40) } };
  }
}

const can = await able(weir, there);
for (const client of DIALECTS) {
  for (const provider of DIALECTS) {
    const skip = !can.has(`${client}-${provider}`);
    test(`${client} in front of ${provider}: ${TURNS} turns`, { skip }, async () => {
      const script = new Script(DIALECTS.indexOf(client) * 16 + DIALECTS.indexOf(provider) + 3,
                                provider);
      const talk = new Talk({ weir, there, client, provider, tools, effort: 'medium', max: 9000,
                              system: 'You are an agent.' });
      let open = 0;
      for (let turn = 0; turn < TURNS; turn++) {
        const answer = script.answer(open === 0, turn % 9 === 8 || turn === TURNS - 1);
        const how = { stream: script.one(3) > 0 };
        try {
          if (open) {
            await talk.results(Array.from({ length: open }, (_, i) =>
              (i === 0 && turn === 4 ? 'y'.repeat(30000) : script.text(20))), answer, how);
          } else await talk.say(script.text(9), answer, how);
        } catch (error) {
          error.message = `turn ${turn}, ${how.stream ? 'streamed' : 'whole'}: ${error.message}`;
          throw error;
        }
        open = answer.calls;
      }
    });
  }
}

test('it ends cleanly', async () => {
  await weir.stop();
});
