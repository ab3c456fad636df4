"""What Anthropic's own SDK makes of messages and streams: the oracle of the tests."""

import json

from anthropic._models import construct_type
from anthropic.lib.streaming._beta_messages import accumulate_event as accumulate_beta_event
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from anthropic.types.beta import BetaRawMessageStreamEvent
from anthropic.types.beta.parsed_beta_message import ParsedBetaMessage
from anthropic.types.parsed_message import ParsedMessage


def dumped(body, *, beta=False):
    """The SDK's object of a whole message, as data."""
    return _data(construct_type(type_=ParsedBetaMessage if beta else ParsedMessage, value=json.loads(body)))


def accumulated(events, *, beta=False):
    """What the SDK adds up events to, as data."""
    snapshot, buffers = None, {}
    for event in map(json.loads, events):
        if beta:
            typed = construct_type(type_=BetaRawMessageStreamEvent, value=event)
            snapshot = accumulate_beta_event(
                event=typed, current_snapshot=snapshot, json_bufs=buffers, request_headers=None
            )
        else:
            typed = construct_type(type_=RawMessageStreamEvent, value=event)
            snapshot = accumulate_event(event=typed, current_snapshot=snapshot, json_bufs=buffers)
    return _data(snapshot)


def _data(message):
    assert isinstance(message, ParsedMessage | ParsedBetaMessage)
    return message.model_dump(warnings=False)  # of blocks of an unknown kind
