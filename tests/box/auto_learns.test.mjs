// auto_learns.test.mjs - what auto learns of providers that break no rule but are of no use: one
// that accepts and never answers, while its clients give up first; one whose model is gone.
import assert from 'node:assert/strict';
import test from 'node:test';
import { provider } from './lib/provider.mjs';
import { Weir } from './lib/weir.mjs';

const good = await provider((call) => call.stream(['fine']));
const mute = await provider(() => new Promise(() => {}));
const gone = await provider((call) => call.json({ error: { message: 'no such model' } }, { status: 404 }));

// auto over a cheap one of no use and a dear one that works; cost alone would take the first.
async function start(bad) {
  return Weir.start({
    cores: 1,
    providers: [{ name: 'bad', url: bad.url, keys: ['k'] },
                { name: 'good', url: good.url, keys: ['k'] }],
    models: [{ id: 'bad/m', price: { input: '0.5', output: '0.5' }, quality: 50 },
             { id: 'good/m', price: { input: '1', output: '1' }, quality: 50 }],
    routing: { mode: 'balanced', explore: 0 },
  });
}

const ask = (weir, headers = {}) => fetch(`${weir.url}/v1/chat/completions`, {
  method: 'POST', headers: { authorization: `Bearer ${weir.key}`, ...headers },
  body: JSON.stringify({ model: 'auto', stream: true, messages: [{ role: 'user', content: 'hello' }] }) });

// Asks until good/m is the first that is tried; gives how many it took.
async function learned(weir, headers, max) {
  for (let i = 1; i <= max; i++) {
    const r = await ask(weir, headers);
    await r.text();
    if (r.status === 200 && r.headers.get('x-weir-attempts') === '1') {
      assert.equal(r.headers.get('x-weir-model'), 'good/m');
      return i;
    }
  }
  throw new Error('nothing was learned');
}

test('a provider that never answers is left, though clients give up first', async () => {
  const weir = await start(mute);
  assert.ok(await learned(weir, { 'x-weir-timeout': '1.5' }, 14) > 1);
  await weir.stop();
});

test('a model that is gone does not stay first', async () => {
  const weir = await start(gone);
  assert.ok(await learned(weir, {}, 40) > 1);
  await weir.stop();
});

test('it all ends', async () => {
  for (const far of [good, mute, gone]) await far.close();
});
