"""Which faults of NATS are waited out with an article in hand, and which will never be better."""

from __future__ import annotations

import pytest
from nats import errors
from nats.js import errors as js

from worker.transport.ends import passes


@pytest.mark.parametrize(
    "error",
    [
        errors.TimeoutError(),
        errors.NoRespondersError(),
        errors.OutboundBufferLimitError(),
        errors.ConnectionReconnectingError(),
        js.NoStreamResponseError(),
        js.ServiceUnavailableError(code=503, err_code=10023, description="insufficient resources"),
        js.ServiceUnavailableError(),
        js.ServerError(code=500, err_code=10047, description="insufficient storage resources available"),
    ],
)
def test_a_server_that_is_away_or_full_is_waited_for(error: errors.Error) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        errors.ConnectionClosedError(),
        errors.ConnectionDrainingError(),
        errors.BadSubjectError(),
        errors.MaxPayloadError(),
        js.NotFoundError(),
        js.BadRequestError(code=400, err_code=10071, description="wrong last sequence: 1"),
        js.APIError(code=400, err_code=10054, description="message size exceeds maximum allowed"),
    ],
)
def test_what_will_be_refused_again_is_not(error: errors.Error) -> None:
    assert not passes(error)
