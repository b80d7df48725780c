// weir.mjs - runs the real binaries: Weir with a DATA directory and file of its own on ports of
// the system's choice, and weir-mock.
//   const weir = await Weir.start({providers: [...], models: [...]});  ... await weir.stop();
// Rule: whatever happens, no process and no directory stays behind (see the end of the file).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after } from 'node:test';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const build = path.resolve(root, process.env.WEIR_BUILD ?? 'build');
const START_MS = 60000;   // generous: a loaded machine is no failure

export function binary(...names) {
  const found = names.map((name) => path.join(build, name)).find((file) => fs.existsSync(file));
  assert.ok(found, `${names.join(' or ')} is not in ${build}: run make first`);
  return found;
}

// The build whose heap is sealed traps a malloc on a core thread: preferred.
export const weirBinary = () => binary('weir-sealed', 'weir');

// --- the configuration file, in block style as a person would write it

export function yaml(value, indent = '') {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return Array.isArray(value) ? '[]' : '{}';
  const deeper = indent + '  ';
  return entries.map(([key, item]) => {
    const name = Array.isArray(value) ? '-' : `${JSON.stringify(key)}:`;
    const nested = item !== null && typeof item === 'object' && Object.keys(item).length > 0;
    return `\n${indent}${name}${nested ? '' : ' '}${yaml(item, deeper)}`;
  }).join('');
}

// --- waiting

// Poll until test() gives something truthy; fails with `what` after ms.
export async function until(test, what, ms = 30000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (Date.now() > end) throw new assert.AssertionError({ message: `never happened: ${what}` });
    await pause(10);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The promise, or a failure that says what did not come in time.
export function within(promise, what, ms = 30000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took too long: ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// --- processes

const running = new Set();
const closers = new Set();
const directories = new Set();

export function atEnd(close) { closers.add(close); }

export function directory() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-box-'));
  directories.add(dir);
  return dir;
}

// A bare environment: no provider key of this machine switches a provider on.
const environment = (more) => ({
  PATH: process.env.PATH, HOME: os.tmpdir(),
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /SAN_OPTIONS$/.test(name))),
  ...more });

