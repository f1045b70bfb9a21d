"""What the adapters of language models share: the row, its service, the call with its span, and how an answer ends as a
response or as BadOutput."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from providers.classify import classify, redacted, redacted_bytes
from providers.errors import BadOutput, NotServed, ProviderError, Rejected, ServerError
from providers.language_model import Answer, Image, Question, ToolCall
from providers.ledger import Calls, Keep, Response
from providers.prices import Usage, call_price
from providers.queues import ProviderQueue
from providers.service import Service, server_of
from schemas import telemetry
from schemas.errors import BadInput
from schemas.http import Reply

E = TypeVar("E", bound=ProviderError)

BLIND = re.compile(
    r"mmproj|image input is not supported|does(?: not|n't) support (?:image|vision)|not a (?:vision|multimodal) model",
    re.IGNORECASE,
)
"""A server whose model cannot see says so with a 400, or a 500 (llama.cpp): no page is to blame."""

Check = Callable[[Answer], str]
"""Says what makes an answer unusable; '' if nothing does."""


class Refused(BadOutput):
    """The model, or a filter around it, will not answer this: asking the same again would be paid for nothing."""


class ModelService:
    """One service of language models, as its row says; adapters add the protocol."""

    def __init__(self, row: ProviderQueue) -> None:
        self.row = row
        self.name = row.name
        self.sees = row.sees
        self.service = Service(row)

    def model(self, asked: str) -> str:
        """The model that is asked: the one named, else the row's. Raises BadInput where there is none."""
        if model := asked or self.row.model:
            return model
        raise BadInput(
            f"{self.name} serves many models, and none is named.",
            f'Name one with `--llm {self.name}/MODEL`, or set model = "…" under [providers.{self.name}].',
        )

    async def close(self) -> None:
        await self.service.close()

    async def ask(
        self,
        question: Question,
        model: str,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str],
        timeout_seconds: float,
        calls: Calls,
        check: Check | None = None,
        what: str = "",
    ) -> Answer:
        """One call with its note and its span. `body` is the question as the protocol has it. Raises ProviderError."""

        async def send() -> Response[Answer]:
            host, port = server_of(self.row.base_url)
            with telemetry.inference(
                self.name,
                model,
                host=host,
                port=port,
                max_tokens=question.max_tokens,
                temperature=body.get("temperature"),
                messages=_told(question),
            ) as span:
                reply = await self.post(path, body, headers, timeout_seconds, what)
                said = self.service.json(reply, what)
                ended = self.ended(said)
                telemetry.answered(
                    span, response_id=str(said.get("id") or ""), finish_reasons=[str(ended)] if ended else ()
                )
                try:
                    response = self.read(reply, said, model, check, what)
                except ProviderError as error:
                    telemetry.answered(
                        span, model=error.model, input_tokens=error.input_tokens, output_tokens=error.output_tokens
                    )
                    raise
                usage, answer = response.usage, response.value
                telemetry.answered(
                    span,
                    model=response.model,
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cached_tokens=usage.cached_tokens,
                    messages=[{"role": "assistant", "parts": _parts(answer.text, answer.tool_calls)}],
                )
                return response

        return await calls.paid(send, question.prompt_hash, kept([path, model, body]))

    def ended(self, said: Mapping[str, Any]) -> Any:
        """Why the model stopped, as an answer of this protocol says it; None where it does not."""
        raise NotImplementedError

    def read(
        self, reply: Reply, said: Mapping[str, Any], asked: str, check: Check | None, what: str
    ) -> Response[Answer]:
        """An answer of this protocol, `said` being its JSON. Raises ProviderError, BadOutput for what is of no use."""
        raise NotImplementedError

    async def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str], timeout_seconds: float, what: str = ""
    ) -> Reply:
        """One request. Raises ProviderError; NotServed where the model cannot see."""
        try:
            return await self.service.request(
                "POST", path, json_body=body, headers=headers, timeout_seconds=timeout_seconds, what=what
            )
        except ValueError as error:
            # A lone surrogate in a text that somebody's PDF carries: nothing was sent.
            raise Rejected(
                f"what {self.name} was to be asked{f' on {what}' if what else ''} is no text: {error}"
            ) from None
        except (Rejected, ServerError) as error:
            if BLIND.search(error.message):
                next_step = f"Name a model of {self.name} that sees, then resume the job."
                raise NotServed(f"{error.message} {next_step}", raw=error.raw) from None
            raise

    def accepted(
        self, reply: Reply, answer: Answer, usage: Usage, check: Check | None = None, what: str = ""
    ) -> Response[Answer]:
        """The response of a call. Raises BadOutput, its cost noted, for an answer that is empty or fails its check."""
        fault = "it is empty" if not answer.text.strip() and not answer.tool_calls else ""
        if not fault and check is not None:
            fault = check(answer)
        if fault:
            raise self.bad_output(BadOutput, fault, reply, answer.model, usage, what)
        return Response(answer, usage, answer.model, redacted_bytes(self.row, reply.body))

    def bad_output(
        self, kind: type[BadOutput], fault: str, reply: Reply, model: str, usage: Usage, what: str = ""
    ) -> BadOutput:
        """An answer that came and was paid, but is of no use."""
        on = f" on {what}" if what else ""
        message = redacted(self.row, f"{self.name}'s answer{on} cannot be used: {fault}.")
        return self.priced(kind(message, cost_usd=None, raw=redacted_bytes(self.row, reply.body)), model, usage)

    def error_inside(
        self, reply: Reply, error: Any, status: int | None, model: str, usage: Usage, what: str = ""
    ) -> ProviderError:
        """An error in an answer of status 200."""
        body = error if isinstance(error, Mapping) else {"message": str(error or "it ended with an error")}
        return self.priced(classify(self.row, reply, what, error=body, status=status), model, usage)

    def priced(self, error: E, model: str, usage: Usage) -> E:
        """The same, with all that the response says of its cost."""
        error.model, error.input_tokens, error.output_tokens = model, usage.input_tokens, usage.output_tokens
        if error.cost_usd is None:
            error.cost_usd = call_price(self.row, model, usage).usd
        return error


