"""The child workflow that looks for the contents with a model and its tools, where one look did not decide.

Every turn of the model and every call of a tool is an activity: the Temporal UI shows the conversation as it goes, and after
a crash it goes on at the turn at which it was. What is said lies in the artifact store; here are references and short
strings. Told to stop, it ends after the turn that is under way; the next run on the book finds all that was said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.contracts import BOOK_ITEM, AgentInput, Attempt, Contract, Failure, Outcome, WorkResult
    from activities.toc_find.agent_contracts import EndInput, Moved, ToolInput, TurnInput
    from workflows.details import cell, table
    from workflows.dispatch import HEARTBEAT, NEVER_RETRIED, STOPPING, priority_of
    from workflows.failures import describe_failure

T = TypeVar("T", bound=Contract)

STOPPED = "stopped"
RULES = "rules"
"""Provider on whose queue the agent's own activities run, and its tools."""

IDLE_TURNS = 3
"""Answers without a tool, one after the other, after which no further nudge helps."""

RENDER_SECONDS = 120.0
"""Beside the model's time: the page's picture is made, at a busy machine not at once."""

TOOL_SECONDS = 600.0


@dataclass(slots=True)
class Turn:
    """What is shown of a turn."""

    calls: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    cost_usd: float = 0.0


@workflow.defn
class ContentsAgent:
    """At most `agent_turns` turns, for at most about `agent_usd`; over either, the rules' answer stands and says why.

    Its result is that of the unit: one outcome, and the attempts of all turns. A provider that refuses all calls (key, quota)
    ends it with an outcome 'stopped': the job pauses, and the next run finds what was said."""

    @workflow.init
    def __init__(self, asked: AgentInput) -> None:
        self.config = asked.config
        self.job = asked.job
        self.turns: list[Turn] = []
        self.attempts: list[Attempt] = []
        self.ended = ""
        self.stopping = ""

    @workflow.run
    async def run(self, asked: AgentInput) -> WorkResult:
        conversation = (await self._by_rules("agent_begin", asked.job, Moved, "begin")).conversation
        given_up = ""
        try:
            while not (given_up := self._spent()):
                if self.stopping:
                    return self._result(_stopped("Stopped", self.stopping))
                self._show()
                said = await self._turn(conversation)
                outcome = said.outcomes[0]
                if outcome.status == STOPPED:
                    return self._result(outcome)
                if outcome.status != "ok":
                    given_up = f"turn {len(self.turns)}: {_sentence(outcome.failure)}"
                    break
                conversation = outcome.artifact
                if int(outcome.figures.get("idle", 0)) >= IDLE_TURNS:
                    given_up = f"the model called no tool {IDLE_TURNS} times in a row"
                    break
                finished, conversation = await self._tools(conversation, outcome)
                if finished:
                    break
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            failure = describe_failure(error)
            if failure.code in STOPPING:
                return self._result(_stopped(failure.code, failure.message))
            given_up = f"turn {len(self.turns)}: {_sentence(failure)}"
        self.ended = given_up or "the result is written"
        self._show()
        end = EndInput(job=asked.job, conversation=conversation, turns=len(self.turns), given_up=given_up)
        return self._result(await self._by_rules("agent_end", end, Outcome, f"end · {self.ended}"))

    @workflow.signal
    def stop(self, reason: str) -> None:
        """End after the turn that is under way; nothing is decided."""
        self.stopping = self.stopping or reason

    async def _turn(self, conversation: str) -> WorkResult:
        """One answer of the model, on its provider's queue."""
        policy = self.config.providers[self.job.unit.provider]
        left = self.config.agent_turns - len(self.turns)
        turn = Turn()
        self.turns.append(turn)
        said: WorkResult = await workflow.execute_activity(
            "agent_turn",
            TurnInput(job=self.job, conversation=conversation, turns_left=left),
            result_type=WorkResult,
            task_queue=policy.queue,
            heartbeat_timeout=HEARTBEAT,
            # Anthropic's adapter may make a second call, with smaller pictures.
            start_to_close_timeout=timedelta(seconds=2 * policy.page_timeout_seconds + RENDER_SECONDS),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=policy.retry_initial_seconds),
                maximum_interval=timedelta(seconds=policy.retry_maximum_seconds),
                non_retryable_error_types=NEVER_RETRIED,
            ),
            summary=f"turn {len(self.turns)} of {self.config.agent_turns} · {self.job.unit.provider}",
            priority=priority_of(self.config, self.job.unit),
        )
        self.attempts += said.attempts
        turn.cost_usd = sum(attempt.cost_usd or 0.0 for attempt in said.attempts)
        return said

    async def _tools(self, conversation: str, outcome: Outcome) -> tuple[bool, str]:
        """Each tool that the answer calls, one after the other. Returns whether the result is written, and the conversation
        after the last."""
        turn = self.turns[-1]
        turn.calls = [str(label) for name, label in outcome.figures.items() if name.startswith("call ")]
        for at, label in enumerate(turn.calls):
            self._show()
            asked = ToolInput(job=self.job, conversation=conversation, call=at)
            moved = await self._by_rules("agent_tool", asked, Moved, f"turn {len(self.turns)} · {label}")
            conversation = moved.conversation
            turn.answers.append(moved.said)
            if moved.finished:
                return True, conversation
        return False, conversation

    async def _by_rules(self, activity: str, asked: Any, result: type[T], summary: str) -> T:
        """An activity that calls no provider."""
        policy = self.config.providers[RULES]
        answer: T = await workflow.execute_activity(
            activity,
            asked,
            result_type=result,
            task_queue=policy.queue,
            heartbeat_timeout=HEARTBEAT,
            start_to_close_timeout=timedelta(seconds=TOOL_SECONDS),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(seconds=policy.retry_initial_seconds),
                maximum_interval=timedelta(seconds=policy.retry_maximum_seconds),
                non_retryable_error_types=NEVER_RETRIED,
            ),
            summary=summary[:190],
            priority=priority_of(self.config, self.job.unit),
        )
        return answer

    @property
    def cost_usd(self) -> float:
        """Of all turns so far, whichever job paid for them."""
        return sum(turn.cost_usd for turn in self.turns)

    def _spent(self) -> str:
        """Why there is no further turn; '' = there is. A turn is expected to cost what the dearest did."""
        if len(self.turns) >= self.config.agent_turns:
            return f"{len(self.turns)} turns used"
        dearest = max((turn.cost_usd for turn in self.turns), default=0.0)
        if self.cost_usd + dearest > self.config.agent_usd:
            return f"{self.cost_usd:.4f} of {self.config.agent_usd:g} USD used in {len(self.turns)} turns"
        return ""

    def _result(self, outcome: Outcome) -> WorkResult:
        return WorkResult(outcomes=(outcome,), attempts=tuple(self.attempts))

    def _show(self) -> None:
        config = self.config
        lines = [
            f"**{config.book_id}** · contents agent · {self.job.unit.provider} · {self.ended or 'looking'} · "
            f"turn {len(self.turns)} of {config.agent_turns} · {self.cost_usd:.4f} of {config.agent_usd:g} USD",
            "",
        ]
        rows = []
        for number, turn in enumerate(self.turns, 1):
            calls, answers = ("<br>".join(map(cell, said)) for said in (turn.calls, turn.answers))
            rows.append((number, calls or "…", answers, f"{turn.cost_usd:.4f}"))
        lines += table(("turn", "the model", "the tools", "USD"), rows)
        workflow.set_current_details("\n".join(lines))


def _stopped(code: str, message: str) -> Outcome:
    return Outcome(item=BOOK_ITEM, status=STOPPED, failure=Failure(code=code, message=message))


def _sentence(failure: Failure | None) -> str:
    return f"{failure.code}: {failure.message}" if failure is not None else "it failed without a reason"
