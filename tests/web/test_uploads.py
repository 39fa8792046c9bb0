"""Uploads: the file on disk, the fields beside it, and nothing left behind."""

from io import BytesIO
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from difyd.errors import BadRequest, InternalError
from difyd.web.uploads import TOO_LARGE, Upload, Uploads
from tests.web.cable import Threads

FORM = "multipart/form-data; boundary=edge"
Part = tuple[str, bytes]


def form(*parts: Part) -> bytes:
    """`parts`: the options of the disposition, and the content."""
    pieces = [f"--edge\r\nContent-Disposition: form-data; {options}\r\n\r\n".encode() + content + b"\r\n" for options, content in parts]
    return b"".join(pieces) + b"--edge--\r\n"


def file(content: bytes, filename: str = "a.difypkg") -> Part:
    return f'name="dify_pkg"; filename="{filename}"', content


class UploadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.threads = Threads()
        self.uploads = Uploads(self.threads.run, self.directory)

    def begin(self, body: bytes, kind: str | None = FORM, limit: int = 1000) -> "Deferred[Upload]":
        request = DummyRequest([b""])
        request.content = BytesIO(body)
        if kind is not None:
            request.requestHeaders.setRawHeaders("content-type", [kind])
        return Deferred.fromCoroutine(self.uploads.receive(request, "dify_pkg", limit))

    def received(self, body: bytes, limit: int = 1000) -> Upload:
        upload = self.begin(body, limit=limit)
        self.threads.work()
        return self.successResultOf(upload)

    def left(self) -> list[Path]:
        while self.threads.waiting:
            self.threads.work()
        return list(self.directory.iterdir())

    def refused(self, body: bytes, kind: str | None = FORM, limit: int = 1000) -> str:
        upload = self.begin(body, kind, limit)
        while self.threads.waiting:
            self.threads.work()
        message = str(self.failureResultOf(upload, BadRequest).value)
        self.assertEqual(self.left(), [])
        return message

    def test_file_and_fields(self) -> None:
        """The file is on disk, its size is known, the text fields stand beside it, whatever came first."""
        field = ('name="verify_signature"', b"true")
        for parts in ((field, file(b"package")), (file(b"package"), field)):
            upload = self.received(form(*parts))
            self.assertEqual((upload.path.read_bytes(), upload.size, upload.filename), (b"package", 7, "a.difypkg"))
            self.assertEqual(upload.fields, {"verify_signature": "true"})

    def test_twice(self) -> None:
        """Of two files or fields of one name the first counts, and nothing of the second is in it."""
        fields = [('name="verify_signature"', value) for value in (b"true", b"false")]
        upload = self.received(form(file(b"first", "1"), file(b"second", "2"), *fields))
        self.assertEqual(
            (upload.path.read_bytes(), upload.size, upload.filename, upload.fields), (b"first", 5, "1", {"verify_signature": "true"})
        )

    def test_no_room(self) -> None:
        """A disk that does not take the file is told, with its words."""
        self.directory.rmdir()
        upload = self.begin(form(file(b"package")))
        self.threads.work()
        self.assertIn("No such file or directory", str(self.failureResultOf(upload, InternalError).value))
        self.directory.mkdir()

    @given(st.binary(max_size=3000))
    def test_any_content(self, content: bytes) -> None:
        """The file is what was sent, also where it looks like a form."""
        content = content.replace(b"--edge", b"--edg")
        upload = self.received(form(file(content)), limit=5000)
        self.assertEqual(upload.path.read_bytes(), content)

    def test_names_mean_nothing(self) -> None:
        """The client's name of the file chooses no place."""
        upload = self.received(form(file(b"x", "../../etc/passwd")))
        self.assertEqual((upload.path.parent, upload.filename), (self.directory, "../../etc/passwd"))

    def test_removed_after_use(self) -> None:
        """The file is gone when the block is left, by an exception too, or if somebody has moved it away."""

        async def use(what: str) -> None:
            async with self.received(form(file(b"x"))) as upload:
                if what == "fails":
                    raise ZeroDivisionError
                if what == "moves":
                    upload.path.rename(self.directory / "moved")

        self.successResultOf(Deferred.fromCoroutine(use("reads")))
        self.assertEqual(self.left(), [])
        self.failureResultOf(Deferred.fromCoroutine(use("fails")), ZeroDivisionError)
        self.assertEqual(self.left(), [])
        self.successResultOf(Deferred.fromCoroutine(use("moves")))
        self.assertEqual(self.left(), [self.directory / "moved"])

    def test_limit(self) -> None:
        """A file may have as many bytes as the limit, and not one more."""
        self.assertEqual(self.received(form(file(b"x" * 1000))).size, 1000)
        self.directory = self.directory / "other"
        self.directory.mkdir()
        self.uploads = Uploads(self.threads.run, self.directory)
        self.assertEqual(self.refused(form(file(b"x" * 1001))), TOO_LARGE)

    def test_no_form(self) -> None:
        """What is no form, or has no such file, says so."""
        for body, kind in (
            (b"{}", "application/json"),
            (b"x", None),
            (b"x", "multipart/form-data"),
            (form(('name="dify_pkg"', b"a text field")), FORM),
            (form(('name="other"; filename="a"', b"x")), FORM),
        ):
            self.assertIn("has no file 'dify_pkg'", self.refused(body, kind))

    def test_malformed(self) -> None:
        """A form that is empty, cut off or broken is refused, and leaves nothing."""
        whole = form(file(b"package"))
        for body in (b"", whole[:-10], whole[:60], b"garbage", whole.replace(b"Content-Disposition", b"Bad Header "), form(*[file(b"x")] * 40)):
            self.refused(body)

    def test_endless_field(self) -> None:
        """A text field cannot fill the memory."""
        self.assertIn("too long", self.refused(form(('name="verify_signature"', b"x" * 100_000), file(b"x"))))

    def test_cancelled_before(self) -> None:
        """A client that goes away before the thread has begun leaves no file."""
        upload = self.begin(form(file(b"x")))
        upload.cancel()
        self.failureResultOf(upload, CancelledError)
        self.assertEqual(self.left(), [])

    def test_cancelled_after(self) -> None:
        """Nor does one that goes away when the file is there but nobody has heard of it yet."""
        upload = self.begin(form(file(b"x")))
        _, extract = self.threads.waiting[0]
        extract()
        self.assertEqual(len(list(self.directory.iterdir())), 1)
        self.threads.waiting.clear()
        upload.cancel()
        self.failureResultOf(upload, CancelledError)
        self.assertEqual(self.left(), [])
