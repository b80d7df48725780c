// mock.mjs - weir-mock alone: every word of its scripts once, seen through plain sockets and
// node's own http client, and its numbers. Rule: a word of mock_script.def without a test here,
// or without a line in the manual, fails.
// alone: its scripts say when things happen
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const binary = path.join(process.env.WEIR_BUILD || path.join(root, "build"), "weir-mock");
const agent = new http.Agent({ keepAlive: true });
const tested = new Set();
let child, port;

function start(...args) {
  return new Promise((resolve, reject) => {
    const mock = spawn(binary, ["--listen", "127.0.0.1:0", ...args],
                       { stdio: ["ignore", "pipe", "inherit"] });
    let out = "";
    mock.stdout.on("data", (data) => {
      out += data;
      const ready = out.match(/^weir-mock listening on http:\/\/127\.0\.0\.1:(\d+)\n$/);
      if (ready) resolve({ mock, port: Number(ready[1]) });
    });
    mock.on("exit", (code) => reject(new Error(`ended with ${code}`)));
  });
}

before(async () => {
  ({ mock: child, port } = await start());
});
after(() => {
  agent.destroy();
  child.kill("SIGKILL");
});

// The words of a model's name are ticked off.
function tick(model) {
  for (const word of model.split("-").slice(1)) tested.add(word.replace(/(?<=\D)\d+$/, ""));
}

function send(options, body) {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const answer = { chunks: [], times: [], informational: [] };
    const request = http.request({ host: "127.0.0.1", port, agent, method: "POST",
                                   headers: {}, ...options }, (response) => {
      answer.status = response.statusCode;
      answer.headers = response.headers;
      answer.headMs = performance.now() - begin;
      const end = (error) => {
        answer.error = error;
        answer.ms = performance.now() - begin;
        answer.text = Buffer.concat(answer.chunks).toString();
        answer.complete = response.complete;
        resolve(answer);
      };
      response.on("data", (chunk) => {
        answer.chunks.push(chunk);
        answer.times.push(performance.now() - begin);
      });
      response.on("end", () => end());
      response.on("error", (error) => end(error));
    });
    request.on("information", (info) => answer.informational.push(info.statusCode));
    request.on("error", (error) => (answer.headers ? 0 : reject(error)));
    if (options.timeoutMs) {
      setTimeout(() => {
        answer.timedOut = true;
        request.destroy(new Error("timeout"));
      }, options.timeoutMs);
    }
    request.end(body);
  });
}

const hello = [{ role: "user", content: "Hello there" }];

async function chat(model, more = {}, options = {}) {
  tick(model);
  const answer = await send({ path: "/v1/chat/completions", ...options },
                            JSON.stringify({ model, messages: hello, ...more }));
  if (answer.status === 200 && answer.headers["content-type"] === "application/json" &&
      answer.complete && !more.raw) {
    try { answer.json = JSON.parse(answer.text); } catch { /* the test looks at text */ }
  }
  answer.events = answer.text?.split("\n\n").filter(Boolean)
    .map((event) => event.replace(/^data: /, ""));
  return answer;
}

const stream = (model, more, options) => chat(model, { stream: true, ...more }, options);
const parsed = ({ events }) => events.filter((e) => e !== "[DONE]").map((e) => JSON.parse(e));
const contentOf = (event) => event.choices[0]?.delta.content ?? "";
const content = (answer) => parsed(answer).map(contentOf).join("");

test("a whole answer", async () => {
  const { status, headers, json } = await chat("mock");
  assert.equal(status, 200);
  assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 3000);
  assert.match(json.id, /^chatcmpl-[0-9a-v]{24}$/);
  assert.equal(json.object, "chat.completion");
  assert.equal(json.model, "mock");
  assert.ok(Math.abs(json.created - Date.now() / 1000) < 3);
  const [choice] = json.choices;
  assert.equal(choice.message.role, "assistant");
  assert.equal(choice.message.content.split(" ").length, 16);
  assert.ok(!choice.message.content.includes("Hello"));
  assert.equal(choice.finish_reason, "stop");
  assert.deepEqual([json.usage.prompt_tokens, json.usage.completion_tokens,
                    json.usage.total_tokens], [4, 16, 20]);
});

