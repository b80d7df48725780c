// canary.mjs - requests and answers that are full of marks, in every part and ended in every way
// there is, for the tests that look for what is left of them (zero*.test.mjs).
//   const yard = await Yard.open();   yard.config({...});   await yard.everything(weir);
// A mark is a word that nothing else holds, several times in a row, so that a piece of what was
// cut anywhere still has one whole. MARK is in what clients and providers say, KEY in what Weir
// is told as a secret and needs (provider keys).
// Rule: x-weir-tags, model names and sane request ids hold none: they are the caller's labels,
// which are kept.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import zlib from 'node:zlib';
import { chat, delta, provider } from './provider.mjs';
import { identity } from './tls.mjs';
import { Wire, post } from './wire.mjs';
import { pause, until, within } from './weir.mjs';

const MARK = 'Kq9zXw7vJ4', KEY = 'uY3bRm8pL6';
const several = (name, mark) => `${name}${mark}`.repeat(4);

// What to look for: the word plain, escaped, in base64 at each of its three alignments, in hex,
// in UTF-16.
export function disguised(word) {
  const aligned = [0, 1, 2].map((shift) => {
    const text = Buffer.from('x'.repeat(shift) + word).toString('base64').replace(/=+$/, '');
    return text.slice(shift ? shift + 1 : 0, -1);
  });
  const escaped = [...word].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join('');
  return [word, ...aligned, escaped, Buffer.from(word).toString('hex')]
    .map((text) => Buffer.from(text)).concat(Buffer.from(word, 'utf16le'));
}
export const marks = disguised(MARK);
export const keyMarks = disguised(KEY);
export const canary = (name) => several(name, MARK);
export const secret = (name) => `sk-${several(name, KEY)}`;

const c = canary;
const upKeys = [secret('first'), secret('second')];
const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const fields = { 'x-secret': c('field'), 'x-request-id': c('upid'), 'set-cookie': c('upcookie'),
                 'openai-organization': c('org') };

const full = () => ({
  ...chat(c('text'), usage), id: c('id'), system_fingerprint: c('print'),
  choices: [{ index: 0, finish_reason: 'tool_calls', logprobs: { content: [{ token: c('log') }] },
              message: { role: 'assistant', content: c('content'), refusal: c('refusal'),
                         reasoning_content: c('reasoning'), annotations: [{ url: c('url') }],
                         tool_calls: [{ id: c('call'), type: 'function', function: {
                           name: c('function'), arguments: JSON.stringify({ a: c('arg') }) } }] } }],
  [c('member')]: c('value') });

const deltas = () => [
  { role: 'assistant', content: '' }, { reasoning_content: c('thought') }, { content: c('one') },
  { refusal: c('no') }, { tool_calls: [{ index: 0, id: c('call'), function: {
    name: c('function'), arguments: '{"a":"' } }] },
  { tool_calls: [{ index: 0, function: { arguments: c('arg') } }] }, { content: c('two') }];

async function streamed(call, { until: stop = 'end' } = {}) {
  await call.begin(fields);
  for (const d of deltas()) await call.event({ ...delta(d), id: c('id'), [c('member')]: 1 });
  await call.write('0');                       // begins a chunk size: never ended
  if (stop === 'middle') return call.reset();
  if (stop === 'cut') return call.cut();
  return call.over;
}

async function good(call) {
  if (!call.request.json.stream) return call.json(full(), { fields });
  await call.begin(fields);
  await call.chunk(`: ${c('comment')}\n\nevent: ${c('name')}\nid: ${c('eventid')}\n\n`);
  for (const d of deltas()) await call.event({ ...delta(d), id: c('id'), [c('member')]: 1 });
  const bytes = Buffer.from(`data: ${JSON.stringify(delta({ content: c('split') }))}\n\n`);
  for (let at = 0; at < bytes.length; at += 13) await call.chunk(bytes.subarray(at, at + 13));
  await call.event(delta({}, 'stop'));
  await call.event({ ...delta({}), choices: [], usage, x: c('usage') });
  await call.event('[DONE]');
  return call.end();
}

