"""How something is made wrong: in its fields, in its bytes, in what stands around it. All by one seeded generator."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from schemas.chat import decode_request
from schemas.errors import LlmError
from tests.malformed.good import ARTICLES, COMPLETIONS, HI, REQUESTS, RESPONSES

CHAT_PATH = "/v1/chat/completions"

_STRANGE: list[Callable[[Random], Any]] = [
    lambda _: None,
    lambda _: [],
    lambda _: {},
    lambda _: "",
    lambda _: True,
    lambda r: r.choice([0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, 0.1, 1e-320]),
    lambda r: r.choice([float("nan"), float("inf"), -float("inf")]),  # json writes what is no JSON
    lambda r: "x" * r.choice([1, 64, 65, 1000, 70_000]),
    lambda r: r.choice(["\x00", "\ud800", "<|im_end|>", "\ufdd0", "\u202e", "🚀" * 50, "%s{}`\n\r", "null"]),
    lambda r: r.choice(["text", "function", "user", "tool", "auto", "json_schema", "starter", "gpt-4"]),
    lambda r: [r.choice([1, "a", None, {}, dict(HI)]) for _ in range(r.randrange(5))],
    lambda r: {r.choice(["type", "role", "name", "a", ""]): r.choice([1, "a", None, []])},
    lambda r: _deep(r.choice([3, 40, 120, 201])),
    lambda r: {"$ref": r.choice(["#", "#/$defs/a", "http://127.0.0.1:1/"])},
    lambda r: {"type": r.choice(["object", "array", "string", "x"]), r.choice(_KEYWORDS): r.choice([1, -1, "(", {}])},
]  # fmt: skip
_KEYWORDS = ["pattern", "minimum", "items", "properties", "required", "anyOf", "maxLength", "format", "not"]
_NAMES = [
    "messages",
    "model",
    "stream",
    "n",
    "stop",
    "functions",
    "prediction",
    "title",
    "body",
    "x",
    "",
    "é",
]
_JUNK = [
    b"",
    b"{",
    b"\x00",
    b"\xff\xfe",
    b"[" * 5000,
    b"null",
    b"[]",
    b'"',
    b"{}",
    b"\xef\xbb\xbf{}",
    b" " * 999,
]

_LONGEST_GOOD = 1000  # bytes


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if depth % 2 else {"a": value}
    return value


def request(random: Random) -> bytes:
    """A chat request's body. One that is right after all is short, and asks for one token of the model."""
    while True:
        body = payload(random, REQUESTS)
        try:
            decode_request(body)
        except (LlmError, UnicodeError):
            return body
        if len(body) < _LONGEST_GOOD:
            return _dump(json.loads(body) | {"max_tokens": 1, "max_completion_tokens": 1, "n": 1})


def article(random: Random) -> bytes:
    return payload(random, ARTICLES)


def body(random: Random, path: str) -> bytes:
    """For a POST to this path of the bridge; what nobody has thought of here gets something of all kinds."""
    goods = {"/articles": ARTICLES, "/v1/responses": RESPONSES, "/v1/completions": COMPLETIONS}
    if path == CHAT_PATH:
        return request(random)
    found = payload(random, goods.get(path, [*ARTICLES, *REQUESTS, *RESPONSES, *COMPLETIONS]))
    try:
        value = json.loads(found)
    except (ValueError, RecursionError):
        return found
    return _dump(_cheap(value)) if isinstance(value, dict) else found


def _cheap(value: dict[str, Any]) -> dict[str, Any]:
    """Where it asks for more of the model than a token, it asks for one."""
    limits = {"max_tokens", "max_output_tokens", "max_completion_tokens", "n"}
    wanted = {"max_tokens": 1} if "prompt" in value else {"max_output_tokens": 1} if "input" in value else {}
    large = {
        key: 1 for key in limits & value.keys() if isinstance(value[key], int | None) and value[key] != 0
    }
    return wanted | value | large


def filled(random: Random, path: str) -> str:
    """A path of the bridge's description with something in each of its gaps."""
    gaps = [
        "mini",
        "a1",
        "coin",
        "starter",
        "%00",
        "%ff",
        "%2e%2e",
        "*",
        "a" * 3000,
        "resp_1",
        "file-1",
        "batch_1",
    ]
    return re.sub(r"\{[^}]*\}", lambda _: random.choice(gaps), path)


def payload(random: Random, goods: list[dict[str, Any]]) -> bytes:
    kind = random.random()
    if kind < 0.05:
        return random.choice(_JUNK)
    value = copy.deepcopy(random.choice(goods))
    if kind < 0.75:
        for _ in range(random.choice([1, 1, 1, 2, 4])):
            _spoil(random, value)
        return _dump(value)
    return _bent(random, _dump(value))


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=True).encode()


