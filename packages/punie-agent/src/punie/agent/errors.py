"""What can go wrong in punie-agent, named for what happened.

Each error owns the exit code that the command line reports for it, as click's exceptions do.
Errors of single tools are not here: a tool reports failure in its result, never by raising.
"""


class PunieError(Exception):
    """Base of every error that a person should read as one clear sentence.

    The message says what happened and what to do next.
    """

    exit_code: int = 1
    """What `punie` exits with when this error ends a command."""


class ConfigError(PunieError):
    """A setting, an option or a configuration file cannot be used."""

    exit_code = 2


class ModelUnavailableError(PunieError):
    """No model answers: unknown spec, server down, weights missing or damaged."""

    exit_code = 3


class PermissionDeniedError(PunieError):
    """The turn needed a permission that was refused or that nobody could give."""

    exit_code = 4


class TurnFailedError(PunieError):
    """The turn ended without an answer."""

    exit_code = 1


class StoreError(PunieError):
    """The file of sessions cannot be read or written."""

    exit_code = 1


class SessionBusyError(PunieError):
    """The session is open in another process, which is alive."""

    exit_code = 1

    def __init__(self, session_id: str, pid: int) -> None:
        super().__init__(
            f"session {session_id} is open in another Punie (process {pid}): close it there first"
        )
        self.session_id = session_id
        self.pid = pid


class UndoError(PunieError):
    """A change cannot be taken back; everything was left as it is."""

    exit_code = 1
