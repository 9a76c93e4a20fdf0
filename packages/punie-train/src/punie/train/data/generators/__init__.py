"""Makes examples: requests for tools, questions without, and reports on real results."""
