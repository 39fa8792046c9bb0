"""HTTP in: a site of our own, the groups of routes declared on Klein, and how answers and errors look on the wire."""
