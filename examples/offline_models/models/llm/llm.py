from collections.abc import Generator
from typing import Any

from dify_plugin import LargeLanguageModel
from dify_plugin.entities.model.llm import LLMResult, LLMResultChunk, LLMResultChunkDelta
from dify_plugin.entities.model.message import AssistantPromptMessage, PromptMessage, PromptMessageTool

from models.common import Offline, check_key
from texts import cut, quote, tokens


class Quoter(Offline, LargeLanguageModel):
    """Answers the last message with a sentence of the messages before it."""

    def _invoke(
        self,
        model: str,
        credentials: dict[str, Any],
        prompt_messages: list[PromptMessage],
        model_parameters: dict[str, Any],
        tools: list[PromptMessageTool] | None = None,
        stop: list[str] | None = None,
        stream: bool = True,
        user: str | None = None,
    ) -> LLMResult | Generator[LLMResultChunk, None, None]:
        check_key(credentials)
        *before, last = [message.get_text_content() for message in prompt_messages]
        answer = tokens(cut(quote(last, before), stop or []))
        said = answer[: model_parameters.get("max_tokens")]
        # Prices come from the YAML file; Dify shows them, and adds them up.
        usage = self._calc_response_usage(model, credentials, self.get_num_tokens(model, credentials, prompt_messages, tools), len(said))
        if not stream:
            return LLMResult(model=model, message=AssistantPromptMessage(content="".join(said)), usage=usage)

        def chunks() -> Generator[LLMResultChunk, None, None]:
            """Each chunk is on its way to the reader as soon as it is yielded. Only the last says why the answer ends and what it cost."""
            for index, token in enumerate(said):
                yield LLMResultChunk(model=model, delta=LLMResultChunkDelta(index=index, message=AssistantPromptMessage(content=token)))
            reason = "stop" if said == answer else "length"
            end = LLMResultChunkDelta(index=len(said), message=AssistantPromptMessage(content=""), finish_reason=reason, usage=usage)
            yield LLMResultChunk(model=model, delta=end)

        return chunks()

    def get_num_tokens(
        self,
        model: str,
        credentials: dict[str, Any],
        prompt_messages: list[PromptMessage],
        tools: list[PromptMessageTool] | None = None,
    ) -> int:
        return sum(len(tokens(message.get_text_content())) for message in prompt_messages)
