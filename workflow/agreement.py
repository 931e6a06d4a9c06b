"""Set the statistics of drawn figures beside the committed ones: do both agree?

python workflow/agreement.py figures/quick
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).absolute().parents[1]


def agreement(committed: dict[str, Any], reproduced: dict[str, Any]) -> pd.DataFrame:
    """Set the statistics of two `judge` results side by side, one row per check.

    Means agree within three standard deviations of the committed seeds, or 1 % of the mean where there is one seed.
    """
    rows = []
    for ours, theirs in zip(committed["claims"], reproduced["claims"], strict=True):
        for check, other in zip(ours["checks"], theirs["checks"], strict=True):
            mean, found, seeds = check["mean"], other["mean"], check["seeds"]
            tolerance = (3 * float(np.std(seeds, ddof=1)) if len(seeds) > 1 else 0.0) or 0.01 * abs(mean)
            rows.append({
                "claim": ours["claim"], "statistic": check["statistic"], "committed": round(mean, 4),
                "reproduced": round(found, 4), "tolerance": round(tolerance, 4),
                "agrees": abs(mean - found) <= tolerance,
            })  # fmt: skip
    return pd.DataFrame(rows)


def main(drawn: Path, committed: Path = ROOT / "figures") -> None:
    """Print the statistics of two folders of figures, and how many agree."""
    paths = [folder / "tab05_claims.json" for folder in (committed, drawn)]
    if missing := [str(path) for path in paths if not path.exists()]:
        sys.exit(f"{', '.join(missing)}: not there; make figures or make reproduce draws it")
    table = agreement(*(json.loads(path.read_text())["numbers"] for path in paths))
    print(table.to_string(index=False))
    agree = f"{int(table['agrees'].sum())} of {len(table)} statistics agree"
    print(f"{agree} within three standard deviations of the seeds (or 1 % where there is one)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
