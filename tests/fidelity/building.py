"""Words for JSON Schemas, so that a page holds two hundred of them."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def text(most: int = 12, **more: Any) -> Schema:
    return {"type": "string", "maxLength": most, **more}


def of(pattern: str) -> Schema:
    return {"type": "string", "pattern": pattern}


def form(name: str) -> Schema:
    return {"type": "string", "format": name}


def whole(low: int, high: int, **more: Any) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high, **more}


def number(low: float, high: float, step: float = 0.01) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high, "multipleOf": step}


def one(*values: Any) -> Schema:
    return {"enum": list(values)}


def array(items: Schema, most: int = 3, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def either(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def maybe(schema: Schema) -> Schema:
    return either(schema, {"type": "null"})


def record(**fields: Schema) -> Schema:
    """An object of these fields and no others; a trailing `_` makes a field optional."""
    return {
        "type": "object",
        "properties": {name.rstrip("_"): schema for name, schema in fields.items()},
        "required": [name for name in fields if not name.endswith("_")],
        "additionalProperties": False,
    }


def table(values: Schema, keys: str = "^[a-z]{1,6}$", most: int = 2) -> Schema:
    """An object as a map: any keys of a kind, all values of one shape."""
    return {
        "type": "object",
        "patternProperties": {keys: values},
        "additionalProperties": False,
        "maxProperties": most,
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def defs(schema: Schema, **named: Schema) -> Schema:
    return {"$defs": named} | schema
