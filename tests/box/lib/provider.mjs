// provider.mjs - a foreign provider on bare sockets (wire.mjs): every test says in a function
// what it answers, down to the byte and to the instant of a reset.
//   const p = await provider(async (call) => call.json(chat('hi')));
// Rule: what Weir forwards is read strictly; a request it should never have sent makes the
// test fail, through p.faults.
import net from 'node:net';
import { Intake, readRequest } from './wire.mjs';
import { atEnd } from './weir.mjs';

class Call {
  constructor(request, socket, n) {
    this.request = request;
    this.socket = socket;
    this.n = n;                       // 0 for the first request this provider got
    this.model = (() => { try { return request.json.model; } catch { return undefined; } })();
    this.over = socket.over;
  }

  // Bytes as they are. Resolves when the kernel has them; at once on a dead socket.
  write(bytes) {
    if (this.socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  head(status, fields) {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
    return this.write(`HTTP/1.1 ${status} Whatever\r\n${lines.join('')}\r\n`);
  }

  async json(value, { status = 200, fields = {} } = {}) {
    const body = Buffer.isBuffer(value) ? value : Buffer.from(
      typeof value === 'string' ? value : JSON.stringify(value));
    await this.head(status, { 'content-type': 'application/json',
                              'content-length': body.length, ...fields });
    return this.write(body);
  }

  error(status, message = 'no', code = null, fields = {}) {
    return this.json({ error: { message, type: 'provider_error', param: null, code } },
                     { status, fields });
  }

  chunk(bytes) {
    const data = Buffer.from(bytes);
    return this.write(Buffer.concat([Buffer.from(data.length.toString(16) + '\r\n'), data,
                                     Buffer.from('\r\n')]));
  }

  begin(fields = {}) {
    return this.head(200, { 'content-type': 'text/event-stream',
                            'transfer-encoding': 'chunked', ...fields });
  }

  event(value) {
    return this.chunk(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
  }

  end() { return this.write('0\r\n\r\n'); }
  cut() { this.socket.end(); }
  reset() { this.socket.resetAndDestroy(); }

  // A whole good stream of these words.
  async stream(words, { usage = { prompt_tokens: 7, completion_tokens: words.length,
                                  total_tokens: 7 + words.length } } = {}) {
    await this.begin();
    await this.event(delta({ role: 'assistant', content: '' }));
    for (const word of words) await this.event(delta({ content: word }));
    await this.event(delta({}, 'stop'));
    if (usage) await this.event({ ...shell(), choices: [], usage });
    await this.event('[DONE]');
    await this.end();
  }
}

const shell = () => ({ id: 'chatcmpl-foreign', object: 'chat.completion.chunk',
                       created: 1700000000, model: 'foreign' });

export function delta(what, finish = null) {
  return { ...shell(), choices: [{ index: 0, delta: what, finish_reason: finish }] };
}

export function chat(text, usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 }) {
  return { id: 'chatcmpl-foreign', object: 'chat.completion', created: 1700000000,
           model: 'foreign', choices: [{ index: 0, finish_reason: 'stop',
           message: { role: 'assistant', content: text, refusal: null } }], usage };
}

export async function provider(answer) {
  const state = { requests: [], faults: [], sockets: new Set(), answer };
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, async (socket) => {
    const intake = new Intake(socket);
    state.sockets.add(socket);
    socket.over = new Promise((resolve) => {
      for (const how of ['end', 'error', 'close']) socket.once(how, () => resolve(how));
    });
    socket.on('error', () => {});
    socket.once('close', () => state.sockets.delete(socket));
    try {
      for (;;) {
        const request = await readRequest(intake);
        if (!request) break;
        const call = new Call(request, socket, state.requests.length);
        state.requests.push(request);
        await state.answer(call);
      }
      socket.end();
    } catch (error) {
      if (!socket.destroyed && !intake.failure) state.faults.push(error);
      socket.destroy();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  state.port = server.address().port;
  state.url = `http://127.0.0.1:${state.port}/v1`;
  state.close = () => {
    for (const socket of state.sockets) socket.destroy();
    server.close();
  };
  atEnd(state.close);
  return state;
}

// A port nobody listens on.
export async function nowhere() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}/v1`;
}
