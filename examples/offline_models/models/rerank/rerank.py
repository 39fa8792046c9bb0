from typing import Any

from dify_plugin import RerankModel
from dify_plugin.entities.model.rerank import RerankDocument, RerankResult

from models.common import Offline, check_key
from texts import overlap


class WordOverlap(Offline, RerankModel):
    """The more words of the question a document holds, the earlier it comes."""

    def _invoke(
        self,
        model: str,
        credentials: dict[str, Any],
        query: str,
        docs: list[str],
        score_threshold: float | None = None,
        top_n: int | None = None,  # None and 0 mean all
        user: str | None = None,
    ) -> RerankResult:
        check_key(credentials)
        rated = [RerankDocument(index=index, text=text, score=overlap(query, text)) for index, text in enumerate(docs)]
        rated.sort(key=lambda document: -document.score)
        return RerankResult(model=model, docs=[document for document in rated if document.score >= (score_threshold or 0)][: top_n or None])
