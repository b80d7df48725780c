// machine.test.mjs - what the machine does (hostile.md): descriptors and disk run out, writing
// fails, DATA turns read-only, a second instance comes, the wall clock steps, a thread is
// starved, io_uring is forbidden, signals come amid requests. Each is provoked from outside on
// the real binary; what runs goes on, what cannot be served says so, and it recovers without a
// restart.
// timeout: 180
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { chat, delta, provider } from './lib/provider.mjs';
import { post, Wire } from './lib/wire.mjs';
import { atEnd, command, directory, pause, proven, root, until, Weir, weirBinary,
         within } from './lib/weir.mjs';

const far = await provider((call) => (call.request.json.stream ? call.stream(['a', 'b'])
                                                               : call.json(chat('ok'))));
const config = { cores: 1, providers: [{ name: 'far', url: far.url, keys: ['sk-far'] }],
                 models: [{ id: 'far/m', price: { input: '1', output: '1' } }] };
const where = '/v1/chat/completions';
const body = { model: 'far/m', messages: [{ role: 'user', content: 'x' }] };
const ask = (weir, fields) => post(where, weir.key, body, fields);
const lib = (name) => path.join(root, 'tests/box/lib', name);
const limit = (weir, what) => execFileSync('prlimit', [`--pid=${weir.pid}`, what]);

// --- descriptors

const descriptors = (weir) => new Set(fs.readdirSync(`/proc/${weir.pid}/fd`).map(Number));

// Those that are open stay; the first free number is over the limit.
function noMoreDescriptors(weir) {
  const used = descriptors(weir);
  let free = 0;
  while (used.has(free)) free++;
  limit(weir, `--nofile=${free}:`);
}

test('descriptors run out: what is open goes on, who waits is served afterwards', async () => {
  const most = 600;
  const weir = await Weir.start({ ...config, cores: 4 },
                                { under: ['/usr/bin/prlimit', `--nofile=${most}:${most}`] });
  assert.match(weir.run.stderr, /limits.connections: lowered to 172/);
  const open = await Wire.open(weir.url);
  const works = async () => {
    await open.send(ask(weir));
    assert.equal((await open.answer()).status, 200);
  };
  await works();                               // its provider's connection is pooled now
  const crowd = await Promise.all(Array.from({ length: 640 }, () => Wire.open(weir.url)));
  await until(() => descriptors(weir).size === most, 'none is left');
  for (let i = 0; i < 5; i++) await works();
  const waiting = await Wire.open(weir.url);
  await waiting.send(ask(weir));
  for (let i = 0; i < 5; i++) await works();
  for (const wire of crowd) wire.close();
  assert.equal((await within(waiting.answer(), 'who waited is served')).status, 200);
  await until(() => descriptors(weir).size < 100, 'they are given back');
  await works();
  open.close();
  waiting.close();
  await weir.stop();
});

test('no descriptor for a new provider connection: told, not crashed, and it recovers', async () => {
  const weir = await Weir.start(config);
  const wire = await Wire.open(weir.url);
  await wire.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  assert.equal((await wire.answer()).status, 200);
  noMoreDescriptors(weir);
  await wire.send(ask(weir));
  const refused = await wire.answer();
  assert.equal(refused.status, 503, refused.text);
  assert.equal(refused.json.error.code, 'overloaded', 'our own shortage');
  limit(weir, '--nofile=20000:');
  await until(async () => {
    await wire.send(ask(weir));
    return (await wire.answer()).status === 200;
  }, 'it recovers');
  wire.close();
  await weir.stop();
});

// --- disk

const ready = async (weir) => (await fetch(`${weir.admin}/readyz`)).status;

