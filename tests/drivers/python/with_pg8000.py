"""pg8000: the extended protocol, with parameters in text and their types declared."""
import io

import pg8000.native

from scenario import COLUMNS, DATABASE, HOST, PORT, TABLE, USER, binary_fields, ciphertext, copied, done, tags, texts, typed

NAMES = ["id", "ssn", "note", "born", "pay", "n", "doc"]
INSERT = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES (" + ", ".join(":" + n for n in NAMES) + ")"


def named(row):
    return dict(zip(NAMES, row))


def main():
    db = pg8000.native.Connection(USER, database=DATABASE, unix_sock=f"{HOST}/.s.PGSQL.{PORT}")
    db.run(INSERT, **named(texts(1)))
    done("text parameters", 1)
    db.run(INSERT, **named(typed(2)))
    done("typed parameters", 2)
    db.run(INSERT, **named((3, *[None] * 6)))
    done("null", 3)
    literal = [pg8000.native.literal(v) for v in texts(4)]
    db.run(f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({', '.join(literal)})")
    done("simple protocol", 4)
    statement = db.prepare(INSERT)
    for i in (5, 6, 7):
        statement.run(**named(typed(i)))
    done("prepared", 5, 6, 7)
    db.run(f"COPY {TABLE} ({COLUMNS}, tags) FROM STDIN", stream=io.BytesIO((copied(11) + copied(12)).encode()))
    done("copy in, text", 11, 12)
    db.run(f"INSERT INTO {TABLE} (id, tags) VALUES (:id, :tags)", id=15, tags=tags(15))
    done("arrays", 15)

    raw = db.run(f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 2")[0]
    assert raw[0] == 2 and all(map(ciphertext, raw[1:])), raw
    done("raw column")
    for i in (1, 2, 4, 5, 11):
        row = db.run(f"""SELECT id, ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date), airlock.decrypt(pay, NULL::numeric),
            airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea) FROM {TABLE} WHERE id = :id""", id=i)[0]
        assert tuple(row) == typed(i), (i, row)
    done("decrypt")
    assert db.run(f"SELECT id FROM {TABLE} WHERE ssn = :ssn", ssn="ssn-5") == [[5]]
    assert db.run(f"SELECT id FROM {TABLE} WHERE ssn = ANY(:ssn)", ssn=["ssn-5"]) == [[5]]
    done("where")
    out = io.BytesIO()
    db.run(f"COPY {TABLE} (ssn, note) TO STDOUT", stream=out)
    rows = [line.split("\t") for line in out.getvalue().decode().splitlines() if not line.startswith("\\N")]
    assert len(rows) > 5 and all(ciphertext(v) for row in rows for v in row), rows[:2]
    done("copy out, text")
    out = io.BytesIO()
    db.run(f"COPY {TABLE} (ssn, note) TO STDOUT (FORMAT binary)", stream=out)
    rows = [row for row in binary_fields(out.getvalue()) if row[0] is not None]
    assert len(rows) > 5 and all(v[0] == 0xE1 for row in rows for v in row), rows[:2]
    done("copy out, binary")
    try:
        db.run(f"UPDATE {TABLE} SET ssn = :ssn WHERE id = 1", ssn=raw[1])
        raise AssertionError("ciphertext was taken for plaintext")
    except pg8000.native.DatabaseError as e:
        assert e.args[0]["C"] == "22P02" and e.args[0]["H"], e
    done("ciphertext refused")


main()
