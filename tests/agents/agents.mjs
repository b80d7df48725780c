// agents.mjs - coding agents, unmodified, in front of Weir: Claude Code, Codex, Gemini CLI and
// opencode, each with providers of all four dialects behind, hold a session with tools: read a
// file, then write one and read another at once, then answer. Prints a table client x provider.
//   node agents.mjs DIR [CLIENT [PROVIDER]]     DIR: where npm installed them
// Runs where there is nothing but a loopback (agents.mk). Rule: the scripted providers know the
// tools only from the request, and what they are told is judged as in tests/box; a session that
// is not over after a minute has failed.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { DIALECTS, peers, providersOf } from '../box/lib/peers.mjs';
import { Weir } from '../box/lib/weir.mjs';

const SESSION_MS = 60000;
const [install, onlyClient, onlyProvider] = process.argv.slice(2);
const bin = (name) => path.resolve(install, 'node_modules/.bin', name);
const PROMPT = 'Read first.txt. Then copy its word into copy.txt and read second.txt. ' +
               'Tell me both words.';

// --- the model: what it does next follows from the results it was given

// How agents call their tools for files; the first that a request offers is used.
const READERS = [
  ['Read', (file) => ({ file_path: file })], ['read_file', (file) => ({ file_path: file })],
  ['read', (file) => ({ filePath: file })],
  ['exec_command', (file) => ({ cmd: `cat ${file}` })],
  ['shell_command', (file) => ({ command: `cat ${file}` })],
  ['shell', (file) => ({ command: ['cat', file] })],
];
const WRITERS = [
  ['Write', (file, content) => ({ file_path: file, content })],
  ['write_file', (file, content) => ({ file_path: file, content })],
  ['write', (file, content) => ({ filePath: file, content })],
  ['exec_command', (file, text) => ({ cmd: `printf %s ${text} > ${file}` })],
  ['shell_command', (file, text) => ({ command: `printf %s ${text} > ${file}` })],
  ['shell', (file, text) => ({ command: ['sh', '-c', `printf %s ${text} > ${file}`] })],
];

const pick = (list, tools) => {
  for (const [name, form] of list) {
    const tool = tools.find((it) => it.name === name);
    if (tool) return (...args) => ({ name, args: form(...args) });
  }
  return null;
};

// The least value that a schema takes: side requests for JSON.
function sample(schema = {}) {
  const type = String([schema.type ?? (schema.properties ? 'object' : 'string')].flat()[0])
    .toLowerCase();
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return sample(schema.anyOf[0]);
  if (type === 'object') {
    return Object.fromEntries(Object.entries(schema.properties ?? {})
      .map(([name, value]) => [name, sample(value)]));
  }
  return { array: [], integer: 1, number: 1, boolean: true, null: null }[type] ?? 'words';
}

class Model {
  constructor(dir, words) {
    Object.assign(this, { dir, words, wrong: [], steps: new Set(), side: 0 });
  }

  file(name) { return path.join(this.dir, name); }

  parts(ask) {
    const { neutral } = ask;
    const read = pick(READERS, neutral.tools), write = pick(WRITERS, neutral.tools);
    if (!read || !write) {
      this.side++;
      return [{ text: neutral.schema ? JSON.stringify(sample(neutral.schema)) : 'Two words' }];
    }
    const thought = this.thought(ask.dialect);
    const results = neutral.turns.flatMap(({ parts }) => parts)
      .filter((part) => part.result).map((part) => part.result.text);
    const call = (it) => ({ call: { id: `call_${randomBytes(9).toString('hex')}`, ...it } });
    if (results.length === 0) {
      this.steps.add('asked');
      return [...thought, { text: 'I read it.' },
              { ...call(read(this.file('first.txt'))), ...this.sign(ask.dialect) }];
    }
    if (!results[0].includes(this.words[0])) this.wrong.push(`first result: ${results[0]}`);
    if (results.length === 1) {
      this.steps.add('read');
      return [...thought, { ...call(write(this.file('copy.txt'), this.words[0])),
                            ...this.sign(ask.dialect) }, call(read(this.file('second.txt')))];
    }
    if (!results.at(-1).includes(this.words[1])) this.wrong.push(`last: ${results.at(-1)}`);
    if (results.length !== 3) this.wrong.push(`${results.length} results`);
    this.steps.add('done');
    return [...thought, { text: `The words are ${this.words.join(' and ')}.` }];
  }

