// A client of the bridge at the base URL in the first argument, and the few words that it takes to ask it.
import assert from "node:assert/strict";
import OpenAI from "openai";

export const client = new OpenAI({ baseURL: process.argv[2], apiKey: "none", maxRetries: 0, timeout: 120_000 });
export const checks = [];
export const check = (name, run) => checks.push({ name, run });

export const user = (content) => [{ role: "user", content }];
export const PARIS = user("What is the capital of France?");
export const ANSWER = "The capital of France is Paris.";
// Alone, the starter model goes on with this until its limit.
export const REPEAT = user("Repeat the word no ten times.");
export const WEATHER = user("What is the weather in Paris?");
export const NAME = "smollm2-135m-instruct";

// A request that is answered the same each time, unless it says otherwise.
export const fields = (given) => ({ model: "starter", messages: PARIS, temperature: 0, max_tokens: 12, ...given });
export const ask = (given) => client.chat.completions.create(fields(given));
export const said = (answer) => answer.choices[0].message.content;
export const text = async (given) => said(await ask(given));
export const finish = (answer) => answer.choices[0].finish_reason;
export const usage = ({ usage }) => {
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  return [usage.prompt_tokens, usage.completion_tokens];
};

export const all = async (stream) => {
  const found = [];
  for await (const one of stream) found.push(one);
  return found;
};
export const chunks = async (given) => all(await ask({ ...given, stream: true }));
export const choices = (found) => found.flatMap((chunk) => chunk.choices);
export const joined = (found, index = 0) =>
  choices(found)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta.content ?? "")
    .join("");

export const refused = async (given, param, kind = OpenAI.BadRequestError) => {
  const error = await ask(given).then(
    () => assert.fail("it was not refused"),
    (caught) => caught,
  );
  assert.ok(error instanceof kind, String(error));
  assert.equal(error.param, param, error.message);
  assert.doesNotMatch(error.message, /Traceback|<.* at 0x/);
  return error;
};
