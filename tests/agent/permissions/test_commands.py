"""Commands are seen through: a corpus of attempts, and a comparison with what real shells run."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from punie.agent.config import Permissions
from punie.agent.permissions import commands, rules, shell
from punie.agent.permissions.rules import Rules, parse_rules


def rules_of(*, allow: str = "", ask: str = "", deny: str = "") -> Rules:
    """Make rules about commands of patterns that are separated by commas."""

    def named(patterns: str) -> tuple[str, ...]:
        return tuple(f"run_command({one.strip()})" for one in patterns.split(",") if one.strip())

    return parse_rules(Permissions(allow=named(allow), ask=named(ask), deny=named(deny)))


def verdict(command: str, held: Rules) -> str:
    return held.on_command("run_command", commands.read(command, posix=True)).verdict


GIT = rules_of(allow="git status*, git log *, ls *, cat *, echo *, cd *, timeout *, env, sudo *")


@pytest.mark.parametrize(
    "command",
    [
        "git status",
        "git status --short",
        "'git' \"status\"",
        "g\\it status",
        "git status && git log -1",
        "git status; git log -1\nls -l",
        "git status | cat -n",
        "ls *.py",
        'cat "$HOME/x"',
        "git log -1 $(git status)",
        "git log -1 `git status`",
        "cat <(git status)",
        "cat <<END\ntext\nEND",
        "cat <<'END'\n$(not run)\nEND\ngit status",
        "cat <<-END\n\ttext\n\tEND",
        "cat <<< text",
        "sh -c 'git status'",
        "bash -lc 'git status && ls'",
        "bash -eu -o pipefail -c 'git status | cat'",
        "(git status)",
        "{ git status; }",
        "! git status",
        "if git status; then ls; else cat x; fi",
        "while git status; do ls; done",
        "git status # and no more; rm -rf /",
        "git status \\\n  --short",
        "nohup git status",
        "nice -n 5 git status",
        "timeout 5 git status",
        "command git status",
        "env git status",
        "time git status",
        "eval 'git status'",
        "nice -- git status",
        "sh -c -- 'git status'",
        "git status 2>&1",
        "git status 2>/dev/null",
        "sudo git status",
        "echo a{b",
        "echo $",
        "echo {}",
    ],
)
def test_a_command_is_allowed_when_everything_in_it_is(command: str) -> None:
    assert verdict(command, GIT) == "allow"


@pytest.mark.parametrize(
    "command",
    [
        "",
        "   # only a remark",
        "rm -rf x",
        "git status; rm -rf x",
        "git status && rm x",
        "git status || rm x",
        "git status | rm x",
        "git status & rm x",
        "git status\nrm x",
        "gitx status",
        "git status $(rm x)",
        "git status `rm x`",
        'git status "$(rm x)"',
        "git status <(rm x)",
        "git status >(rm x)",
        "cat <<END\n$(rm x)\nEND",
        "cat <<END\n`rm x`\nEND",
        "cat <<END\ntext\nEND\nrm x",
        "cat <<END\ntext \\\nEND\nls\nEND",
        "cat <<END\nno end",
        "cat <<$x\ntext\n$x",
        "sh -c 'rm x'",
        "sh -c 'git status; rm x'",
        'sh -c "$x"',
        "sh",
        "sh -s",
        "sh script.sh",
        "sh /dev/stdin",
        "echo rm x | sh",
        "sh <<END\nrm x\nEND",
        "bash --rcfile x -c 'git status'",
        "bash -ic 'git status'",
        "FOO=1 git status",
        "PATH=. git status",
        "PATH=.",
        "env FOO=1 git status",
        "env -i git status",
        "env -S 'git status'",
        "sudo -i",
        "sudo rm x",
        "sudo -u root rm x",
        "sudo",
        "xargs git status",
        "ls | xargs rm",
        "find . -exec rm {} ;",
        "find . -delete",
        "eval rm x",
        'eval "git $x"',
        "trap 'rm x' EXIT",
        "alias git=rm",
        "source x",
        ". ./x",
        "git() { rm x; }; git status",
        "function git { rm x; }; git status",
        "case x in x) rm x;; esac",
        "for x in a; do git status; done",
        "[[ a > b ]]",
        "((x = 1))",
        "echo $((1 + 1))",
        "echo $[1 + 1]",
        "echo $'\\x72m'",
        "echo ${x:-$(rm x)}",
        "echo 'open",
        'echo "open',
        "echo `open",
        "echo $(open",
        "(git status",
        "git status)",
        "git status \\",
        "git $x",
        "gi? status",
        "{git,status}",
        "~/git status",
        "$x git status",
        "git stat* ",
        "echo x &> y",
        "echo x >",
        "git status\0",
        "fi git status",
        "time -f %e rm x",
        "timeout 5 rm x",
        "nice --adjustment=5 git status",
        "exec rm x",
        "echo " + "x" * 100_001,
        "(" * 30 + "git status" + ")" * 30,
        "nohup " * 40 + "git status",
        "eval " * 40 + "git status",
        "echo " + "x " * 300,
        "echo " + "x" * 20_000,
        "echo x;" * 300,
        "cat <<END",
        "cat <<END $(git status)\nEND",
        "cat <<END `git status`\nEND",
        "sh -- x",
        "xargs",
    ],
)
def test_a_command_is_not_allowed_when_something_in_it_is_not(command: str) -> None:
    assert verdict(command, GIT) == "none"


RM = rules_of(allow="*", deny="rm *")


@pytest.mark.parametrize(
    "command",
    [
        "rm",
        "rm -rf x",
        "/bin/rm x",
        "\\rm x",
        "r''m x",
        '"rm" x',
        "RM x",
        "rm\tx",
        "FOO=1 rm x",
        "git status; rm x",
        "git status\nrm x",
        "git status | rm x",
        "echo $(rm x)",
        'echo "`rm x`"',
        "echo $(echo $(rm x))",
        "cat <(rm x)",
        "cat <<END\n$(rm x)\nEND",
        "sh -c 'rm x'",
        "sh -c \"sh -c 'rm x'\"",
        "/bin/bash -lc 'rm x'",
        "sh <<END\nrm x\nEND",
        "bash <<< 'rm x'",
        "env -i A=1 rm x",
        "sudo -u root rm x",
        "sudo --user root rm x",
        "doas rm x",
        "nohup nice -n 5 rm x",
        "timeout -k 1 5 rm x",
        "ls | xargs -n 1 rm",
        "xargs -I{} rm {}",
        "find . -name '*.pyc' -exec rm {} +",
        "find . -execdir sudo rm {} \\;",
        "eval 'rm x'",
        "trap 'rm x' EXIT",
        "f() { rm x; }; f",
        "function f { rm x; }",
        "case x in x) rm x;; esac",
        "for x in a; do rm $x; done",
        "if true; then rm x; fi",
        "{ rm x; }",
        "(rm x)",
        "! rm x",
        "2>/dev/null rm x",
        "rm x &",
        "command rm x",
        "busybox rm x",
        "exec rm x",
        'echo "$(cat <<END\n$(rm x)\nEND\n)"',
    ],
)
def test_what_is_denied_is_denied_however_it_is_wrapped(command: str) -> None:
    assert verdict(command, RM) == "deny"


@pytest.mark.parametrize(
    "command",
    [
        "$x x",
        "r? x",
        "/bi?/rm x",
        "{rm,x}",
        "$(echo rm) x",
        "`echo rm` x",
        "r$x x",
        'sh -c "$x"',
        "echo rm x | sh",
        "ls | sh -s",
        "eval $x",
        "xargs -I% % x",
        "find $x",
        "docker exec web rm x",
        "docker exec web sh -c 'rm x'",
        "ssh host 'rm x'",
        "python -c 'import os; os.system(\"rm x\")'",
        "git -c alias.x='!rm x' x",
        "git rebase --exec 'rm x' main",
        "git rebase --exec='rm x' main",
        "flock f rm x",
        "alias g=rm",
        "echo $'\\x72m'",
        'echo "open',
        "x=rm; $x x",
    ],
)
def test_where_something_denied_may_hide_it_is_asked(command: str) -> None:
    assert verdict(command, RM) == "hidden"


def test_options_between_a_program_and_what_is_denied_do_not_hide_it() -> None:
    push = rules_of(allow="git *", deny="git push *")
    assert verdict("git log", push) == "allow"
    assert verdict("git push", push) == "deny"
    assert verdict("git -C .. push origin", push) == "hidden"
    assert verdict("git $x", push) == "hidden"
    assert verdict("echo main | xargs git", push) == "hidden"


def test_ask_wins_over_allow_and_deny_over_ask() -> None:
    held = rules_of(allow="git *", ask="git commit *", deny="git commit --amend *")
    assert verdict("git commit -m x", held) == "ask"
    assert verdict("git commit --amend -m x", held) == "deny"
    assert verdict("git log", held) == "allow"


def test_a_rule_about_every_command_holds_even_where_nothing_can_be_read() -> None:
    for command in ("", "echo 'open", "x" * 200_000):
        assert verdict(command, parse_rules(Permissions(deny=("run_command",)))) == "deny"
        assert verdict(command, parse_rules(Permissions(ask=("run_*",)))) == "ask"
        assert verdict(command, parse_rules(Permissions(allow=("run_command",)))) == "none"


def test_a_shell_that_is_not_posix_is_not_read() -> None:
    reading = commands.read("git status", posix=False)
    assert (reading.runs, bool(reading.unclear)) == ((), True)


@pytest.mark.parametrize(
    ("command", "redirects"),
    [
        ("echo x > y", [("write", "y")]),
        ("echo x >> 'a b'", [("write", "a b")]),
        ("echo x 2>| y", [("write", "y")]),
        ("echo x <> y", [("write", "y")]),
        ("echo x >& y", [("write", "y")]),
        ("echo x &>> y", [("write", "y")]),
        ("cat < y", [("read", "y")]),
        ("sh -c 'echo x > y'", [("write", "y")]),
        ("cat <<END > y\n> z\nEND", [("write", "y")]),
        ("echo `echo > y`", [("write", "y")]),
        ("cat <<END\n$(cat < y)\nEND", [("read", "y")]),
        ("cat 2>&1 3<&0 4>&-", []),
        ("echo 2", []),
        ("echo '>' \\> y", []),
    ],
)
def test_redirections_are_found(command: str, redirects: list[tuple[str, str]]) -> None:
    found = commands.read(command, posix=True).redirects
    assert [(redirect.access, redirect.target.text) for redirect in found] == redirects


@pytest.mark.parametrize(
    ("command", "moves"),
    [
        ("cd x && ls", True),
        ("pushd x", True),
        ("env -C x ls", True),
        ("sudo -D x ls", True),
        ("ls && ls", False),
        ("env ls", False),
    ],
)
def test_it_is_noticed_when_relative_paths_change_their_meaning(command: str, moves: bool) -> None:
    assert commands.read(command, posix=True).moves == moves


# Properties, compared with what real shells do.

WRAPPERS = st.sampled_from([
    "{}",
    "true; {}",
    "true && {}",
    "false || {}",
    "true\n{}",
    "true | {}",
    "{} | cat",
    "({})",
    "{ {}; }",
    "! {}",
    "if true; then {}; fi",
    "while {}; do break; done",
    "for i in 1; do {}; done",
    "case x in x) {};; esac",
    "f() { {}; }; f",
    "echo $({})",
    'echo "$({})"',
    "echo `{}`",
    "cat <<END\n$({})\nEND",
    "A=1 {}",
    "env A=1 {}",
    'env -i PATH="$PATH" {}',
    "nice -n 1 {}",
    "nohup {}",
    "timeout 5 {}",
    "command {}",
    "exec {}",
    "find . -maxdepth 0 -exec {} \\;",
    "echo x | xargs {}",
    "echo x | xargs -I% {}",
    "QUOTED:sh -c {}",
    "QUOTED:sh -ec {}",
    "QUOTED:eval {}",
    "QUOTED:trap {} EXIT",
    "QUOTED:echo {} | sh",
    "QUOTED:x={}; $x",
    'QUOTED:x={}; eval "$x"',
    "QUOTED:python3 -c 'import os,sys; os.system(sys.argv[1])' {}",
    "QUOTED:env sh -c {}",
    "sh <<'END'\n{}\nEND",
    "echo 'a\nb' # {}\n{}",
])
SPELLINGS = st.sampled_from(["mark", "m''ark", "\\mark", '"mark"', "m\\ark", "./mark", "ma\\\nrk"])


def wrapped(spelling: str, wrappers: list[str]) -> str:
    command = f"{spelling} made"
    for wrapper in wrappers:
        pattern = wrapper.removeprefix("QUOTED:")
        inner = command if pattern == wrapper else shlex.quote(command)
        if "`" in pattern:
            inner = inner.replace("\\", "\\\\").replace("`", "\\`")
        command = pattern.replace("{}", inner)
    return command


SHELLS = [name for name in ("sh", "bash") if shutil.which(name)]


def leaves_a_trace(program: str, command: str) -> bool:
    """Run a command in a real shell, with a program `mark` on its path that leaves a trace."""
    with tempfile.TemporaryDirectory() as folder:
        work, trace = Path(folder, "work"), Path(folder, "trace")
        work.mkdir()
        (work / "mark").write_text(f"#!/bin/sh\necho > {trace}\n")
        (work / "mark").chmod(0o755)
        subprocess.run(
            [program, "-c", command],
            cwd=work,
            env={"PATH": f"{work}:{os.environ['PATH']}", "HOME": folder},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )
        return trace.exists()


@pytest.mark.parametrize("program", SHELLS)
def test_the_trace_that_the_properties_look_for_would_be_seen(program: str) -> None:
    assert leaves_a_trace(program, "true; 'mark' made")
    assert not leaves_a_trace(program, "true # mark made")


@given(SPELLINGS, st.lists(WRAPPERS, max_size=4), st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_wrapper_makes_a_denied_command_allowed(
    spelling: str, wrappers: list[str], everything: bool
) -> None:
    """A wrapper within a wrapper may come to nothing; a real shell tells whether it did."""
    allow = ("run_command",) if everything else ("run_command(*)",)
    held = parse_rules(Permissions(allow=allow, deny=("run_command(mark *)",)))
    command = wrapped(spelling, wrappers)
    if verdict(command, held) not in {"deny", "hidden"}:
        assert not any(leaves_a_trace(program, command) for program in SHELLS)


PIECES = st.sampled_from([
    "mark made", "mark", "made", "true", "echo", "x", " ", " ", "\n", ";", "&&", "||", "|", "&",
    "(", ")", "{ ", "; }", "$(", "`", "'", '"', "\\", "\\\n", "#", " # ", "<<A\n", "\nA\n", "<<'A'\n",
    "<<-A\n\t", "sh -c ", "eval ", "$x", "x=mark;", "if ", "; then ", "; fi", "case x in x)", ";;",
    " esac", "f()", "$'", "${", "}", "$((", "))", "[[ ", " ]]", ">y", "<", "2>&1", "!", "~", "*",
    "<(", ">(", "&>", "|&", "<<<", "env ", "exec ", "command ", "xargs ", "A=1 ", "\t", "\r",
])  # fmt: skip


@pytest.mark.parametrize("program", SHELLS)
@given(pieces=st.lists(PIECES, min_size=1, max_size=12))
@settings(max_examples=250, deadline=None)
def test_what_is_allowed_never_starts_what_is_denied_in_a_real_shell(
    program: str, pieces: list[str]
) -> None:
    command = "".join(pieces)
    held = parse_rules(Permissions(allow=("run_command",), deny=("run_command(mark *)",)))
    if "mark" in command and verdict(command, held) == "allow":
        assert not leaves_a_trace(program, command)


@given(st.text(alphabet="ab \n\t;|&()<>'\"\\$`{}[]#*?~!=-\0é", max_size=60))
@settings(max_examples=300, deadline=None)
def test_every_text_is_read_and_ruled_on(text: str) -> None:
    script = shell.read_script(text)
    assert all(simple.words for simple in script.commands)
    for held in (GIT, RM, rules.NO_RULES):
        assert verdict(text, held) in {"deny", "hidden", "ask", "allow", "none"}
