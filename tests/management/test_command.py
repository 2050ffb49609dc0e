"""The one command: what it says where no sub-command is named."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from livereferrals.management.commands.livereferrals import sub_commands


def test_without_a_sub_command_all_are_listed_with_what_they_do() -> None:
    """O-01"""
    out = StringIO()
    with pytest.raises(CommandError, match="Name one of these sub-commands"):
        call_command("livereferrals", stdout=out)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == list(sub_commands())
    assert all(line.endswith(module.HELP) for line, module in zip(lines, sub_commands().values(), strict=True))
