// edge.test.mjs - the way to Weir: the PROXY protocol and X-Forwarded-For of trusted proxies and
// of nobody else, unix sockets, pages of other origins. Who asked is read from the access log.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { Readable } from 'node:stream';
import test from 'node:test';
import OpenAI, { AuthenticationError } from 'openai';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { command, directory, until, Weir, whole } from './lib/weir.mjs';

const chatPath = '/v1/chat/completions';
const page = 'https://app.example.com';
const far = await provider(async (call) => {
  if (call.model === 'fails') return call.error(500);
  if (call.model === 'streams') {
    await call.begin();
    await call.event(delta({ content: 'hello' }));
    await call.event(delta({}, 'stop'));
    return call.event('[DONE]');
  }
  const body = JSON.stringify(chat('ok'));
  return call.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n' +
    'Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n' +
    `X-Theirs: yes\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
});
const base = {
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: ['m', 'fails', 'streams'].map((id) =>
    ({ id: `far/${id}`, price: { input: '1', output: '1' } })),
};
const body = { model: 'far/m', messages: [{ role: 'user', content: 'x' }] };
const ask = (weir, fields = []) => post(chatPath, weir.key, body, fields);

// Who asked, says the log line of this answer.
async function client(weir, answer) {
  const id = answer.get ? answer.get('x-request-id') : answer.headers.get('x-request-id');
  assert.ok(id);
  return (await until(() => new RegExp(` ${id} .* client=(\\S+)$`, 'm').exec(weir.run.stdout),
                      `the line of ${id}`))[1];
}

// Send bytes from an address of this machine; gives the first answer.
async function from(weir, address, ...bytes) {
  const wire = await Wire.open(weir.url, address);
  for (const part of bytes) await wire.send(part);
  const answer = await wire.answer();
  wire.close();
  return answer;
}

async function reload(weir, config) {
  const before = weir.run.stderr.length;
  weir.config({ ...base, ...config });
  weir.signal('SIGHUP');
  await until(() => /^reloaded$/m.test(weir.run.stderr.slice(before)), 'the reload');
}

// --- proxies

const v2 = (command, family, addresses, extra = '') => {
  const block = Buffer.concat([Buffer.from(addresses), Buffer.from(extra, 'latin1')]);
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n\0\0\0\0', 'latin1');
  head.writeUInt8(command, 12);
  head.writeUInt8(family, 13);
  head.writeUInt16BE(block.length, 14);
  return Buffer.concat([head, block]);
};
const v4 = [192, 0, 2, 9, 10, 0, 0, 1, 1, 2, 1, 187];
const trusting = await Weir.start({ ...base, trusted_proxies: ['127.0.0.2', '10.0.0.0/8'] });

for (const [name, header, who] of [
  ['v1, IPv4', 'PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n', '203.0.113.7'],
  ['v1, IPv6', 'PROXY TCP6 2001:db8::7 ::1 1 2\r\n', '2001:db8::7'],
  ['v1, unknown', 'PROXY UNKNOWN\r\n', '127.0.0.2'],
  ['v2, IPv4 and a field', v2(0x21, 0x11, v4, '\x04\0\x02ab'), '192.0.2.9'],
  ['v2, local', v2(0x20, 0x11, v4), '127.0.0.2'],
  ['v2, unix', v2(0x21, 0x31, new Array(216).fill(0)), 'unix'],
  ['none', '', '127.0.0.2'],
]) {
  test(`PROXY ${name}: from a trusted proxy it is believed`, async () => {
    const answer = await from(trusting, '127.0.0.2', header, ask(trusting));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(await client(trusting, answer), who);
    assert.doesNotMatch(far.requests.at(-1).head.raw.toString('latin1'), /PROXY/);
  });
  if (!header) continue;
  test(`PROXY ${name}: from anybody else it is a malformed request`, async () => {
    const count = far.requests.length;
    const answer = await from(trusting, '127.0.0.1', Buffer.concat([Buffer.from(header),
                                                                   ask(trusting)]));
    assert.equal(answer.status, 400);
    assert.match(answer.json.error.message, /not in trusted_proxies/);
    assert.equal(await client(trusting, answer), '127.0.0.1');
    assert.equal(far.requests.length, count);
  });
}

test('PROXY: one byte at a time, and for all requests of the connection', async () => {
  const wire = await Wire.open(trusting.url, '127.0.0.2');
  for (const byte of v2(0x21, 0x11, v4)) await wire.send(Buffer.from([byte]));
  for (let i = 0; i < 3; i++) {
    await wire.send(ask(trusting));
    assert.equal(await client(trusting, await wire.answer()), '192.0.2.9');
  }
  wire.close();
});

test('PROXY: curl speaks it', () => {
  const run = spawnSync('curl', ['-s', '--interface', '127.0.0.2', '--haproxy-protocol', '-w',
    '\n%{http_code}', `${trusting.url}/healthz`], { encoding: 'utf8' });
  assert.match(run.stdout, /\n200$/, run.stderr);
});

for (const [field, who] of [
  ['203.0.113.9', '203.0.113.9'], ['1.1.1.1, 203.0.113.9, 10.1.2.3', '203.0.113.9'],
  ['invented, <x>, 203.0.113.9:4711', '203.0.113.9'], ['10.0.0.5, 10.0.0.6', '10.0.0.5'],
  ['2001:db8::1', '2001:db8::1'], ['203.0.113.9, unknown', '127.0.0.2'],
]) {
  test(`X-Forwarded-For: ${field} of a trusted proxy names ${who}`, async () => {
    const fields = [`X-Forwarded-For: ${field}`, 'Forwarded: for=198.51.100.1'];
    let answer = await from(trusting, '127.0.0.2', ask(trusting, fields));
    assert.equal(await client(trusting, answer), who);
    const names = far.requests.at(-1).head.fields.map(([name]) => name);
    assert.ok(names.includes('content-type'));
    assert.ok(!names.some((name) => /forwarded/.test(name)), 'it does not go on');
    answer = await from(trusting, '127.0.0.1', ask(trusting, fields));
    assert.equal(await client(trusting, answer), '127.0.0.1', 'nobody else is believed');
  });
}

test('X-Forwarded-For behind a PROXY header is believed of a source that is trusted', async () => {
  for (const [source, who] of [['10.0.0.9', '203.0.113.9'], ['192.0.2.5', '192.0.2.5']]) {
    const answer = await from(trusting, '127.0.0.2', `PROXY TCP4 ${source} 10.0.0.1 1 2\r\n`,
                              ask(trusting, ['X-Forwarded-For: 203.0.113.9']));
    assert.equal(await client(trusting, answer), who);
  }
});

test('a refusal names who asked as well, and metrics count', async () => {
  const answer = await from(trusting, '127.0.0.2', post(chatPath, 'sk-weir-wrong', body,
                                                        ['X-Forwarded-For: 203.0.113.77']));
  assert.equal(answer.status, 401);
  assert.equal(await client(trusting, answer), '203.0.113.77');
  const metrics = await trusting.metrics();
  assert.match(metrics, /^weir_proxied_connections_total [1-9]/m);
  assert.match(metrics, /^weir_forwarded_ignored_total [1-9]/m);
  assert.match(metrics, /^weir_closes_total\{reason="proxy_denied"\} [1-9]/m);
});

test('SIGHUP takes a proxy\'s trust away, on open connections too, and gives it', async () => {
  const wire = await Wire.open(trusting.url, '127.0.0.2');
  const fields = ['X-Forwarded-For: 203.0.113.9'];
  const asked = async () => {
    await wire.send(ask(trusting, fields));
    return client(trusting, await wire.answer());
  };
  assert.equal(await asked(), '203.0.113.9');
  await reload(trusting, {});
  assert.equal(await asked(), '127.0.0.2');
  const answer = await from(trusting, '127.0.0.2', 'PROXY UNKNOWN\r\n', ask(trusting));
  assert.equal(answer.status, 400);
  await reload(trusting, { trusted_proxies: ['127.0.0.0/8'] });
  assert.equal(await asked(), '203.0.113.9');
  wire.close();
});

// --- unix sockets

const dir = directory();
const file = path.join(dir, 'weir.sock'), adminFile = path.join(dir, 'admin.sock');
const local = await Weir.start({ ...base, listen: ['127.0.0.1:0', `unix:${file}`] });

// fetch over a unix socket: what an SDK is given.
function unixFetch(socketPath, agent) {
  return (url, init = {}) => new Promise((resolve, reject) => {
    const { pathname, search } = new URL(url);
    const headers = Object.fromEntries(new Headers(init.headers));
    const request = http.request({ socketPath, agent, path: pathname + search, headers,
                                   method: init.method ?? 'GET' }, (answer) => {
      resolve(new Response(Readable.toWeb(answer), { status: answer.statusCode,
        headers: Object.entries(answer.headers).map(([k, v]) => [k, String(v)]) }));
    });
    request.on('error', reject);
    request.end(init.body);
  });
}

test('a unix socket: its file, curl, the SDK, the log, X-Forwarded-For', async () => {
  assert.equal(fs.statSync(file).mode & 0o7777, 0o660);
  assert.ok(fs.statSync(file).isSocket());
  assert.match(local.run.stdout, new RegExp(`^listening on unix:${file}$`, 'm'));
  const run = spawnSync('curl', ['-s', '--unix-socket', file, '-H',
    `authorization: Bearer ${local.key}`, 'http://weir/v1/models'], { encoding: 'utf8' });
  assert.equal(JSON.parse(run.stdout).data.length, 3);
  const agent = new http.Agent({ keepAlive: true });
  const over = unixFetch(file, agent);
  const sdk = new OpenAI({ baseURL: 'http://weir/v1', apiKey: local.key, maxRetries: 0,
                           fetch: over });
  const answer = await sdk.chat.completions.create(body);
  assert.equal(answer.choices[0].message.content, 'ok');
  let text = '';
  for await (const part of await sdk.chat.completions.create({ ...body, model: 'far/streams',
                                                               stream: true })) {
    text += part.choices[0]?.delta?.content ?? '';
  }
  assert.equal(text, 'hello');
  const init = { method: 'POST', body: JSON.stringify(body),
                 headers: { authorization: `Bearer ${local.key}` } };
  assert.equal(await client(local, await over(`http://weir${chatPath}`, init)), 'unix');
  init.headers['x-forwarded-for'] = '203.0.113.9';   // the file's mode says who may connect
  assert.equal(await client(local, await over(`http://weir${chatPath}`, init)), '203.0.113.9');
  agent.destroy();
});

