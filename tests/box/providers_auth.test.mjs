// providers_auth.test.mjs - providers beyond a plain key, with mocks that check for themselves
// what makes them hard: AWS signatures and binary streams, Google's assertions and tokens,
// Azure's paths, Cohere's words.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { chat, provider } from './lib/provider.mjs';
import { Weir, command, directory, until, whole } from './lib/weir.mjs';

const price = { input: '1', output: '2' };
const text = (answer) => answer.json.choices[0].message.content;

// --- AWS

const sha = (data) => crypto.createHash('sha256').update(data).digest('hex');
const hmac = (key, data) => crypto.createHmac('sha256', key).update(data).digest();

const aws = { access_key_id: 'AKIDEXAMPLE', secret_access_key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY',
              session_token: 'IQoJb3JpZ2luX2VjEXAMPLE==' };

// The signature as AWS computes it from what came (another reading than Weir's own).
function signedWell(request, region = 'eu-central-1') {
  const [, date, scopeDate, names, signature] = new RegExp('^AWS4-HMAC-SHA256 Credential=' +
    `${aws.access_key_id}/((\\d{8})/${region}/bedrock/aws4_request), SignedHeaders=([a-z0-9;-]+), ` +
    'Signature=([0-9a-f]{64})$').exec(request.get('authorization')) ?? [];
  assert.ok(signature, request.get('authorization'));
  const moment = request.get('x-amz-date');
  assert.match(moment, /^\d{8}T\d{6}Z$/);
  assert.equal(moment.slice(0, 8), scopeDate);
  const at = Date.parse(moment.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
  assert.ok(Math.abs(Date.now() - at) < 300_000, 'the clock is right');
  assert.equal(request.get('x-amz-security-token'), aws.session_token);
  const uri = request.target.split('/').map((part) => encodeURIComponent(part)).join('/');
  const canonical = ['POST', uri, '',
    ...names.split(';').map((name) => `${name}:${request.get(name)}`), '', names,
    sha(request.body)].join('\n');
  const string = ['AWS4-HMAC-SHA256', moment, date, sha(canonical)].join('\n');
  const key = [scopeDate, region, 'bedrock', 'aws4_request'].reduce(hmac,
    `AWS4${aws.secret_access_key}`);
  assert.equal(signature, hmac(key, string).toString('hex'));
}

function message(headers, payload) {
  const parts = Object.entries(headers).map(([name, value]) => {
    const head = Buffer.alloc(4);
    head[0] = name.length;
    const length = Buffer.alloc(3);
    length[0] = 7;
    length.writeUInt16BE(value.length, 1);
    return Buffer.concat([head.subarray(0, 1), Buffer.from(name), length, Buffer.from(value)]);
  });
  const head = Buffer.concat(parts), body = Buffer.from(JSON.stringify(payload));
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(16 + head.length + body.length, 0);
  prelude.writeUInt32BE(head.length, 4);
  prelude.writeUInt32BE(crc(prelude.subarray(0, 8)), 8);
  const all = Buffer.concat([prelude, head, body]), end = Buffer.alloc(4);
  end.writeUInt32BE(crc(all), 0);
  return Buffer.concat([all, end]);
}

function crc(data) {       // node 18 has none: slowly, bit by bit
  let c = ~0;
  for (const byte of data) {
    c ^= byte;
    for (let i = 0; i < 8; i++) c = (c >>> 1) ^ (c & 1 ? 0xedb88320 : 0);
  }
  return ~c >>> 0;
}

const event = (name, payload) =>
  message({ ':event-type': name, ':content-type': 'application/json',
            ':message-type': 'event' }, payload);
const usage = { inputTokens: 12, outputTokens: 5, totalTokens: 117, cacheReadInputTokens: 100 };

function streamOf(...middle) {
  return [event('messageStart', { role: 'assistant', p: 'abc' }), ...middle,
          event('messageStop', { stopReason: 'end_turn' }),
          event('metadata', { usage, metrics: { latencyMs: 1 } })];
}

async function converse(call) {
  if (call.request.get('authorization').startsWith('AWS4')) signedWell(call.request);
  const streamed = call.request.target.endsWith('/converse-stream');
  if (!streamed) {
    return call.json({ metrics: { latencyMs: 1 }, stopReason: 'end_turn', usage,
                       output: { message: { role: 'assistant', content: [{ text: 'hello' }] } } });
  }
  const bytes = Buffer.concat(streamOf(
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'he' } }),
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'llo' } }),
    event('contentBlockStop', { contentBlockIndex: 0 })));
  await call.head(200, { 'content-type': 'application/vnd.amazon.eventstream',
                         'transfer-encoding': 'chunked' });
  for (let at = 0; at < bytes.length; at += 11) await call.chunk(bytes.subarray(at, at + 11));
  return call.end();
}

