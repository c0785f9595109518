"""The fuzzer for a bounded time, from the golden bytes on; what it finds is shown, to become a test of its own."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from schemas.articles import DeadLetter
from tests.malformed.good import ARTICLES, REQUESTS
from tests.unit.schemas.test_article_messages import LETTER

ROOT = Path(__file__).parents[2]
SECONDS, SEED = 20, 1


def golden() -> Iterator[bytes]:
    """Each text of bytes in the contract's golden tests, and the good of the malformed requests."""
    for file in sorted((ROOT / "tests" / "contract").glob("test_golden_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                yield node.value
    for good in (*REQUESTS, *ARTICLES):
        yield json.dumps(good).encode()
    letter: DeadLetter = LETTER
    yield "\n".join(f"{name}: {value}" for name, value in letter.headers().items()).encode()
    yield b"articles.norm.coin.a1"


def test_there_is_something_to_begin_with() -> None:
    found = set(golden())
    assert len(found) > 30
    assert any(b'"chat.completion.chunk"' in one for one in found)


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this platform")
def test_nothing_is_found(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for one in golden():
        (corpus / hashlib.sha256(one).hexdigest()[:16]).write_bytes(one)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.codec", f"-max_total_time={SECONDS}", f"-seed={SEED}",
         # A process inherits the peak of the one that started it, and this one has run models.
         "-rss_limit_mb=0", "-malloc_limit_mb=1024", "-max_len=4096", "-timeout=5",
         f"-artifact_prefix={tmp_path}/", str(corpus)],
        cwd=ROOT, capture_output=True, text=True, check=False, errors="replace",
    )  # fmt: skip
    sys.stdout.write(f"seed {SEED}\n{done.stderr[-2000:]}")
    found = [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()]
    assert (done.returncode, found) == (0, []), done.stdout + done.stderr[-4000:]
