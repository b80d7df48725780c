// json.test.mjs - the JSON twin of smuggling: Weir and a provider must not read model, stream
// or max_tokens differently. Every way to spell a body so that parsers may differ has one
// written answer here; the documents of the JSONTestSuite go through the binary; and what both
// Weir and node's JSON.parse accept, of thousands of bodies from a seed, both read alike.
//   WEIR_SEED=n WEIR_TIMES=n tests/run --only json box     again, or so many times longer
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { answers, cases } from './lib/cases.mjs';
import { chat, provider } from './lib/provider.mjs';
import { post, seeded, Wire } from './lib/wire.mjs';
import { binary, Weir } from './lib/weir.mjs';

const SEED = Number(process.env.WEIR_SEED ?? 20261121);
const ROUNDS = 30000 * Number(process.env.WEIR_TIMES ?? 1);

const far = await provider((call) => (call.request.json.stream ? call.stream(['ok'])
                                                                : call.json(chat('ok'))));
const weir = await Weir.start({
  providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
  models: [{ id: 'far/m', price: { input: '1', output: '1' } },
           { id: 'far/evil', price: { input: '1', output: '1' } }],
});
let wire = await Wire.open(weir.url);

async function send(body) {
  const before = far.requests.length;
  await wire.send(post('/v1/chat/completions', weir.key, body));
  const answer = await wire.answer();
  if (answer.get('connection') === 'close') {
    wire.close();
    wire = await Wire.open(weir.url);
  }
  return { answer, got: far.requests.slice(before) };
}

// --- one written answer each

const messages = '"messages":[{"role":"user","content":"x"}]';
const around = (text) => Buffer.concat([Buffer.from(`{"model":"far/m",${messages},`),
                                        Buffer.isBuffer(text) ? text : Buffer.from(text),
                                        Buffer.from('}')]);
const deep = (n) => `"x":${'['.repeat(n)}${']'.repeat(n)}`;

const ours = 'invalid_request_error';
const bad = 'invalid_json';

// name: [body, code, message]; RFC 8259 sections 4, 6, 8.1, 8.2 and 9
const refused = {
  'model twice': [around('"model":"far/evil"'), ours, /'model' appears twice/],
  'model twice, the same': [around('"model":"far/m"'), ours, /twice/],
  'stream twice': [around('"stream":false,"stream":true'), ours, /twice/],
  'max_tokens twice': [around('"max_tokens":1,"max_tokens":9'), ours, /twice/],
  'messages twice': [around(messages), ours, /twice/],
  'model with an escape': [around('"mod\\u0065l":"far/evil"'),
                           ours, /'model' is written with escapes/],
  'only model, with an escape': [`{"mod\\u0065l":"far/m",${messages}}`, ours, /escapes/],
  'stream with an escape': [around('"\\u0073tream":true'), ours, /escapes/],
  'model in other letters': [around('"MODEL":"far/evil"'), ours, /letters/],
  'stream with a long s': [around('"\u017ftream":true'), ours, /letters/],
  'max_tokens with a Kelvin sign': [around('"max_to\u212aens":1'), ours, /letters/],
  'model ended by a NUL': [around('"model\\u0000":"far/evil"'), ours, /NUL/],
  'model with half a pair inside': [around('"mod\\ud800el":"far/evil"'), ours, /surrogate/],
  'a model that holds NUL': [`{"model":"far/m\\u0000x",${messages}}`, ours, /NUL/],
  'a model with a lone surrogate': [`{"model":"far/m\\udc00",${messages}}`, ours, /surrogate/],
  'max_tokens beyond 2^53': [around('"max_tokens":9007199254740993'), ours, /integer/],
  'max_tokens beyond 2^64': [around('"max_tokens":18446744073709551617'), ours, /integer/],
  'max_tokens with an exponent': [around('"max_tokens":1e2'), ours, /integer/],
  'max_tokens with a fraction': [around('"max_tokens":1.0'), ours, /integer/],
  'max_tokens negative': [around('"max_tokens":-1'), ours, /at least 1/],
  'max_tokens -0': [around('"max_tokens":-0'), ours, /at least 1/],
  'max_tokens as text': [around('"max_tokens":"9"'), ours, /integer/],
  'stream as text': [around('"stream":"false"'), ours, /true or false/],
  'stream as a number': [around('"stream":1'), ours, /true or false/],
  'invalid UTF-8': [around(Buffer.from([34, 120, 34, 58, 34, 0xff, 34])), bad, /UTF-8/],
  'overlong UTF-8': [around(Buffer.from([34, 120, 34, 58, 34, 0xc0, 0xaf, 34])), bad, /UTF-8/],
  'a surrogate in UTF-8': [around(Buffer.from([34, 120, 34, 58, 34, 0xed, 0xa0, 0x80, 34])),
                           bad, /UTF-8/],
  'a raw NUL in a string': [around('"x":"\u0000"'), bad, /control/],
  'a raw NUL between': [around('\u0000"x":1'), bad, /byte \d+/],
  'a NUL behind': [`{"model":"far/m",${messages}}\u0000`, bad, /byte \d+/],
  'a raw line feed in a string': [around('"x":"\n"'), bad, /control/],
  '128 levels': [around(deep(128)), bad, /deep/],
  'trailing bytes': [`{"model":"far/m",${messages}}x`, bad, /byte \d+/],
  'a second document': [`{"model":"far/m",${messages}}{"model":"far/evil"}`, bad, /byte \d+/],
  'a byte order mark': [`\ufeff{"model":"far/m",${messages}}`, bad, /byte 0/],
  'UTF-16': [Buffer.from(`{"model":"far/m",${messages}}`, 'utf16le'), bad, /byte 1/],
  'a comment': [around('/* */"x":1'), bad, /byte \d+/],
  'a comma at the end': [`{"model":"far/m",${messages},}`, bad, /byte \d+/],
  'single quotes': [around("'x':1"), bad, /byte \d+/],
  'a bare word': [around('x:1'), bad, /byte \d+/],
  'NaN': [around('"x":NaN'), bad, /byte \d+/],
  'Infinity': [around('"x":-Infinity'), bad, /byte \d+/],
  'a leading zero': [around('"x":01'), bad, /byte \d+/],
  'a plus': [around('"x":+1'), bad, /byte \d+/],
  'a hexadecimal number': [around('"x":0x1'), bad, /byte \d+/],
  'a bad escape': [around('"x":"\\q"'), bad, /escape/],
  'nothing': ['', bad, /byte 0/],
};

