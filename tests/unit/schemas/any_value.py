"""JSON values of a type of the contract, within all that the type says: what a careful client might send."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect

from tests.unit.schemas.test_codec import json_values

_OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
_MOMENTS = st.datetimes(timezones=_OFFSETS).map(dt.datetime.isoformat)


def of(kind: Any) -> st.SearchStrategy[Any]:
    return _of(inspect.type_info(kind))


def _of(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.StructType():
            return _struct(info)
        case inspect.UnionType(types=types):
            return st.one_of(*map(_of, types))
        case inspect.ListType(item_type=item, min_length=least, max_length=most):
            return st.lists(_of(item), min_size=least or 0, max_size=min(most or 3, 3))
        case inspect.DictType(value_type=value):
            return st.dictionaries(st.text(max_size=8), _of(value), max_size=3)
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern.removesuffix(r"(?!\n)").replace("$", r"\Z"))
        case inspect.StrType(min_length=least):
            return st.text(min_size=least or 0, max_size=20)
        case inspect.IntType(ge=least, le=most):
            return st.integers(-(2**63) if least is None else least, 2**63 - 1 if most is None else most)
        case inspect.FloatType(ge=least, le=most):
            return st.floats(least, most, allow_nan=False, allow_infinity=False)
        case inspect.DateTimeType():
            return _MOMENTS
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.AnyType():
            return json_values
    raise AssertionError(f"no values of {info}")


def _struct(info: inspect.StructType) -> st.SearchStrategy[dict[str, Any]]:
    fields = {field.encode_name: _of(_told(field.type)) for field in info.fields}
    needed = {field.encode_name for field in info.fields if field.required}
    own: dict[str, Any] = {info.tag_field: st.just(info.tag)} if info.tag_field else {}
    return st.fixed_dictionaries(
        own | {name: fields[name] for name in needed},
        optional={name: value for name, value in fields.items() if name not in needed},
    )


def _told(info: inspect.Type) -> inspect.Type:
    """Without "not there", which is said by leaving the field out."""
    if not isinstance(info, inspect.UnionType):
        return info
    return inspect.UnionType(tuple(one for one in info.types if not isinstance(one, _Unset)))


_Unset = type(inspect.type_info(msgspec.UnsetType))
