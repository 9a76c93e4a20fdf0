"""The sessions of all agents: what each is doing, who it waits for, and which prompts wait for it."""