// Requests until admission is closed; then it must open again after mend().
async function ledgerOut(weir, mend) {
  const answered = [];
  const refusal = await until(async () => {
    const answer = await weir.chat(body);
    if (answer.status === 503) return answer;
    assert.equal(answer.status, 200, answer.text);
    answered.push(answer.header('x-request-id'));
    return null;
  }, 'admission closes', 20000);
  assert.equal(refusal.json.error.code, 'ledger_unavailable');
  assert.equal(await ready(weir), 503);
  assert.equal((await fetch(`${weir.admin}/healthz`)).status, 200, 'not ready, but healthy');
  await until(() => / ledger_gone/.test(weir.run.stdout), 'its line');
  mend();
  await until(async () => await ready(weir) === 200, 'ready again, without a restart');
  assert.equal((await weir.chat(body)).status, 200);
  const rows = new Map((await weir.rows()).map((row) => [row.request_id, row]));
  for (const id of answered) assert.ok(rows.has(id), `${id} is booked`);
  assert.match(weir.run.stderr, /^error: the ledger cannot commit: .+$/m);
  return answered;
}

test('nothing can be written any more: 503 ledger_unavailable, then all is booked', async () => {
  const weir = await Weir.start(config);
  assert.equal((await weir.chat(body)).status, 200);
  limit(weir, '--fsize=0:');
  await ledgerOut(weir, () => limit(weir, '--fsize=unlimited:'));
  await weir.stop();
});

// Clients that send all the time, whole answers and streams: those they hold complete, and how
// many refusals they saw. Anything but a whole answer or ledger_unavailable is a fault.
function crowd(weir, size = 8) {
  const state = { held: [], refused: 0, faults: [], on: true };
  const client = async (n) => {
    for (let i = n; state.on; i++) {
      const stream = i % 2 === 0;
      const response = await weir.fetch(where, { body: { ...body, stream } });
      const text = await response.text();
      const id = response.headers.get('x-request-id');
      if (response.status === 200 && (!stream || text.endsWith('data: [DONE]\n\n'))) {
        state.held.push(id);
      } else if (response.status === 503 && /ledger_unavailable/.test(text)) {
        state.refused++;
        assert.ok(Number(response.headers.get('retry-after')) > 0);
        await pause(10);
      } else {
        state.faults.push(`${response.status} ${text}`);
      }
    }
  };
  const all = Promise.all(Array.from({ length: size }, (_, n) => client(n)));
  state.stop = async () => { state.on = false; await all; assert.deepEqual(state.faults, []); };
  return state;
}

// Each answer that a client held complete has its row, once. Rows are there within a second.
async function allBooked(weir, held) {
  const count = new Map();
  await until(async () => {
    count.clear();
    for (const row of await weir.rows()) {
      count.set(row.request_id, (count.get(row.request_id) ?? 0) + 1);
    }
    return held.every((id) => count.has(id));
  }, 'all answers have rows');
  for (const id of held) assert.equal(count.get(id), 1, id);
  const [total] = (await weir.ask('GET', '/admin/v1/usage')).data;
  assert.equal(total.requests, [...count.values()].reduce((all, n) => all + n, 0));
}

const mayMount = process.getuid?.() === 0 && (() => {
  try {
    const dir = directory();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir], { stdio: 'ignore' });
    execFileSync('umount', [dir]);
    return true;
  } catch { return false; }
})();

test('the disk is full: 503 ledger_unavailable, then all is booked',
     { skip: !mayMount && 'needs root to mount a small disk' }, async () => {
  const disk = directory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk]);
  const unmount = () => execFileSync('umount', ['-l', disk]);
  try {
    const weir = await Weir.start({ ...config, limits: { connections: 1000 } },
                                  { data: path.join(disk, 'data') });
    assert.equal((await weir.chat(body)).status, 200);
    const filler = path.join(disk, 'filler');
    const fill = () => assert.throws(() => fs.writeFileSync(filler, Buffer.alloc(64 << 20)),
                                     { code: 'ENOSPC' });
    fill();
    await ledgerOut(weir, () => fs.rmSync(filler));
    await weir.stop();
    fill();
    const full = await command(['serve', '-c', weir.file, '--data', path.join(disk, 'second')]);
    assert.equal(full.status, 1, 'a disk too small is noticed at the start');
    assert.match(full.stderr, /^error: .*space/m);
  } finally {
    unmount();
  }
});

