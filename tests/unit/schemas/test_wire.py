"""How large a message is, as the server counts it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas import wire

NAMES = st.text("ABCabc-", min_size=1)
VALUES = st.text().map(lambda text: "".join(text.split()))


@given(st.binary(), st.dictionaries(NAMES, VALUES))
def test_a_message_has_its_payload_and_its_headers_in_bytes(payload: bytes, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    block = f"NATS/1.0\r\n{lines}\r\n".encode() if headers else b""
    assert wire.size(payload, headers) == len(block + payload)
