"""Phrases that are filler in one sentence and say something in another, where they stay."""

import pytest

from resopt import optimize_prompt
from resopt.prompt.optimizer import LEVELS


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "prompt",
    [
        "How do I please my boss?",
        "Do whatever you please.",
        "Explain how to please a customer.",
        "Don't please the user at all costs.",
        "Say why you can not please everyone.",
        "Speak kindly to the guest.",
        "Reply kindly.",
        "Would you kindly?",
        "It is not very important that the answer is long.",
        "The answer is not really clear.",
        "The steps aren't very easy.",
        "Escalate only if it is very important.",
        "Page the manager when it is extremely important.",
        "Say how very important tea is.",
        "Explain why it is important that plants get water.",
        "They say it is important that we vote.",
        "Use no more or less than three sentences.",
        "It should be more or less 5 pages.",
        "Print a total of all invoices.",
        "Think of a number of your choice.",
        "Send the report at the end of the day.",
        "At the end of the day, send the report.",
        "Describe the chart as you can see it.",
        "Is this medicine safe for me?",
        "Help me understand recursion.",
        "Could you help me prepare for my interview?",
        "In this session of parliament, what was decided?",
        "In this task of extracting names, do not guess.",
        "Differentiate the function with respect to x.",
        "Position the box in relation to the window.",
        "Do it as well as you can.",
        "Answer as well as possible.",
        "The parts are put together by robots.",
        "How do I take care of a cat?",
        "The user is going to Berlin.",
        "The user is going to the office.",
        "Make sure of the date.",
        "Double-check the sum to make sure.",
        "Read it and make sure to check the date.",
        "Note that.",
        "What kind of like is this?",
        "Explain the reason why is that the sky is blue.",
        "Hello, world!",
        "You will be asked to log in by the app.",
        "Do as you please. She was able to please her.",
        "If you please, be just.",
        "Come here, if you please.",
        "A kindly old man came.",
        "Kindly old men came.",
        "Always say please and thank you.",
        "How do you say please wait in Japanese?",
        "Replace every please with kindly.",
        "Do not use the words just, really, very or please in your answer.",
        "Avoid the words just, really, please.",
        "Name filler words such as just, really and please.",
        "Avoid phrases like due to the fact that and make sure that.",
        "The phrases in order to and due to the fact that are long.",
        "Never begin an answer with It is important to note that or Please note that.",
        "My essay begins with due to the fact that.",
        "People say at this point in time when they mean now.",
        "Which is more polite, could you please help me or help me?",
        "If they write please help, escalate.",
        "Write please.",
        "Reply with please.",
        "Good managers please customers.",
        "The flag is :please: here.",
        "As a matter of fact checking, verify each claim.",
        "It is used at this point in time series analysis.",
        "Owing to the fact that.",
        "Use words, e.g. a number of 5.",
        "Will you please her?",
    ],
)
def test_what_says_something_here_stays(prompt, level):
    text = optimize_prompt(prompt, level).text
    assert text.removeprefix("Be brief.\n") == prompt


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("First of all, sort the list. Second, print it.", "First, sort the list. Second, print it."),
        ("Please help me learn French.", "Help me learn French."),
        ("Please help me to sort the list.", "Sort the list."),
        ("Kindly explain the policy.", "Explain the policy."),
        ("Could you please summarize the page for me?", "Summarize the page."),
        ("I want you to please sort the list.", "Sort the list."),
        ("It is kept for a total of 30 days.", "It is kept for 30 days."),
        ("You have access to a number of files.", "You have access to several files."),
        ("The file is going to be sorted by a script.", "The file will be sorted by a script."),
        ("In this session you will be given a list.", "You get a list."),
        ("Sort the list, and it is very important that it is whole.", "Sort the list, and ensure it is whole."),
        ("List the date as well as the place.", "List the date and the place."),
        ("Please make sure the list is sorted.", "Ensure the list is sorted."),
        ("The list is very important.", "The list is important."),
        ('Please reply "please wait".', 'Reply "please wait".'),
        ("Sort the list, please.", "Sort the list."),
        ("Run the command please.", "Run the command."),
        ("If it fails, please stop.", "If it fails, stop."),
        ("Sort the list and please print it.", "Sort the list and print it."),
        ("Sort the list, then please print it.", "Sort the list, then print it."),
        ("Kindly sort the list.", "Sort the list."),
    ],
)
def test_what_says_nothing_here_goes(before, after):
    result = optimize_prompt(before)
    assert result.text == after
    assert result.restore() == before
