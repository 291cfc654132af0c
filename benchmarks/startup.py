"""Measure how long gcapi takes to start, against two limits.

`gcapi --help` may take 0.15 s longer than bare Python, and importing gcapi and making a client 1.25 times as long as
importing httpx and making its client. Both hold for modules whose bytecode is cached.

    startup.py [--rounds N]

The commands take turns, and the minimum counts, because everything above it is other load of the machine.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

#: The limit for the help, in seconds beyond bare Python.
BUDGET = 0.15
#: The limit for a client, as a multiple of the time for httpx's client.
CLIENT_BUDGET = 1.25
_COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "gcapi --help": ["-m", "gcapi", "--help"],
    "gcapi archives list --help": ["-m", "gcapi", "archives", "list", "--help"],
    "gcapi --version": ["-m", "gcapi", "--version"],
    "httpx.Client()": ["-c", "import httpx; httpx.Client()"],
    "gcapi.Client()": ["-c", "import gcapi; gcapi.Client(token='x')"],
}
_BARE, _HELP = "python -c pass", "gcapi --help"
_HTTPX, _CLIENT = "httpx.Client()", "gcapi.Client()"


def main() -> int:
    """Measure and print the times; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(description="Measure how long gcapi takes to start.")
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
    ratio, cpu_ratio = (
        of_client / of_httpx
        for of_client, of_httpx in zip(least[_CLIENT], least[_HTTPX], strict=True)
    )
    print(
        f"{_CLIENT} takes {ratio:.2f} times as long as {_HTTPX} ({cpu_ratio:.2f} times the CPU time);"
        f" {CLIENT_BUDGET} times are allowed."
    )
    return int(beyond > BUDGET or ratio > CLIENT_BUDGET)


def _measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Return the minimum of the seconds and CPU seconds of each command."""
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
