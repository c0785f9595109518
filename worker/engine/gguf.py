"""A Llama-family GGUF as an MLX model folder, so that mlx-lm loads it like every other model."""

import json
from pathlib import Path
from typing import Any, Final, cast

import mlx.core as mx
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

Metadata = dict[str, Any]
Weights = dict[str, mx.array]

_END_OF_TEXT: Final = "<|endoftext|>"
_SPECIAL: Final = 3  # llama.cpp's token type for control tokens
_NAMES: Final = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def convert(source: Path, folder: Path) -> None:
    """Write ``source`` into the existing ``folder`` as float32 weights, configuration and tokenizer."""
    stored, metadata = cast(tuple[Weights, Metadata], mx.load(source, return_metadata=True))
    _refuse_unknown(metadata)
    weights = _weights(stored, metadata)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    _write_json(folder / "config.json", _config(metadata, tied="lm_head.weight" not in weights))
    _tokenizer(metadata).save(str(folder / "tokenizer.json"))
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(metadata))
    (folder / "chat_template.jinja").write_text(metadata["tokenizer.chat_template"], encoding="utf-8")


def rename(name: str) -> str:
    """mlx-lm's name of a tensor that llama.cpp calls ``name``."""
    *block, part, kind = name.split(".")
    layer = f"model.layers.{block[1]}." if block else ""
    return f"{layer}{_NAMES[part]}.{kind}"


def unpermute(weight: mx.array, heads: int) -> mx.array:
    """Undo llama.cpp's order of q and k: it puts the rows that rotate together side by side in each head."""
    return weight.reshape(heads, -1, 2, weight.shape[-1]).swapaxes(1, 2).reshape(weight.shape)


def _refuse_unknown(metadata: Metadata) -> None:
    expected = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
    }
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise ValueError(f"{key} is {metadata.get(key)!r}; only {value!r} is known here")


def _weights(stored: Weights, metadata: Metadata) -> Weights:
    heads = {
        "attn_q": int(metadata["llama.attention.head_count"]),
        "attn_k": int(metadata["llama.attention.head_count_kv"]),
    }
    weights = {}
    for name in stored:
        stem, _, kind = name.rpartition(".")
        if kind == "weight":
            # Rows move after dequantizing: one permutation then covers weights, scales and biases alike.
            weight, part = _dequantized(stored, stem), stem.rpartition(".")[2]
            weights[rename(name)] = unpermute(weight, heads[part]) if part in heads else weight
    return weights


def _dequantized(stored: Weights, stem: str) -> mx.array:
    weight = stored[f"{stem}.weight"]
    if f"{stem}.scales" not in stored:
        return weight.astype(mx.float32)
    scales, biases = (stored[f"{stem}.{kind}"].astype(mx.float32) for kind in ("scales", "biases"))
    # 32 weights share a scale in the formats that mx.load leaves quantized (Q4_0, Q4_1, Q8_0). They are
    # packed into words of 32 bits, so the words per scale are the bits per weight.
    return mx.dequantize(weight, scales, biases, group_size=32, bits=weight.shape[-1] // scales.shape[-1])


def _config(metadata: Metadata, *, tied: bool) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": int(metadata["llama.embedding_length"]),
        "intermediate_size": int(metadata["llama.feed_forward_length"]),
        "num_hidden_layers": int(metadata["llama.block_count"]),
        "num_attention_heads": int(metadata["llama.attention.head_count"]),
        "num_key_value_heads": int(metadata["llama.attention.head_count_kv"]),
        "head_dim": int(metadata["llama.rope.dimension_count"]),
        "max_position_embeddings": int(metadata["llama.context_length"]),
        "rms_norm_eps": float(metadata["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": float(metadata["llama.rope.freq_base"]),
        "vocab_size": int(metadata["llama.vocab_size"]),
        "tie_word_embeddings": tied,
        "bos_token_id": int(metadata["tokenizer.ggml.bos_token_id"]),
        "eos_token_id": _ends(metadata),
        "pad_token_id": int(metadata["tokenizer.ggml.padding_token_id"]),
        "dtype": "float32",
    }


def _ends(metadata: Metadata) -> list[int]:
    """The end of a turn, and the end of a text that the base model was trained on: either ends an answer."""
    end_of_text = metadata["tokenizer.ggml.tokens"].index(_END_OF_TEXT)
    return [int(metadata["tokenizer.ggml.eos_token_id"]), end_of_text]


def _tokenizer(metadata: Metadata) -> Tokenizer:
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    left_right = (merge.split(" ") for merge in metadata["tokenizer.ggml.merges"])
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [(left, right) for left, right in left_right]))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = zip(tokens, metadata["tokenizer.ggml.token_type"].tolist(), strict=True)
    special = [AddedToken(token, special=True, normalized=False) for token, kind in types if kind == _SPECIAL]
    tokenizer.add_special_tokens(special)
    return tokenizer


def _tokenizer_config(metadata: Metadata) -> dict[str, Any]:
    tokens = metadata["tokenizer.ggml.tokens"]
    roles = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    return {
        # Not GPT2Tokenizer: transformers would rebuild that one and lose the split into single digits.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": int(metadata["llama.context_length"]),
        "clean_up_tokenization_spaces": False,
        **{role: tokens[int(metadata[f"tokenizer.ggml.{key}_token_id"])] for role, key in roles.items()},
    }


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
