"""Models: what a spec means, servers over HTTP, and the one that runs in this process."""
