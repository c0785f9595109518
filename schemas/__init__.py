"""The contract: messages, errors, subjects, streams and codec, the one home of what crosses NATS and HTTP."""

__version__ = "0.1.0"
