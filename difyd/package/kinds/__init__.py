"""The six kinds of plugins, one module each (package-format 11-16). `KINDS` has them in the order in which packages are read."""

from typing import Final

from difyd.package.kinds import agent_strategy, datasource, endpoint, model, tool, trigger
from difyd.package.kinds.kind import Kind

KINDS: Final[tuple[Kind, ...]] = (
    tool.TOOL,
    endpoint.ENDPOINT,
    model.MODEL_PROVIDER,
    agent_strategy.AGENT_STRATEGY,
    datasource.DATASOURCE,
    trigger.TRIGGER,
)
BY_NAME: Final = {kind.name: kind for kind in KINDS}
