// tls.test.mjs - TLS towards clients, with foreign ones: curl, openssl s_client, node's https and
// OpenAI's SDK. The listeners: TLS first, a plain one beside it, the admin address with TLS.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { client, connect, identity, request } from './lib/tls.mjs';
import { provider } from './lib/provider.mjs';
import { command, directory, pause, root, until, Weir, within } from './lib/weir.mjs';
import { Wire } from './lib/wire.mjs';

const run = promisify(execFile);
const canary = `canary${Math.random().toString(36).slice(2)}`;
let gone = 0;
const far = await provider(async (call) => {
  if (call.model === 'endless') {
    call.over.then(() => { gone++; });
    await call.begin();
    return call.over;
  }
  if (!call.request.json.stream) return call.json({ id: 'x', object: 'chat.completion',
    created: 1, model: 'm', usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    choices: [{ index: 0, finish_reason: 'stop',
                message: { role: 'assistant', content: 'x'.repeat(call.request.json.size ?? 9) } }] });
  return call.stream([`a${canary}`, 'b', 'c']);
});
const live = { cert: path.join(directory(), 'cert.pem') };   // what SIGHUP reads again
live.key = live.cert.replace('cert', 'key');
const use = (id) => {
  fs.copyFileSync(id.cert, live.cert);
  fs.copyFileSync(id.key, live.key);
};
const first = identity(), second = identity({ name: 'second', rsa: true });
use(first);
const ca = [fs.readFileSync(first.cert), fs.readFileSync(second.cert)];

const config = {
  listen: [{ address: '127.0.0.1:0', tls: live }, '127.0.0.1:0'],
  admin: { listen: { address: '127.0.0.1:0', tls: live } },
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: ['m', 'endless'].map((id) => ({ id: `far/${id}`, price: { input: '1', output: '1' } })),
  timeouts: { header: '5s' },
};
const weir = await Weir.start(config);
const plain = /^listening on (http:\S+)$/m.exec(weir.run.stdout)[1];

const admin = (method, where) => request(weir.admin + where, {
  ca, method, headers: { authorization: `Bearer ${weir.token}` } });
