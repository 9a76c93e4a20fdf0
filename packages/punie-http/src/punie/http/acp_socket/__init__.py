"""ACP over WebSocket: to an ACP client the hub is one agent that has the sessions of all agents."""