const bedrock = (p, more) => ({
  providers: [{ name: 'bedrock', url: p.url.replace('/v1', ''), region: 'eu-central-1',
                ...more }],
  models: [{ id: 'bedrock/eu.anthropic.claude-x-v1:0', price },
           { id: 'bedrock/profile', price,
             upstream: 'arn:aws:bedrock:eu-central-1:1:inference-profile/x' }] });

async function events(response) {
  const body = await response.text();
  return body.split('\n\n').filter((part) => part.startsWith('data: {'))
    .map((part) => JSON.parse(part.slice(6)));
}

test('Bedrock: signed, whole and as a binary stream', async () => {
  const p = await provider(converse);
  const weir = await Weir.start(bedrock(p, aws));
  const answer = await weir.chat({ model: 'bedrock/eu.anthropic.claude-x-v1:0' });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(text(answer), 'hello');
  assert.deepEqual([answer.json.usage.prompt_tokens, answer.json.usage.completion_tokens,
    answer.json.usage.prompt_tokens_details.cached_tokens], [112, 5, 100]);
  assert.equal(p.requests[0].target, '/model/eu.anthropic.claude-x-v1%3A0/converse');
  const sent = JSON.parse(p.requests[0].body);
  assert.deepEqual(sent.messages, [{ role: 'user', content: [{ text: 'hello' }] }]);

  const stream = await weir.fetch('/v1/chat/completions', { body: {
    model: 'bedrock/profile', stream: true, stream_options: { include_usage: true },
    messages: [{ role: 'user', content: 'hello' }] } });
  assert.match(stream.headers.get('content-type'), /^text\/event-stream/);
  const said = await events(stream);
  assert.equal(said.map((e) => e.choices[0]?.delta.content ?? '').join(''), 'hello');
  assert.equal(said.at(-1).usage.completion_tokens, 5);
  assert.equal(p.requests[1].target,
    '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A1%3Ainference-profile%2Fx/converse-stream');
  assert.deepEqual(p.faults, []);

  const message = whole(await weir.fetch('/v1/messages', { body: {
    model: 'bedrock/profile', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] } }));
  assert.equal((await message).json.content[0].text, 'hello');
  await weir.stop();
});

test('Bedrock: a bearer key; exceptions in the stream; a wrong CRC', async () => {
  const p = await provider(converse);
  const weir = await Weir.start(bedrock(p, { keys: ['bedrock-api-key-x'] }));
  const model = 'bedrock/profile', body = { model, stream: true, messages: [
    { role: 'user', content: 'x' }] };
  assert.equal(text(await weir.chat({ model })), 'hello');
  assert.equal(p.requests[0].get('authorization'), 'Bearer bedrock-api-key-x');

  const exception = message({ ':exception-type': 'throttlingException',
    ':content-type': 'application/json', ':message-type': 'exception' }, { message: 'slow down' });
  const begin = async (call, ...parts) => {
    await call.head(200, { 'content-type': 'application/vnd.amazon.eventstream',
                           'transfer-encoding': 'chunked' });
    for (const part of parts) await call.chunk(part);
    return call.end();
  };
  const start = [event('messageStart', { role: 'assistant' }),
                 event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'he' } })];
  p.answer = (call) => begin(call, ...start, exception);
  let said = await (await weir.fetch('/v1/chat/completions', { body })).text();
  assert.match(said, /"content":"he"/);
  assert.match(said, /slow down/);
  assert.doesNotMatch(said, /\[DONE\]/);

  p.answer = (call) => begin(call, exception);      // before anything was said: an error
  const refused = await weir.fetch('/v1/chat/completions', { body });
  assert.equal(refused.status, 502);
  await refused.text();

  const wrong = Buffer.from(start[1]);
  wrong[wrong.length - 1] ^= 1;
  p.answer = (call) => begin(call, ...start, wrong);
  const cut = await weir.fetch('/v1/chat/completions', { body });
  said = await cut.text();
  assert.doesNotMatch(said, /\[DONE\]/);
  await weir.stop();
});