// What a provider may do, by the name of the model that is asked for.
const manners = {
  good,
  plain: (call) => (call.request.json.stream ? call.stream(['a', 'b']) : call.json(chat('ok'))),
  large: async (call) => (call.request.json.stream
    ? call.stream(Array.from({ length: 300 }, () => c('word').repeat(20)))
    : call.json(chat(c('large').repeat(6000)), { fields })),
  event: async (call) => call.stream([c('event').repeat(3000)]),     // beyond what is inspected
  closes: async (call) => {
    await call.head(200, { 'content-type': 'application/json', connection: 'close', ...fields });
    await call.write(JSON.stringify(full()));
    return call.cut();
  },
  more: async (call) => {
    await call.json(full());
    return call.write(`HTTP/1.1 200 OK\r\nx: ${c('unasked')}\r\n\r\n`);
  },
  refuses: (call) => call.error(400, c('refused'), c('code'), fields),
  denies: (call) => call.error(401, `bad key ${call.request.get('authorization')}`, c('code')),
  lacks: (call) => call.error(404, c('lacks'), c('code'), fields),
  outgrown: (call) => call.error(413, c('outgrown'), c('code'), fields),
  later: (call) => call.error(429, c('later'), c('code'), { 'retry-after': c('after') }),
  fails: (call) => call.error(500, c('failed'), c('code'), fields),
  garbles: (call) => call.json(`{"choices":[{"message":{"content":"${c('garbled')}`),
  zips: (call) => call.json(zlib.gzipSync(JSON.stringify(full())),
                            { fields: { 'content-encoding': c('gzip') } }),
  heads: (call) => call.head(200, { 'x-large': c('head').repeat(3000) }),
  mumbles: (call) => call.write(`${c('status')} 200 OK\r\n\r\n`),
  interim: async (call) => {
    await call.write(`HTTP/1.1 103 ${c('early')}\r\nlink: ${c('link')}\r\n\r\n`);
    return good(call);
  },
  partial: async (call) => {
    await call.head(200, { 'content-type': 'application/json', 'content-length': 90000 });
    await call.write(c('partial').repeat(40));
    return call.reset();
  },
  half: async (call) => {
    await call.write(`HTTP/1.1 200 OK\r\nx-half: ${c('half')}`);
    return call.reset();
  },
  early: async (call) => {                     // an error event before anything of use
    await call.begin(fields);
    await call.event({ error: { message: c('early'), code: c('code') } });
    return call.end();
  },
  errs: async (call) => {
    await call.begin(fields);
    for (const d of deltas()) await call.event(delta(d));
    await call.event({ error: { message: c('broke'), code: c('code') } });
    return call.end();
  },
  tail: async (call) => {                      // an event that never ends
    await call.begin(fields);
    for (const d of deltas()) await call.event(delta(d));
    const long = JSON.stringify(delta({ content: c('long').repeat(20) }));
    for (const piece of [`data: ${long.slice(0, 900)}`, `${long.slice(900)}\n\ndata: {"choices"`,
                         ':[{"delta":{"content":"', c('tail')]) {
      await call.chunk(piece);
      await pause(20);
    }
    return call.reset();
  },
  resets: (call) => streamed(call, { until: 'middle' }),
  cuts: (call) => streamed(call, { until: 'cut' }),
  hangs: (call) => (call.request.json.stream ? streamed(call) : call.over),
};

// --- a provider behind TLS, on node's own HTTP

