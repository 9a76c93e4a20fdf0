"""Punie as an ACP agent: session events become protocol updates, prompts become turns."""
