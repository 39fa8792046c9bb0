"""Corrections of old releases of the SDK."""

import os
import shutil
import tempfile
from pathlib import Path

from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from difyd.runtime.local.patches import installed_sdk_blocking, patch_sdk_blocking

READER = """\
class StdioRequestReader(RequestReader):
    def _read_stream(self):
        buffer = b""
        while True:
            data = tp_read(sys.stdin.fileno(), 512)

            if not data:
                continue

            buffer += data
"""
MODEL = """\
from pydantic import BaseModel


class LLMResultChunk(BaseModel):
    model: str
    prompt_messages: list[PromptMessage]
    delta: LLMResultChunkDelta
"""
TOKENS = """\
def _get_num_tokens_by_gpt2(self, text):
    import tiktoken
    return len(tiktoken.encoding_for_model("gpt2").encode(text))
"""
FILES = {"core/server/stdio/request_reader.py": READER, "entities/model/llm.py": MODEL, "interfaces/model/ai_model.py": TOKENS}


class PatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.packages = Path(tempfile.mkdtemp(prefix="difyd-"))
        self.addCleanup(shutil.rmtree, self.packages, ignore_errors=True)

    def install(self, version: str) -> None:
        (self.packages / f"dify_plugin-{version}.dist-info").mkdir()
        for name, text in FILES.items():
            (self.packages / "dify_plugin" / name).parent.mkdir(parents=True)
            (self.packages / "dify_plugin" / name).write_text(text)

    def text(self, name: str) -> str:
        return (self.packages / "dify_plugin" / name).read_text()

    def test_by_release(self) -> None:
        """The installed release decides, by PEP 440: 0.0.1b8 is older than b70, and a newer one is never touched."""
        all_three, two = sorted(FILES), ["core/server/stdio/request_reader.py", "entities/model/llm.py"]
        for version, expected in (("0.0.1b8", all_three), ("0.0.1b70", two), ("0.1.0", two), ("0.1.1", []), ("0.10.2", [])):
            self.setUp()
            self.install(version)
            self.assertEqual((version, sorted(patch_sdk_blocking(self.packages))), (version, expected))

    def test_behaviour(self) -> None:
        """Requests are read in large pieces, prompts are left out, long texts are counted by their length; all of it still compiles."""
        self.install("0.0.1b8")
        patch_sdk_blocking(self.packages)
        for name in FILES:
            compile(self.text(name), name, "exec")
        self.assertIn("tp_read(sys.stdin.fileno(), 65536)", self.text("core/server/stdio/request_reader.py"))
        self.assertIn('if b"\\n" not in data:', self.text("core/server/stdio/request_reader.py"))
        self.assertIn("prompt_messages: list[PromptMessage] = []", self.text("entities/model/llm.py"))
        found: dict[str, object] = {}
        exec(self.text("interfaces/model/ai_model.py"), found)  # the function needs tiktoken only for a text that is not long
        self.assertEqual(found["_get_num_tokens_by_gpt2"](None, "x" * 100_000), 100_000)

    def test_twice(self) -> None:
        """A second time nothing changes."""
        self.install("0.1.0")
        patch_sdk_blocking(self.packages)
        before = {name: self.text(name) for name in FILES}
        self.assertEqual(patch_sdk_blocking(self.packages), [])
        self.assertEqual({name: self.text(name) for name in FILES}, before)

    def test_other_text(self) -> None:
        """A file that looks different is left alone, also when one of its edits would fit."""
        self.install("0.1.0")
        file = self.packages / "dify_plugin" / "core/server/stdio/request_reader.py"
        file.write_text("data = tp_read(sys.stdin.fileno(), 512)\n")
        self.assertEqual(patch_sdk_blocking(self.packages), ["entities/model/llm.py"])
        self.assertEqual(file.read_text(), "data = tp_read(sys.stdin.fileno(), 512)\n")

    def test_cache_is_not_written(self) -> None:
        """A file that the installer has linked from its cache is replaced, the cached one stays."""
        self.install("0.1.0")
        cached = self.packages / "cached"
        os.link(self.packages / "dify_plugin" / "entities/model/llm.py", cached)
        patch_sdk_blocking(self.packages)
        self.assertEqual(cached.read_text(), MODEL)

    def test_no_sdk(self) -> None:
        """A plugin without SDK has nothing to correct."""
        self.assertEqual((installed_sdk_blocking(self.packages), patch_sdk_blocking(self.packages)), (None, []))
        self.install("0.4.2")
        self.assertEqual(installed_sdk_blocking(self.packages), Version("0.4.2"))