async function secure(id) {
  const server = https.createServer({ key: fs.readFileSync(id.key),
                                      cert: fs.readFileSync(id.cert) }, (req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts));
      res.setHeader('x-secret', c('field'));
      if (!body.stream) {
        res.setHeader('content-type', 'application/json');
        return res.end(JSON.stringify(body.large ? chat(c('large').repeat(5000)) : full()));
      }
      res.setHeader('content-type', 'text/event-stream');
      for (const d of deltas()) res.write(`data: ${JSON.stringify(delta(d))}\n\n`);
      if (body.hang) return undefined;
      res.write(`data: ${JSON.stringify(delta({}, 'stop'))}\n\n`);
      return res.end('data: [DONE]\n\n');
    });
  });
  await new Promise((resolve) => server.listen(0, resolve));
  server.url = `https://localhost:${server.address().port}/v1`;
  return server;
}

export class Yard {
  static async open() {
    const yard = new Yard();
    yard.id = identity();
    yard.far = await provider((call) => manners[call.model](call));
    yard.safe = await secure(yard.id);
    yard.env = { SSL_CERT_FILE: yard.id.cert, YARD_KEY: upKeys[1] };
    return yard;
  }

  close() {
    this.safe.closeAllConnections();
    this.safe.close();
    this.far.close();
  }

  config(more = {}) {
    const price = { input: '1', output: '1' };
    return {
      listen: ['127.0.0.1:0', { address: '127.0.0.1:0', tls: this.id }],
      providers: [
        { name: 'far', url: this.far.url, keys: [upKeys[0], '${YARD_KEY}'],
          headers: { 'x-token': secret('header') } },
        { name: 'next', url: this.far.url, keys: [upKeys[0]] },
        { name: 'safe', url: this.safe.url, keys: [upKeys[0]] }],
      models: [...Object.keys(manners).flatMap((name) => [{ id: `far/${name}`, price },
                                                          { id: `next/${name}`, price }]),
               { id: 'safe/m', price }],
      log: { level: 'debug' }, timeouts: { header: '1s', body: '1s' }, ...more,
      limits: { body: '2MiB', header: '8KiB', hold: '64KiB', answer: '4MiB', ...more.limits } };
  }

  request(model, more = {}) {
    const image = `data:image/png;base64,${Buffer.from(c('image')).toString('base64')}`;
    return {
      model, user: c('user'), metadata: { [c('meta')]: c('data') }, [c('unknown')]: c('member'),
      seed: 1, stop: [c('stop')], prompt_cache_key: c('cache'), safety_identifier: c('safety'),
      messages: [{ role: 'system', content: c('system') },
                 { role: 'user', name: c('name'), content: [
                   { type: 'text', text: c('prompt') },
                   { type: 'image_url', image_url: { url: image } }] },
                 { role: 'assistant', tool_calls: [{ id: c('call'), type: 'function', function: {
                   name: c('tool'), arguments: JSON.stringify({ a: c('arg') }) } }] },
                 { role: 'tool', tool_call_id: c('call'), content: c('result') }],
      tools: [{ type: 'function', function: { name: c('function'), description: c('describes'),
                parameters: { type: 'object', properties: { [c('property')]: {} } } } }],
      response_format: { type: 'json_schema', json_schema: { name: c('schema'), schema: {} } },
      ...more };
  }

  // All of it, on this Weir. Gives how many answers of each status there were.
  async everything(weir) {
    const seen = {};
    const count = (status) => { seen[status] = (seen[status] ?? 0) + 1; };
    const where = `/v1/chat/completions?q=${c('query')}`;
    const headers = { cookie: `c=${c('cookie')}`, 'user-agent': c('agent'), 'x-any': c('any'),
                      traceparent: c('trace'), 'x-weir-tags': 'kind=canary' };
    const send = async (body, options = {}) => {
      const answer = await weir.fetch(where, { body, headers, ...options });
      await answer.text().catch(() => {});
      count(answer.status);
      return answer.status;
    };
    await this.answers(weir, send, { ...headers, 'x-weir-timeout': '1' });
    await this.translated(weir, headers, count);
    await this.refusals(weir, send, headers);
    await this.wires(weir, where, count);
    await this.tls(weir, where, headers, count);
    await this.others(weir, send, headers, count);
    await this.admin(weir);
    return seen;
  }

