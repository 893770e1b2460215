"""What all pages share: templates, a policy that lets no other script run, and escaping and tables for markdown."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2

from forecasting.formatting import format_date, format_number, p_value, percent, pluralize, printable, signed_percent

__all__ = ["as_code", "markdown_table", "plain", "render_page"]

# Characters that would be markup, a link or an entity anywhere, inside a word or at the beginning of a line. Others
# are not escaped, because the search of Prefect's tables looks at the escaped text.
_MARKUP = re.compile(
    r"[\\`*\[\]|~<>@]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.|^[-+#=](?=[-+#=\s]|$)|(?<=\d)[.)](?=\s)|"
    r"&(?=#?\w+;)",
    re.IGNORECASE,
)
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


def render_page(template: str, *, data: Mapping[str, Any] | None = None, **values: Any) -> str:
    """Render a page from a template of this package; all values are escaped, and the same values give the same page.

    Parameters
    ----------
    template
        Its name.
    data
        What the page's script draws its charts from.
    values
        For the template, which also gets ``script_hash``, for its policy: only the page's own script may run.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("forecasting.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        change=signed_percent,
        date=format_date,
        name=printable,
        number=format_number,
        p_value=p_value,
        percent=percent,
        pluralize=pluralize,
    )
    # A line that began with "% band" would be hard to read.
    environment.filters["bound"] = lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%")
    script = environment.get_template("page.js").render()
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(
        **values, data=_as_json(data or {}), script=script, script_hash=script_hash
    )


def _as_json(data: Mapping[str, Any]) -> str:
    """Write JSON without characters that could be markup or end the element around it."""
    written = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", written)


def plain(text: object, limit: int = 200) -> str:
    r"""Escape a text from outside for markdown, so that all its characters are shown and none is markup.

    With backslashes, because Prefect's UI does not decode numeric entities; but tags need entities, because it ignores
    a backslash before them.

    >>> print(plain("last_close"), plain("_A_|*B*"), plain("<b>"))
    last_close \_A\_\|\*B\* &lt;b&gt;
    """
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], "\\" + found[0]), printable(text, limit).strip())


def as_code(text: object) -> str:
    """Write a path or a command as code for markdown, unescaped, to be copied."""
    shown = printable(text, 4096)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{shown}{room}{fence}"


def markdown_table(heads: Sequence[str], rows: Iterable[Iterable[object]], *, text: Iterable[str] = ()) -> str:
    """Write a table in markdown; all columns but the first and those named in ``text`` are numbers, aligned right."""
    words = {heads[0], *text}
    rules = ("---" if head in words else "---:" for head in heads)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rules, *(map(plain, row) for row in rows)))
