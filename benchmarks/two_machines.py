"""The verdicts of `quick` from this repository and from another machine, same code and seed.

    python benchmarks/two_machines.py [FOLDER]

FOLDER holds the tab05_claims.json of the other machine; by default benchmarks/other_processor, where
the one of an AMD EPYC without AVX-512 lies. What differs between two machines is the order of sums in
the last bit, which training amplifies: it is one draw of what training again can give.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from side_by_side import table

HERE = Path(__file__).parent


def claims(folder: Path) -> list[dict]:
    return json.loads((folder / "tab05_claims.json").read_text())["numbers"]["claims"]


def interval(check: dict) -> str:
    return f"{check['mean']:.3f} [{check['low']:.3f}, {check['high']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "other_processor")
    pairs = list(
        zip(claims(HERE.parent / "figures"), claims(parser.parse_args().folder), strict=True)
    )
    table(
        ["claim", "verdict here", "verdict there"],
        [[a["claim"], a["verdict"], b["verdict"]] for a, b in pairs],
    )
    rows = [
        [a["claim"], f"{x['statistic']}, wanted {x['wanted']}", interval(x), interval(y)]
        for a, b in pairs
        for x, y in zip(a["checks"], b["checks"], strict=True)
        if x["mean"] != y["mean"]
    ]
    table(["claim", "statistic", "here", "there"], rows)


if __name__ == "__main__":
    main()
