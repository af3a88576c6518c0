//! Input, output, receive, send and typmod functions of the two types. Output is always ciphertext.
#![allow(unsafe_code)] // ◆ C strings and StringInfo of the type functions

use super::value::{hushed, to_utf8};
use super::{check_form, ciphertext_given, ddl, refuse_subprocessor, take, Form};
use crate::pg::gucs::{encrypted_input, EncryptedInput};
use crate::pg::keys::ring;
use crate::pg::sys::{varlena, Args, Raw, Sql};
use crate::pure::envelope;
use crate::pure::error::{Error, Kind, Result};
use crate::pure::plaintext::PlainType;
use crate::sql_function;
use pgrx::pg_sys;
use std::ffi::{c_char, CStr, CString};

sql_function!(
    /// `airlock.encrypted_in(cstring, oid, integer)`: a carrier, or a stored value when the typmod is a column's.
    airlock_encrypted_in,
    |args| input(args, Form::Plain)
);
sql_function!(
    /// `airlock.encrypted_eq_in(cstring, oid, integer)`
    airlock_encrypted_eq_in,
    |args| input(args, Form::Searchable)
);
sql_function!(
    /// `airlock.encrypted_recv(internal, oid, integer)`: reads the text form, as drivers send it.
    airlock_encrypted_recv,
    |args| receive(args, Form::Plain)
);
sql_function!(
    /// `airlock.encrypted_eq_recv(internal, oid, integer)`
    airlock_encrypted_eq_recv,
    |args| receive(args, Form::Searchable)
);
sql_function!(
    /// `airlock.encrypted_out(airlock.encrypted)`: the ciphertext's text form, whatever the settings.
    airlock_encrypted_out,
    |args: Args| c_string(&envelope::to_text(&args.bytes(0).unwrap_or_default()))
);
sql_function!(
    /// `airlock.encrypted_send(airlock.encrypted)`: the ciphertext's bytes.
    airlock_encrypted_send,
    |args: Args| Ok(Raw(varlena(&args.bytes(0).unwrap_or_default())))
);
sql_function!(
    /// `airlock.encrypted_typmod_in(cstring[])`: a key's name, or the digits of a key's or column's number. Digits are
    /// not looked up: a dump creates tables before the rows of the catalog arrive.
    airlock_encrypted_typmod_in,
    typmod_in
);
sql_function!(
    /// `airlock.encrypted_typmod_out(integer)`: the number, in parentheses.
    airlock_encrypted_typmod_out,
    |args: Args| c_string(&format!("({})", args.need::<i32>(0, "typmod")?))
);

fn input(args: Args, form: Form) -> Result<Raw> {
    refuse_subprocessor()?;
    let text = args.datum(0).ok_or_else(|| Error::new(Kind::InvalidArgument, "the input is null"))?;
    // SAFETY: a cstring argument ends with a NUL and outlives the call.
    let text = unsafe { CStr::from_ptr(text.cast_mut_ptr::<c_char>()) };
    accept(text.to_bytes(), args.get(2).unwrap_or(-1), form)
}

fn receive(args: Args, form: Form) -> Result<Raw> {
    refuse_subprocessor()?;
    let message = args.datum(0).ok_or_else(|| Error::new(Kind::InvalidArgument, "the input is null"))?;
    let message = message.cast_mut_ptr::<pg_sys::StringInfoData>();
    // SAFETY: an internal argument of a receive function is a StringInfo with cursor ≤ len; the text that
    // pq_getmsgtext gives is palloc'd and of the length that it says.
    unsafe {
        let left = (*message).len - (*message).cursor;
        let rest = std::slice::from_raw_parts(
            (*message).data.add((*message).cursor as usize).cast::<u8>(),
            left.max(0) as usize,
        );
        if envelope::parse(rest).is_ok() {
            // what send wrote: binary COPY, logical replication
            if encrypted_input() == EncryptedInput::Plaintext {
                return Err(ciphertext_given());
            }
            check_form(rest, form)?;
            let stored = varlena(rest);
            (*message).cursor = (*message).len;
            return Ok(Raw(stored));
        }
        let mut length = 0;
        // a byte sequence that is no text would be quoted
        let text = hushed(PlainType::Text, || pg_sys::pq_getmsgtext(message, left, &mut length))?;
        accept(std::slice::from_raw_parts(text.cast::<u8>(), length.max(0) as usize), args.get(2).unwrap_or(-1), form)
    }
}

fn accept(text: &[u8], typmod: i32, form: Form) -> Result<Raw> {
    if ddl::defining() {
        return Err(Error::new(Kind::InvalidObject, "a literal of an encrypted type cannot be stored in a definition").hint(
            "write the literal as text, DEFAULT 'n/a'::text: it is sealed when it is used, and visible in the schema",
        ));
    }
    let taken = to_utf8(text).and_then(|text| take(&text, typmod, form));
    taken.map(|bytes| Raw(varlena(&bytes))).inspect_err(|_| hide_copied_value())
}

/// COPY's error context quotes the value it is reading. An error is about to be raised: take that context away.
fn hide_copied_value() {
    unsafe extern "C-unwind" {
        /// `commands/copyfrom.c`; only its address is used
        fn CopyFromErrorCallback(arg: *mut std::ffi::c_void);
    }
    // SAFETY: the head of the list of callbacks, as any function may push and pop it; whoever catches the error puts
    // back what was there when it began.
    unsafe {
        let top = pg_sys::error_context_stack;
        if !top.is_null() && (*top).callback.is_some_and(|f| f as usize == CopyFromErrorCallback as *const () as usize)
        {
            pg_sys::error_context_stack = (*top).previous;
        }
    }
}

fn c_string(text: &str) -> Result<Raw> {
    let text = CString::new(text).map_err(|_| Error::new(Kind::Corrupt, "a text holds a zero byte"))?;
    // SAFETY: copies a NUL-terminated string into palloc'd memory.
    Ok(Raw(pg_sys::Datum::from(unsafe { pg_sys::pstrdup(text.as_ptr()) })))
}

fn typmod_in(args: Args) -> Result<Sql<i32>> {
    let refused = || {
        Error::new(Kind::InvalidArgument, "an encrypted type takes exactly one key")
            .detail("After the key of airlock.encrypted_eq, 'unique' may follow.")
            .hint("airlock.encrypted('pii'); the keys there are: TABLE airlock.keys")
    };
    let array = args.get::<pgrx::Array<&CStr>>(0).ok_or_else(refused)?;
    let names: Vec<Option<&CStr>> = array.iter().collect();
    // 'unique' matters in a column definition only, which `ddl` rewrites
    let name = match names[..] {
        [Some(name)] => name,
        [Some(name), Some(option)] if option == c"unique" => name,
        _ => return Err(refused()),
    };
    let name = name.to_string_lossy();
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) {
        let number = name.parse::<i32>().ok().filter(|n| *n > 0);
        return number.map(Sql).ok_or_else(refused);
    }
    Ok(Sql(ring::key_by_name(&name)?.key_no))
}
