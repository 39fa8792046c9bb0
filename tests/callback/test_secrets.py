"""Settings of endpoints are encrypted by Dify, if there is anything to encrypt."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from difyd.callback.errors import InnerApiError
from difyd.callback.interfaces import ISecrets
from difyd.callback.secrets import Secrets
from tests.callback.fakes import Rig, single, whole

OPEN = [{"name": "url", "type": "text-input"}]
SECRET = [*OPEN, {"name": "key", "type": "secret-input", "label": {"en_US": "Key"}}]
PATH = "invoke/encrypt"


class SecretsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig()
        self.secrets = Secrets(self.rig.api)
        verifyObject(ISecrets, self.secrets)

    def test_request(self) -> None:
        """Dify is told whose settings they are, and which of them are secret."""
        self.rig.dify.answers[PATH] = single({"data": {"key": "encrypted", "n": 12345678901234567890}})
        for what, ask in (("encrypt", self.secrets.encrypt), ("decrypt", self.secrets.decrypt)):
            found = self.successResultOf(Deferred.fromCoroutine(ask("t", "u", "e", {"key": "k"}, SECRET)))
            self.assertEqual(found, {"key": "encrypted", "n": 12345678901234567890})
            asked = self.rig.dify.asked[-1]
            self.assertEqual(asked.body, {
                "tenant_id": "t", "user_id": "u", "type": "encrypt", "opt": what, "namespace": "endpoint", "identity": "e",
                "data": {"key": "k"}, "config": SECRET,
            })  # fmt: skip
            self.assertRegex(asked.headers["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-01$")

    def test_clear(self) -> None:
        """Dify forgets; what it answers does not matter."""
        self.rig.dify.answers[PATH] = single({"data": {}})
        self.successResultOf(Deferred.fromCoroutine(self.secrets.clear("t", "", "e", {}, SECRET)))
        self.assertEqual(self.rig.dify.asked[0].body["opt"], "clear")

    def test_no_secrets(self) -> None:
        """Without a secret nobody is asked."""
        for ask in (self.secrets.encrypt, self.secrets.decrypt):
            self.assertEqual(self.successResultOf(Deferred.fromCoroutine(ask("t", "u", "e", {"url": "x"}, OPEN))), {"url": "x"})
        self.assertEqual(self.rig.dify.asked, [])

    def test_no_settings(self) -> None:
        """An endpoint without settings has an empty object."""
        self.rig.dify.answers[PATH] = single({"data": None})
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.secrets.decrypt("t", "u", "e", {}, SECRET))), {})

    def test_failures(self) -> None:
        """When Dify refuses, its words are the error's."""
        for answer in (whole({"message": "no"}, 400), single(None, "no such tenant"), single({"data": [1]}), single("x")):
            self.rig.dify.answers[PATH] = answer
            self.failureResultOf(Deferred.fromCoroutine(self.secrets.encrypt("t", "u", "e", {}, SECRET)), InnerApiError)
