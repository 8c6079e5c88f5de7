"""A client of the dashboard's site: what a browser or a program on this machine sends."""

import base64
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from localcloud.home import administrator
from tests.system.cloud_process import CloudProcess

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """An answer of the site.

    Attributes:
        status: The HTTP status.
        headers: Its headers.
        body: Its body.
    """

    status: int
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)


class Client:
    """Sends requests to a site.

    Attributes:
        url: The site's address.
        token: The access token that each request bears; None for none.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request; an underscore in a header's name stands for a hyphen."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent = {"authorization": f"Bearer {self.token}"} | sent
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, JSON | sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Reply(error.code, error.headers, error.read())

    def sign_in(self, name: str, password: str) -> Reply:
        """Ask for a session; the following requests bear its token."""
        reply = self.send("POST", "/api/session", {"username": name, "password": password})
        self.token = reply.json.get("token") if reply.status == 200 else None
        return reply


def pool_key(home: Path, pool: str) -> RSAPrivateKey:
    """Return the key by which a local user pool signs access tokens."""
    pem = (home / "state" / "cognito-pool-keys" / f"{pool}-access.pem").read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key


def claims(token: str) -> dict[str, Any]:
    """Return what a token says."""
    decoded: dict[str, Any] = json.loads(_decode(token.split(".")[1]))
    return decoded


def forge(token: str, key: RSAPrivateKey | None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Return a token like another one, but with other claims.

    Args:
        token: The other token.
        key: What signs it; None leaves the other one's signature.
        header: Changes of its header.
        changes: Changes of its claims; None removes one.
    """
    old_header, _, signature = token.split(".")
    merged = {name: value for name, value in (claims(token) | changes).items() if value is not None}
    signed = f"{_encode(json.loads(_decode(old_header)) | (header or {}))}.{_encode(merged)}"
    if key is not None:
        signature = _text(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))
    return f"{signed}.{signature}"


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _encode(document: dict[str, Any]) -> str:
    return _text(json.dumps(document).encode())


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed_in_administrator(process: CloudProcess) -> Client:
    """Return the client of the ready-made administrator of a local cloud."""
    client = Client(process.connection.site_url)
    assert client.sign_in(administrator.USER, administrator.password(process.home)).status == 200
    return client
