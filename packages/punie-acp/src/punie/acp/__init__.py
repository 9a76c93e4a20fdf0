"""The Agent Client Protocol, typed with msgspec: both sides, several transports."""
