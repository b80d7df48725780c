// peers.mjs - providers of the four dialects on one server: they refuse what their makers would
// refuse (strict.mjs), remember which signatures they gave, and answer as a test says (render.mjs).
//   const there = await peers((ask) => ({ parts: [{ text: 'hi' }] }));   there.url, there.asked
// ask: { dialect, body, neutral, headers, path, stream, n }. An answer may also say
//   { status, error }             an error instead of an answer
//   { breaks: n, how }            after n events: 'error' event, 'reset', 'end', 'hang', or
//                                 'chunk': the connection ends within a chunk
//   { raw: fn(res) }              whatever the test likes
//   { cuts: next }                bytes leave in seeded pieces
// Rule: a request that was refused here is a fault of Weir's: faults holds it, tests look.
import http from 'node:http';
import { atEnd } from './weir.mjs';
import { errorBody, errorEvent, renderers } from './render.mjs';
import { readers, Refusal } from './strict.mjs';
import { pieces } from './wire.mjs';

export const DIALECTS = ['chat', 'responses', 'messages', 'gemini'];
// The name of a dialect in Weir's configuration.
export const CONFIG = { chat: 'openai', responses: 'responses', messages: 'anthropic',
                        gemini: 'gemini' };
// Path and body of a question whose answer is to be streamed.
export const ask = {
  chat: (model, content = 'x') => ['/v1/chat/completions', { model, stream: true,
    stream_options: { include_usage: true }, messages: [{ role: 'user', content }] }],
  responses: (model, input = 'x') => ['/v1/responses', { model, stream: true, input }],
  messages: (model, content = 'x') => ['/v1/messages', { model, stream: true, max_tokens: 900,
    messages: [{ role: 'user', content }] }],
  gemini: (model, text = 'x') => [`/v1beta/models/${model}:streamGenerateContent?alt=sse`,
    { contents: [{ role: 'user', parts: [{ text }] }] }],
};

export const USAGE = { input: 70, cached: 20, write: 0, output: 30, reasoning: 0 };

function where(path) {
  if (/\/chat\/completions$/.test(path)) return { dialect: 'chat' };
  if (/\/responses$/.test(path)) return { dialect: 'responses' };
  if (/\/responses\/input_tokens$/.test(path)) return { dialect: 'responses', count: true };
  if (/\/messages$/.test(path)) return { dialect: 'messages' };
  if (/\/messages\/count_tokens$/.test(path)) return { dialect: 'messages', count: true };
  const m = /\/models\/(.+):(generateContent|streamGenerateContent|countTokens)$/.exec(path);
  if (!m) return {};
  return { dialect: 'gemini', model: m[1], count: m[2] === 'countTokens',
           stream: m[2] === 'streamGenerateContent' };
}

// What says in chat's words that the last turn is to be gone on with: taken off the body of a
// model whose name ends in that word; any other refuses it as unknown.
function unmark(body, model) {
  const [, word] = /-(prefix|echo|partial|final)$/.exec(model ?? '') ?? [];
  const last = body.messages?.at(-1), marks = {};
  const take = (object, name) => {
    if (object?.[name] === undefined) return;
    marks[name] = object[name];
    delete object[name];
  };
  if (word === 'prefix' || word === 'echo') take(last, 'prefix');
  if (word === 'partial') take(last, 'partial');
  if (word === 'final') {
    take(body, 'continue_final_message');
    take(body, 'add_generation_prompt');
  }
  return marks;
}

// What Anthropic answers where it keeps no threads; its SDK goes on without them.
const threadless = { type: 'error', error: { type: 'invalid_request_error',
  message: 'thread: this request cannot be threaded',
  details: { error_code: 'thread_unsupported_request', unsupported: ['thread'] } } };

class Peers {
  constructor(script) {
    this.script = script;
    this.asked = [];
    this.faults = [];
    this.strict = true;
    this.gone = 0;               // clients that went away before the end
    // What each dialect signed: signature -> the thought's text.
    this.signed = Object.fromEntries(DIALECTS.map((name) => [name, new Map()]));
  }

