//! What a mask under a key would have to show, for a text that leaked to be its work.

use crate::pure::mask::text::FULL;
use crate::pure::mask::Mask;
use crate::pure::plaintext::Value;

/// The value that the mask shows where this text was copied from; `None` for a text that it never shows, and for masks that say
/// nothing of the row: unkeyed ones and `hash_bucket`.
///
/// Case and blanks around base32, numbers and uuids are disregarded: they get lost in spreadsheets and tickets.
pub fn shown_as(mask: &Mask, text: &str) -> Option<Value> {
    let word = text.trim();
    match mask {
        Mask::Pseudonym { length, .. } => {
            let word = word.to_ascii_lowercase();
            let base32 = word.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
            (base32 && word.len() == usize::from(*length)).then_some(Value::Text(word))
        }
        Mask::PseudonymInt { bits: 32 } => word.parse().ok().map(Value::Int4),
        Mask::PseudonymInt { .. } => word.parse().ok().map(Value::Int8),
        Mask::PseudonymUuid => {
            let hex: String = word.chars().filter(|c| !matches!(c, '-' | '{' | '}')).collect();
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
            Some(Value::Uuid(bytes.try_into().ok()?))
        }
        // of any text over any alphabet, but for what it shows of all those that it has no way to exchange
        Mask::Fpe { .. } if text != FULL => Some(Value::Text(text.to_owned())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::mask::Alphabet;

    #[test]
    fn each_mask_takes_what_it_can_have_made() {
        let base32 = "abcdefghijklmnopqrstuvw234";
        let long = Mask::Pseudonym { length: 26, fold: false };
        let short = Mask::Pseudonym { length: 16, fold: true };
        assert!(shown_as(&long, &format!(" {} \n", base32.to_uppercase())) == Some(Value::Text(base32.into())));
        assert!(shown_as(&short, base32).is_none(), "of another length");
        assert!(shown_as(&short, "abcdefghijklmno1").is_none(), "no base32");
        let int = Mask::PseudonymInt { bits: 64 };
        assert!(shown_as(&int, " -9223372036854775808") == Some(Value::Int8(i64::MIN)));
        assert!(shown_as(&int, "x").is_none());
        assert!(shown_as(&Mask::PseudonymInt { bits: 32 }, "4294967296").is_none());
        let uuid = shown_as(&Mask::PseudonymUuid, "{00112233-4455-8677-8899-AABBCCDDEEFF}");
        assert!(
            uuid == Some(Value::Uuid([
                0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x86, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff
            ]))
        );
        assert!(shown_as(&Mask::PseudonymUuid, "0011").is_none());
        let fpe = Mask::Fpe { alphabet: Alphabet::Digits };
        assert!(shown_as(&fpe, " 12 ") == Some(Value::Text(" 12 ".into())));
        assert!(shown_as(&fpe, FULL).is_none());
        assert!(shown_as(&Mask::HashBucket { buckets: 7 }, "3").is_none());
        assert!(shown_as(&Mask::Nullify, base32).is_none());
    }
}
