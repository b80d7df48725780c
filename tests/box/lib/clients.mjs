// clients.mjs - conversations by the official SDKs, one class a dialect and all of the same
// shape, so that one test runs in front of every provider. What the model said goes back as the
// SDK gave it, as an agent's loop does.
//   const s = new clients.messages({ url, key, model, system, tools, effort, max, ... });
//   s.user('hi'); const a = await s.ask({ stream: true }); s.results([{ call, text }]);
// An answer: { text, thoughts, calls: [{ id, name, args }], finish, usage, raw }; usage.prompt
// counts all tokens of the prompt, cached ones too.
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';

const parse = (text) => JSON.parse(text === '' ? '{}' : text);
const given = (object) => Object.fromEntries(
  Object.entries(object).filter(([, value]) => value !== undefined));
const dataOf = ({ mime, data }) => `data:${mime};base64,${data}`;

class Session {
  constructor(options) {
    this.options = options;
    this.history = [];
  }

  user(content) {
    this.history.push(...this.userTurn(typeof content === 'string' ? [{ text: content }]
                                                                   : content));
    return this;
  }

  async ask({ stream = false, signal, ...more } = {}) {
    const body = { ...this.body(), ...more };
    const answer = stream ? await this.streamed(body, signal) : await this.whole(body, signal);
    this.history.push(...answer.turn);
    return answer;
  }
}

// --- OpenAI chat

class Chat extends Session {
  constructor(options) {
    super(options);
    this.client = new OpenAI({ baseURL: `${options.url}/v1`, apiKey: options.key,
                               maxRetries: 0 });
    if (options.system) this.history.push({ role: 'system', content: options.system });
  }

  userTurn(parts) {
    const content = parts.map((part) => {
      if (part.image) {
        return { type: 'image_url', image_url: { url: part.image.url ?? dataOf(part.image) } };
      }
      if (part.document) {
        return { type: 'file', file: { filename: part.document.name ?? 'a.pdf',
                                       file_data: dataOf(part.document) } };
      }
      return { type: 'text', text: part.text };
    });
    return [{ role: 'user', content: parts.length === 1 && parts[0].text !== undefined
      ? parts[0].text : content }];
  }

  results(list) {
    for (const { call, text } of list) {
      this.history.push({ role: 'tool', tool_call_id: call.id, content: text });
    }
    return this;
  }

  body() {
    const { model, tools, effort, max, schema, stop, choice, parallel, temperature,
            topP } = this.options;
    return given({ model, messages: this.history, max_completion_tokens: max, temperature,
      top_p: topP, reasoning_effort: effort, stop, parallel_tool_calls: parallel,
      tools: tools?.map(({ name, description, schema: parameters }) =>
        ({ type: 'function', function: given({ name, description, parameters }) })),
      tool_choice: choice === 'any' ? 'required' : choice?.name
        ? { type: 'function', function: { name: choice.name } } : choice,
      response_format: schema && { type: 'json_schema',
                                   json_schema: { name: 'answer', schema } } });
  }

  answer(raw) {
    const [{ message, finish_reason: finish }] = raw.choices;
    assert.match(raw.id, /^chatcmpl-/);
    return { raw, id: raw.id, text: message.content ?? '', refusal: message.refusal ?? '',
      thoughts: message.reasoning_content ?? '', turn: [message],
      calls: (message.tool_calls ?? []).map((call) => ({ id: call.id, name: call.function.name,
                                                    args: parse(call.function.arguments) })),
      finish: { tool_calls: 'calls', content_filter: 'filter' }[finish] ?? finish,
      usage: raw.usage && {
        prompt: raw.usage.prompt_tokens,
        cached: raw.usage.prompt_tokens_details?.cached_tokens ?? 0,
        output: raw.usage.completion_tokens,
        reasoning: raw.usage.completion_tokens_details?.reasoning_tokens ?? 0 },
      cost: raw.usage?.cost };
  }

  async whole(body, signal) {
    return this.answer(await this.client.chat.completions.create(body, { signal }));
  }

  async streamed(body, signal) {
    const stream = this.client.chat.completions.stream(
      { ...body, stream_options: { include_usage: true } }, { signal });
    const details = [], chunks = [];
    let thoughts = '';
    for await (const chunk of stream) {
      chunks.push(chunk);
      const delta = chunk.choices[0]?.delta ?? {};
      thoughts += delta.reasoning_content ?? '';
      details.push(...(delta.reasoning_details ?? []));
    }
    const raw = await stream.finalChatCompletion();
    const { message } = raw.choices[0];
    delete message.reasoning_content;
    delete message.reasoning_details;
    delete message.parsed;
    for (const call of message.tool_calls ?? []) delete call.function.parsed_arguments;
    if (thoughts) message.reasoning_content = thoughts;
    if (details.length) message.reasoning_details = gathered(details);
    assert.equal(chunks.filter((chunk) => chunk.choices[0]?.finish_reason).length, 1);
    assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
    return { ...this.answer(raw), chunks };
  }

