// talk.mjs - a conversation of an SDK's session (clients.mjs) with a strict provider (peers.mjs)
// through Weir, judged from both ends: what the client was told is what the provider said, and
// what the provider is told each time is all that was said before.
//   const talk = new Talk({ weir, there, client: 'chat', provider: 'messages', tools, ... });
//   await talk.say('hello', { parts: [{ text: 'hi' }] }, { stream: true });
// Rule: the model of what must arrive is built from the script alone, never from answers.
import assert from 'node:assert/strict';
import { clients } from './clients.mjs';
import { DIALECTS, USAGE } from './peers.mjs';

// Header fields of Weir's newest answer, which the SDKs keep for themselves.
export const last = { headers: null };
const plainFetch = globalThis.fetch;
globalThis.fetch = async (url, init) => {
  const response = await plainFetch(url, init);
  if (['attempts', 'estimated'].some((name) => response.headers.has(`x-weir-${name}`))) {
    last.headers = response.headers;
  }
  return response;
};

const SKIP = 'skip_thought_signature_validator';
const SIGNERS = ['responses', 'messages', 'gemini'];

// Gemini has no cut between texts of one turn, chat none between blocks: texts are joined.
function plainParts(parts, provider) {
  const out = [];
  for (const part of parts) {
    // Gemini needs the signature of a call; thoughts are its own business. Nobody is told what
    // another one signed.
    if (part.thought && (['chat', 'gemini'].includes(provider) || !part.thought.signature ||
                         (part.thought.maker ?? provider) !== provider)) continue;
    if (part.text !== undefined) {
      if (part.text === '') continue;
      if (out.at(-1)?.text !== undefined) out.at(-1).text += part.text;
      else out.push({ text: part.text });
    } else if (part.call) {
      const { id, name, args, signature, maker = 'gemini' } = part.call;
      const signed = signature && signature !== SKIP && provider === 'gemini' &&
                     maker === 'gemini';
      out.push({ call: { id, name, args, ...(signed ? { signature } : {}) } });
    } else if (part.result) {
      const { id, text, images } = part.result;
      out.push({ result: { id, text, ...(images ? { images } : {}) } });
    } else if (part.thought) {
      const { text, signature } = part.thought;
      out.push({ thought: { text, signature } });
    } else out.push(part);
  }
  return out;
}

export class Talk {
  constructor({ weir, there, client, provider, model = `${provider}/m`, ...options }) {
    Object.assign(this, { weir, there, client, provider, options });
    this.session = new clients[client]({ url: weir.url, key: weir.key, model, ...options });
    this.turns = [];
    this.system = options.system ? [options.system] : [];
    this.count = 0;
  }

  // The user says something, and the model answers what `scripted` says.
  say(content, scripted, how) {
    this.session.user(content);
    this.push('user', typeof content === 'string' ? [{ text: content }] : content);
    return this.exchange(scripted, how);
  }

  // Another provider goes on from here.
  turnTo(provider, model = `${provider}/m`) {
    this.provider = provider;
    this.session.options.model = model;
    return this;
  }

  // Results of the calls in the last answer go back: texts in order, or { text, images, error }.
  results(list, scripted, how) {
    const given = list.map((it) => (typeof it === 'string' ? { text: it } : it));
    const calls = this.newest.calls;
    assert.equal(calls.length, given.length, 'as many results as calls');
    this.session.results(given.map((it, i) => ({ call: calls[i], ...it })));
    this.push('user', given.map(({ text, images }, i) => ({
      result: { id: this.ids[i], text, ...(images ? { images } : {}) } })));
    return this.exchange(scripted, how);
  }

  push(role, parts) {
    if (this.turns.at(-1)?.role === role) this.turns.at(-1).parts.push(...parts);
    else this.turns.push({ role, parts: [...parts] });
  }

  async exchange(scripted, { stream = false, ...more } = {}) {
    const { there, provider } = this;
    let asked = null;
    there.faults.length = 0;
    there.script = (ask) => {
      if (ask.count) return {};
      assert.equal(asked, null, 'asked twice');
      asked = ask;
      return scripted;
    };
    let answer;
    try {
      answer = await this.session.ask({ stream, ...more });
    } catch (error) {
      assert.deepEqual(there.faults, []);
      throw error;
    }
    assert.deepEqual(there.faults, []);
    assert.ok(asked, 'the provider was asked');
    assert.equal(asked.dialect, provider);
    this.heard(asked);
    this.told(answer, scripted);
    this.note(scripted);
    this.newest = answer;
    return { answer, asked, headers: last.headers };
  }

