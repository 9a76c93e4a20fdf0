"""Tell text, reasoning and calls apart while a reply streams in, however it is cut into pieces.

`TagSplitter` goes by the marks that models put around reasoning and calls; `TextGate` holds back
text without marks that may turn out to be a call and nothing else. What a call says is read in
`dialects`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from punie.agent.models.repairs import ending

Kind: TypeAlias = Literal["text", "thinking", "call"]

MARKS: Mapping[str, Kind] = {
    "<think>": "thinking",
    "</think>": "text",
    "<thinking>": "thinking",
    "</thinking>": "text",
    "[THINK]": "thinking",
    "[/THINK]": "text",
    "<|channel|>analysis<|message|>": "thinking",
    "<|channel|>final<|message|>": "text",
    "<|channel|>commentary<|message|>": "text",
    "<|start|>assistant": "text",
    "<|end|>": "text",
    "<|return|>": "text",
}
"""What switches to which kind: Qwen and DeepSeek, Claude-like, Magistral, harmony."""

CALLS: Mapping[str, str] = {
    "<tool_call>": "</tool_call>",  # Hermes, Qwen, GLM
    "<tool_calls>": "</tool_calls>",  # Hunyuan
    "<function=": "</function>",  # Qwen3-Coder without its outer tag, Llama 3.1
    "<function name=": "</function>",  # MiniCPM
    "<invoke name=": "</invoke>",
    "<function_calls>": "</function_calls>",
    "<minimax:tool_call>": "</minimax:tool_call>",
    "<seed:tool_call>": "</seed:tool_call>",
    "<longcat_tool_call>": "</longcat_tool_call>",
    "<TOOLCALL>": "</TOOLCALL>",  # Nemotron
    "<|tool_call|>": "<|/tool_call|>",  # Granite, Phi-4-mini
    "<|tool_call>": "<tool_call|>",  # Gemma 4
    "<start_function_call>": "<end_function_call>",  # FunctionGemma
    "<|tool_call_start|>": "<|tool_call_end|>",  # LFM2
    "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",  # Kimi K2
    "<|tool_call_begin|>": "<|tool_call_end|>",
    "<\uff5ctool\u2581calls\u2581begin\uff5c>": "<\uff5ctool\u2581calls\u2581end\uff5c>",
    "<\uff5ctool\u2581call\u2581begin\uff5c>": "<\uff5ctool\u2581call\u2581end\uff5c>",
    "<\uff5cDSML\uff5cfunction_calls>": "</\uff5cDSML\uff5cfunction_calls>",  # DeepSeek V3.2
    "<|START_ACTION|>": "<|END_ACTION|>",  # Command
    "<|action_start|>": "<|action_end|>",  # InternLM
    "<|channel|>commentary to=": "<|call|>",  # gpt-oss
    "<|start|>assistant to=": "<|call|>",
    "[TOOL_CALLS]": "",  # Mistral
    "<|python_tag|>": "",  # Llama 3
}
"""What opens a call and what closes it; an empty text: the end of the reply."""

ENDS = re.compile(
    r"(?:\s|<\|(?:im_end|eot_id|eom_id|endoftext|end|call|return|user)\|>|</s>|<end_of_turn>"
    r"|</tool_call>|</tool_calls>|</TOOLCALL>)+\Z"
)
"""What may stand behind a call and says nothing."""

_KEYS = ("name", "tool_name", "tool", "function", "tool_calls", "type", "arguments", "parameters")
"""How the JSON of a call may begin."""
_LANGUAGES = ("json", "tool_call", "tool_calls", "tool_code", "tool", "xml", "python", "")


class Piece(NamedTuple):
    """Some of a reply, told apart by the marks around it."""

    kind: Kind
    text: str
    """Of a call with its marks, of anything else without."""


class TagSplitter:
    """Tells text, reasoning and calls apart by their marks."""

    def __init__(
        self,
        marks: Mapping[str, Kind] = MARKS,
        calls: Mapping[str, str] = CALLS,
        *,
        kind: Kind = "text",
    ) -> None:
        """Begin.

        Args:
            marks: What switches to which kind.
            calls: What opens a call and what closes it.
            kind: What the reply begins with.
        """
        self.kind: Kind = kind
        self._marks = marks
        self._calls = calls
        self._closer = ""
        self._call = ""
        self._thought = ""
        self._held = ""
        self._line = ""
        self._in_code = False
        self._after_mark = False
        self._tags = {
            "text": sorted([*marks, *calls], key=len, reverse=True),
            "thinking": [mark for mark, to in marks.items() if to == "text"],
        }
        self._first = re.compile(f"[{''.join(re.escape(c) for c in {t[0] for t in self._all()})}]")

    @property
    def closed(self) -> bool:
        """Whether no call is open; one without a closing mark is, to the end."""
        return self.kind != "call"

    def feed(self, text: str) -> list[Piece]:
        """Take more of the reply.

        Returns:
            What is certain by now. An empty piece marks a change of kind.
        """
        self._held += text
        return self._split(final=False)

    def finish(self) -> list[Piece]:
        """Give what was held back. A call in reasoning that never ended was meant as one."""
        pieces = self._split(final=True)
        if self.kind == "thinking":
            starts = [at for tag in self._calls if (at := self._thought.find(tag)) >= 0]
            if starts:
                inner = TagSplitter({}, self._calls)
                pieces += [*inner.feed(self._thought[min(starts) :]), *inner.finish()]
                self.kind, self._closer = inner.kind, inner._closer
        return pieces

    def _all(self) -> Iterable[str]:
        return [*self._marks, *self._calls, "<"]

    def _split(self, *, final: bool) -> list[Piece]:
        pieces: list[Piece] = []
        while self._held:
            if self.kind == "call":
                if not self._in_call(pieces, final=final):
                    break
                continue
            found = self._first.search(self._held)
            start = found.start() if found else len(self._held)
            if start:
                self._plain(pieces, start)
                continue
            tags = self._tags[self.kind]
            tag = next((tag for tag in tags if self._held.startswith(tag)), None)
            longer = any(t.startswith(self._held) and t != tag for t in tags)
            if longer and not final:
                break
            if tag is None or self._in_code or self._line.endswith(("`", '"', "'")):
                self._plain(pieces, 1)
            else:
                self._switch(pieces, tag)
        return pieces

    def _plain(self, pieces: list[Piece], size: int) -> None:
        text, self._held = self._held[:size], self._held[size:]
        self._note_fences(text)
        if self._after_mark:
            text = text.lstrip()  # models put empty lines behind a mark
            self._after_mark = not text
        if self.kind == "thinking":
            self._thought += text
        pieces.append(Piece(self.kind, text))

    def _note_fences(self, text: str) -> None:
        """Know whether the text is in a block of code: there, marks are only text."""
        *ended, last = (self._line + text).split("\n")
        for line in ended:
            if line.lstrip().startswith("```"):
                self._in_code = not self._in_code
        self._line = last

    def _switch(self, pieces: list[Piece], tag: str) -> None:
        self._held = self._held[len(tag) :]
        self._after_mark = True
        self._thought, self._line = "", ""
        if tag in self._calls:
            self.kind, self._closer, self._call = "call", self._calls[tag], tag
            pieces.append(Piece("call", tag))
        else:
            self.kind = self._marks[tag]
            pieces.append(Piece(self.kind, ""))

    def _in_call(self, pieces: list[Piece], *, final: bool) -> bool:
        """Take some of a call.

        Returns:
            Whether more can be told of what is there.
        """
        closer = self._closer
        at = self._held.find(closer) if closer else -1
        if at < 0:
            spare = 0 if final or not closer else len(closer) - 1
            taken = self._held[: max(0, len(self._held) - spare)]
            self._held = self._held[len(taken) :]
            self._call += taken
            if taken:
                pieces.append(Piece("call", taken))
            return False
        taken = self._held[: at + len(closer)]
        self._held = self._held[len(taken) :]
        self._call += taken
        pieces.append(Piece("call", taken))
        body = self._call[: -len(closer)]
        if "{" in body and ending(body[body.index("{") :]).in_string:
            return True  # the closing mark is part of a string, or the call was cut
        self.kind = "text"
        self._line, self._after_mark = "", True
        pieces.append(Piece("text", ""))
        return True


class TextGate:
    """Lets text through, but for what may be a call without marks: that is held to the end."""

    def __init__(self, names: Iterable[str]) -> None:
        """Begin.

        Args:
            names: The tools that can be called.
        """
        self._line_start = True
        self._in_code = False
        self._waiting: str = ""
        self._held: str = ""
        names = list(names)
        called = "|".join(re.escape(name) for name in names) or r"(?!)"
        self._begins = re.compile(
            rf"\s*(?:\[\s*|print\(|default_api\.)*(?:{called})\(|functools\s*\["
            r"|Action:|(?:assistant)?(?:commentary )?to=functions\."
        )
        self._starts = [*names, "functools[", "Action:", "assistantcommentary to=functions."]
        self._starts += ["commentary to=functions.", "to=functions."]

    def feed(self, text: str) -> str:
        """Take more text.

        Returns:
            What can be shown.
        """
        if self._held:
            self._held += text
            return ""
        self._waiting += text
        shown = ""
        while self._waiting:
            if self._line_start:
                verdict = self._verdict(self._waiting)
                if verdict == "call":
                    self._held, self._waiting = self._waiting, ""
                    return shown
                if verdict == "unsure":
                    return shown
                self._line_start = False
                if self._waiting.lstrip().startswith("```"):
                    self._in_code = not self._in_code
            line, newline, rest = self._waiting.partition("\n")
            shown += line + newline
            self._waiting = rest
            self._line_start = bool(newline)
        return shown

    def finish(self) -> str:
        """Give what was held back."""
        held, self._held, self._waiting = self._held + self._waiting, "", ""
        return held

    def _verdict(self, text: str) -> Literal["call", "unsure", "text"]:
        line = text.lstrip(" \t")
        if self._in_code:
            return "unsure" if line in {"", "`", "``"} else "text"
        if line.startswith("`") and "```".startswith(line[:3]):
            return self._fence(line)
        if not line:
            return "unsure"
        if line[0] in "{[":
            return self._json(line)
        if self._begins.match(line):
            return "call"
        head = re.sub(r"^(?:print\(|default_api\.)", "", line)
        may = any(start.startswith(head) for start in (*self._starts, "print(", "default_api."))
        return "unsure" if may or head in {f"{name}" for name in self._starts} else "text"

    def _fence(self, line: str) -> Literal["call", "unsure", "text"]:
        found = re.match(r"`{1,3}([a-z_]*)(\s*)", line)
        language, space = (found[1], found[2]) if found else ("", "")
        rest = line[found.end() :] if found else ""
        if not rest and (not space or "\n" not in space):
            may = any(known.startswith(language) for known in _LANGUAGES)
            return "unsure" if may else "text"
        if language not in _LANGUAGES:
            return "text"
        if not rest:
            return "unsure"
        if language.startswith("tool") or rest[0] == "<":
            return "call"
        if rest[0] in "{[":
            return self._json(rest)
        return "call" if self._begins.match(rest) else self._unsure_name(rest)

    def _unsure_name(self, text: str) -> Literal["unsure", "text"]:
        return "unsure" if any(start.startswith(text) for start in self._starts) else "text"

    def _json(self, text: str) -> Literal["call", "unsure", "text"]:
        if self._begins.match(text):
            return "call"
        head = re.match(r"\[?\s*\{?\s*[\"']?([A-Za-z_]*)(.?)", text, re.DOTALL)
        key, after = (head[1], head[2]) if head else ("", "")
        keys = (*_KEYS, *self._starts)
        if key in keys and after:
            return "call"
        if after or (key and not any(known.startswith(key) for known in keys)):
            return "text"
        return "unsure"
