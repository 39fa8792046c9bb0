"""Where the bytes of packages lie in the object storage (state-and-cluster 10.3); the same keys as the reference's."""

from typing import Final

from attrs import frozen

from difyd.entities.identifier import PluginIdentifier

NOT_UPLOADED: Final = "plugin package not found, please upload it firstly"
"""The text for a package that is not where it should be."""


@frozen
class Areas:
    """The prefixes of keys, as the settings name them."""

    packages: str = "plugin_packages"
    """`PLUGIN_PACKAGE_CACHE_PATH`: packages as they were uploaded."""
    installed: str = "plugin"
    """`PLUGIN_INSTALLED_PATH`: copies of those that run; presence means "run me"."""
    assets: str = "assets"
    """`PLUGIN_MEDIA_CACHE_PATH`: icons, under ids made of their content."""

    def package(self, identifier: PluginIdentifier) -> str:
        return f"{self.packages}/{identifier}"

    def copy(self, identifier: PluginIdentifier) -> str:
        return f"{self.installed}/{identifier}"

    def asset(self, asset_id: str) -> str:
        return f"{self.assets}/{asset_id}"
