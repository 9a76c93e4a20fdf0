"""Where tools reach files and processes: on this disk, or through the client that owns the editor."""
