// siege.test.mjs - what hostile clients do, all at once and for seconds (hostile.md): while it
// lasts a healthy client's requests all succeed, memory stays under a bound that follows from
// the configuration, and when it is over everything is given back.
// timeout: 300
import assert from 'node:assert/strict';
import test from 'node:test';
import { besiege, alone } from './lib/siege.mjs';
import { Mock, Weir } from './lib/weir.mjs';

const SECONDS = Number(process.env.WEIR_SIEGE_S ?? 2);
const MEMORY = 256 << 20;
const CONNECTIONS = 6000;
// The region, a slot of each kind a connection, and 24 MiB for code that runs beside it.
const BOUND = MEMORY + CONNECTIONS * 2048 + (24 << 20);

const mock = await Mock.start();
const foe = await Mock.start();   // whom the attackers' requests reach: it may be slow
const price = { input: '1', output: '1' };
const models = ['mock/mock-n5', 'foe/mock-n5', 'foe/mock-n2000000'].map((id) => ({ id, price }));
const weir = await Weir.start({
  providers: [{ name: 'mock', url: mock.url, keys: ['sk-mock'] },
              { name: 'foe', url: foe.url, keys: ['sk-foe'] }], models,
  log: { level: 'warn' }, limits: { memory: '256MiB', connections: CONNECTIONS },
  timeouts: { header: '2s', body: '2s', write: '2s' } });

const sieges = {
  heads: {}, bodies: {}, readers: { model: 'foe/mock-n2000000', connections: 400 }, idle: {}, pipeline: {},
  flood: {}, bombs: {}, aborts: {}, halves: {}, headers: {}, keys: {}, churn: {}, hellos: {},
};

test('the healthy client alone, for comparison', async () => {
  const healthy = await alone(weir, SECONDS);
  assert.equal(healthy.bad, 0);
  console.log(`alone: p50 ${healthy.p50_us} us, p99 ${healthy.p99_us} us`);
});

for (const [mode, options] of Object.entries(sieges)) {
  test(`${mode}: harms nobody, costs little, leaves nothing`, async () => {
    const { attack, healthy, before, peak, after } = await besiege(weir, mode,
                                                                 { seconds: SECONDS, model: 'foe/mock-n5', ...options });
    console.log(`${mode}: ${attack.opened} connections, answers ${JSON.stringify(attack.answers)}, ` +
                `healthy p50 ${healthy.p50_us} us, p99 ${healthy.p99_us} us; own memory ` +
                `${before.own_bytes >> 10} -> ${peak.own_bytes >> 10} -> ${after.own_bytes >> 10} KiB, ` +
                `region ${peak.weir_memory_used_bytes >> 10} KiB, buffers ` +
                `${peak.weir_receive_buffers_used_count}, connections ${peak.weir_open_connections}`);
    assert.ok(attack.opened > 0 && attack.failed < attack.opened, JSON.stringify(attack));
    assert.equal(healthy.bad, 0, JSON.stringify(healthy));
    assert.ok(healthy.good > 0);
    assert.ok(peak.weir_memory_used_bytes <= MEMORY);
    assert.ok(peak.own_bytes < BOUND, `${peak.own_bytes} bytes of at most ${BOUND}`);
  });
}

test('it ends cleanly', async () => {
  assert.equal((await weir.chat({ model: 'mock/mock-n5' })).status, 200);
  await weir.stop();
  assert.equal(weir.run.stderr, '');
  await mock.stop();
});
