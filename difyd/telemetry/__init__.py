"""Logs, metrics, traces; used by every floor through a narrow interface."""
