"""Instructions of a chip, a file for each family."""
