"""The command `rtdemo publish`: publish one message, or each line of standard input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import click
import msgspec

from rtdemo.cli import input_lines
from rtdemo.cli.input_lines import BadLines
from rtdemo.engine.interface import check_name
from rtdemo.errors import PublishError, printable
from rtdemo.protocol.message import DECODE_ERRORS, MAX_MESSAGE_BYTES
from rtdemo.protocol.values import to_json
from rtdemo.publisher import server_address
from rtdemo.publisher.sender import MESSAGE_STATUSES, NOT_ACCEPTED, SENT_AGAIN, Sender, TryAgainError
from rtdemo.publisher.server_address import DEFAULT_URL, TOKEN_VARIABLE, URL_VARIABLE

MAX_TRIES = 5
"""Tries for a single message. A line of standard input is tried until the server accepts it."""
MAX_TRYING_S = 12.0
"""Seconds after which no further try of a single message begins."""
TRY_TIMEOUT_S = 5.0
"""Seconds for one try: a user waits for the command."""
NAME_TAKEN = 409
"""Answer to the name of private messages: all lines have that of `--producer`, unless they name one."""
MAX_SHOWN_CHARS = 80
"""Characters of a text that an error shows."""
EXIT_BAD_LINES = 1
"""Exit code after lines of standard input that were left out, or have null for a number."""
NEGATIVE_NUMBER = re.compile(r"-[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON has it (RFC 8259 section 6)."""
NUMBER = re.compile(f"-?{NEGATIVE_NUMBER.pattern[1:]}")
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE | re.ASCII)
"""As Python, awk and others write them; JSON has none."""
NOT_JSON = "not JSON"
ONE_VALUE_A_LINE = (
    "give one number or JSON a line: pick a column with awk -W interactive 'NR > 3 { print $15; "
    "fflush() }' (another awk than mawk: without -W interactive), "
    'or write {"a": 1, "b": 2}; without --value a line is a text'
)
"""What to do about a line with several columns."""
NO_NUMBER = "a NaN or an infinity, which JSON does not have"


