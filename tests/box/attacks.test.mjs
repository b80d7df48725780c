// attacks.test.mjs - what a review of the engine found, each as a client or a provider would do
// it: none may crash the process, harm others, cost memory without bound or be billed.
import test from 'node:test';
import assert from 'node:assert/strict';
import net from 'node:net';
import { Weir, pause, until } from './lib/weir.mjs';
import { provider, delta } from './lib/provider.mjs';

const price = { input: '1', output: '2' };
const good = { choices: [{ message: { content: 'x' }, finish_reason: 'stop' }],
               usage: { prompt_tokens: 1, completion_tokens: 1 } };
const body = (more) => ({ model: 'a/m', messages: [{ role: 'user', content: 'hi' }], ...more });

/** Run fn with a Weir of one core before one scripted provider; both end with it. */
async function before(handler, fn, { prov = {}, extra = {}, more = [] } = {}) {
  const far = await provider(handler);
  const weir = await Weir.start({
    cores: 1,
    providers: [{ name: 'a', dialect: 'openai', url: far.url, keys: ['sk-a'], ...prov },
                ...more.map((m) => m.provider)],
    models: [{ id: 'a/m', price }, ...more.map((m) => m.model)], ...extra });
  try {
    await fn(weir, far);
    assert.equal(weir.run.signal ?? weir.run.status ?? 'alive', 'alive');
  } finally {
    await weir.stop();
  }
}

