// strict.mjs - requests of the four dialects, judged as their makers judge them, and what they
// say in one neutral form, so that a test can compare what a client of one dialect said with
// what a provider of another one was told. It shares no code and no idea with Weir's readers.
//   const { system, turns, tools, ... } = readers.messages(body, { signatures, thinking });
// Rule: whatever a real provider answers with 400 throws a Refusal here, in its words.
export class Refusal extends Error {}

const refuse = (what) => { throw new Refusal(what); };

// What an agent sends in its own dialect is not ours to judge: only read it then.
let lenient = false;

function known(object, names, where) {
  if (object === null || typeof object !== 'object' || Array.isArray(object)) {
    refuse(`${where}: expected an object`);
  }
  for (const name of Object.keys(object)) {
    if (!names.includes(name) && !lenient) refuse(`${where}: unknown parameter '${name}'`);
  }
  return object;
}

const words = (text) => text.trim().split(/\s+/);
const isText = (value, where) => typeof value === 'string' || refuse(`${where}: not a string`);
const isList = (value, where) => Array.isArray(value) || refuse(`${where}: not an array`);
const within = (value, low, high, where) => value === undefined || value === null ||
  (typeof value === 'number' && value >= low && value <= high) ||
  refuse(`${where}: ${value} is not within ${low} and ${high}`);
const counted = (value, low, where) => value === undefined || value === null ||
  (Number.isInteger(value) && value >= low) || refuse(`${where}: ${value} is no integer >= ${low}`);

function object(text, where) {
  isText(text, where);
  let value;
  try { value = JSON.parse(text); } catch { refuse(`${where}: not JSON: ${text}`); }
  return known(value, Object.keys(value ?? {}), where);
}

// Turns of one role are one turn.
function joined(turns) {
  const out = [];
  for (const { role, parts } of turns) {
    if (out.at(-1)?.role === role) out.at(-1).parts.push(...parts);
    else out.push({ role, parts: [...parts] });
  }
  return out;
}

function dataUrl(url) {
  const m = /^data:([^;,]+);base64,([A-Za-z0-9+/]+=*)$/.exec(url);
  return m ? { mime: m[1], data: m[2] } : { url };
}

// --- OpenAI chat completions

const CHAT = words(`model messages stream stream_options tools tool_choice parallel_tool_calls
  response_format max_tokens max_completion_tokens temperature top_p n stop seed logprobs
  top_logprobs presence_penalty frequency_penalty logit_bias user metadata store service_tier
  reasoning_effort verbosity modalities audio prediction safety_identifier prompt_cache_key
  functions function_call web_search_options`);
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;

function chatParts(content, where, kinds) {
  if (typeof content === 'string') return [{ text: content }];
  isList(content, where);
  if (content.length === 0) refuse(`${where}: empty array`);
  return content.map((part, i) => {
    const at = `${where}[${i}]`;
    if (!kinds.includes(part.type)) refuse(`${at}: invalid type '${part.type}'`);
    if (part.type === 'text' || part.type === 'refusal') {
      known(part, ['type', part.type], at);
      isText(part[part.type], at);
      return { text: part[part.type] };
    }
    if (part.type === 'image_url') {
      known(part, ['type', 'image_url'], at);
      known(part.image_url, ['url', 'detail'], at);
      isText(part.image_url.url, at);
      return { image: dataUrl(part.image_url.url) };
    }
    if (part.type === 'input_audio') return { audio: { ...part.input_audio } };
    known(part, ['type', 'file'], at);
    known(part.file, ['filename', 'file_data', 'file_id'], at);
    if (part.file.file_id) return { document: { file: part.file.file_id } };
    if (!part.file.filename) refuse(`${at}: file_data needs a filename`);
    return { document: { ...dataUrl(part.file.file_data), name: part.file.filename } };
  });
}

function chatAssistant(message, at, waiting) {
  known(message, ['role', 'content', 'refusal', 'name', 'tool_calls', 'audio', 'function_call',
                  'annotations', 'reasoning_content', 'reasoning', 'reasoning_details'], at);
  const parts = [];
  const thought = message.reasoning_content ?? message.reasoning;
  if (thought) parts.push({ thought: { text: thought } });
  if (message.content !== null && message.content !== undefined) {
    parts.push(...chatParts(message.content, at, ['text', 'refusal']));
  } else if (!message.tool_calls && !message.refusal) refuse(`${at}: content is null`);
  if (message.refusal) parts.push({ text: message.refusal });
  if (message.tool_calls && message.tool_calls.length === 0) refuse(`${at}: empty tool_calls`);
  for (const call of message.tool_calls ?? []) {
    known(call, ['id', 'type', 'function', 'extra_content'], at);
    isText(call.id, at);
    if (!/^.{1,40}$/.test(call.id)) refuse(`${at}: tool call id ${call.id}`);
    if (call.type !== 'function') refuse(`${at}: tool call type ${call.type}`);
    known(call.function, ['name', 'arguments'], at);
    if (!NAME.test(call.function.name)) refuse(`${at}: function name ${call.function.name}`);
    if (waiting.has(call.id)) refuse(`${at}: duplicate id ${call.id}`);
    waiting.set(call.id, call.function.name);
    parts.push({ call: { id: call.id, name: call.function.name,
                         args: object(call.function.arguments, at) } });
  }
  return parts.filter((part) => part.text !== '');
}

