"""`nats-mlx chat`: ask once, or talk."""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Annotated

import typer
from rich.text import Text

from bridge.access import connected
from bridge.cli import lines
from bridge.cli.output import err, note, plain
from bridge.client import Client
from bridge.client.chat import NoResponder, stream
from bridge.settings import Settings
from schemas import subjects
from schemas.codec import decode, encode
from schemas.completion import ChatChunk, Delta
from schemas.errors import ErrorBody, LlmError, NotFound, Unavailable

_Message = dict[str, str]


def chat(
    prompt: Annotated[str | None, typer.Argument(help="Without: stdin, or a conversation.")] = None,
    model: Annotated[str | None, typer.Option(help="Without: the worker's default.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model should be or do.")] = None,
) -> None:
    """Ask the model; the answer appears as it is written."""
    asyncio.run(_chat(prompt, model, system))


async def _chat(prompt: str | None, model: str | None, system: str | None) -> None:
    if prompt is None and not sys.stdin.isatty():
        piped = [line async for line in lines.of_descriptor(sys.stdin.fileno())]
        prompt = b"\n".join(piped).decode(errors="replace")
    if prompt is not None and not prompt.strip():
        raise typer.BadParameter("the prompt is empty: there is nothing to ask")
    history: list[_Message] = [{"role": "system", "content": system}] if system else []
    async with connected("publisher") as nc:
        talk = _Talk(nc, model, history)
        if prompt is not None:
            await talk.ask(prompt)
        else:
            await _converse(talk)


async def _converse(talk: _Talk) -> None:
    note("Ctrl-D ends the conversation.")
    _prompt()
    async for line in lines.of_descriptor(sys.stdin.fileno()):
        if text := line.decode(errors="replace").strip():
            try:
                await talk.ask(text)
            except LlmError as error:  # a conversation survives one failed answer
                note(f"error: {error.message}")
        _prompt()


def _prompt() -> None:
    sys.stderr.write("> ")
    sys.stderr.flush()


class _Talk:
    """A conversation; only what was answered whole becomes part of it."""

    def __init__(self, nc: Client, model: str | None, history: list[_Message]) -> None:
        self._nc = nc
        self._model = model
        self._history = history
        self._settings = Settings.load()

    async def ask(self, text: str) -> None:
        messages = [*self._history, {"role": "user", "content": text}]
        answer = await self._answer(messages)
        self._history = [*messages, {"role": "assistant", "content": answer}]

    async def _answer(self, messages: list[_Message]) -> str:
        body: dict[str, object] = {"messages": messages, "stream": True}
        body |= {"model": self._model} if self._model else {}
        subject = subjects.of_model(subjects.CHAT, self._model) if self._model else subjects.CHAT
        headers = {subjects.REQUEST_ID: uuid.uuid4().hex}
        first, idle = self._settings.request_timeout, self._settings.idle_timeout
        screen = _Screen()
        try:
            async with stream(self._nc, subject, encode(body), headers, first=first, idle=idle) as replies:
                async for reply in replies:
                    if not reply.ok:
                        raise _error(reply.body)
                    for choice in decode(ChatChunk, reply.body).choices:
                        screen.show(choice.delta)
        except NoResponder:
            raise self._nobody() from None
        finally:
            screen.end()
        return screen.answer

    def _nobody(self) -> LlmError:
        if self._model is None:
            return Unavailable("No worker is there to answer: start `nats-mlx up` or `nats-mlx worker`.")
        return NotFound(f"No worker serves the model `{self._model}`: `nats-mlx status` shows who is there.")


class _Screen:
    """The answer on stdout, as it is written; before it what the model thinks, dimmed and beside the data."""

    def __init__(self) -> None:
        self.answer = ""
        self._thinking = False

    def show(self, delta: Delta) -> None:
        if thought := delta.reasoning_content:
            self._thinking = True
            err.print(Text(plain(thought), style="dim"), end="", soft_wrap=True)
        if text := delta.content:
            self._end_of_thoughts()
            self.answer += text
            sys.stdout.write(plain(text))
            sys.stdout.flush()

    def end(self) -> None:
        self._end_of_thoughts()
        if self.answer:
            sys.stdout.write("\n")
            sys.stdout.flush()

    def _end_of_thoughts(self) -> None:
        if self._thinking:
            self._thinking = False
            err.print()


def _error(body: bytes) -> LlmError:
    return LlmError(decode(ErrorBody, body).error.message)
