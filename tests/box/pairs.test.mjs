// pairs.test.mjs - the sixteen pairs: the official SDKs of OpenAI (chat and Responses), Anthropic
// and Google in front of Weir, providers of each dialect behind it, who refuse what their makers
// refuse. Streamed and whole; what a client says and is told must be what its provider hears
// and says.
// timeout: 300
import assert from 'node:assert/strict';
import test from 'node:test';
import { clients } from './lib/clients.mjs';
import { DIALECTS, peers, providersOf } from './lib/peers.mjs';
import { able, last, Talk } from './lib/talk.mjs';
import { pause, until, Weir } from './lib/weir.mjs';
import { seeded } from './lib/wire.mjs';

// Dollars per million tokens, of each kind another.
const price = { input: '1', cached: '0.1', cache_write: '1.25', cache_write_1h: '2',
                output: '5' };
const supports = ['tools', 'vision', 'json_schema', 'reasoning'];
const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const timeouts = { first_byte: '3s', stall: '3s' };
// What fails rests for a while: each test of failures has providers of its own.
const failing = DIALECTS.flatMap((client) => ['whole', 'stream'].flatMap((how) =>
  providersOf(there, { timeouts }).map((it) => ({ ...it, name: `${client}-${it.name}-${how}` }))));
const weir = await Weir.start({
  providers: [...providersOf(there, { timeouts }), ...failing],
  models: [...DIALECTS.map((name) => ({ id: `${name}/m`, price, supports, context: 200000 })),
           ...failing.flatMap(({ name }) => ['n', 'o', 'p', 'error', 'reset', 'end'].map((id) =>
             ({ id: `${name}/${id}`, price, supports })))],
});

const rnd = seeded(7);
const id = (prefix, n = 24) => prefix + Array.from({ length: n }, () =>
  'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'[rnd() % 62]).join('');
const callId = (provider) => id({ chat: 'call_', responses: 'call_', messages: 'toolu_01',
                                  gemini: 'g' }[provider]);
const sign = (n = 120) => `${id('Er', n - (n % 4) - 2)}`;
const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA' +
            'AABJRU5ErkJggg==';
const pdf = Buffer.from('%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF').toString('base64');
const odd = 'Zürich ☂ 🚀 "quoted" \\ back / slash\n\ttab \u2028 é\u0301 </script> end';

const tools = [
  { name: 'read_file', description: 'Reads a file.', schema: { type: 'object',
    properties: { path: { type: 'string', description: 'where "it" is' },
                  lines: { type: ['integer', 'null'] } }, required: ['path'],
    additionalProperties: false } },
  { name: 'write-file', description: 'Writes.', schema: { type: 'object', properties: {
    path: { type: 'string' }, text: { type: 'string' },
    mode: { anyOf: [{ type: 'string', enum: ['a', 'w'] }, { type: 'null' }] } } } },
  { name: 'now', description: 'The time, "now".' },
];

// The provider's thoughts in its own form, before text or calls.
function thinking(provider, text) {
  if (provider === 'chat' || provider === 'gemini') return [{ thought: text }];
  return [{ thought: text, sign: sign() }];
}
const call = (provider, name, args, more = {}) =>
  ({ call: { id: callId(provider), name, args }, ...more });

const can = await able(weir, there);
const only = process.env.WEIR_PAIR;
const each = (name, run, hows = ['whole', 'stream']) => {
  for (const client of DIALECTS) {
    for (const provider of DIALECTS) {
      if (only && only !== `${client}-${provider}`) continue;
      for (const how of hows) {
        const skip = !can.has(`${client}-${provider}`);
        test(`${client} in front of ${provider}, ${how}: ${name}`, { skip }, () =>
          run({ client, provider, stream: how === 'stream', weir, there }));
      }
    }
  }
};

const dollars = (nano) => (nano / 1e9).toFixed(9).replace(/\.?0+$/, '');

