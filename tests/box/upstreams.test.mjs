// upstreams.test.mjs - what providers do that the other files leave open (hostile.md): every way
// to say "later", addresses that lead nowhere, answers that come a byte at a time or as pings
// for ever, a line of 64 MiB, bytes that are no text, counts that cannot be, ends without an
// end. The client gets the next candidate or a clear error; what is booked is believable.
// timeout: 180
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import test from 'node:test';
import tls from 'node:tls';
import { nano } from './lib/money.mjs';
import { chat, delta, provider } from './lib/provider.mjs';
import { ownBytes } from './lib/siege.mjs';
import { atEnd, directory, pause, until, Weir, whole } from './lib/weir.mjs';

const scripts = new Map();
const far = await provider((call) => scripts.get(call.model)(call));
const spare = await provider((call) => (call.request.json.stream ? call.stream(['spare'])
                                                                 : call.json(chat('spare'))));
const price = { input: '1', output: '2' };

// --- TLS: an authority of our own, one certificate whose time is over, one good

const dir = directory();
const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
const subject = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
openssl(...subject, '-x509', '-days', '2', '-subj', '/CN=Box', '-keyout', 'ca.key', '-out',
        'ca.pem');
fs.writeFileSync(`${dir}/names`, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
for (const [name, days] of [['good', '2'], ['expired', '-1']]) {
  openssl(...subject, '-subj', '/CN=localhost', '-keyout', `${name}.key`, '-out', `${name}.csr`);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key',
          '-CAcreateserial', '-days', days, '-extfile', 'names', '-out', `${name}.pem`);
}

// A TLS provider that answers with these bytes and ends without close-notify.
async function rude(name, bytes) {
  const server = tls.createServer({ key: fs.readFileSync(`${dir}/${name}.key`),
                                    cert: fs.readFileSync(`${dir}/${name}.pem`) }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.write(bytes, () => {
      setTimeout(() => socket._parent ? socket._parent.destroy() : socket._handle.close(), 50);
    }));
  });
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(0, resolve));
  atEnd(() => server.close());
  return `https://localhost:${server.address().port}/v1`;
}
const text = JSON.stringify(chat('whole'));
const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
const secure = {
  expired: await rude('expired', `${head}Content-Length: ${text.length}\r\n\r\n${text}`),
  framed: await rude('good', `${head}Content-Length: ${text.length}\r\n\r\n${text}`),
  cut: await rude('good', `${head}Connection: close\r\n\r\n${text}`),
};

const later = {
  seconds: ['20', 15, 20], date: [() => new Date(Date.now() + 25000).toUTCString(), 15, 25],
  absurd: ['999999999', 50, 60], negative: ['-5', 1, 1], words: ['when I feel like it', 1, 1],
  none: [null, 1, 1], past: ['Sun, 06 Nov 1994 08:49:37 GMT', 1, 1],
  body: [null, 15, 21, { error: { code: 429, status: 'RESOURCE_EXHAUSTED', details: [
    { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '21s' }] } }],
};
const names = [...Object.keys(later).map((name) => `later-${name}`), 'e500', 'e502', 'e503', 'e529',
               'e408', 'inside', 'drip', 'drop', 'pings', 'pings-late', 'full-204', 'zstd', 'line',
               'nul', 'utf8', 'nul-sse', 'utf8-sse', 'twice', 'minus', 'huge', 'each', 'tool',
               'tool-cut', 'groq', 'router', 'slow-start', 'no-start'];
const weir = await Weir.start({
  cores: 1,
  providers: [
    { name: 'far', url: far.url, keys: ['sk-far'], timeouts: { stall: '700ms', total: '1500ms' } },
    { name: 'wide', url: far.url, keys: ['sk-wide'] },
    { name: 'spare', url: spare.url, keys: ['sk-spare'] },
    { name: 'nobody', url: 'http://weir.invalid/v1' },
    { name: 'nowhere', url: 'http://192.0.2.1:9/v1', timeouts: { connect: '400ms' } },
    ...Object.entries(secure).map(([name, url]) => ({ name: `tls-${name}`, url }))],
  models: [...names.flatMap((name) => [`far/${name}`, `wide/${name}`]), 'spare/m', 'nobody/m',
           'nowhere/m', ...Object.keys(secure).map((name) => `tls-${name}/m`)]
    .map((id) => ({ id, price })),
}, { env: { SSL_CERT_FILE: `${dir}/ca.pem` } });

