"""`shelf image`: say how a page's image is to be prepared for reading, where the machine has it wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.correct import person
from cli.options import BOOK, JSON, PAGE_OPTION, WAIT, WHO, WHY

if TYPE_CHECKING:
    from providers.image_steps import ImageSteps

BY_HAND = "said by hand"


def image(
    book: Annotated[str, BOOK],
    page: Annotated[int, PAGE_OPTION],
    orientation: Annotated[
        int | None,
        typer.Option("--orientation", help="Degrees clockwise that make it upright: 0, 90, 180, 270.", metavar="DEG"),
    ] = None,
    skew: Annotated[
        str | None,
        typer.Option(
            "--skew", help="Degrees by which its lines run down to the right; none = straight.", metavar="DEG"
        ),
    ] = None,
    no_mask: Annotated[bool, typer.Option("--no-mask", help="Cover nothing.")] = False,
    blank: Annotated[
        bool | None,
        typer.Option("--blank/--not-blank", help="There is nothing to read, or there is.", show_default=False),
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Give the machine back its say.")] = False,
    why: Annotated[str | None, WHY] = None,
    who: Annotated[str | None, WHO] = None,
    wait: Annotated[bool, WAIT] = False,
    as_json: Annotated[bool, JSON] = False,
) -> None:
    """Say how a page's image is to be turned, straightened or cleaned; it is read again where that changes something.

    What is not said stays as it was found. The image itself is never changed.
    """
    from cli import connect

    async def command() -> int | None:
        from cli.books import find_page
        from cli.correct import run_correction
        from cli.starting import known_book
        from providers.image_steps import ImageSteps
        from schemas.errors import BadInput

        given = orientation is not None or skew is not None or no_mask or blank is not None
        if given == auto:
            raise BadInput(
                "--auto takes nothing else." if auto else f"How page {page} is to be prepared was not said.",
                "Give --orientation, --skew, --no-mask, --blank or --not-blank; or --auto alone.",
            )
        degrees = _degrees(skew)
        if orientation not in (None, 0, 90, 180, 270):
            raise BadInput(f"An image is not turned by {orientation} degrees.", "Give 0, 90, 180 or 270.")
        name = person(who)
        async with connect.working(wait_for_worker=False) as shelf:
            key = await known_book(shelf, book)
            said: dict[str, Any] = {"page": page, "field": "image_steps", "why": why}
            if auto:
                said["revert"] = True
            else:
                found = ImageSteps.from_json((await find_page(shelf.store, key, page)).image_steps)
                said["value"] = changed(found, orientation, degrees, no_mask=no_mask, blank=blank).to_json()
            return await run_correction(shelf, key, name, [said], wait=wait, as_json=as_json)

    connect.run(command)


def _degrees(text: str | None) -> float | None:
    """What `--skew` says; 0 for none. Raises BadInput."""
    from schemas.errors import BadInput

    if text is None:
        return None
    try:
        degrees = 0.0 if text == "none" else float(text)
    except ValueError:
        degrees = 99.0
    if not abs(degrees) <= 45:  # also "nan"
        raise BadInput(f"An image is not skewed by {text!r}.", "Give degrees between -45 and 45, or none.")
    return degrees


def changed(
    steps: ImageSteps, orientation: int | None, skew: float | None, *, no_mask: bool, blank: bool | None
) -> ImageSteps:
    """The steps with what a person says of them."""
    import dataclasses

    if orientation is not None and orientation != steps.orientation:
        steps = steps.turned_to(orientation, BY_HAND)
    said: dict[str, Any] = {}
    if skew is not None:
        said["skew"] = skew
    if no_mask:
        said["masks"] = ()
    if blank is not None:
        said["blank"] = blank
    return dataclasses.replace(steps, **said, why={**steps.why, **dict.fromkeys(said, BY_HAND)})