each('text, system, usage and cost', async ({ stream, ...pair }) => {
  const write = pair.provider === 'messages' ? 11 : 0;
  const usage = { input: 71, cached: 23, write, output: 37, reasoning: 0 };
  const talk = new Talk({ ...pair, system: `You are "terse".\n${odd}`, max: 500 });
  for (const [i, text] of ['Hi.', odd, 'x'.repeat(9000) + odd].entries()) {
    const { headers, asked, answer } = await talk.say(`${odd} ${i}`, {
      parts: [{ text }], usage, cuts: i ? rnd : null, most: 30 }, { stream });
    assert.equal(asked.neutral.max, 500);
    assert.equal(asked.neutral.stream, stream);
    assert.equal(headers.get('x-weir-model'), `${pair.provider}/m`);
    assert.ok(headers.get('content-type').startsWith(stream ? 'text/event-stream'
                                                            : 'application/json'));
    const row = await weir.row(headers.get('x-request-id'));
    assert.deepEqual([row.input_tokens, row.cached_tokens, row.cache_write_tokens,
                      row.output_tokens, row.cost_usd, row.estimated, row.close],
                     [71, 23, write, 37, dollars(71 * 1000 + 23 * 100 + write * 1250 + 37 * 5000),
                      false, 'done']);
    if (!stream) assert.equal(headers.get('x-weir-cost-usd'), row.cost_usd);
    assert.ok(answer.raw);
  }
});

each('the cost in usage, where it is asked for', async ({ stream, client, provider }) => {
  if (client !== 'chat') return;        // the member is OpenRouter's, whose dialect is chat
  const talk = new Talk({ weir, there, client, provider, max: 500 });
  const { answer, headers } = await talk.say('hi', { parts: [{ text: 'ho' }] },
                                    { stream, usage: { include: true } });
  const row = await weir.row(headers.get('x-request-id'));
  assert.equal(typeof answer.cost, 'number');
  assert.equal(dollars(answer.cost * 1e9), row.cost_usd);
});

each('tools, several turns, parallel calls', async ({ stream, ...pair }) => {
  const { provider } = pair;
  const talk = new Talk({ ...pair, system: 'Use tools.', tools, max: 4000 });
  const { asked } = await talk.say('Read a and b.', { parts: [
    { text: 'I look.' },
    call(provider, 'read_file', { path: 'a/"b"\\c.txt', lines: 3, odd }),
    call(provider, 'read_file', { path: 'b', lines: null }),
    call(provider, 'now', {})] }, { stream });
  assert.deepEqual(asked.neutral.tools.map((tool) => [tool.name, tool.description]),
                   tools.map((tool) => [tool.name, tool.description]));
  asked.neutral.tools.forEach((tool, i) => {
    if (tools[i].schema) assert.deepEqual(tool.schema, tools[i].schema);
  });
  await talk.results([odd, '', '{"hour":12}'], { parts: [
    call(provider, 'write-file', { path: 'c', text: odd, deep: { list: [1, 2.5, -3e7, true,
      null, { x: [] }] } })] }, { stream });
  await talk.results(['done'], { parts: [{ text: 'All is written.' }] }, { stream });
  await talk.say('Again.', { parts: [call(provider, 'now', {})] }, { stream: !stream });
  await talk.results(['late'], { parts: [{ text: 'It is late.' }] }, { stream });
});

each('thoughts, and their signatures come back', async ({ stream, ...pair }) => {
  const { provider } = pair;
  const talk = new Talk({ ...pair, tools, effort: 'medium', max: 8000 });
  const signed = () => (provider === 'gemini' ? { sign: sign() } : {});
  const { asked } = await talk.say('Think.', { parts: [
    ...thinking(provider, `Hm. ${odd}`), { text: 'Let me see.' },
    call(provider, 'read_file', { path: 'a' }, signed()),
    call(provider, 'read_file', { path: 'b' })], usage: { reasoning: 12 } }, { stream });
  if (provider === 'messages' || provider === 'gemini') assert.ok(asked.neutral.thinking);
  // of chat providers, who refuse an effort as often as not, only those known to take one are told
  else if (provider === 'responses' || pair.client === 'chat') assert.ok(asked.neutral.effort);
  await talk.results(['A', 'B'], { parts: [...thinking(provider, 'So.'),
    call(provider, 'now', {}, signed())] }, { stream });
  await talk.results(['12'], { parts: [...thinking(provider, 'Twelve.'),
                                       { text: 'It is 12.' }] }, { stream });
  if (provider === 'messages') {
    await talk.say('More.', { parts: [{ thought: '', sign: sign() },
      ...thinking(provider, 'Redacted before.'), call(provider, 'now', {})] }, { stream });
    await talk.results(['13'], { parts: [{ text: 'One.' }] }, { stream });
  }
  await talk.say('Thanks.', { parts: [{ text: 'No matter.' }] }, { stream });
});

