"""Columns of cleaned texts, canonical languages and market codes, by UDFs over `xlrec.kernels.text.text`."""

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, BooleanType, StringType, StructField, StructType

from xlrec.kernels.text.detection import detect_language
from xlrec.kernels.text.text import canonical_language, clean_text, embedded_text, text_hash
from xlrec.runtime.worker import keep_worker_light
from xlrec.tables import UNKNOWN_LANGUAGE

_CLEANED: Final = StructType(
    [StructField(name, StringType()) for name in ("title", "description", "language")]
    + [StructField("detected", BooleanType())]
    + [StructField(name, StringType()) for name in ("text", "text_hash")]
)


def cleaning_udf(languages: tuple[str, ...], detecting: bool, max_title: int, max_description: int) -> Any:
    """UDF (title, description, language) → struct of the cleaned text, its language and its hash."""

    @pandas_udf(_CLEANED)  # type: ignore[call-overload]  # the stubs know no iterator of frames for a type object
    def clean_texts(batches: Iterator[tuple[pd.Series, pd.Series, pd.Series]]) -> Iterator[pd.DataFrame]:
        keep_worker_light()
        for titles, descriptions, stated in batches:
            rows = [
                _row(clean_text(title, max_title), clean_text(description, max_description), canonical_language(tag))
                for title, description, tag in zip(titles, descriptions, stated, strict=True)
            ]
            yield pd.DataFrame(rows, columns=_CLEANED.names)

    def _row(title: str, description: str, stated: str | None) -> tuple[str, str | None, str, bool, str, str]:
        text = embedded_text(title, description)
        language = stated or (detect_language(text, languages) if detecting and text else UNKNOWN_LANGUAGE)
        return title, description or None, language, stated is None, text, text_hash(text)

    return clean_texts


# Types, not their names: parsing a name would need a session at import, and the stubs know names only.
@pandas_udf(StringType())  # type: ignore[call-overload]
def canonical_udf(tags: pd.Series) -> pd.Series:
    """Canonical BCP 47 of each tag; null where it is no language."""
    return tags.map(canonical_language, na_action="ignore")


@pandas_udf(ArrayType(StringType()))  # type: ignore[call-overload]
def canonical_lists_udf(lists: pd.Series) -> pd.Series:
    """Canonical BCP 47 of each list's tags, sorted, without repeats; others are left out."""
    return lists.map(lambda tags: sorted({t for t in map(canonical_language, tags) if t}), na_action="ignore")


def market_code(market: Column) -> Column:
    """The market's code: trimmed, upper case; null where blank."""
    code = F.upper(F.trim(market))
    return F.when(code != "", code)
