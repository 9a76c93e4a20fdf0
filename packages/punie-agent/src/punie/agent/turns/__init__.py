"""One turn: from a prompt to session events, through Pydantic AI."""
