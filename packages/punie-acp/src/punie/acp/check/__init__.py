"""Hold any agent to the protocol: start it, try it, report requirement by requirement.

    python -m punie.acp check -- COMMAND

Versions 1 and 2 over stdio. What only a model can decide (that it asks for permission, that it counts
slowly) is tried with prompts, and skipped with the reason when the agent does something else.
"""

from punie.acp.check.bench import Prompts
from punie.acp.check.report import Finding, Report
from punie.acp.check.requirements import REQUIREMENTS, Requirement
from punie.acp.check.run import check, examine

__all__ = ["REQUIREMENTS", "Finding", "Prompts", "Report", "Requirement", "check", "examine"]
