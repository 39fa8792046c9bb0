"""Who vouches for a package, and what makes a signature count."""

import json
import stat
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from difyd.package.archive import Archive
from difyd.package.keys import BadKey, generate_keys_blocking, private_key, public_key
from difyd.package.reader import Package, read_package_blocking
from difyd.package.signature import VERIFICATION_FILE, Keys, load_keys_blocking
from difyd.package.signing import sign_package_blocking
from tests.package.samples import PackageCase, entries, plugin


@cache
def _made(number: int) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def key(number: int = 0) -> RSAPrivateKey:
    """Short keys, made once: this is about packages, not about primes."""
    return _made(number)


def pem(number: int = 0, form: PublicFormat = PublicFormat.PKCS1) -> bytes:
    return key(number).public_key().public_bytes(Encoding.PEM, form)


class SignedCase(PackageCase):
    def signed(self, category: str | None = "partner", number: int = 0) -> Path:
        target = self.scratch() / "signed.difypkg"
        sign_package_blocking(self.pack(plugin()), target, key(number), category, now=5)
        return target

    def verify(self, path: Path, *trusted: int) -> Package:
        return read_package_blocking(path, keys=Keys(third_party=tuple(key(number).public_key() for number in trusted or (0,))))

    def parts(self, path: Path) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
        """Entries and comment of a signed package."""
        with Archive.open_blocking(path) as archive:
            return [(name, archive.read(name)) for name in archive.names()], json.loads(archive.comment)

    def again(self, files: list[tuple[str, bytes]], comment: Any) -> Package:
        """What a package of these entries is worth."""
        path = entries(self.scratch() / "a", files, comment=comment if isinstance(comment, bytes) else json.dumps(comment).encode())
        return self.verify(path)


class VerifyTests(SignedCase):
    def test_category(self) -> None:
        """A valid signature vouches for the category in the file; without one for Langgenius."""
        for category, said in (("partner", "partner"), ("COMMUNITY", "community"), (None, "langgenius")):
            package = self.verify(self.signed(category))
            assert package.verification is not None
            self.assertEqual(package.verification.to_json(), {"authorized_category": said})
            self.assertFalse(package.verification.official)
            self.assertTrue(json.loads(package.declaration)["verified"])

    def test_several_keys(self) -> None:
        """Any trusted key will do; a stranger's will not."""
        self.assertIsNotNone(self.verify(self.signed(number=1), 0, 1).verification)
        package = self.verify(self.signed(number=1), 0)
        self.assertIsNone(package.verification)
        self.assertIn("not made with the official key and none of the 1 third-party keys", package.unverified_because)

    def test_identifier(self) -> None:
        """The file counts in the checksum, the comment does not."""
        plain, bare, full = self.read(plugin()), self.verify(self.signed(None)), self.verify(self.signed())
        self.assertEqual(plain.identifier, bare.identifier)
        self.assertNotEqual(plain.identifier, full.identifier)

    def test_tampered(self) -> None:
        """Whatever was changed afterwards is told apart from a foreign key."""
        files, comment = self.parts(self.signed())
        changed = [
            [(name, content + b"\n" if name == "README.md" else content) for name, content in files],
            [*files, ("extra.py", b"")],
            files[:-1],
            files[::-1],
            [*files[:-1], (VERIFICATION_FILE, b'{"authorized_category":"langgenius"}')],
        ]
        for tampered in changed:
            package = self.again(tampered, comment)
            self.assertIsNone(package.verification)
            self.assertIn("its files were changed", package.unverified_because)

    def test_not_covered(self) -> None:
        """Names, the order of members and further ones in the comment are not signed."""
        files, comment = self.parts(self.signed())
        self.assertIsNotNone(
            self.again([("OTHER.md" if name == "README.md" else name, content) for name, content in files], comment).verification
        )
        self.assertIsNotNone(self.again(files, {"by": "us", **comment}).verification)

    def test_renamed_to_the_file(self) -> None:
        """A signed file that was renamed into the one with the category counts, and it is noticed that no signer put it there."""
        package = self.pack({"a.json": b'{"authorized_category":"partner"}', **plugin()})
        target = self.scratch() / "signed.difypkg"
        sign_package_blocking(package, target, key(), None, now=5)
        files, comment = self.parts(target)
        verification = self.again([(VERIFICATION_FILE if name == "a.json" else name, content) for name, content in files], comment).verification
        assert verification is not None
        self.assertEqual((verification.authorized_category, verification.file_last), ("partner", False))
        for genuine in (self.signed(), self.signed(None)):
            verification = self.verify(genuine).verification
            assert verification is not None
            self.assertTrue(verification.file_last)

    def test_bad_comments(self) -> None:
        """A comment that holds no signature is none."""
        files, comment = self.parts(self.signed())
        signature = comment["signature"]
        no_json = [b"junk", b"\xff", b"[" * 5000, [comment], signature]
        no_signature = [{"time": "5"}, {"time": 5.5}, {"signature": 5}, {"signature": "!!"}, {"signature": signature.rstrip("=")}]
        for bad in [*no_json, *({**comment, **change} for change in no_signature)]:
            package = self.again(files, bad)
            self.assertTrue(package.unverified_because.startswith("it is not signed: "), package.unverified_because)
        for bad in ({}, {"time": 5}, {**comment, "time": 6}, {**comment, "signature": "AAAA"}):
            self.assertIsNone(self.again(files, bad).verification)

    def test_bad_verification_file(self) -> None:
        """A file that cannot be read makes the package unsigned; one that says nothing gives an empty category."""
        files, _ = self.parts(self.signed())
        for content, category in (
            (b"junk", None),
            (b"", None),
            (b"[]", None),
            (b'{"authorized_category":5}', None),
            (b"{}", ""),
            (b"null", ""),
        ):
            path, target = self.scratch() / "a", self.scratch() / "b"
            entries(path, [*files[:-1], ("x", content)])
            sign_package_blocking(path, target, key(), None, now=5)
            signed, comment = self.parts(target)
            package = self.again([*signed[:-1], (VERIFICATION_FILE, content)], comment)
            self.assertEqual(package.verification and package.verification.authorized_category, category)

    def test_signed_twice(self) -> None:
        """Signing again leaves nothing of the first signature."""
        target = self.scratch() / "b"
        sign_package_blocking(self.signed("partner"), target, key(1), "community")
        files, _ = self.parts(target)
        self.assertEqual([name for name, _ in files].count(VERIFICATION_FILE), 1)
        package = self.verify(target, 1)
        assert package.verification is not None
        self.assertEqual(package.verification.authorized_category, "community")

    def test_official_key(self) -> None:
        """Without more keys the official one alone counts."""
        package = read_package_blocking(self.signed(), keys=Keys())
        self.assertEqual(package.unverified_because, "its signature was not made with the official key that this daemon trusts")
        self.assertEqual(Keys().official[0].key_size, 4096)


