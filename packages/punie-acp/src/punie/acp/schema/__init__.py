"""Wire types, one subpackage for each protocol version."""
