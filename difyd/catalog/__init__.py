"""
What is installed for whom: uploads, install tasks, upgrades, uninstalls, listings, assets.

`Installations` is what a call asks (memory in the steady state); everything else is the control plane behind the management routes. The
rows live in `difyd.store`, the bytes of packages in its blobs, processes with the launcher of `difyd.runtime`.
"""
