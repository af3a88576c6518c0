"""What each driver writes into `public.of_driver`, and how it says what it did. The server test that started the program
holds the rows against the same formulas, and the list of what was done against what it expects of this driver.
"""
import datetime
import decimal
import os

TABLE = "public.of_driver"
HOST, PORT = os.environ["PGHOST"], int(os.environ["PGPORT"])
USER, DATABASE = os.environ["PGUSER"], os.environ["PGDATABASE"]
COLUMNS = "id, ssn, note, born, pay, n, doc"


def typed(i):
    """Row `i` with values of Python's types."""
    born = datetime.date(1980, 1, 1) + datetime.timedelta(days=i)
    return i, f"ssn-{i}", f"Zoë {i}", born, decimal.Decimal(f"{i}.50"), 7 * i, bytes([0, i, 255])


def texts(i):
    """Row `i` with the encrypted columns as text."""
    number, *rest, doc = typed(i)
    return (number, *map(str, rest), "\\x" + doc.hex())


def tags(i):
    return [f"a{i}", None, f"b{i}"]


def copied(i):
    """Row `i` as a line of COPY, tags included."""
    number, ssn, note, born, pay, n, doc = texts(i)
    return "\t".join([str(number), ssn, note, born, pay, n, "\\" + doc, "{a%d,NULL,b%d}" % (i, i)]) + "\n"


def done(what, *ids):
    print(what, *ids, sep="\t", flush=True)


def ciphertext(value):
    """Whether that is what everybody may read of an encrypted column: the text of a stored value, or its bytes."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        return value[:1] == b"\xe1" or value.startswith(b"airlock:1:4Q")
    return isinstance(value, str) and value.startswith("airlock:1:4Q")


def binary_fields(data):
    """The fields of each row of a binary COPY."""
    assert data[:11] == b"PGCOPY\n\xff\r\n\0", data[:11]
    at, rows = 19, []
    while (count := int.from_bytes(data[at:at + 2], "big", signed=True)) >= 0:
        at += 2
        row = []
        for _ in range(count):
            length = int.from_bytes(data[at:at + 4], "big", signed=True)
            at += 4
            row.append(None if length < 0 else data[at:at + length])
            at += max(length, 0)
        rows.append(row)
    return rows
