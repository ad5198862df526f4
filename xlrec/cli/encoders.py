"""The table of presets: size, licence, cost and checked facts."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from xlrec.cli.options import AsJson, print_json, wide_console

if TYPE_CHECKING:
    from xlrec.encoders.presets import Preset

#: Width where the output goes to a file or pipe.
_WIDTH = 150


def encoders(as_json: AsJson = False) -> None:
    """The models that a name in embed.encoder is enough for: size, licence, cost, what could be checked."""
    from xlrec.encoders.presets import load_presets

    presets = sorted(load_presets(), key=lambda preset: (preset.active_m, preset.megabytes, preset.name))
    if as_json:
        print_json([asdict(preset) for preset in presets])
        return
    from rich.markup import escape
    from rich.table import Table

    console = wide_console(_WIDTH)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("preset", "MB", "MFLOP/token", "dim", "tokens", "licence", "commit", "not checked"):
        table.add_column(title, no_wrap=title == "preset", justify="right" if title[0] == "M" else "left")
    for preset in presets:
        table.add_row(*(escape(cell) for cell in _cells(preset)))
    console.print(table)
    console.print("\nMFLOP/token: 2 × the million parameters that a token passes. dim: the model's own, then its cuts.")
    for preset in presets:
        if preset.note:
            console.print(f"{preset.name}: {preset.note}.", markup=False, highlight=False)
    console.print("`xlrec encoders --json` adds hub names, commits, prompts, pooling and where each fact was seen.")


def _cells(preset: "Preset") -> tuple[str, ...]:
    return (
        preset.name,
        f"{preset.megabytes:,}",
        f"{2 * preset.active_m:,.0f}",
        " ".join(str(dim) for dim in (preset.dim, *preset.cuts)),
        f"{preset.max_tokens:,}" if preset.max_tokens else "any",
        preset.licence,
        preset.revision[:8] if preset.revision else "set it",
        ", ".join(preset.unchecked) or "-",
    )
