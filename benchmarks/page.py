"""The part of a Markdown page that a command writes; the rest is by hand and stays."""

from pathlib import Path

from sac_ros.errors import UserError
from sac_ros.files import write_atomic


def write_part(page: Path, begin: str, end: str, text: str) -> None:
    """Write `text` between the lines `begin` and `end` of a page.  Raises UserError."""
    try:
        content = page.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{page} cannot be read: {error}') from error
    first, last = content.find(begin), content.find(end)
    if not (content.count(begin) == content.count(end) == 1 and first < last):
        raise UserError(
            f'{page}: the tables go between the lines {begin!r} and {end!r}, once each'
        )
    before, after = content[:first], content[last + len(end) :]
    write_atomic(page, f'{before}{begin}\n\n{text}\n\n{end}{after}'.encode())
