"""Contract of the output: columns of `recommendations` and promises to their readers."""

import typer

from xlrec.cli.options import AsJson, print_json

PROMISES = (
    "Whole runs only: readers see a run's rows all at once, through the newest row of _releases, or not at all.",
    "Exactly k rows a user, ranks 1..n without gaps, unless fewer items are eligible; _runs counts such lists.",
    "No item twice in a list; none that is unavailable in the user's market, or seen before where so configured.",
    "No row for users who opted out.",
    "The same inputs and config give the same rows, whatever the partitions, cores or order.",
    "Delta reader version 1: every Delta reader works. Columns are only ever added.",
)


def contract(as_json: AsJson = False) -> None:
    """What readers of `recommendations` may rely on: columns, types, meaning, how to read the live lists."""
    from xlrec.lake.readers import sql_for_readers
    from xlrec.tables import RECOMMENDATIONS

    columns = [
        {"name": f.name, "type": f.dataType.simpleString(), "meaning": f.metadata["comment"]}
        for f in RECOMMENDATIONS.schema.fields
    ]
    sql = sql_for_readers("LAKE")
    if as_json:
        document = {
            "table": RECOMMENDATIONS.name,
            "partitioned_by": list(RECOMMENDATIONS.partition_by),
            "columns": columns,
            "promises": list(PROMISES),
            "sql": sql,
        }
        print_json(document)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{RECOMMENDATIONS.name}[/], partitioned by {', '.join(RECOMMENDATIONS.partition_by)}")
    table = Table("column", "type", "meaning", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_row(column["name"], column["type"], column["meaning"])
    console.print(table)
    console.print("\n[bold]Promises[/]")
    for promise in PROMISES:
        console.print(f"- {promise}")
    console.print("\n[bold]Reading the live lists[/]")
    typer.echo('Python  xlrec.read_recommendations(spark, "LAKE")')
    typer.echo(f"SQL     {sql}")