class _TakesOneText(click.Command):
    """A command with one argument, which may be a negative number: click would take that for flags."""

    allow_extra_args = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, with a negative number behind `--`.

        Raises:
            click.UsageError: for a text without quotes, of which the shell makes several arguments.
        """
        options = [each for each in self.params if isinstance(each, click.Option) and not each.is_flag]
        before_values = {flag for option in options for flag in option.opts}
        numbers = [
            place
            for place, (before, text) in enumerate(pairwise(["", *args]))
            if (NEGATIVE_NUMBER.fullmatch(text) or NOT_FINITE.fullmatch(text))
            and before not in before_values
        ]
        if numbers and "--" not in args:
            at = numbers[0]
            args = [*args[:at], *args[at + 1 :], "--", args[at]]
        try:
            more = super().parse_args(ctx, args)
        except click.MissingParameter as error:
            raise click.UsageError("give a TEXT, or - for each line of standard input", ctx) from error
        if more and not ctx.resilient_parsing:
            # What the shell has taken from a text, such as quotes in JSON, cannot be shown again.
            problem = "TEXT is one argument; put it in single quotes, and give a producer by --producer"
            if any("://" in each for each in [ctx.params["text"], *more]):
                problem = "TEXT is one argument; give the server's URL by --to"
            raise click.UsageError(problem, ctx)
        return more


@click.command(cls=_TakesOneText)
@click.argument("text")
@click.option("--to", "url", help=f"URL of the server. [{URL_VARIABLE}] Default: {DEFAULT_URL}.")
@click.option("--producer", default="publish", show_default=True, help="Producer name of the messages.")
@click.option(
    "--token",
    default="",
    help=f"Publish token of the server. Other users of this machine see flags, but not variables."
    f" [{TOKEN_VARIABLE}]",
)
@click.option("--value", "is_value", is_flag=True, help="TEXT is a value as JSON, such as 0.12.")
@click.option(
    "--json",
    "is_json",
    is_flag=True,
    help='TEXT is a message as JSON, such as \'{"producer": "loss", "value": 0.12}\'.',
)
@click.option("-q", "--quiet", "is_quiet", is_flag=True, help="Print no positions.")
def publish(
    text: str,
    url: str | None,
    producer: str,
    token: str,
    is_value: bool,
    is_json: bool,
    is_quiet: bool,
) -> int:
    """Publish TEXT to all connected clients. If TEXT is -, publish each line of standard input.

    It prints the position of each message in the log. If the server may not have received a message, it
    is sent again with the same idempotency key, so it does not arrive twice within ten minutes. A single
    message is tried up to five times, a line of standard input until the server accepts it.
    """
    if is_value and is_json:
        raise click.UsageError("give --value or --json, not both")
    form = "value" if is_value else "json" if is_json else None
    is_pipe = text == "-"
    try:
        check_name(producer)
    except ValueError as error:
        raise click.UsageError(f"--producer: {error}") from error
    sender = Sender(
        server_address.checked_url_of(url),
        server_address.token_of(token or None),
        gives_up=_is_final if is_pipe else _is_over,
        report=_report,
        report_from=1 if is_pipe else 2,
        unauthorized_fix=f"give it with --token or {TOKEN_VARIABLE}",
        outlook=SENT_AGAIN if is_pipe else f"the message is tried up to {MAX_TRIES} times",
        timeout_s=TRY_TIMEOUT_S,
    )
    with closing(sender):
        if is_pipe:
            return _publish_lines(sender, producer, form, is_quiet)
        payload = _of_text(text, producer, form)
        (outcome,) = sender.send([payload])
    if isinstance(outcome, PublishError):
        raise outcome
    if not is_quiet:
        click.echo(outcome)
        _hint_at_value(payload, form)
    return 0


def _publish_lines(sender: Sender, producer: str, form: str | None, is_quiet: bool) -> int:
    """Publish each line of standard input; return the exit code.

    Raises:
        PublishError: if the server refuses all lines alike.
    """
    lines = input_lines.read(_report, is_quiet)
    with closing(BadLines(_report)) as bad:
        is_first = True
        for name, payload in _of_lines(lines, producer, form, bad):
            try:
                (outcome,) = sender.send([payload])
            except KeyboardInterrupt:
                _report(f"{name} may not have been accepted; no line after it was published")
                raise
            if isinstance(outcome, str):
                if not is_quiet:
                    click.echo(outcome)
                    if is_first:
                        _hint_at_value(payload, form)
                is_first = False
            elif _is_of_one_line(outcome, form):
                is_certain = outcome.fix == NOT_ACCEPTED
                ending = "it is left out" if is_certain else "it may not have been accepted"
                bad.note(name, outcome.problem, f"{name}: {outcome.problem}; {ending}")
            else:
                outcome.fix = outcome.fix.replace("the message", name) + "; rtdemo publish ends"
                raise outcome
    return EXIT_BAD_LINES if bad.count else 0


def _hint_at_value(payload: bytes, form: str | None) -> None:
    """Report a number or other JSON that is published as a text: no chart shows it."""
    if form is not None:
        return
    text = msgspec.json.decode(payload)["message"]
    if NUMBER.fullmatch(text.strip()):
        _report("the number is sent as a text, which no chart shows; --value sends numbers")
    elif _is_value(text):
        _report("the JSON is sent as a text, which no chart shows; --value sends values")


def _is_value(text: str) -> bool:
    """Return whether a text is JSON of another value than a text."""
    try:
        return not isinstance(msgspec.json.decode(text), str)
    except DECODE_ERRORS:
        return False


def _is_of_one_line(error: PublishError, form: str | None) -> bool:
    """Return whether the server may take other lines; else it refuses all of them alike."""
    return error.status in MESSAGE_STATUSES and (error.status != NAME_TAKEN or form == "json")


def _is_final(error: TryAgainError, _tries: int, _next_s: float) -> bool:
    return not error.heals


def _is_over(error: TryAgainError, tries: int, next_s: float) -> bool:
    return tries >= MAX_TRIES or next_s >= MAX_TRYING_S or not error.heals


def _report(sentence: str) -> None:
    click.echo(f"rtdemo: {sentence}", err=True)


def _of_text(text: str, producer: str, form: str | None) -> bytes:
    """Return the JSON of the message that the argument is.

    Raises:
        click.UsageError: if it is not what the flags say.
    """
    try:
        payload, nulls = _payload(
            text.encode(errors="surrogateescape").decode(errors="replace"), producer, form
        )
    except ValueError as error:
        raise click.UsageError(f"TEXT is {error}") from error
    if nulls:
        raise click.UsageError(f"TEXT has {NO_NUMBER}; give null for a gap")
    return payload


def _of_lines(
    lines: Iterable[tuple[int, str]], producer: str, form: str | None, bad: BadLines
) -> Iterator[tuple[str, bytes]]:
    """Yield each line that is a message: its name, and the message as JSON."""
    for number, line in lines:
        name = f"line {number}"
        try:
            payload, nulls = _payload(line, producer, form)
            if len(payload) > MAX_MESSAGE_BYTES:
                problem = f"too long: a message of {len(payload)} bytes, of at most {MAX_MESSAGE_BYTES}"
                raise ValueError(problem)
        except ValueError as error:
            # Up to the part that differs from line to line.
            kind = str(error).partition(":")[0]
            fix = f"; {ONE_VALUE_A_LINE}" if form == "value" and kind.startswith(NOT_JSON) else ""
            bad.note(name, kind, f"{name} is {error}; it is left out{fix}")
            continue
        if nulls:
            bad.note(name, NO_NUMBER, f"{name} has {NO_NUMBER}; it is published with null instead")
        yield name, payload


def _payload(text: str, producer: str, form: str | None) -> tuple[bytes, int]:
    """Return a message as JSON, and how many numbers of it became null.

    Raises:
        ValueError: if the text is not what the flags say.
    """
    try:
        message, nulls = to_json({"producer": producer, **_message(text, form)})
        return msgspec.json.encode(message), nulls
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeError as error:
        raise ValueError("no Unicode text: half of a surrogate pair is missing") from error


def _message(text: str, form: str | None) -> dict[str, Any]:
    """Return a message without its producer, which it may name itself.

    Arguments:
        text: as the user gave it.
        form: what the text is: `value`, `json`, or None for the message itself.

    Raises:
        ValueError: if it is not such JSON.
        RecursionError: if it is nested too deeply.
    """
    if form is None:
        return {"message": text}
    if form == "value" and NOT_FINITE.fullmatch(text.strip()):
        return {"value": float(text)}
    try:
        given = json.loads(text)
    except ValueError as error:
        example = "0.12" if form == "value" else '{"value": 0.12}'
        raise ValueError(
            f"{NOT_JSON} (such as {example}): {printable(text[:MAX_SHOWN_CHARS])}"
        ) from error
    if form == "value":
        return {"message": given} if isinstance(given, str) else {"value": given}
    if not isinstance(given, dict):
        raise ValueError('no JSON object, such as {"value": 0.12}')  # noqa: TRY004 - it is about the text
    return given
