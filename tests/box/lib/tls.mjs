// tls.mjs - what tests of TLS need: certificates made by openssl(1), clients that trust them.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import path from 'node:path';
import tls from 'node:tls';
import { directory, within } from './weir.mjs';

const dir = directory();
const ssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
let count = 0;

// A certificate that signs itself, for localhost and 127.0.0.1: {cert, key}, paths.
export function identity({ name = 'localhost', rsa = false } = {}) {
  const id = { cert: path.join(dir, `c${++count}.pem`), key: path.join(dir, `k${count}.pem`) };
  const kind = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  ssl('req', '-x509', '-newkey', ...kind, '-nodes', '-days', '30', '-subj', `/CN=${name}`,
      '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', id.key,
      '-out', id.cert);
  return id;
}

// openssl s_client against a URL: what it printed. lines: sent one after another, with a pause.
export async function client(url, args, lines = []) {
  const { host } = new URL(url);
  const run = spawn('openssl', ['s_client', '-connect', host, ...args]);
  let text = '';
  run.stdout.on('data', (part) => { text += part; });
  run.stderr.on('data', (part) => { text += part; });
  run.stdin.on('error', () => {});
  const over = once(run, 'close');
  for (const line of lines) {
    run.stdin.write(line);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  run.stdin.end();
  try {
    await within(over, `s_client ${args.join(' ')}: ${text}`, 8000);
  } finally {
    run.kill('SIGKILL');
  }
  return text;
}

// A TLS socket, connected; options go to tls.connect.
export async function connect(url, options) {
  const { hostname, port } = new URL(url);
  const socket = tls.connect({ host: hostname, port: Number(port), ...options });
  await within(once(socket, 'secureConnect'), 'a handshake');
  return socket;
}

// One request on an agent of its own or a shared one: {status, text, socket}.
export function request(url, { ca, agent, method = 'GET', headers = {}, body } = {}) {
  return within(new Promise((resolve, reject) => {
    const call = https.request(url, { ca, agent, method, headers }, async (answer) => {
      const { socket } = answer;
      let text = '';
      for await (const part of answer) text += part;
      resolve({ status: answer.statusCode, text, socket, headers: answer.headers });
    });
    call.on('error', reject);
    call.end(body);
  }), `${method} ${url}`);
}
