// Answers that keep to a schema.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ask, check, client, fields, finish, refused, said } from "./kit.mjs";

// Of few tokens, whatever the model makes of it.
const Capital = z.strictObject({ city: z.enum(["Paris", "Rome"]), sure: z.boolean() });
const wanted = (given) => fields({ max_tokens: 40, response_format: zodResponseFormat(Capital, "capital"), ...given });
const format = (schema) => ({ type: "json_schema", json_schema: { name: "answer", strict: true, schema } });

check("a_json_object_is_one", async () => {
  const answer = await ask({ response_format: { type: "json_object" }, max_tokens: 40 });
  assert.ok(said(answer).startsWith("{"));
  if (finish(answer) === "stop") assert.equal(typeof JSON.parse(said(answer)), "object");
  else assert.equal(finish(answer), "length");
});
check("a_schema_is_kept", async () => {
  const properties = { city: { enum: ["PAR-1", "ROM-2"] }, sure: { type: "boolean" } };
  const schema = { type: "object", properties, required: ["city", "sure"], additionalProperties: false };
  const answer = await ask({ response_format: format(schema), max_tokens: 40 });
  z.strictObject({ city: z.enum(["PAR-1", "ROM-2"]), sure: z.boolean() }).parse(JSON.parse(said(answer)));
  assert.equal(finish(answer), "stop");
});
check("parse_gives_an_object", async () => {
  for (const temperature of [0, 1]) {
    const answer = await client.chat.completions.parse(wanted({ temperature }));
    Capital.parse(answer.choices[0].message.parsed);
  }
});
check("a_schema_cut_short_is_told", () =>
  assert.rejects(client.chat.completions.parse(wanted({ max_tokens: 2 })), OpenAI.LengthFinishReasonError));
check("an_unsupported_schema_is_refused", async () => {
  const schema = { type: "object", properties: { a: { not: { type: "string" } } } };
  const error = await refused({ response_format: format(schema) }, "response_format");
  assert.match(error.message, /not/);
});
check("the_stream_helper_tells_of_content", async () => {
  const stream = client.chat.completions.stream(wanted());
  const deltas = [];
  const done = [];
  stream.on("content.delta", (event) => deltas.push(event.delta)).on("content.done", (event) => done.push(event));
  const final = await stream.finalChatCompletion();
  assert.equal(deltas.join(""), said(final));
  assert.deepEqual(done.map((event) => event.content), [said(final)]);
  Capital.parse(final.choices[0].message.parsed);
});
