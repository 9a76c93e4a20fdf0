"""Code mode: the model writes Python that calls its tools, and the code runs in a sandbox."""
