"""The report page: whole, escaped, self-contained, readable in both directions."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from math import inf, nan
from pathlib import Path

import pytest
from worlds.report import HOSTILE, bare, lists, report

from xlrec.reporting import words
from xlrec.reporting.data import Header, LanguageRow, Listed, Metrics, RejectRow, UserList, masked_label
from xlrec.reporting.views import MetricsView, lists_charts, render_report

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Balance(HTMLParser):
    """Fails on a tag that closes what is not open; remembers texts by tag."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def parse(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(report())


@pytest.mark.parametrize("data", [report(), bare()], ids=["full", "bare"])
def test_the_page_is_html_with_balanced_tags(data: object) -> None:
    assert parse(render_report(data)).open == []  # type: ignore[arg-type]  # both are ReportData


def test_the_page_loads_nothing_and_runs_nothing(page: str) -> None:
    assert not re.search(r"(https?:)?//[a-z]", page)
    assert "url(" not in page
    assert not {tag for tag, _ in parse(page).tags} & {"script", "link", "img", "iframe", "object"}
    assert not [key for _, attributes in parse(page).tags for key in attributes if key.startswith("on")]


def test_a_hostile_title_is_text(page: str) -> None:
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;" in page


def test_hostile_names_anywhere_are_text() -> None:
    whole = report()
    assert whole.metrics is not None
    rows = tuple(replace(row, system=HOSTILE if row.system == "als" else row.system) for row in whole.metrics.rows)
    user = UserList(HOSTILE, HOSTILE, (HOSTILE,), (), (Listed(1, "i", "t", HOSTILE, 1.0, HOSTILE, (HOSTILE,)),))
    hostile = replace(
        whole,
        header=replace(whole.header, run_id=HOSTILE, lake=HOSTILE, encoder=HOSTILE, versions={HOSTILE: HOSTILE}),
        metrics=replace(whole.metrics, rows=rows, split=HOSTILE),
        lists=replace(lists(), languages=(LanguageRow(HOSTILE, 0.5, 0.5),)),
        samples=(user,),
    )
    page = render_report(hostile)
    assert "<script" not in page
    assert "<img" not in page
    assert parse(page).open == []


def test_titles_are_isolated_from_the_direction_of_the_page(page: str) -> None:
    assert '<bdi dir="auto" lang="ar">طقم فناجين قهوة عربية، 6 قطع</bdi>' in page
    assert '“<bdi dir="auto">مطحنة قهوة يدوية</bdi>”' in page


def test_every_table_has_headers_and_every_drawing_a_title(page: str) -> None:
    tags = [tag for tag, _ in parse(page).tags]
    assert tags.count("thead") == tags.count("table") > 5
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert "<title>" in svg or "aria-hidden" in svg


def test_equal_data_gives_an_equal_page(page: str) -> None:
    assert render_report(report()) == page


def test_a_section_without_data_names_the_command_that_fills_it() -> None:
    page = render_report(bare())
    for command in ("run", "prepare", "evaluate", "explain"):
        assert f"<code>xlrec {command} --config conf/demo.yaml" in page


def test_no_rejected_rows_differs_from_not_prepared() -> None:
    assert "every input row was used" in render_report(replace(bare(), rejects=()))


def test_every_rule_of_prepare_says_what_is_allowed(page: str) -> None:
    stages = Path(words.__file__).parents[1] / "stages" / "prepare"
    rules = {
        rule for file in stages.glob("*.py") for rule in re.findall(r'broken_rule\(\s*"(\w+)"', file.read_text("utf-8"))
    }
    assert len(rules) > 10
    every = render_report(replace(bare(), rejects=tuple(RejectRow("catalog", rule, 1) for rule in sorted(rules))))
    assert re.findall(r'<code>(\w+)</code></td><td class="n">1</td><td class="aside wide"></td>', every) == []
    assert "one event per user, item, event and timestamp" in page


def test_what_texts_lack_is_told_by_language_and_not_checked_differs_from_all_well(page: str) -> None:
    cells = ["12,345", "400", "17", "3", "45", "6", "12,345"]
    row = '<th scope="row">ja</th>' + "".join(f'<td class="n">{cell}</td>' for cell in cells)
    assert row in page
    assert '<th scope="row">unknown</th><td class="n">8</td>' in page
    assert "Texts were not checked by this run" in render_report(bare())


def test_how_markets_log_is_told_with_what_disagrees(page: str) -> None:
    assert '<td class="aside wide">purchase is 100 % of its events, elsewhere 12 %</td>' in page
    assert 'view 75 %, rating 25 %</td><td class="n">0.12</td><td>0.5 to 5</td><td class="n">48 %</td>' in page
    assert '<th scope="row">unknown</th><td class="n">17</td><td class="aside">other 100 %</td>' in page
    assert "Markets were not compared by this run" in render_report(bare())


