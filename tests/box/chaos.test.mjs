// chaos.test.mjs - many clients that behave in every way at once, in front of providers that do
// too. One seed draws all of it. What must hold: nobody sees a byte of another's answer, what
// is told complete is complete, and when all have gone every pool is full again and every
// request is booked once.
// alone: its provider is late where the machine is
import assert from 'node:assert/strict';
import test from 'node:test';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, seeded, Wire } from './lib/wire.mjs';
import { pause, until, Weir } from './lib/weir.mjs';

const SEED = Number(process.env.WEIR_SEED ?? 20261121);
const SECONDS = Number(process.env.WEIR_CHAOS_S ?? 5);
const CLIENTS = 24;

// What a provider says to a prompt: its first word, again and again, then an end mark.
const words = (prompt) => Array.from({ length: prompt.length % 23 + 2 }, (_, i) =>
  `${prompt.split(' ')[0]}:${i} `);
const answerTo = (prompt) => `${words(prompt).join('')}END`;

// --- providers: the model's name says how it behaves, one in so many times

const chance = seeded(SEED);
const odd = (call) => chance() % 3 === 0 && !call.model.startsWith('good');

async function stream(call, prompt, stopAt = Infinity) {
  await call.begin();
  await call.event(delta({ role: 'assistant', content: '' }));
  const parts = [...words(prompt), 'END'];
  for (const [i, word] of parts.entries()) {
    if (i >= stopAt) return false;
    if (call.socket.destroyed) return false;
    await call.event(delta({ content: word }));
    if (call.model === 'slow') await pause(chance() % 12);
  }
  await call.event(delta({}, 'stop'));
  await call.event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 5,
                                           total_tokens: 8 } });
  await call.event('[DONE]');
  await call.end();
  return true;
}

const behaviours = {
  errors: (call) => call.error([400, 404, 408, 429, 500, 503][chance() % 6], 'chaos', null,
                               { 'retry-after': '0' }),
  resets: async (call, prompt) => {
    if (call.request.json.stream) await stream(call, prompt, chance() % 6);
    call.reset();
  },
  stalls: async (call, prompt) => {
    if (call.request.json.stream) await stream(call, prompt, chance() % 4);
    await call.over;
  },
  cuts: async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 900 });
    await call.write('{"id":');
    call.cut();
  },
};

const far = await provider((call) => {
  const prompt = call.request.json.messages[0].content;
  const behaviour = behaviours[call.model];
  if (behaviour && odd(call)) return behaviour(call, prompt);
  return call.request.json.stream ? stream(call, prompt) : call.json(chat(answerTo(prompt)));
});
const names = ['good', 'slow', ...Object.keys(behaviours)];
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-1', 'sk-2'],
                timeouts: { first_byte: '400ms', stall: '400ms', total: '5s' } }],
  models: [...names, 'good2'].map((name) => ({ id: `far/${name}`,
                                               price: { input: '1', output: '3' } })),
  log: { level: 'warn' },
});

// --- clients

const seen = { good: 0, told: 0, failed: 0, left: 0 };
let serial = 0;

function textOf(answer, streamed) {
  if (!streamed) return answer.json.choices[0].message.content;
  return answer.text.split('\n\n').filter((event) => event.startsWith('data: {'))
    .map((event) => JSON.parse(event.slice(6)).choices?.[0]?.delta?.content ?? '').join('');
}

