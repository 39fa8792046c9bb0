"""Queries and bodies are bound, or refused by the name of each field."""

# ruff: noqa: RUF009

import json
from io import BytesIO
from typing import Any

from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import parse_qs
from twisted.web.test.requesthelper import DummyRequest

from difyd.entities.identifier import PluginIdentifier
from difyd.web.envelope import InvalidRequest
from difyd.web.params import bind, identifier, identifiers, mapping, objects, several, text, texts, whole

ECHO = "acme/echo:1.0.0@" + "a" * 64


@frozen
class Listing:
    page: int = whole(1)
    page_size: int = whole(1, 256)
    query: str = text(required=False, longest=5)
    tags: list[str] = texts(2, required=False, among=("search", "weather"))
    language: str = text(required=False, among=("en_US", "zh_Hans"))


@frozen
class Provider:
    plugin_id: str = text()
    provider_name: str = text()


@frozen
class Order:
    tenant: str = text()
    plugin_unique_identifiers: list[PluginIdentifier] = identifiers(2)
    metas: list[dict[str, Any]] = objects()
    settings: dict[str, Any] = mapping()


@frozen
class Existence:
    provider_ids: list[Provider] = several(Provider, most=3)


@frozen
class One:
    plugin_unique_identifier: PluginIdentifier = identifier()


def request(query: str = "", body: bytes = b"", kind: str | None = "application/json") -> DummyRequest:
    """A request as a handler gets it."""
    made = DummyRequest([b""])
    made.args = parse_qs(query.encode(), True)
    made.content = BytesIO(body)
    if kind is not None:
        made.requestHeaders.setRawHeaders("content-type", [kind])
    return made


