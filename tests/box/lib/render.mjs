// render.mjs - one scripted answer in the words of each dialect's maker, whole or as the events
// of a stream: { parts: [{ thought, sign }, { text }, { call: { id, name, args }, sign }],
//   finish: stop | calls | length | filter | refusal | sequence, usage: { input, cached, write,
//   output, reasoning } }. input: tokens that were neither read from a cache nor written to it.
// Rule: texts and arguments leave in many small deltas; events are strings, framing included.
const line = (data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
const named = (data) => `event: ${data.type}\n${line(data)}`;

// Pieces of 1..7 characters, never half of one.
function deltas(text) {
  const chars = Array.from(text);
  const out = [];
  for (let at = 0, n = 3; at < chars.length; at += n, n = 1 + (n * 5 + 2) % 7) {
    out.push(chars.slice(at, at + n).join(''));
  }
  return out;
}

const finishOf = ({ finish, parts }) =>
  finish ?? (parts.some((part) => part.call) ? 'calls' : 'stop');

// --- OpenAI chat

const CHAT_FINISH = { stop: 'stop', calls: 'tool_calls', length: 'length',
                      filter: 'content_filter', refusal: 'stop', sequence: 'stop' };

const chatUsage = ({ input, cached, write, output, reasoning }) => ({
  prompt_tokens: input + cached + write, completion_tokens: output,
  total_tokens: input + cached + write + output,
  prompt_tokens_details: { cached_tokens: cached, ...(write ? { cache_write_tokens: write } : {}) },
  completion_tokens_details: { reasoning_tokens: reasoning } });

const chatCall = ({ call }) => ({ id: call.id, type: 'function', function: {
  name: call.name, arguments: JSON.stringify(call.args) } });

function chat(answer, { id, model, usage }) {
  const text = answer.parts.filter((part) => part.text !== undefined).map((p) => p.text).join('');
  const thought = answer.parts.map((part) => part.thought ?? '').join('');
  const calls = answer.parts.filter((part) => part.call);
  const refused = answer.finish === 'refusal';
  const finish = CHAT_FINISH[finishOf(answer)];
  const shell = { id: `chatcmpl-${id}`, created: 1700000000, model };
  const whole = { ...shell, object: 'chat.completion', usage: chatUsage(usage), choices: [{
    index: 0, finish_reason: finish, logprobs: null,
    message: { role: 'assistant', content: refused || (calls.length && !text) ? null : text,
               refusal: refused ? text : null, annotations: [],
               ...(thought ? { reasoning_content: thought } : {}),
               ...(calls.length ? { tool_calls: calls.map(chatCall) } : {}) } }] };
  const chunk = (delta, end = null) => line({ ...shell, object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: end }], usage: null });
  const events = [chunk({ role: 'assistant', content: calls.length && !text ? null : '',
                          refusal: null })];
  for (const piece of deltas(thought)) events.push(chunk({ reasoning_content: piece }));
  for (const piece of deltas(text)) {
    events.push(chunk(refused ? { refusal: piece } : { content: piece }));
  }
  calls.forEach((part, index) => {
    const { id: own, type, function: f } = chatCall(part);
    events.push(chunk({ tool_calls: [{ index, id: own, type,
                                       function: { name: f.name, arguments: '' } }] }));
    for (const piece of deltas(f.arguments)) {
      events.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
    }
  });
  events.push(chunk({}, finish));
  const last = line({ ...shell, object: 'chat.completion.chunk', choices: [],
                      usage: chatUsage(usage) });
  return { whole, events: [...events, last, line('[DONE]')] };
}

// --- OpenAI Responses

function responsesItems(answer, id) {
  let text = 0;
  return answer.parts.map((part, i) => {
    if (part.thought !== undefined) {
      return { id: `rs_${id}${i}`, type: 'reasoning',
               summary: part.thought ? [{ type: 'summary_text', text: part.thought }] : [],
               ...(part.sign ? { encrypted_content: part.sign } : {}) };
    }
    if (part.call) {
      return { id: `fc_${id}${i}`, type: 'function_call', status: 'completed',
               call_id: part.call.id, name: part.call.name,
               arguments: JSON.stringify(part.call.args) };
    }
    const content = answer.finish === 'refusal' ? { type: 'refusal', refusal: part.text }
      : { type: 'output_text', text: part.text, annotations: [], logprobs: [] };
    return { id: `msg_${id}${text++}`, type: 'message', role: 'assistant', status: 'completed',
             content: [content] };
  });
}