  // Each thing that a provider may do, streamed and not, alone and with others to fall over to.
  async answers(weir, send, headers) {
    for (const name of Object.keys(manners)) {
      if (['denies', 'later'].includes(name)) continue;      // they make keys rest: at the end
      for (const stream of [false, true]) {
        await send(this.request(`far/${name}`, { stream }), { headers });
      }
    }
    const models = ['next/partial', 'next/early', 'next/fails', 'next/good'];
    for (const stream of [false, true]) {
      await send(this.request('far/half', { stream, models, usage: { include: true },
                                            stream_options: { include_usage: true } }));
    }
  }

  // The same from clients of other dialects: requests and answers are translated.
  async translated(weir, headers, count) {
    const image = Buffer.from(c('image')).toString('base64');
    const schema = { type: 'object', properties: { [c('property')]: { type: 'string' } } };
    const asks = {
      '/v1/messages': (model, stream) => ({
        model, stream, max_tokens: 99, system: c('system'), metadata: { user_id: c('user') },
        stop_sequences: [c('stop')], [c('unknown')]: c('member'),
        messages: [
          { role: 'user', content: [{ type: 'text', text: c('prompt').repeat(200) },
            { type: 'image', source: { type: 'base64', media_type: 'image/png', data: image } }] },
          { role: 'assistant', content: [
            { type: 'thinking', thinking: c('thought'), signature: `WeirSgG0${c('sign')}` },
            { type: 'tool_use', id: c('call'), name: c('tool'), input: { a: c('arg') } }] },
          { role: 'user', content: [{ type: 'tool_result', tool_use_id: c('call'),
                                      content: c('result') }] }],
        tools: [{ name: c('tool'), description: c('describes'), input_schema: schema }] }),
      '/v1/responses': (model, stream) => ({
        model, stream, instructions: c('system'), user: c('user'), [c('unknown')]: c('member'),
        input: [{ role: 'user', content: [{ type: 'input_text', text: c('prompt') }] },
                { type: 'function_call', call_id: c('call'), name: c('tool'),
                  arguments: JSON.stringify({ a: c('arg') }) },
                { type: 'function_call_output', call_id: c('call'), output: c('result') }],
        tools: [{ type: 'function', name: c('tool'), description: c('describes'),
                  parameters: schema }] }),
      gemini: () => ({
        systemInstruction: { parts: [{ text: c('system') }] }, [c('unknown')]: c('member'),
        contents: [{ role: 'user', parts: [{ text: c('prompt') },
                     { inlineData: { mimeType: 'image/png', data: image } }] },
                   { role: 'model', parts: [{ functionCall: { name: c('tool'),
                                                              args: { a: c('arg') } } }] },
                   { role: 'user', parts: [{ functionResponse: { name: c('tool'),
                                             response: { b: c('result') } } }] }],
        tools: [{ functionDeclarations: [{ name: c('tool'), parameters: schema }] }] }) };
    for (const [where, body] of Object.entries(asks)) {
      for (const name of Object.keys(manners)) {
        if (['denies', 'later'].includes(name)) continue;
        for (const stream of [false, true]) {
          const path = where[0] === '/' ? where : `/v1beta/models/far/${name}:` +
            (stream ? 'streamGenerateContent' : 'generateContent');
          const answer = await weir.fetch(path, { body: body(`far/${name}`, stream),
                                                  headers: { ...headers, 'x-weir-timeout': '1' } });
          const text = await answer.text().catch(() => {});
          // 'event' is too large to be inspected, and no JSON: nothing that could be told
          if (['good', 'large'].includes(name)) assert.equal(answer.status, 200, text);
          count(answer.status);
        }
      }
    }
  }

