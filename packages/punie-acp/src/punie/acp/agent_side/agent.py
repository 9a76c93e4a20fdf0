"""What an agent of version 1 implements."""

from __future__ import annotations

from typing import Protocol

from punie.acp.schema import v1


class Agent(Protocol):
    """What an agent of version 1 must implement. It answers with `RequestError` to refuse.

    Further methods are served when the class has them, else they get -32601: `authenticate`,
    `logout`, `load_session`, `resume_session`, `list_sessions`, `close_session`, `delete_session`,
    `set_session_mode`, `set_session_config_option`, `set_session_model`, and the unstable ones. Each
    takes the method's parameters and returns its result, as `punie.acp.methods` lists them. What
    needs a capability is refused unless the answer of `initialize` advertises it.

    `async def ext_method(method: str, params: dict[str, Any]) -> Any` serves the requests whose
    names begin with `_` (it raises `RequestError.method_not_found` for those it does not know), and
    `async def ext_notification(method: str, params: dict[str, Any]) -> None` sees such
    notifications; without it they are ignored.
    """

    async def initialize(self, params: v1.InitializeRequest) -> v1.InitializeResponse:
        """Say what the agent can do. May come more than once."""
        ...

    async def new_session(self, params: v1.NewSessionRequest) -> v1.NewSessionResponse:
        """Open a session. Updates for it may be sent already; they arrive after the answer."""
        ...

    async def prompt(self, params: v1.PromptRequest) -> v1.PromptResponse:
        """Run a turn to its end."""
        ...

    async def cancel(self, params: v1.CancelNotification) -> None:
        """Stop the session's turn; its `prompt` then answers `cancelled`."""
        ...

    async def close(self) -> None:
        """Called once when the connection ends: free everything, end every child process."""
        ...