function launch(file, args, env) {
  const child = spawn(file, args, { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  const run = { child, stdout: '', stderr: '', status: null, signal: null };
  running.add(child);
  child.stdout.on('data', (text) => { run.stdout += text; });
  child.stderr.on('data', (text) => { run.stderr += text; });
  run.ended = once(child, 'close').then(([status, signal]) => {
    running.delete(child);
    run.status = status;
    run.signal = signal;
    return status;
  });
  return run;
}

// Run a command to its end: {status, stdout, stderr}.
export async function command(args, { env = {}, file = weirBinary() } = {}) {
  const run = launch(file, args, env);
  await within(run.ended, `${path.basename(file)} ${args.join(' ')}`, START_MS);
  return run;
}

// All invariants of a ledger hold, by the program's own proof; nobody serves on it now.
export async function proven(data) {
  const run = await command(['check', '--ledger', data]);
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.equal(run.stdout, 'ok\n', run.stderr);
}

async function said(run, pattern, what) {
  let over = false;
  run.ended.then(() => { over = true; });
  await until(() => pattern.test(run.stdout) || over, `${what}: ${run.stderr}`, START_MS);
  assert.match(run.stdout, pattern, `${what}; it said on stderr:\n${run.stderr}`);
  return pattern.exec(run.stdout);
}

export class Weir {
  // Start and wait until it is ready. data, key: of an earlier one, to start on its ledger;
  // under: a command that runs it; file: another binary of it; more: YAML behind the config.
  static async start(config = {}, { data, key, env = {}, args = [], under = [], more = '',
                                      file = weirBinary() } = {}) {
    const weir = new Weir();
    weir.dir = directory();
    weir.data = data ?? path.join(weir.dir, 'data');
    weir.file = path.join(weir.dir, 'weir.yaml');
    weir.config(config);
    fs.appendFileSync(weir.file, more);
    const [command, ...rest] = [...under, file, 'serve', '-c', weir.file, '--data',
                             weir.data, ...args];
    weir.run = launch(command, rest, env);
    weir.url = (await said(weir.run, /^listening on (https?:\/\/\S+)$/m, 'weir listens'))[1];
    weir.admin = (await said(weir.run, /^admin on (\S+)$/m, 'weir has an admin'))[1];
    await said(weir.run, /: ready$/m, 'weir is ready');
    weir.key = key ?? /^first start: made [^\n]*: (sk-weir-\S+)$/m.exec(weir.run.stdout)?.[1];
    weir.token = fs.readFileSync(path.join(weir.data, 'admin.token'), 'utf8').trim();
    return weir;
  }

  // Write the file: what the tests need small, then what this one wants.
  config(config) {
    this.text = yaml({ listen: ['127.0.0.1:0'], admin: { listen: '127.0.0.1:0' }, cores: 2,
                       drain: '10s', ...config,
                       limits: { connections: 4000, memory: '64MiB', ...config.limits } });
    fs.writeFileSync(this.file, this.text.trimStart() + '\n');
  }

  get pid() { return this.run.child.pid; }

  signal(name) { this.run.child.kill(name); }

  // SIGTERM; it must end well.
  async stop() {
    this.signal('SIGTERM');
    await within(this.run.ended, 'weir stops after SIGTERM', 20000);
    assert.equal(this.run.signal, null, `killed by ${this.run.signal}: ${this.run.stderr}`);
    assert.equal(this.run.status, 0, `exit ${this.run.status}: ${this.run.stderr}`);
  }

  async kill() {
    this.signal('SIGKILL');
    await this.run.ended;
  }

  // --- talking to it

  fetch(where, { key = this.key, headers = {}, body, method, signal } = {}) {
    return fetch(this.url + where, {
      method: method ?? (body === undefined ? 'GET' : 'POST'), signal,
      headers: { ...(key ? { authorization: `Bearer ${key}` } : {}),
                 ...(body === undefined ? {} : { 'content-type': 'application/json' }),
                 ...headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
  }

  // A chat request, answered whole: {status, headers, text, json}.
  async chat(body, options = {}) {
    const message = { messages: [{ role: 'user', content: 'hello' }], ...body };
    return whole(await this.fetch('/v1/chat/completions', { ...options, body: message }));
  }

  async call(method, where, body, { token = this.token, headers = {} } = {}) {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    return whole(await fetch(this.admin + where, {
      method, body: text,
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}),
                 ...(text === undefined ? {} : { 'content-type': 'application/json' }),
                 ...headers },
    }));
  }

  // The admin call must succeed; gives its JSON.
  async ask(method, where, body, options) {
    const answer = await this.call(method, where, body, options);
    assert.ok(answer.status < 300, `${method} ${where}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  // All request rows, newest first.
  async rows(query = '') {
    const rows = [];
    for (let after = '';;) {
      const page = await this.ask('GET', `/admin/v1/requests?limit=500${query}${after}`);
      rows.push(...page.data);
      if (page.data.length < 500) return rows;
      after = `&after=${page.data[page.data.length - 1].id}`;
    }
  }

  // The row of an answer, which is there within a second of its end.
  row(requestId) {
    return until(async () => {
      const rows = await this.rows();
      return rows.find((row) => row.request_id === requestId);
    }, `a row for ${requestId}`);
  }

  async metrics() {
    return (await this.call('GET', '/metrics')).text;
  }
}

// An answer read to its end: {status, headers, text, json, header(name)}.
class Whole {
  constructor(response, text) {
    this.status = response.status;
    this.headers = response.headers;
    this.text = text;
  }

  header(name) { return this.headers.get(name); }
  get json() { return JSON.parse(this.text); }
}

export const whole = async (response) => new Whole(response, await response.text());

export class Mock {
  static async start(args = []) {
    const mock = new Mock();
    mock.run = launch(binary('weir-mock'), ['--listen', '127.0.0.1:0', ...args], {});
    mock.address = (await said(mock.run, /listening on (http:\/\/\S+)/, 'weir-mock listens'))[1];
    mock.url = mock.address.replace(/\/$/, '') + '/v1';
    return mock;
  }

  async stop() {
    this.run.child.kill('SIGTERM');
    await within(this.run.ended, 'weir-mock stops', 10000);
  }
}

// --- the end

function endAll() {
  for (const child of running) child.kill('SIGKILL');
  for (const close of closers) close();
  closers.clear();
}

function removeAll() {
  for (const dir of directories) fs.rmSync(dir, { recursive: true, force: true });
  directories.clear();
}

after(async () => {
  const ends = [...running].map((child) => once(child, 'close'));
  endAll();
  await Promise.all(ends);   // what still writes would make its directory anew
  removeAll();
});
process.on('exit', () => {
  endAll();
  removeAll();
});
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