const content = (answer) => answer.json.choices[0].message.content;
const ask = (model, more = {}) =>
  weir.chat({ model, messages: [{ role: 'user', content: 'x' }], ...more });
async function stream(model, more = {}) {
  const answer = await whole(await weir.fetch('/v1/chat/completions', { body: {
    model, stream: true, messages: [{ role: 'user', content: 'x' }], ...more } }));
  const events = answer.text.split(/\r?\n\r?\n/).filter((part) => part.startsWith('data: {'))
    .map((part) => JSON.parse(part.slice(6)));
  return { answer, events, done: /data: \[DONE\]\s*$/.test(answer.text),
           said: events.map((event) => event.choices?.[0]?.delta?.content ?? '').join(''),
           error: events.find((event) => event.error)?.error };
}

// --- "later"

for (const [name, [value, least, most, body]] of Object.entries(later)) {
  test(`429, retry-after: ${name}`, async () => {
    const model = `later-${name}`;
    const after = typeof value === 'function' ? value() : value;
    scripts.set(model, (call) => call.json(body ?? { error: { message: 'later' } }, {
      status: 429, fields: after === null ? {} : { 'retry-after': after } }));
    assert.equal((await ask(`far/${model}`)).status, 502);
    const cooling = await ask(`far/${model}`);
    if (cooling.status === 502) assert.equal(most, 1, 'it cools for longer than a moment');
    else {
      assert.equal(cooling.status, 503, cooling.text);
      const seconds = Number(cooling.header('retry-after'));
      assert.ok(seconds >= least && seconds <= most, `retry-after: ${seconds}`);
    }
    assert.equal(content(await ask(`far/${model}`, { models: ['spare/m'] })), 'spare');
  });
}

for (const status of [500, 502, 503, 529, 408]) {
  test(`${status}: the next candidate`, async () => {
    scripts.set(`e${status}`, (call) => call.error(status, 'LEAK'));
    const answer = await ask(`far/e${status}`, { models: ['spare/m'] });
    assert.equal(content(answer), 'spare');
    assert.equal(answer.header('x-weir-attempts'), '2');
    const alone = await ask(`far/e${status}`);
    assert.match(alone.json.error.message, new RegExp(`far/e${status}: status ${status}`));
  });
}

// --- nowhere

test('a name that is none, an address without a way: said in words, the next is asked', async () => {
  for (const name of ['nobody', 'nowhere']) {
    const alone = await ask(`${name}/m`);
    assert.ok([502, 503, 504].includes(alone.status), alone.text);
    assert.match(alone.json.error.message, new RegExp(`${name}/m: [a-z]`));
    assert.equal(content(await ask(`${name}/m`, { models: ['spare/m'] })), 'spare');
  }
});

// --- time

const forever = (bytes, ms) => async (call) => {
  while (!call.socket.destroyed && !call.socket.readableEnded) {
    await call.write(bytes);
    await pause(ms);
  }
};

test('reset inside the head; a body or a head a byte at a time: the next candidate', async () => {
  scripts.set('inside', async (call) => {
    await call.write('HTTP/1.1 200 OK\r\nContent-Ty');
    call.reset();
  });
  scripts.set('drip', async (call) => {      // never silent for long, never done
    await call.head(200, { 'content-type': 'application/json', 'content-length': 100000 });
    await forever(' ', 100)(call);
  });
  scripts.set('drop', forever('H', 100));
  for (const name of ['inside', 'drip', 'drop']) {
    const answer = await ask(`far/${name}`, { models: ['spare/m'] });
    assert.equal(content(answer), 'spare', name);
  }
});

test('pings for ever: before content the next candidate, after it an error event', async () => {
  scripts.set('pings', async (call) => {
    await call.begin();
    await forever('6\r\n: hi\n\n\r\n', 50)(call);
  });
  const early = await stream('far/pings', { models: ['spare/m'] });
  assert.equal(early.said, 'spare');
  assert.ok(early.done);
  scripts.set('pings-late', async (call) => {
    await call.begin();
    await call.event(delta({ content: 'half' }));
    await forever('6\r\n: hi\n\n\r\n', 50)(call);
  });
  const late = await stream('far/pings-late', { models: ['spare/m'] });
  assert.equal(late.said, 'half');
  assert.equal(late.error.code, 'upstream_timeout');
  assert.equal(late.done, false);
});

