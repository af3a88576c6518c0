//! tokio-postgres, and its blocking sister `postgres`. Parameters are binary and of the type that the server chose: one
//! of an encrypted type is text to Rust, so it goes as `Sealed`, or is cast where it is used.

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{pin_mut, SinkExt as _, TryStreamExt as _};
use postgres::types::{to_sql_checked, FromSql, IsNull, Kind, ToSql, Type};
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error + Sync + Send>>;

const TABLE: &str = "public.of_driver";
const COLUMNS: &str = "id, ssn, note, born, pay, n, doc";

/// Text for a parameter of an encrypted type.
#[derive(Debug)]
struct Sealed(String);

impl ToSql for Sealed {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(ty.name(), "encrypted" | "encrypted_eq")
    }

    to_sql_checked!();
}

/// What a column of an encrypted type is read as: the bytes of a stored value.
struct Stored(Vec<u8>);

impl<'a> FromSql<'a> for Stored {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Stored> {
        Ok(Stored(raw.to_vec()))
    }

    fn accepts(ty: &Type) -> bool {
        Sealed::accepts(ty) && *ty.kind() == Kind::Simple
    }
}

fn born(i: i32) -> String {
    // the rows used here stay in 1980's first month
    format!("1980-01-{:02}", 1 + i)
}

fn doc(i: i32) -> String {
    format!("\\x00{i:02x}ff")
}

fn texts(i: i32) -> [String; 6] {
    [format!("ssn-{i}"), format!("Zoë {i}"), born(i), format!("{i}.50"), (7 * i).to_string(), doc(i)]
}

fn copied(i: i32) -> String {
    let [ssn, note, born, pay, n, doc] = texts(i);
    format!("{i}\t{ssn}\t{note}\t{born}\t{pay}\t{n}\t\\{doc}\t{{a{i},NULL,b{i}}}\n")
}

fn done(what: &str, ids: &[i32]) {
    let ids: String = ids.iter().map(|i| format!("\t{i}")).collect();
    println!("{what}{ids}");
}

fn parameters<'a>(i: &'a i32, sealed: &'a [Sealed]) -> Vec<&'a (dyn ToSql + Sync)> {
    let mut all: Vec<&(dyn ToSql + Sync)> = vec![i];
    all.extend(sealed.iter().map(|s| s as &(dyn ToSql + Sync)));
    all
}