test('connections of a unix socket are spread over the cores', async () => {
  const sockets = [];
  for (let i = 0; i < 40; i++) {
    const socket = net.connect(file);
    socket.on('error', () => {});
    sockets.push(socket);
  }
  const count = async () => Number(/^weir_handoffs_total (\d+)/m.exec(await local.metrics())[1]);
  await until(async () => await count() >= 20, 'half of them to be handed over');
  for (const socket of sockets) socket.destroy();
});

test('a second instance on the same file is refused; the first goes on', async () => {
  const run = await command(['serve', '--listen', `unix:${file}`, '--admin', '127.0.0.1:0',
                             '--data', path.join(dir, 'other')]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /cannot listen on unix:\S+: the socket is in use by another program/);
  assert.equal((await unixFetch(file)('http://weir/healthz')).status, 200);
});

test('a dead file is replaced, one that is no socket is not; the end removes it', async () => {
  const dead = path.join(dir, 'dead.sock');
  const first = await Weir.start({ ...base, listen: ['127.0.0.1:0', `unix:${dead}`] });
  await first.kill();
  assert.ok(fs.existsSync(dead), 'nobody was there to remove it');
  const second = await Weir.start({ ...base, listen: ['127.0.0.1:0', `unix:${dead}`] });
  assert.equal((await unixFetch(dead)('http://weir/healthz')).status, 200);
  await second.stop();
  assert.ok(!fs.existsSync(dead));
  fs.writeFileSync(dead, 'precious');
  const run = await command(['serve', '--listen', `unix:${dead}`, '--admin', '127.0.0.1:0',
                             '--data', path.join(dir, 'third')]);
  assert.equal(run.status, 1);
  assert.match(run.stderr, /a file that is no socket/);
  assert.equal(fs.readFileSync(dead, 'utf8'), 'precious');
});

