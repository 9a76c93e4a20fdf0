"""`initialize` of version 1 for an agent of version 2, and that agent's answer for the client."""

from __future__ import annotations

from typing import Any

from punie.acp.schema import v1, v2


class _WithMore(v1.SessionCapabilities, frozen=True, kw_only=True):
    """What `schema.v1.unstable` has too, which is not worth loading at start-up."""

    # Empty objects, as all of them are.
    fork: v1.SessionListCapabilities | None = None
    archive: v1.SessionListCapabilities | None = None
    status: v1.SessionListCapabilities | None = None
    title: v1.SessionListCapabilities | None = None


_UNSTABLE = ("fork", "archive", "status", "title")
"""Capabilities of sessions that are no part of the draft."""


def initialize_to_v2(params: v1.InitializeRequest) -> v2.InitializeRequest:
    """Say in version 2 what a client of version 1 said.

    Its files and terminals have no place there: an agent finds them in the client's own words.
    """
    said = params.client_capabilities
    info = params.client_info
    elicitation = said.elicitation
    return v2.InitializeRequest(
        protocol_version=2,
        info=v2.Implementation(name="unknown", version="unknown")
        if info is None
        else v2.Implementation(
            name=info.name, version=info.version, title=info.title, meta=info.meta
        ),
        capabilities=v2.ClientCapabilities(
            auth=v2.ClientAuthCapabilities(
                terminal=v2.TerminalAuthCapabilities() if said.auth.terminal else None,
                meta=said.auth.meta,
            ),
            elicitation=None
            if elicitation is None
            else v2.ElicitationCapabilities(
                form=None if elicitation.form is None else v2.ElicitationFormCapabilities(),
                url=None if elicitation.url is None else v2.ElicitationUrlCapabilities(),
                meta=elicitation.meta,
            ),
            meta=said.meta,
        ),
        meta=params.meta,
    )


def initialize_to_v1(answer: v2.InitializeResponse) -> v1.InitializeResponse:
    """Say in version 1 what an agent of version 2 can do.

    Whoever has sessions there lists, resumes, replays and closes them; whoever has a way to log in
    has one to log out.
    """
    info = answer.info
    session = answer.capabilities.session
    logout = v1.LogoutCapabilities() if answer.auth_methods else None
    return v1.InitializeResponse(
        protocol_version=1,
        agent_capabilities=v1.AgentCapabilities(
            load_session=session is not None,
            prompt_capabilities=_prompt(session),
            mcp_capabilities=_mcp(session),
            session_capabilities=_session(session),
            auth=v1.AgentAuthCapabilities(logout=logout),
            meta=answer.capabilities.meta,
        ),
        auth_methods=[
            written for method in answer.auth_methods if (written := _auth_method(method))
        ],
        agent_info=v1.Implementation(
            name=info.name, version=info.version, title=info.title, meta=info.meta
        ),
        meta=answer.meta,
    )


def _mcp(session: v2.SessionCapabilities | None) -> v1.McpCapabilities:
    if session is None or session.mcp is None:
        return v1.McpCapabilities()
    # Version 2 has no server-sent events; an agent that reaches such servers says so beside it.
    sse = getattr(session.mcp, "sse", None)
    return v1.McpCapabilities(http=session.mcp.http is not None, sse=sse is not None)


def _prompt(session: v2.SessionCapabilities | None) -> v1.PromptCapabilities:
    if session is None or session.prompt is None:
        return v1.PromptCapabilities()
    said = session.prompt
    return v1.PromptCapabilities(
        image=said.image is not None,
        audio=said.audio is not None,
        embedded_context=said.embedded_context is not None,
        meta=said.meta,
    )


def _session(session: v2.SessionCapabilities | None) -> v1.SessionCapabilities:
    if session is None:
        return v1.SessionCapabilities()
    folders = session.additional_directories
    said: dict[str, Any] = {
        "list": v1.SessionListCapabilities(),
        "resume": v1.SessionResumeCapabilities(),
        "close": v1.SessionCloseCapabilities(),
        "delete": None if session.delete is None else v1.SessionDeleteCapabilities(),
        "additional_directories": None
        if folders is None
        else v1.SessionAdditionalDirectoriesCapabilities(),
        "meta": session.meta,
    }
    more: dict[str, Any] = {
        name: v1.SessionListCapabilities()
        for name in _UNSTABLE
        if getattr(session, name, None) is not None
    }
    return _WithMore(**said, **more) if more else v1.SessionCapabilities(**said)


def _auth_method(method: v2.AuthMethod) -> v1.AuthMethod | None:
    if isinstance(method, v2.AuthMethodAgent):
        return v1.AuthMethodAgent(
            id=method.method_id, name=method.name, description=method.description, meta=method.meta
        )
    if isinstance(method, v2.AuthMethodTerminal):
        return v1.AuthMethodTerminal(
            id=method.method_id,
            name=method.name,
            description=method.description,
            args=method.args or None,
            env={variable.name: variable.value for variable in method.env} or None,
            meta=method.meta,
        )
    return None