test("a stream says the same, framed chunk by chunk", async () => {
  const whole = await chat("mock-n20");
  const answer = await stream("mock-n20");
  assert.equal(answer.headers["content-type"], "text/event-stream; charset=utf-8");
  assert.equal(answer.headers["transfer-encoding"], "chunked");
  assert.equal(answer.events.at(-1), "[DONE]");
  assert.equal(answer.events.length, 1 + 20 + 1 + 1);
  const events = parsed(answer);
  assert.equal(events[0].choices[0].delta.role, "assistant");
  assert.equal(events.at(-1).choices[0].finish_reason, "stop");
  assert.equal(new Set(events.map((e) => e.id)).size, 1);
  assert.ok(events.every((e) => !("usage" in e) && e.object === "chat.completion.chunk"));
  assert.equal(content(answer), whole.json.choices[0].message.content);
});

test("usage in a stream only where it is asked for", async () => {
  const answer = await stream("mock-n7", { stream_options: { include_usage: true } });
  const events = parsed(answer);
  assert.deepEqual(events.at(-1).choices, []);
  assert.equal(events.at(-1).usage.completion_tokens, 7);
  assert.equal(events.at(-1).usage.total_tokens, 11);
  assert.ok(events.slice(0, -1).every((e) => e.usage === null));
});

test("nousage and badusage", async () => {
  const ask = { stream_options: { include_usage: true } };
  assert.ok(!("usage" in (await chat("mock-nousage")).json));
  assert.ok(parsed(await stream("mock-nousage", ask)).every((e) => !e.usage));
  const { usage } = (await chat("mock-badusage")).json;
  assert.ok(usage.prompt_tokens < 0 && usage.completion_tokens > 2 ** 62);
  assert.ok(parsed(await stream("mock-badusage", ask)).at(-1).usage.prompt_tokens < 0);
});

test("cached, cachewrite, cachehour: more tokens of the prompt, in each dialect's form", async () => {
  const model = "mock-cached40-cachewrite20-cachehour10-n3";
  const { usage } = (await chat(model)).json;
  assert.deepEqual([usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens,
                    usage.prompt_tokens_details.cache_write_tokens], [4 + 70, 40, 30]);
  const post = async (path, body) =>
    JSON.parse((await send({ path }, JSON.stringify(body))).text);
  const message = await post("/v1/messages", { model, max_tokens: 9, messages: hello });
  assert.deepEqual([message.usage.input_tokens, message.usage.cache_read_input_tokens,
                    message.usage.cache_creation_input_tokens,
                    message.usage.cache_creation.ephemeral_1h_input_tokens], [4, 40, 30, 10]);
  const response = await post("/v1/responses", { model, input: "Hello there" });
  assert.deepEqual([response.usage.input_tokens, response.usage.input_tokens_details],
                   [4 + 70 - 1, { cached_tokens: 40, cache_write_tokens: 30 }]);
  const content = await post(`/v1beta/models/${model}:generateContent`,
                             { contents: [{ parts: [{ text: "Hello there" }] }] });
  assert.deepEqual([content.usageMetadata.promptTokenCount,
                    content.usageMetadata.cachedContentTokenCount], [4 + 40 - 1, 40]);
});

test("streamGenerateContent: events, or without alt=sse an array", async () => {
  const path = "/v1beta/models/mock-n4:streamGenerateContent";
  const body = JSON.stringify({ contents: [{ parts: [{ text: "Hi" }] }] });
  const array = await send({ path }, body);
  assert.match(array.headers["content-type"], /^application\/json/);
  const events = await send({ path: `${path}?alt=sse` }, body);
  assert.match(events.headers["content-type"], /^text\/event-stream/);
  const chunks = events.text.split("\r\n\r\n").filter(Boolean)
    .map((event) => JSON.parse(event.replace(/^data: /, "")));
  assert.equal(chunks.length, 5);
  assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
  const id = (all) => all.map(({ responseId, ...rest }) => rest);
  assert.deepEqual(id(JSON.parse(array.text)), id(chunks));
});

test("max_tokens caps, reasoning first", async () => {
  for (const limit of [{ max_tokens: 5 }, { max_completion_tokens: 5 }]) {
    const { json } = await chat("mock-n9", limit);
    assert.equal(json.usage.completion_tokens, 5);
    assert.equal(json.choices[0].finish_reason, "length");
    assert.equal(json.choices[0].message.content.split(" ").length, 5);
  }
  const just = await chat("mock-n5", { max_tokens: 5 });
  assert.equal(just.json.choices[0].finish_reason, "stop");
  const { json } = await chat("mock-reasoning6-n9", { max_tokens: 8 });
  assert.equal(json.usage.completion_tokens, 8);
  assert.equal(json.usage.completion_tokens_details.reasoning_tokens, 6);
});

