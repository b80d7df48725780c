// attacks.mjs - every attack of bench/attack.c against the real binary, with a healthy client
// beside it, as a table: what that client saw alone and beside the attack, what the attack cost
// in memory at its height, what stayed. Needs `make all build/bench/attack`.
//   node bench/attacks.mjs [SECONDS] [ATTACK ...]
// Figures are of this machine at this moment; tests/box/siege.test.mjs asserts what must hold.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { alone, besiege, ownBytes } from '../tests/box/lib/siege.mjs';
import { Mock, pause, root, Weir } from '../tests/box/lib/weir.mjs';

const [seconds = '5', ...only] = process.argv.slice(2);
const all = ['heads', 'bodies', 'readers', 'streams', 'idle', 'pipeline', 'flood', 'bombs',
             'aborts', 'halves', 'headers', 'keys', 'churn', 'hellos'];
const special = { readers: { model: 'foe/mock-n2000000', connections: 400 },
                  streams: { model: 'foe/mock-n9-stall3', connections: 5000, rate: 2500 } };
const CALM_MS = 12000;          // an attack's memory goes back to the machine meanwhile

const mock = await Mock.start();
const foe = await Mock.start();
const price = { input: '1', output: '1' };
const models = ['mock/mock-n5', 'foe/mock-n5', 'foe/mock-n2000000', 'foe/mock-n9-stall3'];
const weir = await Weir.start({
  providers: [{ name: 'mock', url: mock.url, keys: ['sk-mock'] },
              { name: 'foe', url: foe.url, keys: ['sk-foe'] }],
  models: models.map((id) => ({ id, price })), log: { level: 'warn' },
  limits: { memory: '256MiB', connections: 6000 },
  timeouts: { header: '2s', body: '2s', write: '2s' } });

const ms = (us) => (us / 1000).toFixed(us < 10000 ? 2 : 0);
const mib = (bytes) => (bytes / 1048576).toFixed(1);
const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
const load = () => readFileSync('/proc/loadavg', 'utf8').split(' ')[0];

console.log(`${path.basename(root)}: ${seconds} s each, healthy client 100 requests/s; ` +
            `load of the machine ${load()}; own memory in MiB, ${mib(ownBytes(weir.pid))} at rest`);
row(['attack', 'connections', 'alone p50 / p99 ms', 'beside p50 / p99 ms', 'healthy failed',
     'memory peak', 'after', 'load']);
row(['---', '---', '---', '---', '---', '---', '---', '---']);
for (const mode of only.length ? only : all) {
  const before = await alone(weir, Number(seconds));
  const { attack, healthy, peak } = await besiege(weir, mode, {
    seconds: Number(seconds), model: 'foe/mock-n5', ...special[mode] });
  await pause(CALM_MS);
  row([mode, attack.opened, `${ms(before.p50_us)} / ${ms(before.p99_us)}`,
       `${ms(healthy.p50_us)} / ${ms(healthy.p99_us)}`, healthy.bad, mib(peak.own_bytes),
       mib(ownBytes(weir.pid)), load()]);
}
await weir.stop();
await Promise.all([mock.stop(), foe.stop()]);
process.exit(0);
