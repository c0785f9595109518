// Answers that keep to a schema.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { MODEL, ask, check, client, refused, text, user } from "./kit.mjs";

const Coin = z.object({
  mood: z.enum(["bullish", "bearish", "neutral"]),
  importance: z.number().int().min(1).max(5),
  coins: z.array(z.enum(["BTC", "ETH"])).max(2),
});
const NEWS = { model: MODEL, messages: user("Bitcoin rises by 9 percent. Judge it."), temperature: 1, seed: 3, max_tokens: 120 };
const schema = (wanted) => ({ type: "json_schema", json_schema: { name: "answer", strict: true, schema: wanted } });

check("json_object", async () => {
  const answer = await ask({ ...NEWS, temperature: 0, response_format: { type: "json_object" } });
  const said = answer.choices[0].message.content;
  assert.ok(said.startsWith("{"));
  if (answer.choices[0].finish_reason === "stop") assert.equal(typeof JSON.parse(said), "object");
});
check("json_schema", async () => {
  const said = await text({ ...NEWS, response_format: schema({ type: "integer", minimum: 7, maximum: 8 }) });
  assert.ok(["7", "8"].includes(said), said);
});
check("json_schema parsed", async () => {
  const answer = await client.chat.completions.parse({ ...NEWS, response_format: zodResponseFormat(Coin, "coin") });
  assert.deepEqual(Coin.parse(answer.choices[0].message.parsed), answer.choices[0].message.parsed);
});
check("json_schema streamed", async () => {
  const stream = client.chat.completions.stream({ ...NEWS, response_format: zodResponseFormat(Coin, "coin") });
  const final = await stream.finalChatCompletion();
  Coin.parse(final.choices[0].message.parsed);
});
check("json_schema cut off", async () => {
  const wanted = { ...NEWS, max_tokens: 3, response_format: zodResponseFormat(Coin, "coin") };
  await assert.rejects(client.chat.completions.parse(wanted), OpenAI.LengthFinishReasonError);
});
check("json_schema outside the subset", async () => {
  const wanted = schema({ type: "array", items: { type: "integer" }, uniqueItems: true });
  const error = await refused(400, "response_format", "unsupported_schema", { response_format: wanted });
  assert.match(error.message, /uniqueItems/);
});
