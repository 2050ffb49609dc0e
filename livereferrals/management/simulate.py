"""`manage.py livereferrals simulate`: sends simulated visitors over HTTP, and compares what they did with what was recorded."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import random
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models import ProtectedError
from django.utils.module_loading import import_string
from yarl import URL

from livereferrals.management.progress import Output
from livereferrals.management.simulating import counting, ground, stamps
from livereferrals.management.simulating.cleaning import Cleaning
from livereferrals.management.simulating.crowds import Crowd
from livereferrals.management.simulating.journeys import Journey
from livereferrals.management.simulating.probing import probe
from livereferrals.management.simulating.triggering import guessed, is_once, known
from livereferrals.management.simulating.visits import Person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.core.management.base import OutputWrapper

    from livereferrals.management.simulating.counting import Line
    from livereferrals.management.simulating.visits import Outcome
    from livereferrals.tracking.models import ReferralLink

HELP: Final = (
    "Send simulated visitors to a running site over HTTP, and compare what they did with what was recorded. Example: "
    "manage.py livereferrals simulate --visitors 100 --rate 20 --sign-up /accounts/signup/"
)
BASE_URL: Final = "http://127.0.0.1:8000"
SETTLE_S: Final = 10.0
SHOWN: Final = 5
"""Reasons that are printed of visitors who were turned away."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--visitors", type=_count, default=100, metavar="N", help="How many come; default: 100.")
    parser.add_argument("--rate", type=_number, default=20.0, metavar="N", help="How many in a second; default: 20.")
    parser.add_argument(
        "--base-url", type=_site, default=BASE_URL, metavar="URL", help=f"The site; default: {BASE_URL}."
    )
    parser.add_argument(
        "--pace", type=_number, default=1.0, metavar="N", help="How many times faster than people they are."
    )
    parser.add_argument("--page", action="append", metavar="PATH", help="A page to look at; may be given again.")
    parser.add_argument("--sign-up", metavar="PATH", help="The page with the form that makes an account.")
    parser.add_argument("--order", metavar="PATH", help="The page with the form that places an order and pays it.")
    parser.add_argument("--sign-up-trigger", metavar="NAME", help="What a sign-up confirms; default: the user model's.")
    parser.add_argument("--order-trigger", metavar="NAME", help="What an order confirms; default: the only other one.")
    parser.add_argument("--journey", metavar="DOTTED.PATH", help="A class of yours that does what visitors do here.")
    parser.add_argument("--callback", default="", metavar="URL", help="Call the simulated partner here.")
    parser.add_argument("--seed", type=int, metavar="N", help="Leave the same things to chance as another time.")
    parser.add_argument(
        "--settle", type=_number, default=SETTLE_S, metavar="S", help="How long to wait for what is recorded later."
    )
    parser.add_argument("--clean", action="store_true", help="Take away what all simulations have left, and end.")
    parser.add_argument("--yes-really", action="store_true", help="Also to a site that is not on this machine.")
    parser.add_argument("--json", action="store_true", help="Print the numbers as JSON.")
    parser.add_argument("--quiet", action="store_true", help="Show no progress.")


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Simulate and report, or clean.

    Raises:
        CommandError: an argument means nothing, the site does not answer, or what was found is not what was expected.
    """
    output = Output(stdout, quiet=options["quiet"] or options["json"])
    journey = _journey(options)
    if options["clean"]:
        _clean(journey, output, as_json=options["json"])
        return
    base: URL = options["base_url"]
    if not options["yes_really"] and not _is_local(base):
        raise CommandError(f"{base} is not on this machine. --yes-really simulates there all the same.")
    expected = [name for name in (journey.sign_up_trigger, journey.order_trigger) if name is not None]
    links = _links(expected, callback_url=options["callback"])
    asyncio.run(_probed(base, links[0]))
    run = stamps.new_run()
    seed = secrets.randbits(32) if options["seed"] is None else options["seed"]
    crowd = Crowd(
        journey,
        base_url=base,
        person=lambda number: _person(run, number, base=base, links=links),
        rate=options["rate"],
        chance=random.Random(seed),  # noqa: S311 - play
        pace=options["pace"],
        once=[name for name in expected if is_once(name)],
    )
    output.begin("Simulated", total=options["visitors"], unit="visitors")
    try:
        asyncio.run(_watched(crowd, visitors=options["visitors"], output=output))
    finally:
        output.end()
        counting.mark(run)
    lines = counting.compare(run, crowd.outcome, claims=journey.logs_in, settle_s=options["settle"])
    counting.mark(run)
    _report(crowd.outcome, lines, output, run=run, seed=seed, as_json=options["json"])


async def _probed(base: URL, link: ReferralLink) -> None:
    await probe(base.join(URL(link.get_absolute_url())))


async def _watched(crowd: Crowd, *, visitors: int, output: Output) -> None:
    running = asyncio.create_task(crowd.run(visitors))
    try:
        while not (await asyncio.wait({running}, timeout=0.2))[0]:
            output.progress(crowd.done)
    finally:
        running.cancel()
    await running


def _report(outcome: Outcome, lines: Sequence[Line], output: Output, *, run: str, seed: int, as_json: bool) -> None:
    differs = any(line.difference for line in lines)
    gone = outcome.turned_away.total()
    if as_json:
        numbers = [asdict(line) | {"difference": line.difference} for line in lines]
        facts = {
            "run": run,
            "seed": seed,
            "numbers": numbers,
            "turned_away": dict(outcome.turned_away),
            "ok": not differs and not gone,
        }
        output.line(json.dumps(facts, indent=2))
    else:
        for line in _told(outcome, lines, run=run, seed=seed):
            output.line(line)
    if differs:
        raise CommandError("What was found is not what was expected.")
    if gone:
        raise CommandError(f"{gone} of the visitors were turned away.")


def _told(outcome: Outcome, lines: Sequence[Line], *, run: str, seed: int) -> Iterator[str]:
    yield f"Run {run}, --seed {seed}: {outcome.sign_ups} sign-ups, {outcome.orders} orders."
    yield from counting.table(lines)
    if outcome.turned_away:
        yield f"{outcome.turned_away.total()} visitors were turned away:"
        for reason, number in outcome.turned_away.most_common(SHOWN):
            yield f"    {number} x {reason}"


def _clean(journey: Journey, output: Output, *, as_json: bool) -> None:
    cleaning = Cleaning(forget=journey.forget, progress=output.progress)
    output.begin("Simulated", total=cleaning.total(), unit="hits")
    try:
        cleaning.run()
    except ProtectedError as error:
        raise CommandError(f"Rows of yours refer to simulated ones, and protect them: {error.args[0]}") from error
    finally:
        output.end()
    if as_json:
        output.line(json.dumps({"removed": dict(cleaning.counts), "kept": cleaning.kept}, indent=2))
    else:
        for what, number in cleaning.counts.items():
            output.line(f"{number:>8}  {what}")
    if cleaning.kept:
        raise CommandError("Not everything could be taken away. " + " ".join(cleaning.kept))


# --- what the command line says -------------------------------------------------------------------------------------------


def _journey(options: dict[str, Any]) -> Journey:
    kind = Journey
    if options["journey"]:
        try:
            kind = import_string(options["journey"])
        except ImportError as error:
            raise CommandError(f"--journey: {error}") from error
        if not (isinstance(kind, type) and issubclass(kind, Journey)):
            raise CommandError(
                f"--journey: {options['journey']} is no class that is made from {Journey.__module__}.Journey."
            )
    journey = kind(
        pages=options["page"],
        sign_up_page=options["sign_up"],
        order_page=options["order"],
        sign_up_trigger=options["sign_up_trigger"],
        order_trigger=options["order_trigger"],
    )
    guessed(journey)
    for name in (journey.sign_up_trigger, journey.order_trigger):
        if name is not None and name not in known():
            raise CommandError(f"No trigger is named {name!r}. There are: {', '.join(map(repr, known())) or 'none'}.")
    return journey


def _links(triggers: Sequence[str], *, callback_url: str) -> list[ReferralLink]:
    try:
        return ground.lay(triggers, callback_url=callback_url)
    except ValidationError as error:
        raise CommandError("--callback: " + " ".join(error.messages)) from error


def _person(run: str, number: int, *, base: URL, links: Sequence[ReferralLink]) -> Person:
    stamp = stamps.stamp(run, number)
    return Person(
        name=stamp,
        email=f"{stamp}@simulated.invalid",
        password=secrets.token_urlsafe(12),
        links=[base.join(URL(link.get_absolute_url())).update_query(click_id=stamp) for link in links],
    )


def _is_local(base: URL) -> bool:
    host = base.host or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _site(text: str) -> URL:
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise argparse.ArgumentTypeError(f"{text!r} is no address of a site, like {BASE_URL}")
    return url.origin()


def _number(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("a number above nought")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("one at least")
    return number
