"""One kernel a file, with the rule that puts it in the place of an operation."""