def _told(question: Question) -> list[dict[str, Any]]:
    """A question in the form of OpenTelemetry's conventions; of pictures only what they are."""
    told: list[dict[str, Any]] = []
    if question.system:
        told.append({"role": "system", "parts": _parts(question.system)})
    for message in question.messages:
        if message.role == "tool":
            result = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}
            told.append({"role": "tool", "parts": [result]})
        else:
            told.append({"role": message.role, "parts": _parts(message.text, message.tool_calls, message.images)})
    return told


def _parts(text: str, tool_calls: Sequence[ToolCall] = (), images: Sequence[Image] = ()) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = [
        {"type": "image", "mime_type": image.media_type, "bytes": len(image.body)} for image in images
    ]
    if text:
        parts.append({"type": "text", "content": text})
    for call in tool_calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return parts


def kept(asked: Sequence[object]) -> Keep[Answer]:
    """How the answer of a model is kept, under the name of all that it was asked."""
    # As ASCII: a lone surrogate in somebody's text is refused where it is sent, not here.
    name = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    return Keep(f"said/{name}", _dumped, _loaded)


def _dumped(answer: Answer) -> str:
    return json.dumps([answer.text, answer.model, [[call.id, call.name, call.arguments] for call in answer.tool_calls]])


def _loaded(text: str) -> Answer:
    said, model, calls = json.loads(text)
    return Answer(said, model, tuple(ToolCall(*call) for call in calls))


def base64_of(image: Image) -> str:
    """The picture as JSON takes it."""
    return base64.b64encode(image.body).decode("ascii")


def amount(value: Any) -> float | None:
    """A number that makes sense as an amount, in JSON that somebody else wrote."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)


def tokens(value: Any) -> int | None:
    """The same, of tokens."""
    number = amount(value)
    return None if number is None else int(number)


def mapping(value: Any) -> Mapping[str, Any]:
    """An object of JSON; an empty one where it is none."""
    return value if isinstance(value, Mapping) else {}