  async refusals(weir, send, headers) {
    const s = async (status, body, options) => assert.equal(await send(body, options), status);
    await s(404, this.request('nosuch'));
    await s(400, `{"model":"far/good","messages":"${c('cut')}`);
    await s(400, JSON.stringify(this.request('far/good')).replace('"seed"', '"model"'));
    await s(400, this.request('far/good', { stream: c('stream') }));
    await s(400, this.request('far/good', { provider: { order: c('order') } }));
    await s(400, this.request('far/good', { max_tokens: c('tokens') }));
    await s(401, this.request('far/good'), { key: `sk-weir-${c('guess')}` });
    await s(401, this.request('far/good'), { headers: { ...headers, 'x-api-key': c('guess') } });
    await s(413, this.request('far/good', { [c('big')]: c('big').repeat(60000) }));
    await s(431, this.request('far/good'), { headers: { 'x-large': c('large').repeat(250) } });
    assert.equal((await weir.fetch(`/v1/${c('path')}?${c('query')}`)).status, 404);
  }

  // What takes a socket of one's own.
  async wires(weir, where, count) {
    const open = () => Wire.open(weir.url);
    const of = (model, more) => post(where, weir.key, this.request(model, more),
                                     [`X-Any: ${c('any')}`, `Cookie: ${c('cookie')}`]);
    const large = of('far/good', { [c('big')]: c('big').repeat(5000) });
    for (const bytes of [of('far/good').subarray(0, 300), of('far/good').subarray(0, -20),
                         large.subarray(0, -20), of('far/hangs')]) {
      for (const how of ['reset', 'close', 'half']) {       // before there is an answer
        const wire = await open();
        await wire.send(bytes);
        await pause(20);
        wire[how]();
        if (how === 'half') await within(wire.intake.rest(), 'the end').catch(() => {});
        wire.close();
      }
    }
    for (const how of ['reset', 'close']) {                 // in the middle of one
      for (const model of ['far/hangs', 'far/large']) {
        const wire = await open();
        await wire.send(of(model, { stream: true }));
        await wire.intake.until(Buffer.from(MARK));
        wire[how]();
      }
    }
    const wire = await open();                              // kept alive, pipelined, chunked
    await wire.send(Buffer.concat([of('far/good'), of('far/good', { stream: true }), large]));
    for (let i = 0; i < 3; i++) count((await wire.answer()).status);
    const body = Buffer.from(JSON.stringify(this.request('far/good')));
    const head = `POST ${where} HTTP/1.1\r\nHost: x\r\nx-api-key: ${weir.key}\r\n` +
                 'Transfer-Encoding: chunked\r\n\r\n';
    await wire.send(head);
    for (let at = 0; at < body.length; at += 97) {
      const part = body.subarray(at, at + 97);
      await wire.send(`${part.length.toString(16)}\r\n${part}\r\n`);
    }
    await wire.send('0\r\n\r\n');
    count((await wire.answer()).status);
    this.open = [wire];                                     // stays open, and idle
    const bytes = of('far/good');
    const drip = await open();                              // the head in small pieces
    for (let at = 0; at < bytes.length; at += 61) await drip.send(bytes.subarray(at, at + 61));
    count((await drip.answer()).status);
    this.open.push(drip);
    for (const text of [`GET / HTTP/1.1\r\nHost: x\r\nX-A: ${c('bad')}\nB\r\n\r\n`,
                        `${c('method')} / HTTP/1.1\r\nHost: x\r\n\r\n`,
                        `POST ${where} HTTP/1.1\r\nHost: ${c('host')}\r\nHost: x\r\n\r\n`]) {
      const bad = await open();
      await bad.send(text);
      assert.ok([400, 404].includes((await bad.answer()).status), text);
      bad.close();
    }
    const slow = [await open(), await open()];              // until a timer ends them
    await slow[0].send(bytes.subarray(0, 200));
    await slow[1].send(bytes.subarray(0, -30));
    for (const w of slow) {
      assert.equal((await w.answer()).status, 408);
      w.close();
    }
  }

