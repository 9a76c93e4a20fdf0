"""Deterministic checks of what was changed: after every edit, and before a turn may end.

A project's own checks import this:

    from punie.agent.policies import Change, Finding, policy

    @policy("no-print")
    def no_print(change: Change):
        for node in change.calls("print"):
            yield Finding(line=node.lineno, message="print is left over", suggestion="log it")
"""

from punie.agent.policies.base import Change, Finding, Policy, policy

__all__ = ["Change", "Finding", "Policy", "policy"]