// The events of one item: [type, fields].
function responsesItem(item, i) {
  const at = { output_index: i, item_id: item.id }, out = [];
  const say = (type, fields) => out.push([type, { ...at, ...fields }]);
  const bare = item.type === 'message' ? { ...item, status: 'in_progress', content: [] }
    : item.type === 'reasoning' ? { ...item, summary: [] }
      : { ...item, status: 'in_progress', arguments: '' };
  out.push(['response.output_item.added', { output_index: i, item: bare }]);
  if (item.type === 'reasoning') {
    item.summary.forEach((part, summary_index) => {
      const empty = { type: 'summary_text', text: '' };
      say('response.reasoning_summary_part.added', { summary_index, part: empty });
      for (const delta of deltas(part.text)) {
        say('response.reasoning_summary_text.delta', { summary_index, delta });
      }
      say('response.reasoning_summary_text.done', { summary_index, text: part.text });
      say('response.reasoning_summary_part.done', { summary_index, part });
    });
  } else if (item.type === 'function_call') {
    for (const delta of deltas(item.arguments)) {
      say('response.function_call_arguments.delta', { delta });
    }
    say('response.function_call_arguments.done', { arguments: item.arguments, name: item.name });
  } else {
    const [part] = item.content, content_index = 0;
    const refusal = part.type === 'refusal', text = refusal ? part.refusal : part.text;
    const empty = refusal ? { type: 'refusal', refusal: '' } : { ...part, text: '' };
    const kind = refusal ? 'refusal' : 'output_text';
    say('response.content_part.added', { content_index, part: empty });
    for (const delta of deltas(text)) {
      say(`response.${kind}.delta`, { content_index, delta,
                                      ...(refusal ? {} : { logprobs: [] }) });
    }
    say(`response.${kind}.done`, { content_index, ...(refusal ? { refusal: text }
                                                              : { text, logprobs: [] }) });
    say('response.content_part.done', { content_index, part });
  }
  out.push(['response.output_item.done', { output_index: i, item }]);
  return out;
}

function responses(answer, { id, model, usage }) {
  const output = responsesItems(answer, id);
  const finish = finishOf(answer);
  const reason = { length: 'max_output_tokens', filter: 'content_filter' }[finish];
  const shell = { id: `resp_${id}`, object: 'response', created_at: 1700000000, model,
                  error: null, incomplete_details: null, instructions: null, metadata: {},
                  parallel_tool_calls: true, temperature: 1, top_p: 1, tool_choice: 'auto',
                  tools: [], truncation: 'disabled', store: false, text: { format:
                  { type: 'text' } }, reasoning: { effort: null, summary: null } };
  const whole = { ...shell, status: reason ? 'incomplete' : 'completed', output,
    incomplete_details: reason ? { reason } : null, usage: {
      input_tokens: usage.input + usage.cached + usage.write, output_tokens: usage.output,
      total_tokens: usage.input + usage.cached + usage.write + usage.output,
      input_tokens_details: { cached_tokens: usage.cached, cache_write_tokens: usage.write },
      output_tokens_details: { reasoning_tokens: usage.reasoning } } };
  const begun = { ...shell, status: 'in_progress', output: [], usage: null };
  const said = [['response.created', { response: begun }],
                ['response.in_progress', { response: begun }],
                ...output.flatMap(responsesItem),
                [`response.${whole.status}`, { response: whole }]];
  return { whole, events: said.map(([type, fields], sequence_number) =>
    named({ type, sequence_number, ...fields })) };
}

// --- Anthropic Messages

const MESSAGES_STOP = { stop: 'end_turn', calls: 'tool_use', length: 'max_tokens',
                        filter: 'refusal', refusal: 'refusal', sequence: 'stop_sequence' };