  static message = (error) => error.error?.message ?? error.message;
}

// OpenRouter's rule: details of one index are one; texts and data are joined.
function gathered(details) {
  const out = new Map();
  details.forEach((part, i) => {
    const key = part.index ?? i, had = out.get(key);
    if (!had) { out.set(key, { ...part }); return; }
    for (const [name, value] of Object.entries(part)) {
      const joins = ['text', 'summary', 'data', 'signature'].includes(name);
      had[name] = joins && typeof had[name] === 'string' ? had[name] + value : value;
    }
  });
  return [...out.values()];
}

// --- OpenAI Responses

class Responses extends Session {
  constructor(options) {
    super(options);
    this.client = new OpenAI({ baseURL: `${options.url}/v1`, apiKey: options.key,
                               maxRetries: 0 });
  }

  userTurn(parts) {
    return [{ role: 'user', content: parts.map((part) => {
      if (part.image) {
        return { type: 'input_image', detail: 'auto',
                 image_url: part.image.url ?? dataOf(part.image) };
      }
      if (part.document) {
        return { type: 'input_file', filename: part.document.name ?? 'a.pdf',
                 file_data: dataOf(part.document) };
      }
      return { type: 'input_text', text: part.text };
    }) }];
  }

  results(list) {
    for (const { call, text, images } of list) {
      const output = images ? [{ type: 'input_text', text }, ...images.map((image) =>
        ({ type: 'input_image', detail: 'auto', image_url: dataOf(image) }))] : text;
      this.history.push({ type: 'function_call_output', call_id: call.id, output });
    }
    return this;
  }

  body() {
    const { model, system, tools, effort, max, schema, choice, parallel, temperature,
            topP } = this.options;
    return given({ model, instructions: system, input: this.history, max_output_tokens: max,
      temperature, top_p: topP, store: false, include: ['reasoning.encrypted_content'],
      reasoning: effort && { effort, summary: 'auto' }, parallel_tool_calls: parallel,
      tools: tools?.map(({ name, description, schema: parameters }) =>
        ({ type: 'function', name, description, strict: false,
           parameters: parameters ?? { type: 'object', properties: {} } })),
      tool_choice: choice === 'any' ? 'required' : choice?.name
        ? { type: 'function', name: choice.name } : choice,
      text: schema && { format: { type: 'json_schema', name: 'answer', schema } } });
  }

  answer(raw) {
    assert.match(raw.id, /^resp_/);
    const items = (type) => raw.output.filter((item) => item.type === type);
    const calls = items('function_call').map((item) =>
      ({ id: item.call_id, name: item.name, args: parse(item.arguments) }));
    const parts = items('message').flatMap((item) => item.content);
    const reason = raw.incomplete_details?.reason;
    return { raw, id: raw.id, calls, turn: raw.output.map(({ parsed_arguments, ...item }) => item),
      text: parts.map((part) => part.text ?? '').join(''),
      refusal: parts.map((part) => part.refusal ?? '').join(''),
      thoughts: items('reasoning').flatMap((item) => item.summary).map((p) => p.text).join(''),
      finish: raw.status === 'incomplete'
        ? { max_output_tokens: 'length', content_filter: 'filter' }[reason]
        : raw.status === 'completed' ? (calls.length ? 'calls' : 'stop') : raw.status,
      usage: { prompt: raw.usage.input_tokens,
               cached: raw.usage.input_tokens_details.cached_tokens,
               output: raw.usage.output_tokens,
               reasoning: raw.usage.output_tokens_details.reasoning_tokens },
      cost: raw.usage.cost };
  }

  async whole(body, signal) {
    const raw = await this.client.responses.create(body, { signal });
    const answer = this.answer(raw);
    assert.equal(raw.output_text, answer.text);
    return answer;
  }

