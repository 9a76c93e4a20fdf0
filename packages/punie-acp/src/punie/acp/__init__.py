"""The Agent Client Protocol, typed with msgspec: both sides, several transports.

Nothing is imported here: an agent loads `punie.acp.agent_side`, a client `punie.acp.client_side`,
and neither pays for the other.
"""
