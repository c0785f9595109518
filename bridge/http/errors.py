"""Every answer that is an error looks as OpenAI's do, whoever found it: the worker, the bridge or aiohttp."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.http import body
from bridge.http.context import CALL, SETTINGS, call_of
from schemas.codec import encode
from schemas.errors import BadRequest, LlmError, NotFound
from schemas.runtime import log

_log = log.get("bridge.http")
# Seconds after which it is worth to ask again, by status, where an error does not say.
_RETRY_AFTER = {429: 2, 503: 5}
# Paths of OpenAI's API that a client may look for.
_ABSENT = {
    "/v1/embeddings": "embeddings",
    "/v1/audio": "speech or transcripts",
    "/v1/images": "images",
    "/v1/moderations": "moderations",
    "/v1/conversations": "conversations but by `previous_response_id`",
    "/v1/fine_tuning": "fine-tuning jobs",
    "/v1/assistants": "assistants",
    "/v1/threads": "threads",
    "/v1/vector_stores": "vector stores",
    "/v1/uploads": "uploads in parts",
    "/v1/videos": "videos",
    "/v1/realtime": "realtime sessions",
    "/v1/containers": "containers",
    "/v1/evals": "evaluations",
    "/v1/organization": "organizations",
}


def json(body: bytes, status: int = 200, retry_after: int | None = None) -> web.Response:
    """An answer of JSON bytes as they are."""
    response = web.Response(body=body, status=status, content_type="application/json")
    seconds = _RETRY_AFTER.get(status) if retry_after is None else retry_after
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


def answer(error: LlmError, status: int | None = None) -> web.Response:
    return json(encode(error.body()), status or error.status, error.retry_after)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer, and never show its insides."""
    try:
        return await handler(request)
    except LlmError as error:
        if request.writer.output_size:
            _log.warning("answer_broken_off", path=request[CALL].path, reason=error.message)
            raise ConnectionAbortedError from error  # as below: what is sent cannot become an error any more
        return answer(error)
    except web.HTTPException as error:
        return of_aiohttp(request, error)
    except web.RequestPayloadError:
        return answer(
            BadRequest(
                "The request body cannot be decoded; check Content-Encoding and its length.",
                code="invalid_body",
            )
        )
    except ConnectionError:
        raise  # the client is gone: nobody is left to answer
    except Exception:
        _log.exception("unexpected_error", path=request[CALL].path)
        if request.writer.output_size:
            raise  # an answer has begun: aiohttp closes the connection, which the client sees as broken
        return answer(LlmError("The bridge failed on this request; its log tells why under x-request-id."))


async def say_when_closing(request: web.Request, response: web.StreamResponse) -> None:
    """aiohttp closes a connection whose body it cannot decode: who is not told sends the next request there."""
    if request.content.exception() is not None:
        response.force_close()
        response.headers["Connection"] = "close"


def of_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    """Its HTML or plain text as an error of ours."""
    where = f"{request.method} {call_of(request).path}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"Method not allowed ({where}); this path takes {allowed}."
        response = answer(BadRequest(message, code="method_not_allowed"), error.status)
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return answer(body.too_large(request.app[SETTINGS].max_body))
    if isinstance(error, web.HTTPNotFound):
        return answer(NotFound(_unknown(request.path, where), code="unknown_url"))
    kind = BadRequest if error.status < LlmError.status else LlmError
    code = error.reason.lower().replace(" ", "_").replace("-", "_")
    return answer(kind(f"{error.reason} ({where}).", code=code), error.status)


def _unknown(path: str, where: str) -> str:
    for prefix, what in _ABSENT.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return f"There are no {what} here ({where}); `/openapi.json` lists what there is."
    return f"Unknown path ({where})."
