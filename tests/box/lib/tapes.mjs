// tapes.mjs - what a recorded answer says, in the form of lib/clients.mjs: read by the SDK of its
// own dialect from the recording itself, without Weir. Recordings are of many providers, so it
// takes what SDK users have to take: ends without usage, roles that are missing, odd ids.
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';

export const KINDS = { 'openai-chat': 'chat', 'openai-responses': 'responses',
                       'anthropic-messages': 'messages', 'gemini-generate': 'gemini' };
// Spoken by providers only.
export const MORE = { 'cohere-chat': 'cohere', 'bedrock-converse': 'converse' };
// Several answers one after the other were recorded as one stream: the first is the answer.
const LAST = { 'anthropic-messages': /event: message_stop\r?\ndata:[^\n]*\n\r?\n/,
               'openai-chat': /data: ?\[DONE\]\r?\n\r?\n/,
               'openai-responses': /event: response\.(completed|incomplete)\r?\ndata:[^\n]*\n\r?\n/ };
export function firstAnswer(tape) {
  const last = tape.stream && LAST[tape.dialect];
  const text = tape.bytes.toString('utf8'), end = last && last.exec(text);
  return end ? { ...tape, bytes: Buffer.from(text.slice(0, end.index + end[0].length)) } : tape;
}

const hello = [{ role: 'user', content: 'x' }];
const args = (text) => { try { return JSON.parse(text || '{}') ?? {}; } catch { return text; } };

// Mistral's content may be a list, with thoughts in it.
function flat(content, kind = 'text') {
  if (typeof content === 'string') return kind === 'text' ? content : '';
  const parts = (content ?? []).filter((part) => (part.type ?? 'text') === kind);
  return parts.map((part) => (kind === 'text' ? part.text ?? '' : flat(part.thinking))).join('');
}

async function chat(base, stream) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'k', maxRetries: 0 });
  const answer = { text: '', refusal: '', thoughts: '', calls: [], finish: null, usage: null };
  const body = { model: 'm', messages: hello };
  const told = (usage) => {
    if (!usage) return;
    // some count thoughts apart (xAI): the total has them
    answer.usage = { prompt: usage.prompt_tokens,
      output: Math.max(usage.completion_tokens, (usage.total_tokens ?? 0) - usage.prompt_tokens),
      cached: usage.prompt_tokens_details?.cached_tokens ?? usage.cached_tokens ??
              usage.prompt_cache_hit_tokens ?? 0 };
  };
  const take = (part, choice) => {
    if (choice.index) return;
    answer.text += flat(part.content) + (part.audio?.transcript ?? '');
    answer.refusal += part.refusal ?? '';
    answer.thoughts += part.reasoning_content ?? part.reasoning ?? flat(part.content, 'thinking');
    if (part.function_call) {
      answer.calls[0] ??= { name: part.function_call.name, text: '' };
      answer.calls[0].text += part.function_call.arguments ?? '';
    }
    for (const [i, call] of (part.tool_calls ?? []).entries()) {
      const at = stream ? call.index ?? i : i;
      answer.calls[at] ??= { id: call.id, name: '', text: '' };
      answer.calls[at].name ||= call.function?.name ?? '';
      answer.calls[at].text += call.function?.arguments ?? '';
    }
    answer.finish = choice.finish_reason ?? answer.finish;
  };
  if (!stream) {
    const whole = await client.chat.completions.create(body);
    for (const choice of whole.choices) take(choice.message ?? {}, choice);
    told(whole.usage);
  } else {
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      for (const choice of chunk.choices ?? []) take(choice.delta ?? {}, choice);
      told(chunk.usage);
    }
  }
  answer.calls = answer.calls.filter(Boolean).map(({ id, name, text }) =>
    ({ id, name, args: args(text) }));
  const own = { tool_calls: 'calls', content_filter: 'filter', function_call: 'calls',
                eos: 'stop', null: answer.calls.length ? 'calls' : 'stop' };
  return { ...answer, finish: own[answer.finish] ?? answer.finish };
}

