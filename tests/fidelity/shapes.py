"""JSON Schemas as people write them, built anew after the shapes of public collections.

Forms, calls of functions, settings files, extraction, records of APIs: small enough that a small model ends
most of them, and every keyword that the engine enforces is among them.
"""

from __future__ import annotations

from tests.fidelity.building import (
    Schema,
    array,
    defs,
    either,
    form,
    maybe,
    number,
    of,
    one,
    record,
    ref,
    table,
    text,
    whole,
)

YES: Schema = {"type": "boolean"}
NULL: Schema = {"type": "null"}
COIN = one("BTC", "ETH", "SOL", "XRP")
MOOD = one("bullish", "bearish", "neutral")
LEVEL = whole(1, 5)
SHARE = number(0, 1)
TICKER = of("^[A-Z]{3,5}$")
SLUG = of("^[a-z]+(-[a-z]+){0,2}$")
HEX = of("^#[0-9a-f]{6}$")
TIME = of("^([01][0-9]|2[0-3]):[0-5][0-9]$")
VERSION = of("^[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{1,2}$")
PHONE = of("^\\+[0-9]{8,12}$")
PLACE = record(lat=whole(-90, 90), lon=whole(-180, 180))
MONEY = record(amount=number(0, 999), currency=one("EUR", "KRW", "USD"))

# What a field can be on its own: each alone, in an array, in a record, optional, nullable.
ATOMS: dict[str, Schema] = {
    "yes": YES,
    "coin": COIN,
    "level": LEVEL,
    "share": SHARE,
    "ticker": TICKER,
    "slug": SLUG,
    "colour": HEX,
    "clock": TIME,
    "version": VERSION,
    "phone": PHONE,
    "word": text(8, minLength=1),
    "note": text(16),
    "date": form("date"),
    "time": form("time"),
    "moment": form("date-time"),
    "uuid": form("uuid"),
    "address": form("ipv4"),
    "six": form("ipv6"),
    "mixed": one(0, 1, "auto", None, True),
    "fixed": {"const": "v1"},
    "year": whole(1900, 2100),
    "even": whole(0, 100, multipleOf=2),
    "below": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 10},
    "negative": whole(-99, -1),
    "quarter": number(-2, 2, 0.25),
    "kinds": {"type": ["integer", "boolean"], "minimum": 0, "maximum": 9},
    "korean": one("상승", "하락", "보합"),
    "pair": {"type": "array", "prefixItems": [COIN, LEVEL], "items": False, "minItems": 2},
    "literal": {"const": {"version": 1, "flags": [True, None, "x"]}},
    "switch": either({"const": "off"}, whole(1, 9)),
}

EXTRACTION: dict[str, Schema] = {
    "news": record(sentiment=MOOD, coins=array(COIN), importance=LEVEL, summary=text(24), confidence=SHARE),
    "headline": record(title=text(24), subtitle_=text(24), tags=array(text(6, minLength=1))),
    "person": record(
        name=text(16, minLength=1), age=whole(0, 120), email_=of("^[a-z]{1,8}@[a-z]{2,6}\\.com$")
    ),
    "people": array(record(name=text(8), role=one("author", "editor", "reader")), 2, 1),
    "event": record(what=text(16), when=form("date"), where=maybe(text(10))),
    "place": record(name=text(12), at=PLACE, country=of("^[A-Z]{2}$")),
    "invoice": record(number=of("^INV-[0-9]{4}$"), total=MONEY, paid=YES),
    "receipt": record(lines=array(record(item=text(8), price=number(0, 99)), 2, 1), total=number(0, 999)),
    "recipe": record(dish=text(12), minutes=whole(1, 240), steps=array(text(12), 3, 1)),
    "review": record(stars=LEVEL, pros=array(text(8), 2), cons=array(text(8), 2)),
    "claims": array(record(claim=text(16), certain=YES), 2, 1),
    "relations": array(record(subject=text(8), verb=one("owns", "sues", "buys"), object=text(8)), 2, 1),
    "entities": record(people=array(text(8), 2), firms=array(text(8), 2), coins=array(TICKER, 2)),
    "quote": record(speaker=text(10), words=text(24), at_=form("date-time")),
    "price": record(symbol=TICKER, price=number(0, 100000), change=number(-100, 100)),
    "weather": record(city=text(10), celsius=whole(-50, 50), sky=one("clear", "cloudy", "rain", "snow")),
    "language": record(code=of("^[a-z]{2}(-[A-Z]{2})?$"), sure=SHARE),
    "choice": record(answer=one("A", "B", "C", "D"), why=text(24)),
    "steps": record(thought=text(24), steps=array(record(n=whole(1, 9), do=text(10)), 2, 1), result=text(10)),
    "topics": {"type": "array", "items": one("law", "price", "tech", "hack"), "minItems": 1, "maxItems": 3},
    "labels": table(SHARE, "^(spam|ham|unsure)$", 3),
    "timeline": array(record(year=whole(2008, 2030), what=text(10)), 2, 1),
    "comparison": record(left=COIN, right=COIN, better=one("left", "right", "same"), by=SHARE),
    "question": record(question=text(20), answer=maybe(text(12)), pages=array(whole(1, 99), 3)),
}

