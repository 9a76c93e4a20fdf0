"""A small agent in plain Python that can be broken on purpose, one fault at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Broken = Callable[..., list[str]]

# Good in all that the check looks at, unless FAULT names something. It uses nothing of punie.acp,
# so that the check is not held against the code that it belongs to.
AGENT = r"""
import json, os, signal, subprocess, sys, threading, time
FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
lock = threading.Lock()
sessions, cancelled, answers = {}, set(), {}
turns = {}
answered = threading.Condition()

def send(message):
    with lock:
        text = json.dumps({"jsonrpc": "2.0"} | message)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

def reply(id, result):
    send({"id": id, "result": result})

def fail(id, code):
    if FAULT == "ids" and isinstance(id, str):
        id = int("0" + "".join(one for one in id if one.isdigit()))
    send({"id": id, "error": {"code": code, "message": "no"}})

def update(session, kind, **fields):
    send({"method": "session/update",
          "params": {"sessionId": session, "update": {"sessionUpdate": kind} | fields}})

def say(session, text):
    update(session, "agent_message_chunk", content={"type": "text", "text": text})

def ask(method, params):
    id = len(answers) + 1
    answers[id] = None
    send({"id": id, "method": method, "params": params})
    with answered:
        answered.wait_for(lambda: answers[id] is not None)
    return answers[id]

OPTION = {"type": "select", "id": "mode", "name": "Mode", "currentValue": "a",
          "options": [{"value": "a", "name": "A"}]}
if FAULT == "option": OPTION["currentValue"] = "b"
SWITCH = {"type": "boolean", "id": "switch", "name": "Switch", "currentValue": True}
GROUPS = OPTION | {"id": "model", "options": [
    {"group": "g", "name": "G", "options": [{"value": "a", "name": "A"}]}]}
OPTIONS = [] if FAULT == "no options" else [SWITCH, OPTION, GROUPS]

def initialize(id, params):
    version = params["protocolVersion"]
    result = {"protocolVersion": version if FAULT == "echo" else 1,
              "agentCapabilities": {"sessionCapabilities": {"list": {}, "close": {}}}}
    if FAULT == "modest": result["agentCapabilities"] = {}
    if FAULT == "two" and version > 1: result["protocolVersion"] = 2
    if FAULT == "resume": result["agentCapabilities"]["sessionCapabilities"]["resume"] = {}
    if FAULT == "long line": sys.stdout.write("x" * (2**26 + 1) + "\n")
    if FAULT == "version": result["protocolVersion"] = 0
    if FAULT == "shape": result["agentCapabilities"] = True
    if FAULT == "login": result["authMethods"] = [{"id": "t", "name": "T", "type": "terminal"}]
    if FAULT == "once" and sessions.setdefault("initialized", 0): return fail(id, -32600)
    sessions["initialized"] = 1
    if FAULT == "print":
        for _ in range(5): print("Welcome!", flush=True)
    reply(id, result)

def new_session(id, params):
    if FAULT == "auth": return fail(id, -32000)
    if not isinstance(params.get("cwd"), str):
        return fail(id, -32603 if FAULT == "params" else -32602)
    if not params["cwd"].startswith("/") and FAULT != "cwd":
        return fail(id, -32602)
    session = f"s{len(sessions)}"
    if FAULT == "same": session = "s"
    if FAULT == "nothing": session = ""
    if FAULT == "numbered": return reply(id, {"sessionId": 5})
    sessions[session] = params["cwd"]
    if FAULT == "early": update(session, "available_commands_update", availableCommands=[])
    reply(id, {"sessionId": session, "configOptions": OPTIONS})

def prompt(id, params):
    session, text = params["sessionId"], params["prompt"][0]["text"]
    if session not in sessions:
        return fail(id, -32603 if FAULT == "unknown" else -32002)
    if FAULT == "busy" and session in turns.values(): return fail(id, -32603)
    if FAULT == "one at a time" and turns: return fail(id, -32603)
    turns[id] = session
    threading.Thread(target=run, args=(id, session, text), daemon=True).start()

def run(id, session, text):
    stop = "end_turn"
    if "slowly" in text and FAULT == "impatient" and sessions.setdefault("slow", 0):
        say(session, "later")
    elif "slowly" in text:
        sessions["slow"] = 1
        for number in range(100):
            if {id, session} & cancelled:
                stop = "cancelled"
                cancelled.difference_update({id, session})
                break
            say(session, str(number))
            time.sleep(0.05)
    elif text.startswith("write"):
        stop = write(session)
    elif FAULT != "silent":
        if FAULT == "extends":
            send({"method": "_own/n", "params": {}})
            update(session, "_own")
        if FAULT == "kind": update(session, "surprise")
        if FAULT == "list id": say([session], "odd")
        if FAULT == "crash": os._exit(3)
        say(session, "Hello")
    if FAULT == "reason": stop = "done"
    turns.pop(id)
    reply(id, {"stopReason": stop})
    if FAULT == "late": say(session, "!")