function chatTools(body) {
  if (lenient) {
    return [...(body.functions ?? []), ...(body.tools ?? []).map((tool) => tool[tool.type])]
      .filter(Boolean).map(({ name }) => ({ name }));
  }
  if (body.tools === undefined) {
    if (body.tool_choice !== undefined) refuse("'tool_choice' is only allowed with 'tools'");
    if (body.parallel_tool_calls !== undefined) {
      refuse("'parallel_tool_calls' is only allowed with 'tools'");
    }
    return [];
  }
  isList(body.tools, 'tools');
  if (body.tools.length === 0) refuse("tools: [] is too short - 'tools'");
  return body.tools.map((tool, i) => {
    known(tool, ['type', 'function'], `tools[${i}]`);
    if (tool.type !== 'function') refuse(`tools[${i}].type: ${tool.type}`);
    known(tool.function, ['name', 'description', 'parameters', 'strict'], `tools[${i}]`);
    return functionOf(tool.function, tool.function.parameters, i);
  });
}

function functionOf({ name, description }, schema, i) {
  if (!NAME.test(name)) refuse(`tools[${i}]: name ${name}`);
  if (schema !== undefined && schema !== null && schema.type !== 'object') {
    refuse(`tools[${i}]: schema must be of type object`);
  }
  return { name, description, schema: schema ?? undefined };
}

const openaiChoice = (choice, name) => choice === undefined || choice === null ? undefined
  : choice === 'required' ? 'any' : typeof choice === 'string' ? choice
    : choice.type === 'allowed_tools' ? 'allowed' : { name };

function chatFormat(format) {
  if (!format || format.type === 'text') return {};
  if (format.type === 'json_object') return { json: true };
  if (format.type !== 'json_schema') refuse(`response_format.type ${format.type}`);
  known(format.json_schema, ['name', 'description', 'schema', 'strict'], 'response_format');
  if (!NAME.test(format.json_schema.name ?? '')) refuse('response_format.json_schema.name');
  return { json: true, schema: format.json_schema.schema };
}

function chat(body) {
  known(body, CHAT, 'body');
  isText(body.model, 'model');
  isList(body.messages, 'messages');
  if (body.messages.length === 0) refuse('messages: [] is too short');
  if (body.max_tokens !== undefined && body.max_completion_tokens !== undefined) {
    refuse('max_tokens and max_completion_tokens');
  }
  if (body.stream_options && !body.stream) refuse('stream_options without stream');
  within(body.temperature, 0, 2, 'temperature');
  within(body.top_p, 0, 1, 'top_p');
  counted(body.max_tokens ?? body.max_completion_tokens, 1, 'max_tokens');
  const stop = body.stop === undefined || body.stop === null ? [] : [body.stop].flat();
  if (stop.length > 4) refuse('stop: at most 4');
  const system = [], turns = [], waiting = new Map();
  body.messages.forEach((message, i) => {
    const at = `messages[${i}]`;
    if (message.role !== 'tool' && waiting.size > 0) {
      refuse(`${at}: tool_call_ids without response: ${[...waiting.keys()]}`);
    }
    switch (message.role) {
      case 'system': case 'developer':
        known(message, ['role', 'content', 'name'], at);
        system.push(chatParts(message.content, at, ['text']).map((p) => p.text).join(''));
        break;
      case 'user':
        known(message, ['role', 'content', 'name'], at);
        turns.push({ role: 'user', parts: chatParts(message.content, at,
                                       ['text', 'image_url', 'input_audio', 'file']) });
        break;
      case 'assistant':
        turns.push({ role: 'model', parts: chatAssistant(message, at, waiting) });
        break;
      case 'tool': {
        known(message, ['role', 'content', 'tool_call_id'], at);
        const name = waiting.get(message.tool_call_id);
        if (!name) refuse(`${at}: no tool call ${message.tool_call_id}`);
        waiting.delete(message.tool_call_id);
        const text = chatParts(message.content, at, ['text']).map((p) => p.text).join('');
        turns.push({ role: 'user', parts: [{ result: { id: message.tool_call_id, name,
                                                       text } }] });
        break;
      }
      default: refuse(`${at}.role: ${message.role}`);
    }
  });
  if (waiting.size > 0) refuse(`tool_call_ids without response: ${[...waiting.keys()]}`);
  return { system, turns: joined(turns), tools: chatTools(body), stop,
           choice: openaiChoice(body.tool_choice, body.tool_choice?.function?.name),
           parallel: body.parallel_tool_calls, max: body.max_completion_tokens ?? body.max_tokens,
           temperature: body.temperature, topP: body.top_p, stream: Boolean(body.stream),
           effort: body.reasoning_effort, ...chatFormat(body.response_format) };
}