// Responses begins with all of its request, twice; others send empty deltas while they think.
test('what is before the first content: not one event is lost, or the next one is asked', async () => {
  const empty = (n) => ({ ...delta({ content: '' }), n, padding: 'x'.repeat(1000) });
  const begins = (count) => async (call) => {
    await call.begin();
    for (let n = 0; n < count; n++) {
      await call.event(empty(n));
      await call.chunk(`: ${'y'.repeat(100)}\n\n`);
    }
    await call.event(delta({ content: 'far' }));
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    return call.end();
  };
  scripts.set('slow-start', begins(200));
  const { answer, said, done } = await stream('far/slow-start', { models: ['spare/m'] });
  assert.equal(said, 'far');
  assert.ok(done);
  const numbers = [...answer.text.matchAll(/"n":(\d+)/g)].map((m) => Number(m[1]));
  assert.deepEqual(numbers, Array.from({ length: 200 }, (_, n) => n));
  scripts.set('no-start', begins(1200));      // over 1 MiB
  assert.equal((await stream('far/no-start', { models: ['spare/m'] })).said, 'spare');
});

// --- bytes

test('204 with a body, an unknown coding: the next candidate, nobody gets the bytes', async () => {
  scripts.set('full-204', (call) => call.write(
    `HTTP/1.1 204 No Content\r\nContent-Length: ${text.length}\r\n\r\n${text}`));
  scripts.set('zstd', (call) => call.json('\x28\xb5\x2f\xfd', {
    fields: { 'content-encoding': 'zstd' } }));
  for (const name of ['full-204', 'zstd']) {
    for (let i = 0; i < 2; i++) {
      assert.equal(content(await ask(`far/${name}`, { models: ['spare/m'] })), 'spare', name);
    }
  }
});

test('a line of more than 64 MiB ends the stream with an error, and holds no memory', async () => {
  const part = Buffer.alloc(1 << 20, 97);
  scripts.set('line', async (call) => {
    await call.begin();
    await call.event(delta({ content: 'first' }));
    await call.chunk('data: {"choices":[{"index":0,"delta":{"content":"');
    for (let i = 0; i < 70 && !call.socket.destroyed; i++) {
      await Promise.race([call.chunk(part), call.over]);
    }
  });
  const before = ownBytes(weir.pid);
  const response = await weir.fetch('/v1/chat/completions', { body: {
    model: 'wide/line', stream: true, messages: [{ role: 'user', content: 'x' }] } });
  let bytes = 0, most = 0, tail = '';
  for await (const piece of response.body) {
    bytes += piece.length;
    most = Math.max(most, ownBytes(weir.pid));
    tail = (tail + Buffer.from(piece.subarray(-400)).toString('latin1')).slice(-800);
  }
  assert.ok(bytes > 60 << 20 && bytes < 70 << 20, `${bytes} bytes came`);
  assert.match(tail, /\n\ndata: \{"error":/);
  assert.doesNotMatch(tail, /\[DONE\]/);
  assert.ok(most - before < 16 << 20, `${most - before} bytes more for one line`);
});

test('NUL and bytes that are no UTF-8, whole and streamed: not passed on', async () => {
  const broken = { nul: Buffer.from(text.replace('whole', 'wh\0le')),
                   utf8: Buffer.from(text.replace('whole', 'wh\xffle'), 'latin1') };
  for (const [name, bytes] of Object.entries(broken)) {
    scripts.set(name, (call) => call.json(bytes));
    assert.equal(content(await ask(`far/${name}`, { models: ['spare/m'] })), 'spare', name);
    scripts.set(`${name}-sse`, async (call) => {
      await call.begin();
      const event = Buffer.from(JSON.stringify(delta({ content: 'wh?le' })));
      event[event.indexOf('?')] = name === 'nul' ? 0 : 0xff;
      await call.chunk(Buffer.concat([Buffer.from('data: '), event, Buffer.from('\n\n')]));
      await call.event(delta({}, 'stop'));
      await call.event('[DONE]');
      return call.end();
    });
    const streamed = await stream(`far/${name}-sse`, { models: ['spare/m'] });
    assert.equal(streamed.said, 'spare', name);
  }
});

// --- counts, ends

const shell = { id: 'x', object: 'chat.completion.chunk', choices: [] };
async function counted(name, usages, wanted) {
  scripts.set(name, async (call) => {
    await call.begin();
    await call.event(delta({ content: 'word' }));
    await call.event(delta({}, 'stop'));
    for (const usage of usages) await call.event({ ...shell, usage });
    await call.event('[DONE]');
    return call.end();
  });
  const { answer, done } = await stream(`far/${name}`);
  assert.ok(done);
  const row = await weir.row(answer.header('x-request-id'));
  assert.equal(row.estimated, !wanted, JSON.stringify(row));
  if (wanted) assert.deepEqual([row.input_tokens, row.output_tokens], wanted);
  assert.ok(nano(row.cost_usd) >= 0n && nano(row.cost_usd) < 10n ** 9n, row.cost_usd);
  assert.doesNotMatch(answer.text, /usage":\{/, 'nobody asked for usage');
}

test('usage in a stream: twice (the last counts), negative, 2^63', async () => {
  const of = (prompt_tokens, completion_tokens) =>
    ({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens });
  await counted('twice', [of(5, 5), of(7, 3)], [7, 3]);
  await counted('minus', [of(-7, -3)], null);
  await counted('huge', [of(2 ** 63, 2 ** 63)], null);
});

test('usage in every chunk, as Perplexity sends it: hidden, the last counts', async () => {
  scripts.set('each', async (call) => {
    await call.begin();
    for (let i = 1; i <= 4; i++) {
      await call.event({ ...delta({ content: `${i}` }, i === 4 ? 'stop' : null), usage: {
        prompt_tokens: 9, completion_tokens: i, total_tokens: 9 + i } });
    }
    await call.event('[DONE]');
    return call.end();
  });
  const { answer, said, done } = await stream('far/each');
  assert.equal(said, '1234');
  assert.ok(done);
  assert.doesNotMatch(answer.text, /"usage"/);
  const row = await weir.row(answer.header('x-request-id'));
  assert.deepEqual([row.input_tokens, row.output_tokens, row.estimated], [9, 4, false]);
});

test('tool arguments that never close: as they came; without a finish an error', async () => {
  const begun = delta({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: {
    name: 'f', arguments: '{"city":"Z' } }] });
  scripts.set('tool', async (call) => {
    await call.begin();
    await call.event(begun);
    await call.event(delta({}, 'tool_calls'));
    await call.event('[DONE]');
    return call.end();
  });
  const finished = await stream('far/tool');
  assert.ok(finished.done);
  assert.deepEqual(finished.events[0], begun);
  scripts.set('tool-cut', async (call) => {
    await call.begin();
    await call.event(begun);
    return call.end();
  });
  const cut = await stream('far/tool-cut');
  assert.equal(cut.done, false);
  assert.equal(cut.error.code, 'upstream_error');
});

