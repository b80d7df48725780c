// wire.mjs - HTTP/1.1 by hand, both sides, on bare sockets: the tests' own reading of RFC 9112,
// so that what Weir writes is judged by something that shares no code with it or with node's
// parser. Rule: strict. Whatever is not exactly one framing, CRLF and chunked as the RFC draws
// them throws, in the tests of answers as well as of requests that Weir forwards.
import net from 'node:net';

const CRLF = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');

const SILENCE_MS = 20000;   // a client of ours waits no longer: a test fails, it never hangs

// Bytes of a socket as they come: take(n), until(marker), rest(). silence: ms to wait for more.
export class Intake {
  constructor(socket, silence = 0) {
    this.silence = silence;
    this.parts = [];
    this.length = 0;
    this.ended = false;
    this.failure = null;
    this.waiting = null;
    socket.on('data', (part) => {
      this.parts.push(part);
      this.length += part.length;
      this.wake();
    });
    socket.on('end', () => { this.ended = true; this.wake(); });
    socket.on('error', (error) => { this.failure = error; this.wake(); });
    socket.on('close', () => { this.ended = true; this.wake(); });
  }

  wake() {
    const wake = this.waiting;
    this.waiting = null;
    if (wake) wake();
  }

  all() {
    if (this.parts.length > 1) this.parts = [Buffer.concat(this.parts)];
    return this.parts[0] ?? Buffer.alloc(0);
  }

  cut(n) {
    const all = this.all();
    this.parts = n < all.length ? [all.subarray(n)] : [];
    this.length = all.length - n;
    return all.subarray(0, n);
  }

  // Wait for more. False: there will be none.
  async more() {
    if (this.ended || this.failure) return false;
    await new Promise((resolve, reject) => {
      const late = () => reject(new Error(`nothing came for ${this.silence} ms`));
      const timer = this.silence ? setTimeout(late, this.silence) : null;
      this.waiting = () => { clearTimeout(timer); resolve(); };
    });
    return true;
  }

  async take(n) {
    while (this.length < n) {
      const before = this.length;
      if (!await this.more() && this.length === before) {
        throw new Error(`ended after ${this.length} of ${n} bytes` +
                        (this.failure ? `: ${this.failure.code}` : ''));
      }
    }
    return this.cut(n);
  }

  // Up to and with the marker; null: the peer ended in good order before the first byte.
  async until(marker) {
    for (;;) {
      const at = this.all().indexOf(marker);
      if (at >= 0) return this.cut(at + marker.length);
      const before = this.length;
      if (!await this.more() && this.length === before) {
        if (this.length === 0 && !this.failure) return null;
        throw new Error(`ended inside ${JSON.stringify(this.all().toString('latin1'))}` +
                        (this.failure ? `: ${this.failure.code}` : ''));
      }
    }
  }

  async rest() {
    while (await this.more());
    if (this.failure) throw this.failure;
    return this.cut(this.length);
  }
}

export function parseHead(raw) {
  const text = raw.toString('latin1');
  if (/[^\r]\n|\r[^\n]/.test(text)) throw new Error('a bare CR or LF in a head');
  const lines = text.slice(0, -4).split('\r\n');
  const first = lines.shift();
  const fields = lines.map((line) => {
    const m = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (!m) throw new Error(`not a header field: ${JSON.stringify(line)}`);
    return [m[1].toLowerCase(), m[2]];
  });
  const all = (name) => fields.filter(([n]) => n === name).map(([, value]) => value);
  return { raw, first, fields, all, get: (name) => all(name)[0] };
}

