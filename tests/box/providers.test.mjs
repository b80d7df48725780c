// providers.test.mjs - what providers really do, and what hostile ones might (hostile.md): odd
// but good answers come through, bad ones move the request on, nothing of them is believed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import test from 'node:test';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { atEnd, directory, until, Weir, whole, within } from './lib/weir.mjs';

const scripts = new Map();
const far = await provider((call) => scripts.get(call.model)(call));
const spare = await provider((call) => (call.request.json.stream ? call.stream(['spare'])
                                                                 : call.json(chat('spare'))));
const price = { input: '1', output: '2' };

// --- HTTPS: our own authority, one good certificate, one for another name, one nobody signed

const dir = directory();
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
const subject = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
openssl(...subject, '-x509', '-days', '2', '-subj', '/CN=Box', '-keyout', 'ca.key', '-out',
        'ca.pem');
function certificate(name, host) {
  fs.writeFileSync(`${dir}/${name}.ext`, `subjectAltName=${host}\n`);
  openssl(...subject, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days',
          '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
}
certificate('good', 'DNS:localhost,IP:127.0.0.1');
certificate('misnamed', 'DNS:elsewhere.test');
openssl(...subject, '-x509', '-days', '2', '-subj', '/CN=localhost', '-addext',
        'subjectAltName=DNS:localhost', '-keyout', 'unsigned.key', '-out', 'unsigned.pem');

async function secure(name, options = {}) {
  const server = https.createServer({ key: fs.readFileSync(`${dir}/${name}.key`),
                                      cert: fs.readFileSync(`${dir}/${name}.pem`), ...options },
                                    (req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts));
      const { servername } = req.socket;
      if (!body.stream) {
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify(chat(`${servername} ${req.socket.getProtocol()} ` +
                                    `${req.socket.isSessionReused()}`)));
        return;
      }
      res.setHeader('content-type', 'text/event-stream');
      for (let i = 0; i < 50; i++) {
        res.write(`data: ${JSON.stringify(delta({ content: `${i},` }))}\n\n`);
      }
      res.write(`data: ${JSON.stringify(delta({}, 'stop'))}\n\n`);
      res.end('data: [DONE]\n\n');
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(0, resolve));
  atEnd(() => { server.closeAllConnections(); server.close(); });
  return `https://localhost:${server.address().port}/v1`;
}

// A provider that takes the connection and never says hello.
const mute = await provider(() => {});
const tls = { good: await secure('good'), old: await secure('good', { maxVersion: 'TLSv1.2' }),
              misnamed: await secure('misnamed'), unsigned: await secure('unsigned'),
              plain: spare.url.replace('http:', 'https:').replace('127.0.0.1', 'localhost'),
              ancient: await secure('good', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1',
                                              ciphers: 'DEFAULT@SECLEVEL=0' }) };

// One that refuses as soon as it sees a request begin, and reads on without looking.
const hasty = net.createServer({ allowHalfOpen: true }, (socket) => {
  const text = '{"error":{"message":"too early"}}';
  socket.on('error', () => {});
  socket.once('data', () => socket.write('HTTP/1.1 400 Bad\r\nContent-Type: application/json\r\n' +
                                         `Content-Length: ${text.length}\r\n\r\n${text}`));
  socket.on('data', () => {});
  socket.on('end', () => socket.end());
});
await new Promise((resolve) => hasty.listen(0, '127.0.0.1', resolve));
atEnd(() => hasty.close());

// --- tables: what is answered, and whether it is good