function post(weir, json, version = '1.1') {
  const text = JSON.stringify(json);
  const socket = net.connect(new URL(weir.url).port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(`POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\n` +
               `authorization: Bearer ${weir.key}\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
  return socket;
}

const used = async (weir) =>
  Number(/^weir_memory_used_bytes (\d+)/m.exec(await weir.metrics())[1]);

test('a provider head of almost 64 KiB leaves no room for our fields: 502, no crash', async () => {
  const pad = Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => [`x-pad-${i}`, 'a'.repeat(8160)]));
  await before(async (call) => {
    if (call.request.json.stream) {
      await call.begin(pad);
      await call.event(delta({ content: 'x' }));
    } else {
      await call.head(200, { 'content-type': 'text/html', 'content-length': 100, ...pad });
      await call.write('x'.repeat(100));
    }
  }, async (weir) => {
    for (const stream of [true, false]) {
      const answer = await weir.chat(body({ stream }));
      assert.equal(answer.status, 502, answer.text);
    }
  });
});

test('a large whole answer to a client that does not read holds little memory', async () => {
  const piece = Buffer.alloc(1 << 20, 97);
  await before(async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 40 << 20 });
    await call.write('{"data":"');
    for (let i = 0; i < 39; i++) await call.write(piece);
  }, async (weir) => {
    const sockets = [post(weir, body()), post(weir, body())];
    for (const socket of sockets) socket.pause();
    for (let i = 0; i < 5; i++) {
      await pause(200);
      assert.ok(await used(weir) < 8 << 20, String(await used(weir)));
    }
    for (const socket of sockets) socket.destroy();
    await until(async () => await used(weir) === 0, 'everything given back');
  });
});

test("a client's own timeout does not open a breaker for others", async () => {
  await before(async (call) => { await pause(30); await call.json(good); }, async (weir) => {
    for (let i = 0; i < 8; i++) {
      const late = await weir.chat(body(), { headers: { 'x-weir-timeout': '0.001' } });
      assert.equal(late.status, 504);
    }
    assert.equal((await weir.chat(body())).status, 200);
  });
});

test("a provider's total ends its attempt, not the request", async () => {
  const second = await provider(async (call) => call.json(good));
  await before(() => new Promise(() => {}), async (weir) => {
    const answer = await weir.chat(body({ models: ['b/m'] }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.header('x-weir-model'), 'b/m');
  }, { prov: { timeouts: { total: '1s' } },
       more: [{ provider: { name: 'b', dialect: 'openai', url: second.url, keys: ['sk-b'] },
                model: { id: 'b/m', price } }] });
});

test('an answer nobody asked for on a pooled connection goes to nobody', async () => {
  const stray = JSON.stringify({ ...good, id: 'stray' });
  await before(async (call) => {
    if (call.n > 0) return call.json(good);
    const head = 'HTTP/1.1 429 No\r\ncontent-type: application/json\r\n' +
                 'content-length: 00000\r\n\r\n';
    const n = 16384 - head.length;               // the 429 fills one receive buffer exactly
    return call.write(head.replace('00000', String(n)) + ' '.repeat(n) +
                      'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n' +
                      `content-length: ${stray.length}\r\n\r\n${stray}`);
  }, async (weir, far) => {
    const answer = await weir.chat(body());
    assert.equal(answer.status, 200, answer.text);
    assert.ok(!answer.text.includes('stray'));
    assert.equal(far.requests.length, 2);
  }, { prov: { keys: ['sk-a', 'sk-b'] } });
});

test('HTTP/1.0: a client that leaves a stream cancels the provider', async () => {
  let gone = false;
  await before(async (call) => {
    for (const event of ['end', 'close', 'error']) call.socket.on(event, () => { gone = true; });
    await call.begin();
    await call.event(delta({ content: 'x' }));
    await new Promise(() => {});
  }, async (weir) => {
    const socket = post(weir, body({ stream: true }), '1.0');
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    await until(() => gone, 'the provider sees the end');
  });
});

test('a client that leaves during a refusal is charged nothing', async () => {
  await before(async (call) => {
    await call.head(500, { 'content-type': 'application/json', 'content-length': 1000 });
    await call.write('{"error":');
    await new Promise(() => {});
  }, async (weir, far) => {
    const socket = post(weir, body({ messages: [{ role: 'user', content: 'y'.repeat(9000) }] }));
    await until(() => far.requests.length === 1, 'asked');
    await pause(50);
    socket.destroy();
    await until(async () => (await weir.rows()).length === 1, 'the row');
    const [row] = await weir.rows();
    assert.equal(row.close, 'client_gone');
    assert.equal(row.cost_usd, '0');
    assert.equal(row.input_tokens, 0);
  });
});

test('the 65th listener of /admin/v1/events is refused and its connection stays sound', async () => {
  await before(async (call) => call.json(good), async (weir) => {
    const sockets = [];
    const open = () => new Promise((resolve) => {
      const socket = net.connect(new URL(weir.admin).port, '127.0.0.1');
      sockets.push(socket);
      socket.on('error', () => {});
      socket.write('GET /admin/v1/events HTTP/1.1\r\nhost: x\r\n' +
                   `authorization: Bearer ${weir.token}\r\n\r\n`);
      socket.once('data', (data) => resolve([socket, data.toString()]));
    });
    for (let i = 0; i < 64; i++) assert.match((await open())[1], /^HTTP\/1.1 200 /);
    const [socket, refusal] = await open();
    assert.match(refusal, /^HTTP\/1.1 503 /);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    let text = '';
    socket.on('data', (data) => { text += data; });
    await closed;
    assert.match(text, /^HTTP\/1.1 200 /);
    for (const one of sockets) one.destroy();
  });
});

test('a 200 that is a page of HTML is no answer: the next candidate is asked', async () => {
  const second = await provider(async (call) => call.json(good));
  await before(async (call) => {
    await call.head(200, { 'content-type': 'text/html', 'content-length': 16 });
    await call.write('<p>Sign in first');
  }, async (weir) => {
    const alone = await weir.chat(body());
    assert.equal(alone.status, 502, alone.text);
    assert.match(alone.json.error.message, /a\/m: answer is not JSON/);
    const answer = await weir.chat(body({ models: ['b/m'] }));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.header('x-weir-attempts'), '2');
  }, { more: [{ provider: { name: 'b', dialect: 'openai', url: second.url, keys: ['sk-b'] },
                model: { id: 'b/m', price } }] });
});

test('a second SIGTERM ends a stream with an error event, a row and a line', async () => {
  const far = await provider(async (call) => {
    await call.begin();
    await call.event(delta({ content: 'x' }));
    await new Promise(() => {});
  });
  const weir = await Weir.start({
    cores: 1, drain: '60s', providers: [{ name: 'a', dialect: 'openai', url: far.url }],
    models: [{ id: 'a/m', price }] });
  const socket = post(weir, body({ stream: true }));
  let text = '';
  socket.on('data', (data) => { text += data; });
  await until(() => text.includes('"x"'), 'content');
  weir.signal('SIGTERM');
  await pause(100);
  weir.signal('SIGTERM');
  await until(() => weir.run.status !== null || weir.run.signal, 'it ends');
  assert.equal(weir.run.status, 0, weir.run.stderr);
  assert.match(text, /data: \{"error":.*told to end at once/);
  assert.ok(!text.includes('[DONE]'));
  assert.match(weir.run.stdout, / killed key=/);
});

test('retry-after of a cooling provider is true', async () => {
  await before(async (call) => {
    await call.json({ error: { message: 'slow down' } },
                    { status: 429, fields: { 'retry-after': '30' } });
  }, async (weir) => {
    assert.equal((await weir.chat(body())).status, 502);
    const cooling = await weir.chat(body());
    assert.equal(cooling.status, 503, cooling.text);
    const seconds = Number(cooling.header('retry-after'));
    assert.ok(seconds > 20 && seconds <= 30, String(seconds));
  });
});

test("members of OpenRouter's provider that nobody reads are refused by name", async () => {
  await before(async (call) => call.json(good), async (weir) => {
    for (const [member, value] of [['require_parameters', true], ['quantizations', ['fp8']]]) {
      const answer = await weir.chat(body({ provider: { [member]: value } }));
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.json.error.message, new RegExp(`${member}.*not in this release`));
    }
    assert.equal((await weir.chat(body({ provider: { only: ['a'] } }))).status, 200);
  });
});

test('SIGTERM ends it though nobody reads its output', async () => {
  await before(async (call) => call.json(good), async (weir) => {
    weir.run.child?.stdout?.pause?.();
    const socket = net.connect(new URL(weir.url).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    for (let i = 0; i < 20; i++) {
      socket.write('GET /nope HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(200));
      await pause(20);
    }
    socket.destroy();
  });                                            // before() ends it with SIGTERM
});
