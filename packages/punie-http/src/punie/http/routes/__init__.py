"""What pages and programs ask over HTTP: JSON, server-sent events, and the page itself."""
