"""`explain()` as a page: one file of HTML with pictures, which asks nothing of a network."""
