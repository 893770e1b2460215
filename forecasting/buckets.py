"""Buckets: addresses such as ``s3://bucket/folder`` instead of a path, and requests to their services.

Credentials come from the environment, under the names that each provider's tools use (``AWS_ACCESS_KEY_ID``,
``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_NAME`` ...). Only obstore reads them; they are never in a
message, manifest or log.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from forecasting.errors import InputError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["address_of", "asking", "connect"]

SCHEMES = ("s3", "gs", "az")

RETRIES = 5
"""How often a request is retried, with growing pauses, before it counts as failed."""

_PATIENCE = timedelta(seconds=60)

# pathlib makes one slash of two.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")
_NO_CREDENTIALS = re.compile(r"169\.254\.|metadata\.google|Account must be specified|credential", re.IGNORECASE)


def address_of(place: str | Path) -> str | None:
    """Return a text as an address, with both its slashes; None when it is a path.

    Parameters
    ----------
    place
        A path or an address, as the user named it; an address may have been a `pathlib.Path` before.
    """
    match = _ADDRESS.fullmatch(str(place))
    return f"{match[1].lower()}://{match[2].strip('/')}" if match else None


def connect(address: str) -> ObjectStore:
    """Return the service of an address, without a request.

    Raises
    ------
    InputError
        When the address is not of a bucket, or the package for buckets is not installed.
    """
    scheme, _, rest = address.partition("://")
    if scheme not in SCHEMES or not rest.strip("/"):
        known = ", ".join(f"{name}://bucket/folder" for name in SCHEMES)
        raise InputError(
            "is an address, but not of a bucket",
            file=address,
            setting=f"name a path of this machine, or one of {known}",
        )
    try:
        from obstore.store import from_url  # noqa: PLC0415 - an extra, which a plain path does not need
    except ModuleNotFoundError:
        raise InputError(
            "is in a bucket, for which a package is not installed",
            file=address,
            setting="pip install 'daily-forecast[cloud]', or copy the files and name the folder",
        ) from None
    with asking(address):
        return from_url(address, retry_config={"max_retries": RETRIES, "retry_timeout": _PATIENCE})


@contextmanager
def asking(address: str) -> Iterator[None]:
    """Turn errors of a bucket's service into errors that say what to repair.

    Raises
    ------
    InputError
        When there is no such bucket, or credentials are missing or refused.
    FileNotFoundError
        When there is no such object.
    OSError
        When the service does not answer, or fails.
    """
    from obstore import exceptions  # noqa: PLC0415 - see `connect`

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except (exceptions.BaseError, FileNotFoundError) as error:
        # The service's messages contain whole requests and answers; only the status is repeated.
        text = str(error)
        status = _STATUS.search(text)
        if "NoSuchBucket" in text or "NoSuchContainer" in text:
            raise InputError("there is no such bucket", file=address, setting="make it, or name another") from None
        if isinstance(error, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "no such object", address) from None
        refused = isinstance(error, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError)
        if refused or (status and status[1][:3] in ("401", "403") and "169.254." not in text):
            raise InputError(
                "the bucket refuses these credentials",
                file=address,
                setting="see the environment's credentials, and what they may do there: list, get, put and delete",
            ) from None
        if _NO_CREDENTIALS.search(text):
            raise InputError(
                "there are no credentials for the bucket", file=address, setting="set them in the environment"
            ) from None
        what = f"answered {status[1].strip()}" if status else "does not answer"
        raise OSError(errno.EIO, f"the bucket {what}", address) from None
