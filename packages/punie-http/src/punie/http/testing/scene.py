"""A hub full of work: agents of several makes, each session in another state.

For pictures of the page, for checks that look at all of it at once, and to try a panel without
agents of one's own. The agents are puppets; what they tell is of the protocol's own shapes.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from punie.acp.transports.memory import pair
from punie.http.agents.fleet import Visitor
from punie.http.hub import Hub
from punie.http.testing.puppet import Puppet

ANSWER = """\
The cart rounds **each line**, the invoice rounds **the sum**. With three lines of 0.335 EUR they
differ by one cent:

| | lines | sum |
|---|---|---|
| `Cart.total` | 0.34 + 0.34 + 0.34 | 1.02 |
| `Invoice.total` | 1.005 | 1.01 |

I would round once, at the end:

```python
def total(lines: Sequence[Line]) -> Decimal:
    exact = sum((line.price * line.count for line in lines), Decimal())
    return exact.quantize(CENT, rounding=ROUND_HALF_EVEN)
```

1. `shop/cart.py` and `shop/invoice.py` then share one function.
2. Two tests of `tests/test_cart.py` expect the old sum; I changed them.
"""
PATCH = """\
diff --git a/shop/cart.py b/shop/cart.py
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -12,9 +12,8 @@ class Cart:
     lines: list[Line]
\x20
     def total(self) -> Decimal:
-        total = Decimal()
-        for line in self.lines:
-            total += (line.price * line.count).quantize(CENT)
-        return total
+        exact = sum((line.price * line.count for line in self.lines), Decimal())
+        return exact.quantize(CENT, rounding=ROUND_HALF_EVEN)
\x20
     def is_empty(self) -> bool:
