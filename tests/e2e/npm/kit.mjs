// A client of the bridge at the base URL in the first argument, and the few words that it takes to ask it.
import assert from "node:assert/strict";
import OpenAI from "openai";

export const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0, timeout: 120_000 });
export const checks = [];
export const check = (name, run) => checks.push({ name, run });

export const MODEL = "starter";
export const ANSWER = "The capital of France is Paris.";
export const user = (content) => [{ role: "user", content }];
export const PARIS = user("What is the capital of France?");
export const STORY = user("Tell me a story about a fox.");
export const ask = (fields) =>
  client.chat.completions.create({ model: MODEL, messages: PARIS, temperature: 0, max_tokens: 24, ...fields });
export const text = async (fields) => (await ask(fields)).choices[0].message.content;
export const chunks = async (fields) => {
  const found = [];
  for await (const chunk of await ask({ ...fields, stream: true })) found.push(chunk);
  return found;
};
export const joined = (found, index = 0) =>
  found
    .flatMap((chunk) => chunk.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta.content ?? "")
    .join("");
export const refused = async (status, param, code, fields) => {
  const error = await ask(fields).then(
    () => assert.fail("it was not refused"),
    (caught) => caught,
  );
  assert.ok(error instanceof OpenAI.APIError, String(error));
  assert.deepEqual([error.status, error.param], [status, param], error.message);
  if (code) assert.equal(error.code, code);
  assert.ok(error.type && error.message && !/Traceback|<.* at 0x/.test(error.message));
  return error;
};
