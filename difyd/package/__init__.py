"""Packages and bundles: read, check, hash, sign, verify, build; declarations from YAML. Files only, no reactor: call it on a thread."""
