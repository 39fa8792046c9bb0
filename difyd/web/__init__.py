"""HTTP: a route parses a request, calls one service, writes one answer."""
