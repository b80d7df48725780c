// node_http.mjs - node's own HTTP parser (llhttp, strict) as the other reader of the same
// bytes: what a server makes of requests, what a client makes of an answer. No sockets: bytes
// are pushed into a stream, and what node writes back is dropped.
import http from 'node:http';
import { Duplex } from 'node:stream';

class Pipe extends Duplex {
  _read() {}
  _write(chunk, encoding, done) { done(); }
  setTimeout() { return this; }
  setNoDelay() { return this; }
  setKeepAlive() { return this; }
  ref() { return this; }
  unref() { return this; }
}

// Names in lower case, in order, as 'name: value' lines.
const lines = (raw) => raw.flatMap((name, i) =>
  (i % 2 ? [] : [`${name.toLowerCase()}: ${raw[i + 1]}`]));

// Let node do all that it will do with what it has.
async function settle() {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
}

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 1 << 16,
                                   requireHostHeader: false });  // that is no framing
let current = null;

function onRequest(req, res) {
  const here = current;
  const message = { method: req.method, target: req.url, fields: lines(req.rawHeaders),
                    parts: [], whole: false };
  here.messages.push(message);
  req.on('data', (part) => message.parts.push(part));
  req.on('end', () => {
    message.whole = req.complete;
    res.end();
  });
  req.on('error', () => {});
  res.on('error', () => {});
}
for (const event of ['request', 'checkContinue', 'checkExpectation']) {
  server.on(event, onRequest);
}
server.on('clientError', (error, pipe) => { pipe.seen.bad = error.code; });
server.on('dropRequest', () => { current.bad = 'dropped'; });

// All requests in bytes: {messages: [{method, target, fields, body, whole}], bad: code or null}
export async function requests(bytes) {
  const pipe = new Pipe();
  const seen = { messages: [], bad: null };
  pipe.seen = seen;
  pipe.on('error', () => {});
  current = seen;
  server.emit('connection', pipe);
  pipe.push(bytes);
  await settle();
  pipe.destroy();
  for (const message of seen.messages) message.body = Buffer.concat(message.parts);
  return seen;
}

// The answer in bytes, behind which the connection ends: {status, fields, body, whole}, or
// {bad: a code}.
export async function response(bytes) {
  const pipe = new Pipe();
  const seen = { bad: null };
  pipe.on('error', () => {});
  const req = http.request({ createConnection: () => pipe, insecureHTTPParser: false,
                             maxHeaderSize: 1 << 16, method: 'GET', host: 'h' });
  req.on('error', (error) => { seen.bad ??= error.code ?? 'error'; });
  req.on('upgrade', () => { seen.bad = 'upgrade'; });
  req.on('response', (res) => {
    const parts = [];
    Object.assign(seen, { status: res.statusCode, fields: lines(res.rawHeaders),
                          whole: false });
    res.on('data', (part) => parts.push(part));
    res.on('error', (error) => { seen.bad ??= error.code; });
    const over = () => { seen.whole = res.complete; seen.body = Buffer.concat(parts); };
    res.on('end', over);
    res.on('close', over);
  });
  req.end();
  await settle();
  pipe.push(bytes);
  await settle();
  pipe.push(null);
  await settle();
  pipe.destroy();
  return seen;
}
