"""What the model is told: instructions, and the one rendering from messages to token ids."""