// --- OpenAI Responses

const RESPONSES = words(`model input instructions tools tool_choice parallel_tool_calls text
  reasoning include max_output_tokens max_tool_calls temperature top_p top_logprobs metadata user
  safety_identifier prompt_cache_key prompt_cache_retention service_tier store stream
  stream_options truncation previous_response_id conversation background prompt`);

function responsesParts(content, role, where) {
  if (typeof content === 'string') return [{ text: content }];
  isList(content, where);
  return content.map((part, i) => {
    const at = `${where}[${i}]`;
    const good = role === 'assistant' ? ['output_text', 'refusal']
      : ['input_text', 'input_image', 'input_file', 'input_audio'];
    if (!good.includes(part.type)) refuse(`${at}: invalid type '${part.type}' of ${role}`);
    if (part.type === 'refusal') return { text: part.refusal };
    if (/_text$/.test(part.type)) {
      known(part, ['type', 'text', 'annotations', 'logprobs'], at);
      isText(part.text, at);
      return { text: part.text };
    }
    if (part.type === 'input_image') {
      known(part, ['type', 'image_url', 'file_id', 'detail'], at);
      return { image: dataUrl(part.image_url) };
    }
    if (part.type === 'input_audio') return { audio: part.input_audio };
    known(part, ['type', 'filename', 'file_data', 'file_url', 'file_id'], at);
    if (part.file_url) return { document: { url: part.file_url } };
    if (part.file_id) return { document: { file: part.file_id } };
    if (!part.filename) refuse(`${at}: file_data needs a filename`);
    return { document: { ...dataUrl(part.file_data), name: part.filename } };
  });
}

function itemId(item, prefix, at) {
  if (item.id === undefined || item.id === null) return;
  if (!String(item.id).startsWith(prefix) || item.id.length > 64) {
    refuse(`${at}.id: ${item.id}: expected an ID that begins with '${prefix}'`);
  }
}

// A function_call_output: {text, images}.
function outputOf(output, at) {
  if (typeof output === 'string') return { text: output };
  const parts = responsesParts(output, 'user', at);
  const images = parts.filter((part) => part.image).map((part) => part.image);
  return { text: parts.map((part) => part.text ?? '').join(''),
           ...(images.length ? { images } : {}) };
}

function responsesItem(item, i, state) {
  const at = `input[${i}]`, { turns, system, waiting } = state;
  const type = item.type ?? 'message';
  if (state.reasoning && !['message', 'function_call', 'reasoning',
                           'custom_tool_call'].includes(type)) {
    refuse(`${at}: reasoning item without its required following item`);
  }
  if (type === 'message') {
    known(item, ['type', 'role', 'content', 'id', 'status', 'phase'], at);
    const parts = responsesParts(item.content, item.role, at);
    if (['system', 'developer'].includes(item.role)) {
      system.push(parts.map((part) => part.text).join(''));
    } else if (item.role === 'user') {
      if (state.reasoning) refuse(`${at}: reasoning item without its required following item`);
      turns.push({ role: 'user', parts });
    } else if (item.role === 'assistant') {
      itemId(item, 'msg', at);
      turns.push({ role: 'model', parts });
      state.reasoning = false;
    } else refuse(`${at}.role: ${item.role}`);
  } else if (type === 'function_call') {
    known(item, ['type', 'call_id', 'name', 'arguments', 'id', 'status'], at);
    itemId(item, 'fc', at);
    if (!/^.{1,64}$/.test(item.call_id ?? '')) refuse(`${at}.call_id: ${item.call_id}`);
    if (!NAME.test(item.name)) refuse(`${at}.name: ${item.name}`);
    if (waiting.has(item.call_id)) refuse(`${at}: duplicate call_id ${item.call_id}`);
    waiting.set(item.call_id, item.name);
    turns.push({ role: 'model', parts: [{ call: { id: item.call_id, name: item.name,
                                                  args: object(item.arguments, at) } }] });
    state.reasoning = false;
  } else if (type === 'function_call_output') {
    known(item, ['type', 'call_id', 'output', 'id', 'status'], at);
    const name = waiting.get(item.call_id);
    if (!name) refuse(`${at}: no tool call found for function call output ${item.call_id}`);
    waiting.delete(item.call_id);
    turns.push({ role: 'user', parts: [{ result: { id: item.call_id, name,
                                                   ...outputOf(item.output, at) } }] });
  } else if (type === 'reasoning') {
    known(item, ['type', 'id', 'summary', 'content', 'encrypted_content', 'status'], at);
    itemId(item, 'rs', at);
    isList(item.summary, `${at}.summary`);
    const signature = item.encrypted_content ?? undefined;
    if (signature !== undefined) verified(signature, state.signatures, at);
    const text = item.summary.map((part) => part.text).join('');
    turns.push({ role: 'model', parts: [{ thought: { text, signature } }] });
    state.reasoning = true;
  } else if (!lenient) refuse(`${at}.type: invalid value '${type}'`);
}

