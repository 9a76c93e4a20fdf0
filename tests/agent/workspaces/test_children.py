"""Programs that stay until they are closed, and take their own children with them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from punie.agent.workspaces.base import ProgramMissingError
from punie.agent.workspaces.children import Child
from punie.agent.workspaces.local import LocalWorkspace

ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"
PARENT = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
"""


async def start(workspace: LocalWorkspace, code: str) -> Child:
    return await workspace.start([sys.executable, "-c", code])


def alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie that nobody collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    """Give the kernel a moment to finish a kill."""
    end = time.monotonic() + 5
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not alive(pid)


async def test_a_child_is_spoken_to_over_its_pipes(workspace: LocalWorkspace) -> None:
    child = await start(workspace, ECHO)
    child.stdin.write(b"hello\n")
    assert await child.stdout.readline() == b"HELLO\n"
    await child.aclose()
    assert not child.running


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
async def test_what_a_child_started_ends_with_it(workspace: LocalWorkspace) -> None:
    child = await start(workspace, PARENT)
    grandchild = int(await child.stdout.readline())
    await child.aclose()
    assert gone(grandchild)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at /proc")
async def test_a_closed_workspace_leaves_no_child(workspace: LocalWorkspace) -> None:
    child = await start(workspace, PARENT)
    grandchild = int(await child.stdout.readline())
    workspace.close()
    assert await child.stdout.read() == b""
    assert gone(grandchild)
    await child.aclose()


async def test_a_child_that_dies_leaves_its_last_words(workspace: LocalWorkspace) -> None:
    child = await start(workspace, "import sys; sys.exit('no such project')")
    assert await child.stdout.read() == b""
    await child.aclose(patience=5)
    assert child.last_words == "no such project"


async def test_a_program_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(ProgramMissingError, match="ty is not installed"):
        await LocalWorkspace(root, programs=[]).start(["ty", "server"])
