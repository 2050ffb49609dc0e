"""Every exception that this package raises.

LiveReferralsError
+-- ConfigurationError        (ImproperlyConfigured)  a setting cannot be used
+-- InvalidCallBackURL        (ValidationError)       a callback URL cannot be saved
+-- Unrenderable              (ValueError)            a callback URL or body cannot be made from these values
+-- AddressRefused            (OSError)               the address guard refuses to connect
+-- InvalidCursor             (ValueError)            text that is no cursor
+-- InvalidAmount             (ValueError)            an amount or a currency that cannot be stored
+-- TokenExists               (ValueError)            a feed token of this id has been made before
+-- HitNotRecordedError                               a hit is lost; carries the reason
+-- FeedError                                         a feed request is refused; carries the wire code
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured, ValidationError


class LiveReferralsError(Exception):
    """An error of livereferrals."""


class ConfigurationError(LiveReferralsError, ImproperlyConfigured):
    """A setting has a value that cannot be used."""

    def __init__(self, key: str, problem: str, *, hint: str = "") -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem
        self.hint = hint


class InvalidCallBackURL(LiveReferralsError, ValidationError):  # noqa: N818 - the old package's name, kept
    """A callback URL that the grammar or the address guard refuses.

    The name is that of the older package. It is a `ValidationError`, so that forms show it at the field.
    """

    def __init__(self, message: str, *, placeholder: str = "", position: int | None = None, hint: str = "") -> None:
        ValidationError.__init__(self, message, code="invalid_callback_url")
        self.placeholder = placeholder
        self.position = position
        self.hint = hint


class Unrenderable(LiveReferralsError, ValueError):  # noqa: N818 - the word of the state machine
    """No valid request can be made from these values."""


class AddressRefused(LiveReferralsError, OSError):  # noqa: N818 - says what happened
    """The address guard refuses to connect; the message tells no more than the kind of address."""


class InvalidCursor(LiveReferralsError, ValueError):  # noqa: N818 - says what it is
    """Text that is not `<epoch>.<seq>`."""


class InvalidAmount(LiveReferralsError, ValueError):  # noqa: N818 - says what it is
    """An amount or a currency that cannot be stored."""


class TokenExists(LiveReferralsError, ValueError):  # noqa: N818 - says what it is
    """A feed token of this id has been made before; its secret is not shown again."""


class HitNotRecordedError(LiveReferralsError):
    """A hit could not be written; it has been logged and counted, and its visitor is to be led on all the same (L-27)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The hit is not recorded: {reason}.")
        self.reason = reason
        """A `HitLoss`, one of `overload`, `late`, `database` and `refused`."""


class FeedError(LiveReferralsError):
    """A feed request or connection is refused, with the protocol's `code`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        oldest: str | None = None,
        newest: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.oldest = oldest
        self.newest = newest
