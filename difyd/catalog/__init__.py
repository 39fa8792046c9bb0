"""What is installed for whom: uploads, installs, upgrades, listings."""
