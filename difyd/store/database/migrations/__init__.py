"""
Revisions of the database, for Alembic.

A revision describes where to arrive, not only what to change: the reference's own migration may have been here before or come after, so it
adds what is missing and leaves the rest (state-and-cluster 4.2). A new one is a module in `versions`, and `schema.HEAD` names it.
"""
