"""The steps of a phase, each from files to files: harvest, generate, validate, train, evaluate."""