  // TLS on the way in, to a provider without it and one with.
  async tls(weir, where, headers, count) {
    const url = /^listening on (https:\S+)$/m.exec(weir.run.stdout)[1];
    const ca = fs.readFileSync(this.id.cert);
    this.agent = new https.Agent({ ca, keepAlive: true });
    const call = (body, options = {}) => new Promise((resolve, reject) => {
      const req = https.request(url + where, { agent: this.agent, method: 'POST', headers: {
        ...headers, authorization: `Bearer ${weir.key}`, 'content-type': 'application/json' },
        ...options }, async (answer) => {
        if (options.leave) { answer.once('data', () => { req.destroy(); resolve(); }); return; }
        for await (const part of answer) void part;
        count(answer.statusCode);
        resolve();
      });
      req.on('error', (error) => (options.leave ? resolve() : reject(error)));
      req.end(JSON.stringify(body));
    });
    const models = ['far/good', 'safe/m', 'far/large', 'far/fails'];
    for (const model of models) {
      for (const stream of [false, true]) {
        await call(this.request(model, { stream }));
        await call(this.request(model, { stream, large: true, [c('big')]: c('big').repeat(3000) }));
      }
    }
    await call(this.request('safe/m', { stream: true, hang: true }), { leave: true });
    await call(this.request('far/hangs', { stream: true }), { leave: true });
    const socket = tls.connect({ host: '127.0.0.1', port: new URL(url).port, ca });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const bytes = post(where, weir.key, this.request('safe/m'));
    socket.write(bytes.subarray(0, bytes.length - 40));    // leaves in the middle of a request
    await pause(50);
    socket.destroy();
  }

  async others(weir, send, headers, count) {
    const texts = { embeddings: { input: [c('input')] }, completions: { prompt: c('prompt') },
                    moderations: { input: c('input') } };
    for (const [name, more] of Object.entries(texts)) {
      const answer = await weir.fetch(`/v1/${name}?${c('query')}`, {
        headers, body: { model: 'far/good', user: c('user'), ...more } });
      await answer.text();
      count(answer.status);
    }
    const contents = [{ role: 'user', parts: [{ text: c('gemini') }] }];
    const apis = { '/v1/messages': { max_tokens: 9, system: c('system'),
                                     messages: [{ role: 'user', content: c('anthropic') }] },
                   '/v1/responses': { input: c('responses'), instructions: c('instructions') },
                   '/v1beta/models/far/good:generateContent': { contents },
                   '/v1beta/models/far/good:streamGenerateContent': { contents } };
    for (const [path, more] of Object.entries(apis)) {
      for (const stream of path.startsWith('/v1/') ? [false, true] : [undefined]) {
        const answer = await weir.fetch(`${path}?q=${c('query')}`, {
          headers, body: { model: 'far/good', stream, [c('member')]: c('value'), ...more } });
        await answer.text();
        count(answer.status);
      }
    }
    await weir.fetch('/v1/feedback', { headers, body: { request_id: c('id'), score: 1 } });
    await weir.fetch(`/v1/models/${c('model')}`, { headers });
    weir.signal('SIGHUP');
    await until(() => /^reloaded$/m.test(weir.run.stderr), 'it reloads');
    await send(this.request('far/good'));
    for (const model of ['far/later', 'far/denies']) await send(this.request(model));
  }

  async admin(weir) {
    await weir.call('GET', `/admin/v1/units?limit=${c('limit')}`);
    await weir.call('GET', `/admin/v1/${c('path')}`);
    await weir.call('POST', '/admin/v1/units', { kind: c('kind'), [c('field')]: c('value') });
    await weir.call('POST', '/admin/v1/units', `{"name":"${c('cut')}`);
    await weir.call('POST', '/admin/v1/keys', { member: c('member'), name: c('name') },
                    { headers: { 'idempotency-key': 'canary', cookie: c('cookie') } });
    await weir.call('GET', '/admin/v1/units', undefined, { token: c('token') });
  }

  // Close what was left open on purpose.
  leave() {
    for (const wire of this.open) wire.close();
    this.agent.destroy();
  }
}