async function responses(base, stream) {
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'k', maxRetries: 0 });
  const body = { model: 'm', input: 'x' };
  let whole = null, deltas = '';
  if (!stream) whole = await client.responses.create(body);
  else {
    for await (const event of await client.responses.create({ ...body, stream: true })) {
      whole = event.response ?? whole;
      if (event.type === 'response.output_text.delta') deltas += event.delta;
      if (event.type === 'error') throw new Error(event.message);
      if (/^response\.(completed|incomplete|failed)$/.test(event.type)) break;
    }
  }
  if (whole.status === 'failed') throw new Error(whole.error?.message);
  const items = (type) => whole.output.filter((item) => item.type === type);
  const parts = items('message').flatMap((item) => item.content);
  const calls = whole.output.filter((item) => /^(function|custom_tool)_call$/.test(item.type))
    .map((item) => ({ id: item.call_id,
                      name: item.namespace ? `${item.namespace}__${item.name}` : item.name,
                      args: item.type === 'custom_tool_call' ? { input: item.input }
                        : args(item.arguments) }));
  // some recordings were shortened in the middle: what was streamed is what a reader saw
  return { text: deltas || parts.map((part) => part.text ?? '').join(''), calls,
    refusal: parts.map((part) => part.refusal ?? '').join(''),
    thoughts: items('reasoning').flatMap((item) => (item.summary?.length ? item.summary
      : item.content ?? [])).map((part) => part.text).join(''),
    types: [...new Set(whole.output.map((item) => item.type))],
    finish: whole.status === 'incomplete'
      ? { max_output_tokens: 'length', content_filter: 'filter' }[whole.incomplete_details.reason]
      : calls.length ? 'calls' : 'stop',
    usage: whole.usage && { prompt: whole.usage.input_tokens, output: whole.usage.output_tokens,
      cached: whole.usage.input_tokens_details?.cached_tokens ?? 0 } };
}

async function messages(base, stream) {
  const client = new Anthropic({ baseURL: base, apiKey: 'k', maxRetries: 0 });
  const body = { model: 'm', max_tokens: 9, messages: hello };
  const whole = stream ? await client.messages.stream(body).finalMessage()
                       : await client.messages.create(body);
  const all = (type) => whole.content.filter((block) => block.type === type);
  return { text: all('text').map((block) => block.text).join(''), refusal: '',
    thoughts: all('thinking').map((block) => block.thinking).join(''),
    calls: all('tool_use').map(({ id, name, input }) => ({ id, name, args: input })),
    types: [...new Set(whole.content.map((block) => block.type))],
    finish: all('tool_use').length && whole.stop_reason !== 'max_tokens' ? 'calls'
      : { end_turn: 'stop', tool_use: 'calls', max_tokens: 'length', refusal: 'filter',
              model_context_window_exceeded: 'length', stop_sequence: 'stop',
              pause_turn: 'stop' }[whole.stop_reason] ?? whole.stop_reason,
    usage: { prompt: whole.usage.input_tokens + (whole.usage.cache_read_input_tokens ?? 0) +
                     (whole.usage.cache_creation_input_tokens ?? 0),
             cached: whole.usage.cache_read_input_tokens ?? 0,
             output: whole.usage.output_tokens } };
}

async function gemini(base, stream) {
  const client = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl: base } });
  const body = { model: 'm', contents: 'x' }, chunks = [];
  if (!stream) chunks.push(await client.models.generateContent(body));
  else {
    for await (const chunk of await client.models.generateContentStream(body)) chunks.push(chunk);
  }
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
  const text = (thought) => parts.filter((part) => Boolean(part.thought) === thought)
    .map((part) => part.text ?? '').join('');
  const calls = parts.filter((part) => part.functionCall).map(({ functionCall: call }) =>
    ({ id: call.id, name: call.name, args: call.args ?? {} }));
  const end = chunks.map((chunk) => chunk.candidates?.[0]?.finishReason).findLast(Boolean);
  const finish = { 1: 'STOP', OTHER: 'STOP' }[end] ?? end;    // 1: an old library's number of it
  const blocked = chunks.some((chunk) => chunk.promptFeedback?.blockReason);
  const usage = chunks.map((chunk) => chunk.usageMetadata).findLast(Boolean);
  return { text: text(false), thoughts: text(true), calls, refusal: '',
    types: [...new Set(parts.flatMap(Object.keys))],
    finish: blocked ? 'filter' : { STOP: calls.length ? 'calls' : 'stop', MAX_TOKENS: 'length',
      SAFETY: 'filter', RECITATION: 'filter', PROHIBITED_CONTENT: 'filter',
      BLOCKLIST: 'filter', SPII: 'filter', IMAGE_SAFETY: 'filter' }[finish] ?? finish,
    usage: usage?.promptTokenCount && { prompt: usage.promptTokenCount + (usage.toolUsePromptTokenCount ?? 0),
      cached: usage.cachedContentTokenCount ?? 0,
      output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0) } };
}

// --- dialects that only providers speak; there is no SDK of theirs here

