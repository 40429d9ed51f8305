"""Who may ask for what. The two places where that is decided:

- `authorize` is called for every request to an endpoint that is not open, before its body is read. It says who calls.
- `admit` is called with what the features asked for mean, before anything of them is read. It refuses by raising HttpError.
"""

from __future__ import annotations

from featurestore.serving.lookup import OnlineRequest

from .http import Request


class Access:
    """Everybody may read everything."""

    def authorize(self, request: Request) -> object:
        """Who calls. Raises HttpError 401 where nobody known does."""
        return None

    def admit(self, request: Request, asked: OnlineRequest) -> None:
        """Raises HttpError 403 where this caller may not read one of these features."""