for (const [name, [body, code, message]] of Object.entries(refused)) {
  test(`400: ${name}`, async () => {
    const { answer, got } = await send(body);
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.error.code, code, answer.text);
    assert.match(answer.json.error.message, message);
    assert.equal(got.length, 0, 'nothing is forwarded');
  });
}

// Content that Weir does not read may hold what it likes, as long as it is JSON.
const passed = {
  'lone surrogates in content': around('"x":"\\ud800 \\udc00"'),
  'NUL in content': around('"x":"\\u0000"'),
  'keys twice, not ours': around('"x":1,"x":2'),
  'our keys, twice, elsewhere': around('"metadata":{"model":1,"model":2,"\\u0000":3}'),
  'numbers of any size': around('"x":[1e999,-1e-999,123456789012345678901234567890]'),
  '127 levels': around(deep(127)),
  'blanks of all four kinds': ` \t\r\n{ \t\r\n"model"\r:\n"far/m" , ${messages} } \t\r\n`,
  'a value with escapes': `{"model":"far\\/\\u006d",${messages}}`,
  'the largest exact integer': around('"max_tokens":9007199254740992'),
  'nulls': around('"stream":null,"max_tokens":null'),
};

for (const [name, body] of Object.entries(passed)) {
  test(`forwarded: ${name}`, async () => {
    const { answer, got } = await send(body);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(got.length, 1);
    const want = JSON.parse(body.toString());
    assert.deepEqual(got[0].json, { ...want, model: 'm' });
  });
}

test('every document of the JSONTestSuite, as content: the verdict of the table', async () => {
  const open = answers();
  let good = 0;
  for (const [name, doc] of cases('json')) {
    const accepts = name[0] === 'i' ? open.get(name) === 'accept' : name[0] === 'y';
    const deeper = name === 'i_structure_500_nested_arrays';  // a request has 128 levels
    const body = Buffer.concat([Buffer.from(`{"model":"far/m",${messages},"x":`), doc,
                                Buffer.from('}')]);
    const { answer, got } = await send(body);
    assert.equal(answer.status, accepts && !deeper ? 200 : 400, `${name}: ${answer.text}`);
    if (answer.status !== 200) continue;
    good++;
    const want = body.toString('latin1').replace('far/m', 'm');
    assert.equal(got[0].body.toString('latin1'), want, name);
  }
  assert.ok(good > 100, String(good));
});

// --- two parsers, one reading

const words = ['"model":"m"', '"model":', '"mod\\u0065l":"e"', '"Model":1', '"stream":true',
               '"stream":false', '"stream":null', '"max_tokens":5', '"max_tokens":null',
               '"max_completion_tokens":7', '"max_tokens":1e2', '"max_tokens":9007199254740992',
               '"max_tokens":9007199254740993', '"max_tokens":-0', '"x":"\\ud800"', '"x":1e400',
               '"x":"\\u0000"', '"\\u0000":1', '"model\\ud800":2', '{', '}', '[', ']', ',', ':',
               '"', '\\', '\\"', '\\\\', '\u0000', ' ', '\n', '\ufeff', 'null', 'true', '0',
               '-', '1.5', '"messages":[]', '"provider":{}', '"usage":{"include":true}',
               '"x":{"model":"y"}', '"model ":"m"', '"é":"ü🚀"'].map((w) => Buffer.from(w));
