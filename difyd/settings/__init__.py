"""
Settings: what an operator says in environment variables (configuration.md), as one frozen value.

`areas` and `backends` declare the variables, `variable` knows how each kind of value is written, `gather` reads, `checks` holds the rules
about several of them, `page` writes the reference for people.
"""

from difyd.settings.settings import BadSettings, Settings, sections, variables

__all__ = ["BadSettings", "Settings", "sections", "variables"]
