"""What outlives the process: the database, the cache, the blobs."""
