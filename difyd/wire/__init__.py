"""Codecs without I/O: lines of plugins, server-sent events, raw HTTP in hex, frames of the inner API."""
