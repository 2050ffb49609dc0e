"""The visitor's cookie without Django's overhead: the line that Django itself writes, with what changes put in its place."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
import uuid
from base64 import urlsafe_b64encode
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

from livereferrals import conf
from livereferrals.exceptions import ConfigurationError
from livereferrals.tracking import visitors
from livereferrals.tracking.models import Visitor

EXPIRES: Final = re.compile(rb"expires=([^;]+)")
LENGTH: Final = 33
"""Characters of what is signed: an id in hexadecimal digits, and whether it is claimed."""
SAMPLE: Final = uuid.UUID(int=0)


class Seal:
    """Signs visitors' ids as `visitors.carry` does, with the key derived once: 3 us instead of 12."""

    def __init__(self) -> None:
        # `django.utils.crypto.salted_hmac`: the key is a digest of the salt and the secret.
        secret = conf.host("SECRET_KEY")
        salt = f"{visitors.COOKIE_SALT}signer".encode()
        key = hashlib.sha256(salt + (secret.encode() if isinstance(secret, str) else secret)).digest()
        self._keyed = hmac.new(key, digestmod="sha256")

    def sealed(self, visitor_id: uuid.UUID) -> bytes:
        """Return the value of the cookie of a visitor who is claimed by nobody."""
        said = f"{visitor_id.hex}{visitors.UNCLAIMED}".encode()
        return b"%b:%b" % (said, self._signature(said))

    def opened(self, text: str) -> uuid.UUID | None:
        """Return the visitor that a cookie's value proves, as `visitors.read_cookie` does.

        That one is asked about whatever does not bear today's signature: an older key's, or nobody's.
        """
        said, _, signature = text.rpartition(":")
        if len(said) == LENGTH and text.isascii():
            raw = said.encode()
            if hmac.compare_digest(self._signature(raw), signature.encode()):
                return uuid.UUID(hex=said[:-1])
        carried = visitors.read_cookie(text)
        return None if carried is None else carried.id

    def _signature(self, said: bytes) -> bytes:
        # Not `hmac.digest`: it lets go of the interpreter's lock each time, and waits for it behind the other threads.
        keyed = self._keyed.copy()
        keyed.update(said)
        return urlsafe_b64encode(keyed.digest()).rstrip(b"=")


class CookieLine:
    """Writes the value of `Set-Cookie`, for requests over TLS or for plain ones.

    Django is asked for one such line when it is made, so that every setting of the cookie means what it means to
    `HttpResponse.set_cookie`. After that only the visitor and the time at which the cookie ends differ.
    """

    def __init__(self, *, secure: bool) -> None:
        line, value = _written_by_django(secure=secure)
        self._seal = Seal()
        if self._seal.sealed(SAMPLE) != value:
            raise ConfigurationError("SECRET_KEY", "Django signs cookies in another way than livereferrals expects")
        before, _, after = line.partition(value)
        expires = EXPIRES.search(after)
        if expires is None:
            raise ConfigurationError("COOKIE_MAX_AGE", "Django writes no time at which the visitor's cookie ends")
        self._before = before
        self._between, self._after = after[: expires.start(1)], after[expires.end(1) :]
        self._max_age = conf.settings.COOKIE_MAX_AGE
        self._second = -1
        self._rest = b""

    def written(self, visitor_id: uuid.UUID) -> bytes:
        """Return the header's value for a visitor of nobody."""
        second = int(time.time())
        if second != self._second:
            self._rest = b"%b%b%b" % (self._between, http_date(second + self._max_age).encode(), self._after)
            self._second = second
        return b"%b%b%b" % (self._before, self._seal.sealed(visitor_id), self._rest)


def _written_by_django(*, secure: bool) -> tuple[bytes, bytes]:
    """Return the header that the link's view would send for a sample, and the value in it."""
    request, response = _Request(), HttpResponse()
    request.is_tls = secure
    visitors.carry(request, response, Visitor(pk=SAMPLE))
    morsel = response.cookies[conf.settings.COOKIE_NAME]
    return morsel.output(header="").strip().encode("ascii"), morsel.coded_value.encode("ascii")


class _Request(HttpRequest):
    """A request that came over TLS, or did not, whatever proxies would have to say."""

    is_tls = False

    def is_secure(self) -> bool:
        """Say how it came."""
        return self.is_tls