  async serve(req, res, raw) {
    const [path, query = ''] = req.url.split('?');
    const { dialect, model, count, stream } = where(path);
    const json = (status, value) => {
      res.writeHead(status, { 'content-type': 'application/json' });
      res.end(JSON.stringify(value));
    };
    if (!dialect) return json(404, { error: { message: `no such path ${path}` } });
    let ask;
    try {
      const body = JSON.parse(raw);
      ask = { dialect, body, raw, headers: req.headers, path, query, count, n: this.asked.length,
              stream: stream ?? Boolean(body.stream), model: model ?? body.model };
      this.asked.push(ask);
      if (count) return await this.counted(ask, json);
      if (body.thread) return json(400, threadless);
      if (dialect === 'gemini' && ask.stream && query !== 'alt=sse') {
        throw new Refusal(`streamGenerateContent?${query}`);
      }
      ask.marks = unmark(body, ask.model);
      ask.neutral = readers[dialect](body, {
        signatures: this.signed[dialect], stream: ask.stream, lenient: !this.strict,
        version: req.headers['anthropic-version'] ?? '', signed: /gemini-3/.test(ask.model) });
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof SyntaxError)) throw error;
      if (this.strict) {
        this.faults.push(`${dialect}: ${error.message}\n${raw.slice(0, 3000)}`);
        return json(400, errorBody(dialect, 400, error.message));
      }
      ask.refused = error.message;
    }
    return this.answer(ask, res, json);
  }

  async counted(ask, json) {
    const answer = await this.script(ask) ?? {};
    if (answer.status) return json(answer.status, errorBody(ask.dialect, answer.status, 'no'));
    if (ask.dialect === 'gemini') return json(200, { totalTokens: answer.count ?? 42 });
    return json(200, { ...(ask.dialect === 'responses' ? { object: 'response.input_tokens' } : {}),
                       input_tokens: answer.count ?? 42 });
  }

  async answer(ask, res, json) {
    const answer = await this.script(ask);
    const { dialect } = ask;
    if (answer.raw) return answer.raw(res);
    if (answer.status) {
      for (const [name, value] of Object.entries(answer.headers ?? {})) res.setHeader(name, value);
      return json(answer.status, errorBody(dialect, answer.status, answer.error ?? 'no'));
    }
    for (const part of answer.parts) {
      if (part.sign) this.signed[dialect].set(part.sign, part.thought ?? '');
    }
    const id = `there${String(ask.n).padStart(6, '0')}${dialect}`;
    const { whole, events } = renderers[dialect](answer, { id, model: answer.model ?? ask.model,
                                                 usage: { ...USAGE, ...answer.usage } });
    return ask.stream ? this.pour(answer, dialect, events, res) : json(200, whole);
  }

  async pour(answer, dialect, events, res) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    const told = answer.breaks === undefined ? events : events.slice(0, answer.breaks);
    if (answer.breaks !== undefined && answer.how === 'error') {
      told.push(errorEvent(dialect, 'the provider is out of breath'));
    }
    const all = Buffer.from(told.join(''));
    const list = answer.cuts ? pieces(all, answer.cuts, answer.most ?? 40)
                             : told.map((text) => Buffer.from(text));
    for (const [i, piece] of list.entries()) {
      if (res.destroyed) return;
      res.write(piece);
      if (answer.pace) await new Promise((resolve) => setTimeout(resolve, answer.pace));
      else if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    if (answer.how === 'hang') return;
    if (answer.how === 'chunk') {
      await new Promise((resolve) => { res.write('', resolve); setImmediate(resolve); });
      res.socket.end('400\r\ndata: {"id":"half a chu');
      return;
    }
    if (answer.how === 'reset') res.socket.resetAndDestroy();
    else res.end();
  }
}

export async function peers(script) {
  const state = new Peers(script);
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      state.serve(req, res, Buffer.concat(parts).toString()).catch((error) => {
        state.faults.push(`${req.url}: ${error.stack}`);
        if (!res.headersSent) res.writeHead(500);
        res.end();
      });
    });
    res.on('close', () => { if (!res.writableFinished) state.gone++; });
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.address = `http://127.0.0.1:${server.address().port}`;
  state.close = () => { server.closeAllConnections(); server.close(); };
  atEnd(state.close);
  return state;
}

// Weir's providers in front of them, one of each dialect under its own name.
export const providersOf = (there, more = {}) => DIALECTS.map((name) => ({
  name, dialect: CONFIG[name], keys: ['sk-there'],
  url: `${there.address}/${name === 'gemini' ? 'v1beta' : 'v1'}`, ...more }));
