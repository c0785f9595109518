// Every field that changes how tokens are drawn, counted or told.
import assert from "node:assert/strict";
import { ANSWER, STORY, ask, check, chunks, joined, text, user } from "./kit.mjs";

const PARIS_TOKEN = "7042"; // " Paris" in the starter model's vocabulary
const MOON_TOKEN = "6783"; // " moon"
const WILD = { temperature: 2, seed: 5 };

check("temperature", async () => {
  assert.equal(await text({ messages: STORY }), await text({ messages: STORY }));
  const warm = await Promise.all([1, 2, 3].map((seed) => text({ messages: STORY, temperature: 1.2, seed })));
  assert.equal(new Set(warm).size, 3);
});
check("seed", async () => {
  const fields = { messages: STORY, temperature: 1, seed: 42 };
  const [one, other] = await Promise.all([text(fields), text(fields), text({ messages: STORY, temperature: 1 })]);
  assert.equal(one, other);
});
check("top_p", async () => {
  assert.notEqual(await text(WILD), ANSWER);
  assert.equal(await text({ ...WILD, top_p: 0.01 }), ANSWER);
});
check("top_k", async () => assert.equal(await text({ ...WILD, top_k: 1 }), ANSWER));
check("min_p", async () => assert.equal(await text({ ...WILD, min_p: 1 }), ANSWER));

const REPEAT = { messages: user("Write the word yes many times."), logit_bias: { 9805: 20 }, max_tokens: 12 };
const yeses = (said) => said.split(/yes/i).length - 1;
check("frequency_penalty", async () => {
  assert.ok(yeses(await text({ ...REPEAT, frequency_penalty: 2 })) <= yeses(await text(REPEAT)));
  assert.notEqual(await text({ messages: STORY, max_tokens: 60, frequency_penalty: 2 }), await text({ messages: STORY, max_tokens: 60 }));
});
check("presence_penalty", async () =>
  assert.notEqual(await text({ messages: STORY, max_tokens: 60, presence_penalty: 2 }), await text({ messages: STORY, max_tokens: 60 })));
check("repetition_penalty", async () =>
  assert.notEqual(await text({ messages: STORY, repetition_penalty: 1.8 }), await text({ messages: STORY })));
check("logit_bias", async () => {
  assert.doesNotMatch(await text({ logit_bias: { [PARIS_TOKEN]: -100 } }), / Paris/);
  assert.equal((await text({ logit_bias: { [MOON_TOKEN]: 100 }, max_tokens: 3 })).trim(), "moon moon moon");
});

const checkLimit = async (fields) => {
  const answer = await ask({ max_tokens: undefined, ...fields });
  assert.equal(answer.choices[0].finish_reason, "length");
  assert.equal(answer.usage.completion_tokens, 3);
  assert.ok(ANSWER.startsWith(answer.choices[0].message.content));
};
check("max_tokens", () => checkLimit({ max_tokens: 3 }));
check("max_completion_tokens", () => checkLimit({ max_completion_tokens: 3 }));

check("stop", async () => {
  for (const stop of ["al of Fra", ["never", "al of Fra"]]) {
    const answer = await ask({ stop });
    assert.equal(answer.choices[0].message.content, "The capit");
    assert.equal(answer.choices[0].finish_reason, "stop");
    const found = await chunks({ stop });
    assert.equal(joined(found), "The capit");
  }
  assert.equal(await text({ stop: ["Paris!"] }), ANSWER);
});

check("n", async () => {
  const answer = await ask({ messages: STORY, n: 3, temperature: 1.2, seed: 1 });
  assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.equal(new Set(answer.choices.map((choice) => choice.message.content)).size, 3);
  const alike = await ask({ n: 2 });
  assert.deepEqual(alike.choices.map((choice) => choice.message.content), [ANSWER, ANSWER]);
  assert.equal(alike.usage.completion_tokens, 14);
  assert.equal(alike.usage.prompt_tokens, (await ask()).usage.prompt_tokens);
});
check("n streamed", async () => {
  const found = await chunks({ n: 2 });
  const choices = found.flatMap((chunk) => chunk.choices);
  assert.deepEqual([joined(found, 0), joined(found, 1)], [ANSWER, ANSWER]);
  const order = choices.filter((choice) => choice.delta.content).map((choice) => choice.index);
  assert.notDeepEqual(order, [...order].sort(), "one choice came after the other");
  assert.equal(choices.filter((choice) => choice.finish_reason === "stop").length, 2);
});

const checkLogprobs = (content, most) => {
  assert.equal(content.map((token) => token.token).join(""), ANSWER);
  assert.equal(Buffer.from(content.flatMap((token) => token.bytes)).toString(), ANSWER);
  for (const { token, logprob, top_logprobs } of content) {
    assert.ok(logprob <= 0);
    assert.equal(top_logprobs.length, most);
    if (most) assert.equal(top_logprobs[0].token, token, "a greedy token is the likeliest");
    const ranks = top_logprobs.map((other) => other.logprob);
    assert.deepEqual(ranks, [...ranks].sort((a, b) => b - a));
  }
};
check("logprobs", async () => checkLogprobs((await ask({ logprobs: true })).choices[0].logprobs.content, 0));
check("top_logprobs", async () =>
  checkLogprobs((await ask({ logprobs: true, top_logprobs: 4 })).choices[0].logprobs.content, 4));
check("logprobs streamed", async () => {
  const found = await chunks({ logprobs: true, top_logprobs: 2 });
  checkLogprobs(found.flatMap((chunk) => chunk.choices[0].logprobs?.content ?? []), 2);
});
