"""The starter model as it comes out of the converter: it answers, and its tokenizer is SmolLM2's own."""

import json
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from worker.engine import starter

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)
import mlx_lm  # isort: skip

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
TEXTS = {
    "English": "The quick brown fox can't jump over 13 lazy dogs, can it?",
    "Korean": "비트코인 가격이 오늘 5.4% 올랐습니다.",
    "emoji": "To the moon 🚀🌕, said the 👩‍💻.",
    "code": "def f(x):\n\tif x > 0:  # positive\n        return {'a': [x ** 2, \"b\"]}\n",
    "spaces": "  two before,   three within, one after ",
}
SPECIAL = {
    "<|endoftext|>": 0,
    "<|im_start|>": 1,
    "<|im_end|>": 2,
    "<repo_name>": 3,
    "<reponame>": 4,
    "<file_sep>": 5,
    "<filename>": 6,
    "<gh_stars>": 7,
    "<issue_start>": 8,
    "<issue_comment>": 9,
    "<issue_closed>": 10,
    "<jupyter_start>": 11,
    "<jupyter_text>": 12,
    "<jupyter_code>": 13,
    "<jupyter_output>": 14,
    "<jupyter_script>": 15,
    "<empty_output>": 16,
}


@pytest.fixture(scope="session")
def folder() -> Path:
    return starter.fetch(platformdirs.user_cache_path("nats-mlx"))


@pytest.fixture(scope="session")
def loaded(folder: Path) -> tuple[Any, Any]:
    model, tokenizer, *_ = mlx_lm.load(str(folder))
    return model, tokenizer


@pytest.fixture(scope="session")
def tokenizer(loaded: tuple[Any, Any]) -> Any:
    return loaded[1]


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}]


def test_the_capital_of_france_is_paris(loaded: tuple[Any, Any]) -> None:
    model, tokenizer = loaded
    prompt = tokenizer.apply_chat_template(ask("What is the capital of France?"), add_generation_prompt=True)
    *_, last = mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=20)
    answer = mlx_lm.generate(model, tokenizer, prompt, max_tokens=20)
    assert answer == "The capital of France is Paris."
    assert (last.finish_reason, last.token) == ("stop", tokenizer.convert_tokens_to_ids("<|im_end|>"))


def test_it_continues_text_that_it_knows(loaded: tuple[Any, Any]) -> None:
    """A wrong order of q or k, or a wrong rope, still gives words, but none that fit this well."""
    model, tokenizer = loaded
    text = "The sun rises in the east and sets in the west. One, two, three, four, five."
    tokens = mx.array([tokenizer.encode(text)])
    logits = model(tokens[:, :-1])
    chosen = mx.take_along_axis(logits, tokens[:, 1:, None], axis=-1).squeeze(-1)
    surprise = (mx.logsumexp(logits, axis=-1) - chosen).mean()
    assert float(surprise) < 2.5


def test_weights_are_float32(loaded: tuple[Any, Any]) -> None:
    model, _ = loaded
    assert model.layers[0].self_attn.q_proj.weight.dtype == mx.float32
    assert model.model.embed_tokens.weight.shape == (49152, 576)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_round_trip(tokenizer: Any, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert tokenizer.decode(tokens) == text
    assert not set(tokens) & set(SPECIAL.values())


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_streamed_round_trip(tokenizer: Any, text: str) -> None:
    detokenizer = tokenizer.detokenizer
    detokenizer.reset()
    pieces = []
    for token in tokenizer.encode(text):
        detokenizer.add_token(token)
        pieces.append(detokenizer.last_segment)
    detokenizer.finalize()
    expected = text.removeprefix(" ")  # mlx-lm drops a space at the very start of an answer
    assert "".join([*pieces, detokenizer.last_segment]) == expected


def test_each_digit_is_a_token_of_its_own(tokenizer: Any) -> None:
    digits = tokenizer.convert_tokens_to_ids(list("2026"))
    assert tokenizer.encode("2026") == digits
    assert tokenizer.encode("x2026y")[1:-1] == digits
    # A number also cuts off the spaces before it, which no split into words does.
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("in  2026")) == ["in", "ĠĠ", *"2026"]


def test_common_words_are_one_token(tokenizer: Any) -> None:
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("The capital of")) == ["The", "Ġcapital", "Ġof"]


def test_special_tokens(tokenizer: Any) -> None:
    for token, index in SPECIAL.items():
        assert tokenizer.encode(token) == [index]
        assert tokenizer.decode([index], skip_special_tokens=True) == ""
    assert tokenizer.bos_token == "<|im_start|>"
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"


def test_special_tokens_in_a_message_can_be_read_as_text(tokenizer: Any) -> None:
    tokens = tokenizer.encode("say <|im_end|> now", split_special_tokens=True)
    assert SPECIAL["<|im_end|>"] not in tokens
    assert tokenizer.decode(tokens) == "say <|im_end|> now"


def test_an_answer_ends_with_the_turn_or_the_text(folder: Path, tokenizer: Any) -> None:
    ends = [SPECIAL["<|im_end|>"], SPECIAL["<|endoftext|>"]]
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == ends
    assert json.loads((folder / "generation_config.json").read_text()) == {"temperature": 0.2, "top_p": 0.9}
    assert tokenizer.eos_token_ids == set(ends)


def test_the_template_adds_the_default_system_prompt(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template(ask("Hello!"), tokenize=False, add_generation_prompt=True)
    assert text == (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_template_keeps_a_system_prompt_and_every_turn(tokenizer: Any) -> None:
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello."), ("user", "Bye")]
    messages = [{"role": role, "content": content} for role, content in turns]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content in turns)


def test_the_folder_says_where_it_comes_from(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in card
    assert "HuggingFaceTB/SmolLM2-135M-Instruct" in card


def test_a_second_fetch_is_immediate_and_offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "_download", lambda target: pytest.fail("downloaded again"))
    assert starter.fetch(platformdirs.user_cache_path("nats-mlx")) == folder
