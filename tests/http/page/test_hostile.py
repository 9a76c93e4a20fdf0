"""Script in every field that an agent fills: nothing of it runs, and all of it is shown as text."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from punie.http.testing import Puppet

EVIL = (
    "<script>window.ran = 1</script><img src=x onerror='window.ran = 2'>"
    "<svg onload='window.ran = 3'></svg><iframe srcdoc='<script>top.ran = 4</script>'></iframe>"
    "</textarea></title></style><a href='javascript:window.ran = 5'>x</a>{{7*7}}${window.ran = 6}"
)
LINKS = """
[a](javascript:window.ran=7) [b](JaVaScRiPt:window.ran=8) [c](data:text/html,<script>window.ran=9</script>)
[d](vbscript:x) [e](\x01javascript:window.ran=10) <javascript:window.ran=11> ![f](javascript:window.ran=12)
[g]( javascript:window.ran=13) [h](//evil.example/x) ![i](http://evil.example/picture.png)
[j](http://fine.example/"onmouseover="window.ran=14) https://fine.example/'onclick='window.ran=15
"""
FOUND = """() => {
    const bad = [];
    for (const element of document.querySelectorAll('*')) {
        const name = element.tagName.toLowerCase();
        if (['iframe', 'object', 'embed', 'base', 'form[action]', 'style'].includes(name)) bad.push(name);
        if (name === 'script' && !element.src.endsWith('/static/app.js')) bad.push(element.outerHTML);
        for (const { name, value } of element.attributes) {
            if (name.startsWith('on') || name === 'srcdoc' || name === 'style') bad.push(`${name}=${value}`);
            if (['href', 'src'].includes(name) && !/^(#|\\/|https?:|data:image\\/png;base64,)/.test(value)) bad.push(value);
        }
        for (const one of element.classList) if (one.includes('<')) bad.push(one);
    }
    return window.ran === undefined ? bad : [`ran: ${window.ran}`, ...bad];
}"""
OPEN_ALL = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
TEXT = {"type": "text", "text": EVIL + LINKS}


def fill(puppet: Puppet, session: str) -> None:
    """Put it into everything that updates of a session can carry."""
    tell = puppet.tell
    option = {"value": EVIL, "name": EVIL, "description": EVIL}
    options = [
        {
            "type": "select", "configId": f"{kind}{EVIL}", "name": EVIL, "category": kind,
            "currentValue": EVIL, "options": [option],
        }
        for kind in ("mode", "model")
    ]  # fmt: skip
    flag = {"type": "boolean", "configId": EVIL, "name": EVIL, "currentValue": True}
    tell(session, sessionUpdate="session_info_update", title=EVIL)
    tell(session, sessionUpdate="config_option_update", configOptions=[*options, flag])
    commands = [{"type": "command", "name": EVIL, "description": EVIL}, {"type": EVIL}]
    tell(session, sessionUpdate="available_commands_update", availableCommands=commands)
    blocks = [
        TEXT,
        {"type": "resource_link", "name": EVIL, "title": EVIL, "uri": "javascript:window.ran=20"},
        {"type": "resource", "resource": {"uri": "javascript:1", "mimeType": EVIL, "text": EVIL}},
        {"type": "image", "mimeType": "image/svg+xml", "data": base64.b64encode(EVIL.encode()).decode()},
        {"type": "image", "mimeType": "image/png", "data": "\"onerror='window.ran=21'"},
        {"type": "image", "mimeType": f"image/png,{EVIL}", "data": ""},
        {"type": "audio", "mimeType": EVIL, "data": ""},
        {"type": EVIL},
    ]  # fmt: skip
    for kind in ("user_message", "agent_message", "agent_thought"):
        tell(session, sessionUpdate=kind, messageId=kind + EVIL, content=blocks)
    entry = {"content": EVIL, "priority": EVIL, "status": f"card {EVIL}"}
    plan = {"type": "items", "planId": EVIL, "entries": [entry, entry | {"status": "pending"}]}
    tell(session, sessionUpdate="plan_update", plan=plan)
    tell(session, sessionUpdate="notice", severity="info", title=EVIL, description=EVIL)
    output = {"data": base64.b64encode(f"\x1b]8;;javascript:1\x07{EVIL}".encode()).decode()}
    tell(session, sessionUpdate="terminal_update", terminalId=EVIL, command=EVIL, cwd=EVIL, output=output)  # fmt: skip
    tell(session, sessionUpdate="terminal_output_chunk", terminalId=EVIL, data="<no base64>")
    tell(session, sessionUpdate="terminal_update", terminalId="alone", command=EVIL, output=output)
    patch = f"diff --git a/{EVIL} b/{EVIL}\n--- a/{EVIL}\n+++ b/{EVIL}\n@@ -1 +1 @@ {EVIL}\n-{EVIL}\n+{EVIL}\n"
    changes = [{"operation": "modify", "path": EVIL, "mimeType": EVIL}]
    content = [
        {"type": "diff", "changes": changes, "patch": {"format": "git_patch", "text": patch}},
        {"type": "diff", "changes": changes},
        {"type": "terminal", "terminalId": EVIL},
        *({"type": "content", "content": block} for block in blocks[:6]),
    ]
    for status in ("completed", f"card {EVIL}"):
        tell(
            session, sessionUpdate="tool_call_update", toolCallId=f"{status}{EVIL}", title=EVIL, name=EVIL,
            kind=EVIL if status != "completed" else "edit", status=status, content=content,
            rawInput={EVIL: EVIL, "command": EVIL}, rawOutput={EVIL: EVIL}, locations=[{"path": EVIL}],
        )  # fmt: skip
    for kind in ("constructor", "__proto__", "toString"):
        tell(session, sessionUpdate=kind, messageId="m", content=TEXT)
    puppet.become(session, "running")
    puppet.tell(
        session, sessionUpdate="state_update", state="idle", stopReason="error",
        error={"code": 1, "message": EVIL},
    )  # fmt: skip


OPTIONS = [
    {"optionId": EVIL, "name": EVIL, "kind": "allow_once"},
    {"optionId": "odd", "name": EVIL, "kind": f"reject_once {EVIL}"},
    {"optionId": "no", "name": EVIL, "kind": "constructor"},
]
CALL = {"toolCallId": "c", "title": EVIL, "rawInput": {"command": EVIL}, "status": EVIL}
SUBJECTS: dict[str, dict[str, Any]] = {
    "s1": {"type": "tool_call", "toolCall": CALL},
    "s2": {"type": "command", "command": EVIL, "cwd": EVIL},
}
FIELD = {"title": EVIL, "description": EVIL, "default": EVIL}
CHOICES = [{"const": EVIL, "title": EVIL}]
FORM = {
    "type": "object",
    "title": EVIL,
    "description": EVIL,
    "required": [EVIL],
    "properties": {
        EVIL: {"type": "string", **FIELD},
        "pattern": {"type": "string", "pattern": "(a+)+$(", "format": "email", **FIELD},
        "few": {"type": "string", "oneOf": CHOICES, **FIELD},
        "many": {"type": "string", "enum": [f"{EVIL}{number}" for number in range(6)], **FIELD},
        "list": {"type": "array", "items": {"anyOf": CHOICES}, "title": EVIL},
        "__proto__": {"type": "boolean", "title": EVIL},
    },
}
QUESTION = {"mode": "form", "sessionId": "s3", "message": EVIL, "requestedSchema": FORM}


async def test_nothing_that_an_agent_says_runs(open_page: Any, attached: Any, key_of: Any) -> None:
    async with attached("s1", "s2", "s3", name=EVIL, cwd=f"/{EVIL}") as puppet:
        fill(puppet, "s1")
        asking: list[asyncio.Future[Any]] = []
        for session_id, subject in SUBJECTS.items():
            asked = puppet.ask(session_id, EVIL, description=EVIL, subject=subject, options=OPTIONS)
            asking.append(asyncio.ensure_future(asked))
        asking.append(asyncio.ensure_future(puppet.request("elicitation/create", QUESTION)))
        page = await open_page(
            script="document.hasFocus = () => false;", permissions=["notifications"]
        )
        await page.wait_for_selector(".card >> nth=2")
        assert EVIL in await page.inner_text(".card h2 >> nth=0")
        assert await page.evaluate(FOUND) == []
        session = key_of("s1")
        for view, ready in {
            f"#/s/{session}": ".session .card",
            f"#/s/{session}/replay": ".replaying",
            "#/search/window": ".hits li",
            f"#/search/{EVIL.replace('%', '')}": ".reading",
            f"#/s/{session}/%E0%A4%A": ".session:not(.replay)",
            "#/search/%E0%A4%A": ".reading",
            "#/audit": ".reading",
            f"#/s/{session}/": ".item.end",
        }.items():
            await page.evaluate("(view) => { location.hash = view; }", view)
            await page.wait_for_selector(ready, state="attached")
            if view.endswith("replay"):
                await page.focus(".replaying input")
                await page.keyboard.press("End")
            await page.evaluate(OPEN_ALL)
            assert await page.evaluate(FOUND) == [], view
            # The name of a status or a kind makes nothing a card.
            assert await page.locator(".card").count() == ("/s/" in view and "replay" not in view)
        await page.fill(".composer textarea", "/")
        await page.wait_for_selector(".offers li")
        assert await page.evaluate(FOUND) == []
        await page.click(".links button:has-text('changed file')")
        await page.wait_for_selector(".changes .diff")
        assert await page.evaluate(FOUND) == []
        for one in asking:
            one.cancel()


async def test_a_saved_page_runs_nothing_either(
    running: Any, open_page: Any, attached: Any, key_of: Any, tmp_path: Any
) -> None:
    async with attached("s1") as puppet:
        fill(puppet, "s1")
        page = await open_page(at=f"#/s/{key_of('s1')}")
        await page.wait_for_selector(".item.end")
        async with page.expect_download() as download:
            await page.click("a:has-text('HTML')")
        saved = tmp_path / "saved.html"
        await (await download.value).save_as(saved)
    text = saved.read_text(encoding="utf-8")
    assert "window.ran" in text
    async with await page.context.new_page() as read:
        errors: list[str] = []
        read.on("console", lambda line: errors.append(line.text))
        read.on("request", lambda request: errors.append(request.url))
        await read.goto(saved.as_uri())
        assert await read.evaluate("window.ran") is None
        assert (
            await read.locator("script, iframe, img, svg, [onerror], [href^=javascript]").count()
            == 0
        )
        assert errors == [saved.as_uri()]
