// siege.mjs - one attack of bench/attack.c on a running Weir, with a healthy client beside it:
// what that client saw, what the attack cost in memory, what was given back.
//   const s = await besiege(weir, 'heads', { seconds: 3 });
// Rule: memory is the process's own (RssAnon of /proc/PID/status: no journal, no store) and
// Weir's own word (/metrics); both are sampled while the attack runs.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { atEnd, binary, pause, until } from './weir.mjs';

export const gauges = ['weir_open_connections', 'weir_open_exchanges', 'weir_open_upstreams',
                       'weir_memory_used_bytes', 'weir_receive_buffers_used_count'];

// Bytes of memory that are the process's own.
export function ownBytes(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)[1]) * 1024;
}

export async function look(weir) {
  const text = await weir.metrics();
  const of = (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  return { ...Object.fromEntries(gauges.map((name) => [name, of(name)])),
           own_bytes: ownBytes(weir.pid), text };
}

// A run of bench/attack.c: {stop(), result: promise of its JSON}.
export function attack(url, mode, options = {}) {
  const { hostname, port } = new URL(url);
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(binary('bench/attack'), [mode, hostname, port, ...args],
                      { stdio: ['ignore', 'pipe', 'inherit'] });
  atEnd(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (part) => { text += part; });
  const result = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => (status === 0 ? resolve(JSON.parse(text))
      : reject(new Error(`attack ${mode}: exit ${status}`))));
  });
  return { stop: () => child.kill('SIGTERM'), result };
}

// Healthy requests alone, for as long.
export const alone = (weir, seconds, rate = 100) =>
  attack(weir.url, 'paced', { key: weir.key, seconds, rate }).result;

// Wait until as much is open and held as before; idle provider connections may stay.
async function givenBack(weir, before) {
  let now;
  await until(async () => {
    now = await look(weir);
    return gauges.every((name) => name === 'weir_open_upstreams' || now[name] <= before[name]);
  }, 'everything is given back', 20000).catch((error) => {
    const left = gauges.map((name) => `${name} ${now[name]} (before: ${before[name]})`);
    throw new Error(`${error.message}: ${left.join(', ')}`);
  });
  return now;
}

// The attack for so many seconds. Gives {attack, healthy, before, peak, after}.
export async function besiege(weir, mode, { seconds = 3, rate = 100, ...options } = {}) {
  const before = await look(weir);
  const foe = attack(weir.url, mode, { key: weir.key, seconds: seconds + 60, ...options });
  await pause(200);              // it stands before the first healthy request
  const friend = attack(weir.url, 'paced', { key: weir.key, seconds, rate });
  const peak = { ...before };
  let over = false;
  const healthy = friend.result.finally(() => { over = true; });
  while (!over) {
    const now = await look(weir);
    for (const name of [...gauges, 'own_bytes']) peak[name] = Math.max(peak[name], now[name]);
    await pause(50);
  }
  const seen = await healthy;
  foe.stop();
  const done = await foe.result;
  const after = await givenBack(weir, before);
  return { attack: done, healthy: seen, before, peak, after };
}