CALLS: dict[str, Schema] = {
    "get_weather": record(city=text(10), unit_=one("celsius", "fahrenheit")),
    "send_mail": record(to=array(of("^[a-z]{1,6}@[a-z]{1,6}\\.org$"), 2, 1), subject=text(12), body=text(20)),
    "search": record(query=text(16), limit_=whole(1, 50), safe_=YES),
    "book_table": record(people=whole(1, 12), day=form("date"), at=TIME, note_=text(12)),
    "convert": record(amount=number(0, 1000), source=TICKER, target=TICKER),
    "set_alarm": record(at=TIME, days_=array(one("mon", "tue", "wed"), 3), sound_=YES),
    "move": record(dx=whole(-10, 10), dy=whole(-10, 10), fast=YES),
    "play": record(song=text(12), by_=text(10), volume_=whole(0, 100)),
    "query_rows": record(table=SLUG, where_=table(text(6)), limit=whole(1, 100)),
    "create_issue": record(title=text(16), labels=array(one("bug", "docs", "idea")), assignee=maybe(text(8))),
    "place_order": record(
        side=one("buy", "sell"), symbol=TICKER, size=number(0.01, 10), limit_=number(0, 999)
    ),
    "cancel_order": record(id=form("uuid"), reason_=text(12)),
    "route": record(start=PLACE, end=PLACE, by=one("car", "bike", "foot")),
    "translate": record(text=text(16), to=of("^[a-z]{2}$"), formal_=YES),
    "remember": record(key=SLUG, value=either(text(8), whole(0, 99), YES)),
    "resize": record(width=whole(1, 4096), height=whole(1, 4096), keep_ratio=YES),
    "paint": record(shape=one("circle", "square"), fill=HEX, stroke_=HEX),
    "wait": record(seconds=number(0, 60, 0.5)),
    "no_arguments": record(),
    "one_of_calls": either(
        record(name={"const": "stop"}, arguments=record()),
        record(name={"const": "go"}, arguments=record(speed=LEVEL)),
    ),
    "calls": array(record(name=one("up", "down"), arguments=record(by=LEVEL)), 2, 1),
    "subscribe": record(subject=of("^[a-z]{1,5}(\\.[a-z*]{1,5}){0,2}$"), queue_=text(6)),
    "vote": record(poll=whole(1, 999), choices=array(whole(0, 9), 3, 1)),
    "plan": record(goal=text(12), budget=maybe(MONEY), parts=array(text(8), 2)),
}

