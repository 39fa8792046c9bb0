import json
from collections.abc import Generator
from typing import Any

from dify_plugin import AgentStrategy
from dify_plugin.entities.agent import AgentInvokeMessage
from dify_plugin.entities.invoke_message import InvokeMessage
from dify_plugin.entities.model.llm import LLMModelConfig
from dify_plugin.entities.model.message import AssistantPromptMessage, SystemPromptMessage, ToolPromptMessage, UserPromptMessage
from dify_plugin.entities.tool import ToolProviderType
from dify_plugin.interfaces.agent import AgentModelConfig, ToolEntity
from pydantic import BaseModel

Kind = InvokeMessage.MessageType
START = InvokeMessage.LogMessage.LogStatus.START
ERROR = InvokeMessage.LogMessage.LogStatus.ERROR
Messages = Generator[AgentInvokeMessage, None, Any]
Call = AssistantPromptMessage.ToolCall


class Parameters(BaseModel):
    """The parameters of strategies/rounds.yaml, checked."""

    model: AgentModelConfig
    tools: list[ToolEntity] = []
    instruction: str = ""
    query: str
    maximum_iterations: int = 3


class Rounds(AgentStrategy):
    """Asks the model, runs the tools that it wants, and asks again with what they said."""

    def _invoke(self, parameters: dict[str, Any]) -> Messages:
        wanted = Parameters(**parameters)
        tools = {tool.identity.name: tool for tool in wanted.tools}
        talk = [SystemPromptMessage(content=wanted.instruction), *wanted.model.history_prompt_messages, UserPromptMessage(content=wanted.query)]
        for number in range(1, wanted.maximum_iterations + 1):
            # What was thought is shown as a tree: a log message that starts, those below it, the same one when it is finished.
            log = self.create_log_message(f"Round {number}", data={}, status=START)
            yield log
            # In the last round the model is offered no tools: it has to say what it knows.
            offered = list(tools.values()) if number < wanted.maximum_iterations else []
            text, calls = yield from self._ask(wanted.model, talk, offered)
            talk.append(AssistantPromptMessage(content=text, tool_calls=calls))
            for call in calls:
                said = yield from self._run(tools.get(call.function.name), call, log)
                talk.append(ToolPromptMessage(content=said, tool_call_id=call.id, name=call.function.name))
            yield self.finish_log_message(log, data={"text": text, "tools": [call.function.name for call in calls]})
            if not calls:
                return

    def _ask(self, model: AgentModelConfig, talk: list[Any], tools: list[ToolEntity]) -> Messages:
        """The model's words, handed on as they come, and the tools that it wants to be run."""
        words, calls = [], []
        config = LLMModelConfig(**model.model_dump(mode="json"))
        for chunk in self.session.model.llm.invoke(config, talk, tools=self._init_prompt_tools(tools), stream=True):
            calls += chunk.delta.message.tool_calls
            if text := chunk.delta.message.get_text_content():
                words.append(text)
                yield self.create_text_message(text)
        return "".join(words), calls

    def _run(self, tool: ToolEntity | None, call: Call, log: AgentInvokeMessage) -> Messages:
        """What the tool says, in words for the model. What goes wrong is told to the model, too: it may find another way."""
        log = self.create_log_message(f"Tool {call.function.name}", {"arguments": call.function.arguments}, status=START, parent=log)
        yield log
        said = []
        try:
            if tool is None:
                raise ValueError(f"there is no tool {call.function.name}")
            arguments = {**tool.runtime_parameters, **json.loads(call.function.arguments or "{}")}
            kind = ToolProviderType(tool.provider_type)
            for answer in self.session.tool.invoke(kind, tool.identity.provider, tool.identity.name, arguments, tool.credential_id):
                match answer.type:
                    case Kind.TEXT:
                        said.append(answer.message.text)
                    case Kind.JSON:
                        said.append(json.dumps(answer.message.json_object, ensure_ascii=False))
                    case Kind.IMAGE | Kind.IMAGE_LINK | Kind.LINK | Kind.BLOB | Kind.FILE:  # for people, not for the model
                        said.append("A file was made. The user sees it.")
                        yield AgentInvokeMessage(type=answer.type, message=answer.message, meta=answer.meta)
        except Exception as why:  # of the tool, of Dify, of the model's JSON: all the same to the model
            said.append(f"The tool failed: {why}")
            yield self.finish_log_message(log, status=ERROR, error=str(why))
        else:
            yield self.finish_log_message(log, data={"output": said})
        return "\n".join(said)