test('an error event of its own name, comments and error objects inside a 200', async () => {
  scripts.set('groq', async (call) => {
    await call.begin();
    await call.event(delta({ content: 'half' }));
    await call.chunk('event: error\ndata: {"error":{"message":"over capacity"}}\n\n');
    return call.end();
  });
  scripts.set('router', async (call) => {
    await call.begin();
    await call.chunk(': OPENROUTER PROCESSING\n\n');
    await call.event(delta({ content: 'half' }));
    await call.event({ ...delta({ content: '' }, 'error'),
                       error: { code: 502, message: 'Provider disconnected' } });
    await call.event('[DONE]');
    return call.end();
  });
  for (const name of ['groq', 'router']) {
    const { answer, said, error, done } = await stream(`far/${name}`);
    assert.equal(said, 'half', name);
    assert.ok(error, name);
    assert.equal(done, false, name);
    assert.equal((await weir.row(answer.header('x-request-id'))).close, 'upstream_error_event');
  }
});

// --- TLS

test('a certificate whose time is over; no close-notify: framed is whole, unframed is cut', async () => {
  const expired = await ask('tls-expired/m');
  assert.equal(expired.status, 502);
  assert.match(expired.json.error.message, /tls-expired\/m: .*expired/);
  assert.equal(content(await ask('tls-framed/m')), 'whole');
  const cut = await ask('tls-cut/m', { models: ['spare/m'] });
  assert.equal(content(cut), 'spare', 'who cuts a connection must not end an answer');
});

test('it ends cleanly, and nothing is left open', async () => {
  await until(async () => /^weir_open_exchanges 0$/m.test(await weir.metrics()), 'none is open');
  await weir.stop();
  assert.equal(weir.run.stderr, '');
  assert.doesNotMatch(weir.run.stdout, /LEAK/);
  for (const p of [far, spare]) assert.deepEqual(p.faults, []);
});
