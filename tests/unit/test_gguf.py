"""The pure parts of the GGUF conversion: names, the order of q and k, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from worker.engine import gguf

import mlx.core as mx  # isort: skip  (after worker.engine, which puts the BLAS in place)


def permute(weight: mx.array, heads: int) -> mx.array:
    """What llama.cpp's converter does to q and k."""
    return weight.reshape(heads, 2, -1, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


@pytest.mark.parametrize("heads", [1, 3, 9])
def test_unpermute_undoes_llama_cpps_order(heads: int) -> None:
    weight = mx.arange(heads * 8 * 5).reshape(heads * 8, 5)
    assert not mx.array_equal(permute(weight, heads), weight)
    assert mx.array_equal(gguf.unpermute(permute(weight, heads), heads), weight)


def test_unpermute_takes_neighbours_apart() -> None:
    stored = mx.array([[0], [4], [1], [5], [2], [6], [3], [7]])
    assert gguf.unpermute(stored, 1).flatten().tolist() == list(range(8))


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("output.weight", "lm_head.weight"),
        ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
        ("blk.12.attn_output.weight", "model.layers.12.self_attn.o_proj.weight"),
        ("blk.29.ffn_norm.weight", "model.layers.29.post_attention_layernorm.weight"),
        ("blk.7.ffn_down.weight", "model.layers.7.mlp.down_proj.weight"),
    ],
)
def test_names(stored: str, wanted: str) -> None:
    assert gguf.rename(stored) == wanted


@pytest.mark.parametrize(
    ("key", "value"), [("general.architecture", "qwen2"), ("tokenizer.ggml.pre", "llama-bpe")]
)
def test_another_architecture_or_tokenizer_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    known: dict[str, Any] = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
    }
    monkeypatch.setattr(mx, "load", lambda *_, **__: ({}, {**known, key: value}))
    with pytest.raises(ValueError, match=f"{key} is '{value}'"):
        gguf.convert(tmp_path / "model.gguf", tmp_path)
    assert list(tmp_path.iterdir()) == []
