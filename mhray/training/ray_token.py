"""The token without which a Ray lets nobody in: made for one that is started, brought to one there.

Left to itself, Ray brings a token to no cluster whose address it is given, and asks for twenty
seconds in vain; and a process that brings one asks for one, so that a cluster without tokens could
not talk to it.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import grpc
from ray._private.authentication.authentication_token_setup import _enable_token_auth
from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2 import GetClusterIdRequest  # type: ignore[attr-defined]
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

from mhray.errors import StorageError
from mhray.training.ray_address import ANSWER_SECONDS, RunningRay

TOKEN, TOKEN_PATH, AUTHENTICATION = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"


def leave_a_private_token() -> None:
    """Have a token that only this user can read: Ray's own would be as readable as any new file."""
    # Unset, it is on in Ray 2.60; set, Ray would not tell the part of it that is loaded already.
    os.environ.pop(AUTHENTICATION, None)
    if TOKEN in os.environ or TOKEN_PATH in os.environ:
        return
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
    path.chmod(0o600)


def bring_a_token(there: RunningRay) -> None:
    """Have this user's token ready for a Ray that asks for one, unless the user has seen to it.

    Raises:
        StorageError: it asks, and there is none.
    """
    if AUTHENTICATION in os.environ or not _asks(there.address):
        return
    if not AuthenticationTokenLoader.instance().has_token(ignore_auth_mode=True):
        raise StorageError(
            f"{there.label}: asks for a token, and this user has none; copy ~/.ray/auth_token from "
            "the machine that started it, readable for you alone"
        )
    _enable_token_auth()


def _asks(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        head = NodeInfoGcsServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            head.GetClusterId(GetClusterIdRequest(), timeout=ANSWER_SECONDS)
        except grpc.RpcError as refusal:
            return bool(refusal.code() == grpc.StatusCode.UNAUTHENTICATED)
    return False
