"""Sessions: history across turns, one turn at a time, events to every reader."""
