"""The plugin daemon of the Dify platform, on Twisted."""
