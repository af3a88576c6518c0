// node-postgres: parameters as text of a type that the server chooses, named statements, text arrays, COPY by streams.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import copy from 'pg-copy-streams'

const TABLE = 'public.of_driver'
const COLUMNS = 'id, ssn, note, born, pay, n, doc'
const INSERT = `INSERT INTO ${TABLE} (${COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)`

const born = (i) => new Date(Date.UTC(1980, 0, 1 + i)).toISOString().slice(0, 10)
const doc = (i) => Buffer.from([0, i, 255])
const texts = (i) => [i, `ssn-${i}`, `Zoë ${i}`, born(i), `${i}.50`, `${7 * i}`, '\\x' + doc(i).toString('hex')]
const tags = (i) => [`a${i}`, null, `b${i}`]
const copied = (i) => texts(i).slice(0, 6).join('\t') + `\t\\${texts(i)[6]}\t{a${i},NULL,b${i}}\n`
const done = (what, ...ids) => console.log([what, ...ids].join('\t'))
const ciphertext = (v) => typeof v === 'string' && v.startsWith('airlock:1:4Q')

// dates as text: the driver's own Date has a time zone
pg.types.setTypeParser(1082, (v) => v)
const db = new pg.Client()
await db.connect()

await db.query(INSERT, texts(1))
done('text parameters', 1)
// a number, a Buffer and a Date are cast where they are used
await db.query(
  `INSERT INTO ${TABLE} (${COLUMNS}) VALUES ($1, $2, $3::text, $4::date, $5::numeric, $6::int, $7::bytea)`,
  [2, 'ssn-2', 'Zoë 2', born(2), 2.5, 14, doc(2)].map((v) => (v === 2.5 ? '2.50' : v)))
done('typed parameters', 2)
await db.query(INSERT, [3, null, null, null, null, null, null])
done('null', 3)
const literals = texts(4).map((v) => (typeof v === 'string' ? db.escapeLiteral(v) : v))
await db.query(`INSERT INTO ${TABLE} (${COLUMNS}) VALUES (${literals.join(', ')})`)
done('simple protocol', 4)
for (const i of [5, 6, 7]) await db.query({ name: 'insert', text: INSERT, values: texts(i) })
done('prepared', 5, 6, 7)
await pipeline(Readable.from([copied(11), copied(12)]), db.query(copy.from(`COPY ${TABLE} (${COLUMNS}, tags) FROM STDIN`)))
done('copy in, text', 11, 12)
await db.query(`INSERT INTO ${TABLE} (id, tags) VALUES ($1, $2)`, [15, tags(15)])
done('arrays', 15)

const raw = (await db.query({ text: `SELECT ${COLUMNS} FROM ${TABLE} WHERE id = 2`, rowMode: 'array' })).rows[0]
assert(raw[0] === 2 && raw.slice(1).every(ciphertext), `${raw}`)
done('raw column')
for (const i of [1, 2, 4, 5, 11]) {
  const text = `SELECT id, ssn::text, airlock.decrypt(note), airlock.decrypt(born, NULL::date), airlock.decrypt(pay, NULL::numeric),
    airlock.decrypt(n, NULL::int), airlock.decrypt(doc, NULL::bytea) FROM ${TABLE} WHERE id = $1`
  const row = (await db.query({ text, values: [i], rowMode: 'array' })).rows[0]
  assert.deepEqual(row, [i, `ssn-${i}`, `Zoë ${i}`, born(i), `${i}.50`, 7 * i, doc(i)])
}
done('decrypt')
const where = async (condition, value) =>
  (await db.query(`SELECT id FROM ${TABLE} WHERE ${condition} ORDER BY id`, [value])).rows.map((r) => r.id)
assert.deepEqual(await where('ssn = $1', 'ssn-5'), [5])
assert.deepEqual(await where('ssn = ANY($1::text[])', ['ssn-5', 'ssn-6']), [5, 6])
done('where')
let out = ''
for await (const chunk of db.query(copy.to(`COPY (SELECT ssn, note FROM ${TABLE} WHERE ssn IS NOT NULL) TO STDOUT`))) out += chunk
const lines = out.trimEnd().split('\n').map((l) => l.split('\t'))
assert(lines.length > 5 && lines.flat().every(ciphertext), out.slice(0, 200))
done('copy out, text')
await assert.rejects(db.query(`UPDATE ${TABLE} SET ssn = $1 WHERE id = 1`, [raw[1]]), (e) => e.code === '22P02' && !!e.hint)
done('ciphertext refused')
await db.end()
