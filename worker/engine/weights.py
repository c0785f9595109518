"""A model's weights in memory, with an adapter if it has one. Loaded, used and dropped on the engine's thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.utils import load_adapters, load_model
from tqdm import tqdm

from worker.engine.catalog import Entry
from worker.engine.cost import KvCost, measure


@dataclass(frozen=True, slots=True)
class Weights:
    """`net` maps tokens [rows, length] and a KV state to logits [rows, length, vocabulary]."""

    net: Any
    cost: KvCost
    nbytes: int


def load(entry: Entry, trust_remote_code: bool) -> Weights:
    """Raises whatever the model's own files and code raise, and ValueError for one that cannot be batched."""
    net, _ = cast(tuple[Any, Any], load_model(entry.folder, lazy=True, trust_remote_code=trust_remote_code))
    if entry.adapter is not None:
        net = load_adapters(net, str(entry.adapter))
        net.eval()
    arrays = cast(list[tuple[str, mx.array]], tree_flatten(net.parameters()))
    return Weights(net, measure(net), _read([array for _, array in arrays], entry.name))


def _read(arrays: list[mx.array], name: str) -> int:
    """From the disk into memory, with a bar where a person looks on. How many bytes they are."""
    nbytes = sum(array.nbytes for array in arrays)
    with tqdm(total=nbytes, desc=name, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        for array in arrays:
            mx.eval(array)
            bar.update(array.nbytes)
    return nbytes
