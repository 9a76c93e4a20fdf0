"""What happened, kept: append-only events with one order, search over what was said."""
