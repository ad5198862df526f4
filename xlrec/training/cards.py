"""Model cards: Markdown templates that are filled in with counts, figures and names; no texts and no ids."""

from typing import Any


def render_card(template: str, **facts: Any) -> str:
    """Text of `templates/<template>.md` with these facts."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701  # Markdown: nothing to escape
        loader=PackageLoader("xlrec.training"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    return environment.get_template(f"{template}.md").render(facts)
