"""What travels between the contents agent's workflow and its activities: references and short strings."""

from __future__ import annotations

from activities.contracts import Contract, UnitInput


class TurnInput(Contract):
    """Argument of `agent_turn`; its result is a WorkResult whose artifact is the conversation with the model's answer."""

    job: UnitInput
    conversation: str
    """Fingerprint of the conversation so far."""
    turns_left: int
    """This one included."""


class ToolInput(Contract):
    """Argument of `agent_tool`."""

    job: UnitInput
    conversation: str
    call: int
    """Which of the calls in the model's last answer, from 0."""


class Moved(Contract):
    """Answer of `agent_begin` and `agent_tool`."""

    conversation: str
    said: str = ""
    """What the tool answered, in a few words."""
    finished: bool = False
    """The result is written."""


class EndInput(Contract):
    """Argument of `agent_end`; its result is the Outcome of the unit."""

    job: UnitInput
    conversation: str
    turns: int
    given_up: str = ""
    """Why the rules' answer stands; '' = the agent wrote its own."""