test("reasoning comes before the content", async () => {
  const deltas = parsed(await stream("mock-reasoning-n2")).map((e) => e.choices[0].delta);
  assert.deepEqual(deltas.map((d) => Object.keys(d).find((k) => d[k])),
                   ["role", ...Array(4).fill("reasoning_content"), "content", "content",
                    undefined]);
});

test("role and norole", async () => {
  assert.equal(parsed(await stream("mock-role-n1"))[0].choices[0].delta.role, "assistant");
  assert.equal(parsed(await stream("mock-norole-n1"))[0].choices[0].delta.content, "Water");
});

test("tool: a call in pieces, whole, and not without tools", async () => {
  const look = { name: "look_up", parameters: { name: "x" } };
  const tools = [{ type: "function", function: look }];
  const answer = await stream("mock-tool-n6", { tools });
  const calls = parsed(answer).flatMap((e) => e.choices[0].delta.tool_calls ?? []);
  assert.equal(calls[0].function.name, "look_up");
  assert.match(calls[0].id, /^call_/);
  assert.equal(calls.length, 1 + 6);
  const args = calls.map((c) => c.function.arguments).join("");
  assert.deepEqual(Object.keys(JSON.parse(args)), ["text"]);
  assert.equal(parsed(answer).at(-1).choices[0].finish_reason, "tool_calls");
  const [choice] = (await chat("mock-tool-n6", { tools })).json.choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.equal(choice.message.content, null);
  assert.equal(choice.message.tool_calls[0].function.arguments, args);
  assert.equal((await chat("mock-tool")).json.choices[0].finish_reason, "stop");
  assert.equal((await chat("mock", { tools })).json.choices[0].finish_reason, "stop");
});

// The answer in each dialect to a conversation of [role, text] turns: its text.
const speak = {
  async chat(model, turns, more) {
    const messages = turns.map(([role, content]) => ({ role, content }));
    const { text } = await send({ path: "/v1/chat/completions" },
                                JSON.stringify({ model, messages, ...more }));
    return JSON.parse(text).choices[0].message.content;
  },
  async messages(model, turns) {
    const messages = turns.map(([role, text]) => ({ role, content: [{ type: "text", text }] }));
    const { text } = await send({ path: "/v1/messages" },
                                JSON.stringify({ model, max_tokens: 99, messages }));
    return JSON.parse(text).content[0].text;
  },
  async responses(model, turns) {
    const input = turns.map(([role, content]) => ({ content, role }));
    const { text } = await send({ path: "/v1/responses" }, JSON.stringify({ model, input }));
    return JSON.parse(text).output[0].content[0].text;
  },
  async gemini(model, turns) {
    const contents = turns.map(([role, text]) => ({
      parts: [{ text: text.slice(0, 3) }, { text: text.slice(3) }],
      role: role === "assistant" ? "model" : role }));
    const { text } = await send({ path: `/v1beta/models/${model}:generateContent` },
                                JSON.stringify({ contents }));
    return JSON.parse(text).candidates[0].content.parts[0].text;
  },
};

test("a turn of the model's that begins the answer is gone on with, in every dialect", async () => {
  const all = "Water runs over the weir at";
  tick("mock-n6-asked-echo-overlap2-anew");
  for (const [name, ask] of Object.entries(speak)) {
    assert.equal(await ask("mock-n6", [["user", "a"]]), all, name);
    for (let cut = 1; cut <= all.length; cut++) {
      const rest = await ask("mock-n6", [["user", "a"], ["assistant", all.slice(0, cut)]]);
      assert.equal(rest, all.slice(cut), `${name}: from ${cut} on`);
    }
    const turns = [["user", "a"], ["assistant", "Water runs over th"]];
    const later = [...turns, ["user", "go on"]];
    assert.equal(await ask("mock-n6-asked", later), "e weir at", name);
    assert.equal(await ask("mock-n6", later), all, "nobody asked for it");
    assert.equal(await ask("mock-n6-echo", turns), all, "all of it repeated");
    assert.equal(await ask("mock-n6-overlap2", turns), " over the weir at", name);
    assert.equal(await ask("mock-n6-anew", turns), all, name);
    assert.equal(await ask("mock-n6", [["user", "a"], ["assistant", "Wine"]]), all, "not ours");
  }
  const usage = { messages: [["user", "a"], ["assistant", "Water runs"]].map(
    ([role, content]) => ({ role, content })) };
  assert.equal((await chat("mock-n6", usage)).json.usage.completion_tokens, 4);
  assert.equal(content(await stream("mock-n6", usage)), " over the weir at");
});