  thought(dialect) {
    const text = 'They want two words.';
    return dialect === 'chat' || dialect === 'gemini' ? [{ thought: text }]
      : [{ thought: text, sign: randomBytes(90).toString('base64') }];
  }

  sign(dialect) {
    return dialect === 'gemini' ? { sign: randomBytes(60).toString('base64') } : {};
  }
}

// --- the agents: { env, args, files } for a session in dir, with that model behind Weir

const agents = {
  'Claude Code': ({ weir, model, home }) => ({
    speaks: 'messages', command: bin('claude'),
    args: ['-p', PROMPT, '--model', model, '--allowedTools', 'Read,Write',
           '--permission-mode', 'acceptEdits'],
    env: { ANTHROPIC_BASE_URL: weir.url, ANTHROPIC_AUTH_TOKEN: weir.key, DISABLE_TELEMETRY: '1',
           CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', ANTHROPIC_SMALL_FAST_MODEL: model,
           DISABLE_AUTOUPDATER: '1', ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
           CLAUDE_CONFIG_DIR: path.join(home, '.claude') },
  }),
  Codex: ({ weir, model, home, dir }) => ({
    speaks: 'responses', command: bin('codex'),
    args: ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox',
           '-C', dir, PROMPT],
    env: { CODEX_HOME: path.join(home, '.codex'), WEIR_KEY: weir.key },
    files: { '.codex/config.toml': [
      `model = ${JSON.stringify(model)}`, 'model_provider = "weir"', '[model_providers.weir]',
      'name = "Weir"', `base_url = "${weir.url}/v1"`, 'wire_api = "responses"',
      'env_key = "WEIR_KEY"', '[analytics]', 'enabled = false', ''].join('\n') },
  }),
  'Gemini CLI': ({ weir, model, home }) => ({
    speaks: 'gemini', command: bin('gemini'), args: ['-m', model, '-p', PROMPT, '--yolo'],
    env: { GEMINI_API_KEY: weir.key, GOOGLE_GEMINI_BASE_URL: weir.url, GEMINI_CLI_HOME: home,
           GEMINI_TELEMETRY_ENABLED: 'false', GEMINI_CLI_TRUST_WORKSPACE: 'true',
           GEMINI_CLI_NO_RELAUNCH: 'true' },
    files: { '.gemini/settings.json': JSON.stringify({
      security: { auth: { selectedType: 'gemini-api-key' } }, privacy: {
        usageStatisticsEnabled: false }, general: { disableAutoUpdate: true } }) },
  }),
  opencode: ({ weir, model, home }) => ({
    speaks: 'chat', command: bin('opencode'), args: ['run', '-m', `weir/${model}`, PROMPT],
    env: { OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1',
           OPENCODE_DISABLE_LSP_DOWNLOAD: '1', OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
           XDG_CONFIG_HOME: path.join(home, '.config'), XDG_DATA_HOME: path.join(home, 'data') },
    files: { '.config/opencode/opencode.json': JSON.stringify({
      autoupdate: false, share: 'disabled', provider: { weir: {
        npm: '@ai-sdk/openai-compatible', name: 'Weir',
        options: { baseURL: `${weir.url}/v1`, apiKey: weir.key },
        models: Object.fromEntries(DIALECTS.map((name) => [`${name}/m`, { name,
          tool_call: true, limit: { context: 100000, output: 8000 } }])) } },
      permission: { edit: 'allow', bash: 'allow', read: 'allow',
                    external_directory: 'allow' } }) },
  }),
};

// --- a session

