"""Taking secrets and the person's own folders out of text that is meant to be looked at by others.

Works by the forms that secrets have and by the values of secret environment variables. It is a sieve, not
a proof: a password in plain prose passes. Pure.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

REDACTED = "[redacted]"
_SHORTEST = 8
"""Characters of an environment variable's value below which it is no secret but a word."""
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_KEY = (
    r"(?:api[_-]?key|access[_-]?key|secret(?:[_-]?key)?|(?:auth|access)?[_-]?token|passw(?:or)?d)"
)

_WHOLE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"
    r"|\b(?:sk|pk|rk)[-_][\w-]{16,}"
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abeoprs]-[\w-]{10,}"
    r"|\bA(?:KIA|SIA)[0-9A-Z]{16}\b|\bAIza[\w-]{30,}"
    r"|\b(?:hf|npm)_\w{20,}|\bpypi-[\w-]{20,}",
    re.DOTALL,
)
"""What is a secret by its form."""
_AFTER = re.compile(
    rf"(?P<kept>\b[\w.-]*{_KEY}\b[\"']?\s*(?:=>|[:=])\s*[\"']?|\bbearer\s+|://[^\s/:@]+:)"
    r"(?P<secret>[^\s\"',;@]{6,})",
    re.IGNORECASE,
)
"""What is a secret by the word before it."""
_HOMES = re.compile(r"(?:/home|/Users|[A-Za-z]:[\\/]+Users)[\\/]+[^\\/\s\"':]+")


class Redactor:
    """Knows the secrets and the home folder of one process."""

    def __init__(
        self, *, environ: Mapping[str, str] | None = None, home: Path | None = None
    ) -> None:
        """Look around.

        Args:
            environ: Environment variables; those of this process by default.
            home: The person's home folder; that of this process by default.
        """
        environ = os.environ if environ is None else environ
        secret = {
            value
            for name, value in environ.items()
            if _SECRET_NAME.search(name) and len(value) >= _SHORTEST
        }
        # A longer one may hold a shorter one.
        self._secrets = sorted(secret, key=len, reverse=True)
        self._home = str(home or Path.home())

    def text(self, text: str) -> str:
        """Clean one text.

        Example:
            >>> Redactor(environ={}, home=Path("/home/ada")).text("token = abcdef12 in /home/ada/p")
            'token = [redacted] in ~/p'
        """
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        text = _WHOLE.sub(REDACTED, text)
        text = _AFTER.sub(lambda found: found["kept"] + REDACTED, text)
        if len(self._home) > 1:
            text = text.replace(self._home, "~")
        return _HOMES.sub("~", text)

    def value(self, value: Any) -> Any:
        """Clean every text in a JSON value, keys included."""
        match value:
            case str():
                return self.text(value)
            case dict():
                items = cast("dict[str, Any]", value).items()
                return {self.text(key): self._under(key, inner) for key, inner in items}
            case list():
                return [self.value(inner) for inner in cast("list[Any]", value)]
            case _:
                return value

    def _under(self, key: str, value: Any) -> Any:
        """Clean what stands under a key, whose name may say that it is a secret."""
        if isinstance(value, str) and re.fullmatch(rf"[\w.-]*{_KEY}", key, re.IGNORECASE):
            return REDACTED
        return self.value(value)
