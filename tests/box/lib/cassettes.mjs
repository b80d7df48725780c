// cassettes.mjs - recorded exchanges of real providers, from ../shared beside the repository or
// WEIR_SHARED; they are not part of it, and tests that need them say so when they skip.
import fs from 'node:fs';
import path from 'node:path';
import { root } from './weir.mjs';

const base = path.join(process.env.WEIR_SHARED ?? path.join(root, '../shared'), 'data/cassettes');
export const missing = !fs.existsSync(path.join(base, 'INDEX.tsv')) &&
                       `no recorded exchanges at ${base} (WEIR_SHARED)`;

// All of these dialects: {file, dialect, stream, status, request, bytes (the answer), type}.
export function cassettes(...dialects) {
  if (missing) return [];
  const lines = fs.readFileSync(path.join(base, 'INDEX.tsv'), 'utf8').trim().split('\n');
  return lines.slice(1).map((line) => line.split('\t'))
    .filter(([, , dialect]) => dialects.includes(dialect))
    .map(([file, , dialect, stream, status], index) => {
      const { request, response } = JSON.parse(fs.readFileSync(path.join(base, file), 'utf8'));
      const whole = JSON.stringify(response.body, null, index % 3);  // blanks vary
      const bytes = response.body_base64 ? Buffer.from(response.body_base64, 'base64')
        : Buffer.from(stream === '1' ? response.sse : whole);
      return { file, dialect, stream: stream === '1', status: Number(status), request, bytes,
               type: response.headers['content-type'] ??
                     (stream === '1' ? 'text/event-stream' : 'application/json') };
    });
}

// How many recordings there are of each dialect.
export function counted() {
  const lines = fs.readFileSync(path.join(base, 'INDEX.tsv'), 'utf8').trim().split('\n').slice(1);
  const out = {};
  for (const line of lines) out[line.split('\t')[2]] = (out[line.split('\t')[2]] ?? 0) + 1;
  return out;
}
