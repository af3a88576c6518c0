//! Stored values, read by their layout (docs/format.md section 3) and not by the library's own reader.

use super::{decoded, Form};

/// The bytes of a stored value from its text; what is wrong with it if it is none of this type.
pub fn value_bytes(text: &str, form: Form) -> Result<Vec<u8>, String> {
    let bytes = decoded(text).ok_or_else(|| format!("no ciphertext is stored but {text}"))?;
    let magic = *bytes.first().ok_or("nothing is stored")?;
    if magic != 0xE1 {
        return Err(format!("the first byte stored is {magic:#x}"));
    }
    let tagged = bytes[1] & 1 != 0;
    if tagged != (form == Form::Searchable) {
        return Err(format!("a value of {form:?} with flags {:#x}", bytes[1]));
    }
    Ok(bytes)
}

/// The nonce in a stored value.
pub fn nonce(bytes: &[u8]) -> &[u8] {
    let tag = match bytes[1] & 0b10_0001 {
        0 => 0,
        1 => 8,
        _ => 16,
    };
    &bytes[6 + tag..6 + tag + 24]
}
