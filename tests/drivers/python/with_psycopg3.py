"""psycopg 3: server-side binding in text and binary, the simple protocol by the client-side cursor, pipelines, COPY."""
import psycopg

from scenario import COLUMNS, DATABASE, HOST, PORT, TABLE, USER, binary_fields, ciphertext, copied, done, tags, texts, typed

INSERT = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"
BINARY = INSERT.replace("%s", "%b")


def main():
    db = psycopg.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE, autocommit=True)
    db.execute(INSERT, texts(1))
    done("text parameters", 1)
    db.execute(INSERT, typed(2))
    done("typed parameters", 2)
    db.execute(INSERT, (3, *[None] * 6))
    done("null", 3)
    psycopg.ClientCursor(db).execute(INSERT, typed(4))
    done("simple protocol", 4)
    for i in (5, 6, 7):
        db.execute(INSERT, typed(i), prepare=True)
    done("prepared", 5, 6, 7)
    with db.cursor() as cursor:
        cursor.executemany(INSERT, [typed(i) for i in (8, 9, 10)])
    done("many", 8, 9, 10)
    with db.cursor() as cursor, cursor.copy(f"COPY {TABLE} ({COLUMNS}, tags) FROM STDIN") as copy:
        copy.write(copied(11))
        copy.write_row((*texts(12), "{a12,NULL,b12}"))
    done("copy in, text", 11, 12)
    with db.cursor() as cursor, cursor.copy(f"COPY {TABLE} ({COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4"] + ["text"] * 6)
        copy.write_row(texts(13))
        copy.write_row(texts(14))
    done("copy in, binary", 13, 14)
    db.execute(f"INSERT INTO {TABLE} (id, tags) VALUES (%s, %s)", (15, tags(15)))
    db.execute(f"INSERT INTO {TABLE} (id, tags) VALUES (%b, %b::text[])", (16, tags(16)))
    done("arrays", 15, 16)
    db.execute(BINARY, typed(17))
    db.execute(BINARY, texts(18))
    done("binary parameters", 17, 18)

    for binary in (False, True):
        cursor = db.cursor(binary=binary)
        raw = cursor.execute(f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 2").fetchone()
        assert raw[0] == 2 and all(map(ciphertext, raw[1:])), raw
        opened = f"""SELECT id, ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date), airlock.decrypt(pay, NULL::numeric),
            airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea) FROM {TABLE} WHERE id = %s"""
        for i in (1, 2, 5, 8, 11, 13, 17):
            assert cursor.execute(opened, (i,)).fetchone() == typed(i), i
        found = cursor.execute(f"SELECT id FROM {TABLE} WHERE ssn = %s", ("ssn-8",)).fetchall()
        assert found == [(8,)], found
        found = cursor.execute(f"SELECT id FROM {TABLE} WHERE ssn = ANY(%s)", (["ssn-8", "ssn-9"],)).fetchall()
        assert sorted(found) == [(8,), (9,)], found
    done("raw column")
    done("decrypt")
    done("where")
    with db.cursor().copy(f"COPY {TABLE} (ssn, note) TO STDOUT") as copy:
        rows = [row for row in copy.rows() if row[0] is not None]
        assert len(rows) > 10 and all(ciphertext(v) for row in rows for v in row), rows[:2]
    done("copy out, text")
    with db.cursor().copy(f"COPY {TABLE} (ssn, note) TO STDOUT (FORMAT binary)") as copy:
        rows = [row for row in binary_fields(b"".join(copy)) if row[0] is not None]
        assert len(rows) > 10 and all(v[0] == 0xE1 for row in rows for v in row), rows[:2]
    done("copy out, binary")
    raw = db.execute(f"SELECT ssn FROM {TABLE} WHERE id = 1").fetchone()[0]
    try:
        db.execute(f"UPDATE {TABLE} SET ssn = %s WHERE id = 1", (raw,))
        raise AssertionError("ciphertext was taken for plaintext")
    except psycopg.Error as e:
        assert e.sqlstate == "22P02" and e.diag.message_hint, e
    done("ciphertext refused")


main()
