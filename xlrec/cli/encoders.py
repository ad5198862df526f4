"""The table of presets: size, licence, cost and checked facts."""

from dataclasses import asdict

from xlrec.cli.options import AsJson, print_json, wide_console


def encoders(as_json: AsJson = False) -> None:
    """The models that a name in embed.encoder is enough for: size, licence, cost, what could be checked."""
    from xlrec.encoders.presets import load_presets

    presets = sorted(load_presets(), key=lambda preset: (preset.active_m, preset.megabytes, preset.name))
    if as_json:
        print_json([asdict(preset) for preset in presets])
        return
    from rich.markup import escape
    from rich.table import Table

    console = wide_console(150)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("preset", "MB", "MFLOP/token", "dim", "tokens", "licence", "commit", "not checked"):
        table.add_column(title, no_wrap=title == "preset", justify="right" if title[0] == "M" else "left")
    for p in presets:
        size, dims = (p.name, f"{p.megabytes:,}", f"{2 * p.active_m:,.0f}"), " ".join(map(str, (p.dim, *p.cuts)))
        tokens, commit = (
            f"{p.max_tokens:,}" if p.max_tokens else "any",
            "package" if p.package else (p.revision or "set it")[:8],
        )
        table.add_row(*map(escape, (*size, dims, tokens, p.licence, commit, ", ".join(p.unchecked) or "-")))
    console.print(table)
    console.print("\nMFLOP/token: 2 × the million parameters that a token passes. dim: the model's own, then its cuts.")
    for preset in presets:
        if preset.note:
            console.print(f"{preset.name}: {preset.note}.", markup=False, highlight=False)
    console.print("`xlrec encoders --json` adds hub names, commits, prompts, pooling and where each fact was seen.")
