"""What the HTTP side takes and gives, path by path: the table behind `/openapi.json`, which grows with the routes."""

from __future__ import annotations

from bridge.http import responses
from bridge.http.batch_endpoints import BATCHES
from bridge.http.cursored import Cursored
from bridge.http.endpoint import Content, Endpoint, Parameter
from bridge.http.house_endpoints import HOUSE
from bridge.http.models import Model, ModelList
from bridge.http.work_endpoints import WORK
from schemas import subjects
from schemas.chat import ChatRequest
from schemas.completion import ChatCompletion
from schemas.errors import (
    BadRequest,
    Cancelled,
    DeadlineExceeded,
    EngineFailed,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from schemas.responses.items import InputItem
from schemas.responses.request import ResponseRequest
from schemas.responses.response import DeletedResponse, Response
from schemas.text import TextCompletion, TextRequest

_MODEL = {
    "id": "smollm2-135m-instruct",
    "created": 1795383095,
    "object": "model",
    "owned_by": "nats-mlx",
}
_ASKED = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}
_ANSWERED = {
    "id": "chatcmpl-2kiYFCelSSwaFWon5YXjZx",
    "created": 1795383095,
    "model": "smollm2-135m-instruct",
    "choices": [
        {
            "index": 0,
            "message": {"content": "The capital of France is Paris.", "role": "assistant", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": {"prompt_tokens": 37, "completion_tokens": 7, "total_tokens": 44},
    "object": "chat.completion",
}
_STREAMED = (
    'data: {"id":"chatcmpl-1","created":1795383095,"model":"smollm2-135m-instruct",'
    '"choices":[{"index":0,"delta":{"content":"Paris"},"finish_reason":null,"logprobs":null}],'
    '"object":"chat.completion.chunk"}\n\ndata: [DONE]\n\n'
)
_TEXT_ASKED = {"prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
_TEXT_ANSWERED = {
    "id": "cmpl-2kiYFCelSSwaFWon5YXjZx",
    "created": 1795383095,
    "model": "smollm2-135m-instruct",
    "choices": [{"index": 0, "text": " Paris.", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    "object": "text_completion",
}
_TEXT_STREAMED = (
    'data: {"id":"cmpl-1","created":1795383095,"model":"smollm2-135m-instruct",'
    '"choices":[{"index":0,"text":" Paris","finish_reason":null,"logprobs":null}],'
    '"object":"text_completion"}\n\ndata: [DONE]\n\n'
)
_RESPONSE = {
    "id": "resp_0b9a3f2c6d0e4f5f8f1d2c3b4a596877",
    "created_at": 1795383095,
    "model": "smollm2-135m-instruct",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_0b9a3f2c6d0e4f5f8f1d2c3b4a596877000",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "The capital of France is Paris.",
                    "annotations": [],
                    "logprobs": [],
                }
            ],
            "role": "assistant",
        }
    ],
    "object": "response",
}
_RESPONSE_STREAMED = (
    'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":4,'
    '"item_id":"msg_1","output_index":0,"delta":"Paris","logprobs":[],"content_index":0}\n\n'
)
_RESPONSE_ID = Parameter(
    "id",
    "path",
    "The `id` of a response that was not sent with `store: false`, for 30 days.",
    {"type": "string", "minLength": 1},
    "resp_0b9a3f2c6d0e4f5f8f1d2c3b4a596877",
)
_INFERENCE_ERRORS = (
    BadRequest,
    NotFound,
    TooLarge,
    UnsupportedMedia,
    Overloaded,
    Cancelled,
    EngineFailed,
    Unavailable,
    DeadlineExceeded,
)
_INFERENCE_HEADERS = (
    Parameter(
        "Traceparent",
        "header",
        "The caller's trace, as W3C's Trace Context has it; another value is ignored.",
        {"type": "string"},
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    Parameter(
        subjects.DEADLINE,
        "header",
        "When the answer is of no more use (RFC 3339, with its zone): the request is dropped with 504 then.",
        {"type": "string", "format": "date-time"},
        "2099-01-01T00:00:00Z",
    ),
)
_MODEL_ID = Parameter(
    "id",
    "path",
    "A name or an alias; slashes belong to it.",
    {"type": "string", "minLength": 1},
    "smollm2-135m-instruct",
)

ENDPOINTS = (
    Endpoint(
        "post",
        "/v1/chat/completions",
        "A chat completion, whole or streamed",
        takes=Content(ChatRequest, _ASKED),
        gives=(
            Content(ChatCompletion, _ANSWERED),
            Content(
                str,
                _STREAMED,
                "text/event-stream",
                "With `stream: true`: a `ChatChunk` after each `data: `, ended by `data: [DONE]` or an `ErrorBody`.",
            ),
        ),
        errors=_INFERENCE_ERRORS,
        parameters=_INFERENCE_HEADERS,
    ),
    Endpoint(
        "post",
        "/v1/completions",
        "A raw prompt goes on, whole or streamed",
        takes=Content(TextRequest, _TEXT_ASKED),
        gives=(
            Content(TextCompletion, _TEXT_ANSWERED),
            Content(
                str,
                _TEXT_STREAMED,
                "text/event-stream",
                "With `stream: true`: a `TextCompletion` after each `data: `, ended by `data: [DONE]` or an "
                "`ErrorBody`.",
            ),
        ),
        errors=_INFERENCE_ERRORS,
        parameters=_INFERENCE_HEADERS,
    ),
    Endpoint(
        "post",
        "/v1/responses",
        "A response, whole or streamed, kept unless `store` is false",
        takes=Content(
            ResponseRequest, {"input": "What is the capital of France?", "temperature": 0, "store": False}
        ),
        gives=(
            Content(Response, _RESPONSE),
            Content(
                str,
                _RESPONSE_STREAMED,
                "text/event-stream",
                "With `stream: true`: OpenAI's events, the last of them `response.completed`, `response.incomplete` "
                "or `response.failed`.",
            ),
        ),
        errors=_INFERENCE_ERRORS,
        parameters=_INFERENCE_HEADERS,
    ),
    Endpoint(
        "get",
        "/v1/responses/{id}",
        "A response that was kept",
        gives=(Content(Response, _RESPONSE),),
        errors=(BadRequest, NotFound, Overloaded, Unavailable),
        parameters=(_RESPONSE_ID,),
    ),
    Endpoint(
        "get",
        "/v1/responses/{id}/input_items",
        "What a kept response was made of, with the conversation before it",
        gives=(
            Content(
                Cursored[InputItem],
                {"data": [{"type": "message", "role": "user", "content": "Hi"}], "has_more": False},
            ),
        ),
        errors=(BadRequest, NotFound, Overloaded, Unavailable),
        parameters=(_RESPONSE_ID,),
        query=responses.Items,
    ),
    Endpoint(
        "delete",
        "/v1/responses/{id}",
        "Forget a response",
        gives=(Content(DeletedResponse, {"id": _RESPONSE["id"], "object": "response", "deleted": True}),),
        errors=(NotFound, Overloaded, Unavailable),
        parameters=(_RESPONSE_ID,),
    ),
    Endpoint(
        "get",
        "/v1/models",
        "The models that present workers serve",
        gives=(Content(ModelList, {"data": [_MODEL], "object": "list"}),),
        errors=(Unavailable,),
    ),
    Endpoint(
        "get",
        "/v1/models/{id}",
        "One model, by name or alias",
        gives=(Content(Model, _MODEL),),
        errors=(NotFound, Unavailable),
        parameters=(_MODEL_ID,),
    ),
    *BATCHES,
    *WORK,
    *HOUSE,
)
