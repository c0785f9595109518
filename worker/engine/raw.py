"""A raw prompt's tokens: what its author wrote, as it is, with no template around it."""

from __future__ import annotations

from typing import Any

from schemas.errors import BadRequest
from schemas.text import TextRequest
from worker.engine.prompt import Rendered
from worker.jobs import AnswerForm


def render(tokenizer: Any, vocabulary: int, request: TextRequest) -> Rendered:
    """Of one prompt. Raises BadRequest for one without tokens, or with tokens that there are not.

    The text is tokenised as the tokenizer does it by itself: `<|im_end|>` is the control token, since whoever
    writes a raw prompt writes its template, too; and what the model expects before all text is put there.
    """
    [prompt] = request.prompts
    tokens: list[int] = tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
    if not tokens:
        raise BadRequest("`prompt` has no tokens; give at least one.", param="prompt", code="invalid_value")
    # Checked here: a token outside the vocabulary is a memory error inside MLX.
    if (highest := max(tokens)) >= vocabulary:
        reason = f"`{highest}` in `prompt` is not a token id of this model (0 to {vocabulary - 1})."
        raise BadRequest(reason, param="prompt", code="invalid_value")
    return Rendered(tokens, AnswerForm(stops=request.stops, goes_on=True))
