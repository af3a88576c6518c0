"""The canonical bytes of each plaintext type (docs/format.md section 4), as bytes → text and the bytes of match tags."""
import re
import struct
import uuid

from airlock_format import Refused, shortest, shortest_in_json

TYPES = [
    "boolean", "smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "date",
    "timestamp without time zone", "timestamp with time zone", "uuid", "jsonb", "bytea",
]
CODES = {name: code for code, name in enumerate(TYPES, 1)}
# types of variable width are padded, and no others
VARIABLE = {"numeric", "text", "jsonb", "bytea"}
WIDTHS = {
    "boolean": 1, "smallint": 2, "integer": 4, "bigint": 8, "real": 4, "double precision": 8, "date": 4,
    "timestamp without time zone": 8, "timestamp with time zone": 8, "uuid": 16,
}
NAN = {"real": "7fc00000", "double precision": "7ff8000000000000"}
NUMERIC = re.compile(r"(-?)(0|[1-9][0-9]*)(\.[0-9]+)?|NaN|-?Infinity")


def day(days):
    """A day number since 2000-01-01 in the proleptic Gregorian calendar."""
    z = days + 730425
    era, doe = divmod(z, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    month = (5 * doy + 2) // 153
    d = doy - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    year = yoe + era * 400 + (month <= 2)
    text, before_christ = (f"{year:04}", "") if year > 0 else (f"{1 - year:04}", " BC")
    return f"{text}-{month:02}-{d:02}", before_christ


def date(n):
    if n in (-2**31, 2**31 - 1):
        return "-infinity" if n < 0 else "infinity"
    return "".join(day(n))


def timestamp(n, zone):
    if n in (-2**63, 2**63 - 1):
        return "-infinity" if n < 0 else "infinity"
    days, rest = divmod(n, 86_400_000_000)
    seconds, micro = divmod(rest, 1_000_000)
    fraction = f".{micro:06}".rstrip("0") if micro else ""
    text, before_christ = day(days)
    return f"{text} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}{zone}{before_christ}"


def packs_to(code, text, plain):
    """Whether this number has these bytes; one digit less may round to what no float holds."""
    try:
        return struct.pack(code, float(text)) == plain
    except OverflowError:
        return False


def floating(plain, name):
    width, code, digits = (4, ">f", 6) if name == "real" else (8, ">d", 15)
    if plain == struct.pack(code, 0.0)[:1].replace(b"\0", b"\x80") + bytes(width - 1):
        raise Refused("a negative zero")
    x = struct.unpack(code, plain)[0]
    if x != x:
        if plain.hex() != NAN[name]:
            raise Refused("a NaN that is not the one")
        return "NaN"
    if x in (float("inf"), float("-inf")):
        return "Infinity" if x > 0 else "-Infinity"
    # the fewest digits that give the same bytes, as PostgreSQL prints them
    text = next(t for p in range(17) if packs_to(code, t := f"{x:.{p}e}", plain))
    mantissa, exponent = text.split("e")
    exponent = int(exponent)
    if exponent < -4 or exponent >= digits:
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{exponent:+03}"
    places = max(len(mantissa.lstrip("-").replace(".", "")) - 1 - exponent, 0)
    text = f"{x:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decode(name, plain):
    """The text that `airlock.decrypt` gives, and the canonical bytes that a tag is made of."""
    width = WIDTHS.get(name)
    if width is not None and len(plain) != width:
        raise Refused(f"{len(plain)} bytes are no {name}")
    integer = int.from_bytes(plain, "big", signed=True)
    if name == "boolean":
        if integer not in (0, 1):
            raise Refused("not a boolean")
        return "true" if integer else "false", plain
    if name in ("smallint", "integer", "bigint"):
        return str(integer), plain
    if name in ("real", "double precision"):
        return floating(plain, name), plain
    if name == "date":
        return date(integer), plain
    if name.startswith("timestamp"):
        return timestamp(integer, "+00" if name.endswith("with time zone") else ""), plain
    if name == "uuid":
        return str(uuid.UUID(bytes=plain)), plain
    if name == "bytea":
        return "\\x" + plain.hex(), plain
    text = plain.decode("utf-8")
    if name == "numeric":
        found = NUMERIC.fullmatch(text)
        if not found or found[1] and set(text) <= set("-0."):
            raise Refused("a number in another spelling")
        return text, shortest(text).encode()
    if name == "jsonb":
        return text, shortest_in_json(text).encode()
    return text, plain