function verified(signature, signatures, at) {
  if (signatures && !signatures.has(signature)) {
    refuse(`${at}: the encrypted content ${signature} could not be verified`);
  }
}

function responses(body, { signatures } = {}) {
  known(body, RESPONSES, 'body');
  isText(body.model, 'model');
  counted(body.max_output_tokens, 16, 'max_output_tokens');
  within(body.temperature, 0, 2, 'temperature');
  within(body.top_p, 0, 1, 'top_p');
  const state = { turns: [], waiting: new Map(), signatures, reasoning: false,
                  system: body.instructions ? [body.instructions] : [] };
  if (typeof body.input === 'string') {
    state.turns.push({ role: 'user', parts: [{ text: body.input }] });
  } else {
    isList(body.input, 'input');
    body.input.forEach((item, i) => responsesItem(item, i, state));
  }
  if (state.waiting.size) refuse(`No tool output found for ${[...state.waiting.keys()]}`);
  if (state.reasoning) refuse('reasoning item without its required following item');
  const early = [body.input].flat().flatMap((item) => (item.type === 'additional_tools'
    ? item.tools : []));
  const offered = lenient ? [...body.tools ?? [], ...early].filter((tool) => tool.name)
    .map(({ name, description, parameters }) =>
      ({ type: 'function', name, description, parameters })) : body.tools;
  const tools = (offered ?? []).map((tool, i) => {
    if (tool.type !== 'function') refuse(`tools[${i}].type: ${tool.type}`);
    known(tool, ['type', 'name', 'description', 'parameters', 'strict'], `tools[${i}]`);
    return functionOf(tool, tool.parameters, i);
  });
  known(body.text ?? {}, ['format', 'verbosity'], 'text');
  known(body.reasoning ?? {}, ['effort', 'summary', 'context', 'generate_summary'], 'reasoning');
  const format = body.text?.format;
  if (format?.type === 'json_schema') {
    known(format, ['type', 'name', 'description', 'schema', 'strict'], 'text.format');
    if (!NAME.test(format.name ?? '')) refuse('text.format.name');
  }
  return { system: state.system, turns: joined(state.turns), tools, stop: [],
           choice: openaiChoice(body.tool_choice, body.tool_choice?.name),
           parallel: body.parallel_tool_calls, max: body.max_output_tokens,
           temperature: body.temperature, topP: body.top_p, stream: Boolean(body.stream),
           effort: body.reasoning?.effort, encrypted: body.include ?? [], store: body.store,
           ...(format && format.type !== 'text' ? { json: true, schema: format.schema } : {}) };
}

// --- Anthropic Messages

const MESSAGES = words(`model messages max_tokens system stop_sequences stream temperature top_p
  top_k tools tool_choice thinking metadata service_tier output_config output_format
  context_management container mcp_servers cache_control inference_geo speed`);

function messagesText(text, at) {
  isText(text, at);
  if (text === '') refuse(`${at}: text content blocks must be non-empty`);
  if (!text.trim()) refuse(`${at}: text content blocks must contain non-whitespace text`);
  return { text };
}

function messagesSource(source, at) {
  if (source.type === 'base64') {
    known(source, ['type', 'media_type', 'data'], at);
    if (!/^[A-Za-z0-9+/]+=*$/.test(source.data)) refuse(`${at}: invalid base64`);
    isText(source.media_type, at);
    return { mime: source.media_type, data: source.data };
  }
  if (source.type === 'url') {
    if (!/^https?:/.test(source.url)) refuse(`${at}: only HTTP(S) URLs`);
    return { url: source.url };
  }
  if (source.type === 'text') {
    if (source.media_type !== 'text/plain') refuse(`${at}: media_type`);
    return { text: source.data };
  }
  if (source.type === 'file') return { file: source.file_id };
  return refuse(`${at}: source type ${source.type}`);
}

