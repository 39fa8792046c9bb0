"""Real processes, sockets and environments."""
