# Recipes for people; CI runs .ci/run, and most recipes are its steps.

_list:
    @just --list --unsorted

# the quick half of CI
check:
    .ci/run format lint types arrows dependencies changelog

# tests, all or some
test *args:
    uv run pytest {{ args }}

# format, and fix what ruff can fix
fmt:
    uv run ruff format
    uv run ruff check --fix

# the documentation, in docs/_build/html
docs:
    uv run python docs/cli_reference.py
    .ci/run docs

# all tests under coverage
coverage:
    uv run coverage erase
    uv run coverage run -m pytest
    uv run coverage combine
    uv run coverage report

# a new version of one package, everywhere it is named
bump package version:
    uv run python .ci/bump.py {{ package }} {{ version }}
    uv lock
    uv run pytest tests/repo/test_versions.py

# the changelog of the next release: writes CHANGELOG.md, removes the fragments
changelog version:
    uv run towncrier build --version {{ version }}

# everything CI runs
ci:
    .ci/run
