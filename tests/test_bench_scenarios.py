"""`resopt bench scenarios`: small runs of both, and what is printed."""

import json

from resopt.cli import main
from resopt.cli.scenarios_run import LANGUAGES, phrases


def test_both_scenarios_run_and_their_figures_hang_together(capsys):
    assert main(["bench", "scenarios", "--phrases", "150", "--articles", "60", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    content, translation = figures["content"], figures["translation"]
    assert (content["requests"], translation["requests"]) == (60, 150)
    assert content["times_faster"] > 2
    assert -1 < content["cost_change"] < -0.5
    assert -0.5 < content["tokens_change"] < 0
    assert -1 < translation["cost_change"] < 0
    assert 0 < translation["no_call_rate"] < 1


def test_the_table_names_the_patterns_figures(capsys):
    assert main(["bench", "scenarios", "--phrases", "50", "--articles", "50"]) == 0
    printed = capsys.readouterr().out
    for figure in ("9.6 x faster", "-68 %", "-37 %", "72 %", "-76 %", "5 x faster", "made up"):
        assert figure in printed


def test_the_traffic_is_what_it_is_said_to_be():
    made = phrases(5_000, seed=3)
    assert made == phrases(5_000, seed=3)
    assert {language for language, _ in made} == set(LANGUAGES)
    assert 0.77 < sum(not phrase.startswith("Ticket") for _, phrase in made) / 5_000 < 0.83
