"""The command line tools: thin mains over what the package does."""