def _spoil(random: Random, value: Any) -> None:
    """One change somewhere inside."""
    place = random.choice(_places(value))
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    strange = random.choice(_STRANGE)(random)
    change = random.randrange(4)
    if change == 0 and keys:
        del place[random.choice(keys)]
    elif change == 1 and isinstance(place, list):
        place += [copy.deepcopy(random.choice(place)) if place else strange] * random.choice([1, 3, 200])
    elif change == 2 and isinstance(place, dict):
        place[random.choice(_NAMES)] = strange
    elif keys:
        place[random.choice(keys)] = strange


def _places(value: Any) -> list[Any]:
    """All lists and objects in it; some are nested deeper than Python calls."""
    found, left = [], [value]
    while left:
        item = left.pop()
        if isinstance(item, dict | list):
            found.append(item)
            left += item.values() if isinstance(item, dict) else item
    return found


def _bent(random: Random, good: bytes) -> bytes:
    """The same bytes, some of them changed, lost, doubled or new."""
    found = bytearray(good)
    for _ in range(random.choice([1, 1, 2, 8])):
        at = random.randrange(len(found) + 1)
        match random.randrange(4):
            case 0:
                found[at : at + 1] = random.randbytes(1)
            case 1:
                del found[at : at + random.choice([1, 4, 1000])]
            case 2:
                found[at:at] = random.randbytes(random.choice([1, 3, 50]))
            case _:
                found[at:at] = found[at : at + random.choice([1, 10, 100])]
    return bytes(found)


_HEADERS = [
    "Llm-Request-Id",
    "Llm-Deadline",
    "traceparent",
    "Llm-Replace",
    "Status",
    "Nats-Msg-Id",
    "",
    "a b",
    "é",
]
_VALUES = [
    "",
    "x",
    "a.b",
    "1700000000",
    "x" * 65,
    "y" * 5000,
    "2099-01-01T00:00:00Z",
    "é",
    "503",
    "true",
    "\x00",
]
_HEADS = [
    b"",
    b"NATS/1.0",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 \xff\xff\xff\r\n\r\n",
    b"x",
    b"NATS/1.0 100 Idle\r\n\r\n",
]


def nats_head(random: Random) -> bytes | None:
    """A block of headers as it stands on the wire, right or not; None for a message without."""
    kind = random.random()
    if kind < 0.5:
        return None
    if kind < 0.6:
        return random.choice(_HEADS)
    lines = [f"{random.choice(_HEADERS)}: {random.choice(_VALUES)}\r\n" for _ in range(random.randrange(4))]
    head = b"NATS/1.0\r\n" + "".join(lines).encode() + b"\r\n"
    return _bent(random, head) if kind > 0.9 else head


def http_headers(random: Random) -> dict[str, str]:
    names = [
        "X-Request-Id",
        "Llm-Deadline",
        "Traceparent",
        "Content-Type",
        "Accept",
        "Content-Encoding",
        "Expect",
    ]
    values = [
        *_VALUES[:-1],
        "gzip",
        "deflate",
        "br",
        "100-continue",
        "text/html",
        "multipart/form-data",
        "*/*",
    ]
    found = {random.choice(names): random.choice(values) for _ in range(random.choice([0, 0, 1, 2]))}
    return {name: value for name, value in found.items() if value.isascii()}


def token(random: Random, number: int) -> bytes:
    """The last token of an article's subject."""
    odd = [b"\xff", b"a\x0bb", b"a\x0c", b"\x00", b"a" * 65, b"a" * 2000, b"\xef\xbf\xbd", b"*"]
    return random.choice(odd) + b"%d" % number if random.random() < 0.2 else b"a%d" % number


def path(random: Random, known: list[str]) -> str:
    """Of those that the bridge describes, and of some that are none."""
    paths = ["/v1/models/", "/v1/embeddings", "/%00", "/v1/models/%ff", "//", "/v1/models/" + "a" * 3000]
    paths += ["/analyses/coin/%ff", "/articles/%2a/a1", "/dead/coin/" + "a" * 3000, *known]
    return filled(random, random.choice(paths)) + random.choice(
        ["", "", "?x=1", "?%ff", "#a", "?limit=-1&cursor=x"]
    )


def http_bytes(random: Random, body: bytes) -> bytes:
    """A whole request as bytes, bent."""
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    chunked = "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    return _bent(random, random.choice([head, head, chunked]).encode()) + body