class KeysTests(SignedCase):
    def test_forms(self) -> None:
        """PKCS#1 and SPKI, blanks around them; nothing else behind the key."""
        for text in (pem(), pem(form=PublicFormat.SubjectPublicKeyInfo), b"\n" + pem() + b" \n\n"):
            self.assertEqual(public_key(text), key().public_key())
        self.assertIn("extra data included", str(self.assertRaises(BadKey, public_key, pem() + b"x")))
        for text in (b"", b"junk", pem().replace(b"PUBLIC", b"PRIVATE"), pem()[:100] + pem()[150:]):
            self.assertIn("failed to decode PEM block containing public key", str(self.assertRaises(BadKey, public_key, text)))
        self.assertIn("containing private key", str(self.assertRaises(BadKey, private_key, pem())))

    def test_files(self) -> None:
        """A file that holds no key is told of and does not take the good ones away."""
        folder = self.scratch()
        (folder / "good.pem").write_bytes(pem())
        (folder / "junk.pem").write_bytes(b"junk")
        keys, complaints = load_keys_blocking([folder / name for name in ("junk.pem", "good.pem", "gone.pem")])
        self.assertEqual(keys.third_party, (key().public_key(),))
        self.assertEqual([Path(complaint.split()[3]).name for complaint in complaints], ["junk.pem", "gone.pem"])

    def test_generate(self) -> None:
        """A new pair fits together, its private half is for its owner, and nothing is overwritten."""
        folder = self.scratch()
        private, public = folder / "a.private.pem", folder / "a.public.pem"
        generate_keys_blocking(private, public)
        self.assertEqual(private_key(private.read_bytes()).public_key(), public_key(public.read_bytes()))
        self.assertTrue(private.read_bytes().startswith(b"-----BEGIN RSA PRIVATE KEY-----"))
        self.assertTrue(public.read_bytes().startswith(b"-----BEGIN RSA PUBLIC KEY-----"))
        self.assertEqual(stat.S_IMODE(private.stat().st_mode), 0o600)
        self.assertRaises(FileExistsError, generate_keys_blocking, private, folder / "b")
        self.assertRaises(FileExistsError, generate_keys_blocking, folder / "c", public)
        self.assertFalse((folder / "c").exists())
