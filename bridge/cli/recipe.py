"""`nats-mlx recipe`: how articles become prompts, seen, tried and changed while all runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bridge.access import connected
from bridge.cli import lines
from bridge.cli.listing import Column, Listing
from bridge.cli.output import json_line, note, say
from bridge.client import Client, recipes
from bridge.settings import Settings
from schemas.articles import Article, article_id, decode_article
from schemas.completion import Choice, Usage
from schemas.errors import BadRequest, LlmError, NotFound
from schemas.recipes import RecipePrompt, need_recipe_name

app = typer.Typer(no_args_is_help=True, help="Recipes: how an article becomes a prompt.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="As in articles.<lane>.NAME.<id>.")]
_File = Annotated[Path, typer.Argument(metavar="FILE", help="The recipe as JSON; `-` is stdin.")]
_Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("ls")
def ls(as_json: _Json = False) -> None:
    """List those that are in force."""
    asyncio.run(_ls(as_json))


@app.command("show")
def show(name: _Name) -> None:
    """Print one as it is stored, to begin one of your own with."""
    asyncio.run(_show(name))


@app.command("put")
def put(name: _Name, file: _File) -> None:
    """Check one, and put it into force: it holds from the next article on."""
    asyncio.run(_put(name, file))


@app.command("test")
def try_out(
    file: _File,
    article: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Articles to try it on, JSON Lines; else a check.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Show prompt, tokens and answer of a recipe; nothing is put, and nothing is stored."""
    if not asyncio.run(_test(file, article, as_json)):
        raise typer.Exit(1)


@app.command("rm")
def rm(name: _Name) -> None:
    """Take one out of force; articles that wait for it, or come for it, are dead."""
    asyncio.run(_rm(name))


async def _ls(as_json: bool) -> None:
    listing = Listing(Column("recipe"), Column("version", 8), Column("model", 24), Column("description"))
    async with connected("operator") as nc:
        for one in await recipes.every(nc):
            known = one.card
            if as_json:
                json_line({"recipe": one.name, "revision": one.revision, "card": known})
            elif known is None:
                listing.add(one.name, "", "", "not a recipe")
            else:
                listing.add(one.name, known.version or "", known.model or "default", known.description or "")
    listing.flush()


async def _show(name: str) -> None:
    async with connected("operator") as nc:
        found = await recipes.get(nc, name)
    sys.stdout.buffer.write(found.text.rstrip(b"\n") + b"\n")
    sys.stdout.flush()


async def _put(name: str, file: Path) -> None:
    need_recipe_name(name)
    text = _read(file)
    async with connected("operator") as nc:
        prompt = await _try(nc, text, None)
        before = await _before(nc, name)
        if before is not None and before.text == text.encode():
            say(f"{name}: in force already (version {prompt.version}, revision {before.revision})")
            return
        revision = await recipes.put(nc, name, text)
    say(f"{name}: in force (version {prompt.version}, revision {revision})")
    if before is not None and before.card is not None and before.card.version == prompt.version:
        note(
            f"The text before it was version {prompt.version} too: analyses cannot tell which of them it was."
        )


async def _before(nc: Client, name: str) -> recipes.Recipe | None:
    try:
        return await recipes.get(nc, name)
    except NotFound:
        return None


async def _test(file: Path, articles: Path | None, as_json: bool) -> bool:
    text = _read(file)
    async with connected("operator") as nc:
        if articles is None:
            _checked(await _try(nc, text, None), as_json)
            return True
        good = True
        async for block in lines.of_files([articles]):
            for line in block:
                try:
                    good &= await _one(nc, text, decode_article(line.text.strip()), as_json)
                except LlmError as error:
                    good = False
                    note(f"{line.where}: {error.message}")
    return good


async def _one(nc: Client, text: str, article: Article, as_json: bool) -> bool:
    """Whether the answer is whole."""
    prompt = await _try(nc, text, article)
    name = article_id(article)
    if not as_json:
        say(
            f"--- {name}: prompt, {prompt.prompt_tokens} tokens, the first {prompt.head_tokens} in each prompt"
        )
        say(prompt.prompt)
    found = await recipes.answer(nc, prompt, Settings.load().request_timeout)
    choice, whole = found.choices[0], found.choices[0].finish_reason == "stop"
    if as_json:
        json_line({"id": name} | _fields(prompt, choice, found.usage, whole))
    else:
        say(f"--- {name}: answer, {found.usage.completion_tokens} tokens")
        say(choice.message.content or "")
    if not whole:
        note(f"{name}: the answer did not end within {prompt.request.max_tokens} tokens: raise `max_tokens`.")
    return whole


def _fields(prompt: RecipePrompt, choice: Choice, usage: Usage, whole: bool) -> dict[str, Any]:
    content = choice.message.content or ""
    return {
        "version": prompt.version,
        "model": prompt.model,
        "prompt": prompt.prompt,
        "prompt_tokens": prompt.prompt_tokens,
        "head_tokens": prompt.head_tokens,
        "completion_tokens": usage.completion_tokens,
        "answer": msgspec.Raw(content.encode()) if whole else content,
    }


def _checked(prompt: RecipePrompt, as_json: bool) -> None:
    if as_json:
        json_line({"version": prompt.version, "model": prompt.model})
    else:
        say(f"valid: version {prompt.version}, for {prompt.model}")


async def _try(nc: Client, text: str, article: Article | None) -> RecipePrompt:
    return await recipes.try_(nc, text, article, Settings.load().request_timeout)


async def _rm(name: str) -> None:
    async with connected("operator") as nc:
        await recipes.remove(nc, await recipes.get(nc, name))
    say(f"{name}: removed")


def _read(file: Path) -> str:
    raw = sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadRequest(f"{file} is not text in UTF-8.") from None