def write(session):
    path = os.path.join(sessions[session], "conformance.txt")
    if FAULT != "no call": update(session, "tool_call", toolCallId="t", title="Write")
    if FAULT == "reads": say(session, str(ask("fs/read_text_file", {"sessionId": session, "path": path})))
    if FAULT == "reads itself": say(session, str(ask("fs/read_text_file", {"sessionId": session, "path": __file__})))
    if FAULT == "asks": say(session, str(ask("_own/x", {})))
    options = [{"optionId": "y", "name": "Yes", "kind": "allow_once"},
               {"optionId": "n", "name": "No", "kind": "reject_once"}]
    if FAULT == "options": options[1]["optionId"] = "y"
    outcome = ask("session/request_permission", {
        "sessionId": session, "toolCall": {"toolCallId": "t"}, "options": options})["outcome"]
    if FAULT == "fs rejected": ask("fs/write_text_file", {"sessionId": session, "path": path, "content": "x"})
    if FAULT == "effect" or outcome.get("optionId") == "y":
        if FAULT == "fs": ask("fs/write_text_file", {"sessionId": session, "path": path, "content": "x"})
        else: open(path, "w").close()
    if outcome["outcome"] == "cancelled":
        return "end_turn" if FAULT == "asked" else "cancelled"
    return "end_turn"

def other(id, method, params):
    if method == "session/list":
        return fail(id, -32601) if FAULT == "list" else reply(id, {"sessions": []})
    if method == "session/close": return reply(id, {})
    if method == "session/set_config_option":
        known = params["configId"] == "switch" or FAULT == "any option"
        return reply(id, {"configOptions": OPTIONS}) if known else fail(id, -32602)
    if FAULT == "method": return reply(id, None)
    fail(id, -32601)

def serve(message):
    method, id, params = message.get("method"), message.get("id"), message.get("params")
    if method == "session/cancel":
        if FAULT != "cancel": cancelled.add(params["sessionId"])
    elif method == "$/cancel_request":
        if FAULT != "cancel request": cancelled.add(params["requestId"])
    elif method is None and id is not None:
        with answered:
            answers[id] = message.get("result", {})
            answered.notify_all()
    elif method is None:
        fail(None, -32603 if FAULT == "object" else -32600)
    elif id is None:
        if FAULT == "notification": fail(None, -32601)
    else:
        handler = {"initialize": initialize, "session/new": new_session,
                   "session/prompt": prompt}.get(method)
        handler(id, params) if handler else other(id, method, params)

if FAULT == "sigterm": signal.signal(signal.SIGTERM, signal.SIG_IGN)
if FAULT == "child": subprocess.Popen(["sleep", "30"], start_new_session=True)
for line in sys.stdin.buffer:
    try:
        message = json.loads(line)
    except ValueError:
        if FAULT != "parse": fail(None, -32700)
        continue
    if isinstance(message, dict): serve(message)
    elif FAULT == "dies": sys.exit(1)
    elif isinstance(message, list) and FAULT == "array": serve(message[0])
    elif isinstance(message, int) and FAULT == "scalar": pass
    else: fail(None, -32600)
if FAULT == "eof": time.sleep(30)
os._exit(0)
"""


# The same for version 2; of version 1 it knows the handshake.
AGENT_V2 = r"""
import json, os, sys, threading, time
FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
lock = threading.Lock()
sessions, history, cancelled, answers = {}, {}, set(), {}
answered = threading.Condition()
hello = []

def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
        sys.stdout.flush()

def reply(id, result):
    send({"id": id, "result": result})

def fail(id, code, **data):
    send({"id": id, "error": {"code": code, "message": "no", "data": data}})

def update(session, kind, **fields):
    send({"method": "session/update",
          "params": {"sessionId": session, "update": {"sessionUpdate": kind} | fields}})

def state(session, state, **fields):
    update(session, "state_update", state=state, **fields)

def say(session, text):
    update(session, "agent_message_chunk", messageId="a", content={"type": "text", "text": text})

def ask(method, params):
    id = len(answers) + 1
    answers[id] = None
    send({"id": id, "method": method, "params": params})
    with answered:
        answered.wait_for(lambda: answers[id] is not None)
    return answers[id]

OPTIONS = [
    {"type": "boolean", "configId": "switch", "name": "Switch", "currentValue": True},
    {"type": "select", "configId": "mode", "name": "Mode", "currentValue": "a",
     "options": [{"value": "a", "name": "A"}]},
]
if FAULT == "select": OPTIONS.reverse()
if FAULT == "no options": OPTIONS = []

def initialize(id, params):
    if params["protocolVersion"] < 2 and FAULT not in ("refuses", "refuses badly", "newer only"):
        return reply(id, {"protocolVersion": 1})
    if params["protocolVersion"] < 2 and FAULT == "refuses":
        return fail(id, -32022, requested=1, supported=[2])
    if params["protocolVersion"] < 2 and FAULT == "refuses badly":
        return fail(id, -32022, supported="2")
    hello.append(1)
    result = {"protocolVersion": 2, "info": {"name": "small", "version": "1"},
              "capabilities": {"session": {}}}
    if FAULT == "no info": del result["info"]
    reply(id, result)

