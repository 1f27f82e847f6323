"""How contractions are recognised, and what they take in from the operations around them."""