async fn asynchronous(config: &str) -> Result<()> {
    let config: tokio_postgres::Config = config.parse()?;
    let (db, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let insert = format!("INSERT INTO {TABLE} ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    db.execute(&insert, &parameters(&1, &texts(1).map(Sealed))).await?;
    done("text parameters", &[1]);
    let typed = format!("INSERT INTO {TABLE} ({COLUMNS}) VALUES ($1, $2::text, $3::text, $4::text::date, $5::text::numeric, $6::int, $7::bytea)");
    let [ssn, note, born, pay, _, _] = texts(2);
    db.execute(&typed, &[&2, &ssn, &note, &born, &pay, &14, &vec![0_u8, 2, 255]]).await?;
    done("typed parameters", &[2]);
    let none: Option<Sealed> = None;
    db.execute(&insert, &[&3, &none, &none, &none, &none, &none, &none]).await?;
    done("null", &[3]);
    let literals: String = texts(4).iter().map(|t| format!(", '{t}'")).collect();
    db.batch_execute(&format!("INSERT INTO {TABLE} ({COLUMNS}) VALUES (4{literals})")).await?;
    done("simple protocol", &[4]);
    let statement = db.prepare(&insert).await?;
    for i in [5, 6, 7] {
        db.execute(&statement, &parameters(&i, &texts(i).map(Sealed))).await?;
    }
    done("prepared", &[5, 6, 7]);
    let sink = db.copy_in(&format!("COPY {TABLE} ({COLUMNS}, tags) FROM STDIN")).await?;
    pin_mut!(sink);
    sink.send(Bytes::from(copied(11) + &copied(12))).await?;
    sink.finish().await?;
    done("copy in, text", &[11, 12]);
    let ty = db.prepare(&format!("SELECT ssn, note FROM {TABLE}")).await?;
    let (searchable, plain) = (ty.columns()[0].type_().clone(), ty.columns()[1].type_().clone());
    let sink = db.copy_in(&format!("COPY {TABLE} ({COLUMNS}) FROM STDIN (FORMAT binary)")).await?;
    let mut types = vec![Type::INT4, searchable];
    types.resize(7, plain);
    let writer = tokio_postgres::binary_copy::BinaryCopyInWriter::new(sink, &types);
    pin_mut!(writer);
    for i in [13, 14] {
        writer.as_mut().write(&parameters(&i, &texts(i).map(Sealed))).await?;
    }
    writer.finish().await?;
    done("copy in, binary", &[13, 14]);
    let tags = |i: i32| vec![Some(Sealed(format!("a{i}"))), None, Some(Sealed(format!("b{i}")))];
    db.execute(&format!("INSERT INTO {TABLE} (id, tags) VALUES ($1, $2)"), &[&15, &tags(15)]).await?;
    done("arrays", &[15]);

    let raw = db.query_one(&format!("SELECT {COLUMNS} FROM {TABLE} WHERE id = 2"), &[]).await?;
    for i in 1..7 {
        assert_eq!(raw.try_get::<_, Stored>(i)?.0[0], 0xE1);
    }
    done("raw column", &[]);
    let opened = format!(
        "SELECT ssn::text, airlock.decrypt(note), airlock.decrypt(born), airlock.decrypt(pay), airlock.decrypt(n, NULL::int),
           airlock.decrypt(doc, NULL::bytea) FROM {TABLE} WHERE id = $1"
    );
    for i in [1, 2, 4, 5, 11, 13] {
        let row = db.query_one(&opened, &[&i]).await?;
        let [ssn, note, born, pay, _, _] = texts(i);
        let found: [String; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
        assert_eq!(found, [ssn, note, born, pay]);
        assert_eq!((row.get::<_, i32>(4), row.get::<_, Vec<u8>>(5)), (7 * i, vec![0, i as u8, 255]));
    }
    done("decrypt", &[]);
    let found = db.query_one(&format!("SELECT id FROM {TABLE} WHERE ssn = $1"), &[&Sealed("ssn-5".into())]).await?;
    assert_eq!(found.get::<_, i32>(0), 5);
    let found = db.query(&format!("SELECT id FROM {TABLE} WHERE ssn = $1::text ORDER BY id"), &[&"ssn-6"]).await?;
    assert_eq!(found.iter().map(|r| r.get::<_, i32>(0)).collect::<Vec<_>>(), [6]);
    done("where", &[]);
    let out = db.copy_out(&format!("COPY (SELECT ssn FROM {TABLE} WHERE ssn IS NOT NULL) TO STDOUT")).await?;
    let lines = out.try_collect::<Vec<_>>().await?.concat();
    let lines = String::from_utf8(lines)?;
    assert!(lines.lines().count() > 8 && lines.lines().all(|l| l.starts_with("airlock:1:4Q")));
    done("copy out, text", &[]);
    let out =
        db.copy_out(&format!("COPY (SELECT ssn FROM {TABLE} WHERE ssn IS NOT NULL) TO STDOUT (FORMAT binary)")).await?;
    let rows = tokio_postgres::binary_copy::BinaryCopyOutStream::new(out, &types[1..2]);
    let rows = rows.try_collect::<Vec<_>>().await?;
    assert!(rows.len() > 8);
    for row in rows {
        assert_eq!(row.try_get::<Stored>(0)?.0[0], 0xE1);
    }
    done("copy out, binary", &[]);
    let text: String = db.query_one(&format!("SELECT format('%s', ssn) FROM {TABLE} WHERE id = 1"), &[]).await?.get(0);
    let update = format!("UPDATE {TABLE} SET ssn = $1 WHERE id = 1");
    let error = db.execute(&update, &[&Sealed(text)]).await.expect_err("ciphertext was taken for plaintext");
    let error = error.as_db_error().ok_or("no error of the server")?;
    assert!(error.code().code() == "22P02" && error.hint().is_some(), "{error:?}");
    done("ciphertext refused", &[]);
    Ok(())
}

fn main() -> Result<()> {
    let of = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let (host, port, user, database) = (of("PGHOST")?, of("PGPORT")?, of("PGUSER")?, of("PGDATABASE")?);
    let config = format!("host={host} port={port} user={user} dbname={database}");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(asynchronous(&config))?;

    let mut db = postgres::Client::connect(&config, postgres::NoTls)?;
    let insert = format!("INSERT INTO {TABLE} ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    let mut transaction = db.transaction()?;
    for i in [19, 20] {
        transaction.execute(&insert, &parameters(&i, &texts(i).map(Sealed)))?;
    }
    transaction.commit()?;
    done("blocking", &[19, 20]);
    Ok(())
}
