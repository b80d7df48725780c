// zero_memory.test.mjs - zero retention in memory: once exchanges are over, nothing of them is
// anywhere in the process (read through /proc/PID/mem, stacks and free heap included), and no
// core dump holds requests, answers or keys, not even one made while exchanges run.
// timeout: 240
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { canary, disguised, keyMarks, marks, Yard } from './lib/canary.mjs';
import { isDumped, search, told } from './lib/memory.mjs';
import { post, Wire } from './lib/wire.mjs';
import { binary, directory, pause, until, Weir, within } from './lib/weir.mjs';

const yard = await Yard.open();
test.after(() => yard.close());

// Who is not root may look only into a process that may be dumped.
const isRoot = process.getuid?.() === 0;
const start = (config = {}, options = {}) => Weir.start(
  yard.config({ core_dumps: !isRoot, ...config }), { env: yard.env, ...options });
const sanitized = /san-/.test(process.env.WEIR_BUILD ?? '') && 'a sanitizer has its own heap';

// The private key of the listener as BoringSSL holds it, and as it stands in the file.
const scalar = Buffer.from(createPrivateKey(fs.readFileSync(yard.id.key)).export({ format: 'jwk' }).d,
                           'base64url');
const tlsKey = [scalar, Buffer.from(scalar).reverse(),
                Buffer.from(fs.readFileSync(yard.id.key, 'utf8').split('\n')[1].slice(0, 40))];

const found = (weir, words, choose) => search(weir.pid, words, choose).hits;
function none(weir, about, words, choose) {
  const { hits, bytes } = search(weir.pid, words, choose);
  assert.ok(bytes > 10 << 20, `${about}: only ${bytes} bytes were read`);
  assert.equal(hits.length, 0, `${about}\n${told(hits)}`);
}

// Traffic that holds no mark and never stops: until stop().
function load(weir) {
  let on = true;
  const clients = [0, 1, 2, 3].map(async (n) => {
    while (on) {
      const answer = await weir.chat({ model: 'next/plain', stream: n % 2 === 0,
                                       user: 'u'.repeat(n * 300) });
      assert.equal(answer.status, 200);
      await weir.call('GET', '/admin/v1/units');
    }
  });
  return { stop: () => { on = false; return Promise.all(clients); } };
}

// Exchanges that do not end: held whole, streamed, to a provider behind TLS; in the middle of a
// request. Gives their connections.
async function running(weir) {
  const wires = [];
  const begin = async (bytes, marker) => {
    const wire = await Wire.open(weir.url);
    wires.push(wire);
    await wire.send(bytes);
    if (marker) await wire.intake.until(Buffer.from(marker));
  };
  const of = (model, more) => post('/v1/chat/completions?q', weir.key, yard.request(model, more));
  await begin(of('next/hangs', { stream: true }), canary('two'));
  await begin(of('safe/m', { stream: true, hang: true }), canary('two'));
  await begin(of('next/hangs'));
  await begin(of('next/good', { [canary('big')]: canary('big').repeat(5000) }).subarray(0, -30));
  await pause(100);
  return wires;
}

for (const [name, busy] of [['weir-sealed', false], ['weir', true]]) {
  const how = busy ? 'under a load that goes on' : 'at rest';
  test(`${name}, ${how}: nothing of what was is in memory`, { skip: sanitized }, async () => {
    const weir = await start({}, { file: binary(name) });
    const others = busy ? load(weir) : null;
    const { data } = await weir.ask('GET', '/admin/v1/units');
    const made = await weir.ask('POST', '/admin/v1/keys', {
      member: data.find((unit) => unit.kind === 'member').id, name: 'second' });
    await yard.everything(weir);
    await pause(700);                          // a core that has nothing to do forgets in 250 ms
    none(weir, 'idle connections still open', marks);
    yard.leave();
    await pause(300);
    none(weir, 'all connections closed', marks);
    none(weir, 'keys that dumps must not have', [...keyMarks, ...tlsKey], isDumped);
    await others?.stop();
    await pause(700);
    none(weir, 'keys of clients and the admin', [weir.key, made.key, weir.token]
      .flatMap(disguised));
    assert.ok(found(weir, keyMarks).length > 0, 'provider keys are there, so the search works');
    assert.ok(found(weir, tlsKey).length > 0, 'and so is the private key');
    await weir.stop();
  });
}

test('while exchanges run: their bytes are in memory, and in nothing that is dumped',
     { skip: sanitized }, async () => {
  const weir = await start();
  const others = load(weir);
  const wires = await running(weir);
  for (let i = 0; i < 3; i++) {
    none(weir, 'under load', [...marks, ...keyMarks, ...tlsKey], isDumped);
    await pause(50);
  }
  await others.stop();
  assert.ok(found(weir, marks).length > 20, 'the search finds them where they are');
  await pause(700);
  none(weir, 'quiet', [...marks, ...keyMarks, ...tlsKey], isDumped);
  for (const wire of wires) wire.close();
  await until(() => found(weir, marks).length === 0, 'gone when they are over');
  await weir.stop();
});

test('with zero_retention: false much is found, so that the tests above can fail',
     { skip: sanitized }, async () => {
  const weir = await start({ zero_retention: false });
  await yard.everything(weir);
  yard.leave();
  await pause(700);
  assert.ok(found(weir, marks).length > 1000);
  none(weir, 'keys are not in a dump all the same', keyMarks, isDumped);
  await weir.stop();
});

// --- real core dumps, where the kernel writes them into the working directory

const mayDump = (() => {
  const pattern = fs.readFileSync('/proc/sys/kernel/core_pattern', 'latin1').trim();
  return isRoot && /^core(\.%p)?$/.test(pattern);
})();

async function crash(config) {
  const dir = directory();
  const weir = await start(config, {
    under: ['/usr/bin/env', '-C', dir, '/usr/bin/prlimit', '--core=unlimited:unlimited'] });
  const wires = await running(weir);
  await pause(700);                // in the instant of a turn registers may hold a piece
  weir.signal('SIGSEGV');
  await within(weir.run.ended, 'its end');
  for (const wire of wires) wire.close();
  const [name] = fs.readdirSync(dir).filter((file) => file.startsWith('core'));
  return name && fs.readFileSync(path.join(dir, name));
}

test('a crash amid exchanges leaves no core dump; with core_dumps: true one without any of it',
     { skip: sanitized || (!mayDump && 'needs root and kernel.core_pattern = core') }, async () => {
  assert.equal(await crash({ core_dumps: false }), undefined);
  const core = await crash({ core_dumps: true });
  assert.ok(core && core.length > 1 << 20, 'there is one');
  assert.ok(core.indexOf('weir') > 0);
  for (const word of [...marks, ...keyMarks, ...tlsKey]) {
    const at = core.indexOf(word);
    assert.equal(at, -1, `${word} at ${at}: ${JSON.stringify(
      core.subarray(Math.max(0, at - 100), at + 100).toString('latin1'))}`);
  }
});