test('a file that another program has put there is not removed at the end', async () => {
  const mine = path.join(dir, 'mine.sock');
  const one = await Weir.start({ ...base, listen: ['127.0.0.1:0', `unix:${mine}`] });
  fs.unlinkSync(mine);
  const server = net.createServer().listen(mine);
  await until(() => fs.existsSync(mine), 'the other program\'s socket');
  await one.stop();
  assert.ok(fs.existsSync(mine));
  server.close();
});

test('the admin API on a unix socket', async () => {
  const weir = await Weir.start({ ...base, admin: { listen: `unix:${adminFile}` } });
  assert.equal(weir.admin, `unix:${adminFile}`);
  assert.equal(fs.statSync(adminFile).mode & 0o7777, 0o660);
  const headers = { authorization: `Bearer ${weir.token}` };
  const over = unixFetch(adminFile);
  assert.equal((await over('http://weir/admin/v1/keys', { headers })).status, 200);
  assert.equal((await over('http://weir/admin/v1/keys')).status, 401);
  await weir.stop();
  assert.ok(!fs.existsSync(adminFile));
});

// --- browsers

const origins = await Weir.start({ ...base, cors: [page, 'http://localhost:3000'] });
const access = (answer) => [...answer.headers].filter(([name]) => /^access-control/.test(name));
const preflight = (weir, origin, where = chatPath, names = 'authorization,content-type,' +
  'x-api-key,anthropic-version,x-stainless-os,x-weir-mode') => fetch(weir.url + where, {
  method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST',
                                'access-control-request-headers': names } });

