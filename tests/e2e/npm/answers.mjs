// Plain answers and streams, messages, models, and what is accepted without effect.
import assert from "node:assert/strict";
import { ANSWER, MODEL, PARIS, STORY, ask, check, chunks, client, joined, text } from "./kit.mjs";

check("plain", async () => {
  const answer = await ask();
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.id && answer.created > 1_700_000_000);
  const [choice] = answer.choices;
  assert.deepEqual(choice.message, { role: "assistant", content: ANSWER, refusal: null });
  assert.deepEqual([choice.finish_reason, choice.index, choice.logprobs], ["stop", 0, null]);
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.ok(prompt_tokens > 5);
  assert.deepEqual([completion_tokens, total_tokens], [7, prompt_tokens + 7]);
});

check("stream", async () => {
  const found = await chunks({ stream_options: { include_usage: true } });
  assert.deepEqual(found[0].choices[0].delta, { role: "assistant", content: "" });
  assert.equal(joined(found), ANSWER);
  assert.ok(found.length > 5, "it came in one piece");
  assert.equal(found.at(-2).choices[0].finish_reason, "stop");
  assert.deepEqual(found.at(-1).choices, []);
  assert.equal(found.at(-1).usage.completion_tokens, 7);
  assert.equal(new Set(found.map((chunk) => chunk.id)).size, 1);
});

check("stream without usage", async () => {
  const found = await chunks();
  assert.ok(found.every((chunk) => chunk.usage == null && chunk.choices.length === 1));
});

check("stream helper", async () => {
  const stream = client.chat.completions.stream({ model: MODEL, messages: PARIS, temperature: 0, stream_options: { include_usage: true } });
  let shown = "";
  stream.on("content", (delta) => (shown += delta));
  assert.equal(await stream.finalContent(), ANSWER);
  assert.equal(shown, ANSWER);
  assert.equal((await stream.totalUsage()).completion_tokens, 7);
});

check("an aborted stream gives its place back", async () => {
  const stream = await ask({ messages: STORY, max_tokens: 3000, stream: true, logit_bias: { 0: -100, 2: -100 } });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  assert.ok(stream.controller.signal.aborted);
  assert.equal(await text(), ANSWER);
});

check("messages of every role", async () => {
  const messages = [
    { role: "system", content: "You are helpful." },
    { role: "developer", content: [{ type: "text", text: "Be " }, { type: "text", text: "brief." }] },
    { role: "user", name: "kim", content: [{ type: "text", text: "Hello." }] },
    { role: "assistant", content: "Hello! How can I help?" },
    ...PARIS,
  ];
  assert.match(await text({ messages }), /Paris/);
});

check("fields without effect", async () => {
  const fields = { user: "me", metadata: { a: "b" }, store: false, service_tier: "auto", safety_identifier: "x", prompt_cache_key: "k" };
  assert.equal(await text(fields), ANSWER);
});
check("reasoning_effort", async () => assert.ok(await text({ reasoning_effort: "low" })));

check("models", async () => {
  const models = [];
  for await (const model of client.models.list()) models.push(model);
  assert.deepEqual(models.map((model) => [model.id, model.object]), [["smollm2-135m-instruct", "model"]]);
  assert.equal((await client.models.retrieve("smollm2-135m-instruct")).id, "smollm2-135m-instruct");
});
