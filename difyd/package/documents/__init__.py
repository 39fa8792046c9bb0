"""The two notations of a declaration, YAML in packages and JSON from debugging connections, behind one interface."""
