"""Tools that a model gets when its spec or the settings ask for their group.

Part of `tools.catalog`, which is where to look tools up.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from punie.agent.tools import navigation as nav
from punie.agent.tools.base import Tool
from punie.agent.tools.language import answers

AnyTool: TypeAlias = Tool[Any, Any]

NAVIGATION: tuple[AnyTool, ...] = (
    Tool(
        name="definition",
        kind="search",
        risk="read",
        description="Show where a symbol is defined, with its source.",
        arguments=answers.OfSymbol,
        result=answers.DefinitionResult,
        run=nav.definition,
        title=lambda args: f"Find the definition of {args.symbol}",
        copied_arguments=("symbol",),
        group="navigation",
        examples=(answers.OfSymbol(symbol="pkg.mod.Class.method"),),
    ),
    Tool(
        name="references",
        kind="search",
        risk="read",
        description="List all uses of a symbol.",
        arguments=answers.OfSymbol,
        result=answers.ReferencesResult,
        run=nav.references,
        title=lambda args: f"Find the uses of {args.symbol}",
        copied_arguments=("symbol",),
        group="navigation",
        examples=(answers.OfSymbol(symbol="Class.method"),),
    ),
    Tool(
        name="hover",
        kind="search",
        risk="read",
        description="Show the signature, types and documentation of a symbol.",
        arguments=answers.OfSymbol,
        result=answers.HoverResult,
        run=nav.hover,
        title=lambda args: f"Look at {args.symbol}",
        copied_arguments=("symbol",),
        group="navigation",
        examples=(answers.OfSymbol(symbol="load_config"),),
    ),
    Tool(
        name="outline",
        kind="read",
        risk="read",
        description="List the classes and functions that a file defines.",
        arguments=answers.Outline,
        result=answers.OutlineResult,
        run=nav.outline,
        title=lambda args: f"Outline {args.path}",
        path_arguments=("path",),
        group="navigation",
        examples=(answers.Outline(path="src/app.py"),),
    ),
    Tool(
        name="symbols",
        kind="search",
        risk="read",
        description="Find symbols of the project whose name is like the query.",
        arguments=answers.Symbols,
        result=answers.SymbolsResult,
        run=nav.symbols,
        title=lambda args: f"Find symbols like {args.query!r}",
        copied_arguments=("query",),
        group="navigation",
        examples=(answers.Symbols(query="config"),),
    ),
    Tool(
        name="diagnostics",
        kind="read",
        risk="read",
        description="Check a file as it is now, unsaved text included.",
        arguments=answers.Diagnostics,
        result=answers.DiagnosticsResult,
        run=nav.diagnostics,
        title=lambda args: f"Check {args.path}",
        path_arguments=("path",),
        group="navigation",
        examples=(answers.Diagnostics(path="src/app.py"),),
    ),
)