  // What the provider was told is what was said.
  heard(asked) {
    const { neutral } = asked, plain = (turns) => {
      const out = [];            // a turn without anything is none, and joins its neighbours
      for (const { role, parts } of turns) {
        if (parts.length === 0) continue;
        if (out.at(-1)?.role === role) out.at(-1).parts.push(...parts);
        else out.push({ role, parts: [...parts] });
      }
      return out.map(({ role, parts }) => ({ role, parts: plainParts(parts, this.provider) }));
    };
    assert.equal(neutral.system.join('\n\n'), this.system.join('\n\n'));
    const got = plain(neutral.turns), want = plain(this.turns);
    // A model that may not think in this turn has no use for its thoughts.
    if (this.provider === 'messages' && this.options.effort && !neutral.thinking) {
      for (const turn of [...got, ...want]) turn.parts = turn.parts.filter((p) => !p.thought);
    }
    this.fitIds(got, want);
    if (this.client === 'gemini' && this.provider === 'responses') this.forget(got, want);
    assert.deepEqual(got, want);
  }

  // Ids of calls that the provider gave must come back; where it has none, any will do, but
  // call and result must agree, which strict.mjs has seen to.
  fitIds(got, want) {
    want.forEach((turn, i) => turn.parts.forEach((part, j) => {
      const mine = part.call ?? part.result, theirs = got[i]?.parts[j];
      const it = theirs?.call ?? theirs?.result;
      if (mine && it && /^none-/.test(mine.id)) it.id = mine.id;
      if (mine && it && /^gemini-\d/.test(it.id)) it.id = mine.id;    // was sent without any
    }));
  }

  // Gemini's form has one place for thoughts in clear and another for what was encrypted: the
  // latter is what OpenAI reads, a summary beside it is for people.
  forget(got, want) {
    want.forEach((turn, i) => turn.parts.forEach(({ thought }, j) => {
      const theirs = got[i]?.parts[j]?.thought;
      if (thought && theirs?.text === '') theirs.text = thought.text;
    }));
  }

  // What the client was told is what the provider said.
  told(answer, scripted) {
    const join = (name) => scripted.parts.map((part) => part[name] ?? '').join('');
    const refused = scripted.finish === 'refusal';
    assert.equal(answer.refusal || answer.text, join('text'));
    const calls = scripted.parts.filter((part) => part.call);
    assert.deepEqual(answer.calls.map(({ name, args }) => ({ name, args })),
                     calls.map(({ call }) => ({ name: call.name, args: call.args })));
    calls.forEach(({ call }, i) => {
      const own = this.provider !== 'gemini' || call.own;
      if (own) assert.equal(answer.calls[i].id, call.id);
      else if (this.client !== this.provider) assert.ok(answer.calls[i].id);
    });
    const ids = answer.calls.map((call) => call.id).filter(Boolean);
    assert.equal(new Set(ids).size, ids.length, 'ids of calls are unique');
    if (this.options.effort) assert.equal(answer.thoughts, join('thought'));
    if (!refused) {
      assert.equal(answer.finish, scripted.finish === 'sequence' ? 'stop'
        : scripted.finish ?? (calls.length ? 'calls' : 'stop'));
    }
    const usage = { ...USAGE, ...scripted.usage };
    const { prompt, cached, output } = answer.usage;
    assert.deepEqual({ prompt, cached, output }, { cached: usage.cached, output: usage.output,
      prompt: usage.input + usage.cached + usage.write });
    if (this.provider !== 'messages' && this.client !== 'messages') {
      assert.equal(answer.usage.reasoning, usage.reasoning);
    }
  }

  note(scripted) {
    const signs = SIGNERS.includes(this.provider);
    const parts = scripted.parts.map((part) => {
      if (part.thought !== undefined) {
        return { thought: { text: part.thought, signature: signs ? part.sign : undefined,
                            maker: this.provider } };
      }
      if (!part.call) return { text: part.text };
      const own = this.provider !== 'gemini' || part.call.own;
      return { call: { ...part.call, id: own ? part.call.id : `none-${this.count++}`,
                       signature: part.sign, maker: this.provider } };
    }).map((part) => {
      if (part.call) delete part.call.own;
      return part;
    });
    this.ids = parts.filter((part) => part.call).map((part) => part.call.id);
    this.push('model', parts);
  }
}

// The pairs that Weir can do, `client-provider`.
export async function able(weir, there) {
  const can = new Set();
  for (const client of DIALECTS) {
    for (const provider of DIALECTS) {
      const { url, key } = weir, model = `${provider}/m`;
      const refusal = await new clients[client]({ url, key, model, max: 500 }).user('x').ask()
        .then(() => '', (error) => error.message);
      if (!/Translat/.test(refusal) && there.asked.at(-1)?.dialect === provider) {
        can.add(`${client}-${provider}`);
      }
    }
  }
  return can;
}
