"""Recipes on trial: checked as articles would meet them, before they are put into the bucket."""

from __future__ import annotations

from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import subjects
from schemas.codec import decode, encode
from schemas.errors import EngineFailed, LlmError
from schemas.recipes import RecipePrompt, RecipeTrial
from schemas.runtime import log as logs
from worker.engine.engine import Engine
from worker.recipes import PROBES, parse
from worker.transport.micro import Endpoint
from worker.transport.replies import Caller, new_id
from worker.transport.served import per_model, schemas_of

log = logs.get("worker.trials")


class Trials:
    """Answers `llm.v1.recipe`, and `llm.v1.recipe.<model>`. Nothing is computed by the model, nothing is stored."""

    def __init__(self, nc: Client, engine: Engine) -> None:
        self._nc = nc
        self._engine = engine

    def endpoints(self) -> list[Endpoint]:
        metadata = schemas_of(request=RecipeTrial, response=RecipePrompt)
        # The recipe itself says which model it is for: on any of the subjects the answer is the same.
        return per_model(self._engine.catalog, "recipe", subjects.RECIPE, lambda _: self._answer, metadata)

    async def _answer(self, msg: Msg) -> str | None:
        error: LlmError
        caller = Caller(self._nc, msg.reply, new_id(self._nc))
        try:
            await caller.send(encode(await self._try(decode(RecipeTrial, msg.data))), {})
            return None
        except LlmError as known:
            error = known
        except Exception:
            log.exception("recipe_trial_failed")
            error = EngineFailed("The worker failed on this recipe; its log says why.")
        await caller.fail(error)
        return error.message

    async def _try(self, trial: RecipeTrial) -> RecipePrompt:
        recipe = parse(trial.recipe.encode())
        # As it is loaded for the first article: what these two do not survive, none would.
        head = await self._engine.head(*map(recipe.request, PROBES))
        request = recipe.request(trial.article or PROBES[0])
        work = await self._engine.prepare(request, head)
        return RecipePrompt(
            version=recipe.version,
            model=work.model,
            prompt=await self._engine.text(work),
            prompt_tokens=len(work.prompt),
            head_tokens=work.head,
            request=request,
        )