  async streamed(body, signal) {
    const stream = this.client.responses.stream(body, { signal });
    const chunks = [], text = new Map(), args = new Map();
    for await (const event of stream) {
      assert.equal(event.sequence_number, chunks.length, event.type);
      chunks.push(event);
      const key = event.output_index;
      if (event.type === 'response.output_text.delta') {
        text.set(key, (text.get(key) ?? '') + event.delta);
      }
      if (event.type === 'response.function_call_arguments.delta') {
        args.set(key, (args.get(key) ?? '') + event.delta);
      }
    }
    const last = chunks.at(-1);
    assert.match(last.type, /^response\.(completed|incomplete)$/);
    const raw = last.response;
    const done = chunks.filter((event) => event.type === 'response.output_item.done');
    const plain = ({ parsed, parsed_arguments, content, ...item }) => ({ ...item,
      ...(content ? { content: content.map(({ parsed: no, ...part }) => part) } : {}) });
    assert.deepEqual(done.sort((a, b) => a.output_index - b.output_index)
      .map((event) => plain(event.item)), raw.output.map(plain));
    raw.output.forEach((item, i) => {
      if (item.type === 'message') {
        assert.equal(text.get(i) ?? '', item.content.map((part) => part.text ?? '').join(''));
      }
      if (item.type === 'function_call') assert.equal(args.get(i) ?? '', item.arguments);
    });
    const final = await stream.finalResponse();
    const answer = this.answer({ ...raw, output: raw.output.map(plain) });
    assert.equal(final.output_text, answer.text);
    return { ...answer, chunks };
  }

  async count() {
    const { model, input, instructions, tools } = this.body();
    return (await this.client.responses.inputTokens.count({ model, input, instructions, tools }))
      .input_tokens;
  }

  static message = (error) => error.error?.message ?? error.message;
}

// --- Anthropic Messages

class Messages extends Session {
  constructor(options) {
    super(options);
    this.client = new Anthropic({ baseURL: options.url, apiKey: options.key, maxRetries: 0 });
  }

  userTurn(parts) {
    const source = ({ mime, data, url }) => (url ? { type: 'url', url }
      : { type: 'base64', media_type: mime, data });
    return [{ role: 'user', content: parts.map((part) => part.image
      ? { type: 'image', source: source(part.image) }
      : part.document ? { type: 'document', source: source(part.document),
                          ...(part.document.name ? { title: part.document.name } : {}) }
        : { type: 'text', text: part.text }) }];
  }

  results(list) {
    this.history.push({ role: 'user', content: list.map(({ call, text, error, images }) => ({
      type: 'tool_result', tool_use_id: call.id, ...(error ? { is_error: true } : {}),
      content: images ? [{ type: 'text', text }, ...images.map(({ mime, data }) =>
        ({ type: 'image', source: { type: 'base64', media_type: mime, data } }))] : text })) });
    return this;
  }

  body() {
    const { model, system, tools, effort, max, schema, stop, choice, parallel, temperature,
            topP } = this.options;
    const type = choice?.name ? { type: 'tool', name: choice.name }
      : choice ? { type: choice } : parallel === false ? { type: 'auto' } : undefined;
    return given({ model, system, messages: this.history, max_tokens: max ?? 8000,
      temperature, top_p: topP, stop_sequences: stop,
      thinking: effort && { type: 'enabled', budget_tokens: 4096 },
      tools: tools?.map(({ name, description, schema: input_schema }) =>
        given({ name, description, input_schema: input_schema ?? { type: 'object' } })),
      tool_choice: type && (parallel === false ? { ...type, disable_parallel_tool_use: true }
                                               : type),
      output_config: schema && { format: { type: 'json_schema', schema } } });
  }

  answer(raw) {
    assert.match(raw.id, /^msg_/);
    assert.equal(raw.type, 'message');
    const all = (type) => raw.content.filter((block) => block.type === type);
    return { raw, id: raw.id, refusal: '', turn: [{ role: 'assistant', content: raw.content }],
      text: all('text').map((block) => block.text).join(''),
      thoughts: all('thinking').map((block) => block.thinking).join(''),
      calls: all('tool_use').map(({ id, name, input: args }) => ({ id, name, args })),
      finish: { end_turn: 'stop', tool_use: 'calls', max_tokens: 'length', refusal: 'filter',
                stop_sequence: 'stop' }[raw.stop_reason] ?? raw.stop_reason,
      usage: { prompt: raw.usage.input_tokens + (raw.usage.cache_read_input_tokens ?? 0) +
                       (raw.usage.cache_creation_input_tokens ?? 0),
               cached: raw.usage.cache_read_input_tokens ?? 0,
               output: raw.usage.output_tokens }, cost: raw.usage.cost };
  }

  async whole(body, signal) {
    return this.answer(await this.client.messages.create(body, { signal }));
  }

  async streamed(body, signal) {
    const stream = this.client.messages.stream(body, { signal });
    const chunks = [];
    let open = null, next = 0;
    for await (const event of stream) {
      chunks.push(event);
      if (event.type === 'content_block_start') {
        assert.equal(open, null, 'one block at a time');
        assert.equal(event.index, next++);
        open = event.index;
      } else if (event.type === 'content_block_delta') assert.equal(event.index, open);
      else if (event.type === 'content_block_stop') {
        assert.equal(event.index, open);
        open = null;
      }
    }
    assert.equal(chunks[0].type, 'message_start');
    assert.equal(chunks.at(-1).type, 'message_stop');
    return { ...this.answer(await stream.finalMessage()), chunks };
  }