SETTINGS: dict[str, Schema] = {
    "server": record(host=form("ipv4"), port=whole(1, 65535), tls_=YES),
    "logging": record(level=one("debug", "info", "warning", "error"), file=maybe(text(10)), json=YES),
    "package": record(name=SLUG, version=VERSION, private_=YES, scripts_=table(text(8))),
    "container": record(
        image=of("^[a-z]{2,6}:[0-9]\\.[0-9]$"), ports=array(whole(1, 9999), 2), env=table(text(6))
    ),
    "workflow": record(
        on=one("push", "tag"), jobs=table(record(runs=text(8), needs_=array(text(4), 2)), most=1)
    ),
    "compose": record(services=table(record(image=SLUG, restart_=one("no", "always")), most=1)),
    "editor": record(tab=one(2, 4, 8), theme=one("dark", "light"), rulers=array(whole(60, 120), 2)),
    "linter": record(rules=table(either(one("off", "warn", "error"), whole(0, 2)), "^[a-z]{2,6}$")),
    "cron": record(minute=whole(0, 59), hour=whole(0, 23), command=text(12)),
    "database": record(
        url=of("^(pg|my)://[a-z]{1,6}/[a-z]{1,6}$"), pool=whole(1, 20), timeout=number(0.1, 30, 0.1)
    ),
    "cache": either(record(kind={"const": "none"}), record(kind={"const": "disk"}, size=whole(1, 999))),
    "flags": record(beta=YES, dark=YES, beta_users=array(whole(1, 999), 2)),
    "theme": record(primary=HEX, secondary=HEX, radius=whole(0, 32)),
    "rate": record(per=one("second", "minute"), limit=whole(1, 1000), burst_=whole(1, 100)),
    "backup": record(keep=record(daily=whole(0, 30), weekly=whole(0, 10)), at=TIME),
    "alerts": array(record(if_above=number(0, 1), tell=one("mail", "chat")), 2),
    "paths": {"type": "object", "additionalProperties": text(6), "maxProperties": 2},
    "limits": record(cpu=number(0.1, 8, 0.1), memory=of("^[0-9]{1,3}(Mi|Gi)$")),
    "proxy": record(http=maybe(text(10)), https=maybe(text(10)), skip=array(text(6), 2)),
    "matrix": record(os=array(one("linux", "macos"), 2, 1), python=array(one("3.11", "3.12", "3.13"), 2, 1)),
    "units": record(length=one("m", "ft"), mass=one("kg", "lb"), locale=of("^[a-z]{2}_[A-Z]{2}$")),
    "retry": record(most=whole(0, 9), delay=number(0, 10, 0.5), codes=array(whole(400, 599), 3)),
}

