"""The table reference is complete and its file is up to date."""

from pathlib import Path

import pytest

from autoif_assets.warehouse import TABLES
from autoif_assets.warehouse.__main__ import reference
from autoif_assets.warehouse.views import views

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def section(name: str) -> str:
    return reference().split(f"### `autoif.{name}`\n")[1].split("\n##")[0]


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_column_and_key_is_described(table):
    text = section(table.name)
    for column in table.columns:
        assert f"| `{column.name}` | `{column.type}` |" in text
        assert column.description in text
    for key in table.foreign_keys:
        assert f"of `{'` or `'.join(key.tables)}`." in text
    assert text.count("Foreign key") == len(table.foreign_keys)


@pytest.mark.parametrize("name", views())
def test_every_view_has_its_example(name):
    assert "```sql\nSELECT" in section(name)


def test_the_page_is_up_to_date():
    made = "python -m autoif_assets.warehouse > docs/tables.md"
    assert PAGE.read_text("utf-8") == reference(), f"make it anew: {made}"