each('images and documents', async ({ stream, ...pair }) => {
  const talk = new Talk({ ...pair, max: 500 });
  const url = 'https://example.com/a/picture.png?x=1&y=%20';
  await talk.say([{ text: 'What is this?' }, { image: { mime: 'image/png', data: png } },
                  { text: 'And this?' }], { parts: [{ text: 'A dot.' }] }, { stream });
  const mime = [pair.client, pair.provider].includes('gemini') ? { mime: 'image/png' } : {};
  const talk2 = new Talk({ ...pair, max: 500 });
  talk2.session.user([{ text: 'See.' }, { image: { url, mime: 'image/png' } }]);
  talk2.push('user', [{ text: 'See.' }, { image: { url, ...(pair.provider === 'gemini' ? mime
    : {}) } }]);
  await talk2.exchange({ parts: [{ text: 'A far one.' }] }, { stream });
  const talk3 = new Talk({ ...pair, max: 500 });
  talk3.session.user([{ document: { mime: 'application/pdf', data: pdf, name: 'a.pdf' } },
                      { text: 'Sum up.' }]);
  talk3.heard = ({ neutral }) => {
    const [{ document }, { text }] = neutral.turns[0].parts;
    assert.equal(document.data, pdf);
    assert.equal(document.mime, 'application/pdf');
    assert.equal(text, 'Sum up.');
  };
  await talk3.exchange({ parts: [{ text: 'Nothing.' }] }, { stream });
}, ['whole']);

each('structured output', async ({ stream, ...pair }) => {
  const schema = { type: 'object', properties: { city: { type: 'string' },
    n: { anyOf: [{ type: 'integer' }, { type: 'null' }] } }, required: ['city', 'n'],
    additionalProperties: false };
  const talk = new Talk({ ...pair, schema, max: 500 });
  const text = JSON.stringify({ city: odd, n: null });
  const { asked, answer } = await talk.say('Where?', { parts: [{ text }] }, { stream });
  assert.equal(asked.neutral.json, true);
  assert.deepEqual(asked.neutral.schema, schema);
  assert.deepEqual(JSON.parse(answer.text), JSON.parse(text));
});

each('settings', async ({ stream, client, provider, ...pair }) => {
  const cases = [
    [{ temperature: 0.25, max: 99 }, (n) => { assert.deepEqual([n.temperature, n.max],
                                                               [0.25, 99]); }],
    [{ topP: 0.5 }, (n) => assert.equal(n.topP, 0.5)],
    [{ tools, choice: 'any' }, (n) => assert.equal(n.choice, 'any')],
    [{ tools, choice: 'none' }, (n) => assert.ok(n.choice === 'none' || n.tools.length === 0)],
    [{ tools, choice: 'auto' }, (n) => assert.ok([undefined, 'auto'].includes(n.choice))],
    [{ tools, choice: { name: 'now' } }, (n) => assert.deepEqual(n.choice, { name: 'now' })],
  ];
  if (client !== 'responses' && provider !== 'responses') {
    cases.push([{ stop: ['END', '\n\nHuman:'] }, (n) => assert.deepEqual(n.stop,
                                                            ['END', '\n\nHuman:'])]);
  }
  if (client !== 'gemini' && provider !== 'gemini') {
    cases.push([{ tools, parallel: false }, (n) => assert.equal(n.parallel, false)]);
  }
  for (const [options, judge] of cases) {
    const talk = new Talk({ ...pair, client, provider, max: 500, ...options });
    const { asked } = await talk.say('x', { parts: [{ text: 'y' }] }, { stream });
    judge(asked.neutral);
  }
}, ['whole']);

each('stop reasons', async ({ stream, ...pair }) => {
  for (const finish of ['stop', 'length', 'filter']) {
    const talk = new Talk({ ...pair, max: 500 });
    if (finish === 'filter' && pair.provider === 'messages') {
      const { answer } = await talk.say('x', { parts: [{ text: 'Half a' }],
                                               finish: 'filter' }, { stream });
      assert.match(answer.finish, /filter|stop/);
      continue;
    }
    await talk.say('x', { parts: [{ text: 'Half a' }], finish }, { stream });
  }
});