async function metric(name) {
  const { text } = await admin('GET', '/metrics');
  const found = new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\d+)$`, 'm').exec(text);
  assert.ok(found, name);
  return Number(found[1]);
}
const closes = (why) => metric(`weir_closes_total{reason="${why}"}`);
const chat = (body) => ({ ca, method: 'POST', body: JSON.stringify({
  model: 'far/m', messages: [{ role: 'user', content: canary }], ...body }),
  headers: { authorization: `Bearer ${weir.key}`, 'content-type': 'application/json' } });

test('curl in TLS 1.2 and 1.3, at the TLS listener and the admin one; the plain one beside', async () => {
  for (const version of ['1.2', '1.3']) {
    for (const url of [weir.url, weir.admin]) {
      const { stdout } = await run('curl', ['-sS', '--cacert', first.cert, `--tlsv${version}`,
                                            '--tls-max', version, `${url}/healthz`]);
      assert.equal(stdout, 'ok');
    }
  }
  assert.equal(await (await fetch(`${plain}/healthz`)).text(), 'ok');
  await assert.rejects(run('curl', ['-sS', `${weir.url}/healthz`]), /certificate/);
});

// In a process of its own: node reads which roots it trusts at its start.
const application = `
import OpenAI from 'openai';
const client = new OpenAI({ baseURL: process.env.URL, apiKey: process.env.KEY, maxRetries: 0 });
for (let i = 0; i < 3; i++) {
  const stream = await client.chat.completions.create({ model: 'far/m', stream: true,
    messages: [{ role: 'user', content: 'hello' }] });
  for await (const part of stream) process.stdout.write(part.choices[0]?.delta?.content ?? '');
}`;

test("OpenAI's SDK streams through TLS", async () => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', application], {
    cwd: path.join(root, 'tests/box'), env: { ...process.env, URL: `${weir.url}/v1`,
      KEY: weir.key, NODE_EXTRA_CA_CERTS: first.cert } });
  assert.equal(stdout, `a${canary}bc`.repeat(3));
});

test('bodies and answers of every size on one connection', async () => {
  const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 });
  const sockets = new Set();
  for (const size of [1, 4000, 16384, 16385, 70000, 900000]) {
    const answer = await request(`${weir.url}/v1/chat/completions`,
                                 { ...chat({ size, pad: 'p'.repeat(size) }), agent });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(JSON.parse(answer.text).choices[0].message.content.length, size);
    sockets.add(answer.socket);
  }
  assert.equal(sockets.size, 1);
  agent.destroy();
});

test('tickets resume on any core, in both versions', async () => {
  const before = await metric('weir_tls_resumed_total');
  for (const version of ['-tls1_2', '-tls1_3']) {
    const file = path.join(directory(), 'session');
    const get = (more) => client(weir.url, [version, '-CAfile', first.cert, ...more, '-ign_eof'],
      ['GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']);
    const fresh = await get(['-sess_out', file]);
    assert.match(fresh, /^New, TLSv1/m);
    assert.match(fresh, /Server Temp Key: X25519/);
    for (let i = 0; i < 6; i++) assert.match(await get(['-sess_in', file]), /^Reused, TLSv1/m);
  }
  assert.equal(await metric('weir_tls_resumed_total') - before, 12);
});

test('ALPN: http/1.1, or nothing in common (RFC 7301 section 3.2)', async () => {
  const offer = async (list) => (await client(weir.url, ['-alpn', list], ['Q\n']));
  assert.match(await offer('h2,http/1.1'), /ALPN protocol: http\/1.1/);
  assert.match(await offer('h2'), /alert no application protocol/);
});

test('TLS 1.1 and renegotiation are refused', async () => {
  const old = await client(weir.url, ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], ['Q\n']);
  assert.match(old, /alert protocol version/);
  const again = await client(weir.url, ['-tls1_2'], ['R\n']);
  assert.match(again, /RENEGOTIATING[^]*alert no renegotiation/);
  assert.equal(await closes('tls_broken'), 1);
});

test('close-notify is said at the end of the last answer, and of an idle connection', async () => {
  const end = await client(weir.url, ['-tls1_3', '-ign_eof'],
                           ['GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']);
  assert.match(end, /\nok.*closed\n/s);
  assert.doesNotMatch(end, /unexpected eof/);
});

test('plain HTTP at the TLS port is told so in plain HTTP', async () => {
  for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'P', 'CONNECT a:1 HTTP/1.1\r\n\r\n']) {
    const wire = await Wire.open(weir.url);
    await wire.send(bytes);
    const answer = await within(wire.answer(), 'an answer');
    assert.equal(answer.status, 400);
    assert.match(answer.text, /plain HTTP was sent to a TLS port/);
    await within(wire.ended(), 'the close');
    wire.close();
  }
  assert.equal(await closes('tls_plain'), 3);
  const hello = await Wire.open(plain);      // and TLS at the plain one
  await hello.send(Buffer.from('160301000401000000', 'hex'));
  await hello.send('\r\n\r\n');
  assert.equal((await within(hello.answer(), 'an answer')).status, 400);
  hello.close();
});

test('junk, a lying record, a half hello: closed, and nothing is left', async () => {
  const failed = await closes('tls_failed');
  for (const hex of ['8080ff', '1603010004010000ff', '160301ffff01', '1603010200010001fc0303']) {
    const socket = net.connect(Number(new URL(weir.url).port), '127.0.0.1');
    socket.on('error', () => {});
    const over = once(socket, 'close');
    socket.write(Buffer.from(hex, 'hex'));
    if (hex.length > 12) socket.end();
    socket.resume();
    await within(over, `the close after ${hex}`);
  }
  assert.equal(await closes('tls_failed') - failed, 4);
});

test('a handshake that does not come along ends by timeouts.header', async () => {
  const slow = await closes('tls_slow');
  for (const bytes of ['', '\x16\x03\x01']) {
    const wire = await Wire.open(weir.url);
    if (bytes) await wire.send(Buffer.from(bytes, 'latin1'));
    assert.equal((await within(wire.ended(), 'the close')).length, 0);
    wire.close();
  }
  assert.equal(await closes('tls_slow') - slow, 2);
});

test('a client that is cut off, with close-notify or without, is gone: no request of half a body', async () => {
  for (const close of [(socket) => socket.end(), (socket) => socket.destroy()]) {
    const before = await closes('client_gone'), asked = far.requests?.length;
    const socket = await connect(weir.url, { ca });
    socket.on('error', () => {});
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n' +
                 `Authorization: Bearer ${weir.key}\r\nContent-Length: 500\r\n\r\n{"model":"far/m"`);
    await pause(100);
    close(socket);
    await until(async () => await closes('client_gone') === before + 1, 'the client is gone');
    assert.equal(far.requests?.length, asked);
  }
  const socket = await connect(weir.url, { ca });
  const body = JSON.stringify({ model: 'far/endless', stream: true,
                                messages: [{ role: 'user', content: 'x' }] });
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ' +
               `${weir.key}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await pause(200);
  socket.destroy();
  await until(() => gone === 1, 'the provider is let go');
});

const shown = async () => {
  const socket = await connect(weir.url, { ca });
  const { subject } = socket.getPeerCertificate();
  socket.end();
  return subject.CN;
};

