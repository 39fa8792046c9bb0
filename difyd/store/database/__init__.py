"""
The relational database: thirteen tables that are the reference's to the last name, and a few of ours with the prefix `difyd_`.

`engine.Database` opens it and runs transactions on its own threads; the repositories (`installations`, `declarations`, `tasks`, ...) are
modules of functions of a `Transaction`, to be handed to `Database.run` or combined inside one:

    removed = await database.run(installations.uninstall_blocking, tenant, installation_id)

They return plain values, never rows. Whatever they cannot do, and nothing they refuse on purpose, is a `DatabaseFailed`.
"""