STRUCTURES: dict[str, Schema] = {
    "shared_definition": defs(record(home=ref("place"), work_=ref("place")), place=PLACE),
    "chained": defs(ref("outer"), outer=record(inner=ref("inner")), inner=record(level=LEVEL)),
    "in_array": defs(array(ref("coin"), 3, 1), coin=COIN),
    "old_definitions": {
        "definitions": {"money": MONEY},
        **record(price={"$ref": "#/definitions/money"}, tip_={"$ref": "#/definitions/money"}),
    },
    "tree": defs(
        ref("leaf_or_node"),
        leaf_or_node=either(whole(0, 9), record(left=whole(0, 9), right=maybe(whole(0, 9)))),
    ),
    "recursive": defs(ref("item"), item=record(id=whole(0, 9), next=maybe(ref("item")))),
    "tuple": {"type": "array", "prefixItems": [COIN, SHARE, YES], "items": False, "minItems": 3},
    "tuple_and_more": {"type": "array", "prefixItems": [COIN], "items": LEVEL, "minItems": 1, "maxItems": 4},
    "matrix": array(array(whole(0, 9), 3, 3), 2, 2),
    "deep": record(a=record(b=record(c=record(d=record(e=YES))))),
    "deep_arrays": array(array(array(one(0, 1), 2), 2), 2),
    "wide": record(**dict.fromkeys("abcdefghijkl", YES)),
    "all_optional": record(a_=YES, b_=LEVEL, c_=text(5), d_=COIN),
    "optional_between": record(a=YES, b_=LEVEL, c=YES, d_=COIN, e=YES),
    "map_of_numbers": table(whole(0, 99)),
    "map_of_records": table(record(x=YES), most=1),
    "map_of_arrays": table(array(LEVEL, 2), most=1),
    "known_and_others": {
        "type": "object",
        "properties": {"id": whole(0, 9)},
        "required": ["id"],
        "additionalProperties": LEVEL,
        "maxProperties": 2,
    },
    "two_patterns": {
        "type": "object",
        "patternProperties": {"^n_[a-z]{1,3}$": whole(0, 9), "^b_[a-z]{1,3}$": YES},
        "additionalProperties": False,
        "maxProperties": 2,
    },
    "three_kinds": either(text(6), whole(0, 99), array(YES, 2)),
    "tagged": either(
        record(type={"const": "circle"}, radius=whole(1, 9)),
        record(type={"const": "square"}, side=whole(1, 9)),
        record(type={"const": "text"}, words=text(8)),
    ),
    "tagged_in_array": array(
        either(record(op={"const": "add"}, n=whole(0, 9)), record(op={"const": "clear"})), 2, 1
    ),
    "exactly_one": {
        "oneOf": [record(ok={"const": True}, value=LEVEL), record(ok={"const": False}, why=text(8))]
    },
    "all_of": {"allOf": [{"type": "integer", "minimum": 1}, {"maximum": 7}]},
    "all_of_records": {
        "allOf": [
            {"type": "object", "properties": {"a": YES}, "required": ["a"]},
            {"properties": {"b": LEVEL}, "required": ["b"]},
            {"properties": {"a": YES, "b": LEVEL}, "additionalProperties": False},
        ]
    },
    "types": {"type": ["string", "null"], "maxLength": 6},
    "nullable_everywhere": record(a=maybe(YES), b=maybe(LEVEL), c=maybe(text(5)), d=maybe(array(YES, 2))),
    "enum_of_kinds": one("a", 1, 2.5, None, False, [1], {"k": "v"}),
    "const_array": {"const": [1, "two", None]},
    "quotes": one('say "hi"', "back\\slash", "new\nline", "tab\there"),
    "unicode_keys": record(**{"가격": whole(0, 9), "naïve": YES, "🚀": LEVEL}),
    "odd_keys": record(**{"a b": YES, "c.d": LEVEL, "$e": YES, "": LEVEL}),
    "unicode_values": one("안녕", "été", "🚀🚀", "日本"),
    "described": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Answer",
        "description": "What the caller wants to know",
        **record(answer={**text(10), "description": "in a word", "examples": ["yes"], "default": "no"}),
    },
    "only_required": {
        "type": "object",
        "required": ["a"],
        "properties": {"a": LEVEL},
        "additionalProperties": False,
    },
    "nothing_allowed": {"type": "array", "maxItems": 0},
    "exact_length": {"type": "string", "minLength": 4, "maxLength": 4},
    "exact_count": array(YES, 3, 3),
    "exact_number": whole(7, 7),
    "long_enum": one(*(f"option-{at}" for at in range(60))),
    "big_bounds": whole(-(10**12), 10**12),
    "anchored_within": of("^(yes|no|maybe)( please)?$"),
    "unanchored": {"type": "string", "pattern": "^x", "maxLength": 8},
    "classes": of("^[\\w-]{1,6}\\s\\d{2}$"),
}


def _around() -> dict[str, Schema]:
    """Every atom where fields stand in practice."""
    found: dict[str, Schema] = {}
    for name, schema in ATOMS.items():
        found[name] = schema
        found[f"{name}-field"] = record(id=whole(1, 99), **{name: schema}, note_=text(6))
        found[f"{name}-list"] = record(items=array(schema, 2, 1), total=LEVEL)
        found[f"{name}-maybe"] = record(**{name: maybe(schema), f"old_{name}_": schema})
    return found


SHAPES: dict[str, Schema] = {
    f"{group}/{name}": schema
    for group, shapes in {
        "atoms": _around(),
        "extraction": EXTRACTION,
        "calls": CALLS,
        "settings": SETTINGS,
        "structures": STRUCTURES,
    }.items()
    for name, schema in shapes.items()
}

# What the engine does not enforce is refused, never ignored.
OUTSIDE: dict[str, Schema] = {
    "unique": {**array(COIN), "uniqueItems": True},
    "contains": {**array(COIN), "contains": {"const": "BTC"}},
    "conditional": {"if": {"const": 1}, "then": whole(1, 1), "else": text()},
    "not": {"not": {"type": "string"}},
    "dependent": {**record(a_=YES, b_=YES), "dependentRequired": {"a": ["b"]}},
    "names": {**table(YES), "propertyNames": {"maxLength": 3}},
    "no_such_definition": {"$ref": "#/$defs/none"},
    "elsewhere": {"$ref": "https://example.org/schema.json"},
    "impossible": whole(5, 1),
    "look_ahead": of("^(?=a)b$"),
}
