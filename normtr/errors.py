"""Errors that a user can cause. Each is one sentence that says what is wrong and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Ends a verb with exit status 1; its sentence is printed on standard error."""

    status = 1


class UsageError(UserError):
    """The command line or a config is wrong; the exit status is 2."""

    status = 2