test('the disk fills up under load, twice, with a stream running: all that was answered is booked',
     { skip: !mayMount && 'needs root to mount a small disk' }, async () => {
  const disk = directory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', disk]);
  const filler = path.join(disk, 'filler');
  const fill = () => assert.throws(() => fs.writeFileSync(filler, Buffer.alloc(64 << 20)),
                                   { code: 'ENOSPC' });
  const gates = [];
  const slow = await provider(async (call) => {
    await call.begin();
    await call.event(delta({ content: 'first ' }));
    await new Promise((resolve) => gates.push(resolve));
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    await call.end();
  });
  const of = { ...config, limits: { connections: 1000 },
               providers: [...config.providers, { name: 'slow', url: slow.url, keys: ['sk'] }],
               models: [...config.models, { id: 'slow/m', price: { input: '1', output: '1' } }] };
  const data = path.join(disk, 'data');
  try {
    let weir = await Weir.start(of, { data });
    const { key } = weir;
    const held = [];
    for (const how of ['space comes back', 'it is killed']) {
      const stream = await weir.fetch(where, { body: { ...body, model: 'slow/m', stream: true } });
      await until(() => gates.length > 0, 'the stream runs');
      const load = crowd(weir);
      await until(() => load.held.length > 100, 'the load runs');
      fill();
      await until(() => load.refused > 20, `admission stops (${how})`);
      assert.equal(await ready(weir), 503);
      gates.pop()();                            // what runs may still end well
      assert.match(await stream.text(), /\[DONE\]\n\n$/);
      held.push(stream.headers.get('x-request-id'));
      if (how === 'it is killed') {
        await load.stop();
        held.push(...load.held);
        await weir.kill();
        fs.rmSync(filler);
        await proven(data);
        weir = await Weir.start(of, { data, key });
      } else {
        fs.rmSync(filler);
        await until(async () => await ready(weir) === 200, 'ready again, without a restart');
        const before = load.held.length;
        await until(() => load.held.length > before + 50, 'answers again');
        await load.stop();
        held.push(...load.held);
      }
      await until(async () => (await weir.metrics()).includes('weir_open_exchanges 0'), 'quiet');
      await allBooked(weir, held);
    }
    await weir.stop();
    await proven(data);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('disks too small to start on: one sentence, exit 1; with room the same DATA starts',
     { skip: !mayMount && 'needs root to mount a small disk' }, async () => {
  const disk = directory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', disk]);
  const file = path.join(directory(), 'weir.yaml');
  fs.writeFileSync(file, 'listen: ["127.0.0.1:0"]\nadmin: {listen: "127.0.0.1:0"}\ncores: 1\n' +
                         'limits: {connections: 1000, memory: 64MiB}\n');
  const data = path.join(disk, 'data');
  try {
    // One after another what is made at the start does not fit: directory, lock, store, tables,
    // token, cells, journal.
    for (const kib of [4, 8, 12, 16, 24, 32, 64, 96, 128, 256, 1024, 8192, 16384]) {
      execFileSync('mount', ['-o', `remount,size=${kib}k`, disk]);
      const run = await command(['serve', '-c', file, '--data', data]);
      assert.equal(run.status, 1, `${kib} KiB: ${run.signal} ${run.stdout}`);
      const lines = run.stderr.trim().split('\n').filter((line) => !/^warning: /.test(line));
      assert.equal(lines.length, 1, `${kib} KiB, one sentence: ${run.stderr}`);
      assert.match(lines[0], /^error: .*space/);
      assert.doesNotMatch(run.stdout, /ready|sk-weir/);
    }
    execFileSync('mount', ['-o', 'remount,size=128m', disk]);
    const weir = await Weir.start(config, { data });
    assert.equal((await weir.chat(body)).status, 200);
    await weir.stop();
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test('DATA cannot be written from the start: one sentence, exit 1',
     { skip: !mayMount && 'needs root to mount a disk' }, async () => {
  const disk = directory();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128m', 'tmpfs', disk]);
  const data = path.join(disk, 'data');
  try {
    const weir = await Weir.start(config, { data });
    assert.equal((await weir.chat(body)).status, 200);
    await weir.stop();
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    for (const at of [data, path.join(disk, 'other')]) {
      const run = await command(['serve', '-c', weir.file, '--data', at]);
      assert.equal(run.status, 1, run.stdout);
      assert.match(run.stderr, /^error: .*[Rr]ead-only file system\n$/);
    }
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    const again = await Weir.start(config, { data, key: weir.key });
    assert.equal((await again.rows()).length, 1);
    await again.stop();
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

// A file system of its own that can be made to fail: ext4 on a loop device, or null.
function loopDisk() {
  const dir = directory(), image = path.join(dir, 'image'), disk = path.join(dir, 'disk');
  try {
    fs.mkdirSync(disk);
    execFileSync('truncate', ['-s', '200M', image]);
    execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' });
    execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, disk], { stdio: 'ignore' });
  } catch { return null; }
  const device = path.basename(execFileSync('findmnt', ['-no', 'SOURCE', disk],
                                            { encoding: 'utf8' }).trim());
  const trigger = `/sys/fs/ext4/${device}/trigger_fs_error`;
  const close = () => execFileSync('umount', ['-l', disk]);
  if (fs.existsSync(trigger)) return { disk, close, fail: () => fs.writeFileSync(trigger, 'x') };
  close();
  return null;
}

test('the file system fails and turns read-only under load: refused, told, ended with 1',
     { skip: !mayMount && 'needs root to mount a disk' }, async (t) => {
  const at = loopDisk();
  if (!at) return t.skip('needs ext4 on a loop device');
  try {
    const weir = await Weir.start(config, { data: path.join(at.disk, 'data') });
    const member = (await weir.ask('GET', '/admin/v1/units')).data
      .find((unit) => unit.kind === 'member').id;
    const load = crowd(weir);
    await until(() => load.held.length > 100, 'the load runs');
    at.fail();
    await until(() => load.refused > 20, 'admission stops');
    await load.stop();
    assert.equal(await ready(weir), 503);
    assert.equal((await fetch(`${weir.admin}/healthz`)).status, 200);
    assert.match(weir.run.stderr, /^error: the ledger cannot commit: .*(Read-only|Input)/m);
    const made = await weir.call('POST', '/admin/v1/keys', { member, name: 'x' });
    assert.ok(made.status >= 500, `${made.status} ${made.text}`);
    assert.doesNotMatch(made.text, /sk-weir/, 'a key that is not kept is not given');
    weir.signal('SIGTERM');
    await within(weir.run.ended, 'the end');
    assert.equal(weir.run.signal, null);
    assert.equal(weir.run.status, 1, 'not all is in the ledger, and that is said');
    // once LMDB could not write its meta page, it says nothing else any more
    assert.match(weir.run.stderr, /^error: ledger: .*([Rr]ead-only|MDB_PANIC)/m);
    return undefined;
  } finally {
    at.close();
  }
});

// --- a second instance

test('second instances on the same data, under load: refused, and the first is not disturbed',
     async () => {
  const weir = await Weir.start(config);
  const load = crowd(weir, 4);
  await until(() => load.held.length > 20, 'the load runs');
  const link = path.join(directory(), 'link');
  fs.symlinkSync(weir.data, link);
  for (const data of [weir.data, `${weir.data}/`, link, weir.data]) {
    const run = await command(['serve', '-c', weir.file, '--data', data]);
    assert.equal(run.status, 1, run.stdout);
    const said = `error: data: ${data} is in use by another instance (pid ${weir.pid})\n`;
    assert.equal(run.stderr, said);
    assert.doesNotMatch(run.stdout, /ready|listening|sk-weir/);
  }
  const before = load.held.length;
  await until(() => load.held.length > before + 20, 'the first one goes on');
  await load.stop();
  assert.equal(load.refused, 0);
  await allBooked(weir, load.held);
  await weir.kill();                            // what a dead one holds is free at once
  const again = await Weir.start(config, { data: weir.data, key: weir.key });
  await allBooked(again, load.held);
  await again.stop();
});

// --- clock

test('the wall clock steps, an hour ahead and two back, amid streams: nothing is cut or lost',
     { skip: /san-/.test(process.env.WEIR_BUILD ?? '') && 'preloads a clock' }, async () => {
  const dir = directory();
  const shim = path.join(dir, 'clock.so'), clock = path.join(dir, 'clock');
  execFileSync('cc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', shim, lib('clock.c')]);
  fs.writeFileSync(clock, '0');
  const gates = [];
  const slow = await provider(async (call) => {
    await call.begin();
    await call.event(delta({ content: 'first ' }));
    await new Promise((resolve) => gates.push(resolve));
    await call.event(delta({ content: 'second' }));
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    await call.end();
  });
  const weir = await Weir.start({
    ...config, providers: [...config.providers, { name: 'slow', url: slow.url, keys: ['sk'] }],
    models: [...config.models, { id: 'slow/m', price: { input: '1', output: '1' } }],
  }, { env: { LD_PRELOAD: shim, WEIR_CLOCK: clock } });
  const sent = [];
  const ask = async () => {
    const answer = await weir.chat(body);
    assert.equal(answer.status, 200, answer.text);
    sent.push(answer.header('x-request-id'));
  };
  for (const step of ['0', '3600', '-3600', '0']) {
    const response = await weir.fetch(where, { body: { ...body, model: 'slow/m', stream: true } });
    await until(() => gates.length > 0, 'the stream runs');
    sent.push(response.headers.get('x-request-id'));
    fs.writeFileSync(clock, step);
    for (let i = 0; i < 5; i++) await ask();
    // The store begins a window behind a fold. When a request that was sent after the others
    // were folded is folded too, it has done so by the clock that it has now.
    for (let i = 0; i < 2; i++) {
      await ask();
      const last = sent.at(-1);
      await until(async () => (await weir.rows()).some((row) => row.request_id === last),
                  'the store has seen this clock');
    }
    gates.pop()();
    assert.match(await response.text(), /second.*\[DONE\]\n\n$/s);
    assert.equal(await ready(weir), 200);
  }
  await until(async () => (await weir.rows()).length === sent.length, 'all rows');
  const rows = await weir.rows();
  assert.deepEqual(rows.map((row) => row.request_id).sort(), [...sent].sort());
  assert.ok(rows.every((row) => row.close === 'done' && row.duration_ms < 60000),
            'durations are not of the wall clock');
  const [total] = (await weir.ask('GET', '/admin/v1/usage')).data;
  assert.equal(total.requests, sent.length);
  // The time of admission follows the clock, but never back into a window that was left.
  const at = new Map(rows.map((row) => [row.request_id, Date.parse(row.time)]));
  const hours = sent.map((id) => Math.floor(at.get(id) / 3600e3));
  assert.deepEqual(hours, [...hours].sort((a, b) => a - b), 'no hour comes back');
  assert.ok(Math.max(...at.values()) - Math.min(...at.values()) > 3500e3, 'the clock did step');
  await weir.stop();
});

// --- threads

const mayTrace = (() => {
  try {
    const scope = fs.readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8').trim();
    return scope === '0' || (process.getuid?.() === 0 && scope !== '3');
  } catch { return true; }
})();

test('a starved core: /healthz says so, the others go on, and it recovers',
     { skip: !mayTrace && 'needs to hold a thread' }, async () => {
  const weir = await Weir.start({ ...config, cores: 2 });
  const healthz = async () => (await fetch(`${weir.admin}/healthz`)).status;
  assert.equal(await healthz(), 200);
  // Core threads are the first that the main thread makes.
  const [, first] = fs.readdirSync(`/proc/${weir.pid}/task`).map(Number).sort((a, b) => a - b);
  const held = spawn('python3', [lib('starve.py'), String(first)]);
  atEnd(() => held.kill('SIGKILL'));
  const said = await new Promise((resolve) => held.stdout.once('data', (t) => resolve(String(t))));
  assert.equal(said.trim(), 'held');
  await until(async () => await healthz() === 503, 'it is noticed');
  assert.equal(await (await fetch(`${weir.admin}/healthz`)).text(), 'a core has not turned');
  held.stdin.end();
  await until(async () => await healthz() === 200, 'it recovers');
  assert.equal((await weir.chat(body)).status, 200);
  await weir.stop();
});

test('io_uring is forbidden: one sentence, exit 1, nothing made', async () => {
  const data = path.join(directory(), 'data');
  const run = await command([lib('forbid.py'), weirBinary(), 'serve', '--data', data,
                             '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0'],
                            { file: '/usr/bin/python3' });
  assert.equal(run.status, 1, run.stdout);
  assert.match(run.stderr, /^error: ring: io_uring is forbidden here \(.*\)$/m);
  assert.equal(fs.existsSync(data), false);
});

// --- signals

test('SIGTERM amid a request head: what comes whole afterwards is 503 draining', async () => {
  const weir = await Weir.start(config);
  const wire = await Wire.open(weir.url);
  const bytes = ask(weir);
  await wire.send(bytes.subarray(0, 50));
  await pause(100);
  weir.signal('SIGTERM');
  await until(async () => await ready(weir).catch(() => 503) === 503, 'it drains');
  await wire.send(bytes.subarray(50));
  const answer = await within(wire.answer(), 'the refusal');
  assert.equal(answer.status, 503);
  assert.equal(answer.json.error.code, 'overloaded');
  assert.equal(answer.get('connection'), 'close');
  await within(weir.run.ended, 'the end');
  assert.equal(weir.run.status, 0, weir.run.stderr);
  assert.match(weir.run.stdout, / 503 draining/);
});

test('SIGHUP amid streams: they go on as they began, new ones see the new file', async () => {
  const gates = [];
  const slow = await provider(async (call) => {
    await call.begin();
    await call.event(delta({ content: 'first ' }));
    await new Promise((resolve) => gates.push(resolve));
    await call.event(delta({ content: call.request.get('authorization') }));
    await call.event(delta({}, 'stop'));
    await call.event('[DONE]');
    await call.end();
  });
  const of = (key) => ({ ...config, providers: [{ name: 'far', url: slow.url, keys: [key] }] });
  const weir = await Weir.start(of('sk-one'));
  const stream = () => weir.fetch(where, { body: { ...body, stream: true } });
  const before = await stream();
  weir.config(of('sk-two'));
  weir.signal('SIGHUP');
  await until(() => /^reloaded$/m.test(weir.run.stderr), 'it reloads');
  const after = await stream();
  await until(() => gates.length === 2, 'both run');
  for (const gate of gates) gate();
  assert.match(await before.text(), /sk-one.*\[DONE\]/s);
  assert.match(await after.text(), /sk-two.*\[DONE\]/s);
  await weir.stop();
});

test('kill -9 amid a stream: booked as interrupted, with what had been streamed', async () => {
  const pours = await provider(async (call) => {
    await call.begin();
    for (;;) {
      await Promise.race([call.event(delta({ content: 'word ' })), call.over]);
      if (call.socket.destroyed || call.socket.readableEnded) return;
      await pause(5);
    }
  });
  const endless = { ...config, providers: [{ name: 'far', url: pours.url, keys: ['sk'] }] };
  const weir = await Weir.start(endless);
  const response = await weir.fetch(where, { body: { ...body, stream: true } });
  const reader = response.body.getReader();
  for (let bytes = 0; bytes < 20000;) bytes += (await reader.read()).value.length;
  await weir.kill();
  await reader.cancel().catch(() => {});
  const again = await Weir.start(endless, { data: weir.data, key: weir.key });
  const [row] = await again.rows();
  assert.equal(row.request_id, response.headers.get('x-request-id'));
  assert.equal(row.close, 'interrupted');
  assert.ok(row.estimated && row.output_tokens > 0, JSON.stringify(row));
  await again.stop();
});

test('nothing foreign was broken', () => assert.deepEqual(far.faults, []));
