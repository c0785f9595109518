// `/v1/responses` and `/v1/completions` as this SDK has them.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ANSWER, NAME, all, check, client } from "./kit.mjs";

const asked = (given) =>
  ({ model: "starter", input: "What is the capital of France?", temperature: 0, max_output_tokens: 20, ...given });

check("a_response_goes_on", async () => {
  const first = await client.responses.create(asked());
  assert.deepEqual([first.output_text, first.model, first.status], [ANSWER, NAME, "completed"]);
  assert.equal((await client.responses.retrieve(first.id)).output_text, ANSWER);
  const next = await client.responses.create(asked({ input: "And of Italy?", previous_response_id: first.id }));
  assert.ok(next.usage.input_tokens > first.usage.total_tokens);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), OpenAI.NotFoundError);
});
check("a_response_is_streamed", async () => {
  const stream = client.responses.stream(asked());
  const events = await all(stream);
  assert.deepEqual([events[0].type, events.at(-1).type], ["response.created", "response.completed"]);
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.ok(deltas.length > 1);
  assert.equal(deltas.map((event) => event.delta).join(""), ANSWER);
  assert.equal((await stream.finalResponse()).output_text, ANSWER);
});
check("a_response_is_parsed", async () => {
  const format = zodTextFormat(z.strictObject({ city: z.enum(["Paris", "Rome"]) }), "capital");
  const found = await client.responses.parse(asked({ text: { format }, max_output_tokens: 40 }));
  assert.ok(["Paris", "Rome"].includes(found.output_parsed.city));
});
check("a_prompt_is_completed", async () => {
  const fields = { model: "starter", prompt: "The capital of France is", temperature: 0, max_tokens: 8 };
  const whole = await client.completions.create(fields);
  assert.match(whole.choices[0].text, /Paris/);
  const pieces = await all(await client.completions.create({ ...fields, stream: true }));
  assert.equal(pieces.map((piece) => piece.choices[0]?.text ?? "").join(""), whole.choices[0].text);
});
