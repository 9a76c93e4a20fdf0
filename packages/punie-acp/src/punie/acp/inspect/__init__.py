"""Sit between a client and an agent and show on stderr what they say, in lines for people.

    python -m punie.acp inspect [--record FILE] -- COMMAND

Give this to an IDE in place of COMMAND: bytes pass unchanged, both ways. `_meta` and the values of
environments and headers are not shown, nor recorded.
"""

from punie.acp.inspect.lines import Describer
from punie.acp.inspect.proxy import inspect

__all__ = ["Describer", "inspect"]
