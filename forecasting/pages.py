"""What all HTML pages share: their templates, how values are written, and a policy that lets nothing else run."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import jinja2

from forecasting.display import count, day, number, p_value, percent, printable, signed_percent

__all__ = ["render_page"]


def render_page(template: str, **values: Any) -> str:
    """Render a page from a template of this package; everything in it is escaped, and the same values give the same.

    Beside the values, the template gets ``script_hash``: what its policy has to name, so that the script of its tables
    runs and no other.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("forecasting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=number, p_value=p_value, percent=percent, change=signed_percent, day=day, name=printable, count=count
    )
    script = environment.get_template("table.js").render()
    script_hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(**values, script_hash=script_hash)
