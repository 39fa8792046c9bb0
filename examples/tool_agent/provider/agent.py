from dify_plugin import AgentProvider


class Agent(AgentProvider):
    """The provider of provider/agent.yaml. Strategies have no credentials: models and tools have, and Dify knows them."""
