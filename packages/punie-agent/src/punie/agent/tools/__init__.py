"""The tools: typed, deterministic, one catalog. Nothing here decides what is permitted."""