// --- Google

function account() {
  const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...pair, email: 'weir@project-1.iam.gserviceaccount.com' };
}

// A token endpoint: checks the assertion, hands out numbered tokens.
async function tokenPlace(who) {
  const place = { given: 0, status: 200, expires: 3600 };
  const p = await provider(async (call) => {
    const form = new URLSearchParams(call.request.body.toString());
    assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [head, claims, signature] = form.get('assertion').split('.');
    assert.deepEqual(JSON.parse(Buffer.from(head, 'base64url')),
                     { alg: 'RS256', typ: 'JWT', kid: 'key-1' });
    const said = JSON.parse(Buffer.from(claims, 'base64url'));
    assert.equal(said.iss, who.email);
    assert.equal(said.aud, `${p.url}/token`);
    assert.equal(said.scope, 'https://www.googleapis.com/auth/cloud-platform');
    assert.equal(said.exp - said.iat, 3600);
    assert.ok(Math.abs(said.iat - Date.now() / 1000) < 300);
    assert.ok(crypto.verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), who.publicKey,
                            Buffer.from(signature, 'base64url')));
    if (place.status !== 200) return call.json({ error: 'invalid_grant' }, { status: place.status });
    place.given++;
    const body = JSON.stringify({ access_token: `ya29.token-${place.given}`, token_type: 'Bearer',
                                  expires_in: place.expires });
    await call.head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    await call.chunk(body.slice(0, 20));
    await call.chunk(body.slice(20));
    await call.end();
    return call.cut();
  });
  place.provider = p;
  return place;
}

function credentialsFile(who, place) {
  const file = path.join(directory(), 'account.json');
  fs.writeFileSync(file, JSON.stringify({
    type: 'service_account', project_id: 'project-1', private_key_id: 'key-1',
    private_key: who.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    client_email: who.email, token_uri: `${place.provider.url}/token` }));
  return file;
}

const gemini = { candidates: [{ content: { role: 'model', parts: [{ text: 'hello' }] },
  finishReason: 'STOP', index: 0 }], modelVersion: 'g', responseId: 'r',
  usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 } };
const claude = { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude-x',
  content: [{ type: 'text', text: 'hello' }], stop_reason: 'end_turn', stop_sequence: null,
  usage: { input_tokens: 7, output_tokens: 3 } };

