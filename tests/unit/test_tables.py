"""Tables: what the module names is what the file declares, each once and whole."""

import pytest
from pyspark.sql.types import StructType

from xlrec import tables


def names() -> list[str]:
    return [name for name in tables.__annotations__ if not name.startswith("_")]


def test_every_declared_table_is_named_in_the_same_order() -> None:
    assert names() == list(tables._declared())


@pytest.mark.parametrize("name", names())
def test_every_column_has_a_comment_and_a_table_is_one_object(name: str) -> None:
    table = getattr(tables, name)
    schema = table if isinstance(table, StructType) else table.schema
    assert all(field.metadata["comment"] for field in schema.fields)
    assert getattr(tables, name) is table


def test_an_unknown_table_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="no table BOOKS; it has CATALOG, "):
        tables.BOOKS  # type: ignore[attr-defined]  # noqa: B018
