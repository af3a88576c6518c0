"""asyncpg: the extended protocol with prepared statements and binary parameters; it wants str for an encrypted column,
and has no encoder for one in COPY, which it speaks in binary only: rows go in by way of its text COPY of a stream.
"""
import asyncio
import io

import asyncpg

from scenario import COLUMNS, DATABASE, HOST, PORT, TABLE, USER, binary_fields, ciphertext, copied, done, tags, texts, typed

INSERT = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
TYPED = f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ($1, $2::text, $3::text, $4::date, $5::numeric, $6::int, $7::bytea)"


async def main():
    db = await asyncpg.connect(host=HOST, port=PORT, user=USER, database=DATABASE)
    await db.execute(INSERT, *texts(1))
    done("text parameters", 1)
    await db.execute(TYPED, *typed(2))
    done("typed parameters", 2)
    await db.execute(INSERT, 3, *[None] * 6)
    done("null", 3)
    number, ssn, note, born, pay, n, doc = texts(4)
    await db.execute(f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({number}, '{ssn}', '{note}', '{born}', '{pay}', {n}, '{doc}')")
    done("simple protocol", 4)
    statement = await db.prepare(INSERT)
    for i in (5, 6, 7):
        await statement.fetch(*texts(i))
    done("prepared", 5, 6, 7)
    await db.executemany(TYPED, [typed(i) for i in (8, 9, 10)])
    done("many", 8, 9, 10)
    lines = io.BytesIO((copied(11) + copied(12)).encode())
    columns = [*COLUMNS.split(", "), "tags"]
    await db.copy_to_table("of_driver", schema_name="public", source=lines, columns=columns, format="text")
    done("copy in, text", 11, 12)
    await db.execute(f"INSERT INTO {TABLE} (id, tags) VALUES ($1, $2::text[])", 15, tags(15))
    await db.execute(f"INSERT INTO {TABLE} (id, tags) VALUES ($1, $2)", 16, tags(16))
    done("arrays", 15, 16)

    raw = await db.fetchrow(f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 2")
    assert raw[0] == 2 and all(map(ciphertext, list(raw)[1:])), raw
    done("raw column")
    for i in (1, 2, 4, 5, 8, 11):
        row = await db.fetchrow(f"""SELECT id, ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date),
            airlock.decrypt(pay, NULL::numeric), airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea)
            FROM {TABLE} WHERE id = $1""", i)
        assert tuple(row) == typed(i), (i, row)
    done("decrypt")
    assert await db.fetchval(f"SELECT id FROM {TABLE} WHERE ssn = $1", "ssn-8") == 8
    assert await db.fetchval(f"SELECT id FROM {TABLE} WHERE ssn = $1::text", "ssn-9") == 9
    done("where")
    out = io.BytesIO()
    await db.copy_from_query(f"SELECT ssn, note FROM {TABLE} WHERE ssn IS NOT NULL", output=out)
    rows = [line.split("\t") for line in out.getvalue().decode().splitlines()]
    assert len(rows) > 8 and all(ciphertext(v) for row in rows for v in row), rows[:2]
    done("copy out, text")
    out = io.BytesIO()
    await db.copy_from_table("of_driver", schema_name="public", columns=["ssn", "note"], output=out, format="binary")
    rows = [row for row in binary_fields(out.getvalue()) if row[0] is not None]
    assert len(rows) > 8 and all(v[0] == 0xE1 for row in rows for v in row), rows[:2]
    done("copy out, binary")
    try:
        await db.execute(f"UPDATE {TABLE} SET ssn = $1 WHERE id = 1", raw["ssn"])
        raise AssertionError("ciphertext was taken for plaintext")
    except asyncpg.PostgresError as e:
        assert e.sqlstate == "22P02" and e.hint, e
    done("ciphertext refused")


asyncio.run(main())
