// Calls of functions: chosen, forced, streamed, answered, run by the SDK's own runner.
import assert from "node:assert/strict";
import { zodFunction } from "openai/helpers/zod";
import { z } from "zod";
import { WEATHER, ask, check, choices, chunks, client, fields, finish, refused, said, usage } from "./kit.mjs";

const KINDS = {
  GetWeather: z.strictObject({ city: z.enum(["Paris", "Rome"]) }),
  GetTime: z.strictObject({ zone: z.enum(["UTC", "CET"]) }),
};
const TOOLS = Object.entries(KINDS).map(([name, parameters]) => zodFunction({ name, parameters }));
const ONE_CALL = { messages: WEATHER, tools: TOOLS, parallel_tool_calls: false, max_tokens: 60 };
const REQUIRED = { ...ONE_CALL, tool_choice: "required" };
const named = (name) => ({ type: "function", function: { name } });
const calls = (answer) => answer.choices[0].message.tool_calls ?? [];
const checkArguments = (call) => KINDS[call.name].parse(JSON.parse(call.arguments));

check("a_required_call_is_made", async () => {
  const answer = await ask(REQUIRED);
  const [call, ...more] = calls(answer);
  assert.deepEqual([call.type, more.length, finish(answer), said(answer)], ["function", 0, "tool_calls", null]);
  assert.ok(call.id);
  checkArguments(call.function);
});
check("a_named_function_is_called", async () => {
  for (const name of Object.keys(KINDS)) {
    const answer = await ask({ ...ONE_CALL, tool_choice: named(name) });
    const [call, ...more] = calls(answer);
    assert.deepEqual([call.function.name, more.length, finish(answer)], [name, 0, "tool_calls"]);
    checkArguments(call.function);
  }
});
check("no_call_is_made_when_none_is_wanted", async () => {
  const answer = await ask({ ...ONE_CALL, tool_choice: "none", max_tokens: 12 });
  assert.ok(said(answer));
  assert.deepEqual(calls(answer), []);
  assert.ok(["stop", "length"].includes(finish(answer)));
});
check("a_model_may_choose", async () => {
  const answer = await ask({ ...ONE_CALL, tool_choice: "auto" });
  if (finish(answer) !== "length") assert.equal(finish(answer) === "tool_calls", calls(answer).length > 0);
  assert.ok(usage(answer)[0] > usage(await ask({ messages: WEATHER }))[0], "it was not told of the tools");
});
check("one_call_at_most", async () => {
  const answer = await ask({ ...REQUIRED, n: 3, temperature: 1, seed: 3 });
  assert.deepEqual(answer.choices.map((choice) => choice.message.tool_calls.length), [1, 1, 1]);
});
check("parse_gives_arguments_as_objects", async () => {
  const [call] = calls(await client.chat.completions.parse(fields(REQUIRED)));
  KINDS[call.function.name].parse(call.function.parsed_arguments);
});
check("a_call_is_answered", async () => {
  const { message } = (await ask(REQUIRED)).choices[0];
  const told = (content) => {
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content };
    return ask({ messages: [...WEATHER, message, result], tools: TOOLS, tool_choice: "none" });
  };
  const [short, long] = [await told("Rain."), await told("Rain in the morning, and sun in the afternoon.")];
  assert.ok(said(short) && said(long));
  assert.ok(usage(long)[0] > usage(short)[0]);
});
check("a_call_is_streamed", async () => {
  const found = choices(await chunks(REQUIRED));
  const [first, ...more] = found.flatMap((choice) => choice.delta.tool_calls ?? []);
  assert.deepEqual([first.index, first.type, first.function.arguments], [0, "function", ""]);
  assert.ok(first.id);
  for (const { index, id, type, function: { name } } of more)
    assert.deepEqual([index, id, type, name], [0, undefined, undefined, undefined]);
  const whole = more.map((call) => call.function.arguments ?? "").join("");
  checkArguments({ name: first.function.name, arguments: whole });
  assert.equal(found.at(-1).finish_reason, "tool_calls");
  assert.ok(found.every((choice) => !choice.delta.content));
});
check("an_answer_without_its_call_is_refused", () => {
  const stray = { role: "tool", tool_call_id: "call_x", content: "Rain." };
  return refused({ messages: [...WEATHER, stray] }, "messages[1].tool_call_id");
});
check("tools_are_checked", async () => {
  const blank = { type: "function", function: { name: "no blanks" } };
  await refused({ tool_choice: "required" }, "tool_choice");
  await refused({ tools: TOOLS, tool_choice: named("x") }, "tool_choice");
  await refused({ tools: [TOOLS[0], TOOLS[0]] }, "tools");
  await refused({ tools: [{ type: "custom", custom: { name: "x" } }] }, "tools[0].type");
  await refused({ tools: [blank] }, "tools[0].function.name");
});
check("the_stream_helper_tells_of_calls", async () => {
  const stream = client.chat.completions.stream(fields(REQUIRED));
  const deltas = [];
  const done = [];
  stream.on("tool_calls.function.arguments.delta", (event) => deltas.push(event.arguments_delta));
  stream.on("tool_calls.function.arguments.done", (event) => done.push(event));
  const final = await stream.finalChatCompletion();
  assert.equal(done.length, 1);
  assert.equal(deltas.join(""), done[0].arguments);
  checkArguments(done[0]);
  KINDS[done[0].name].parse(calls(final)[0].function.parsed_arguments);
  assert.equal(finish(final), "tool_calls");
});

// The SDK for JavaScript has one helper more: it calls the functions and sends what they return.
const run = async (stream) => {
  const asked = [];
  const runnable = (name) => {
    const remember = (found) => asked.push(found) && "Rain.";
    return zodFunction({ name, parameters: KINDS[name], function: remember });
  };
  const given = fields({ ...REQUIRED, stream, tools: Object.keys(KINDS).map(runnable) });
  const runner = client.chat.completions.runTools(given, { maxChatCompletions: 2 });
  await runner.done();
  assert.equal(asked.length, 2);
  assert.deepEqual(runner.messages.map((message) => message.role), "user assistant tool assistant tool".split(" "));
};
check("the_tool_runner_runs", () => run(false));
check("the_tool_runner_runs_streamed", () => run(true));
