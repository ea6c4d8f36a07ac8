"""Signatures that the reference library of Standard Webhooks accepts, and secrets that are not kept in the clear."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared.kit.sealing import Sealer, Unsealable
from shared.kit.signatures import new_secret, signed_headers

BODY = '{"type":"job.succeeded","data":{"why":"完成"}}'.encode()


def test_the_reference_library_accepts_our_signature() -> None:
    secret = new_secret()
    headers = signed_headers([secret], "msg-1", int(time.time()), BODY)
    assert Webhook(secret).verify(BODY, headers)["data"] == {"why": "完成"}


def test_the_specifications_own_example_comes_out() -> None:
    headers = signed_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("changed", ["id", "timestamp", "body", "secret"])
def test_what_was_changed_on_the_way_is_not_accepted(changed: str) -> None:
    secret, now = new_secret(), int(time.time())
    headers = signed_headers([secret], "msg-1", now, BODY)
    if changed == "id":
        headers["webhook-id"] = "msg-2"
    if changed == "timestamp":
        headers["webhook-timestamp"] = str(now - 1)
    receiver = Webhook(new_secret() if changed == "secret" else secret)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(BODY + b" " if changed == "body" else BODY, headers)


def test_while_secrets_overlap_either_is_enough() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers([new, old], "msg-1", int(time.time()), BODY)
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)


def test_a_secret_is_as_the_specification_wants_it_and_never_the_same() -> None:
    secret = new_secret()
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64
    assert secret != new_secret()


def test_a_sealed_text_is_read_again_by_the_same_secret_and_purpose_only() -> None:
    sealed = Sealer("a" * 32, "webhooks").seal("whsec_text")
    assert "whsec" not in sealed
    assert Sealer("a" * 32, "webhooks").unseal(sealed) == "whsec_text"
    for other in (Sealer("b" * 32, "webhooks"), Sealer("a" * 32, "else")):
        with pytest.raises(Unsealable):
            other.unseal(sealed)
    with pytest.raises(Unsealable):
        Sealer("a" * 32, "webhooks").unseal("rubbish")
