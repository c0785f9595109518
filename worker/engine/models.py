"""The configured models as requests see them. Each is opened at its first request, and stays open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from schemas.errors import LlmError, Unavailable
from schemas.runtime import log as logs
from worker.engine.catalog import Catalog, Entry
from worker.engine.model import Limits, Model
from worker.engine.shape import Shape
from worker.engine.subset import unsupported
from worker.jobs import Prepared, Request

log = logs.get("worker.models")


class Models:
    """Tokenizers, templates and grammars by name; their weights are the residents' matter."""

    def __init__(self, catalog: Catalog, shape: Shape) -> None:
        self.catalog = catalog
        self._limits = Limits(shape.rows, shape.kv_bytes, shape.default_max_tokens)
        self._open: dict[str, Model] = {}

    def head(self, first: Request, second: Request) -> list[int]:
        with _panics_refused(first):
            return self.find(first.model).head(first, second)

    def prepare(self, request: Request, head: Sequence[int] = ()) -> Prepared:
        """Raises BadRequest, NotFound, Unavailable."""
        with _panics_refused(request):
            return self.find(request.model).prepare(request, head)

    def text(self, work: Prepared) -> str:
        text: str = self.find(work.model).tokenizer.decode(work.prompt)
        return text

    def find(self, name: str | None) -> Model:
        """By name or alias; None is the default. Raises NotFound, or Unavailable for one that does not load."""
        entry = self.catalog.find(name)
        if entry.error is not None:
            raise entry.error
        return self._open.get(entry.name) or self._opened(entry)

    def _opened(self, entry: Entry) -> Model:
        try:
            model = self._open[entry.name] = Model(entry, self._limits)
        except LlmError:
            raise
        except Exception as error:
            raise broken(entry, error) from error
        return model


@contextlib.contextmanager
def _panics_refused(request: Request) -> Iterator[None]:
    """The grammars' compiler is Rust: where it panics, no `Exception` comes, and nobody would ever be answered."""
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as panic:
        log.error("grammar_compiler_panicked", error=str(panic))
        raise unsupported("its compiler cannot read it.", request.grammar_of) from None


def broken(entry: Entry, error: Exception) -> Unavailable:
    """What a caller is told of a model whose files or code failed; the log has the rest."""
    log.error("model_not_loaded", model=entry.name, exc_info=error)
    sentence = f"The model `{entry.name}` cannot be loaded here; the worker's log says why."
    return Unavailable(sentence, param="model", code="model_unavailable")
