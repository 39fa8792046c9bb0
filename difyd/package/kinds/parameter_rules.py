"""The rules of model parameters, completed from templates while they are read (package-format 12.5, Appendix A)."""

from copy import copy
from typing import Any, Final

from difyd.package.documents.source import Problem, Unfit
from difyd.package.kinds.templates import TEMPLATES
from difyd.package.schema.shared import I18N, optional
from difyd.package.schema.types import Anything, Field, Flag, Integer, ListOf, Number, Record, Text

_FROM_TEMPLATE: Final = ("type", "help", "default", "min", "max", "precision", "options")


def _complete(rule: dict[str, Any]) -> None:
    template: dict[str, Any] = {}
    if rule["use_template"]:
        if rule["use_template"] not in TEMPLATES:
            raise Unfit(Problem(f"use_template {rule['use_template']} not found"), final=True)
        template = TEMPLATES[rule["use_template"]]
    for member in _FROM_TEMPLATE:
        if rule[member] is None:
            rule[member] = copy(template.get(member))
    if not rule["label"]["en_US"]:
        rule["label"] = copy(template.get("label")) or {"en_US": rule["name"]}
    if rule["options"] is None:
        rule["options"] = []


PARAMETER_RULE: Final = Record(
    "ModelParameterRule",
    (
        Field("name", Text()),
        optional("use_template", Text()),
        Field("label", I18N),
        optional("type", Text()),
        optional("help", I18N),
        Field("required", Flag()),
        Field("default", Anything()),
        optional("min", Number()),
        optional("max", Number()),
        optional("precision", Integer()),
        Field("options", ListOf(Text())),
    ),
    _complete,
)