function messagesResult(block, at, state) {
  known(block, ['type', 'tool_use_id', 'content', 'is_error', 'cache_control'], at);
  const name = state.waiting.get(block.tool_use_id);
  if (!name) refuse(`${at}: unexpected tool_use_id in tool_result: ${block.tool_use_id}`);
  state.waiting.delete(block.tool_use_id);
  const content = block.content ?? '';
  const parts = typeof content === 'string' ? [{ text: content }] : content.map((part, i) => {
    if (part.type === 'text') return messagesText(part.text, `${at}.content[${i}]`);
    if (part.type === 'image') return { image: messagesSource(part.source, at) };
    if (part.type === 'document') return { document: messagesSource(part.source, at) };
    return refuse(`${at}.content[${i}].type: ${part.type}`);
  });
  const images = parts.filter((part) => part.image).map((part) => part.image);
  return { result: { id: block.tool_use_id, name,
                     text: parts.map((part) => part.text ?? '').join(''),
                     ...(images.length ? { images } : {}),
                     ...(block.is_error ? { error: true } : {}) } };
}

function messagesBlock(block, at, role, state) {
  if (block.cache_control) state.marks++;
  const only = (type, where) => role === where || refuse(`${at}: ${type} in a ${role} turn`);
  switch (block.type) {
    case 'text':
      known(block, ['type', 'text', 'cache_control', 'citations'], at);
      return messagesText(block.text, at);
    case 'image':
      only('image', 'user');
      known(block, ['type', 'source', 'cache_control'], at);
      return { image: messagesSource(block.source, at) };
    case 'document':
      only('document', 'user');
      known(block, ['type', 'source', 'title', 'context', 'citations', 'cache_control'], at);
      return { document: { ...messagesSource(block.source, at),
                           ...(block.title ? { name: block.title } : {}) } };
    case 'tool_use':
      only('tool_use', 'assistant');
      known(block, ['type', 'id', 'name', 'input', 'cache_control', 'caller'], at);
      if (!/^[a-zA-Z0-9_-]+$/.test(block.id)) refuse(`${at}.id: ${block.id}`);
      if (!/^[a-zA-Z0-9_-]{1,128}$/.test(block.name)) refuse(`${at}.name: ${block.name}`);
      if (state.calls.has(block.id)) refuse(`${at}: tool_use ids must be unique`);
      state.calls.add(block.id);
      state.next.set(block.id, block.name);
      known(block.input, Object.keys(block.input ?? {}), `${at}.input`);
      return { call: { id: block.id, name: block.name, args: block.input } };
    case 'tool_result':
      only('tool_result', 'user');
      return messagesResult(block, at, state);
    case 'thinking':
      only('thinking', 'assistant');
      known(block, ['type', 'thinking', 'signature'], at);
      isText(block.signature, `${at}.signature`);
      isText(block.thinking, `${at}.thinking`);
      if (state.signatures && state.signatures.get(block.signature) !== block.thinking) {
        refuse(`${at}: invalid signature in thinking block: ${block.signature}`);
      }
      return { thought: { text: block.thinking, signature: block.signature } };
    case 'redacted_thinking':
      only('redacted_thinking', 'assistant');
      verified(block.data, state.signatures, at);
      return { thought: { text: '', signature: block.data } };
    default: return refuse(`${at}.type: ${block.type}`);
  }
}

function messagesThinking(body, state, last) {
  const { thinking } = body;
  if (thinking === undefined) return undefined;
  if (thinking.type === 'disabled') return false;
  if (!['enabled', 'adaptive'].includes(thinking.type)) refuse('thinking.type');
  if (thinking.type === 'enabled') {
    known(thinking, ['type', 'budget_tokens', 'display'], 'thinking');
    counted(thinking.budget_tokens ?? 0, 1024, 'thinking.budget_tokens');
    if (thinking.budget_tokens >= body.max_tokens) {
      refuse('max_tokens must be greater than thinking.budget_tokens');
    }
    if (last && !['thinking', 'redacted_thinking'].includes(last)) {
      refuse('when thinking is enabled, a final assistant message must start with a thinking ' +
             `block: found ${last}`);
    }
  } else known(thinking, ['type', 'display'], 'thinking');
  if (body.temperature !== undefined && body.temperature !== 1) {
    refuse('temperature may only be set to 1 when thinking is enabled');
  }
  if (body.top_k !== undefined) refuse('top_k must be unset when thinking is enabled');
  if (['any', 'tool'].includes(body.tool_choice?.type)) {
    refuse('thinking may not be enabled when tool_choice forces tool use');
  }
  return true;
}