words.push(Buffer.from([0xff]), Buffer.from([0xc0, 0x80]), Buffer.from([0xe2, 0x80, 0xa8]));

const bases = [`{"model":"m",${messages}}`,
               `{${messages},"stream":true,"model":"far/m","max_tokens":16}`,
               '{"max_completion_tokens":3,"max_tokens":2,"model":"a\\nb","stream":false}',
               `{"model":"\\ud83d\\ude80","tools":[{"type":"function"}],${messages},"n":1}`,
               ` {"stream" : true , "model"\t: "é" , "stream_options":{"include_usage":true}}`]
  .map((base) => Buffer.from(base));

function mutate(doc, next) {
  const at = next() % (doc.length + 1);
  const end = Math.min(doc.length, at + next() % 8);
  const word = words[next() % words.length];
  switch (next() % 8) {
    case 0: return Buffer.concat([doc.subarray(0, at), word, doc.subarray(at)]);
    case 1: return Buffer.concat([doc.subarray(0, at), doc.subarray(end)]);
    case 2: return Buffer.concat([doc.subarray(0, end), doc.subarray(at)]);
    case 3: return Buffer.concat([doc.subarray(0, at), Buffer.from([next() & 255]),
                                  doc.subarray(at + 1)]);
    default: {  // between two members: what stays JSON is worth most
      const commas = [...doc.toString('latin1').matchAll(/[{,]/g)].map((m) => m.index + 1);
      const where = commas.length ? commas[next() % commas.length] : 0;
      return Buffer.concat([doc.subarray(0, where), word, Buffer.from(','),
                            doc.subarray(where)]);
    }
  }
}

function draw(next, count) {
  const suite = cases('json').map((row) => row[1]).filter((doc) => doc.length < 900);
  const docs = [];
  for (let i = 0; i < count; i++) {
    let doc = bases[next() % bases.length];
    if (next() % 4 === 0) {
      doc = Buffer.concat([Buffer.from('{"model":"m","x":'), suite[next() % suite.length],
                           Buffer.from('}')]);
    }
    for (let n = next() % 4; n > 0; n--) doc = mutate(doc, next);
    docs.push(doc);
  }
  return docs;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function theirs(doc) {
  try {
    const value = JSON.parse(strict.decode(doc));
    return { good: true, value };
  } catch {
    return { good: false };
  }
}

test(`what Weir accepts JSON.parse reads alike: ${ROUNDS} bodies of seed ${SEED}`, () => {
  const docs = draw(seeded(SEED), ROUNDS);
  const input = Buffer.concat(docs.flatMap((doc) => [Buffer.from(`${doc.length}\n`), doc]));
  const ran = spawnSync(binary('unit/test_openai_request'), ['--read'],
                        { input, maxBuffer: 1 << 28 });
  assert.equal(ran.status, 0, String(ran.stderr));
  const lines = ran.stdout.toString().trimEnd().split('\n');
  assert.equal(lines.length, docs.length);
  const seen = { both: 0, streams: 0, limits: 0, neither: 0, strictly: 0 };
  for (const [i, doc] of docs.entries()) {
    const about = `document ${i} of seed ${SEED}: ${JSON.stringify(doc.toString('latin1'))}`;
    const [verdict, stream, limit, hex] = lines[i].split(' ');
    const other = theirs(doc);
    if (verdict !== 'good') {
      if (other.good) seen.strictly++;
      else seen.neither++;
      if (verdict === 'invalid_json') assert.ok(!other.good, `we refuse as JSON: ${about}`);
      continue;
    }
    assert.ok(other.good, `JSON.parse refuses: ${about}`);
    const { value } = other;
    seen.both++;
    assert.equal(Buffer.from(hex, 'hex').toString(), value.model, about);
    assert.equal(stream === '1', value.stream === true, about);
    const want = Math.max(value.max_completion_tokens ?? -1, value.max_tokens ?? -1);
    assert.equal(Number(limit), want, about);
    seen.streams += stream === '1';
    seen.limits += want !== -1;
  }
  for (const [what, count] of Object.entries(seen)) {
    assert.ok(count > ROUNDS / 100, `${what}: ${count} of ${ROUNDS}`);
  }
});

test('it ends cleanly', async () => {
  wire.close();
  await weir.stop();
  assert.deepEqual(far.faults, []);
});
