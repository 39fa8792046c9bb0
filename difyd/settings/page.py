"""The settings written out for people: the reference in docs/configuration.md, and what `twistd difyd --check` prints."""

from collections.abc import Iterator

from difyd.settings.settings import Settings, sections
from difyd.settings.variable import Status, Variable


def listing(settings: Settings) -> str:
    """The effective settings as a settings file; what was not set is a comment that shows the default."""
    effective = settings.effective()
    lines = ["# The effective settings. Lines that begin with # are defaults; secrets are masked."]
    for heading, variables in sections():
        lines += ["", f"# -- {heading}"]
        for variable in variables:
            mark = "" if variable.attribute in settings.given else "#"
            lines.append(f"{mark}{variable.name}={effective[variable.name]}")
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The tables of docs/configuration.md; a test holds the page to them."""
    return "\n".join(line for heading, variables in sections() for line in _section(heading, variables))


def _section(heading: str, variables: tuple[Variable, ...]) -> Iterator[str]:
    yield from (f"### {heading}", "", "| Variable | Type | Default | Meaning |", "| --- | --- | --- | --- |")
    for variable in variables:
        default = "**required**" if variable.required else f"`{variable.shown}`" if variable.shown else ""
        yield f"| `{variable.name}` | {variable.kind.name} | {default} | {_meaning(variable)} |"
    yield ""


def _meaning(variable: Variable) -> str:
    sentences = [variable.doc[:1].upper() + variable.doc[1:] + "." if variable.doc and variable.doc[0] != "`" else variable.doc]
    if variable.zero_is_default:
        sentences.append("0 means the default.")
    if variable.secret:
        sentences.append("Secret.")
    older = [alias for alias in variable.aliases if alias.upper() != variable.name]
    if older:
        sentences.append(f"Older name: `{older[0]}`.")
    if variable.aliases and not older:
        sentences.append("Also in lower case.")
    if variable.status is not Status.ACTIVE:
        sentences.append(f"*{variable.status.value}*")
    return " ".join(sentence for sentence in sentences if sentence)
