"""A language server of the project, asked in the field's protocol."""
