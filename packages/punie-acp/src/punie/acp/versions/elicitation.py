"""Questions of agents of version 1 by a form or on a web page, in the words of version 2."""

from __future__ import annotations

import msgspec

from punie.acp.errors import RequestError
from punie.acp.methods import decoder
from punie.acp.schema import v1, v2
from punie.acp.schema.reading import plain


def elicitation_to_v2(params: v1.CreateElicitationRequest) -> v2.CreateElicitationRequest:
    """Translate a question; what version 1 leaves out of a form's schema is said.

    Raises:
        RequestError: It belongs to no session and to no request, which version 2 asks for.
    """
    body = plain(params)
    if params.requested_schema is not None:
        body["requestedSchema"] = {"type": "object", "properties": {}} | body["requestedSchema"]
    try:
        return decoder(v2.CreateElicitationRequest).decode(msgspec.json.encode(body))
    except msgspec.ValidationError:
        reason = "an elicitation belongs to a session or to a request"
        raise RequestError.invalid_params(reason) from None