function messagesTurns(body, state) {
  const turns = [];
  let open = null;      // what the model's turn began with that still runs, results between
  body.messages.forEach((message, i) => {
    const at = `messages[${i}]`;
    known(message, ['role', 'content'], at);
    if (lenient && message.role === 'system') return;
    if (!['user', 'assistant'].includes(message.role)) refuse(`${at}.role: ${message.role}`);
    const last = turns.at(-1)?.from;
    if (message.role === last && !lenient) refuse(`${at}: roles must alternate`);
    const content = typeof message.content === 'string'
      ? [{ type: 'text', text: message.content }] : message.content;
    isList(content, at);
    if (content.length === 0) refuse(`${at}: content must be non-empty`);
    state.waiting = state.next;
    state.next = new Map();
    const parts = content.map((block, j) =>
      messagesBlock(block, `${at}.content[${j}]`, message.role, state));
    if (state.waiting.size) {
      refuse(`${at}: tool_use without tool_result next: ${[...state.waiting.keys()]}`);
    }
    const results = content.findLastIndex((block) => block.type === 'tool_result');
    if (content.slice(0, results + 1).some((block) => block.type !== 'tool_result')) {
      refuse(`${at}: tool_result blocks must come first`);
    }
    if (message.role === 'assistant') {
      const thought = content.findLastIndex((block) => /thinking/.test(block.type));
      const first = content.findIndex((block) => !/thinking/.test(block.type));
      if (first >= 0 && thought > first && !body.thinking) refuse(`${at}: late thinking`);
      open ??= content[0].type;
    } else if (results < 0) open = null;
    turns.push({ from: message.role, role: message.role === 'user' ? 'user' : 'model', parts });
  });
  if (state.next.size) refuse(`tool_use without tool_result: ${[...state.next.keys()]}`);
  const end = body.messages.at(-1);
  const final = Array.isArray(end.content) ? end.content.at(-1)?.text : end.content;
  if (end.role === 'assistant' && /\s$/.test(final ?? '')) {
    refuse('final assistant content cannot end with trailing whitespace');
  }
  return { turns, open: body.messages.at(-1).role === 'user' ? open : null };
}

function messagesSystem(system, state) {
  if (system === undefined) return [];
  if (typeof system === 'string') return system === '' ? [] : [system];
  return system.map((block, i) => {
    known(block, ['type', 'text', 'cache_control', 'citations'], `system[${i}]`);
    if (block.cache_control) state.marks++;
    return messagesText(block.text, `system[${i}]`).text;
  });
}

function messages(body, { signatures, version = '2023-06-01' } = {}) {
  known(body, MESSAGES, 'body');
  isText(body.model, 'model');
  if (!version) refuse('anthropic-version: header is required');
  if (!Number.isInteger(body.max_tokens) || body.max_tokens < 1) refuse('max_tokens: required');
  within(body.temperature, 0, 1, 'temperature');
  isList(body.messages, 'messages');
  if (body.messages.length === 0) refuse('messages: at least one message is required');
  const state = { signatures, waiting: new Map(), next: new Map(), calls: new Set(), marks: 0 };
  const system = messagesSystem(body.system, state);
  const { turns, open } = messagesTurns(body, state);
  const tools = (body.tools ?? []).map((tool, i) => {
    known(tool, ['type', 'name', 'description', 'input_schema', 'cache_control', 'strict',
                 'defer_loading', 'eager_input_streaming'], `tools[${i}]`);
    if (tool.cache_control) state.marks++;
    if (tool.type !== undefined && tool.type !== 'custom' && !lenient) {
      refuse(`tools[${i}].type`);
    }
    if (!/^[a-zA-Z0-9_-]{1,128}$/.test(tool.name)) refuse(`tools[${i}].name: ${tool.name}`);
    if (tool.input_schema?.type !== 'object') refuse(`tools[${i}].input_schema.type: required`);
    return { name: tool.name, description: tool.description, schema: tool.input_schema };
  });
  if (state.marks > 4) refuse('a maximum of 4 blocks with cache_control may be provided');
  const choice = body.tool_choice;
  if (choice) {
    known(choice, ['type', 'name', 'disable_parallel_tool_use'], 'tool_choice');
    if (tools.length === 0) refuse('tool_choice may only be specified while providing tools');
  }
  for (const text of body.stop_sequences ?? []) {
    if (!text.trim()) refuse('each stop sequence must contain non-whitespace');
  }
  if (body.metadata) known(body.metadata, ['user_id'], 'metadata');
  const format = body.output_config?.format ?? body.output_format;
  if (format && format.type !== 'json_schema') refuse('output_config.format.type');
  if (format) known(format, ['type', 'schema'], 'output_config.format');
  known(body.output_config ?? {}, ['effort', 'format'], 'output_config');
  return { system, turns: joined(turns), tools, stop: body.stop_sequences ?? [],
           choice: choice && (choice.type === 'tool' ? { name: choice.name } : choice.type),
           parallel: choice?.disable_parallel_tool_use === undefined ? undefined
             : !choice.disable_parallel_tool_use,
           max: body.max_tokens, temperature: body.temperature, topP: body.top_p,
           stream: Boolean(body.stream), thinking: messagesThinking(body, state, open),
           effort: body.output_config?.effort, marks: state.marks,
           ...(format ? { json: true, schema: format.schema } : {}) };
}