test('SIGHUP and POST /reload: the new certificate for new connections, all or nothing', async () => {
  const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 });
  const old = await request(`${weir.url}/healthz`, { agent });
  const file = path.join(directory(), 'session');
  await client(weir.url, ['-tls1_2', '-sess_out', file, '-ign_eof'],
               ['GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n']);
  const resumes = () => client(weir.url, ['-tls1_2', '-sess_in', file], ['Q\n']);
  weir.signal('SIGHUP');                       // the same pair: tickets stay good
  await until(() => /^reloaded$/m.test(weir.run.stderr), 'a reload');
  assert.match(await resumes(), /^Reused/m);
  fs.copyFileSync(second.cert, live.cert);     // which does not fit the key
  weir.signal('SIGHUP');
  await until(() => /reload refused/.test(weir.run.stderr), 'a refusal');
  assert.match(weir.run.stderr, /weir\.yaml:\d+:\d+: error: key is text: it does not belong/);
  const refused = await admin('POST', '/admin/v1/reload');
  assert.equal(refused.status, 400);
  assert.match(refused.text, /it does not belong to the certificate/);
  assert.equal(await shown(), 'localhost');
  use(second);
  const reload = await admin('POST', '/admin/v1/reload');
  assert.equal(reload.status, 200, reload.text);
  assert.equal(await shown(), 'second');
  assert.match(await resumes(), /^New/m);      // a ticket of a certificate that went
  const same = await request(`${weir.url}/healthz`, { agent });
  assert.equal(same.socket, old.socket);
  assert.equal(same.text, 'ok');
  agent.destroy();
});

test('a storm of 1,000 handshakes: everyone is served, and the log is not flooded', async () => {
  const from = weir.run.stdout.length, shaken = await metric('weir_tls_handshakes_total');
  const one = async () => {                    // 20 at a time: node is the slower side
    for (let i = 0; i < 50; i++) {
      const socket = await connect(weir.url, { ca });
      socket.resume();
      socket.end();
      await once(socket, 'close');
    }
  };
  const storm = Promise.all(Array.from({ length: 20 }, one));
  for (let i = 0; i < 20; i++) {               // meanwhile, on both cores
    const answer = await fetch(`${plain}/healthz`, { headers: { connection: 'close' } });
    assert.equal(await answer.text(), 'ok');
  }
  await within(storm, 'the storm', 60000);
  assert.ok(await metric('weir_tls_handshakes_total') - shaken >= 1000, 'all got through');
  const junk = Array.from({ length: 300 }, async () => {
    const wire = await Wire.open(weir.url);
    await wire.send(Buffer.from('16030100040100', 'hex'));
    wire.close();
  });
  await Promise.all(junk);
  const lines = weir.run.stdout.slice(from).match(/ tls_(failed|slow|plain|memory) /g) ?? [];
  assert.ok(lines.length < 300, `${lines.length} lines`);
});

test('memory comes back: the pool, pages and slots', async () => {
  const names = ['weir_memory_used_bytes', 'weir_receive_buffers_used_count'];
  await until(async () => await metric('weir_open_connections') === 0, 'no connection is left', 20000);
  for (const name of names) assert.equal(await metric(name), 0, name);
  const before = await metric('weir_tls_pool_used_bytes');
  const sockets = await Promise.all(Array.from({ length: 100 }, () => connect(weir.url, { ca })));
  const held = await metric('weir_tls_pool_used_bytes') - before;
  assert.ok(held > 0);
  console.log(`# ${Math.round(held / 100)} bytes of the pool for an idle connection`);
  for (const socket of sockets) socket.destroy();
  await until(async () => await metric('weir_open_connections') === 0, 'all are gone', 20000);
  await until(async () => await metric('weir_tls_pool_used_bytes') - before < 20000, 'the pool is as before');
});

test('weir check says what is wrong with a pair, and where', async () => {
  const text = (cert, key) => {
    const file = path.join(directory(), 'weir.yaml');
    fs.writeFileSync(file, `listen:\n  - address: 127.0.0.1:1\n    tls:\n      cert: ${cert}\n      key: ${key}\n`);
    return command(['check', '-c', file]);
  };
  const old = identity();
  const good = await text(first.cert, first.key);
  assert.equal(good.status, 0, good.stderr);
  for (const [cert, key, said] of [
    ['/nowhere.pem', first.key, /:4:13: error: cert is '\/nowhere.pem': cannot be read/],
    [first.cert, '/nowhere.pem', /:5:12: error: key is text: cannot be read/],
    [first.cert, old.key, /:5:12: error: key is text: it does not belong to the certificate/],
    [first.key, first.key, /:4:13: error: cert is '.*': no PEM certificate in it/],
    [first.cert, first.cert, /:5:12: error: key is text: no PEM private key in it/]]) {
    const bad = await text(cert, key);
    assert.equal(bad.status, 1);
    assert.match(bad.stderr, said);
  }
});

test('SIGTERM with TLS connections open ends well; no prompt, no answer in DATA or log', async () => {
  const socket = await connect(weir.url, { ca });
  const over = once(socket, 'end');
  socket.resume();
  await weir.stop();
  await within(over, 'close-notify at the end');
  const files = fs.readdirSync(weir.data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
  assert.ok(files.length > 2);
  for (const file of files) assert.ok(!fs.readFileSync(file).includes(canary), file);
  assert.ok(!(weir.run.stdout + weir.run.stderr).includes(canary));
});
