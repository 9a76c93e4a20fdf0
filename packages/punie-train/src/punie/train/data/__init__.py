"""From wordings and real tool results to checked examples and token ids."""