class BindTests(SynchronousTestCase):
    def refused(self, kind: type[Any], made: DummyRequest, **path: str) -> list[str]:
        """The problems, each as `field tag`."""
        with self.assertRaises(InvalidRequest) as caught:
            bind(kind, made, **path)
        return [f"{line.split(chr(39))[3]} {line.split(chr(39))[5]}" for line in str(caught.exception).split("\n")]

    def test_query(self) -> None:
        """Numbers and repeated names of a query; what is optional has its default."""
        self.assertEqual(
            bind(Listing, request("page=2&page_size=256&tags=search&tags=weather&unknown=x", kind=None)),
            Listing(2, 256, "", ["search", "weather"], ""),
        )

    def test_body(self) -> None:
        """A JSON body, whatever parameters its content type has; the path wins over both."""
        body = {"plugin_unique_identifiers": [ECHO], "metas": [None, {"a": 1}], "settings": None, "tenant": "forged", "unknown": [1]}
        made = request("tenant=forged", json.dumps(body).encode(), "application/json; charset=utf-8")
        self.assertEqual(bind(Order, made, tenant="t1"), Order("t1", [PluginIdentifier.parse(ECHO)], [{}, {"a": 1}], {}))

    def test_body_over_query(self) -> None:
        """A GET may bring a JSON body, as older API servers do; it wins over the query (http-api 14.10)."""
        made = request("page=1", b'{"page_size": 3, "page": 2}')
        self.assertEqual(bind(Listing, made), Listing(2, 3, "", [], ""))

    def test_all_problems_at_once(self) -> None:
        """Every field that does not fit has a line, with the tag that clients know and a sentence for people."""
        made = request("page=0&page_size=257&query=abcdef&tags=x&language=fr_FR")
        self.assertEqual(self.refused(Listing, made), ["Page required", "PageSize max", "Query max", "Tags oneof", "Language oneof"])
        with self.assertRaises(InvalidRequest) as caught:
            bind(Listing, request("page=1"))
        self.assertEqual(
            str(caught.exception),
            "Key: 'Listing.PageSize' Error:Field validation for 'PageSize' failed on the 'required' tag: page_size must be given",
        )

    def test_numbers(self) -> None:
        """What is no whole number in its range is refused, in a query as in JSON."""
        for value, tag in (
            ("-1", "min"),
            ("", "required"),
            ("x", "type"),
            ("1.0", "type"),
            ("٣", "type"),
            ("1" * 30, "type"),
            ("0", "required"),
        ):
            self.assertEqual(self.refused(Listing, request(f"page={value}&page_size=1")), [f"Page {tag}"])
        for value, tag in ((b"true", "type"), (b"1.0", "type"), (b"[1]", "type"), (b"null", "required"), (b"-3", "min")):
            self.assertEqual(self.refused(Listing, request("page_size=1", b'{"page": %b}' % value)), [f"Page {tag}"])

    def test_strings(self) -> None:
        """A required string must not be empty; a string is no number."""
        for value, tag in ((b'""', "required"), (b"null", "required"), (b"7", "type")):
            body = b'{"provider_ids": [{"plugin_id": "p", "provider_name": %b}]}' % value
            self.assertEqual(self.refused(Existence, request(body=body)), [f"ProviderName {tag}"])

    def test_nul(self) -> None:
        """No text holds a NUL: a database of ours does not take it."""
        made = request("page=1&page_size=1&query=a%00b&tags=%00")
        self.assertEqual(self.refused(Listing, made), ["Query type", "Tags type"])

    def test_lists(self) -> None:
        """Lists have a limit; required ones may be empty but not missing."""
        self.assertEqual(bind(Existence, request(body=b'{"provider_ids": []}')).provider_ids, [])
        for value, tag in ((b"null", "required"), (b"{}", "type"), (b"[1]", "type"), (b"[{},{},{},{}]", "max")):
            self.assertEqual(self.refused(Existence, request(body=b'{"provider_ids": %b}' % value)), [f"ProviderIds {tag}"])

    def test_place_of_a_problem(self) -> None:
        """A problem within a list names the member."""
        with self.assertRaises(InvalidRequest) as caught:
            bind(Existence, request(body=b'{"provider_ids": [{"plugin_id": "p", "provider_name": "n"}, {"plugin_id": "p"}]}'))
        self.assertIn("Key: 'Existence.ProviderIds[1].ProviderName'", str(caught.exception))

    def test_identifiers(self) -> None:
        """An identifier must be one; the message repeats it."""
        self.assertEqual(bind(One, request(f"plugin_unique_identifier={ECHO}")).plugin_unique_identifier.text, ECHO)
        for value in ("", "echo", ECHO + "x"):
            self.assertEqual(len(self.refused(One, request(f"plugin_unique_identifier={value}"))), 1)
        self.assertEqual(
            self.refused(One, request(body=b'{"plugin_unique_identifier": 7}')), ["PluginUniqueIdentifier plugin_unique_identifier"]
        )

    def test_no_json(self) -> None:
        """A body that is cut off, or no object, is refused as a whole."""
        for body in (b"{", b'{"page": 1', b"[]", b"7", b"NaN", b"{} {}", b'{"page": NaN}', b"\xff", b"[" * 100_000):
            with self.assertRaises(InvalidRequest) as caught:
                bind(Listing, request(body=body))
            self.assertTrue(str(caught.exception).startswith("the body of the request is not a JSON object"))

    def test_other_types_bind_nothing(self) -> None:
        """A form is no JSON body, and no body is no problem where nothing of it is needed."""
        self.assertEqual(len(self.refused(Listing, request(body=b"page=1&page_size=1", kind="application/x-www-form-urlencoded"))), 2)
        self.assertEqual(bind(Listing, request("page=1&page_size=1")).page, 1)

    def test_half_a_surrogate_pair(self) -> None:
        """It becomes U+FFFD (http-api 3.4)."""
        self.assertEqual(bind(Listing, request("page=1&page_size=1", rb'{"query": "a\ud800"}')).query, "a\ufffd")

    def test_defaults_are_not_shared(self) -> None:
        """Two requests do not write into the same default."""
        first, second = (bind(Listing, request("page=1&page_size=1")) for _ in range(2))
        first.tags.append("search")
        self.assertEqual(second.tags, [])

    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_anything(self, query: bytes, body: bytes) -> None:
        """No query and no body raises anything else than InvalidRequest."""
        made = request(body=body)
        made.args = parse_qs(query, True)
        with self.assertRaises(InvalidRequest):
            bind(Order, made)