// An answer may be whole, or may say that it failed; nothing in between, nothing of others.
// True: the connection ends with it.
function judge(answer, prompt, streamed) {
  assert.ok(answer, 'an answer on a connection that was kept');
  if (answer.status !== 200) {
    assert.ok([400, 502, 503, 504].includes(answer.status), String(answer.status));
    assert.equal(typeof answer.json.error.message, 'string');
    seen.failed++;
    return false;
  }
  const text = textOf(answer, streamed);
  const want = answerTo(prompt);
  if (streamed && !/data: \[DONE\]\n\n$/.test(answer.text)) {
    assert.match(answer.text, /data: \{"error":/, 'a broken stream says so');
    assert.ok(want.startsWith(text), `${text} is not the start of ${want}`);
    seen.told++;
    return true;   // Weir closes behind it
  }
  assert.equal(text, want);
  seen.good++;
  return false;
}

function make(next) {
  const pads = next() % (next() % 8 === 0 ? 9000 : 40);
  const prompt = `client${++serial} ${'pad '.repeat(pads)}`;
  const streamed = next() % 2 === 0;
  const body = { model: `far/${names[next() % names.length]}`, stream: streamed,
                 messages: [{ role: 'user', content: prompt }] };
  if (next() % 3 === 0) body.models = ['far/good2'];
  return { prompt, streamed, bytes: post('/v1/chat/completions', weir.key, body) };
}

async function client(n, goesOn) {
  const next = seeded(SEED + n * 7919);
  let wire = await Wire.open(weir.url);
  while (goesOn()) {
    const way = next() % 10;
    const asks = Array.from({ length: way === 0 ? 4 : 1 }, () => make(next));
    const bytes = Buffer.concat(asks.map((ask) => ask.bytes));
    let leaves = way >= 7;
    if (leaves) {
      // It goes: in the middle of its request, at once behind it, or in the answer.
      await wire.send(way === 7 ? bytes.subarray(0, next() % bytes.length) : bytes);
      if (way === 9) await pause(next() % 30);
      seen.left++;
      if (next() % 2) wire.reset();
      else wire.close();
    } else {
      if (way === 1) {   // slowly
        await wire.send(bytes.subarray(0, 40));
        await pause(next() % 20);
        await wire.send(bytes.subarray(40));
      } else {
        await wire.send(bytes);
      }
      for (const ask of asks) {
        const answer = await wire.answer();
        leaves = judge(answer, ask.prompt, ask.streamed) || answer.get('connection') === 'close';
        if (leaves) break;
      }
      if (leaves) wire.close();
    }
    if (leaves) wire = await Wire.open(weir.url);
  }
  wire.close();
}

const gauge = (text, name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);

// A busy machine gets further time to let everything happen.
const enough = () => seen.good > 100 && seen.failed > 10 && seen.told > 5 && seen.left > 50;

test(`${CLIENTS} clients for ${SECONDS} s, seed ${SEED}`, async () => {
  const end = Date.now() + SECONDS * 1000;
  const goesOn = () => Date.now() < end || (!enough() && Date.now() < end + 60000);
  let reloads = 0;
  const operator = (async () => {   // who reloads in the middle of it all
    for (; goesOn(); await pause(150), reloads++) {
      await weir.ask('POST', '/admin/v1/reload');
      weir.signal('SIGHUP');
    }
  })();
  await Promise.all([operator, ...Array.from({ length: CLIENTS }, (_, n) => client(n, goesOn))]);
  assert.ok(reloads > 3);
  console.log(JSON.stringify(seen));
  assert.ok(enough(), `everything happened: ${JSON.stringify(seen)}`);
});

const gauges = ['weir_open_connections', 'weir_open_exchanges', 'weir_open_upstreams',
                'weir_memory_used_bytes', 'weir_receive_buffers_used_count'];

// Wait until nothing is open or held; but for these gauges.
async function settled(which, except = []) {
  let held;
  await until(async () => {
    const text = await which.metrics();
    held = gauges.filter((name) => !except.includes(name) && gauge(text, name) !== 0)
      .map((name) => `${name} ${gauge(text, name)}`);
    return held.length === 0;
  }, 'nothing is open or held', 15000).catch((error) => {
    throw new Error(`${error.message}: ${held.join(', ')}`);
  });
}

test('when all have gone every pool is full again', async () => {
  far.close();
  await settled(weir);
});

test('each request is booked once', async () => {
  const admitted = gauge(await weir.metrics(), 'weir_exchanges_total');
  const rows = await until(async () => {
    const all = await weir.rows();
    return all.length >= admitted && all;
  }, 'all rows');
  assert.equal(rows.length, admitted);
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length);
  const done = rows.filter((row) => row.close === 'done');
  assert.ok(done.length >= seen.good, `${done.length} done, ${seen.good} seen`);
  for (const row of done) {
    const want = BigInt(row.input_tokens) * 1000n + BigInt(row.output_tokens) * 3000n;
    assert.equal(nano(row.cost_usd), want, JSON.stringify(row));
  }
  const [total] = (await weir.ask('GET', '/admin/v1/usage')).data;
  assert.equal(nano(total.cost_usd), rows.reduce((sum, row) => sum + nano(row.cost_usd), 0n));
  await weir.stop();
  assert.match(weir.run.stderr, /^(reloaded\n)*$/);
});