function run({ command, args, env }, dir, home) {
  return new Promise((resolve) => {
    const node = path.resolve(install, 'node_modules/node/bin');
    const child = spawn(command, args, { cwd: dir, detached: true,
      env: { PATH: `${node}:${process.env.PATH}`, HOME: home, TERM: 'dumb', NO_COLOR: '1',
             LANG: 'C.UTF-8', IS_SANDBOX: '1', CI: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = { out: '', err: '', late: false };
    const kill = () => { try { process.kill(-child.pid, 'SIGKILL'); } catch { /* it is over */ } };
    const timer = setTimeout(() => { ended.late = true; kill(); }, SESSION_MS);
    child.stdout.on('data', (text) => { ended.out += text; });
    child.stderr.on('data', (text) => { ended.err += text; });
    child.on('error', (error) => { ended.err += error.message; });
    child.on('close', (status) => {
      clearTimeout(timer);
      kill();                     // whatever it left behind, a server of its own for example
      resolve({ ...ended, status });
    });
  });
}

const there = await peers(() => ({ parts: [{ text: 'hi' }] }));
const weir = await Weir.start({
  providers: providersOf(there),
  models: DIALECTS.map((name) => ({ id: `${name}/m`, context: 200000,
    supports: ['tools', 'vision', 'json_schema', 'reasoning'] })),
  unknown_price: 'allow',
});
const scratch = fs.mkdtempSync('/tmp/weir-agents-');

async function session(name, provider) {
  const dir = path.join(scratch, `${name.replace(' ', '')}-${provider}`), home = `${dir}-home`;
  fs.mkdirSync(dir, { recursive: true });
  const words = ['first', 'second'].map((it) => `${it}-${randomBytes(6).toString('hex')}`);
  fs.writeFileSync(path.join(dir, 'first.txt'), `${words[0]}\n`);
  fs.writeFileSync(path.join(dir, 'second.txt'), `${words[1]}\n`);
  const agent = agents[name]({ weir, model: `${provider}/m`, home, dir });
  fs.mkdirSync(home, { recursive: true });
  for (const [file, text] of Object.entries(agent.files ?? {})) {
    fs.mkdirSync(path.dirname(path.join(home, file)), { recursive: true });
    fs.writeFileSync(path.join(home, file), text);
  }
  const model = new Model(dir, words);
  // What an agent itself sends to its own dialect is relayed, and its own affair.
  there.strict = agent.speaks !== provider;
  there.faults.length = 0;
  const first = there.asked.length, logged = weir.run.stdout.length;
  there.script = (ask) => (ask.neutral ? { parts: model.parts(ask) }
    : ask.count ? {} : { status: 400, error: ask.refused ?? 'not understood' });
  const begin = Date.now();
  const ended = await run(agent, dir, home);
  const asked = there.asked.slice(first), why = [];
  if (there.faults.length) why.push(`refused: ${there.faults[0].split('\n')[0]}`);
  for (const ask of asked) if (ask.refused) why.push(`not understood: ${ask.refused}`);
  if (ended.late) why.push(`not over after ${SESSION_MS / 1000} s`);
  if (!asked.length) why.push('asked nothing');
  if (asked.some((ask) => ask.dialect !== provider)) why.push('asked in another dialect');
  why.push(...model.wrong);
  if (!model.steps.has('done')) why.push(`came as far as ${[...model.steps].at(-1) ?? 'nothing'}`);
  const copy = path.join(dir, 'copy.txt');
  const copied = fs.existsSync(copy) && fs.readFileSync(copy, 'utf8').trim();
  if (copied !== words[0]) why.push(`copy.txt holds ${copied}`);
  if (!words.every((word) => ended.out.includes(word))) why.push('the answer was not shown');
  if (ended.status !== 0 && !ended.late) why.push(`exit ${ended.status}`);
  return { why, asked, ended, seconds: (Date.now() - begin) / 1000,
           log: weir.run.stdout.slice(logged) };
}

const rows = [];
let failed = 0;
for (const name of Object.keys(agents)) {
  if (onlyClient && !name.toLowerCase().startsWith(onlyClient.toLowerCase())) continue;
  for (const provider of DIALECTS) {
    if (onlyProvider && onlyProvider !== provider) continue;
    const { why, asked, ended, seconds, log } = await session(name, provider);
    rows.push({ name, provider, asked: asked.length, seconds, why });
    if (why.length === 0) continue;
    failed++;
    const at = path.join(scratch, `${name.replace(' ', '')}-${provider}.txt`);
    fs.writeFileSync(at, [why.join('\n'), '--- out', ended.out, '--- err', ended.err, '--- weir',
      log, ...asked.map(({ path: to, raw, refused }) => `--- ${to} ${refused ?? ''}\n${raw}`)]
      .join('\n'));
    console.log(`${name} in front of ${provider}: ${why[0]}; all of it is in ${at}`);
  }
}
await weir.stop();
there.close();

console.log(`\n${'client'.padEnd(13)}${'provider'.padEnd(12)}${'requests'.padEnd(10)}` +
            `${'seconds'.padEnd(9)}result`);
for (const { name, provider, asked, seconds, why } of rows) {
  console.log(name.padEnd(13) + provider.padEnd(12) + String(asked).padEnd(10) +
              seconds.toFixed(1).padEnd(9) + (why[0] ?? 'ok').slice(0, 90));
}
console.log(`\n${rows.length - failed} passed, ${failed} failed`);
if (!failed) fs.rmSync(scratch, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