// --- Gemini generateContent

const GEMINI = words(`contents systemInstruction tools toolConfig safetySettings
  generationConfig cachedContent labels serviceTier store`);
const GENERATION = words(`temperature topP topK candidateCount maxOutputTokens stopSequences seed
  presencePenalty frequencyPenalty responseMimeType responseSchema responseJsonSchema
  responseLogprobs logprobs thinkingConfig responseModalities speechConfig mediaResolution
  enableEnhancedCivicAnswers imageConfig`);
const KINDS = words('text inlineData fileData functionCall functionResponse');
const SCHEMA = words(`type format title description nullable enum items maxItems minItems
  properties required minProperties maxProperties minLength maxLength pattern example anyOf
  propertyOrdering default minimum maximum`);

function geminiSchema(schema, at) {
  known(schema, SCHEMA, at);
  for (const [name, value] of Object.entries(schema.properties ?? {})) {
    geminiSchema(value, `${at}.properties.${name}`);
  }
  if (schema.items) geminiSchema(schema.items, `${at}.items`);
  for (const one of schema.anyOf ?? []) geminiSchema(one, `${at}.anyOf`);
}

const usual = (data) => data.replaceAll('-', '+').replaceAll('_', '/');

function geminiBlob({ inlineData, fileData }, at) {
  const mime = (inlineData ?? fileData).mimeType;
  if (inlineData) {
    isText(mime, `${at}.mimeType`);
    known(inlineData, ['mimeType', 'data', 'displayName'], at);
  } else known(fileData, ['mimeType', 'fileUri', 'displayName'], at);
  const it = inlineData ? { mime, data: usual(inlineData.data) } : { url: fileData.fileUri, mime };
  const kind = !mime || /^image\//.test(mime) ? 'image' : /^audio\//.test(mime) ? 'audio'
    : /^video\//.test(mime) ? 'video' : 'document';
  return { [kind]: it };
}

function geminiResult(response, at) {
  known(response, ['name', 'response', 'id', 'parts', 'willContinue', 'scheduling'], at);
  isText(response.name, `${at}.name`);
  const value = known(response.response, Object.keys(response.response ?? {}),
                      `${at}.response`);
  // an object with one of these is what people write around a text
  const [only, more] = Object.keys(value), inner = value[only];
  const around = more === undefined && ['output', 'result', 'error'].includes(only);
  const text = typeof inner === 'string' && around ? inner : JSON.stringify(around ? inner : value);
  const images = (response.parts ?? []).map((part) => geminiBlob(part, at).image);
  return { id: response.id, name: response.name, text,
           ...(images.length ? { images } : {}), ...('error' in value ? { error: true } : {}) };
}

function geminiPart(part, at, role, state) {
  known(part, [...KINDS, 'thought', 'thoughtSignature', 'videoMetadata', 'mediaResolution'], at);
  const said = KINDS.filter((kind) => part[kind] !== undefined);
  if (said.length !== 1) refuse(`${at}: oneof field 'data' has ${said.length} initialized fields`);
  const signature = part.thoughtSignature;
  const skip = 'skip_thought_signature_validator';
  if (signature !== undefined && signature !== skip) verified(signature, state.signatures, at);
  const signed = signature === undefined ? {} : { signature };
  if (part.functionCall) {
    if (role !== 'model') refuse(`${at}: functionCall of ${role}`);
    known(part.functionCall, ['name', 'args', 'id'], at);
    if (!/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/.test(part.functionCall.name)) refuse(`${at}.name`);
    return { call: { id: part.functionCall.id, name: part.functionCall.name,
                     args: part.functionCall.args ?? {}, ...signed } };
  }
  if (part.functionResponse) {
    if (role === 'model') refuse(`${at}: functionResponse of ${role}`);
    return { result: geminiResult(part.functionResponse, at) };
  }
  if (part.text !== undefined) {
    isText(part.text, at);
    return part.thought ? { thought: { text: part.text, ...signed } }
                        : { text: part.text, ...signed };
  }
  return geminiBlob(part, at);
}

