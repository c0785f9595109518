"""TLS to NATS, from the first byte: a client that starts in plain text can be talked out of it on the way."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import NamedTuple

from schemas.errors import Unavailable


class Tls(NamedTuple):
    """Files in PEM: who may vouch for the server (None: whom the system trusts), and who we are, if asked."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises Unavailable for files that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise Unavailable(f"NATS_CA: {_reason(self.ca, error)}.") from None
        if self.cert is not None:
            try:
                # An empty password: else an encrypted key would ask for one on the terminal.
                context.load_cert_chain(self.cert, self.key, password="")
            except OSError as error:
                files = f"{self.cert} and {self.key}"
                raise Unavailable(f"NATS_CERT and NATS_KEY: {_reason(files, error)}.") from None
        return context


def refusal(error: Exception) -> str | None:
    """Why the two cannot come together, whoever tries again; None for any other error."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"cannot be trusted ({error.verify_message}); check NATS_CA and the name in its certificate"
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    if "ALERT" in reason:
        return "refused our certificate or misses it; check NATS_CERT and NATS_KEY"
    if "WRONG_VERSION" in reason or "RECORD_LAYER" in reason:
        return "speaks in plain text first; its tls block needs `handshake_first: true`"
    return None


def _reason(what: object, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{what} cannot be used ({(error.reason or 'not PEM').replace('_', ' ').lower()})"
    return f"cannot read {what} ({error.strerror})"
