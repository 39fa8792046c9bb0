"""
What outlives a call, and mostly the process: the database, blobs (packages, icons, plugin data), the cache with its leases and messages.

Everything that blocks runs on named threads (`threads`); functions that do end in `_blocking`.
"""
