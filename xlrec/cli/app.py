"""The commands, grouped as their help shows them."""

import typer

from xlrec.cli import data, look, night, similar, training

app = typer.Typer(
    help="Batch, offline, cross-lingual recommendations on Apache Spark.\n\n"
    "Start with `xlrec demo .cache/demo` and `xlrec run --config conf/demo.yaml`, or with `make run`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
PANELS = (
    (night, "The night"), (training, "Training"), (look, "Looking"), (similar, "Looking"), (data, "Data"),
)  # fmt: skip
for module, panel in PANELS:
    for command in module.COMMANDS:
        name = command.__name__.rstrip("_").replace("_", "-")
        app.command(name, rich_help_panel=panel)(command)
app.add_typer(data.importers, name="import", rich_help_panel="Data")