test("vary: the user's text chooses where the words begin", async () => {
  tick("mock-vary");
  const [letter] = Buffer.from("a");
  const begin = (await speak.chat("mock-n48", [["user", "a"]])).split(" ")[letter % 48];
  for (const [name, ask] of Object.entries(speak)) {
    const all = await ask("mock-vary-n9", [["user", "a"]]);
    assert.ok(all.startsWith(begin), name);
    const turns = [["user", "b"], ["assistant", "x"], ["user", "a"],
                   ["assistant", all.slice(0, 11)]];
    assert.equal(await ask("mock-vary-n9", turns), all.slice(11), name);
    assert.notEqual(await ask("mock-vary-n9", [["user", "b"]]), all, name);
  }
});

// What became of n requests: how often each status, each text's end.
async function outcomes(to, n, more) {
  const seen = {};
  for (let i = 0; i < n; i++) {
    const answer = await send({ path: "/v1/chat/completions", port: to, agent: undefined,
                                timeoutMs: 400 },
                              JSON.stringify({ model: "mock-n5", messages: hello, ...more }))
      .catch((error) => ({ status: error.code }));
    const fine = answer.complete && /"stop"/.test(answer.text) && !/"error"/.test(answer.text);
    const what = answer.timedOut ? "stall" : answer.status !== 200 ? answer.status
      : fine ? "fine" : answer.complete ? "ended" : "broken";
    seen[what] = (seen[what] ?? 0) + 1;
  }
  return seen;
}

test("--faults: a share of requests fails, and the same seed fails the same ones", async () => {
  const runs = [];
  for (const seed of [7, 7, 8]) {
    const { mock, port: to } = await start("--faults", `${seed}:500:600`);
    runs.push(await outcomes(to, 120, { stream: true }));
    mock.kill("SIGKILL");
  }
  assert.deepEqual(runs[0], runs[1]);
  assert.notDeepEqual(runs[0], runs[2]);
  const { fine, 429: full, 503: shed, 529: over } = runs[0];
  assert.ok(fine > 30 && fine < 90, JSON.stringify(runs[0]));
  assert.ok(full > 0 && shed > 0 && over > 0, JSON.stringify(runs[0]));
  assert.ok(runs.some((run) => run.broken > 0) && runs.some((run) => run.ended > 0),
            JSON.stringify(runs));
});

test("--outages: nothing works for that long, and streams under way are reset", async () => {
  const { mock, port: to } = await start("--outages", "3:1000:1000");
  assert.equal((await outcomes(to, 2)).fine, undefined);
  mock.kill("SIGKILL");
  const { mock: other, port: half } = await start("--outages", "3:400:200");
  let slow;   // half of the time it is refused
  do {
    slow = await send({ path: "/v1/chat/completions", port: half, agent: undefined,
                        timeoutMs: 5000 },
                      JSON.stringify({ model: "mock-n900-tps100", stream: true,
                                       messages: hello })).catch((error) => ({ error }));
  } while (slow.status >= 400);
  other.kill("SIGKILL");
  assert.ok(slow.error, "a stream does not outlive an outage");
});

test("completions", async () => {
  const body = (more) => JSON.stringify({ model: "mock-n3", prompt: "Hi", ...more });
  const whole = JSON.parse((await send({ path: "/v1/completions" }, body())).text);
  assert.equal(whole.object, "text_completion");
  assert.equal(whole.choices[0].text, "Water runs over");
  assert.equal(whole.usage.completion_tokens, 3);
  const { text } = await send({ path: "/v1/completions" }, body({ stream: true }));
  const events = text.split("\n\n").filter(Boolean).map((e) => e.slice(6));
  assert.equal(events.pop(), "[DONE]");
  assert.equal(events.map((e) => JSON.parse(e).choices[0].text).join(""), "Water runs over");
});

async function embed(more) {
  const answer = await send({ path: "/x/y/embeddings" },
                            JSON.stringify({ model: "mock", ...more }));
  return JSON.parse(answer.text);
}

test("embeddings: unit vectors, the same for the same text", async () => {
  const json = await embed({ input: ["one", "two", "one"] });
  assert.equal(json.data.length, 3);
  assert.deepEqual(json.data.map((d) => d.index), [0, 1, 2]);
  const [a, b, c] = json.data.map((d) => d.embedding);
  assert.equal(a.length, 1536);
  assert.deepEqual(a, c);
  assert.notDeepEqual(a, b);
  const norm = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  assert.ok(Math.abs(norm(a) - 1) < 1e-5 && Math.abs(norm(b) - 1) < 1e-5);
  assert.ok(Math.abs(a.reduce((sum, x, i) => sum + x * b[i], 0)) < 0.2);
  assert.ok(json.usage.prompt_tokens > 0);
  assert.equal(json.usage.total_tokens, json.usage.prompt_tokens);
});

