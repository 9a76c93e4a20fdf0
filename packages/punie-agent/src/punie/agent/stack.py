"""The model stack, Pydantic AI and what is built on it: imported once, and not before a turn needs it.

It is most of what a first prompt waits for. What is imported stays for good, so Python does not look
through it for garbage: not while it grows, nor in each later collection. That took a tenth of the
time of importing it.
"""

from __future__ import annotations

import gc
import importlib
import threading

_NAMES = ("punie.agent.tools.catalog", "punie.agent.turns.run", "punie.agent.turns.build")
_importing = threading.Lock()
_loaded = threading.Event()


def load() -> None:
    """Import it, or wait for who does; takes half a second, so call it in a worker thread."""
    with _importing:
        if _loaded.is_set():
            return
        collects = gc.isenabled()
        gc.disable()
        try:
            for name in _NAMES:
                importlib.import_module(name)
            gc.freeze()
        finally:
            if collects:
                gc.enable()
        _loaded.set()
