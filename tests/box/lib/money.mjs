// money.mjs - what a request must have cost, computed apart from Weir with BigInt: prices are
// decimal strings of dollars per million tokens, costs are nano-dollars rounded half up once.

// "1.25" with so many decimals -> BigInt.
export function fixed(text, decimals) {
  const m = /^(\d+)(?:\.(\d+))?$/.exec(text);
  if (!m || (m[2] ?? '').length > decimals) throw new Error(`not such a decimal: ${text}`);
  return BigInt(m[1] + (m[2] ?? '').padEnd(decimals, '0'));
}

export const nano = (usd) => fixed(usd, 9);

// price: as in the file; usage: as an OpenAI-style provider tells it.
export function cost(price, usage) {
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const tier = (price.tiers ?? []).filter((t) => usage.prompt_tokens > t.above).at(-1);
  const of = (kind) => tier?.[kind] ?? price[kind];
  const pico = (kind, instead) => fixed(of(kind) ?? of(instead), 6);  // $/M = pico/token x 1e-6
  let sum = BigInt(usage.prompt_tokens - cached) * pico('input');
  sum += BigInt(cached) * pico('cached', 'input');
  sum += BigInt(usage.completion_tokens ?? 0) * pico('output');
  sum += fixed(price.request ?? '0', 12);
  return (sum + 500n) / 1000n;
}
