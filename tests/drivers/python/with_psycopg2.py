"""psycopg 2: parameters are literals of the simple protocol; statements are prepared by SQL."""
import io

import psycopg2
import psycopg2.extras

from scenario import COLUMNS, DATABASE, HOST, PORT, TABLE, USER, binary_fields, ciphertext, copied, done, tags, texts, typed

INSERT = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s)"


def main():
    db = psycopg2.connect(host=HOST, port=PORT, user=USER, dbname=DATABASE)
    db.autocommit = True
    cursor = db.cursor()
    cursor.execute(INSERT, texts(1))
    done("text parameters", 1)
    cursor.execute(INSERT, typed(2))
    done("typed parameters", 2)
    cursor.execute(INSERT, (3, *[None] * 6))
    done("null", 3)
    cursor.execute("PREPARE untyped AS " + INSERT.replace("%s", "${}").format(*range(1, 8)))
    cursor.execute("PREPARE typed (int, text, text, date, numeric, int, bytea) AS " + INSERT.replace("%s", "${}").format(*range(1, 8)))
    cursor.execute("EXECUTE untyped (%s, %s, %s, %s, %s, %s, %s)", texts(5))
    for i in (6, 7):
        cursor.execute("EXECUTE typed (%s, %s, %s, %s, %s, %s, %s)", typed(i))
    done("prepared", 5, 6, 7)
    cursor.executemany(INSERT, [typed(i) for i in (8, 9)])
    psycopg2.extras.execute_values(cursor, f"INSERT INTO {TABLE} ({COLUMNS}) VALUES %s", [texts(10)])
    done("many", 8, 9, 10)
    cursor.copy_expert(f"COPY {TABLE} ({COLUMNS}, tags) FROM STDIN", io.StringIO(copied(11) + copied(12)))
    done("copy in, text", 11, 12)
    cursor.execute(f"INSERT INTO {TABLE} (id, tags) VALUES (%s, %s)", (15, tags(15)))
    done("arrays", 15)

    cursor.execute(f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 2")
    raw = cursor.fetchone()
    assert raw[0] == 2 and all(map(ciphertext, raw[1:])), raw
    done("raw column")
    for i in (1, 2, 5, 6, 8, 10, 11):
        cursor.execute(f"""SELECT id, ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date), airlock.decrypt(pay, NULL::numeric),
            airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea) FROM {TABLE} WHERE id = %s""", (i,))
        *rest, doc = cursor.fetchone()
        assert (*rest, bytes(doc)) == typed(i), i
    done("decrypt")
    cursor.execute(f"SELECT id FROM {TABLE} WHERE ssn = %s", ("ssn-8",))
    assert cursor.fetchall() == [(8,)]
    cursor.execute(f"SELECT id FROM {TABLE} WHERE ssn IN %s ORDER BY id", (("ssn-8", "ssn-9"),))
    assert cursor.fetchall() == [(8,), (9,)]
    done("where")
    out = io.StringIO()
    cursor.copy_expert(f"COPY {TABLE} (ssn, note) TO STDOUT", out)
    rows = [line.split("\t") for line in out.getvalue().splitlines() if not line.startswith("\\N")]
    assert len(rows) > 8 and all(ciphertext(v) for row in rows for v in row), rows[:2]
    done("copy out, text")
    out = io.BytesIO()
    cursor.copy_expert(f"COPY {TABLE} (ssn, note) TO STDOUT (FORMAT binary)", out)
    rows = [row for row in binary_fields(out.getvalue()) if row[0] is not None]
    assert len(rows) > 8 and all(v[0] == 0xE1 for row in rows for v in row), rows[:2]
    done("copy out, binary")
    try:
        cursor.execute(f"UPDATE {TABLE} SET ssn = %s WHERE id = 1", (raw[1],))
        raise AssertionError("ciphertext was taken for plaintext")
    except psycopg2.Error as e:
        assert e.pgcode == "22P02" and e.diag.message_hint, e
    done("ciphertext refused")


main()