function sse(bytes) {
  return bytes.toString('utf8').split(/\r?\n\r?\n/).filter((block) => /^data: ?{/m.test(block))
    .map((block) => JSON.parse(/^data: ?(.*)$/m.exec(block)[1]));
}

function cohere(tape) {
  const answer = { text: '', refusal: '', thoughts: '', calls: [], usage: null };
  const finish = { COMPLETE: 'stop', STOP_SEQUENCE: 'stop', TOOL_CALL: 'calls',
                   MAX_TOKENS: 'length' };
  const block = (part) => {
    answer.text += part?.text ?? '';
    answer.thoughts += part?.thinking ?? '';
  };
  if (!tape.stream) {
    const body = JSON.parse(tape.bytes);
    answer.text += body.message.tool_plan ?? '';     // what it says before its calls
    for (const part of body.message.content ?? []) block(part);
    answer.calls = (body.message.tool_calls ?? []).map((call) => ({ id: call.id,
      name: call.function.name, args: args(call.function.arguments) }));
    return { ...answer, finish: finish[body.finish_reason] };
  }
  let end = null;
  for (const { type, index, delta } of sse(tape.bytes)) {
    if (/^content-(start|delta)$/.test(type)) block(delta.message.content);
    if (type === 'tool-plan-delta') answer.text += delta.message.tool_plan;
    if (type === 'tool-call-start') {
      const { id, function: f } = delta.message.tool_calls;
      answer.calls[index] = { id, name: f.name, text: f.arguments ?? '' };
    }
    if (type === 'tool-call-delta') {
      answer.calls[index].text += delta.message.tool_calls.function.arguments;
    }
    if (type === 'message-end') end = delta.finish_reason;
  }
  return { ...answer, finish: finish[end], calls: answer.calls.filter(Boolean)
    .map(({ id, name, text }) => ({ id, name, args: args(text) })) };
}

// AWS's event stream: prelude of 12 bytes, headers, payload, checksum of 4.
function eventStream(bytes) {
  const out = [];
  for (let at = 0; at < bytes.length;) {
    const total = bytes.readUInt32BE(at), headers = bytes.readUInt32BE(at + 4);
    const names = bytes.subarray(at + 12, at + 12 + headers).toString('latin1');
    const type = /:event-type\x07..(\w+?)(?=[\x00-\x20]|$)/s.exec(names)?.[1];
    out.push([type, JSON.parse(bytes.subarray(at + 12 + headers, at + total - 4))]);
    at += total;
  }
  return out;
}

function crc(bytes) {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let i = 0; i < 8; i++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

function frame(type, payload) {
  const fields = { ':event-type': type, ':content-type': 'application/json',
                   ':message-type': 'event' };
  const headers = Buffer.concat(Object.entries(fields).map(([name, value]) => Buffer.concat([
    Buffer.from([name.length]), Buffer.from(name), Buffer.from([7, 0, value.length]),
    Buffer.from(value)])));
  const head = Buffer.alloc(8), sums = [Buffer.alloc(4), Buffer.alloc(4)];
  head.writeUInt32BE(16 + headers.length + payload.length, 0);
  head.writeUInt32BE(headers.length, 4);
  sums[0].writeUInt32BE(crc(head));
  const all = Buffer.concat([head, sums[0], headers, payload]);
  sums[1].writeUInt32BE(crc(all));
  return Buffer.concat([all, sums[1]]);
}

// A recording whose stream was kept as parsed events, in the bytes that Bedrock sends.
export function framed(tape) {
  if (tape.dialect !== 'bedrock-converse' || !tape.stream || !/^data:/.test(tape.bytes)) return tape;
  const bytes = Buffer.concat(sse(tape.bytes).flatMap((event) => Object.entries(event)
    .map(([type, value]) => frame(type, Buffer.from(JSON.stringify(value))))));
  return { ...tape, bytes, type: 'application/vnd.amazon.eventstream' };
}

function converse(tape) {
  const answer = { text: '', refusal: '', thoughts: '', calls: [] };
  let end = null, usage = null;
  if (!tape.stream) {
    const body = JSON.parse(tape.bytes);
    for (const { text, toolUse, reasoningContent } of body.output.message.content) {
      answer.text += text ?? '';
      answer.thoughts += reasoningContent?.reasoningText?.text ?? '';
      if (toolUse) answer.calls.push({ id: toolUse.toolUseId, name: toolUse.name,
                                       args: toolUse.input ?? {} });
    }
    end = body.stopReason;
    usage = body.usage;
  } else {
    const open = new Map();
    for (const [, event] of eventStream(tape.bytes)) {
      const { contentBlockIndex: index, start, delta } = event;
      if (start?.toolUse) open.set(index, { ...start.toolUse, text: '' });
      answer.text += delta?.text ?? '';
      answer.thoughts += delta?.reasoningContent?.text ?? '';
      if (delta?.toolUse) open.get(index).text += delta.toolUse.input;
      end = event.stopReason ?? end;
      usage = event.usage ?? usage;
    }
    answer.calls = [...open.values()].map(({ toolUseId, name, text }) =>
      ({ id: toolUseId, name, args: args(text) }));
  }
  return { ...answer, finish: { end_turn: 'stop', stop_sequence: 'stop', tool_use: 'calls',
    max_tokens: 'length', content_filtered: 'filter', guardrail_intervened: 'filter' }[end],
    usage: usage && { output: usage.outputTokens, cached: usage.cacheReadInputTokens ?? 0,
      prompt: usage.inputTokens + (usage.cacheReadInputTokens ?? 0) +
              (usage.cacheWriteInputTokens ?? 0) } };
}

export const native = { chat, responses, messages, gemini,
                        cohere: async (base, stream, tape) => cohere(tape),
                        converse: async (base, stream, tape) => converse(tape) };