def new_session(id, params):
    if FAULT == "auth": return fail(id, -32000)
    session = f"s{len(sessions)}"
    sessions[session] = params["cwd"]
    result = {"sessionId": session, "configOptions": OPTIONS}
    if FAULT == "modes": result["modes"] = {"currentModeId": "a", "availableModes": []}
    if FAULT == "numbered": result["sessionId"] = 5
    reply(id, result)

def resume(id, params):
    session = params["sessionId"]
    start = params.get("replayFrom")
    if start and start["type"] != "start" and FAULT != "any cursor": return fail(id, -32602)
    if start and FAULT != "forgets":
        told = "other" if FAULT == "other id" else history[session]
        update(session, "user_message", messageId=told, content=[])
    if FAULT != "stateless": state(session, "idle")
    reply(id, {})

def prompt(id, params):
    session, text = params["sessionId"], params["prompt"][0]["text"]
    if session not in sessions:
        return fail(id, -32602 if FAULT == "unknown" else -32002, sessionId=session)
    if FAULT == "refuses prompts": return fail(id, -32603)
    threading.Thread(target=run, args=(id, session, text), daemon=True).start()

def run(id, session, text):
    message = history[session] = f"m{id}"
    if FAULT != "late answer": reply(id, {"messageId": message})
    told = "other" if FAULT == "other message" else message
    update(session, "user_message", messageId=told, content=[])
    if FAULT == "hangs": return
    if FAULT != "no running": state(session, "running")
    stop = "end_turn"
    if "slowly" in text and FAULT != "hasty":
        for number in range(100):
            if session in cancelled:
                stop = "cancelled"
                break
            say(session, str(number))
            time.sleep(0.02)
    elif text.startswith("write"): write(session)
    else: say(session, "Hello")
    if FAULT == "late answer": reply(id, {"messageId": message})
    state(session, "idle", **({} if FAULT == "no reason" else {"stopReason": stop}))
    if FAULT == "late": say(session, "!")

def write(session):
    path = os.path.join(sessions[session], "conformance.txt")
    if FAULT == "never asks": return
    if FAULT == "does not ask": return open(path, "w").close()
    if FAULT != "untold":
        update(session, "tool_call_update", toolCallId="t", title="Write", status="pending")
    if FAULT != "running on": state(session, "requires_action")
    outcome = ask("session/request_permission", {
        "sessionId": session, "title": "Write?",
        "subject": {"type": "tool_call", "toolCall": {"toolCallId": "t"}},
        "options": [{"optionId": "y", "name": "Yes", "kind": "allow_once"},
                    {"optionId": "n", "name": "No", "kind": "reject_once"}]})["outcome"]
    state(session, "running")
    if FAULT == "effect" or outcome.get("optionId") == "y": open(path, "w").close()
    if FAULT != "open call": update(session, "tool_call_update", toolCallId="t", status="failed")

def other(id, method, params):
    if method == "session/list" and FAULT != "list": return reply(id, {"sessions": []})
    if method == "session/close": return reply(id, {})
    if method == "session/load" and FAULT == "load": return reply(id, {})
    if method == "session/set_config_option":
        known = params["configId"] in ("switch", "mode") or FAULT == "any option"
        rows = OPTIONS[:1] if FAULT == "partial" else OPTIONS
        return reply(id, {"configOptions": rows}) if known else fail(id, -32602)
    fail(id, -32601)

def serve(message):
    method, id, params = message.get("method"), message.get("id"), message.get("params")
    if method == "session/cancel":
        if FAULT != "cancel": cancelled.add(params["sessionId"])
    elif method is None:
        with answered:
            answers[id] = message.get("result", {})
            answered.notify_all()
    elif method == "initialize": initialize(id, params)
    elif not hello and FAULT != "eager": fail(id, -32600)
    else:
        handler = {"session/new": new_session, "session/prompt": prompt,
                   "session/resume": resume}.get(method)
        handler(id, params) if handler else other(id, method, params)

for line in sys.stdin:
    serve(json.loads(line))
os._exit(0)
"""


@pytest.fixture
def agent(tmp_path: Path) -> Callable[[str], list[str]]:
    """The command of the small agent, with a fault."""
    script = tmp_path / "agent.py"
    script.write_text(AGENT, encoding="utf-8")
    return lambda fault="": [sys.executable, str(script), fault]


@pytest.fixture
def agent_v2(tmp_path: Path) -> Callable[[str], list[str]]:
    """The command of the small agent of version 2, with a fault."""
    script = tmp_path / "agent_v2.py"
    script.write_text(AGENT_V2, encoding="utf-8")
    return lambda fault="": [sys.executable, str(script), fault]
