"""What the normal form is made of, one concept a module; `pit_normalize` puts them in order."""
