"""The `punie` command: finds its commands by entry point and maps errors to exit codes."""
