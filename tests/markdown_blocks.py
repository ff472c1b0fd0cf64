"""The code of a Markdown page: Python blocks and lines of the command line."""

import dataclasses
import re
import shlex

from zoo import __main__ as command_line
from zoo import flags

BLOCK = re.compile(
    r"(?:^% not run: (.+)\n)?^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE
)
# A line and the value that a comment behind it gives.
SHOWN = re.compile(r"^(\w.*)  # ((?:array)?[(\[].*[)\]])$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of Python, and why it does not run here, if it does not."""

    code: str
    reason: str | None = None


def python_blocks(text):
    """The blocks of a page, in their order."""
    return [Block(code, reason or None) for reason, code in BLOCK.findall(text)]


def run_blocks(blocks, name, shorten):
    """Runs blocks one after the other, and checks the values that they show.

    Args:
        blocks: Those of `python_blocks`; one with a reason is compiled only.
        name: The page, for messages.
        shorten: Function from code to the same with less of it.

    Returns:
        Dict of the names that are left.
    """
    session = {}
    for number, block in enumerate(blocks):
        code = shorten(block.code)
        compiled = compile(code, f"block {number} of {name}", "exec")
        if block.reason:
            continue
        exec(compiled, session)
        for line, shown in SHOWN.findall(code):
            assert repr(eval(line, session)) == shown
    return session


def command_lines(text):
    """The lines that call `keras-meta`, without their comments."""
    lines = re.findall(r"^ *(keras-meta .*)$", text, re.MULTILINE)
    return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def parse_line(line):
    """The options of a line, checked as the command line does."""
    options = flags.parser(command_line.COMMANDS).parse_args(
        shlex.split(line)[1:]
    )
    flags.check_ranges(options)
    return options
