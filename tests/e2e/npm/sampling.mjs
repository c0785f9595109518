// How long an answer gets, how its tokens are drawn, how many choices there are, and what was likely.
import assert from "node:assert/strict";
import {
  ANSWER, REPEAT, ask, check, choices, chunks, finish, joined, refused, said, text, usage, user,
} from "./kit.mjs";

const HOT = { temperature: 1.5, seed: 7 };
const PARIS_TOKEN = "7042"; // " Paris" in the starter model's vocabulary of 49152

check("a_limit_cuts", async () => {
  for (const limit of [{ max_tokens: 3 }, { max_tokens: 5, max_completion_tokens: 3 }]) {
    const answer = await ask(limit);
    assert.deepEqual([said(answer), finish(answer), usage(answer)[1]], ["The capital of", "length", 3]);
  }
  assert.equal(finish(await ask()), "stop");
});
check("a_limit_that_never_fits_is_refused", async () => {
  assert.equal((await refused({ max_tokens: 1_000_000 }, "max_tokens")).code, "context_length_exceeded");
  await refused({ max_tokens: 0 }, "max_tokens");
});
check("a_stop_ends_the_text", async () => {
  const cuts = [[" Paris", "The capital of France is"], [["rance is Pa", "x"], "The capital of F"]];
  for (const [stop, left] of cuts) {
    const answer = await ask({ stop });
    assert.deepEqual([said(answer), finish(answer)], [left, "stop"]);
  }
  await refused({ stop: [..."abcde"] }, "stop");
});
check("a_stop_is_never_shown_in_a_stream", async () => {
  const found = await chunks({ stop: "rance is Pa" });
  assert.deepEqual([joined(found), finish(found.at(-1))], ["The capital of F", "stop"]);
});

check("a_seed_repeats", async () => {
  const [one, same, ...others] = await Promise.all([7, 7, 8, 9].map((seed) => text({ ...HOT, seed })));
  assert.equal(one, same);
  assert.ok(new Set([one, ...others]).size > 1);
});
check("a_hot_answer_differs_from_a_cold_one", async () =>
  assert.notEqual(await text({ temperature: 2, seed: 7 }), ANSWER));
check("narrow_sampling_is_greedy", async () => {
  for (const narrow of [{ top_p: 1e-6 }, { top_k: 1 }, { min_p: 1 }])
    assert.equal(await text({ temperature: 2, ...narrow }), ANSWER, JSON.stringify(narrow));
});
check("penalties_keep_from_repeating", async () => {
  const noes = async (given) =>
    (await text({ messages: REPEAT, max_tokens: 16, ...given })).toLowerCase().split("no").length - 1;
  const plain = await noes();
  assert.ok(plain > 10);
  assert.ok((await noes({ frequency_penalty: 2 })) < plain);
  assert.ok((await noes({ repetition_penalty: 1.5 })) < plain);
  const told = (presence_penalty) =>
    text({ messages: user("Say no no no no no no"), max_tokens: 24, presence_penalty });
  assert.notEqual(await told(0), await told(2));
});
check("a_bias_forbids_a_token", async () => {
  assert.doesNotMatch(await text({ logit_bias: { [PARIS_TOKEN]: -100 } }), / Paris/);
  const forced = await text({ logit_bias: { [PARIS_TOKEN]: 100 }, max_tokens: 4 });
  assert.equal(forced.trim(), "Paris Paris Paris Paris");
  await refused({ logit_bias: { 49152: 1 } }, "logit_bias");
});

check("choices_are_drawn_apart", async () => {
  const three = await ask({ n: 3, ...HOT });
  assert.deepEqual(three.choices.map((choice) => choice.index), [0, 1, 2]);
  assert.ok(new Set(three.choices.map((choice) => choice.message.content)).size > 1);
  const alone = await ask(HOT);
  assert.equal(said(three), said(alone));
  assert.equal(usage(three)[0], usage(alone)[0]);
  assert.ok(usage(three)[1] > usage(alone)[1]);
});
check("choices_are_streamed_side_by_side", async () => {
  const found = await chunks({ n: 3, ...HOT });
  const whole = await ask({ n: 3, ...HOT });
  for (const { index, message, finish_reason } of whole.choices) {
    assert.equal(joined(found, index), message.content);
    const mine = choices(found).filter((choice) => choice.index === index);
    assert.equal(mine[0].delta.role, "assistant");
    assert.deepEqual(mine.map((choice) => choice.finish_reason).filter(Boolean), [finish_reason]);
  }
  const order = choices(found).filter((choice) => choice.delta.content).map((choice) => choice.index);
  assert.notDeepEqual(order, order.toSorted(), "one choice came after the other");
});
check("too_many_choices_are_refused", async () => {
  await refused({ n: 100 }, "n");
  await refused({ n: 0 }, "n");
});

const near = (one, other) => assert.ok(Math.abs(one - other) < 1e-3, `${one} is not ${other}`);
const spelled = (tokens) => {
  assert.equal(tokens.map((token) => token.token).join(""), ANSWER);
  assert.equal(Buffer.from(tokens.flatMap((token) => token.bytes)).toString(), ANSWER);
  assert.ok(tokens.every((token) => token.logprob <= 0));
};
const likely = async (given) => (await ask({ logprobs: true, ...given })).choices[0].logprobs.content;
check("logprobs_spell_the_answer", async () => {
  const tokens = await likely();
  spelled(tokens);
  assert.deepEqual(tokens.flatMap((token) => token.top_logprobs), []);
  assert.equal((await ask()).choices[0].logprobs, null);
});
check("likely_tokens_stand_beside", async () => {
  for (const { token, logprob, top_logprobs } of await likely({ top_logprobs: 2 })) {
    const [first, second, ...more] = top_logprobs;
    assert.deepEqual([first.token, more.length], [token, 0]);
    near(first.logprob, logprob);
    assert.ok(first.logprob >= second.logprob);
  }
});
check("logprobs_are_streamed", async () => {
  const found = await chunks({ logprobs: true, top_logprobs: 1 });
  const tokens = choices(found).flatMap((choice) => choice.logprobs?.content ?? []);
  spelled(tokens);
  assert.ok(tokens.every((token) => token.top_logprobs.length === 1));
});
check("logprobs_are_of_the_model_itself", async () => {
  const [cold, hot] = await Promise.all([likely(), likely({ temperature: 2, top_k: 1 })]);
  assert.equal(hot.length, cold.length);
  cold.forEach((token, at) => near(token.logprob, hot[at].logprob));
});
check("top_logprobs_need_logprobs", async () => {
  await refused({ top_logprobs: 2 }, "top_logprobs");
  await refused({ logprobs: true, top_logprobs: 21 }, "top_logprobs");
});