def test_the_list_stands_beside_its_parts_with_the_weights_and_what_is_ahead(page: str) -> None:
    cells = ["1,000", "1 / 16 / 1", "0.152", "0.125", "0.149", "0.029", "0.061"]
    row = '<th scope="row">DE</th>' + "".join(f'<td class="n">{cell}</td>' for cell in cells)
    assert row + '<td class="aside"></td>' in page
    assert '<td class="n">0.071</td><td class="aside">Learnt only, Texts only</td>' in page
    assert '<th scope="row">All markets</th><td class="n">1,400</td><td class="n">–</td>' in page
    assert '<th scope="row">New items</th>' in page
    assert "The sources were not weighed by this run" in render_report(bare())


def test_an_evaluation_without_rows_is_no_evaluation() -> None:
    whole = report()
    assert whole.metrics is not None
    assert "Not evaluated yet" in render_report(replace(whole, metrics=replace(whole.metrics, rows=())))


def test_values_that_are_no_numbers_are_dashes() -> None:
    whole = report()
    assert whole.metrics is not None
    rows = tuple(replace(row, value=nan, low=nan, high=nan) for row in whole.metrics.rows)
    assert not re.search(r"\bnan\b", render_report(replace(whole, metrics=replace(whole.metrics, rows=rows))))


def test_a_missed_bar_is_said_in_words(page: str) -> None:
    assert "✗ missed" in page
    assert "✓ passed" in page


def test_ours_stands_first_and_the_others_by_ndcg(page: str) -> None:
    view = view_of(report().metrics)
    assert view.systems == ["xlrec", "covisited", "itemknn", "similar", "als", "popular"]
    assert page.index("Co-visited only") < page.index("Most popular")


def test_the_best_system_of_each_metric_is_marked_and_novelty_has_none() -> None:
    view = view_of(report().metrics)
    best = {
        name: [system for system, cells in view.system_rows([name]) if cells[0][1]]
        for names in view.tables.values()
        for name in names
    }
    assert best["ndcg@10"] == ["xlrec"]
    assert best["language_mix_error@10"] == ["popular"]  # less is better
    assert best["novelty@10"] == []


def test_slices_of_history_run_from_short_to_long() -> None:
    history = next(chart for chart in view_of(report().metrics).slice_charts if "history" in chart.title)
    places = [history.svg.index(f">{label}<") for label in ("0", "1–2", "3–9", "10–29", "30+")]
    assert places == sorted(places)


def test_a_chart_with_many_rows_says_how_many_it_leaves_out() -> None:
    many = replace(lists(), languages=tuple(LanguageRow(f"l{i:02d}", 0.01, 0.01) for i in range(40)))
    assert lists_charts(many)[0].note == "The first 14 of 40."


def test_a_label_hides_the_user_and_stays_the_same() -> None:
    assert masked_label("anna@example.org") == masked_label("anna@example.org") != masked_label("bob@example.org")
    assert "anna" not in masked_label("anna@example.org")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (words.format_count(1234567), "1,234,567"),
        (words.format_count(None), "–"),
        (words.format_share(0.1234), "12.3\u00a0%"),
        (words.format_share(1.0), "100\u00a0%"),
        (words.format_share(0.0002), "< 0.1\u00a0%"),
        (words.format_share(nan), "–"),
        (words.format_score(-0.01234), "−0.012"),
        (words.format_score(-0.0001), "0.000"),
        (words.format_score(inf), "–"),
        (words.format_signed(0.0251), "+0.025"),
        (words.format_signed(-0.0251), "−0.025"),
        (words.format_signed(0.0001), "0.000"),
        (words.format_signed(None), "–"),
        (words.format_seconds(None), "–"),
        (words.metric_title("ndcg@10"), "NDCG@10"),
        (words.metric_title("mine@3"), "mine@3"),
        (words.format_p_value(0.0), "< 0.001"),
        (words.format_p_value(0.0141), "0.014"),
        (words.interval_reading(-0.1, 0.1), "no clear difference"),
        (words.interval_reading(0.1, 0.2), "ahead"),
        (words.interval_reading(-0.2, -0.1), "behind"),
        (words.interval_reading(None, None), "no interval"),
    ],
)
def test_numbers_are_formatted_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_header_needs_no_versions() -> None:
    whole = report().header
    plain = Header(whole.run_id, whole.run_date, "failed", whole.lake, whole.encoder, whole.started_at, nan)
    assert "not recorded" in render_report(replace(bare(), header=plain))


def view_of(metrics: Metrics | None) -> MetricsView:
    assert metrics is not None
    return MetricsView(metrics)
