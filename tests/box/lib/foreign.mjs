// foreign.mjs - an OpenAI-compatible server on node's own HTTP stack, as strangers write them:
// streams leave in odd pieces that cut events and characters, model names choose variants
// (crlf, nousage, slow, endless), answers carry headers of their own.
import http from 'node:http';
import { atEnd } from './weir.mjs';
import { pieces, seeded } from './wire.mjs';

const count = (text) => Math.max(1, Math.ceil(text.length / 4));

function textOf(content) {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text ?? '').join('');
}

// What it answers to a prompt: the last message, backwards, so that nobody guesses it.
export const reply = (prompt) => [...prompt].reverse().join('');

export function vector(text, size = 8) {
  const next = seeded(text.length * 2654435761 + 17);
  return Array.from({ length: size }, () => Math.fround((next() % 2000 - 1000) / 1000));
}

export async function foreign() {
  const state = { requests: [], closes: 0, serial: 0 };
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      const raw = Buffer.concat(parts);
      const body = raw.length ? JSON.parse(raw) : undefined;
      state.requests.push({ method: req.method, url: req.url, headers: req.headers, raw, body });
      res.setHeader('x-request-id', `foreign-${++state.serial}`);
      res.setHeader('openai-processing-ms', '12');
      res.setHeader('set-cookie', 'session=abc');
      route(state, req, res, body).catch(() => res.destroy());
    });
    res.on('close', () => { if (!res.writableFinished) state.closes++; });
  });
  server.keepAliveTimeout = 0;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.url = `http://127.0.0.1:${server.address().port}/v1`;
  state.close = () => { server.closeAllConnections(); server.close(); };
  atEnd(state.close);
  return state;
}

async function route(state, req, res, body) {
  const path = req.url.split('?')[0];
  if (path === '/v1/chat/completions') {
    return body.stream ? chatStream(res, body) : json(res, chatWhole(body));
  }
  if (path === '/v1/embeddings') return json(res, embeddings(body));
  if (path === '/v1/completions') {
    return body.stream ? textStream(res, body) : json(res, textWhole(body));
  }
  if (path === '/v1/moderations') return json(res, moderation(body));
  return json(res, { error: { message: 'no such path', type: 'not_found' } }, 404);
}

function json(res, value, status = 200) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
}

// --- chat

function usageOf(prompt, text) {
  return { prompt_tokens: count(prompt), completion_tokens: count(text),
           total_tokens: count(prompt) + count(text),
           prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
           completion_tokens_details: { reasoning_tokens: 0 } };
}

const toolCall = (body, index) => ({
  id: `call_${index}`, type: 'function',
  function: { name: body.tools[index].function.name, arguments: '{"city":"Zürich ☂","n":' +
                                                                `${index}}` },
});

function chatWhole(body) {
  const prompt = textOf(body.messages.at(-1).content);
  const text = reply(prompt);
  const message = { role: 'assistant', content: text, refusal: null };
  if (body.tools) {
    message.content = null;
    message.tool_calls = body.tools.map((_, index) => toolCall(body, index));
  }
  return { id: 'chatcmpl-f1', object: 'chat.completion', created: 1700000000, model: body.model,
           choices: [{ index: 0, message, logprobs: null,
                       finish_reason: body.tools ? 'tool_calls' : 'stop' }],
           usage: usageOf(prompt, text), echo: Object.keys(body) };
}

// Events in the form the model's name asks for, cut anywhere.
async function pour(res, body, events) {
  const name = body.model;
  const end = name.includes('crlf') ? '\r\n' : '\n';
  const text = (name.includes('crlf') ? ': hello\r\n\r\n' : '') + events.map((event) =>
    `data: ${typeof event === 'string' ? event : JSON.stringify(event)}${end}${end}`).join('');
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8',
                       'cache-control': 'no-cache' });
  const next = seeded(text.length + 1);
  for (const piece of pieces(Buffer.from(text), next, name.includes('crlf') ? 40 : 400)) {
    if (res.destroyed) return;
    res.write(piece);
    if (next() % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  if (!name.includes('endless')) res.end();
}

const chunk = (body, delta, finish = null) => ({
  id: 'chatcmpl-f2', object: 'chat.completion.chunk', created: 1700000000, model: body.model,
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
});

async function chatStream(res, body) {
  const prompt = textOf(body.messages.at(-1).content);
  const text = reply(prompt);
  const events = [chunk(body, { role: 'assistant', content: '' })];
  if (body.tools) {
    body.tools.forEach((_, index) => {
      const { id, type, function: f } = toolCall(body, index);
      events.push(chunk(body, { tool_calls: [{ index, id, type,
                                               function: { name: f.name, arguments: '' } }] }));
      for (const part of f.arguments.match(/.{1,7}/gsu)) {
        events.push(chunk(body, { tool_calls: [{ index, function: { arguments: part } }] }));
      }
    });
  } else {
    for (const part of text.match(/.{1,3}/gsu) ?? []) {
      events.push(chunk(body, { content: part }));
    }
  }
  if (!body.model.includes('endless')) {
    events.push(chunk(body, {}, body.tools ? 'tool_calls' : 'stop'));
    if (body.stream_options?.include_usage) {
      events.push({ ...chunk(body, {}), choices: [], usage: usageOf(prompt, text) });
    }
    events.push('[DONE]');
  }
  return pour(res, body, events);
}

// --- the rest

function textWhole(body) {
  const text = reply(String(body.prompt));
  return { id: 'cmpl-f1', object: 'text_completion', created: 1700000000, model: body.model,
           choices: [{ index: 0, text, logprobs: null, finish_reason: 'stop' }],
           usage: usageOf(String(body.prompt), text) };
}

async function textStream(res, body) {
  const text = reply(String(body.prompt));
  const part = (more, finish = null) => ({
    id: 'cmpl-f2', object: 'text_completion', created: 1700000000, model: body.model,
    choices: [{ index: 0, text: more, logprobs: null, finish_reason: finish }] });
  const events = [...text.match(/.{1,3}/gsu).map((more) => part(more)), part('', 'stop')];
  if (body.stream_options?.include_usage) {
    events.push({ ...part(''), choices: [], usage: usageOf(String(body.prompt), text) });
  }
  return pour(res, body, [...events, '[DONE]']);
}

function embeddings(body) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const data = inputs.map((input, index) => {
    const values = vector(String(input));
    const embedding = body.encoding_format === 'base64'
      ? Buffer.from(new Float32Array(values).buffer).toString('base64') : values;
    return { object: 'embedding', index, embedding };
  });
  const tokens = inputs.reduce((sum, input) => sum + count(String(input)), 0);
  return { object: 'list', data, model: body.model,
           usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function moderation(body) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  return { id: 'modr-1', model: body.model ?? 'omni-moderation-latest',
           results: inputs.map((input) => ({
             flagged: input.includes('bad'), categories: { violence: input.includes('bad') },
             category_scores: { violence: 0.5 } })) };
}
