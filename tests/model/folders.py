"""More models out of the one that is here: the same weights under another name, and with an adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

_LORA: dict[str, Any] = {
    "rank": 4,
    "scale": 20.0,
    "dropout": 0.0,
    "keys": ["self_attn.q_proj", "self_attn.v_proj"],
}
_LAYERS = 4


def clone(starter_folder: Path, target: Path, **config_changes: Any) -> Path:
    """A folder of its own, whose files are the starter's but for `config_changes` in config.json."""
    target.mkdir(parents=True)
    for file in starter_folder.iterdir():
        if file.name != "config.json":
            (target / file.name).symlink_to(file)
    config = json.loads((starter_folder / "config.json").read_text("utf-8"))
    (target / "config.json").write_text(json.dumps(config | config_changes), "utf-8")
    return target


def adapter(starter_folder: Path, target: Path, seed: int = 0, strength: float = 0.1) -> Path:
    """A LoRA adapter in mlx_lm's format, random and strong enough to be seen in any answer."""
    net, _ = cast(tuple[Any, Any], load_model(starter_folder, lazy=True))
    net.freeze()
    linear_to_lora_layers(net, _LAYERS, _LORA)
    weights = tree_flatten(net.trainable_parameters())
    keys = mx.random.split(mx.random.key(seed), len(weights))
    # lora_b is zero before training, which would change nothing.
    drawn = {
        name: mx.random.normal(array.shape, scale=strength, key=key)
        for (name, array), key in zip(weights, keys, strict=True)
    }
    target.mkdir(parents=True)
    mx.save_safetensors(str(target / "adapters.safetensors"), drawn)
    config = {"fine_tune_type": "lora", "num_layers": _LAYERS, "lora_parameters": _LORA}
    (target / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    return target


_THINKS = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{% endif %}"
)


def thinker(starter_folder: Path, target: Path) -> Path:
    """The starter as a model that thinks: two tokens that it never uses are the marks around its thoughts."""
    clone(starter_folder, target)
    tokenizer = (starter_folder / "tokenizer.json").read_text("utf-8")
    for unused, mark in (("<file_sep>", "<think>"), ("<filename>", "</think>")):
        assert f'"{unused}"' in tokenizer
        tokenizer = tokenizer.replace(f'"{unused}"', f'"{mark}"')
    for name, text in (("tokenizer.json", tokenizer), ("chat_template.jinja", _THINKS)):
        (target / name).unlink()
        (target / name).write_text(text, "utf-8")
    return target
