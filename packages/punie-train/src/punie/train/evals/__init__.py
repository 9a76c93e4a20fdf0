"""Scores a model on cases: the right tool, the right arguments, an honest report."""
