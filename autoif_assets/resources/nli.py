"""Who labels back-translations."""

import json

import dagster as dg
import polars as pl
from pydantic import Field

from autoif_assets.method.back_translation import nli_prompts, parse_nli
from autoif_assets.method.recipe import Recipe
from autoif_assets.nli import DEFAULT_MODEL, NLIModel
from autoif_assets.resources.models import RoleEndpoint

LABELLERS = ("supervision", "transformers")


class NLI(RoleEndpoint):
    """Who labels back-translations: an endpoint, as supervision by default, or a local model."""

    by: str = Field(
        default="supervision",
        description="supervision: an endpoint as set here. transformers: a local NLI model, whose "
        "name or folder `model` is; mDeBERTa.",
    )

    @property
    def asks(self) -> bool:
        """Whether it asks an endpoint; a local model is none."""
        return self.by != "transformers"

    def check(self) -> None:
        """See that it is known who labels.

        Raises:
            ValueError: `by` is neither of the two.
        """
        if self.by not in LABELLERS:
            raise ValueError(f"AUTOIF_NLI is {self.by!r}; it may be {' or '.join(LABELLERS)}.")

    def label(
        self, context: dg.AssetExecutionContext, pairs: pl.DataFrame, recipe: Recipe
    ) -> pl.DataFrame:
        """Label ``pair_id``, ``premise``, ``hypothesis``.

        Returns:
            ``pair_id``, ``nli_label``, ``nli_by``, ``nli_raw``, ``nli_call_id``.

        Raises:
            ValueError: It is not known who labels.
        """
        self.check()
        if not self.asks:
            return self._label_locally(pairs)
        with self.session(context, "nli") as model:
            return model.read(parse_nli, model.generate("nli", nli_prompts(pairs, recipe), recipe))

    def _label_locally(self, pairs: pl.DataFrame) -> pl.DataFrame:
        name = self.model or DEFAULT_MODEL
        texts = list(zip(pairs["premise"], pairs["hypothesis"], strict=True))
        verdicts = NLIModel(name).classify(texts)
        return pairs.select(
            "pair_id",
            nli_label=pl.Series([verdict.label for verdict in verdicts], dtype=pl.String),
            nli_by=pl.lit(name),
            nli_raw=pl.Series(
                [json.dumps(verdict.scores) for verdict in verdicts], dtype=pl.String
            ),
            nli_call_id=pl.lit(None, dtype=pl.String),
        )
