"""The server of the commands' tests, for the worker's parts that need no model."""

from tests.broker.cli.conftest import server

__all__ = ["server"]
