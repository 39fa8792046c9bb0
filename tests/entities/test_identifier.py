"""The names of a plugin."""

from twisted.trial.unittest import SynchronousTestCase

from difyd.entities.identifier import PluginIdentifier
from difyd.errors import BadIdentifier

SUM = "a" * 64


class IdentifierTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """An identifier knows its author, name, version, checksum, and what stays the same over all versions."""
        parsed = PluginIdentifier.parse(f"acme/demo:0.0.1-beta_2@{SUM}")
        self.assertEqual((parsed.author, parsed.name, parsed.version, parsed.checksum), ("acme", "demo", "0.0.1-beta_2", SUM))
        self.assertEqual((parsed.plugin_id, parsed.directory), ("acme/demo", f"acme/demo-0.0.1-beta_2@{SUM}"))

    def test_no_author(self) -> None:
        """The author may be missing; then a level of the directory is missing too."""
        parsed = PluginIdentifier.parse(f"demo:1.2@{'0' * 32}")
        self.assertEqual((parsed.author, parsed.plugin_id, parsed.directory), ("", "demo", f"demo-1.2@{'0' * 32}"))

    def test_of_directory(self) -> None:
        """A directory tells whose it is, hyphens or not; another name is no plugin's."""
        for text in (f"acme/demo:0.0.1-beta_2@{SUM}", f"demo:1.2@{SUM}", f"a-1/b-2-3:4.5-6@{SUM}", f"a/b-1:2.3.4.5@{SUM}"):
            parsed = PluginIdentifier.parse(text)
            self.assertEqual(PluginIdentifier.of_directory(parsed.directory), parsed)
        for path in ("", ".uv-cache", f"a/b/c-1.0@{SUM}", f"a/b:1.0@{SUM}", f"a/b-1@{SUM}", f".a/b-1.0@{SUM}", "a/b-1.0@xyz"):
            self.assertIsNone(PluginIdentifier.of_directory(path))

    def test_remote_like(self) -> None:
        """An author that is a UUID marks what a debugging connection made."""
        self.assertTrue(PluginIdentifier.parse(f"4c9c3a2e-0d5e-4a87-9d0a-6c0b2a4f1e11/d:1.0@{SUM}").remote_like)
        self.assertTrue(PluginIdentifier.parse(f"4c9c3a2e0d5e4a879d0a6c0b2a4f1e11/d:1.0@{SUM}").remote_like)
        for author in ("acme", "4c9c3a2e0d5e-4a879d0a6c0b2a4f1e11", "-4c9c3a2e0d5e4a879d0a6c0b2a4f1e11", "4c9c3a2e-0d5e-4a87-9d0a6c0b2a4f1e11"):
            self.assertFalse(PluginIdentifier.parse(f"{author}/d:1.0@{SUM}").remote_like, author)

    def test_refused(self) -> None:
        """The whole string must match, with ASCII semantics: no newline at the end, no capital letters, no digits of other scripts."""
        for text in ("", "acme/demo", f"acme/demo:1@{SUM}", f"acme/demo:1.0@{SUM}\n", f"Acme/demo:1.0@{SUM}", f"acme/demo:1.٣@{SUM}",
                     f"a/b/c:1.0@{SUM}", "acme/demo:1.0@xyz", f"../demo:1.0@{SUM}"):  # fmt: skip
            with self.subTest(text), self.assertRaises(BadIdentifier) as caught:
                PluginIdentifier.parse(text)
            self.assertEqual(str(caught.exception), f"plugin_unique_identifier is not valid: {text}")
