// Calls of functions: chosen, forced, streamed, run by the SDK's own runner.
import assert from "node:assert/strict";
import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";
import { MODEL, ask, check, chunks, client, user } from "./kit.mjs";

const Weather = z.object({ city: z.enum(["Paris", "Seoul"]), days: z.number().int().min(1).max(7) });
const TOOLS = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Tells the weather.",
      parameters: {
        type: "object",
        properties: { city: { enum: ["Paris", "Seoul"] }, days: { type: "integer", minimum: 1, maximum: 7 } },
        required: ["city", "days"],
        additionalProperties: false,
      },
    },
  },
  { type: "function", function: { name: "stop", description: "Ends the talk.", parameters: { type: "object", properties: {}, additionalProperties: false } } },
];
const CALL = { messages: user("How will the weather be in Paris?"), max_tokens: 200, tools: TOOLS };
const named = { type: "function", function: { name: "get_weather" } };
const checkCall = (call) => {
  assert.equal(call.type, "function");
  assert.ok(call.id);
  const arguments_ = JSON.parse(call.function.arguments);
  if (call.function.name === "get_weather") Weather.strict().parse(arguments_);
  else assert.deepEqual([call.function.name, arguments_], ["stop", {}]);
};

check("tools required", async () => {
  const [choice] = (await ask({ ...CALL, tool_choice: "required" })).choices;
  assert.equal(choice.finish_reason, "tool_calls");
  assert.ok(choice.message.tool_calls.length >= 1);
  choice.message.tool_calls.forEach(checkCall);
  assert.equal(choice.message.content, null);
});
check("tools named", async () => {
  for (const temperature of [0, 1]) {
    const [choice] = (await ask({ ...CALL, tool_choice: named, temperature })).choices;
    assert.deepEqual(choice.message.tool_calls.map((call) => call.function.name), ["get_weather"]);
    choice.message.tool_calls.forEach(checkCall);
  }
});
check("tools none", async () => {
  const [choice] = (await ask({ ...CALL, tool_choice: "none" })).choices;
  assert.equal(choice.message.tool_calls, undefined);
  assert.ok(choice.message.content);
});
check("tools auto", async () => {
  const { message, finish_reason } = (await ask({ ...CALL, max_tokens: 60 })).choices[0];
  assert.ok(message.content || message.tool_calls?.length);
  if (finish_reason !== "length") assert.equal(finish_reason, message.tool_calls ? "tool_calls" : "stop");
});
check("parallel_tool_calls", async () => {
  for (const seed of [1, 2, 3]) {
    const fields = { ...CALL, temperature: 1, seed, tool_choice: "required", parallel_tool_calls: false };
    assert.equal((await ask(fields)).choices[0].message.tool_calls.length, 1);
  }
});
check("tools streamed", async () => {
  const found = await chunks({ ...CALL, tool_choice: named });
  const deltas = found.flatMap((chunk) => chunk.choices).flatMap((choice) => choice.delta.tool_calls ?? []);
  assert.deepEqual([deltas[0].index, deltas[0].type, deltas[0].function.name], [0, "function", "get_weather"]);
  assert.ok(deltas.slice(1).every((delta) => delta.index === 0 && delta.id === undefined));
  assert.ok(deltas.length > 2, "the arguments came in one piece");
  const whole = deltas.map((delta) => delta.function.arguments ?? "").join("");
  checkCall({ ...deltas[0], function: { name: "get_weather", arguments: whole } });
  assert.equal(found.at(-1).choices[0].finish_reason, "tool_calls");
});
check("tools stream helper", async () => {
  const stream = client.chat.completions.stream({ model: MODEL, ...CALL, tool_choice: named });
  const done = [];
  stream.on("tool_calls.function.arguments.done", (call) => done.push(call));
  const final = await stream.finalChatCompletion();
  final.choices[0].message.tool_calls.forEach(checkCall);
  assert.deepEqual(done.map((call) => call.name), ["get_weather"]);
});
check("tools parsed", async () => {
  const tools = [zodFunction({ name: "get_weather", parameters: Weather })];
  const answer = await client.chat.completions.parse({ ...CALL, model: MODEL, tools, tool_choice: "required" });
  Weather.parse(answer.choices[0].message.tool_calls[0].function.parsed_arguments);
});

const runnable = (asked) => [
  {
    type: "function",
    function: {
      ...TOOLS[0].function,
      parse: JSON.parse,
      function: (wanted) => asked.push(wanted) && `It will rain in ${wanted.city}.`,
    },
  },
];
const checkRunner = async (stream) => {
  const asked = [];
  const wanted = { ...CALL, model: MODEL, temperature: 0, stream, tools: runnable(asked), parallel_tool_calls: false };
  // The second completion is asked for with the first one's call and its result, as the SDK writes them.
  const runner = client.chat.completions.runTools({ ...wanted, tool_choice: "required" }, { maxChatCompletions: 2 });
  await runner.done();
  assert.equal(asked.length, 2);
  asked.forEach((one) => Weather.parse(one));
  assert.deepEqual(runner.messages.map((message) => message.role), "user assistant tool assistant tool".split(" "));
};
check("tool runner", () => checkRunner(false));
check("tool runner streamed", () => checkRunner(true));
check("tool round trip", async () => {
  const [{ message }] = (await ask({ ...CALL, tool_choice: named })).choices;
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "Rain, 12 degrees." };
  const messages = [...CALL.messages, message, result];
  const [choice] = (await ask({ ...CALL, messages, tool_choice: "none" })).choices;
  assert.ok(["stop", "length"].includes(choice.finish_reason));
  assert.ok(choice.message.content);
});