test("embeddings: dimensions, base64, token ids", async () => {
  const plain = (await embed({ input: "one", dimensions: 64 })).data[0].embedding;
  assert.equal(plain.length, 64);
  const { data } = await embed({ input: "one", dimensions: 64, encoding_format: "base64" });
  const raw = Buffer.from(data[0].embedding, "base64");
  assert.equal(raw.length, 64 * 4);
  for (let i = 0; i < 64; i++) assert.ok(Math.abs(raw.readFloatLE(4 * i) - plain[i]) < 1e-6);
  assert.equal((await embed({ input: [1, 2, 3], dimensions: 2 })).data.length, 1);
  assert.equal((await embed({ input: [[1, 2], [3]], dimensions: 2 })).data.length, 2);
  const large = await embed({ input: Array(40).fill("x".repeat(3000)), dimensions: 2048 });
  assert.equal(large.data.length, 40);
});

test("moderations flag nothing", async () => {
  const body = JSON.stringify({ input: ["a", "b"] });
  const { text } = await send({ path: "/v1/moderations" }, body);
  const json = JSON.parse(text);
  assert.equal(json.results.length, 2);
  assert.ok(json.results.every((r) => r.flagged === false && "violence" in r.categories));
});

test("GETs, unknown paths and methods", async () => {
  const get = (target, method = "GET") => send({ path: target, method });
  assert.equal((await get("/healthz")).text, "ok\n");
  assert.equal((await get("/healthz", "HEAD")).text, "");
  assert.equal(JSON.parse((await get("/v1/models")).text).data[0].id, "mock");
  assert.equal((await get("/v1/nothing")).status, 404);
  const put = await get("/v1/chat/completions", "PUT");
  assert.equal(put.status, 405);
  assert.match(put.headers.allow, /POST/);
});

test("bad bodies are told what is wrong", async () => {
  const bad = async (body) => {
    const { status, text } = await send({ path: "/v1/chat/completions" }, body);
    assert.equal(status, 400);
    return JSON.parse(text).error;
  };
  assert.equal((await bad("{")).code, "invalid_json");
  assert.equal((await bad("")).code, "invalid_json");
  assert.match((await bad('{"messages":[]}')).message, /model/);
  assert.equal((await bad('{"model":7}')).param, "/model");
});

test("names that are not scripts, and any bytes in them", async () => {
  for (const model of ["text-embedding-3-large", "gpt-4o-mini-2024-07-18",
                       "a\"b\\c-\u00e9\n-n3", "x-n-tps-stall9x-error-1-n"]) {
    const answer = await send({ path: "/v1/chat/completions", timeoutMs: 2000 },
                              JSON.stringify({ model, messages: hello }));
    if (model.includes("error")) assert.ok(JSON.parse(answer.text).error);
    else assert.equal(JSON.parse(answer.text).model, model);
  }
});

test("<NNN> and retry", async () => {
  for (const status of [400, 401, 404, 429, 500, 503, 529, 599]) {
    const answer = await stream(`mock-${status}`);
    assert.equal(answer.status, status);
    const { error } = JSON.parse(answer.text);
    assert.ok(error.message && error.type && error.code);
    assert.ok(!("retry-after" in answer.headers));
  }
  assert.equal((await chat("mock-429-retry7")).headers["retry-after"], "7");
  assert.equal((await chat("mock-399")).status, 200);
  assert.equal((await chat("mock-600")).status, 200);
});

test("fail: every third", async () => {
  const seen = [];
  for (let i = 0; i < 6; i++) seen.push((await chat("mock-fail3")).status);
  assert.deepEqual(seen, [200, 200, 500, 200, 200, 500]);
});

test("delay, ttft and tps take their time", async () => {
  const delayed = await stream("mock-delay120-n1");
  assert.ok(delayed.headMs >= 115 && delayed.headMs < 400, `${delayed.headMs}`);
  const first = await stream("mock-ttft150-n1");
  assert.ok(first.headMs < 100 && first.ms >= 145, `${first.headMs} ${first.ms}`);
  const paced = await stream("mock-tps50-n11");
  assert.ok(paced.ms >= 195 && paced.ms < 600, `${paced.ms}`);
  assert.ok(paced.times.length >= 8);
  const whole = await chat("mock-ttft50-tps50-n6");
  assert.ok(whole.ms >= 145 && whole.ms < 500, `${whole.ms}`);
  assert.equal(whole.json.usage.completion_tokens, 6);
});