const body = JSON.stringify(chat('odd'));
const length = `Content-Length: ${body.length}\r\n`;
const json = 'Content-Type: application/json\r\n';
const one = (n) => `${n.toString(16)}\r\n`;
const good = {
  'interim answers first': `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n` +
                           `\r\nHTTP/1.1 200 OK\r\n${json}${length}\r\n${body}`,
  'no reason phrase': `HTTP/1.1 200 \r\n${json}${length}\r\n${body}`,
  'lower case, blanks around values': `HTTP/1.1 200 OK\r\ncontent-type:   application/json  \r\n` +
                                      `content-length:\t${body.length}\r\n\r\n${body}`,
  'charset': `HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n${length}\r\n` +
             body,
  'chunks, a trailer': `HTTP/1.1 200 OK\r\n${json}Transfer-Encoding: chunked\r\n\r\n` +
                       `${one(5)}${body.slice(0, 5)}\r\n${one(body.length - 5)}${body.slice(5)}` +
                       '\r\n0\r\nX-Check: 1\r\n\r\n',
  'ended by the close': [`HTTP/1.1 200 OK\r\n${json}Connection: close\r\n\r\n${body}`, 'close'],
  'HTTP/1.0': [`HTTP/1.0 200 OK\r\n${json}\r\n${body}`, 'close'],
  'blanks around the JSON': `HTTP/1.1 200 OK\r\n${json}Content-Length: ${body.length + 4}\r\n\r\n` +
                            `\n ${body}\r\n`,
};
const bad = {
  'switching protocols': `HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n`,
  'no content': 'HTTP/1.1 204 No Content\r\n\r\n',
  'status 1000': `HTTP/1.1 1000 Odd\r\n${length}\r\n${body}`,
  'status 600': `HTTP/1.1 600 Odd\r\n${length}\r\n${body}`,
  'a redirect': 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
  'endless interim answers': 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(200),
  'a folded field': `HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\n${json}${length}\r\n${body}`,
  'bare LF': `HTTP/1.1 200 OK\n${json}${length}\n${body}`,
  'a blank before the colon': `HTTP/1.1 200 OK\r\nContent-Length : ${body.length}\r\n\r\n${body}`,
  'a negative length': `HTTP/1.1 200 OK\r\n${json}Content-Length: -1\r\n\r\n${body}`,
  'a huge head': `HTTP/1.1 200 OK\r\n${json}X-Big: ${'x'.repeat(100000)}\r\n${length}\r\n${body}`,
  'ten thousand fields': `HTTP/1.1 200 OK\r\n${json}${'A: b\r\n'.repeat(10000)}${length}\r\n` +
                         body,
  'a chunk size that is none': `HTTP/1.1 200 OK\r\n${json}Transfer-Encoding: chunked\r\n\r\n` +
                               'xyz\r\n',
  'a chunk too large': `HTTP/1.1 200 OK\r\n${json}Transfer-Encoding: chunked\r\n\r\n` +
                       'FFFFFFFFFFFFFFFF\r\n',
  'gzip as coding': `HTTP/1.1 200 OK\r\n${json}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'deflated': `HTTP/1.1 200 OK\r\n${json}Content-Encoding: br\r\n${length}\r\n${body}`,
  'cut chunks': [`HTTP/1.1 200 OK\r\n${json}Transfer-Encoding: chunked\r\n\r\n` +
                 `${one(500)}${body}`, 'close'],
  'half a head': ['HTTP/1.1 200 OK\r\nContent-', 'close'],
  'no answer': ['', 'close'],
  'garbage': '\x16\x03\x01 this is not HTTP\r\n\r\n',
  'JSON cut, framed well': `HTTP/1.1 200 OK\r\n${json}Content-Length: ${body.length - 3}\r\n\r\n` +
                           body.slice(0, -3),
  'a NUL in the JSON': `HTTP/1.1 200 OK\r\n${json}Content-Length: 7\r\n\r\n{"a":\0}`,
};
const rows = [...Object.entries(good).map((row) => [...row, 'odd']),
              ...Object.entries(bad).map((row) => [...row, 'spare'])];
rows.forEach(([, answer], i) => {
  const [bytes, end] = [answer].flat();
  scripts.set(`o${i}`, async (call) => {
    await call.write(Buffer.from(bytes, 'latin1'));
    return end && call.cut();
  });
});

const more = ['u-none', 'u-negative', 'u-huge', 'u-text', 'u-float', 'u-null', 's-cr', 's-bom',
              's-big', 's-lines', 's-tight', 's-after', 's-twice', 's-nodone', 's-comments',
              's-crlf', 's-nothing', 'extra', 'large', 'huge', 'pour'];
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] },
              { name: 'spare', url: spare.url, keys: ['sk-spare'] },
              { name: 'early', url: `http://127.0.0.1:${hasty.address().port}/v1` },
              ...Object.entries(tls).map(([name, url]) => ({ name: `tls-${name}`, url,
                                                             keys: ['sk-tls'] })),
              { name: 'tls-mute', url: mute.url.replace('http:', 'https:'), keys: ['sk-tls'],
                timeouts: { connect: '700ms' } }],
  models: [...rows.map((_, i) => `o${i}`), ...more].map((name) => ({ id: `far/${name}`, price }))
    .concat({ id: 'spare/m', price }, { id: 'early/m', price },
            [...Object.keys(tls), 'mute'].map((name) => ({ id: `tls-${name}/m`, price }))),
  limits: { answer: '8MiB', hold: '256KiB' },
}, { env: { SSL_CERT_FILE: `${dir}/ca.pem` } });

const content = (answer) => answer.json.choices[0].message.content;

