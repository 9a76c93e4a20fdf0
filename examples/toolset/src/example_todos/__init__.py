"""TODO comments for Punie: two tools and a policy of another distribution."""