test('Vertex AI: a token of a service account, Gemini and Claude', async () => {
  const who = account(), place = await tokenPlace(who);
  const p = await provider(async (call) => {
    assert.equal(call.request.get('authorization'), 'Bearer ya29.token-1');
    assert.equal(call.request.get('x-goog-api-key'), undefined);
    return call.json(call.request.target.includes('/google/') ? gemini
                     : call.request.target.includes('count-tokens') ? { input_tokens: 9 } : claude);
  });
  const credentials = credentialsFile(who, place);
  const base = p.url.replace('/v1', '/v1/projects/project-1/locations/eu/publishers');
  const weir = await Weir.start({
    providers: [{ name: 'vertex', url: `${base}/google`, credentials },
                { name: 'vertex-anthropic', url: `${base}/anthropic`,
                  credentials: '${file:' + credentials + '}' }],
    models: [{ id: 'vertex/gemini-x', price }, { id: 'vertex-anthropic/claude-x@1', price }] });
  await until(() => place.given > 0, 'a token was fetched');
  await until(async () => (await weir.chat({ model: 'vertex/gemini-x' })).status === 200,
              'the token is used');
  assert.equal(p.requests.at(-1).target,
               '/v1/projects/project-1/locations/eu/publishers/google/models/gemini-x:generateContent');

  const ask = { model: 'vertex-anthropic/claude-x@1', max_tokens: 9,
                messages: [{ role: 'user', content: 'hi' }] };
  const answer = await whole(await weir.fetch('/v1/messages', { body: ask }));
  assert.equal(answer.json?.content[0].text, 'hello', answer.text);
  assert.equal(p.requests.at(-1).target, '/v1/projects/project-1/locations/eu/publishers/anthropic' +
               '/models/claude-x@1:rawPredict');
  const sent = JSON.parse(p.requests.at(-1).body);
  assert.equal(sent.anthropic_version, 'vertex-2023-10-16');
  assert.equal('model' in sent, false);
  assert.deepEqual(sent.messages, ask.messages);

  const other = await weir.chat({ model: 'vertex-anthropic/claude-x@1' });   // translated
  assert.equal(text(other), 'hello');
  const theirs = JSON.parse(p.requests.at(-1).body);
  assert.equal(theirs.anthropic_version, 'vertex-2023-10-16');
  assert.equal('model' in theirs, false);

  const counted = await whole(await weir.fetch('/v1/messages/count_tokens', { body: {
    model: ask.model, messages: ask.messages } }));
  assert.equal(counted.json.input_tokens, 9, counted.text);
  assert.match(p.requests.at(-1).target, /\/models\/count-tokens:rawPredict$/);
  assert.equal(JSON.parse(p.requests.at(-1).body).model, 'claude-x@1');
  assert.equal(place.given, 1);            // one account, one token
  assert.deepEqual([...p.faults, ...place.provider.faults], []);
  await weir.stop();
});

test('Vertex AI: without a token nobody is asked, and the reason is told', async () => {
  const who = account(), place = await tokenPlace(who);
  place.status = 400;
  const p = await provider(async (call) => call.json(gemini));
  const weir = await Weir.start({
    providers: [{ name: 'vertex', url: p.url, credentials: credentialsFile(who, place) }],
    models: [{ id: 'vertex/gemini-x', price }] });
  await until(() => place.provider.requests.length > 0, 'a token was asked for');
  const answer = await until(async () => {
    const got = await weir.chat({ model: 'vertex/gemini-x' });
    return /refused the account/.test(got.text) ? got : null;
  }, 'the reason is told');
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
  assert.equal(p.requests.length, 0);
  place.status = 200;                      // mended: it is tried again by itself
  await until(async () => (await weir.chat({ model: 'vertex/gemini-x' })).status === 200,
              'a later token is used', 20000);
  assert.doesNotMatch(weir.run.stdout + weir.run.stderr, /ya29|PRIVATE KEY|eyJ/);
  await weir.stop();
});

// --- Azure

test('Azure: deployments and api-version', async () => {
  const p = await provider(async (call) => {
    assert.equal(call.request.get('api-key'), 'azure-key');
    return call.json(chat('hello'));
  });
  const origin = p.url.replace('/v1', '');
  const weir = await Weir.start({
    providers: [
      { name: 'azure', url: `${origin}/openai`, keys: ['azure-key'], api_version: '2024-10-21' },
      { name: 'azure-new', dialect: 'openai', url: `${origin}/openai/v1`, auth: 'api-key',
        keys: ['azure-key'], api_version: 'preview' }],
    models: [{ id: 'azure/gpt-x', upstream: 'my deployment', price },
             { id: 'azure-new/gpt-x', price }] });
  assert.equal(text(await weir.chat({ model: 'azure/gpt-x' })), 'hello');
  assert.equal(p.requests[0].target,
    '/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21');
  assert.equal(text(await weir.chat({ model: 'azure-new/gpt-x' })), 'hello');
  assert.equal(p.requests[1].target, '/openai/v1/chat/completions?api-version=preview');
  const message = await whole(await weir.fetch('/v1/messages', { body: {
    model: 'azure/gpt-x', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] } }));
  assert.equal(message.json.content[0].text, 'hello');
  assert.deepEqual(p.faults, []);
  await weir.stop();
});

// --- Cohere

