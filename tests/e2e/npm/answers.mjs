// Conversations, models, streams, and what is taken or refused beside them.
import assert from "node:assert/strict";
import OpenAI from "openai";
import {
  ANSWER, NAME, PARIS, REPEAT, all, ask, check, chunks, client, fields, finish, joined, refused, said, text,
  usage, user,
} from "./kit.mjs";

check("text_parts_say_what_text_says", async () => {
  const parts = ["What is the capital", " of France?"].map((text) => ({ type: "text", text }));
  const answer = await ask({ messages: user(parts) });
  assert.equal(said(answer), ANSWER);
  assert.deepEqual(usage(answer), usage(await ask()));
});
check("a_developer_is_a_system", async () => {
  const told = (role, content) => ask({ messages: [{ role, content }, ...PARIS] });
  const [system, developer] = await Promise.all(["system", "developer"].map((role) => told(role, "In one word.")));
  assert.deepEqual([said(system), usage(system)], [said(developer), usage(developer)]);
  assert.ok(usage(await told("developer", "You answer. ".repeat(20)))[0] > usage(developer)[0]);
});
check("an_earlier_answer_and_a_name_are_taken", async () => {
  const first = await ask();
  const messages = [...PARIS, first.choices[0].message, { role: "user", name: "kim", content: "And of Italy?" }];
  const second = await ask({ messages });
  assert.ok(said(second));
  assert.ok(usage(second)[0] > first.usage.total_tokens);
});
check("images_are_refused", async () => {
  const image = { type: "image_url", image_url: { url: "https://example.org/a.png" } };
  const messages = user([{ type: "text", text: "What is it?" }, image]);
  const error = await refused({ messages }, "messages[0].content[1].type");
  assert.match(error.message, /image_url/);
});

check("a_model_has_a_name_and_an_alias", async () => {
  for (const model of ["starter", NAME]) {
    const answer = await ask({ model });
    assert.deepEqual([answer.model, said(answer), answer.object], [NAME, ANSWER, "chat.completion"]);
  }
});
check("an_unknown_model_is_not_found", async () => {
  const error = await refused({ model: "gpt-4" }, "model", OpenAI.NotFoundError);
  assert.equal(error.code, "model_not_found");
});
check("models_are_listed_and_found", async () => {
  assert.deepEqual((await all(client.models.list())).map((model) => model.id), [NAME]);
  assert.equal((await client.models.retrieve("starter")).id, NAME);
  await assert.rejects(client.models.retrieve("nobody/has-this"), OpenAI.NotFoundError);
});

check("a_stream_is_the_answer_in_pieces", async () => {
  const found = await chunks();
  assert.equal(joined(found), ANSWER);
  assert.ok(found.length > 4);
  assert.equal(found[0].choices[0].delta.role, "assistant");
  assert.equal(finish(found.at(-1)), "stop");
  assert.equal(new Set(found.map((chunk) => chunk.id)).size, 1);
  assert.ok(found.every((chunk) => chunk.model === NAME && !chunk.usage));
});
check("usage_comes_last", async () => {
  const found = await chunks({ stream_options: { include_usage: true } });
  const last = found.pop();
  assert.deepEqual(last.choices, []);
  assert.deepEqual(usage(last), usage(await ask()));
  assert.ok(found.every((chunk) => !chunk.usage));
});
check("a_stream_may_be_left", async () => {
  for await (const _ of await ask({ messages: REPEAT, max_tokens: 500, stream: true })) break;
  assert.equal(await text(), ANSWER);
});

check("effort_is_for_models_that_reason", () => refused({ reasoning_effort: "low" }, "reasoning_effort"));
check("templates_take_the_variables_that_they_read", async () => {
  await refused({ chat_template_kwargs: { enable_thinking: false } }, "chat_template_kwargs.enable_thinking");
  await refused({ chat_template_kwargs: 1 }, "chat_template_kwargs");
});
check("what_changes_no_answer_is_taken", async () => {
  const harmless = { user: "u", metadata: { a: "b" }, store: false, service_tier: "auto", safety_identifier: "s" };
  assert.equal(await text({ ...harmless, prompt_cache_key: "k", prompt_cache_retention: "24h" }), ANSWER);
});
check("only_text_is_made", async () => {
  assert.equal(await text({ modalities: ["text"] }), ANSWER);
  await refused({ modalities: ["text", "audio"] }, "modalities[1]");
});
check("what_is_not_supported_is_refused_by_name", async () => {
  const unsupported = {
    audio: { voice: "alloy", format: "wav" },
    function_call: "auto",
    functions: [{ name: "f" }],
    moderation: {},
    prediction: { type: "content", content: "x" },
    verbosity: "low",
    web_search_options: {},
  };
  for (const [name, value] of Object.entries(unsupported))
    assert.equal((await refused({ [name]: value }, name)).code, "unsupported_parameter");
});
check("an_unknown_field_is_refused", async () =>
  assert.equal((await refused({ surprise: 1 }, "surprise")).code, "unknown_parameter"));

check("a_body_too_large_is_told", () =>
  assert.rejects(ask({ messages: user("x".repeat(2_000_000)) }), { status: 413 }));
check("an_answer_has_an_id", async () => {
  const asked = client.chat.completions.create(fields({ max_tokens: 1 }), { headers: { "X-Request-Id": "mine-js" } });
  const { data, response } = await asked.withResponse();
  assert.deepEqual([response.headers.get("x-request-id"), data.id], ["mine-js", "chatcmpl-mine-js"]);
});
check("many_ask_at_once", async () => {
  const lands = ["France", "Italy", "Spain", "Japan", "France", "Italy", "Spain", "Japan"];
  const capital = (land) => text({ messages: user(`What is the capital of ${land}?`) });
  const together = await Promise.all(lands.map(capital));
  for (const [at, land] of lands.entries()) assert.equal(together[at], await capital(land));
  assert.equal(together[0], ANSWER);
});
