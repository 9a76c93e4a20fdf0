"""Tools that a model gets when its spec or the settings ask for their group.

Part of `tools.catalog`, which is where to look tools up.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from punie.agent.tools import navigation as nav
from punie.agent.tools import refactoring as ref
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

REFACTORING: tuple[AnyTool, ...] = (
    Tool(
        name="rename_symbol",
        kind="edit",
        risk="write",
        description="Rename a symbol in all files.",
        arguments=ref.RenameSymbol,
        result=ref.RefactorResult,
        run=ref.rename_symbol,
        title=lambda args: f"Rename {args.symbol} to {args.new_name}",
        copied_arguments=("symbol", "new_name"),
        preview=ref.preview_rename,
        group="refactoring",
        examples=(ref.RenameSymbol(symbol="pkg.mod.Class.method", new_name="run"),),
    ),
    Tool(
        name="move_symbol",
        kind="edit",
        risk="write",
        description="Move a function or class to another file, with its imports.",
        arguments=ref.MoveSymbol,
        result=ref.RefactorResult,
        run=ref.move_symbol,
        title=lambda args: f"Move {args.symbol} to {args.path}",
        path_arguments=("path",),
        copied_arguments=("symbol",),
        preview=ref.preview_move,
        group="refactoring",
        examples=(ref.MoveSymbol(symbol="pkg.mod.load", path="src/pkg/loading.py"),),
    ),
    Tool(
        name="add_import",
        kind="edit",
        risk="write",
        description="Add an import statement to a file, in its place.",
        arguments=ref.AddImport,
        result=ref.RefactorResult,
        run=ref.add_import,
        title=lambda args: f"Add an import to {args.path}",
        path_arguments=("path",),
        copied_arguments=("statement",),
        preview=ref.preview_add,
        group="refactoring",
        examples=(ref.AddImport(path="src/app.py", statement="from pathlib import Path"),),
    ),
    Tool(
        name="organize_imports",
        kind="edit",
        risk="write",
        description="Sort the imports of a file and remove unused ones.",
        arguments=ref.OrganizeImports,
        result=ref.RefactorResult,
        run=ref.organize_imports,
        title=lambda args: f"Organize the imports of {args.path}",
        path_arguments=("path",),
        preview=ref.preview_organize,
        group="refactoring",
        examples=(ref.OrganizeImports(path="src/app.py"),),
    ),
    Tool(
        name="multi_edit",
        kind="edit",
        risk="write",
        description="Replace several texts of a file, all or none.",
        arguments=ref.MultiEdit,
        result=ref.RefactorResult,
        run=ref.multi_edit,
        title=lambda args: f"Edit {args.path} in {len(args.edits)} places",
        path_arguments=("path",),
        preview=ref.preview_edits,
        group="refactoring",
        examples=(
            ref.MultiEdit(
                path="src/app.py",
                edits=(
                    ref.Replacement(old="timeout = 5", new="timeout = 10"),
                    ref.Replacement(old="retries = 1", new="retries = 3"),
                ),
            ),
        ),
    ),
)
