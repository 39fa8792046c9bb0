from collections.abc import Generator, Mapping
from typing import Any

from dify_plugin import Endpoint
from werkzeug import Request, Response

from signing import HEADER, is_signed


class Ask(Endpoint):
    """Answers a question, which is the body of the request, with the words of an app."""

    def _invoke(self, r: Request, values: Mapping[str, Any], settings: Mapping[str, Any]) -> Response:
        body = r.get_data()
        # The address of a hook is no secret: it stands in the logs of everybody on the way. So whoever calls proves that he knows one.
        if not is_signed(body, r.headers.get(HEADER, ""), settings["secret"]):
            return Response("The signature is missing or wrong.\n", status=401, content_type="text/plain; charset=utf-8")
        try:
            question = body.decode()
        except UnicodeDecodeError:
            return Response("The question is not UTF-8.\n", status=400, content_type="text/plain; charset=utf-8")
        # A generator as body is streamed: the caller reads each word when the app has said it. By then the status is sent, so what
        # can be refused is refused above.
        return Response(self._words(settings["app"]["app_id"], question), content_type="text/plain; charset=utf-8")

    def _words(self, app_id: str, question: str) -> Generator[str, None, None]:
        for event in self.session.app.chat.invoke(app_id=app_id, query=question, inputs={}, response_mode="streaming"):
            if event.get("event") in ("message", "agent_message"):
                yield event["answer"]
