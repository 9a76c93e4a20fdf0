"""Changes that keep a program's meaning: worked out first, shown, then written all or not at all."""
