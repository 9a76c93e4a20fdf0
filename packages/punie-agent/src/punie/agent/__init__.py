"""Punie's agent: a Pydantic AI loop over deterministic tools, with a permission gate and local models.

Importing this package loads nothing: start-up is a feature, so every heavy module is imported
where it is used. Start at `punie.agent.factory` (an agent for your own program) or
`punie.agent.runtime` (what the commands compose).
"""
