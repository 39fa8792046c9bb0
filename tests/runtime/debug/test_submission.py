"""What a plugin hands in, and what is wrong with it."""

import base64
import hashlib
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from difyd.package.registration import Registration
from difyd.runtime.debug.messages import DECLARATIONS, Refusal
from difyd.runtime.debug.submission import ASSETS, Complete, Submission
from tests.runtime.debug.house import ICON, OTHER, TENANT, manifest, tool


def asset(filename: Any = "icon.svg", data: Any = ICON) -> bytes:
    return json.dumps({"filename": filename, "data": data, "end": True}).encode()


class SubmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.submission = Submission(TENANT, Registration())

    def declare(self, kind: str, data: Any) -> None:
        self.submission.declare_blocking(DECLARATIONS[f"{kind}_declaration"], json.dumps(data).encode())

    def complete(self, tenant: str = TENANT, icon: str = ICON, provider: dict[str, Any] | None = None, **changes: Any) -> Complete:
        self.submission = Submission(tenant, Registration())
        self.declare("manifest", manifest(**changes))
        self.declare("tool", [provider or tool()])
        self.submission.add_asset(asset(data=icon))
        return self.submission.complete_blocking()

    def refusal(self, *step: Any) -> str:
        with self.assertRaises(Refusal) as caught:
            step[0](*step[1:])
        return str(caught.exception)

    def test_complete(self) -> None:
        """The identifier is what the plugin calls itself with a checksum; icons have become ids, and come along."""
        complete = self.complete()
        icon = hashlib.sha256(b"<svg/>icon.svg").hexdigest() + ".svg"
        checksum = hashlib.sha256(complete.declaration.text + TENANT.encode()).hexdigest()
        self.assertEqual(str(complete.identifier), f"acme/weather:0.0.1@{checksum}")
        self.assertEqual([(found.id, found.content) for found in complete.assets], [(icon, b"<svg/>")])
        self.assertEqual(complete.declaration.view.icon, icon)
        self.assertEqual(self.submission.plugin_id, "acme/weather")

    def test_identifier(self) -> None:
        """The same declaration has the same identifier; another tenant, declaration or icon makes another."""
        first = self.complete().identifier
        self.assertEqual(self.complete().identifier, first)
        others = [self.complete(OTHER), self.complete(icon="PHN2Zz48"), self.complete(provider=tool("other")), self.complete(tags=["rag"])]
        self.assertEqual(len({first, *(other.identifier for other in others)}), 5)

    def test_twice(self) -> None:
        """A kind comes once, also when the first one was an empty list."""
        for kind, data in (("manifest", manifest()), ("tool", [tool()]), ("trigger", [])):
            self.declare(kind, data)
            self.assertEqual(self.refusal(self.declare, kind, data), DECLARATIONS[f"{kind}_declaration"].twice)

    def test_invalid(self) -> None:
        """What does not fit its schema is refused with the beginning for its kind and the cause."""
        self.assertRegex(
            self.refusal(self.declare, "manifest", manifest(version="1")), "^handshake failed, invalid plugin declaration: .*version"
        )
        self.assertRegex(self.refusal(self.declare, "tool", [tool(), 5]), "^tools register failed, invalid tools declaration: .")
        self.assertRegex(
            self.refusal(self.declare, "agent_strategy", {}), "^agent strategies register failed, invalid agent strategies declaration: ."
        )

    def test_asset_in_pieces(self) -> None:
        """Pieces of one name are joined in their order, those of others may come in between."""
        content = bytes(range(256)) * 10
        pieces = [base64.b64encode(content[start : start + 1000]).decode() for start in range(0, len(content), 1000)]
        self.declare("manifest", manifest())
        self.declare("tool", [tool()])
        for piece in pieces:
            self.submission.add_asset(asset(data=piece))
            self.submission.add_asset(asset("other.svg", piece))
        self.assertEqual([found.content for found in self.submission.complete_blocking().assets], [content])

    def test_asset_invalid(self) -> None:
        """A piece needs a name and data that are texts."""
        for data in (b"{}", b"[]", b'"a"', asset(""), asset(data=""), asset(5), asset(data=None), b'{"filename":"a"}'):
            self.assertRegex(self.refusal(self.submission.add_asset, data), "^transfer assets failed, error: .")

    def test_not_base64(self) -> None:
        """Only standard base64 with its padding."""
        for data in ("not base64!", "YQ", "YQ=", "3c7376670", "a-_b", "YQ==YQ==", "é", "Y Q=="):
            self.assertRegex(self.refusal(self.submission.add_asset, asset(data=data)), "^assets decode failed, error: icon.svg: .")

    def test_assets_too_large(self) -> None:
        """What was decoded and the text of the next piece together stay below 50 MiB."""
        piece = base64.b64encode(bytes(12 << 20)).decode()
        for number in range(3):
            self.submission.add_asset(asset(f"large{number}", piece))
        self.assertEqual(self.refusal(self.submission.add_asset, asset("large3", piece)), "assets too large, at most 50MB")
        self.submission.add_asset(asset(data="A" * (ASSETS - (36 << 20))))

    def test_weight(self) -> None:
        """Names and files weigh something too: there is no way to hand in memory for nothing."""
        for number in range(100):
            self.submission.add_asset(asset(f"{number:04}" * 25, "YQ=="))
        self.assertGreater(self.submission.weight, 100 * (100 + 1))

    def test_nothing(self) -> None:
        """A plugin that declares nothing but itself, or not even itself, is refused."""
        self.assertEqual(self.refusal(self.submission.complete_blocking), "no registration transferred, cannot initialize")
        self.declare("manifest", manifest())
        self.assertEqual(self.refusal(self.submission.complete_blocking), "no registration transferred, cannot initialize")

    def test_no_manifest(self) -> None:
        """Providers of a plugin without a name cannot be shown."""
        self.declare("tool", [tool()])
        self.assertRegex(self.refusal(self.submission.complete_blocking), "^register failed, invalid manifest detected: .*manifest_declaration")

    def test_missing_icon(self) -> None:
        """The developer reads which file is missing, and where it is named."""
        self.declare("manifest", manifest())
        self.declare("tool", [tool()])
        self.assertEqual(
            self.refusal(self.submission.complete_blocking),
            "assets remap failed, invalid assets data, cannot remap: file not found: icon.svg\nfailed to remap tool icon",
        )

    def test_illegal(self) -> None:
        """The rules across fields come last."""
        self.assertRegex(
            self.refusal(lambda: self.complete(author="Acme")), "^register failed, invalid manifest detected: author must be alphanumeric"
        )
        self.submission = Submission(TENANT, Registration())
        self.declare("manifest", manifest())
        self.declare("tool", [])
        self.submission.add_asset(asset())
        self.assertRegex(
            self.refusal(self.submission.complete_blocking), "^register failed, invalid manifest detected: at least one of endpoint"
        )
