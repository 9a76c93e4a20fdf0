"""Punie's hub: one page from which one person supervises many agents."""
