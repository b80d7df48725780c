// cases.mjs - the cases of other projects, tests/cases/*.tsv (tests/cases/README.md).
import fs from 'node:fs';
import path from 'node:path';
import { root } from './weir.mjs';

function unescape(text) {
  const parts = [];
  const kinds = { '\\': '\\', r: '\r', n: '\n', t: '\t' };
  for (const m of text.matchAll(/\\x(..)|\\\*(\d+)\(([^)]*)\)|\\(.)|([^\\]+)/gs)) {
    if (m[1]) parts.push(Buffer.from(m[1], 'hex'));
    else if (m[2]) parts.push(Buffer.from(m[3].repeat(Number(m[2]))));
    else parts.push(Buffer.from(m[4] ? kinds[m[4]] : m[5]));
  }
  return Buffer.concat(parts);
}

// Rows as arrays; the last column as bytes.
export function cases(name) {
  const text = fs.readFileSync(path.join(root, 'tests/cases', `${name}.tsv`), 'utf8');
  return text.trimEnd().split('\n').map((line) => {
    const columns = line.split('\t');
    return [...columns.slice(0, -1), unescape(columns.at(-1))];
  });
}

// Weir's written answers to the documents that the suite leaves open: name -> accept or refuse.
export function answers() {
  const text = fs.readFileSync(path.join(root, 'tests/cases/DEVIATIONS.md'), 'utf8');
  return new Map([...text.matchAll(/^\| json \| (\S+) \| (accept|refuse) \|/gm)]
    .map(([, name, answer]) => [name, answer]));
}
