"""The key of a request: whatever can change its answer changes it, and nothing else does."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.fingerprint import fingerprint
from worker.jobs import AnswerForm, CallFormat, Prepared, Sampling

SAMPLING = Sampling(temperature=0.0)
CALLS = CallFormat("<call>", "</call>")
FORM = AnswerForm(think=("<think>", "</think>"), calls=CALLS, stops=("END",))
WORK = Prepared("tiny", [1, 2, 3], 16, SAMPLING, FORM, grammar="start: /a/", head=2, pinned=True)

# Another value for each field. Who adds a field finds it missing here, and says whether it counts.
COUNTS: dict[type, dict[str, Any]] = {
    Prepared: {
        "model": "large",
        "prompt": [1, 2, 4],
        "max_tokens": 17,
        "sampling": replace(SAMPLING, seed=1),
        "form": AnswerForm(),
        "grammar": None,
        "choices": 2,
        "alternatives": 0,
    },
    Sampling: {
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 1,
        "min_p": 0.5,
        "seed": 2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.5,
        "repetition_penalty": 1.5,
        "logit_bias": ((7, 1.0),),
    },
    AnswerForm: {
        "think": None,
        "thinking": True,
        "calls": None,
        "stops": ("END", "STOP"),
        "calls_only": True,
        "goes_on": True,
    },
    CallFormat: {"start": "[", "end": "]"},
}
COUNTS_NOT: dict[type, dict[str, Any]] = {Prepared: {"head": 0, "pinned": False, "grammar_of": "tools"}}
HAS_NO_HASH = {CallFormat: {"parse": str}}

KINDS = list(COUNTS)
# With a seed each temperature is repeatable, so that it can be changed like any other field.
SEEDED = replace(WORK, sampling=replace(SAMPLING, seed=1))


def changed(kind: type, name: str, value: Any) -> Prepared:
    change = {name: value}
    if kind is Prepared:
        return replace(SEEDED, **({"sampling": SAMPLING} if name == "sampling" else change))
    if kind is Sampling:
        return replace(SEEDED, sampling=replace(SEEDED.sampling, **change))
    if kind is AnswerForm:
        return replace(SEEDED, form=replace(FORM, **change))
    return replace(SEEDED, form=replace(FORM, calls=replace(CALLS, **change)))


def cases(table: dict[type, dict[str, Any]]) -> pytest.MarkDecorator:
    found = [(kind, name, value) for kind, values in table.items() for name, value in values.items()]
    return pytest.mark.parametrize(
        ("kind", "name", "value"), found, ids=[f"{k.__name__}.{n}" for k, n, _ in found]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_field_is_thought_of(kind: type[Any]) -> None:
    known = [*COUNTS[kind], *COUNTS_NOT.get(kind, {}), *HAS_NO_HASH.get(kind, {})]
    assert sorted(known) == sorted(field.name for field in fields(kind))


@cases(COUNTS)
def test_what_can_change_the_answer_changes_the_key(kind: type, name: str, value: Any) -> None:
    key = fingerprint(changed(kind, name, value), "w")
    assert key is not None
    assert key != fingerprint(SEEDED, "w")


@cases(COUNTS_NOT)
def test_what_cannot_does_not(kind: type, name: str, value: Any) -> None:
    assert fingerprint(changed(kind, name, value), "w") == fingerprint(SEEDED, "w")


def test_other_weights_of_the_same_name_have_other_keys() -> None:
    assert fingerprint(WORK, "before") != fingerprint(WORK, "after")


def test_it_is_a_key_of_a_bucket() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", fingerprint(WORK, "w") or "")


def test_what_is_drawn_at_random_has_none() -> None:
    assert fingerprint(replace(WORK, sampling=Sampling(temperature=0.7)), "w") is None
    assert fingerprint(replace(WORK, sampling=Sampling(temperature=0.7, seed=0)), "w") is not None


def test_what_is_read_by_code_has_none() -> None:
    assert fingerprint(changed(CallFormat, "parse", str), "w") is None


works = st.builds(
    Prepared,
    model=st.sampled_from(["a", "b"]),
    prompt=st.lists(st.integers(0, 3), max_size=3),
    max_tokens=st.integers(1, 3),
    sampling=st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.5]),
        top_k=st.integers(0, 1),
        seed=st.integers(0, 1),
        logit_bias=st.sampled_from([(), ((1, 1.0),)]),
    ),
    form=st.builds(AnswerForm, stops=st.lists(st.sampled_from(["a", "ab", "b"]), max_size=2).map(tuple)),
    grammar=st.sampled_from([None, "", "a"]),
    choices=st.integers(1, 2),
    alternatives=st.sampled_from([None, 0, 1]),
)


@given(one=works, other=works)
def test_two_have_one_key_exactly_when_they_are_equal(one: Prepared, other: Prepared) -> None:
    assert (fingerprint(one, "w") == fingerprint(other, "w")) == (one == other)