test('Cohere: its own words, whole and streamed', async () => {
  const billed = { billed_units: { input_tokens: 4, output_tokens: 2 },
                   tokens: { input_tokens: 70, output_tokens: 3 } };
  const p = await provider(async (call) => {
    const sent = call.request.json;
    assert.equal(call.request.target, '/v2/chat');
    assert.equal(sent.p, 0.5);
    if (!sent.stream) {
      return call.json({ id: 'c', finish_reason: 'COMPLETE', usage: billed,
        message: { role: 'assistant', content: [{ type: 'text', text: 'hello' }] } });
    }
    await call.begin();
    await call.event({ id: 'c', type: 'message-start', delta: { message: {
      role: 'assistant', content: [], tool_plan: '', tool_calls: [], citations: [] } } });
    await call.event({ type: 'content-start', index: 0, delta: { message: {
      content: { type: 'text', text: '' } } } });
    for (const part of ['he', 'llo']) {
      await call.event({ type: 'content-delta', index: 0, delta: { message: {
        content: { text: part } } } });
    }
    await call.event({ type: 'content-end', index: 0 });
    await call.event({ type: 'message-end', delta: { finish_reason: 'COMPLETE', usage: billed } });
    return call.end();
  });
  const weir = await Weir.start({
    providers: [{ name: 'native', dialect: 'cohere', url: p.url.replace('/v1', '/v2'),
                  keys: ['k'] }],
    models: [{ id: 'native/command-x', price }] });
  const ask = { model: 'native/command-x', top_p: 0.5 };
  const answer = await weir.chat(ask);
  assert.equal(text(answer), 'hello');
  assert.deepEqual([answer.json.usage.prompt_tokens, answer.json.usage.completion_tokens], [4, 2]);
  const stream = await weir.fetch('/v1/chat/completions', { body: { ...ask, stream: true,
    messages: [{ role: 'user', content: 'hi' }] } });
  const said = await events(stream);
  assert.equal(said.map((e) => e.choices[0]?.delta.content ?? '').join(''), 'hello');
  assert.equal(said.at(-1).choices[0].finish_reason, 'stop');
  assert.deepEqual(p.faults, []);
  await weir.stop();
});

// --- configuration

test('known addresses: what they need is asked for', async () => {
  const file = path.join(directory(), 'weir.yaml');
  const check = async (entry, env = {}) => {
    fs.writeFileSync(file, `providers: [${JSON.stringify(entry)}]\n`);
    return command(['check', '-c', file], { env });
  };
  const keys = ['k'];
  for (const [entry, want] of [
    [{ name: 'azure', keys }, /needs resource, or AZURE_RESOURCE_NAME/],
    [{ name: 'bedrock', keys }, /needs region, or AWS_REGION/],
    [{ name: 'vertex', keys }, /needs project, or GOOGLE_VERTEX_PROJECT/],
    [{ name: 'azure', keys, resource: 'a/b' }, /needs resource/],
    [{ name: 'bedrock', region: 'eu-central-1', access_key_id: 'a' }, /secret_access_key/],
    [{ name: 'x', url: 'http://h', access_key_id: 'a', secret_access_key: 'b' }, /bedrock/],
    [{ name: 'vertex', credentials: '/nowhere' }, /credentials of vertex cannot be read/],
    [{ name: 'vertex', credentials: '{}' }, /no service account/]]) {
    const run = await check(entry);
    assert.equal(run.status, 1, JSON.stringify(entry));
    assert.match(run.stderr, want);
  }
  for (const [entry, env] of [
    [{ name: 'azure', keys, resource: 'mine' }, {}],
    [{ name: 'azure', keys }, { AZURE_RESOURCE_NAME: 'mine' }],
    [{ name: 'bedrock' }, { AWS_REGION: 'us-east-1', AWS_ACCESS_KEY_ID: 'a',
                            AWS_SECRET_ACCESS_KEY: 'b' }],
    [{ name: 'bedrock' }, { AWS_REGION: 'us-east-1', AWS_BEARER_TOKEN_BEDROCK: 'b' }],
    [{ name: 'vertex', keys, project: 'p', location: 'europe-west1' }, {}]]) {
    const run = await check(entry, env);
    assert.equal(run.status, 0, run.stderr);
  }
});
