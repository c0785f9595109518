// What is refused, with the status, the field and the code that the SDK shows.
import assert from "node:assert/strict";
import { ask, check, refused, text, user } from "./kit.mjs";

check("refused: an unknown model", () => refused(404, "model", "model_not_found", { model: "no-such-model" }));
check("refused: no messages", () => refused(400, "messages", null, { messages: [] }));
check("refused: a temperature out of range", () => refused(400, "temperature", null, { temperature: 3 }));
check("refused: an unknown field", () => refused(400, "surprise", null, { surprise: 1 }));
check("refused: a field that is not supported", () =>
  refused(400, "prediction", null, { prediction: { type: "content", content: "x" } }));
check("refused: a stop text too many", () => refused(400, "stop", null, { stop: ["a", "b", "c", "d", "e"] }));
check("refused: a token id out of range", () => refused(400, "logit_bias", null, { logit_bias: { 49152: 1 } }));
check("refused: a prompt too long", () =>
  refused(400, "messages", "context_length_exceeded", { messages: user("word ".repeat(9000)) }));
check("refused: top_logprobs alone", () => refused(400, "top_logprobs", null, { top_logprobs: 2 }));
check("refused: tool_choice alone", () => refused(400, "tool_choice", null, { tool_choice: "required" }));
check("refused: an image", async () => {
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,AA==" } };
  const error = await ask({ messages: user([image]) }).catch((caught) => caught);
  assert.equal(error.status, 400);
  assert.match(error.param, /^messages/);
});
check("refused: in a stream", async () => {
  await refused(404, "model", "model_not_found", { model: "no-such-model", stream: true });
  await refused(400, "temperature", null, { temperature: -1, stream: true });
});
