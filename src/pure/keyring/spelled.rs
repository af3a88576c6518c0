//! Whether a text spells a key: how a leak would look in a catalog, a log or a plan.

use super::{RootKey, Secret};
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the base64 of a secret without its padding.
const BASE64_LEN: usize = 43;
/// Most bytes of a secret as decimal numbers with a space between: `-128` is the longest.
const DECIMAL_LEN: usize = 32 * 5;

/// A secret in the spellings that texts use. Of fixed size, so that it can lie where keys do.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Spelled {
    lower: [u8; 64],
    upper: [u8; 64],
    base64: [u8; BASE64_LEN],
    /// As PostgreSQL prints bytes of a datum: signed where the machine's `char` is, which is most.
    signed: ([u8; DECIMAL_LEN], usize),
    unsigned: ([u8; DECIMAL_LEN], usize),
}

impl Spelled {
    /// Of a version of a key.
    pub fn secret(secret: &Secret) -> Self {
        let bytes = &secret.0;
        let mut spelled = Spelled {
            lower: [0; 64],
            upper: [0; 64],
            base64: [0; BASE64_LEN],
            signed: ([0; DECIMAL_LEN], 0),
            unsigned: ([0; DECIMAL_LEN], 0),
        };
        HEXLOWER.encode_mut(bytes, &mut spelled.lower);
        HEXUPPER.encode_mut(bytes, &mut spelled.upper);
        let mut padded = [0; 44];
        BASE64.encode_mut(bytes, &mut padded);
        spelled.base64.copy_from_slice(&padded[..BASE64_LEN]);
        padded.zeroize();
        for byte in bytes {
            decimal(&mut spelled.unsigned, i16::from(*byte));
            decimal(&mut spelled.signed, i16::from(*byte as i8));
        }
        spelled
    }

    /// Of the root key.
    pub fn root(root: &RootKey) -> Self {
        Self::secret(&root.0)
    }

    /// Whether the text holds one of the spellings.
    pub fn is_in(&self, text: &str) -> bool {
        let found = |spelling: &[u8]| std::str::from_utf8(spelling).is_ok_and(|s| text.contains(s));
        let numbers = [&self.signed, &self.unsigned].into_iter().map(|(bytes, length)| &bytes[..*length]);
        [&self.lower[..], &self.upper, &self.base64].into_iter().chain(numbers).any(found)
    }
}

/// Adds a number, a space before all but the first.
fn decimal((bytes, length): &mut ([u8; DECIMAL_LEN], usize), number: i16) {
    let first = *length == 0;
    let mut put = |byte: u8| {
        bytes[*length] = byte;
        *length += 1;
    };
    if !first {
        put(b' ');
    }
    if number < 0 {
        put(b'-');
    }
    let magnitude = number.unsigned_abs();
    for power in [100, 10, 1] {
        if magnitude >= power || power == 1 {
            put(b'0' + (magnitude / power % 10) as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret {
        Secret::new(std::array::from_fn(|i| (i * 37 + 5) as u8))
    }

    fn spellings() -> Vec<String> {
        let bytes: Vec<u8> = (0..32).map(|i| (i * 37 + 5) as u8).collect();
        let numbers = |signed: bool| {
            let one = |b: &u8| if signed { (*b as i8).to_string() } else { b.to_string() };
            bytes.iter().map(one).collect::<Vec<_>>().join(" ")
        };
        vec![
            HEXLOWER.encode(&bytes),
            HEXUPPER.encode(&bytes),
            BASE64.encode(&bytes),
            format!("[ {} ]", numbers(true)),
            numbers(true),
            format!("[ {} ]", numbers(false)),
        ]
    }

    #[test]
    fn each_spelling_is_found() {
        let spelled = Spelled::secret(&key());
        for spelling in spellings() {
            assert!(spelled.is_in(&format!("before {spelling} after")), "{spelling}");
            assert!(Spelled::root(&RootKey(key())).is_in(&spelling), "{spelling}");
        }
    }

    #[test]
    fn another_key_is_not() {
        let spelled = Spelled::secret(&Secret::new([7; 32]));
        for spelling in spellings() {
            assert!(!spelled.is_in(&spelling), "{spelling}");
        }
        assert!(!spelled.is_in(""));
    }
}
