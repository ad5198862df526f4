"""The tables of conf/README.md: every field of the config with its default and meaning, written from the models.

python tests/contracts/fields.py     # make schema
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from xlrec.config.models import Config

PAGE: Final = Path(__file__).resolve().parents[2] / "conf" / "README.md"
BEGIN: Final = "<!-- make schema writes from here -->"
END: Final = "<!-- to here -->"


def sections(schema: dict[str, Any], name: str = "", path: str = "") -> Iterator[tuple[str, str, list[list[str]]]]:
    """(path, description, rows of its plain fields) of the config and of each model below it, in the models' order."""
    model = schema["$defs"][name] if name else schema
    below, rows = [], []
    for field, facts in model["properties"].items():
        reference = facts.get("$ref", "").removeprefix("#/$defs/")
        if "properties" in schema["$defs"].get(reference, {}):
            below.append((reference, f"{path}{field}.", facts.get("description", "")))
        else:
            default = (
                "required"
                if field in model.get("required", ())
                else f"`{json.dumps(facts.get('default'), ensure_ascii=False)}`"
            )
            rows.append([f"`{path}{field}`", default, one_line(facts.get("description", ""))])
    yield path.removesuffix("."), one_line(model.get("description", "")), rows
    for reference, prefix, _ in below:
        yield from sections(schema, reference, prefix)


def one_line(text: str) -> str:
    """A docstring in a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def tables() -> str:
    """Markdown of all sections."""
    parts = []
    for path, description, rows in sections(Config.model_json_schema()):
        if rows:
            title = f"**`{path}`** {description}" if path else description
            parts.append(
                "\n".join(
                    [
                        title,
                        "",
                        "| field | default | meaning |",
                        "|---|---|---|",
                        *(f"| {' | '.join(row)} |" for row in rows),
                    ]
                )
            )
    return "\n\n".join(parts)


def page(text: str) -> str:
    """The page with its tables as the models say them."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")
