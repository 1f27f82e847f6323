"""One pass a file, the table of them, pipelines and what runs them."""
