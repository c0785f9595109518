"""A fuzzer on all that is decoded off the wire: `python -m tests.fuzz.codec CORPUS -max_total_time=60`.

Whatever is no value has to be the one documented error; anything else is written to a file `crash-...`.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["schemas"]):
    from schemas import subjects
    from schemas.articles import Analysis, CachedAnswer, DeadLetter, decode_article
    from schemas.chat import decode_request
    from schemas.codec import decode, encode
    from schemas.completion import ChatChunk, ChatCompletion
    from schemas.errors import BadRequest, ErrorBody
    from schemas.presence import Presence
    from schemas.responses.request import decode_request as decode_response_request
    from schemas.responses.response import KeptResponse
    from schemas.text import TextCompletion, decode_text_request

KINDS = (Analysis, CachedAnswer, ChatChunk, ChatCompletion, ErrorBody, KeptResponse, Presence, TextCompletion)


def one(data: bytes) -> None:
    """One input for all of them: what is junk to one is nearly right for another."""
    for decoder in (decode_request, decode_article, decode_response_request, decode_text_request):
        _round(decoder, data)
    for kind in KINDS:
        _round(lambda payload, kind=kind: decode(kind, payload), data)
    _headers(data)


def _round(decoder: object, data: bytes) -> None:
    try:
        value = decoder(data)  # type: ignore[operator]
    except BadRequest as error:
        assert error.code, "a refusal without a code"
        encode(error.body())
    else:
        assert decoder(encode(value)) == value, "a value that does not survive"  # type: ignore[operator]


def _headers(data: bytes) -> None:
    text = data.decode(errors="replace")
    lines = [line.partition(":") for line in text.split("\n")]
    try:
        letter = DeadLetter.from_headers({name.strip(): value.strip() for name, _, value in lines})
        assert DeadLetter.from_headers(letter.headers()) == letter, "a letter that does not survive"
    except BadRequest:
        pass
    try:
        subjects.parse_article(text)
    except BadRequest:
        pass
    else:
        assert subjects.dead_article("ARTICLES", text)
    assert subjects.is_token(subjects.id_token(text))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
