"""Plugins as child processes of the daemon."""
