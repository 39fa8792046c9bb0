"""One call through the daemon: the table of actions, the session, the relay of chunks."""
