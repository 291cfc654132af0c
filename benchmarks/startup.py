"""Measure what `gcapi --help` takes beyond bare Python: at most 0.15 s.

    startup.py [--rounds N]

The rounds take turns, and the least of each counts: the rest is what else the machine does.
"""

from __future__ import annotations

import argparse
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
_BARE = "python -c pass"


def main() -> int:
    """Measure, show, and return 1 if the help takes too long."""
    parser = argparse.ArgumentParser(
        description="Measure how long the command line takes to start."
    )
    parser.add_argument("--rounds", type=int, default=15)
    least = _measure(parser.parse_args().rounds)
    for name, seconds in least.items():
        print(f"{name:<28} {seconds:.3f} s, {seconds - least[_BARE]:+.3f} s")
    beyond = least["gcapi --help"] - least[_BARE]
    print(f"gcapi --help takes {beyond:.3f} s beyond bare Python; {BUDGET} s are allowed.")
    return int(beyond > BUDGET)


def _measure(rounds: int) -> dict[str, float]:
    least = dict.fromkeys(_COMMANDS, float("inf"))
    for _ in range(rounds):
        for name, arguments in _COMMANDS.items():
            least[name] = min(least[name], _seconds(arguments))
    return least


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