function messages(answer, { id, model, usage }) {
  const content = answer.parts.map(({ thought, sign, text, call }) => {
    if (call) return { type: 'tool_use', id: call.id, name: call.name, input: call.args };
    if (thought === undefined) return { type: 'text', text };
    return thought ? { type: 'thinking', thinking: thought, signature: sign ?? 'AAAA' }
                   : { type: 'redacted_thinking', data: sign };
  });
  const stop = { stop_reason: MESSAGES_STOP[finishOf(answer)],
                 stop_sequence: answer.finish === 'sequence' ? answer.sequence : null };
  const told = { input_tokens: usage.input, cache_creation_input_tokens: usage.write,
                 cache_read_input_tokens: usage.cached, service_tier: 'standard',
                 cache_creation: { ephemeral_5m_input_tokens: usage.write,
                                   ephemeral_1h_input_tokens: 0 } };
  const shell = { id: `msg_${id}`, type: 'message', role: 'assistant', model };
  const whole = { ...shell, content, ...stop, usage: { ...told, output_tokens: usage.output } };
  const said = [{ type: 'message_start', message: { ...shell, content: [], stop_reason: null,
                  stop_sequence: null, usage: { ...told, output_tokens: 1 } } },
                { type: 'ping' }];
  content.forEach((block, index) => {
    const { type } = block;
    const bare = type === 'thinking' ? { type, thinking: '', signature: '' }
      : type === 'text' ? { type, text: '' } : type === 'tool_use' ? { ...block, input: {} }
        : block;
    said.push({ type: 'content_block_start', index, content_block: bare });
    const say = (delta) => said.push({ type: 'content_block_delta', index, delta });
    if (type === 'thinking') {
      for (const thinking of deltas(block.thinking)) say({ type: 'thinking_delta', thinking });
      say({ type: 'signature_delta', signature: block.signature });
    } else if (type === 'text') {
      for (const text of deltas(block.text)) say({ type: 'text_delta', text });
    } else if (type === 'tool_use') {
      say({ type: 'input_json_delta', partial_json: '' });
      const empty = Object.keys(block.input).length === 0;
      for (const partial_json of empty ? [] : deltas(JSON.stringify(block.input))) {
        say({ type: 'input_json_delta', partial_json });
      }
    }
    said.push({ type: 'content_block_stop', index });
  });
  said.push({ type: 'message_delta', delta: stop, usage: { ...told,
              output_tokens: usage.output } }, { type: 'message_stop' });
  return { whole, events: said.map(named) };
}

// --- Gemini

const GEMINI_FINISH = { stop: 'STOP', calls: 'STOP', length: 'MAX_TOKENS', filter: 'SAFETY',
                        refusal: 'SAFETY', sequence: 'STOP' };

function gemini(answer, { id, model, usage }) {
  const signed = ({ sign }) => (sign ? { thoughtSignature: sign } : {});
  const parts = answer.parts.map((part) => part.call
    ? { functionCall: { name: part.call.name, args: part.call.args,
                        ...(part.call.own ? { id: part.call.id } : {}) }, ...signed(part) }
    : part.thought !== undefined ? { text: part.thought, thought: true }
      : { text: part.text, ...signed(part) });
  const usageMetadata = { promptTokenCount: usage.input + usage.cached + usage.write,
    candidatesTokenCount: usage.output - usage.reasoning,
    totalTokenCount: usage.input + usage.cached + usage.write + usage.output,
    ...(usage.cached ? { cachedContentTokenCount: usage.cached } : {}),
    ...(usage.reasoning ? { thoughtsTokenCount: usage.reasoning } : {}) };
  const shell = { modelVersion: model, responseId: id };
  const finishReason = GEMINI_FINISH[finishOf(answer)];
  const whole = { candidates: [{ content: { parts, role: 'model' }, finishReason, index: 0 }],
                  usageMetadata, ...shell };
  const chunk = (list, more = {}) => ({ candidates: [{ content: { parts: list, role: 'model' },
                                        index: 0, ...more }], usageMetadata, ...shell });
  const said = parts.flatMap((part) => {
    if (part.text === undefined) return [chunk([part])];
    const { text, thoughtSignature, ...rest } = part;
    const list = deltas(text).map((piece) => chunk([{ ...rest, text: piece }]));
    if (thoughtSignature) list.push(chunk([{ text: '', thoughtSignature }]));
    return list;
  });
  const last = said.at(-1)?.candidates[0];
  if (last && finishOf(answer) === 'calls') last.finishReason = finishReason;
  else said.push(chunk([{ text: '' }], { finishReason }));
  return { whole, events: said.map((data) => `data: ${JSON.stringify(data)}\r\n\r\n`) };
}

export const renderers = { chat, responses, messages, gemini };

// --- errors, before an answer and inside a stream

const KINDS = { 400: ['invalid_request_error', 'INVALID_ARGUMENT'],
                401: ['authentication_error', 'UNAUTHENTICATED'],
                404: ['not_found_error', 'NOT_FOUND'],
                429: ['rate_limit_error', 'RESOURCE_EXHAUSTED'],
                500: ['api_error', 'INTERNAL'], 503: ['overloaded_error', 'UNAVAILABLE'] };

export function errorBody(dialect, status, message) {
  const [type, state] = KINDS[status] ?? KINDS[500];
  if (dialect === 'messages') return { type: 'error', error: { type, message },
                                       request_id: 'req_there' };
  if (dialect === 'gemini') return { error: { code: status, message, status: state } };
  return { error: { message, type, param: null, code: null } };
}

export function errorEvent(dialect, message) {
  if (dialect === 'messages') {
    return named({ type: 'error', error: { type: 'overloaded_error', message } });
  }
  if (dialect === 'responses') {
    return named({ type: 'error', code: 'server_error', message, param: null,
                   sequence_number: 9 });
  }
  return line(errorBody(dialect, 500, message));
}
