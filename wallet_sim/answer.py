"""The members of an answer: what was asked for under the ids of the question, encrypted where that was asked for.

OpenID4VP 1.0 §8.1, §8.3, §A.4.
"""

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jwe import encrypt
from specs.protocols.openid4vp import AuthorizationRequest
from specs.protocols.openid4vp.errors import invalid_request
from specs.protocols.openid4vp.response import choose_enc
from wallet_sim.conduct import MESSAGE, SEALING, VP_TOKEN, Conduct, Endpoint, Sealing, VpToken

_TO = Endpoint.ANSWER


def answer_members(request: AuthorizationRequest, vp_token: VpToken, *, conduct: Conduct) -> JsonObject:
    """An answer in the mode that was asked for.

    Raises:
        RequestError: the question offers no key or no encryption that we can use.
    """
    members: JsonObject = {"vp_token": conduct.change(VP_TOKEN, vp_token, to=_TO)}
    if request.state is not None:
        members["state"] = request.state
    members = conduct.change(MESSAGE, members, to=_TO)
    if not request.response_mode.is_encrypted:
        return members
    if request.client_metadata is None:
        raise invalid_request("client_metadata: missing")
    jwk, enc = request.client_metadata.encryption_key(), choose_enc(request.client_metadata)
    sealing = conduct.change(SEALING, Sealing(strict_json.dumps(members), dict(jwk), enc), to=_TO)
    return {"response": encrypt(sealing.payload, jwk=sealing.jwk, enc=sealing.enc, zip=sealing.zip)}
