"""The agents: in this process, started as commands, or dialled in. To the hub all are ACP agents."""
