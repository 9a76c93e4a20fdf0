"""The commands that punie-agent brings to `punie`, found by entry point."""
