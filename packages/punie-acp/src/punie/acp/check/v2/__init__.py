"""What an agent is held to over version 2; skipped for one that does not speak it."""