test('a preflight of a listed origin is answered, also where the path is not known', async () => {
  for (const where of [chatPath, '/v1/models', '/nowhere']) {
    const answer = await preflight(origins, page, where);
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get('access-control-allow-origin'), page);
    assert.equal(answer.headers.get('vary'), 'origin');
    assert.equal(answer.headers.get('access-control-allow-methods'), 'GET, HEAD, POST');
    assert.equal(answer.headers.get('access-control-allow-headers'),
                 'authorization,content-type,x-api-key,anthropic-version,x-stainless-os,' +
                 'x-weir-mode');
    assert.equal(answer.headers.get('access-control-max-age'), '7200');
    assert.equal(answer.headers.get('access-control-allow-credentials'), null);
  }
});

test('names that no browser would ask for are not repeated', async () => {
  const answer = await preflight(origins, page, chatPath, 'a/b: c');
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get('access-control-allow-headers'), null);
});

test('a preflight of another origin is refused', async () => {
  for (const origin of ['https://evil.example', 'https://app.example.com:444', 'null',
                        'http://app.example.com', `${page}.evil.example`, 'x']) {
    const answer = await preflight(origins, origin);
    assert.equal(answer.status, 403);
    assert.deepEqual(access(answer), []);
    assert.equal((await answer.json()).error.code, 'origin_not_allowed');
  }
});

test('OPTIONS that is no preflight is a method like any other', async () => {
  const answer = await origins.fetch(chatPath, { method: 'OPTIONS', headers: { origin: page } });
  assert.equal(answer.status, 405);
});

