"""Ways to move frames between two peers."""