  async count() {
    const { model, messages, system, tools } = this.body();
    return (await this.client.messages.countTokens({ model, messages, system,
                                                     tools: tools ?? [] })).input_tokens;
  }

  static message = (error) => error.error?.error?.message ?? error.message;
}

// --- Gemini

class Gemini extends Session {
  constructor(options) {
    super(options);
    this.client = new GoogleGenAI({ apiKey: options.key, httpOptions: { baseUrl: options.url } });
  }

  userTurn(parts) {
    return [{ role: 'user', parts: parts.map((part) => {
      const blob = part.image ?? part.document;
      if (!blob) return { text: part.text };
      return blob.url ? { fileData: { fileUri: blob.url, mimeType: blob.mime } }
                      : { inlineData: { mimeType: blob.mime, data: blob.data } };
    }) }];
  }

  results(list) {
    this.history.push({ role: 'user', parts: list.map(({ call, text, error }) => ({
      functionResponse: given({ name: call.name, id: call.id,
                                response: error ? { error: text } : { output: text } }) })) });
    return this;
  }

  body() {
    const { model, system, tools, effort, max, schema, stop, choice, temperature,
            topP } = this.options;
    return { model, contents: this.history, config: given({
      systemInstruction: system, maxOutputTokens: max, temperature, topP, stopSequences: stop,
      thinkingConfig: effort && { includeThoughts: true, thinkingBudget: 4096 },
      tools: tools && [{ functionDeclarations: tools.map(({ name, description, schema: s }) =>
        given({ name, description, parametersJsonSchema: s })) }],
      toolConfig: choice && { functionCallingConfig: choice.name
        ? { mode: 'ANY', allowedFunctionNames: [choice.name] }
        : { mode: choice.toUpperCase() } },
      ...(schema ? { responseMimeType: 'application/json', responseJsonSchema: schema } : {}),
    }) };
  }

  answer(chunks) {
    const first = chunks.map((chunk) => chunk.candidates?.find((it) => !it.index));
    const all = first.flatMap((candidate) => candidate?.content?.parts ?? []);
    const parts = [];
    for (const part of all) {
      const had = parts.at(-1);
      if (part.text !== undefined && had?.text !== undefined && !had.thoughtSignature &&
          Boolean(had.thought) === Boolean(part.thought)) {
        had.text += part.text;
        if (part.thoughtSignature) had.thoughtSignature = part.thoughtSignature;
      } else if (part.text !== '' || part.thoughtSignature) parts.push({ ...part });
    }
    const ends = first.map((candidate) => candidate?.finishReason).filter(Boolean);
    assert.equal(ends.length, 1, 'one finishReason');
    const raw = chunks.at(-1), told = raw.usageMetadata;
    const text = (thought) => parts.filter((part) => part.text !== undefined &&
      Boolean(part.thought) === thought).map((part) => part.text).join('');
    const calls = parts.filter((part) => part.functionCall).map(({ functionCall: call }) =>
      ({ id: call.id, name: call.name, args: call.args ?? {} }));
    return { raw, id: raw.responseId, text: text(false), thoughts: text(true), calls, chunks,
      refusal: '', turn: parts.length ? [{ role: 'model', parts }] : [],
      finish: { STOP: calls.length ? 'calls' : 'stop', MAX_TOKENS: 'length',
                SAFETY: 'filter' }[ends[0]] ?? ends[0],
      usage: { prompt: told.promptTokenCount,
               cached: told.cachedContentTokenCount ?? 0,
               output: (told.candidatesTokenCount ?? 0) + (told.thoughtsTokenCount ?? 0),
               reasoning: told.thoughtsTokenCount ?? 0 }, cost: told.cost };
  }

  async whole(body, signal) {
    return this.answer([await this.client.models.generateContent(
      { ...body, config: { ...body.config, abortSignal: signal } })]);
  }

  async streamed(body, signal) {
    const chunks = [];
    for await (const chunk of await this.client.models.generateContentStream(
      { ...body, config: { ...body.config, abortSignal: signal } })) chunks.push(chunk);
    return this.answer(chunks);
  }

  async count() {
    const { model, contents } = this.body();
    return (await this.client.models.countTokens({ model, contents })).totalTokens;
  }

  static message = (error) => {
    try { return JSON.parse(error.message).error.message; } catch { return error.message; }
  };
}

export const clients = { chat: Chat, responses: Responses, messages: Messages, gemini: Gemini };