// Calls have their results in the very next turn, as many, by name; numbered where they have
// no ids, so that results can be told apart.
function geminiPairs(turns, state) {
  turns.forEach(({ role, parts }, i) => {
    const calls = parts.filter((part) => part.call).map((part) => part.call);
    const results = parts.filter((part) => part.result).map((part) => part.result);
    if (calls.length && i === 0) refuse('function call turn comes first');
    if (calls.length && turns[i + 1] === undefined) return;
    if (calls.length) {
      const next = turns[i + 1].parts.filter((p) => p.result).map((p) => p.result);
      if (next.length !== calls.length) {
        refuse(`${next.length} function response parts for ${calls.length} function calls`);
      }
      if (state.signed && !calls[0].signature) {
        refuse(`function call ${calls[0].name} is missing a thought_signature`);
      }
      const open = [...calls];
      for (const result of next) {
        const at = open.findIndex((c) => c.name === result.name &&
          (c.id === undefined || result.id === undefined || c.id === result.id));
        if (at < 0) refuse(`function response ${result.name} ${result.id} answers no call`);
        const [call] = open.splice(at, 1);
        call.id ??= `gemini-${i}-${calls.indexOf(call)}`;
        result.id = call.id;
      }
    }
    const before = i > 0 && turns[i - 1].parts.some((part) => part.call);
    if (results.length && !before) refuse('function response turn comes after no call');
  });
}

function geminiTools(body) {
  return (body.tools ?? []).flatMap((tool, i) => {
    known(tool, ['functionDeclarations', 'googleSearch', 'codeExecution', 'urlContext'],
          `tools[${i}]`);
    return (tool.functionDeclarations ?? refuse('hosted tool')).map((f, j) => {
      const at = `tools[${i}].functionDeclarations[${j}]`;
      known(f, ['name', 'description', 'parameters', 'parametersJsonSchema', 'behavior',
                'response', 'responseJsonSchema'], at);
      if (!/^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/.test(f.name)) refuse(`${at}.name: ${f.name}`);
      if (f.parameters && f.parametersJsonSchema) refuse(`${at}: two schemas`);
      if (f.parameters) geminiSchema(f.parameters, `${at}.parameters`);
      return { name: f.name, description: f.description,
               schema: f.parametersJsonSchema ?? f.parameters };
    });
  });
}

function geminiThinking(config) {
  if (!config) return {};
  known(config, ['includeThoughts', 'thinkingBudget', 'thinkingLevel'], 'thinkingConfig');
  if (config.thinkingBudget !== undefined && config.thinkingLevel !== undefined) {
    refuse('thinkingBudget and thinkingLevel');
  }
  return { thinking: config.thinkingBudget !== 0, effort: config.thinkingLevel?.toLowerCase(),
           thoughts: config.includeThoughts };
}

function gemini(body, { signatures, signed = false, stream = false } = {}) {
  known(body, GEMINI, 'body');
  isList(body.contents, 'contents');
  if (body.contents.length === 0) refuse('contents is not specified');
  const config = known(body.generationConfig ?? {}, GENERATION, 'generationConfig');
  within(config.temperature, 0, 2, 'temperature');
  counted(config.topK, 1, 'topK');
  counted(config.maxOutputTokens, 1, 'maxOutputTokens');
  if ((config.stopSequences ?? []).length > 5) refuse('stopSequences: at most 5');
  const state = { signatures, signed };
  // Google's own chats send a turn in as many contents as it had chunks: one turn is meant.
  const turns = joined(body.contents.map((content, i) => {
    known(content, ['role', 'parts'], `contents[${i}]`);
    const role = content.role ?? 'user';
    if (!['user', 'model'].includes(role)) refuse(`contents[${i}].role: valid role: user, model`);
    isList(content.parts, `contents[${i}].parts`);
    if (content.parts.length === 0) refuse(`contents[${i}].parts must not be empty`);
    return { role, parts: content.parts.map((part, j) =>
      geminiPart(part, `contents[${i}].parts[${j}]`, role, state)) };
  }));
  geminiPairs(turns, state);
  if (config.responseSchema) geminiSchema(config.responseSchema, 'responseSchema');
  const schema = config.responseJsonSchema ?? config.responseSchema;
  if (schema && config.responseMimeType !== 'application/json') refuse('responseMimeType');
  const calling = body.toolConfig?.functionCallingConfig;
  if (calling?.allowedFunctionNames && !['ANY', 'VALIDATED'].includes(calling.mode)) {
    refuse('allowedFunctionNames needs mode ANY');
  }
  const system = body.systemInstruction
    ? body.systemInstruction.parts.map((part) => part.text) : [];
  return { system, turns, tools: geminiTools(body),
           stop: config.stopSequences ?? [], max: config.maxOutputTokens,
           choice: calling?.allowedFunctionNames?.length === 1
             ? { name: calling.allowedFunctionNames[0] } : calling?.mode?.toLowerCase(),
           temperature: config.temperature, topP: config.topP, stream,
           ...geminiThinking(config.thinkingConfig),
           ...(config.responseMimeType === 'application/json' ? { json: true, schema } : {}) };
}

const strictly = (read) => (body, context) => {
  lenient = Boolean(context?.lenient);
  return read(body, context);
};
export const readers = Object.fromEntries(Object.entries({ chat, responses, messages, gemini })
  .map(([name, read]) => [name, strictly(read)]));
