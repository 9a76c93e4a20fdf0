"""What can go wrong on an ACP connection, named for what happened.

Codes are those of JSON-RPC and of the protocol:
https://agentclientprotocol.com/protocol/overview#error-handling
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ErrorCode(IntEnum):
    """The error codes of JSON-RPC 2.0 and of ACP."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    REQUEST_CANCELLED = -32800
    AUTH_REQUIRED = -32000
    RESOURCE_NOT_FOUND = -32002
    UNSUPPORTED_VERSION = -32022


class AcpError(Exception):
    """Base of every error that punie.acp raises."""


class RequestError(AcpError):
    """An error that travels: raised by a handler it is the answer, received it is what a call got.

    Args:
        code: One of `ErrorCode`, or the peer's own.
        message: One line for people.
        data: Anything JSON can hold; never secrets, the peer sees it.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data

    @classmethod
    def invalid_request(cls, reason: str) -> RequestError:
        """The message is not a request that can be served now."""
        return cls(ErrorCode.INVALID_REQUEST, "Invalid request", {"reason": reason})

    @classmethod
    def method_not_found(cls, method: str) -> RequestError:
        """Nobody here implements the method."""
        return cls(ErrorCode.METHOD_NOT_FOUND, "Method not found", {"method": method})

    @classmethod
    def invalid_params(cls, reason: str, *, path: str = "$") -> RequestError:
        """The parameters do not have the shape or the values that the method asks for.

        Args:
            reason: What is wrong; must not repeat the value.
            path: Where, as a JSON path below `params`.
        """
        data = {"path": path, "reason": reason}
        return cls(ErrorCode.INVALID_PARAMS, "Invalid params", data)

    @classmethod
    def session_not_found(cls, session_id: str) -> RequestError:
        """No session has this id."""
        data = {"sessionId": session_id}
        return cls(ErrorCode.RESOURCE_NOT_FOUND, "Session not found", data)

    @classmethod
    def unsupported_version(cls, requested: int, supported: tuple[int, ...]) -> RequestError:
        """No version is spoken that is as old as the one that was asked for.

        Args:
            requested: The newest version that the client speaks.
            supported: Those that are spoken here.
        """
        data = {"requested": requested, "supported": list(supported)}
        return cls(ErrorCode.UNSUPPORTED_VERSION, "Unsupported protocol version", data)


class ConnectionClosedError(AcpError):
    """The connection ended before the answer came."""

    def __init__(self, reason: str = "the connection is closed") -> None:
        super().__init__(reason)


class CapabilityError(AcpError):
    """The peer did not advertise what this call needs; nothing was sent."""

    def __init__(self, capability: str) -> None:
        super().__init__(f"the peer does not advertise {capability}")
        self.capability = capability


class SessionNotOpenError(AcpError):
    """A session was used before the client could know it; nothing was sent."""

    def __init__(self, session_id: str) -> None:
        super().__init__(f"session {session_id!r} has not been announced to the client yet")
        self.session_id = session_id


class AgentStartError(AcpError):
    """An agent's program could not be started."""

    def __init__(self, program: str, reason: str) -> None:
        super().__init__(f"cannot start the agent {program!r}: {reason}")
        self.program = program
        self.reason = reason


class DialError(AcpError):
    """A server could not be reached, or would not have this client."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"cannot connect to {place}: {reason}")
        self.place = place
        self.reason = reason


class RecordingMismatchError(AcpError):
    """The peer of a replay did something else than the recording says."""
