"""The shell completes commands, models and files, where shtab is installed."""

import subprocess
import sys

import pytest

from zoo import __main__ as command_line
from zoo import flags


def printed(capsys, shell):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--print-completion", shell])
    assert stop.value.code == 0
    return capsys.readouterr().out


def complete(script, *words):
    """What bash offers for the last of the words."""
    line = f"""
        {script}
        COMP_WORDS=(keras-meta {" ".join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words)}
        $(complete -p keras-meta | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_bash_completes_commands_models_and_flags(capsys):
    script = printed(capsys, "bash")
    assert {"export", "evaluate"} <= {*complete(script, "e")}
    found = complete(script, "export", "prototypical_network_om")
    assert "prototypical_network_omniglot" in found
    assert "--preprocessing" in complete(script, "export", "--pre")


def test_zsh_gets_a_script(capsys):
    script = printed(capsys, "zsh")
    assert script.startswith("#compdef keras-meta")
    assert "prototypical_network_omniglot" in script


def test_an_unknown_shell_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--print-completion", "fish"])
    assert stop.value.code == 2


def test_without_shtab_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--print-completion", "bash"])
    assert stop.value.code == 1
    assert "keras-meta[completion]" in capsys.readouterr().err


@pytest.mark.parametrize("name", flags.COMMANDS)
def test_the_help_of_a_command_has_an_example(capsys, name):
    with pytest.raises(SystemExit) as stop:
        command_line.main([name, "--help"])
    assert stop.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    example = out.partition(f"example: keras-meta {name}")[2]
    assert out.count("example:") == 1
    # It is one that the parser takes.
    options = flags.parser(command_line.COMMANDS).parse_args(
        [name, *example.split()]
    )
    assert options.command is command_line.COMMANDS[name]
