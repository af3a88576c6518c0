//! The text form of stored values: what the types' output functions give, and dumps hold.

use data_encoding::BASE64;

use super::parse;
use crate::pure::error::{Error, Kind, Result};

/// What the text form starts with; standard base64 (RFC 4648 section 4) with padding follows.
const TEXT_PREFIX: &str = "airlock:1:";

/// The text form of a stored value, as the type's output function gives it: `airlock:1:` and base64.
pub fn to_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(TEXT_PREFIX.len() + BASE64.encode_len(bytes.len()));
    text.push_str(TEXT_PREFIX);
    BASE64.encode_append(bytes, &mut text);
    text
}

/// True for text that would be ciphertext; a plaintext must not start like this.
pub fn looks_like_ciphertext(s: &str) -> bool {
    s.starts_with(TEXT_PREFIX)
}

/// Reads the text form. One value has one text: base64 with its padding, no white space, no stray bits.
///
/// # Errors
/// [`Kind::InvalidText`] without the text, also when the bytes are not of the structure of a stored value. Nothing is
/// authenticated here, for the key may come later than the data (`pg_dump`).
pub fn from_text(s: &str) -> Result<Vec<u8>> {
    s.strip_prefix(TEXT_PREFIX)
        // the decoder takes several padded texts in a row for one: padding belongs at the end
        .filter(|base64| !base64.trim_end_matches('=').contains('='))
        .and_then(|base64| BASE64.decode(base64.as_bytes()).ok())
        .filter(|bytes| parse(bytes).is_ok())
        .ok_or_else(|| {
            Error::new(Kind::InvalidText, "invalid ciphertext for an encrypted column")
                .hint("With airlock.encrypted_input = ciphertext, give what the column's output was, unchanged.")
        })
}

#[cfg(test)]
mod tests {
    use super::super::{seal, Sealing};
    use super::*;
    use crate::pure::keyring::{SealKey, Secret};
    use crate::pure::plaintext::PlainType;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let key = SealKey::derive(&Secret::new([1; 32]));
        let plain_type = PlainType::Text;
        let sealing =
            Sealing { key: &key, version_id: 0x0102_0304, column_uuid: &[3; 16], plain_type, tag: None, padded: false };
        seal(&sealing, &[9; 24], plain)
    }

    #[test]
    fn text_form_reads_back() {
        let bytes = sealed(b"value");
        let text = to_text(&bytes);
        assert!(text.starts_with("airlock:1:4QABAgME"));
        assert!(looks_like_ciphertext(&text));
        assert_eq!(from_text(&text), Ok(bytes));
    }

    #[test]
    fn text_form_is_canonical() {
        // 51 bytes need no padding, 52 need two characters of it
        let text = to_text(&sealed(b"value!"));
        assert!(text.ends_with("=="));
        let body = &text[..text.len() - 3];
        let last = text.as_bytes()[text.len() - 3];
        for bad in [
            text.trim_end_matches('=').to_string(),
            format!("{text}="),
            format!("{text}\n"),
            format!(" {text}"),
            text.replacen("airlock", "AIRLOCK", 1),
            text.replacen(":1:", ":2:", 1),
            format!("{}\n{}", &text[..30], &text[30..]),
            // padding inside, which decoders that allow concatenation read
            format!("{}={}", &text[..33], &text[34..]),
            format!("{}=={}", &text[..32], &text[34..]),
            // the same bytes with stray bits behind the last one
            format!("{body}{}==", char::from(last + 1)),
            "airlock:1:".into(),
            String::new(),
            format!("airlock:1:{}", BASE64.encode(&[0xE0; 60])),
        ] {
            let error = from_text(&bad).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidText);
            assert!(bad.is_empty() || !format!("{error:?}").contains(bad.trim()));
        }
        assert!(!looks_like_ciphertext("airlock"));
    }
}
