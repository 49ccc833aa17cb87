"""The errors a user can cause: one sentence that says what is wrong and what to do."""

from __future__ import annotations


class UserError(Exception):
    """Ends a verb with its sentence on standard error and exit status 1."""

    status = 1


class UsageError(UserError):
    """The command line or a config is wrong: exit status 2."""

    status = 2