async function chunked(intake) {
  const body = [];
  for (;;) {
    const line = (await intake.until(CRLF))?.toString('latin1') ?? '';
    if (!/^[0-9a-fA-F]{1,8}\r\n$/.test(line)) throw new Error(`chunk size ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    const data = await intake.take(size + 2);
    if (data[size] !== 13 || data[size + 1] !== 10) throw new Error('no CRLF behind a chunk');
    if (size === 0) return Buffer.concat(body);  // no trailers: Weir sends none
    body.push(data.subarray(0, size));
  }
}

// The body by the one framing a head declares; byClose: it may also last until the end.
async function readBody(intake, head, byClose) {
  const lengths = head.all('content-length');
  const codings = head.all('transfer-encoding');
  if (lengths.length + codings.length > 1) throw new Error('more than one framing');
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Error(`transfer-encoding ${codings[0]}`);
    return chunked(intake);
  }
  if (lengths.length === 1) {
    if (!/^(0|[1-9][0-9]*)$/.test(lengths[0])) throw new Error(`content-length ${lengths[0]}`);
    return intake.take(Number(lengths[0]));
  }
  return byClose ? intake.rest() : Buffer.alloc(0);
}

// The next answer: {status, head, get, body, text, json, interim}. null: the peer ended first.
// method: HEAD answers have no body (RFC 9112 section 6.3).
export async function readAnswer(intake, method = 'GET') {
  const interim = [];
  for (;;) {
    const raw = await intake.until(HEAD_END);
    if (!raw) return null;
    const head = parseHead(raw);
    const m = /^HTTP\/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*$/.exec(head.first);
    if (!m) throw new Error(`status line ${JSON.stringify(head.first)}`);
    const status = Number(m[1]);
    if (status < 200) { interim.push(status); continue; }
    const bare = method === 'HEAD' || status === 204 || status === 304;
    const closes = head.get('connection') === 'close';
    if (!bare && !closes && !head.get('content-length') && !head.get('transfer-encoding')) {
      throw new Error('an answer without framing on a connection that stays');
    }
    const body = bare ? Buffer.alloc(0) : await readBody(intake, head, closes);
    return { status, head, get: head.get, all: head.all, body, interim,
             get text() { return body.toString('utf8'); },
             get json() { return JSON.parse(body.toString('utf8')); } };
  }
}

// The next request, as a provider sees it. null: the peer ended first.
export async function readRequest(intake) {
  const raw = await intake.until(HEAD_END);
  if (!raw) return null;
  const head = parseHead(raw);
  const m = /^([A-Z]+) (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(head.first);
  if (!m) throw new Error(`request line ${JSON.stringify(head.first)}`);
  if (head.all('host').length !== 1) throw new Error('not exactly one Host');
  const body = await readBody(intake, head, false);
  return { method: m[1], target: m[2], head, get: head.get, all: head.all, body,
           get json() { return JSON.parse(body.toString('utf8')); } };
}

// A client on a bare socket.
export class Wire {
  // localAddress: this machine's address to come from, where it matters.
  static async open(url, localAddress = undefined) {
    const { hostname, port } = new URL(url);
    const socket = net.connect({ host: hostname, port: Number(port), localAddress,
                                 allowHalfOpen: true });
    socket.setNoDelay(true);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new Wire(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.intake = new Intake(socket, SILENCE_MS);
  }

  send(bytes) {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  answer(method) { return readAnswer(this.intake, method); }

  // Everything until the peer ends; throws on a reset.
  async ended() {
    const rest = await this.intake.rest();
    return rest;
  }

  half() { this.socket.end(); }
  close() { this.socket.destroy(); }
  reset() { this.socket.resetAndDestroy(); }
}

// One exchange on a connection of its own; bytes is the whole request.
export async function exchange(url, bytes, method, localAddress = undefined) {
  const wire = await Wire.open(url, localAddress);
  try {
    await wire.send(bytes);
    return await wire.answer(method);
  } finally {
    wire.close();
  }
}

// Bytes of a POST with exactly these fields and this body.
export function post(path, key, body, fields = []) {
  const data = Buffer.isBuffer(body) ? body : Buffer.from(
    typeof body === 'string' ? body : JSON.stringify(body));
  const head = [`POST ${path} HTTP/1.1`, 'Host: weir.test', `Authorization: Bearer ${key}`,
                'Content-Type: application/json', `Content-Length: ${data.length}`, ...fields];
  return Buffer.concat([Buffer.from(head.join('\r\n') + '\r\n\r\n', 'latin1'), data]);
}

// Cut data at seeded points into pieces of 1..most bytes.
export function pieces(data, next, most) {
  const out = [];
  for (let at = 0; at < data.length;) {
    const n = 1 + next() % Math.max(1, Math.min(most, data.length - at));
    out.push(data.subarray(at, at + n));
    at += n;
  }
  return out;
}

// A small seeded generator (xorshift32): the same seed, the same cuts.
export function seeded(seed) {
  let x = seed >>> 0 || 1;
  return () => {
    x ^= x << 13; x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5; x >>>= 0;
    return x;
  };
}

// Answers a call (lib/provider.mjs) with a recording cut into parts: by its length, or chunked.
export const playing = (tape, parts, byLength) => async (call) => {
  await call.head(tape.status, { 'content-type': tape.type,
    ...(byLength ? { 'content-length': tape.bytes.length }
                 : { 'transfer-encoding': 'chunked' }) });
  for (const part of parts) {
    await (byLength ? call.write(part) : call.chunk(part));
    if (parts.length < 40) await new Promise((resolve) => setImmediate(resolve));
  }
  if (!byLength) await call.end();
};

// Sends a request on a connection of its own and reads the answer to its end.
export async function answerTo(url, bytes) {
  const own = await Wire.open(url);
  try {
    await own.send(bytes);
    return await readAnswer(own.intake);
  } finally {
    own.close();
  }
}
