"""What can go wrong in punie-http, named for what happened."""

from __future__ import annotations

from pathlib import Path


class HubError(Exception):
    """Base of the errors of punie-http: one clear sentence each."""

    exit_code: int = 1


class HubStateError(HubError):
    """The hub's state file is there but cannot be trusted or read."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}. Delete it and start the hub again")
        self.path = path
        self.problem = problem


class SettingError(HubError):
    """The hub cannot run with what the command line or the project asks for."""

    exit_code = 2


class ListenError(HubError):
    """The hub cannot listen where it was told to."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            f"cannot listen on {host} port {port}: {reason}. Choose another one with --port"
        )
        self.host = host
        self.port = port


class StoreError(HubError):
    """The event store cannot be opened or written."""


class ApiError(HubError):
    """A request that is refused: what an HTTP caller gets."""

    status: int = 400
    """The HTTP status."""


class RefusedError(ApiError):
    """An agent answered with an error.

    Attributes:
        code: The agent's own, of JSON-RPC.
    """

    def __init__(self, agent: str, code: int, told: str) -> None:
        super().__init__(f"the agent {agent} refuses: {told}")
        self.code = code


class NotFoundError(ApiError):
    """There is no such session, approval or agent."""

    status = 404


class ConflictError(ApiError):
    """It cannot be done now: somebody was faster, or the agent is gone."""

    status = 409


class TooManyError(ApiError):
    """A limit is reached."""

    status = 429


class UnavailableError(ApiError):
    """The hub cannot do it now, such as when nothing can be written down."""

    status = 503
