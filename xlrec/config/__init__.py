"""The config: strict models, one a stage, and their loading from a file, the environment and --set."""
