"""Contract of the output: columns of `recommendations`, and the promises of contract.json to their readers."""

import json
from importlib.resources import files

import typer

from xlrec.cli.options import AsJson, print_json


def contract(as_json: AsJson = False) -> None:
    """What readers of `recommendations` may rely on: columns, types, meaning, how to read the live lists."""
    from xlrec.lake.readers import sql_for_readers
    from xlrec.tables import RECOMMENDATIONS

    promises = json.loads((files("xlrec.cli") / "contract.json").read_text("utf-8"))
    columns = [
        {"name": f.name, "type": f.dataType.simpleString(), "meaning": f.metadata["comment"]}
        for f in RECOMMENDATIONS.schema.fields
    ]
    name, keys, sql = RECOMMENDATIONS.name, list(RECOMMENDATIONS.partition_by), sql_for_readers("LAKE")
    if as_json:
        print_json({"table": name, "partitioned_by": keys, "columns": columns, "promises": promises, "sql": sql})
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{name}[/], partitioned by {', '.join(keys)}")
    table = Table("column", "type", "meaning", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_row(*column.values())
    console.print(table)
    console.print("\n[bold]Promises[/]", *promises, sep="\n- ")
    console.print("\n[bold]Reading the live lists[/]")
    typer.echo('Python  xlrec.read_recommendations(spark, "LAKE")')
    typer.echo(f"SQL     {sql}")
