import time
from typing import Any

from dify_plugin import TextEmbeddingModel
from dify_plugin.entities.model import EmbeddingInputType, PriceType
from dify_plugin.entities.model.text_embedding import EmbeddingUsage, TextEmbeddingResult

from models.common import Offline, check_key
from texts import tokens, vector


class WordHash(Offline, TextEmbeddingModel):
    """Texts with many words in common get vectors that are near to each other."""

    def _invoke(
        self,
        model: str,
        credentials: dict[str, Any],
        texts: list[str],
        user: str | None = None,
        input_type: EmbeddingInputType = EmbeddingInputType.DOCUMENT,  # some models treat questions and documents differently
    ) -> TextEmbeddingResult:
        check_key(credentials)
        count = sum(self.get_num_tokens(model, credentials, texts))
        price = self.get_price(model, credentials, PriceType.INPUT, count)
        usage = EmbeddingUsage(
            tokens=count,
            total_tokens=count,
            unit_price=price.unit_price,
            price_unit=price.unit,
            total_price=price.total_amount,
            currency=price.currency,
            latency=time.perf_counter() - self.started_at,
        )
        return TextEmbeddingResult(model=model, embeddings=[vector(text) for text in texts], usage=usage)

    def get_num_tokens(self, model: str, credentials: dict[str, Any], texts: list[str]) -> list[int]:
        return [len(tokens(text)) for text in texts]