"""
OUTPUT = """\
$ pytest -q tests/test_cart.py
..............                                                           [100%]
14 passed in 0.31s
"""
APPROVAL: list[dict[str, str]] = [
    {"optionId": "once", "name": "Allow once", "kind": "allow_once"},
    {"optionId": "session", "name": "Always in this session", "kind": "allow_always"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["version", "audience"],
    "properties": {
        "version": {"type": "string", "title": "Version", "description": "As in the tag"},
        "audience": {
            "type": "string",
            "title": "Written for",
            "oneOf": [
                {"const": "users", "title": "People who use it"},
                {"const": "developers", "title": "People who build on it"},
            ],
        },
        "entries": {"type": "integer", "title": "Entries at most", "minimum": 1, "default": 12},
        "thanks": {"type": "boolean", "title": "Name who contributed", "default": True},
    },
}
OPTIONS: list[dict[str, Any]] = [
    {
        "type": "select",
        "configId": "mode",
        "name": "Mode",
        "category": "mode",
        "currentValue": "ask",
        "options": [{"value": "ask", "name": "Ask"}, {"value": "code", "name": "Code"}],
    },
    {
        "type": "select",
        "configId": "model",
        "name": "Model",
        "category": "model",
        "currentValue": "small",
        "options": [
            {"value": "small", "name": "Qwen3 4B"},
            {"value": "large", "name": "Qwen3 30B"},
        ],
    },
]
COMMANDS = [
    {"type": "command", "name": "review", "description": "Review what changed on this branch"},
    {"type": "command", "name": "tests", "description": "Run the tests and explain what fails"},
]


@asynccontextmanager
async def busy(hub: Hub) -> AsyncGenerator[dict[str, Puppet], None]:
    """Let agents do a bit of everything in a hub.

    Args:
        hub: Where they attach.

    Yields:
        The puppets by name: `punie`, `gemini` and `ide`.
    """
    async with asyncio.TaskGroup() as tasks:
        punie = await _attach(hub, tasks, "punie-shop", "cart", "httpx", cwd="/home/ada/shop")
        gemini = await _attach(hub, tasks, "gemini", "notes", "invoices", cwd="/home/ada/billing")
        ide = await _attach(hub, tasks, "ide", "parser", "cache", cwd="/home/ada/compiler")
        asking = list[asyncio.Task[None]]()
        for asks in (_cart(punie), _httpx(punie), _notes(gemini)):
            asking.append(tasks.create_task(asks))
            await _until(hub, lambda: len(hub.inbox.views()) == len(asking))
        _invoices(gemini)
        _parser(ide)
        _cache(ide)
        yield {"punie": punie, "gemini": gemini, "ide": ide}
        for task in asking:
            task.cancel()
        for puppet in (punie, gemini, ide):
            await puppet.aclose()


async def _attach(
    hub: Hub, tasks: asyncio.TaskGroup, name: str, *sessions: str, cwd: str
) -> Puppet:
    ours, theirs = pair()
    puppet = Puppet(theirs, cwd=cwd)
    await puppet.start(*sessions)
    tasks.create_task(hub.fleet.attach(ours, Visitor(name=name)))
    await _until(
        hub,
        lambda: any(one.name == name and one.condition == "ready" for one in hub.fleet.views()),
    )
    return puppet


async def _until(hub: Hub, holds: Callable[[], bool]) -> None:
    """Wait for something that pages are told of."""
    changes = hub.feed.open(None, states=True)
    while not holds():
        await changes.take(0.2)
    hub.feed.close(changes)


def _begin(puppet: Puppet, session: str, prompt: str, title: str) -> None:
    puppet.tell(session, sessionUpdate="session_info_update", title=title)
    puppet.tell(session, sessionUpdate="config_option_update", configOptions=OPTIONS)
    puppet.tell(session, sessionUpdate="available_commands_update", availableCommands=COMMANDS)
    content = [{"type": "text", "text": prompt}]
    puppet.tell(session, sessionUpdate="user_message", messageId="u1", content=content)
    puppet.become(session, "running")


def _think(puppet: Puppet, session: str, text: str) -> None:
    content = {"type": "text", "text": text}
    puppet.tell(session, sessionUpdate="agent_thought_chunk", messageId="t1", content=content)


def _call(puppet: Puppet, session: str, call_id: str, title: str, **more: Any) -> None:
    puppet.tell(session, sessionUpdate="tool_call_update", toolCallId=call_id, title=title, **more)


def _plan(puppet: Puppet, session: str, *entries: tuple[str, str]) -> None:
    told = [{"content": one, "status": status, "priority": "medium"} for one, status in entries]
    plan = {"type": "items", "planId": "p", "entries": told}
    puppet.tell(session, sessionUpdate="plan_update", plan=plan)


def _edit(path: str, patch: str) -> list[dict[str, Any]]:
    changes = [{"operation": "modify", "path": path}]
    return [{"type": "diff", "changes": changes, "patch": {"format": "git_patch", "text": patch}}]


async def _cart(puppet: Puppet) -> None:
    _begin(puppet, "cart", "Cart and invoice differ by a cent. Why?", "Cart and invoice differ")
    _think(puppet, "cart", "Both sum up lines, so I compare where each of them rounds.")
    _call(
        puppet, "cart", "c1", "Search `quantize`", kind="search", status="completed",
        content=[{"type": "content", "content": {"type": "text", "text": "shop/cart.py:17\nshop/invoice.py:40"}}],
    )  # fmt: skip
    puppet.say("cart", ANSWER)
    puppet.tell("cart", sessionUpdate="usage_update", used=18_400, size=65_536)
    edit = _edit("shop/cart.py", PATCH)
    _call(puppet, "cart", "c2", "Edit shop/cart.py", kind="edit", status="pending", content=edit)
    subject = {"type": "tool_call", "toolCall": {"toolCallId": "c2"}}
    await puppet.ask("cart", "Edit shop/cart.py", subject=subject, options=APPROVAL)


async def _httpx(puppet: Puppet) -> None:
    _begin(puppet, "httpx", "Upgrade httpx to the newest version", "Upgrade httpx")
    subject = {
        "type": "command",
        "command": "uv lock --upgrade-package httpx",
        "cwd": "/home/ada/shop",
    }
    _plan(puppet, "httpx", ("Read the changelog", "completed"), ("Upgrade", "in_progress"), ("Run the tests", "pending"))  # fmt: skip
    await puppet.ask("httpx", "Run a command", subject=subject, options=APPROVAL)


async def _notes(puppet: Puppet) -> None:
    _begin(puppet, "notes", "Write the release notes", "Write the release notes")
    message = "For which version shall I write the notes?"
    params = {"mode": "form", "sessionId": "notes", "message": message, "requestedSchema": FORM}
    await puppet.request("elicitation/create", params)


def _invoices(puppet: Puppet) -> None:
    _begin(puppet, "invoices", "Import the invoices of 2019", "Import the old invoices")
    error = {"code": -32603, "message": "the model's server does not answer on port 8080"}
    puppet.become("invoices", "idle", stopReason="error", error=error)


def _parser(puppet: Puppet) -> None:
    _begin(puppet, "parser", "Split the parser into modules", "Split the parser into modules")
    _plan(
        puppet, "parser", ("Find what depends on what", "completed"), ("Move the lexer", "completed"),
        ("Move the expressions", "in_progress"), ("Move the statements", "pending"),
    )  # fmt: skip
    puppet.tell("parser", sessionUpdate="usage_update", used=41_000, size=65_536)
    _call(
        puppet,
        "parser",
        "m1",
        "Move Expression to parser/expressions.py",
        kind="move",
        status="in_progress",
    )


def _cache(puppet: Puppet) -> None:
    _begin(puppet, "cache", "Run the tests of the cache", "Run the tests of the cache")
    data = base64.b64encode(OUTPUT.encode()).decode()
    puppet.tell(
        "cache",
        sessionUpdate="terminal_update",
        terminalId="t",
        command="pytest -q",
        output={"data": data},
    )
    _call(
        puppet, "cache", "t1", "Run pytest -q", kind="execute", status="completed",
        rawInput={"command": "pytest -q"}, content=[{"type": "terminal", "terminalId": "t"}],
    )  # fmt: skip
    puppet.say("cache", "All 14 tests pass.")
    puppet.become("cache", "idle", stopReason="end_turn")