test("stall: so many events, then nothing, and the connection stays", async () => {
  for (const k of [0, 3]) {
    const answer = await stream(`mock-stall${k}-n9`, {}, { timeoutMs: 300 });
    assert.equal(answer.status, 200);
    assert.ok(answer.timedOut && !answer.complete);
    assert.equal(answer.events.length, k);
  }
  const whole = await chat("mock-stall10", {}, { timeoutMs: 300 });
  assert.equal(whole.text.length, 10);
});

test("stallhead never answers", async () => {
  await assert.rejects(chat("mock-stallhead", {}, { timeoutMs: 300 }), /timeout/);
});

// What arrives on a bare socket, until it ends.
function raw(text, ms = 5000) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    const got = { chunks: [], times: [], begin: performance.now() };
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on("data", (data) => {
      got.chunks.push(data);
      got.times.push(performance.now() - got.begin);
    });
    socket.on("end", () => { got.ended = true; });
    socket.on("error", (error) => { got.code = error.code; });
    socket.on("close", () => {
      clearTimeout(timer);
      got.text = Buffer.concat(got.chunks).toString();
      resolve(got);
    });
  });
}

function request(model, more = {}, head = "") {
  tick(model);
  const body = JSON.stringify({ model, messages: hello, ...more });
  return `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n${head}` +
         `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

const count = (text, what) => text.split(what).length - 1;

test("reset is a reset, cut is an end", async () => {
  for (const k of [0, 4]) {
    const reset = await raw(request(`mock-reset${k}`, { stream: true }));
    assert.equal(reset.code, "ECONNRESET");
    assert.ok(!reset.ended);
    const cut = await raw(request(`mock-cut${k}`, { stream: true }));
    assert.equal(cut.code, undefined);
    assert.ok(cut.ended && !cut.text.includes("\r\n0\r\n"));
    assert.equal(count(cut.text, "data: "), k);
  }
  const whole = await raw(request("mock-cut20"));
  assert.equal(whole.text.split("\r\n\r\n")[1].length, 20);
  assert.equal((await raw(request("mock-reset20"))).code, "ECONNRESET");
  assert.equal((await raw(request("mock-resethead"))).code, "ECONNRESET");
  const cut = await raw(request("mock-cuthead"));
  assert.ok(cut.ended && cut.text === "");
});

test("noend ends the body, not the stream", async () => {
  const answer = await stream("mock-noend4");
  assert.ok(answer.complete);
  assert.equal(answer.events.length, 4);
  assert.ok(!answer.text.includes("[DONE]"));
  const whole = await chat("mock-noend30");
  assert.ok(whole.complete && whole.text.length === 30);
});

test("error and garbage events", async () => {
  const error = await stream("mock-error2");
  assert.equal(error.events.length, 3);
  assert.ok(JSON.parse(error.events[2]).error.message);
  assert.ok(JSON.parse((await chat("mock-error")).text).error);
  const garbage = await stream("mock-garbage2-n4");
  assert.throws(() => JSON.parse(garbage.events[2]));
  assert.equal(garbage.events.at(-1), "[DONE]");
  assert.equal(garbage.events.length, 1 + 4 + 1 + 1 + 1);
  assert.throws(() => JSON.parse(garbage.events[2]));
  const whole = await chat("mock-garbage");
  assert.throws(() => JSON.parse(whole.text));
});

test("slowhead: the status line byte by byte", async () => {
  const got = await raw(request("mock-slowhead", {}, "Connection: close\r\n"));
  assert.ok(got.times.at(-1) >= 16 * 50, `${got.times.at(-1)}`);
  assert.ok(got.chunks.slice(0, 15).every((chunk) => chunk.length <= 2));
  assert.match(got.text, /^HTTP\/1\.1 200 OK\r\ndate/);
  assert.ok(got.text.endsWith("}"));
});

test("drip: the body byte by byte", async () => {
  const answer = await stream("mock-drip-norole-n0-nousage");
  assert.equal(answer.events.length, 2);
  assert.ok(answer.ms > answer.text.length * 9, `${answer.ms}`);
  assert.ok(answer.complete);
  const { status, chunks } = await chat("mock-drip-400");
  assert.ok(status === 400 && chunks.length < 3);
});

test("encoded, redirect, html, empty", async () => {
  assert.equal((await chat("mock-encoded")).headers["content-encoding"], "gzip");
  assert.equal((await stream("mock-encoded")).headers["content-encoding"], "gzip");
  const redirect = await chat("mock-redirect");
  assert.ok(redirect.status === 302 && redirect.headers.location);
  const html = await chat("mock-html");
  assert.ok(html.status === 200 && html.text.startsWith("<!doctype html>"));
  assert.match(html.headers["content-type"], /^text\/html/);
  const empty = await stream("mock-empty");
  assert.ok(empty.status === 200 && empty.text === "" && empty.complete);
});

test("big: one event of that size", async () => {
  const answer = await stream("mock-big3000");
  assert.equal(answer.events.length, 4);
  assert.equal(content(answer).length, 3000 << 10);
  const whole = await chat("mock-big3000");
  assert.equal(whole.json.choices[0].message.content.length, 3000 << 10);
});

test("long streams do not pile up", async () => {
  const answer = await stream("mock-n50000");
  assert.equal(answer.events.length, 50003);
  const whole = await chat("mock-n50000");
  assert.equal(whole.json.choices[0].message.content, content(answer));
});

test("early answers before the body is in", async () => {
  tick("mock-early");
  for (const [model, status] of [["mock-early", 200], ["mock-early-413", 413]]) {
    const got = await raw(`POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n` +
                          `Content-Length: 1000000\r\n\r\n{"model":"${model}","messages":[`);
    assert.match(got.text, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(got.text, /connection: close/);
  }
});

test("close, len, 1xx", async () => {
  const closed = await raw(request("mock-close"));
  assert.match(closed.text, /\r\nconnection: close\r\n/);
  assert.ok(closed.ended);
  for (const more of [{}, { stream: true }]) {
    const len = await chat("mock-len", more);
    assert.equal(len.status, 200);
    assert.ok(!len.complete);
  }
  const interim = await chat("mock-1xx");
  assert.deepEqual(interim.informational, [103]);
  assert.equal(interim.status, 200);
});

test("echoheaders and echobody", async () => {
  const sent = { "x-a": 'q"\\b', "X-Many": ["1", "2"], authorization: "Bearer k" };
  const { json } = await chat("mock-echoheaders", {}, { headers: sent });
  const headers = JSON.parse(json.choices[0].message.content);
  assert.equal(headers["x-a"], 'q"\\b');
  assert.equal(headers["x-many"], "1, 2");
  assert.equal(count(json.choices[0].message.content, "x-many"), 1);
  assert.equal(headers.authorization, "Bearer k");
  assert.equal(headers[":method"], "POST");
  assert.equal(headers[":target"], "/v1/chat/completions");
  const long = 'a"b\\c\n\u00e9\ud83d\ude00 '.repeat(9000);
  const body = { model: "mock-echobody", messages: [{ role: "user", content: long }] };
  tick("mock-echobody");
  for (const more of [{}, { stream: true }]) {
    const text = JSON.stringify({ ...body, ...more }) + "\n\t ";
    const answer = await send({ path: "/v1/chat/completions" }, text);
    if (!more.stream) {
      assert.equal(JSON.parse(answer.text).choices[0].message.content, text);
      continue;
    }
    const events = answer.text.split("\n\n").filter(Boolean).map((e) => e.slice(6));
    assert.equal(JSON.parse(events[1]).choices[0].delta.content, text);
  }
});

test("HTTP/1.0, pipelining, chunked and slow bodies, Expect", async () => {
  const old = await raw(request("mock-n2", { stream: true }).replace("HTTP/1.1", "HTTP/1.0"));
  assert.ok(!/transfer-encoding/.test(old.text) && old.text.endsWith("data: [DONE]\n\n"));
  assert.ok(old.ended);
  const last = request("mock-n1", {}, "Connection: close\r\n");
  const two = await raw(request("mock-delay50") + last);
  assert.equal(count(two.text, "HTTP/1.1 200 OK"), 2);
  const body = JSON.stringify({ model: "mock", messages: hello });
  const chunks = [...body].map((c) => `1\r\n${c}\r\n`).join("") + "0\r\n\r\n";
  const got = await raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" +
                        "Connection: close\r\n" +
                        `Transfer-Encoding: chunked\r\n\r\n${chunks}`);
  assert.match(got.text, /^HTTP\/1\.1 200 OK/);
  const waits = await raw("POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" +
                          "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", 300);
  assert.match(waits.text, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
});

test("an answer may not overtake its delay by what was sent before it", async () => {
  const body = JSON.stringify({ model: "mock-delay200", messages: hello });
  const begin = performance.now();
  await new Promise((resolve, reject) => {
    const call = http.request({ host: "127.0.0.1", port, agent, method: "POST",
                                path: "/v1/chat/completions",
                                headers: { expect: "100-continue",
                                           "content-length": body.length } }, (response) => {
      response.resume();
      response.on("end", resolve);
    });
    call.on("continue", () => call.end(body));
    call.on("error", reject);
  });
  assert.ok(performance.now() - begin >= 195);
  const two = await raw(request("mock-n1") +
                        request("mock-delay200-n1", {}, "Connection: close\r\n"));
  assert.equal(count(two.text, "HTTP/1.1 200 OK"), 2);
  assert.ok(two.times.at(-1) >= 195, `${two.times.at(-1)}`);
});

test("clients that go away in the middle leave nothing behind", async () => {
  for (let i = 0; i < 200; i++) {
    const model = ["mock-stall2", "mock-stallhead", "mock-tps20-n99", "mock-drip",
                   "mock-big9000"][i % 5];
    const socket = net.connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(request(model, { stream: i % 2 === 0 }));
    setTimeout(() => (i % 3 ? socket.resetAndDestroy() : socket.destroy()), i % 40);
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await chat("mock")).status, 200);
});

test("--key", async () => {
  const { mock, port: keyed } = await start("--key", "sk-x", "--cores", "2");
  const ask = (authorization, target = "/v1/models") => new Promise((resolve, reject) => {
    http.get({ host: "127.0.0.1", port: keyed, path: target,
               headers: authorization ? { authorization } : {} }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    }).on("error", reject);
  });
  assert.equal(await ask("Bearer sk-x"), 200);
  assert.equal(await ask("bearer  sk-x"), 200);
  for (const wrong of [undefined, "Bearer sk-y", "Bearer sk-xx", "Bearer", "Basic sk-x"]) {
    assert.equal(await ask(wrong), 401);
  }
  assert.equal(await ask(undefined, "/healthz"), 200);
  mock.removeAllListeners("exit");
  mock.kill("SIGKILL");
});

for (const signal of ["SIGTERM", "SIGINT"]) {
  test(`${signal} ends it cleanly in time, also in the middle of a stall`, async () => {
    const { mock, port: own } = await start();
    const socket = net.connect(own, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(request("mock-stall1", { stream: true }));
    await new Promise((resolve) => socket.once("data", resolve));
    const begin = performance.now();
    const code = await new Promise((resolve) => {
      mock.removeAllListeners("exit");
      mock.on("exit", resolve);
      mock.kill(signal);
    });
    assert.equal(code, 0);
    assert.ok(performance.now() - begin < 5000, `${performance.now() - begin}`);
    socket.destroy();
  });
}

test("the command line", () => {
  const run = (...args) => spawnSync(binary, args, { encoding: "utf8" });
  assert.match(run("--version").stdout, /^weir-mock \d+\.\d+\.\d+\n$/);
  assert.equal(run("--help").status, 0);
  for (const args of [["--cores", "0"], ["--cores", "257"], ["--key"], ["--nope", "1"],
                      ["--faults", "1:2"], ["--faults", "1:1001:0"], ["--outages", "1:5:6"],
                      ["--outages", "1:5:0"], ["--faults", "1:2:3:4"], ["x"]]) {
    assert.equal(run(...args).status, 2, args.join(" "));
  }
  assert.equal(run("--listen", "nowhere").status, 1);
  assert.equal(run("--listen", `127.0.0.1:${port}`).status, 1);
});

test("every word is tested, in --help and in the manual", () => {
  const def = fs.readFileSync(path.join(root, "tools/mock_script.def"), "utf8");
  const manual = fs.readFileSync(path.join(root, "tools/man/weir-mock.1"), "utf8");
  const help = spawnSync(binary, ["--help"], { encoding: "utf8" }).stdout;
  const words = [...def.matchAll(/^X\(\w+, "(\w+)", "(.*?)"/gm)];
  assert.ok(words.length > 30);
  for (const [, word, form] of words) {
    assert.ok(tested.has(word), `${word} has no test`);
    assert.ok(help.includes(`  ${word}${form} `), `${word} is not in --help`);
    const line = form === "K" ? `.It Cm ${word} Ns Ar K`
      : form === "[K]" ? `.It Cm ${word} Ns Op Ar K` : `.It Cm ${word}`;
    assert.ok(manual.split("\n").includes(line), `${word} is not in the manual as ${line}`);
  }
});