// What a page sees: every kind of answer can be read.
const kinds = [
  ['an answer', 200, { body }],
  ['a stream', 200, { body: { ...body, model: 'far/streams', stream: true } }],
  ['a failed one', 502, { body: { ...body, model: 'far/fails' } }],
  ['a wrong key', 401, { body, key: 'sk-weir-wrong' }],
  ['bad JSON', 400, { body: '{' }],
  ['an unknown path', 404, {}, '/v1/nothing'],
  ['the models', 200, {}, '/v1/models'],
];
for (const [name, status, options, where = chatPath] of kinds) {
  test(`${name} to a page of a listed origin, of another one, and to no page`, async () => {
    let answer = await whole(await origins.fetch(where, { ...options,
                                                          headers: { origin: page } }));
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.header('access-control-allow-origin'), page);
    assert.equal(answer.header('access-control-allow-credentials'), null);
    assert.match(answer.header('access-control-expose-headers'), /x-weir-model/);
    assert.match(answer.header('vary'), /origin/);
    for (const headers of [{ origin: 'https://evil.example' }, {}]) {
      answer = await whole(await origins.fetch(where, { ...options, headers }));
      assert.equal(answer.status, status);
      assert.deepEqual(access(answer), [], 'nor what the provider says');
    }
  });
}

test('the SDK as a page uses it', async () => {
  const sdk = new OpenAI({ baseURL: `${origins.url}/v1`, apiKey: origins.key, maxRetries: 0,
                           dangerouslyAllowBrowser: true, defaultHeaders: { origin: page } });
  const { data, response } = await sdk.chat.completions.create(body).withResponse();
  assert.equal(data.choices[0].message.content, 'ok');
  assert.equal(response.headers.get('access-control-allow-origin'), page);
  const wrong = new OpenAI({ baseURL: `${origins.url}/v1`, apiKey: 'sk-weir-no', maxRetries: 0,
                             defaultHeaders: { origin: page } });
  await assert.rejects(wrong.models.list(), (error) => error instanceof AuthenticationError &&
    error.headers.get('access-control-allow-origin') === page);
});

test('the admin API answers pages too', async () => {
  let answer = await fetch(`${origins.admin}/admin/v1/keys`, { method: 'OPTIONS', headers: {
    origin: page, 'access-control-request-method': 'PATCH',
    'access-control-request-headers': 'authorization' } });
  assert.equal(answer.status, 204);
  assert.match(answer.headers.get('access-control-allow-methods'), /PATCH, DELETE/);
  answer = await origins.call('GET', '/admin/v1/keys', undefined, { headers: { origin: page } });
  assert.equal(answer.header('access-control-allow-origin'), page);
  answer = await origins.call('GET', '/admin/v1/keys', undefined,
                              { token: 'wrong', headers: { origin: page } });
  assert.equal(answer.status, 401);
  assert.equal(answer.header('access-control-allow-origin'), page);
  const stop = new AbortController();
  answer = await fetch(`${origins.admin}/admin/v1/events`, { signal: stop.signal,
    headers: { authorization: `Bearer ${origins.token}`, origin: page } });
  assert.equal(answer.headers.get('access-control-allow-origin'), page);
  stop.abort();
});

test('cors: any origin, none, and back by SIGHUP', async () => {
  await reload(origins, { cors: ['*'] });
  let answer = await origins.chat(body, { headers: { origin: 'https://any.example' } });
  assert.equal(answer.header('access-control-allow-origin'), '*');
  assert.equal(answer.header('vary'), null);
  assert.equal((await preflight(origins, 'null')).status, 204);
  await reload(origins, {});
  answer = await origins.chat(body, { headers: { origin: page } });
  assert.equal(answer.header('access-control-allow-origin'), '*', 'the provider\'s, as it came');
  assert.equal(answer.header('access-control-expose-headers'), null);
  assert.equal((await preflight(origins, page)).status, 405);
  await reload(origins, { cors: [page] });
  assert.equal((await preflight(origins, page)).status, 204);
});
