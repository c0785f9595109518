"""What one check has found: a grade, a sentence, and the way out where it is not well."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Grade(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"  # `says` has the reason


class Finding(msgspec.Struct, frozen=True):
    """`fix` is there for warnings and failures."""

    check: str
    grade: Grade
    says: str
    fix: str | None = None


def ok(check: str, says: str) -> Finding:
    return Finding(check, Grade.OK, says)


def warning(check: str, says: str, fix: str) -> Finding:
    return Finding(check, Grade.WARNING, says, fix)


def failed(check: str, says: str, fix: str) -> Finding:
    return Finding(check, Grade.FAILED, says, fix)


def skipped(check: str, reason: str) -> Finding:
    return Finding(check, Grade.SKIPPED, reason)
