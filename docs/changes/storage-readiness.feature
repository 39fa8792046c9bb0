Readiness now tells of a storage that cannot be written, and of its recovery.