rows.forEach(([name, , want], i) => {
  test(`${want === 'odd' ? 'taken' : 'not taken'}: ${name}`, async () => {
    const answer = await weir.chat({ model: `far/o${i}`, models: ['spare/m'] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(content(answer), want);
    assert.equal(answer.header('x-weir-attempts'), want === 'odd' ? '1' : '2');
  });
});

test('bytes behind an answer end the connection, and are nobody\'s', async () => {
  const sockets = new Set();
  scripts.set('extra', async (call) => {
    sockets.add(call.socket);
    await call.json(chat('mine'));
    return call.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"evil"');
  });
  const wire = await Wire.open(weir.url);
  for (let i = 0; i < 4; i++) {
    await wire.send(post('/v1/chat/completions', weir.key, {
      model: 'far/extra', messages: [{ role: 'user', content: 'x' }] }));
    assert.equal(content(await wire.answer()), 'mine');
  }
  wire.close();
  assert.equal(sockets.size, 4, 'such a connection is never used again');
});

test('an answer before the request was read', async () => {
  const answer = await weir.chat({ model: 'early/m',
                                   messages: [{ role: 'user', content: 'x'.repeat(4 << 20) }] });
  assert.equal(answer.status, 400, answer.text);
  assert.equal(answer.json.error.message, 'too early');
});

// --- usage that cannot be believed

for (const [name, usage] of Object.entries({
  'u-none': undefined, 'u-null': null, 'u-text': 'lots', 'u-float': { prompt_tokens: 1.5 },
  'u-negative': { prompt_tokens: -5, completion_tokens: -1, total_tokens: -6 },
  'u-huge': { prompt_tokens: 2 ** 63, completion_tokens: 1e30, total_tokens: 1 } })) {
  test(`usage: ${name.slice(2)} is an estimate, marked as such`, async () => {
    scripts.set(name, (call) => call.json({ ...chat('twelve bytes'), usage }));
    const answer = await weir.chat({ model: `far/${name}` });
    assert.equal(answer.status, 200, answer.text);
    const row = await weir.row(answer.header('x-request-id'));
    assert.equal(row.estimated, true, JSON.stringify(row));
    assert.ok(row.input_tokens >= 0 && row.input_tokens < 1e6, String(row.input_tokens));
    assert.ok(row.output_tokens >= 0 && row.output_tokens < 1e6, String(row.output_tokens));
    assert.ok(nano(row.cost_usd) < 10n ** 9n, row.cost_usd);
  });
}

// --- streams

const event = (value) => `data: ${JSON.stringify(value)}\n\n`;
const start = event(delta({ role: 'assistant', content: '' }));
const stop = event(delta({}, 'stop'));
const done = 'data: [DONE]\n\n';
const large = 'ü'.repeat(70 * 1024);
const streams = {
  // what the provider sends, what the client must get (default: the same)
  's-cr': [(start + event(delta({ content: 'a' })) + stop + done).replaceAll('\n', '\r')],
  's-crlf': [(start + event(delta({ content: 'a' })) + stop + done).replaceAll('\n', '\r\n')],
  's-bom': ['\ufeff' + start + event(delta({ content: 'a' })) + stop + done,
            start + event(delta({ content: 'a' })) + stop + done],
  's-big': [start + event(delta({ content: large })) + event(delta({ content: 'z' })) + stop +
            done],
  's-lines': [start + 'event: x\nid: 7\ndata: {"choices":[{"index":0,\ndata: "delta":' +
              '{"content":"a"}}]}\n\n' + stop + done],
  's-tight': [(start + event(delta({ content: 'a' })) + stop + done).replaceAll('data: ', 'data:')],
  's-after': [start + event(delta({ content: 'a' })) + stop + done + event(delta({ content: 'b' })),
              start + event(delta({ content: 'a' })) + stop + done],
  's-twice': [start + event(delta({ content: 'a' })) + stop + done + done,
              start + event(delta({ content: 'a' })) + stop + done],
  's-nodone': [start + event(delta({ content: 'a' })) + stop,
               start + event(delta({ content: 'a' })) + stop + done],
  's-comments': [`: wait\n\n${start}: wait\n\n${event(delta({ content: 'a' }))}: wait\n\n` +
                 stop + done],
};

for (const [name, [sent, want = sent]] of Object.entries(streams)) {
  for (const most of [1 << 20, 13]) {
    if (name === 's-big' && most < 1000) continue;
    test(`stream: ${name.slice(2)}, in pieces of ${most}`, async () => {
      scripts.set(name, async (call) => {
        await call.begin();
        const bytes = Buffer.from(sent);
        for (let at = 0; at < bytes.length; at += most) {
          await call.chunk(bytes.subarray(at, at + most));
        }
        return call.end();
      });
      const wire = await Wire.open(weir.url);
      await wire.send(post('/v1/chat/completions', weir.key, {
        model: `far/${name}`, stream: true, stream_options: { include_usage: true },
        messages: [{ role: 'user', content: 'x' }] }));
      const answer = await wire.answer();
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.text, want);
      wire.close();
    });
  }
}

test('a stream in which only pings come says nothing good', async () => {
  scripts.set('s-nothing', async (call) => {
    await call.begin();
    for (let i = 0; i < 20; i++) await call.chunk(': ping\n\n');
    return call.end();
  });
  const answer = await weir.chat({ model: 'far/s-nothing', models: ['spare/m'], stream: true });
  assert.match(answer.text, /spare/);
});

// --- large answers

test('an answer over limits.hold is relayed, one over limits.answer is not', async () => {
  const wide = { ...chat('x'), data: 'y'.repeat(3 << 20) };
  scripts.set('large', (call) => call.json(wide));
  const answer = await weir.chat({ model: 'far/large' });
  assert.equal(answer.status, 200);
  assert.equal(answer.text, JSON.stringify(wide));
  assert.equal(answer.header('x-weir-cost-usd'), null);
  const row = await weir.row(answer.header('x-request-id'));
  assert.equal(row.estimated, false, 'its usage was read as it went by');
  assert.equal(row.output_tokens, 3);
  scripts.set('huge', (call) => call.json({ ...chat('x'), data: 'y'.repeat(9 << 20) }));
  await assert.rejects(async () => {
    const over = await weir.chat({ model: 'far/huge' });
    assert.equal(over.status, 502);
    throw new Error('refused whole');
  });
});

test('a large answer that ends by a close in its middle is not passed on as whole', async () => {
  const part = JSON.stringify({ ...chat('x'), data: 'y'.repeat(1 << 20) }).slice(0, -7);
  scripts.set('large', async (call) => {
    await call.head(200, { 'content-type': 'application/json', connection: 'close' });
    await call.write(part);
    call.cut();
  });
  await assert.rejects(weir.chat({ model: 'far/large' }), 'its chunks do not end');
  await until(async () => (await weir.rows()).some((row) => row.model === 'far/large' &&
                                                   row.close === 'upstream_broke'), 'its row');
});

test('a client that does not read stops the provider, not Weir; then gets every byte', async () => {
  const part = event(delta({ content: 'z'.repeat(16000) }));
  const count = 4000;   // 64 MB
  let sent = 0;
  scripts.set('pour', async (call) => {
    await call.begin();
    for (; sent < count; sent++) await call.chunk(part);
    await call.chunk(stop + done);
    return call.end();
  });
  const before = fs.readFileSync(`/proc/${weir.pid}/statm`, 'utf8').split(' ')[1];
  const response = await weir.fetch('/v1/chat/completions', { body: {
    model: 'far/pour', stream: true, messages: [{ role: 'user', content: 'x' }] } });
  let last = -1;
  await until(async () => {
    if (sent > 0 && sent === last) return true;
    last = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return false;
  }, 'the provider is held up');
  assert.ok(sent < count, 'Weir took no more than the buffers of the sockets');
  const grown = fs.readFileSync(`/proc/${weir.pid}/statm`, 'utf8').split(' ')[1] - before;
  assert.ok(grown < 8 << 8, `${grown} pages more for one stream`);  // 8 MiB
  const other = await weir.chat({ model: 'spare/m' });
  assert.equal(content(other), 'spare', 'nobody else waits');
  let bytes = 0;
  for await (const piece of response.body) bytes += piece.length;
  assert.equal(bytes, Buffer.byteLength(part) * count + Buffer.byteLength(stop + done));
});

// --- TLS

test('HTTPS: verified against the store, with SNI, sessions kept, 1.2 and 1.3', async () => {
  for (const [name, version] of [['good', 'TLSv1.3'], ['old', 'TLSv1.2']]) {
    const answer = await weir.chat({ model: `tls-${name}/m` });
    assert.equal(answer.status, 200, answer.text);
    assert.match(content(answer), new RegExp(`^localhost ${version} `));
    const stream = await whole(await weir.fetch('/v1/chat/completions', { body: {
      model: `tls-${name}/m`, stream: true, messages: [{ role: 'user', content: 'x' }] } }));
    assert.match(stream.text, /"0,".*"49,".*\[DONE\]\n\n$/s);
  }
});

test('HTTPS: a certificate unsigned, misnamed, no TLS at all, too old, no hello', async () => {
  for (const name of ['unsigned', 'misnamed', 'plain', 'ancient', 'mute']) {
    const alone = await weir.chat({ model: `tls-${name}/m` });
    assert.ok([502, 504].includes(alone.status), `${name}: ${alone.text}`);
    assert.match(alone.json.error.message, new RegExp(`tls-${name}/m: \\S`));
    const answer = await weir.chat({ model: `tls-${name}/m`, models: ['spare/m'] });
    assert.equal(content(answer), 'spare', name);
  }
});

test('it ends cleanly, and nothing is left open', async () => {
  await until(async () => /^weir_open_exchanges 0$/m.test(await weir.metrics()), 'none is open');
  await within(weir.stop(), 'the end');
  assert.equal(weir.run.stderr, '');
});