each('an empty answer', async ({ stream, ...pair }) => {
  const talk = new Talk({ ...pair, max: 500 });
  await talk.say('x', { parts: [] }, { stream });
  if (pair.client === pair.provider) return;    // what it makes of it is its own affair
  await talk.say('and?', { parts: [{ text: 'now' }] }, { stream });
});

// The provider's own count where it has one, else Weir's estimate, which says so.
each('tokens are counted', async ({ client, provider }) => {
  if (client === 'chat') return;       // has no such call
  const session = new clients[client]({ url: weir.url, key: weir.key, model: `${provider}/m`,
    ...(client === 'gemini' ? {} : { system: 'You count.', tools }) });
  there.script = () => ({ count: 4711 });
  there.faults.length = 0;
  last.headers = null;
  const count = await session.user(`${odd} `.repeat(40)).count();
  assert.deepEqual(there.faults, []);
  const estimated = last.headers?.get('x-weir-estimated');
  if (estimated) assert.ok(count > 300 && count < 4000, `${count}`);
  else assert.equal(count, 4711);
  const own = client === provider || !['chat', 'responses'].includes(client) &&
              !['chat', 'responses'].includes(provider);
  if (own && client !== 'responses') assert.equal(estimated ?? null, null);
}, ['whole']);

// Ask, and give what the SDK threw.
async function failed(talk, scripted, stream) {
  talk.session.user('x');
  there.script = () => scripted;
  there.faults.length = 0;
  try {
    await talk.session.ask({ stream });
  } catch (error) {
    return { error, message: clients[talk.client].message(error) };
  }
  return assert.fail('it did not throw');
}

each('refusals and failures before the answer', async ({ stream, client, ...pair }) => {
  const how = stream ? 'stream' : 'whole';
  const model = (n) => ({ model: `${client}-${pair.provider}-${how}/${n}` });
  const bad = await failed(new Talk({ ...pair, client, ...model('n') }),
                           { status: 400, error: 'the moon is "full"' }, stream);
  assert.equal(bad.error.status, 400);
  assert.match(bad.message, /the moon is "full"/);
  for (const [status, want] of [[500, [502]], [429, [429, 502, 503]]]) {
    const { error, message } = await failed(
      new Talk({ ...pair, client, ...model(status === 429 ? 'o' : 'p') }),
      { status, error: 'no', headers: { 'retry-after': '1' } }, stream);
    assert.ok(want.includes(error.status), `${status} became ${error.status}`);
    assert.match(message, /status (429|500)|rate|429/);
  }
});

each('what breaks in mid-stream', async ({ client, ...pair }) => {
  const scripted = { parts: [{ text: 'Water runs over the weir and on. '.repeat(9) }] };
  for (const how of ['error', 'reset', 'end']) {
    const model = `${client}-${pair.provider}-stream/${how}`;
    const { error } = await failed(new Talk({ ...pair, client, model, max: 500 }),
                                   { ...scripted, breaks: 12, how }, true);
    assert.ok(error, how);
    await pause(30);          // Weir closes what broke: nobody may find it still open
  }
}, ['stream']);

each('an abort in mid-stream', async ({ client, ...pair }) => {
  const talk = new Talk({ ...pair, client, max: 500 });
  const stop = new AbortController(), gone = there.gone;
  there.script = () => ({ parts: [{ text: 'Water runs on. '.repeat(400) }], pace: 3 });
  talk.session.user('x');
  last.headers = null;
  until(() => last.headers, 'an answer begins').then(() => setTimeout(() => stop.abort(), 40));
  await assert.rejects(talk.session.ask({ stream: true, signal: stop.signal }), /abort/i);
  await until(() => there.gone > gone, 'the provider is left too');
  const row = await weir.row(last.headers.get('x-request-id'));
  assert.notEqual(row.close, 'done');
  assert.ok(Number(row.cost_usd) > 0);
}, ['stream']);

test('it ends cleanly', async () => {
  await weir.stop();
});
