"""How much of `sac_ros` the tests run: `python tests/coverage_floor.py`, after `coverage json`."""

import json
import sys
from pathlib import Path

FLOORS = {'lines': 95.0, 'branches': 90.0}  # [%]


def main() -> int:
    """Print the two figures; return 1 when one is too low."""
    totals = json.loads(Path('coverage.json').read_text())['totals']
    found = {
        'lines': 100.0 * totals['covered_lines'] / totals['num_statements'],
        'branches': 100.0 * totals['covered_branches'] / totals['num_branches'],
    }
    for name, floor in FLOORS.items():
        print(f'coverage of sac_ros, {name}: {found[name]:.1f} % (at least {floor:g} %)')
    return 0 if all(found[name] >= floor for name, floor in FLOORS.items()) else 1


if __name__ == '__main__':
    sys.exit(main())