// --- shortage

const plain = await provider((call) => (call.request.json.stream ? pour(call)
                                                                 : call.json(chat('ok'))));

async function pour(call) {
  await call.begin();
  const part = delta({ content: 'x'.repeat(60000) });
  while (!call.socket.destroyed) {
    await Promise.race([call.event(part), call.over]);
    if (call.socket.readableEnded) return;
  }
}

const small = (limits, timeouts = {}) => Weir.start({
  providers: [{ name: 'far', url: plain.url, keys: ['sk'] }],
  models: [{ id: 'far/m', price: { input: '1', output: '1' } }], limits, timeouts });

test('memory runs out: some are told so, nobody is lost, and it comes back', async () => {
  const tight = await small({ memory: '16MiB', body: '8MiB' });
  const body = { model: 'far/m', messages: [{ role: 'user', content: 'y'.repeat(6 << 20) }] };
  const answers = await Promise.all(Array.from({ length: 12 }, () => tight.chat(body)
    .catch((error) => ({ status: error.cause?.code ?? String(error) }))));
  const count = new Map();
  for (const { status } of answers) count.set(status, (count.get(status) ?? 0) + 1);
  assert.ok([...count.keys()].every((status) => [200, 503, 'ECONNRESET', 'EPIPE',
                                                 'UND_ERR_SOCKET'].includes(status)),
            JSON.stringify([...count]));
  for (const { status, json } of answers) {
    if (status === 503) assert.equal(json.error.code, 'overloaded');
  }
  await settled(tight, ['weir_open_connections', 'weir_open_upstreams']);
  assert.equal((await tight.chat(body)).status, 200, 'it comes back');
  await tight.stop();
});

test('fifteen hundred idle connections, and one that works', async () => {
  const wide = await small({});
  const idle = [];
  for (let i = 0; i < 15; i++) {
    idle.push(...await Promise.all(Array.from({ length: 100 }, () => Wire.open(wide.url))));
  }
  await until(async () => gauge(await wide.metrics(), 'weir_open_connections') === 1500, 'all');
  assert.equal((await wide.chat({ model: 'far/m' })).status, 200);
  for (const [i, wire] of idle.entries()) {
    if (i % 2) wire.reset();
    else wire.close();
  }
  await until(async () => gauge(await wide.metrics(), 'weir_open_connections') <= 1, 'none');
  await wide.stop();
});

test('who reads nothing for timeouts.write is let go, and so is the provider', async () => {
  const strict = await small({}, { write: '1s' });
  const wire = await Wire.open(strict.url);
  wire.socket.pause();
  await wire.send(post('/v1/chat/completions', strict.key, {
    model: 'far/m', stream: true, messages: [{ role: 'user', content: 'x' }] }));
  const [row] = await until(async () => {
    const rows = await strict.rows();
    return rows.length && rows;
  }, 'its row');
  assert.equal(row.close, 'client_write_slow');
  assert.equal(row.estimated, true);
  wire.close();
  await settled(strict);
  await strict.stop();
  assert.deepEqual(plain.faults, []);
});
