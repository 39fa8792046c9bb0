`/v2/invoke` calls a running plugin by its unique identifier, without an installation.
