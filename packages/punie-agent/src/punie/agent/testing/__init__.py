"""Fakes at the scripted edge, for tests of this package and of those that build on it.

A scripted model says what a test wrote down; everything else (tools, permissions, sessions) is the
real thing. `Recorder` listens to a session as a screen would.
"""

from punie.agent.testing.recorder import Answers, Recorder
from punie.agent.testing.scripts import (
    Call,
    Fail,
    Requests,
    Say,
    Think,
    Wait,
    brain_opener,
    scripted_model,
)

__all__ = [
    "Answers",
    "Call",
    "Fail",
    "Recorder",
    "Requests",
    "Say",
    "Think",
    "Wait",
    "brain_opener",
    "scripted_model",
]
