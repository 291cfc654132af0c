"""Measure what `gcapi --help` takes beyond bare Python: at most 0.15 s.

    startup.py [--rounds N]

The rounds take turns, and the least of each counts: the rest is what else the machine does.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

#: Seconds beyond bare Python.
BUDGET = 0.15
_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "gcapi --help": ["-m", "gcapi", "--help"],
    "gcapi archives list --help": ["-m", "gcapi", "archives", "list", "--help"],
    "gcapi --version": ["-m", "gcapi", "--version"],
}
_BARE, _HELP = "python -c pass", "gcapi --help"


def main() -> int:
    """Measure, show, and return 1 if the help takes too long."""
    parser = argparse.ArgumentParser(
        description="Measure how long the command line takes to start."
    )
    parser.add_argument("--rounds", type=int, default=15)
    least = _measure(parser.parse_args().rounds)
    for name, (seconds, cpu) in least.items():
        print(f"{name:<28} {seconds:.3f} s, {cpu:.3f} s of CPU")
    beyond, cpu_beyond = (
        of_help - of_bare for of_help, of_bare in zip(least[_HELP], least[_BARE], strict=True)
    )
    print(
        f"{_HELP} takes {beyond:.3f} s beyond bare Python ({cpu_beyond:.3f} s of CPU); {BUDGET} s are allowed."
    )
    return int(beyond > BUDGET)


def _measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least seconds of each command, and the least CPU seconds."""
    least = dict.fromkeys(_COMMANDS, (float("inf"), float("inf")))
    for _ in range(rounds):
        for name, arguments in _COMMANDS.items():
            seconds, cpu = _once(arguments)
            least[name] = min(least[name][0], seconds), min(least[name][1], cpu)
    return least


def _once(arguments: list[str]) -> tuple[float, float]:
    started, cpu = time.perf_counter(), _cpu()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started, _cpu() - cpu


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
