"""The bytes of pg_airlock, written from docs/format.md alone: keys, wrapped keys, stored values, match tags, MACs.

The ciphers are those of the package `cryptography` (OpenSSL); nothing here was taken from the library under test.
"""
import base64
import hashlib
import hmac
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TEXT_PREFIX = "airlock:1:"
# section 3: the flags that are read
TAGGED, BOUND, PADDED, WIDE = 0x01, 0x02, 0x08, 0x20


class Refused(Exception):
    """What is not as docs/format.md says."""


def item(x):
    return struct.pack(">I", len(x)) + x


def items(*parts):
    return b"".join(map(item, parts))


def u32(n):
    return struct.pack(">I", n)


def hkdf(secret, info, length=32):
    return HKDF(SHA256(), length, None, info).derive(secret)


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def xaes_open(key, nonce, sealed, aad):
    """XAES-256-GCM: two calls of AES-CMAC give the key of AES-256-GCM, from the first half of the nonce."""

    def half(counter):
        c = CMAC(AES(key))
        c.update(bytes([0, counter]) + b"X" + b"\0" + nonce[:12])
        return c.finalize()

    try:
        return AESGCM(half(1) + half(2)).decrypt(nonce[12:], sealed, aad)
    except InvalidTag:
        raise Refused("does not authenticate") from None


def root_key(data):
    """The content of a root key file: 32 raw bytes, hex or base64."""
    if len(data) == 32:
        return data
    text = data.strip()
    if len(text) == 64:
        return bytes.fromhex(text.decode())
    key = base64.b64decode(text, validate=True)
    if len(text) != 44 or len(key) != 32:
        raise Refused("not a root key of 32 bytes")
    return key


def check_value(root):
    return hkdf(root, b"pg_airlock/check/1", 16)


def catalog_mac(root, label, *parts):
    return mac(hkdf(root, b"pg_airlock/catalog/1"), items(label, *parts))


def unwrap(root, wrapped, use, owner, version, root_generation, commitment):
    """The secret in a row of key_version."""
    if len(wrapped) != 73 or wrapped[0] != 1:
        raise Refused("not a wrapped key")
    aad = items(b"pg_airlock/wrap/1", use.encode(), owner, u32(version), u32(root_generation))
    secret = xaes_open(root, wrapped[1:25], wrapped[25:], aad)
    if not hmac.compare_digest(hkdf(secret, b"pg_airlock/commit/1"), commitment):
        raise Refused("the secret is not the one that its commitment names")
    return secret


class Value:
    """A stored value, taken apart."""

    def __init__(self, text):
        if not text.startswith(TEXT_PREFIX):
            raise Refused("not the text of a stored value")
        body = text[len(TEXT_PREFIX):]
        self.bytes = base64.b64decode(body, validate=True)
        if base64.b64encode(self.bytes).decode() != body:
            raise Refused("not the one spelling of these bytes")
        b = self.bytes
        if len(b) < 6 or b[0] != 0xE1:
            raise Refused("not a stored value of version 1")
        self.flags, self.version_id = b[1], struct.unpack(">I", b[2:6])[0]
        if self.flags & ~(TAGGED | BOUND | PADDED | WIDE) or self.flags & (TAGGED | WIDE) == WIDE:
            raise Refused(f"flags {self.flags:#04x}")
        width = 0 if not self.flags & TAGGED else 16 if self.flags & WIDE else 8
        self.header, rest = b[:6 + width], b[6 + width:]
        self.tag, self.nonce, self.sealed = self.header[6:], rest[:24], rest[24:]
        if len(self.nonce) != 24 or len(self.sealed) < 16:
            raise Refused("cut off")

    def open(self, secret, column_uuid, type_code, bound=None):
        """The plaintext without its padding. `bound` are the canonical bytes of the bound columns, None for NULL."""
        aad = items(b"pg_airlock/value/1", self.header, column_uuid, bytes([type_code]))
        if self.flags & BOUND:
            if bound is None:
                raise Refused("bound to its row, whose columns were not given")
            aad += bound_items(bound)
        plain = xaes_open(hkdf(secret, b"pg_airlock/seal/1"), self.nonce, self.sealed, aad)
        if not self.flags & PADDED:
            return plain, None
        end = plain.rstrip(b"\0")
        if end[-1:] != b"\x80":
            raise Refused("the padding is not as it should be")
        return end[:-1], len(plain)


def bound_items(bound):
    """The associated data of a value that is bound to its row. To be written from docs/format.md once it says how."""
    raise Refused(f"docs/format.md does not say yet how {len(bound)} bound columns are authenticated")


def match_tag(secret, type_code, canonical, width):
    return mac(hkdf(secret, b"pg_airlock/match/1"), bytes([type_code]) + canonical)[:width]


def shortest(number):
    """A decimal number in its shortest form."""
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", number):
        return number
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return "0" if number in ("-0", "") else number


def shortest_in_json(text):
    """The same for each number of a JSON text that stands outside of strings."""
    part = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?', re.S)
    return part.sub(lambda m: m[0] if m[0].startswith('"') else shortest(m[0]), text)
