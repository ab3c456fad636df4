"""`resopt bench scenarios`: small runs of both, and what is printed."""

import anyio
import pytest

from resopt.cli import main
from resopt.cli.bench import _figures, _print
from resopt.cli.scenarios_run import LANGUAGES, content, phrases, translation
from resopt.cli.screen import make_console


@pytest.fixture(scope="module")
def results():
    told = []
    made = anyio.run(content, 50, 0, told.append), anyio.run(translation, 100, 0, told.append)
    assert told.count(50) >= 1
    assert told[-1] == 100
    return made


def test_the_figures_hang_together(results):
    summaries, translations = map(_figures, results)
    assert (summaries["requests"], translations["requests"]) == (50, 100)
    assert summaries["times_faster"] > 1.5
    assert -1 < summaries["cost_change"] < -0.5
    assert -0.5 < summaries["tokens_change"] < 0
    assert -1 < translations["cost_change"] < 0
    assert 0 < translations["no_call_rate"] < 1


def test_the_table_names_the_patterns_figures(results, capsys):
    _print(make_console(), *results)
    printed = capsys.readouterr().out
    for figure in ("9.6 x faster", "-68 %", "-37 %", "72 %", "-76 %", "5 x faster", "made up"):
        assert figure in printed


def test_the_verb_is_there_and_checks_its_options(capsys):
    assert main(["bench", "scenarios", "--phrases", "10"]) == 2
    assert "--phrases" in capsys.readouterr().err
    assert main(["bench", "--help"]) == 0
    assert "scenarios" in capsys.readouterr().out


def test_the_traffic_is_what_it_is_said_to_be():
    made = phrases(5_000, seed=3)
    assert made == phrases(5_000, seed=3)
    assert {language for language, _ in made} == set(LANGUAGES)
    assert 0.77 < sum(not phrase.startswith("Ticket") for _, phrase in made) / 5_000 < 0.83
