"""Plugins call Dify: permissions, the inner API client, plugin storage."""
