// translate_asks.test.mjs - recorded requests of real applications, sent to Weir with a provider
// of another dialect behind it: what arrives there passes its maker's rules (strict.mjs) and
// says what was said: system text, texts, images, calls, results, tools. What cannot be said is
// a 400 that names the member. Also: cases that were recorded in several dialects, where what
// Weir writes says what was recorded there.
import assert from 'node:assert/strict';
import test from 'node:test';
import { cassettes, missing } from './lib/cassettes.mjs';
import { DIALECTS, peers, providersOf } from './lib/peers.mjs';
import { readers } from './lib/strict.mjs';
import { KINDS } from './lib/tapes.mjs';
import { Weir } from './lib/weir.mjs';

const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const weir = await Weir.start({
  providers: providersOf(there),
  models: DIALECTS.map((name) => ({ id: `${name}/m`,
    supports: ['tools', 'vision', 'json_schema', 'reasoning'] })),
  unknown_price: 'allow',
});
const tapes = cassettes(...Object.keys(KINDS)).filter(({ request }) =>
  request.body && typeof request.body === 'object' && !Array.isArray(request.body));

const paths = {
  chat: () => '/v1/chat/completions', responses: () => '/v1/responses',
  messages: () => '/v1/messages',
  gemini: (model) => `/v1beta/models/${model}:generateContent`,
};

// The request without what cannot be meant: another model, a stream.
function asked(dialect, body, model) {
  const request = structuredClone(body);
  delete request.model;
  delete request.stream;
  delete request.stream_options;
  if (dialect === 'gemini') return request;
  if (dialect === 'responses') delete request.store;
  if (dialect === 'messages') delete request.anthropic_version;
  return { ...request, model, ...(dialect === 'messages' && !body.max_tokens
    ? { max_tokens: 500 } : {}) };
}

function said({ system, turns, tools }) {
  const text = (parts) => parts.map((part) => part.text ?? '').join('').trim();
  const blanks = (value) => { try { return JSON.stringify(JSON.parse(value)); } catch {
    return value; } };
  return { system: system.join(' ').trim().split(/\s+/).join(' '), tools: tools.map((tool) => tool.name).sort(),
    turns: turns.map(({ role, parts }) => ({ role, text: text(parts),
      images: parts.filter((part) => part.image)
        .map(({ image }) => image.data ?? image.url),
      calls: parts.filter((part) => part.call)
        .map(({ call: { name, args } }) => ({ name, args })),
      results: parts.filter((part) => part.result).map(({ result }) => blanks(result.text)) }))
      .filter((turn) => turn.text || turn.calls.length || turn.results.length ||
                        turn.images.length) };
}

// What may differ: a system prompt alone is what the user says; who knows no schema is told in
// words; Anthropic must be offered the tools that a history speaks of.
function forgiven(got, want, provider) {
  if (want.turns.length === 0 && got.system === '') {
    want.turns = [{ role: 'user', text: got.turns[0].text, images: [], calls: [], results: [] }];
    want.system = '';
  }
  got.system = got.system.replace(/\n*Answer with one JSON value and nothing else.*$/s, '');
  const spoken = want.turns.some((turn) => turn.calls.length);
  if (provider === 'messages' && want.tools.length === 0 && spoken) got.tools = [];
  return [got, want];
}

// A conversation that begins with a call, which Gemini has no place for.
const ODD = ['openai.openai-chat.json.3b91a2257e36', 'openai.openai-chat.json.7678c8cf692b'];

function understood(dialect, body) {
  try { return readers[dialect](body, { lenient: true }); } catch { return null; }
}

async function sent(client, provider, body) {
  there.faults.length = 0;
  const before = there.asked.length;
  const response = await weir.fetch(paths[client](`${provider}/m`), {
    body: asked(client, body, `${provider}/m`) });
  const text = await response.text();
  assert.deepEqual(there.faults, []);
  return { status: response.status, text, ask: there.asked[before] };
}

const part = process.env.WEIR_PAIR, only = process.env.WEIR_TAPE;
const refused = new Map();
for (const [dialect, client] of Object.entries(KINDS)) {
  for (const provider of DIALECTS) {
    if (client === provider || (part && part !== `${client}-${provider}`)) continue;
    test(`${dialect} recorded, for a provider of ${provider}`, { skip: missing }, async () => {
      const wrong = [], seen = new Set();
      for (const tape of tapes) {
        const key = JSON.stringify(tape.request.body);
        if (tape.dialect !== dialect || seen.has(key)) continue;
        if (provider === 'gemini' && ODD.some((name) => tape.file.includes(name))) continue;
        if (only && !tape.file.includes(only)) continue;
        seen.add(key);
        const want = understood(client, tape.request.body);
        if (!want) continue;
        try {
          const { status, text, ask } = await sent(client, provider, tape.request.body);
          if (status === 400 && !ask) {
            const message = JSON.parse(text).error.message;
            refused.set(message, (refused.get(message) ?? 0) + 1);
            assert.match(message, /dialect|not in this release|must|Weir/, tape.file);
            continue;
          }
          assert.equal(status, 200, text.slice(0, 300));
          assert.equal(ask.dialect, provider);
          assert.deepEqual(...forgiven(said(ask.neutral), said(want), provider));
        } catch (error) {
          wrong.push(`${tape.file}: ${error.message.slice(0, Number(process.env.WEIR_LONG ?? 700))}`);
        }
      }
      assert.equal(wrong.length, 0, `${wrong.length} of ${seen.size}:\n${wrong.join('\n')}`);
    });
  }
}

test('what was refused, and why', { skip: missing }, (t) => {
  for (const [message, count] of refused) t.diagnostic(`${count}: ${message}`);
});

test('it ends cleanly', async () => {
  await weir.stop();
});
