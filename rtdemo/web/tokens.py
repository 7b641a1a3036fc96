"""Verify login tokens: JSON Web Tokens (RFC 7519), signed with a secret or by a published key."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from jwt import exceptions

from rtdemo.errors import SettingError
from rtdemo.protocol.client import MAX_USER_LENGTH, is_user_name
from rtdemo.settings.settings import SETTINGS, Settings
from rtdemo.web.identity import Identity, TokenError

LEEWAY_S = 5.0
"""Seconds by which the clocks of this server and of the token's issuer may differ."""
MAX_TOKEN_LENGTH = 8192
"""Characters of a token. The server hashes each of them before it can refuse the token."""
MIN_RSA_BITS = 2048
"""Smallest RSA key (RFC 7518 section 3.3)."""
LAST_EXPIRY = 2.0**52
"""Seconds since the Unix epoch that stand for any later time."""
_ALGORITHMS: Mapping[tuple[str, str], str] = {
    ("RSA", ""): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""The algorithm of a public key, by its `kty` and `crv` (RFC 7518 section 6, RFC 8037 section 2)."""
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "k"))
"""Members of a JSON Web Key that are secret."""
_PROBLEMS: Sequence[tuple[type[Exception], str]] = (
    (exceptions.ExpiredSignatureError, "the token has expired; get a new one"),
    (exceptions.ImmatureSignatureError, "the token is not valid yet; compare the servers' clocks"),
    (
        exceptions.MissingRequiredClaimError,
        "the token lacks a claim: it needs exp and sub, and aud if the server has --audience",
    ),
    (exceptions.InvalidAudienceError, "the token is for another audience; see --audience"),
    (exceptions.InvalidSubjectError, "the token's sub is not text"),
    (exceptions.InvalidSignatureError, "the token is signed with another key; get a new one"),
    (exceptions.InvalidAlgorithmError, "the token is signed by another algorithm than this server's"),
)
_NO_TOKEN = "the token is not a JSON Web Token that this server can read"  # noqa: S105 - a sentence


class Key(NamedTuple):
    """A key that verifies signatures by one algorithm, and by no other.

    Arguments:
        algorithm: its name in a token's head.
        value: the secret, or the public key as `jwt` takes it.
        id: its `kid`; None where it has none.
    """

    algorithm: str
    value: Any
    id: str | None = None


class TokenVerifier:
    """Verify tokens.

    The key decides the algorithm, never the token: so a token without a signature, or one whose
    signature uses a public key as a secret, is not valid (RFC 8725 sections 3.1 and 3.2).

    Arguments:
        keys: any of them may have signed a token.
        audience: that a token must name; empty for tokens that name none.
    """

    def __init__(self, keys: Sequence[Key], audience: str = "") -> None:
        self._keys = keys
        self._audience = audience

    def verify(self, token: str) -> Identity:
        """Return the token's user, and when a connection with this token ends.

        Raises:
            TokenError: the token is not valid.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenError(f"the token is over {MAX_TOKEN_LENGTH} characters; give it fewer claims")
        if not token.isascii():
            raise TokenError(_NO_TOKEN)
        try:
            claims = self._decode(token)
            user, expires = claims["sub"], claims["exp"]
        except Exception as error:
            # A token is a stranger's text: whatever it makes the library raise, it is not valid.
            problem = next((text for kind, text in _PROBLEMS if isinstance(error, kind)), _NO_TOKEN)
            raise TokenError(problem) from None
        if not is_user_name(user):
            raise TokenError(f"the token's sub is not 1 to {MAX_USER_LENGTH} printable characters")
        # The library also takes texts such as "9_999"; a NumericDate is a number (RFC 7519 section 2).
        if not isinstance(expires, int | float):
            raise TokenError("the token's exp is not a number")
        return Identity(user, float(min(expires, LAST_EXPIRY)) + LEEWAY_S)

    def _decode(self, token: str) -> dict[str, Any]:
        id_ = jwt.get_unverified_header(token).get("kid")
        error: Exception | None = None
        for key in self._keys:
            if id_ is not None and key.id is not None and key.id != id_:
                continue
            try:
                return jwt.decode(
                    token,
                    key.value,
                    algorithms=[key.algorithm],
                    audience=self._audience or None,
                    leeway=LEEWAY_S,
                    options={"require": ["exp", "sub"]},
                )
            except (exceptions.InvalidSignatureError, exceptions.InvalidAlgorithmError) as other_key:
                if error is None or isinstance(other_key, exceptions.InvalidSignatureError):
                    error = other_key
        raise error or exceptions.InvalidSignatureError


def load_verifier(settings: Settings) -> TokenVerifier | None:
    """Return the verifier of the settings; None where they have no key.

    Raises:
        SettingError: the file of keys cannot be used.
    """
    if settings.secret:
        return TokenVerifier([Key("HS256", settings.secret.encode())], settings.audience)
    if settings.jwks:
        return TokenVerifier(_read_keys(settings.jwks), settings.audience)
    return None


def _read_keys(path: str) -> list[Key]:
    try:
        content = json.loads(Path(path).read_bytes())
    except OSError as error:
        raise _error(path, f"a readable file ({error.strerror})") from error
    except ValueError as error:
        raise _error(path, f'a file with JSON such as {{"keys": [...]}} ({error})') from error
    found = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(found, list) or not all(isinstance(key, dict) for key in found):
        raise _error(path, 'a file with JSON such as {"keys": [...]}')
    if any(_PRIVATE & set(key) for key in found):
        raise _error(path, "a file with public keys only: it has a private key or a secret")
    keys = [key for data in found if (key := _read_key(path, data)) is not None]
    if not keys:
        raise _error(path, "a file with a key for RS256 (RSA), ES256 (P-256) or EdDSA (Ed25519)")
    return keys


def _read_key(path: str, data: dict[str, Any]) -> Key | None:
    """Return a key of the file; None for one that is not for signatures, or for another algorithm."""
    algorithm = _ALGORITHMS.get((str(data.get("kty")), str(data.get("crv", ""))))
    if algorithm is None or data.get("use", "sig") != "sig" or data.get("alg", algorithm) != algorithm:
        return None
    try:
        key = Key(algorithm, jwt.PyJWK(data, algorithm).key, data.get("kid"))
    except exceptions.MissingCryptographyError as error:
        raise _error(path, "it only with the extra: pip install 'rtdemo[jwks]'") from error
    except (exceptions.PyJWTError, ValueError, TypeError) as error:
        raise _error(path, f"a file with valid keys ({error})") from error
    if algorithm == "RS256" and key.value.key_size < MIN_RSA_BITS:
        raise _error(path, f"a file with RSA keys of {MIN_RSA_BITS} bits or more")
    return key


def _error(path: str, allowed: str) -> SettingError:
    return SETTINGS["jwks"].error(path, allowed=allowed)
