"""Code mode: checked before it runs, its calls judged one by one, and nothing but the tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from punie.agent.codemode import sandbox
from punie.agent.codemode.stubs import stubs_of
from punie.agent.events import Notice, PermissionRequested, ToolCallUpdate
from punie.agent.models.spec import ModelSpec
from punie.agent.testing import Answers, Call
from punie.agent.tools.catalog import CATALOG, select

SPEC = ModelSpec(spec="test", code_mode=True)


class Ran:
    def __init__(self, scene: Any, outcome: Any) -> None:
        self.scene, self.outcome = scene, outcome
        (part,) = scene.requests[1][0][-1].parts
        self.text: str = part.model_response_str()


@pytest.fixture
def run(play: Callable[..., Any]) -> Callable[..., Any]:
    """Let a model run one piece of code: `ran = await run(code, mode="edit", files={...})`."""

    async def go(code: str, *, files: dict[str, str] | None = None, **more: Any) -> Ran:
        scene = play([[Call("execute_python", {"code": code})], ["done"]], spec=SPEC, **more)
        for path, content in (files or {}).items():
            (scene.root / path).write_text(content)
        outcome = await scene.session.prompt("run it")
        await scene.session.aclose()
        return Ran(scene, outcome)

    return go


async def test_code_calls_tools_and_the_model_reads_what_it_prints(
    run: Callable[..., Any],
) -> None:
    ran = await run(
        'files = await list_files(glob="*.py")\n'
        'for name in ["a.py", "b.py"]:\n'
        '    print(name, (await read_file(name))["lines"])\n'
        'len(files["entries"]) if "entries" in files else 0',
        files={"a.py": "x\ny\n", "b.py": "z\n"},
    )
    assert ran.outcome.text == "done"
    assert ran.text.splitlines()[:3] == ["ran, 3 calls", "a.py 2", "b.py 1"]
    names = [record.name for record in ran.outcome.tool_calls]
    assert names == ["list_files", "read_file", "read_file", "execute_python"]


async def test_every_call_of_the_code_is_shown(run: Callable[..., Any]) -> None:
    ran = await run('await read_file("a.txt")', files={"a.txt": "hi\n"})
    titles = [str(one.title) for one in ran.scene.heard.of(ToolCallUpdate) if one.title]
    assert titles == ["Run 1 line of Python", "Read a.txt"]


async def test_a_call_of_the_code_is_asked_about_as_any_other(run: Callable[..., Any]) -> None:
    person = Answers("reject_once")
    ran = await run('await write_file("a.txt", "x")', person=person)
    assert [ask.title for ask in person.asked] == ["Write a.txt"]
    assert not (ran.scene.root / "a.txt").exists()
    assert "PermissionError: Permission denied: rejected by the person" in ran.text
    assert ran.outcome.denied


async def test_code_can_go_on_after_a_denied_call(run: Callable[..., Any]) -> None:
    ran = await run(
        "try:\n"
        '    await run_command("touch made")\n'
        "except PermissionError as error:\n"
        '    print("denied:", error)\n',
        mode="plan",
    )
    assert ran.text.splitlines()[1].startswith("denied: Permission denied: mode plan")
    assert not (ran.scene.root / "made").exists()
    assert ran.scene.heard.of(PermissionRequested) == []


async def test_a_call_that_is_allowed_has_its_effect(run: Callable[..., Any]) -> None:
    ran = await run('await write_file("a.txt", "x")', person=Answers("allow_once"))
    assert (ran.scene.root / "a.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("await read_file(3)", "Expected `str`, found `Literal[3]`"),
        ('(await read_file("a"))["txt"]', 'Unknown key "txt" for TypedDict `ReadResult`'),
        ('await reed_file("a")', "Name `reed_file` used when not defined"),
        ('read_file("a").text', "CoroutineType"),
        ("def f(:", "syntax"),
    ],
)
async def test_what_does_not_type_check_is_not_run(
    run: Callable[..., Any], code: str, said: str
) -> None:
    ran = await run(f'await write_file("made", "x")\n{code}', mode="edit")
    assert ran.text.startswith("error: nothing was run: the type check failed\n")
    assert said in ran.text
    assert not (ran.scene.root / "made").exists()


ESCAPES = [
    'open("/etc/passwd").read()',
    "import os\nos.system('touch made')",
    "import os\nos.listdir('/')",
    "import os\nos.environ['HOME']",
    "import subprocess\nsubprocess.run(['touch', 'made'])",
    "import socket\nsocket.socket()",
    "import ctypes",
    "import sys\nsys.modules",
    "import importlib\nimportlib.import_module('os')",
    "import pathlib\npathlib.Path('/etc/passwd').read_text()",
    "from pathlib import Path\nPath('made').write_text('x')",
    "from pathlib import Path\nlist(Path('/').iterdir())",
    "__import__('os').system('touch made')",
    "eval('1 + 1')",
    "exec('x = 1')",
    "compile('1', '', 'eval')",
    "globals()['__builtins__']",
    "().__class__.__bases__[0].__subclasses__()",
    "read_file.__globals__",
    "read_file.__closure__[0].cell_contents",
    "(lambda: 0).__code__",
    "getattr(read_file, '__glo' + 'bals__')",
    "'{0.__class__}'.format(1)",
    "import asyncio\nasyncio.create_subprocess_shell('touch made')",
    "import asyncio\nasyncio.get_event_loop()",
    "import builtins",
    "import inspect",
    "import gc",
    "import pickle",
    "import urllib.request",
    "breakpoint()",
    "input()",
    "raise SystemExit(3)",
    "import tempfile",
    "import shutil",
]


HARMLESS = {"eval('1 + 1')", "exec('x = 1')", "'{0.__class__}'.format(1)"}
"""What the sandbox has a tame form of."""


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "hidden"])
@pytest.mark.parametrize("code", ESCAPES)
async def test_no_way_leads_out_of_the_sandbox(
    run: Callable[..., Any],
    code: str,
    hidden: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As it stands, and inside a text, where the type checker does not see it."""
    monkeypatch.setenv("HOME", "/secret-home")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    ran = await run(f"exec({code!r})" if hidden else code, mode="edit")
    assert ran.outcome.stop_reason == "end_turn"
    assert list((tmp_path / "here").iterdir()) == []
    assert not (ran.scene.root / "made").exists()
    assert "root:" not in ran.text
    assert "/secret-home" not in ran.text
    assert "<class 'object'>" not in ran.text
    assert [record.name for record in ran.outcome.tool_calls] == ["execute_python"]
    assert ran.text.startswith("error: ") or code in HARMLESS


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True:\n    pass", "TimeoutError"),
        ("x = 'a' * 10**9", "MemoryError"),
        ("x = [0]\nwhile True:\n    x = x + x", "Error"),
        ("def f(n: int) -> int:\n    return f(n + 1)\nf(0)", "RecursionError"),
        ("for i in range(10**6):\n    print('x' * 1000)", "Error"),
        ("for i in range(1000):\n    await git_status()", "limit"),
    ],
)
async def test_time_memory_depth_output_and_calls_are_limited(
    run: Callable[..., Any], code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    monkeypatch.setattr(sandbox, "CALLS", 5)
    ran = await run(code)
    head, _, _ = ran.text.partition("\n")
    assert head.startswith("error: ")
    assert said in head
    assert len(ran.text) <= SPEC.result_limit


async def test_the_sandbox_works_again_after_code_that_was_stopped(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    loop, fine = ({"code": code} for code in ("while True: pass", "1 + 1"))
    scene = play(
        [[Call("execute_python", loop)], [Call("execute_python", fine)], ["done"]], spec=SPEC
    )
    await scene.session.prompt("run")
    await scene.session.aclose()
    (part,) = scene.requests[2][0][-1].parts
    assert part.model_response_str() == "ran, 0 calls\n2"


async def test_cancelling_stops_the_code_at_once(play: Callable[..., Any]) -> None:
    code = 'await run_command("sleep 300")'
    scene = play(
        [[Call("execute_python", {"code": code})]], spec=SPEC, person=Answers("allow_once")
    )
    prompt = asyncio.ensure_future(scene.session.prompt("run"))
    await scene.heard.until(
        lambda: [one for one in scene.heard.of(ToolCallUpdate) if one.status == "in_progress"][1:]
    )
    scene.session.cancel()
    async with asyncio.timeout(5):
        assert (await prompt).stop_reason == "cancelled"
    await scene.session.aclose()


async def test_code_mode_is_offered_to_models_that_are_marked_for_it(
    play: Callable[..., Any],
) -> None:
    for spec, offered in ((SPEC, True), (ModelSpec(spec="test"), False)):
        scene = play([["hi"]], spec=spec)
        await scene.session.prompt("hello")
        names = {tool.name for tool in scene.requests[0][1].function_tools}
        assert ("execute_python" in names) == offered


async def test_without_the_sandbox_it_is_said_once_and_not_offered(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "installed", lambda: False)
    scene = play([["hi"], ["again"]], spec=SPEC)
    await scene.session.prompt("hello")
    await scene.session.prompt("hello")
    (notice,) = scene.heard.of(Notice)
    assert notice.title == "Code mode needs its sandbox: install punie-agent[code]"
    assert len(scene.requests[0][1].function_tools) == len(select(()))


def test_stubs_are_made_of_the_whole_catalog() -> None:
    stubs = stubs_of(CATALOG.values())
    compile(stubs, "stubs", "exec")
    for name in CATALOG:
        assert f"async def {name}(" in stubs
    assert "    edits: list[Replacement]" not in stubs
    assert "edits: list[Replacement]" in stubs
