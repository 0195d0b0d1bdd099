"""How long a start takes (row 6): `sotto --help` and `import sottovoce`, beside a bare Python."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

RUNS = 15
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import sottovoce": [sys.executable, "-c", "import sottovoce"],
    "sotto --help": [str(Path(sys.executable).with_name("sotto")), "--help"],
}


def seconds(command: list[str]) -> list[float]:
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return sorted(times)


def main() -> None:
    print(f"| command | median of {RUNS} | slowest |\n|---|---|---|")
    for name, command in COMMANDS.items():
        times = seconds(command)
        print(f"| `{name}` | {times[RUNS // 2]:.3f} s | {times[-1]:.3f} s |")


if __name__ == "__main__":
    main()
