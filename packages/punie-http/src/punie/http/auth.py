"""Who may talk to the hub: the token, the browser's cookie, hosts and origins, and how often.

- Programs send `Authorization: Bearer TOKEN`.
- A browser opens `/?token=TOKEN` once and gets a cookie that scripts cannot read and other sites
  cannot send. The cookie is made of the token and is not the token.
- `Host` must be a name of this hub, else a foreign site could rebind its own name to this address.
- A request that changes something must come from the hub's own page (`Origin`) or from a program.

There is one token, so there is one kind of caller: who has it may do everything.

The other way round, the hub proves to a program that it knows the token, before the program sends it:
somebody else may listen where a hub died.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from punie.http.config import LOOPBACK
from punie.http.errors import ApiError, TooManyError

Via: TypeAlias = Literal["page", "program"]
Clock: TypeAlias = Callable[[], float]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NONCE = re.compile(r"[0-9a-f]{32,128}")
ANYWHERE = frozenset({"0.0.0.0", "::", ""})
"""Addresses that mean every address of this machine."""


class UnauthorizedError(ApiError):
    """No token, or not the hub's."""

    status = 401


class ForbiddenError(ApiError):
    """The request comes from somewhere it must not come from."""

    status = 403


class MisdirectedError(ApiError):
    """The request is for a host that this hub is not."""

    status = 421


class Caller(NamedTuple):
    """Who sends a request."""

    via: Via


def new_token() -> str:
    """Make a token, 256 random bits."""
    return secrets.token_urlsafe(32)


class Door:
    """Decides on each request, before anything else does.

    Args:
        token: What callers know.
        host: The address the hub listens on.
        port: The port.
    """

    def __init__(self, token: str, *, host: str, port: int) -> None:
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"punie cookie", hashlib.sha256).hexdigest()
        self._port = port
        self.url = f"http://{_netloc('127.0.0.1' if host in ANYWHERE else host, port)}"
        """Where the hub is, as its state file tells it."""
        names = LOOPBACK | ({host} - ANYWHERE)
        self._any_name = host in ANYWHERE
        self._hosts = frozenset(_netloc(name, port) for name in names)
        self.cookie_name = f"punie-hub-{port}"
        self._failures = Bucket(rate=1.0, burst=20)

    @property
    def cookie(self) -> str:
        """The value of the browser's cookie."""
        return self._cookie

    def check_host(self, host: str) -> None:
        """Refuse a request for somebody else.

        With an address such as 0.0.0.0 any address of this machine is the hub's, but no name is:
        a name can be rebound, a number cannot.

        Raises:
            MisdirectedError: `Host` is not a name of this hub.
        """
        if host.lower() in self._hosts:
            return
        if self._any_name and _is_address(host, self._port):
            return
        raise MisdirectedError("this hub has another name: open it by the address that it printed")

    def check_origin(self, headers: Mapping[str, str], *, method: str, via: Via) -> None:
        """Refuse what another site's page sends.

        Raises:
            ForbiddenError: `Origin` is foreign, or a page's change tells no origin.
        """
        origin = headers.get("Origin")
        if origin is not None:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or parts.netloc.lower() != headers.get(
                "Host", ""
            ):
                raise ForbiddenError("another site's page may not use this hub")
        elif method not in SAFE_METHODS and via == "page":
            raise ForbiddenError("a page that changes something tells its origin")
        if headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise ForbiddenError("another site's page may not use this hub")

    def identify(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Caller:
        """Find out who calls.

        Raises:
            UnauthorizedError: Nobody who is known.
            TooManyError: Somebody tries tokens.
        """
        authorization = headers.get("Authorization")
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() == "bearer" and self.knows(token.strip()):
                return Caller("program")
        elif _same(cookies.get(self.cookie_name, ""), self._cookie.encode()):
            return Caller("page")
        if authorization is not None:
            self.guessed()
        raise UnauthorizedError("open the link that `punie serve` printed, or send its token")

    def knows(self, token: str) -> bool:
        """Whether this is the token; takes as long for any wrong one."""
        return _same(token, self._token)

    def prove(self, nonce: str) -> str:
        """Prove that this is the hub of the token, at its own place.

        The place is part of it, so that nobody elsewhere can pass on what this hub answered.

        Args:
            nonce: 16 to 64 bytes in hexadecimal, made by who asks.

        Raises:
            ApiError: It is none.
        """
        if not _NONCE.fullmatch(nonce):
            raise ApiError("send a nonce of 16 to 64 bytes in hexadecimal")
        asked = f"punie hub\n{self.url}\n{nonce}"
        return hmac.new(self._token, asked.encode(), hashlib.sha256).hexdigest()

    def guessed(self) -> None:
        """Count a wrong token.

        Raises:
            TooManyError: There were too many of late.
        """
        if not self._failures.take():
            raise TooManyError("too many wrong tokens: wait a minute")


class Bucket:
    """A limit on how often something happens.

    Args:
        rate: Times a second, in the long run.
        burst: Times at once.
        clock: Seconds that only grow.
    """

    def __init__(self, *, rate: float, burst: int, clock: Clock = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = float(burst)
        self._then = clock()

    def take(self) -> bool:
        """Whether it may happen once more now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._then) * self._rate)
        self._then = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _same(given: str, expected: bytes) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected)


def _netloc(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _is_address(host: str, port: int) -> bool:
    import ipaddress

    name, _, told = host.rpartition(":")
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return told == str(port)
