"""Turn Pydantic AI's messages into plain chat dicts, for any model that reads a conversation.

Used for servers and for models in this process; how the dicts become text is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    BinaryContent,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

RawText = Callable[[ModelResponse], str | None]
"""Gives a response exactly as the model wrote it, when that is known."""


def chat_messages(
    messages: Sequence[ModelMessage],
    instructions: Sequence[InstructionPart] | None,
    *,
    raw: RawText | None = None,
    images: bool = False,
) -> list[dict[str, Any]]:
    """Write a history as chat messages with at most one system message, the first.

    Args:
        messages: Oldest first.
        instructions: What stands before everything.
        raw: Replays own responses verbatim, so that a prefix cache recognises them.
        images: Whether the model sees images, in the form that OpenAI gave them.

    Raises:
        UserError: A part holds what the model cannot read.
    """
    standing = InstructionPart.join(list(instructions)) if instructions else None
    system = [standing] if standing else []
    chat: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, SystemPromptPart) and not chat:
                    system.append(part.content)
                else:
                    _append(chat, _request_part(part, images=images))
        elif (written := _response(message, raw)) is not None:
            chat.append(written)
    if system:
        chat.insert(0, {"role": "system", "content": "\n\n".join(system)})
    return chat


def tool_specs(params: ModelRequestParameters) -> list[dict[str, Any]]:
    """Describe the tools of a request in the form that chat templates and servers read."""
    return [_tool_spec(tool) for tool in params.tool_defs.values()]


def _tool_spec(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description or "",
            "parameters": tool.parameters_json_schema,
        },
    }


def _append(chat: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """Add a message; two user messages in a row become one, as many templates demand."""
    if not chat or not message["role"] == "user" == chat[-1]["role"]:
        chat.append(message)
        return
    before, more = chat[-1]["content"], message["content"]
    if isinstance(before, str) and isinstance(more, str):
        chat[-1]["content"] = f"{before}\n\n{more}"
    else:
        chat[-1]["content"] = [*_pieces(before), *_pieces(more)]


def _pieces(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _request_part(part: Any, *, images: bool) -> dict[str, Any]:
    match part:
        case SystemPromptPart():
            return {"role": "user", "content": part.content}
        case UserPromptPart():
            return {"role": "user", "content": _user_content(part, images=images)}
        case ToolReturnPart():
            return {
                "role": "tool",
                "tool_call_id": part.tool_call_id,
                "name": part.tool_name,
                "content": part.model_response_str(),
            }
        case _ if part.part_kind == "retry-prompt":  # releases before 2.68
            answered = {"role": "tool", "tool_call_id": part.tool_call_id, "name": part.tool_name}
            head = answered if part.tool_name else {"role": "user"}
            return head | {"content": part.model_response()}
        case _:
            raise UserError(f"this model cannot read a {part.part_kind} part")


def _user_content(part: UserPromptPart, *, images: bool) -> str | list[dict[str, Any]]:
    """Write a prompt: text, or a list of pieces when there is an image among them."""
    if isinstance(part.content, str):
        return part.content
    pieces: list[dict[str, Any]] = []
    for piece in part.content:
        match piece:
            case str() | TextContent():
                text = piece if isinstance(piece, str) else piece.content
                pieces.append({"type": "text", "text": text})
            case BinaryContent() if images and piece.is_image:
                pieces.append({"type": "image_url", "image_url": {"url": piece.data_uri}})
            case _:
                raise UserError(f"this model does not read {type(piece).__name__}")
    if all(piece["type"] == "text" for piece in pieces):
        return "".join(piece["text"] for piece in pieces)
    return pieces


def prompt_text(part: UserPromptPart) -> str:
    """Give the words of a prompt; what is no text is named."""
    if isinstance(part.content, str):
        return part.content
    named: list[str] = []
    for piece in part.content:
        match piece:
            case str() | TextContent():
                named.append(piece if isinstance(piece, str) else piece.content)
            case BinaryContent() if piece.is_image:
                named.append("[image]")
            case _:
                named.append(f"[{type(piece).__name__}]")
    return "\n".join(named)


def _response(message: ModelResponse, raw: RawText | None) -> dict[str, Any] | None:
    if raw is not None and (text := raw(message)) is not None:
        return {"role": "assistant", "content": text}
    content = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
    if not content and not calls and not _only_thinking(message.parts):
        return None
    written: dict[str, Any] = {"role": "assistant", "content": content}
    return written | {"tool_calls": calls} if calls else written


def _only_thinking(parts: Sequence[ModelResponsePart]) -> bool:
    return any(isinstance(part, ThinkingPart) for part in parts)


def _call(part: ToolCallPart) -> dict[str, Any]:
    function = {"name": part.tool_name, "arguments": part.args_as_dict()}
    return {"id": part.tool_call_id, "type": "function", "function": function}


def with_text_arguments(chat: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Write the arguments of calls as JSON text, as HTTP servers want them."""
    return [
        {**message, "tool_calls": [_with_text(call) for call in message["tool_calls"]]}
        if message.get("tool_calls")
        else message
        for message in chat
    ]


def _with_text(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    text = json.dumps(function["arguments"], ensure_ascii=False)
    return {**call, "function": {**function, "arguments": text}}
