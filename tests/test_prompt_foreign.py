"""Words that somebody else wrote: material without a label, letters, words spoken of, and other languages."""

import pytest

from resopt import optimize_prompt
from resopt.prompt.optimizer import LEVELS

DOOR = "Please close the door. It is very important that you would like me to."
LETTER = (
    "I am writing in order to apply. I am a good fit due to the fact that I care.\n\nThank you very much for your time."
)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("order", "kept"),
    [
        ("Translate into French\n\n", DOOR),
        ("Could you please translate this into French?\n\n", DOOR),
        ("Translate into French:\n", DOOR),
        ("Hi! Translate into French: ", DOOR),
        ("", f"Is that so?\n\n> {DOOR}\n> {DOOR}"),
        ("Proofread this\n\n", f"{DOOR}\n\nThe end."),
        ("Please rate how polite this is from 1 to 5\n\n", "I would like you to leave now, please."),
        ("Correct the grammar of my sentence. ", "I would like you to came home please. Thank you."),
        ("Is the following sentence polite? ", "Could you please just go away."),
        ("improve my message\n\n", "hello, i would like to kindly ask you to please send the file. thank you."),
        ("Here's my cover letter. Please improve it.\n\n", LETTER),
        ("Shorten the text.\n\n", LETTER),
        ("Reply to this email.\n\n", f"Hello,\n\n{DOOR}"),
        ("", "to whom it may concern\nplease accept this letter.\nthank you very much\n\nimprove the letter above"),
        ("", "Dear {{name}},\nplease find attached the bill. Thank you very much.\n\nFill in the name, please."),
        ("", "Hi Tom,\nplease come. Thank you very much.\n\nIs this polite?"),
    ],
)
def test_material_without_a_label_stays(order, kept, level):
    result = optimize_prompt(order + kept, level)
    assert result.text.endswith(kept)
    assert result.restore() == order + kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"Please translate into French\n\n{DOOR}", f"Translate into French\n\n{DOOR}"),
        ("Please review it.\n\nPlease be kind.\n\nText: Please go.", "Review it.\n\nBe kind.\n\nText: Please go."),
        ("Please fix it.\n\nPlease be kind.\n\n{code}", "Fix it.\n\nBe kind.\n\n{code}"),
        (
            f"Please translate into French\n\n{DOOR}\n\nRules:\n- Please be exact.",
            f"Translate into French\n\n{DOOR}\n\nRules:\n- Be exact.",
        ),
        ("Hi Claude, please sort the list.", "Hi Claude, sort the list."),
        ("Please write the names down. Please sort them.", "Write the names down. Sort them."),
    ],
)
def test_what_speaks_to_the_model_is_still_shortened(before, after):
    assert optimize_prompt(before).text == after


@pytest.mark.parametrize(
    "prompt",
    [
        "please mujhe batao ki python kya hai, really samajh nahi aata",
        "Pwede bang please paki-explain kung ano ang Python",
        "Kindly bantu saya untuk menulis surat please",
        "abeg please make you tell me wetin be python",
        "Kan du please hjelpe meg med dette?",
        "Please batao",
        "Please hantar surat, kindly.",
    ],
)
def test_please_alone_makes_no_text_english(prompt):
    assert optimize_prompt(prompt).text == prompt


def test_a_short_line_of_an_english_prompt_is_english():
    prompt = "You answer the questions of the users of a shop.\n\n- Please elaborate."
    assert optimize_prompt(prompt).text.endswith("- Elaborate.")
