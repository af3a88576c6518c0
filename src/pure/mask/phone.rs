//! `phone`: telephone numbers as people write them (ITU-T E.164, E.123).

use super::format::{formed, hide, within, RIGHT};

/// What may stand between the digits.
const PUNCTUATION: &str = " -./()";

/// The country calling codes that ITU-T lists as assigned (E.164), those for networks and services included, sorted.
///
/// Reserved codes are in it where the list names a country (379 the Vatican, 970 Palestine), spare ones are not. The
/// table is frozen (C13): a code assigned later stays unknown, since the masks of old values would change.
static CODES: [u16; 218] = [
    1, 7, // the North American plan; Russia and Kazakhstan
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, //
    51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, //
    90, 91, 92, 93, 94, 95, 98, //
    211, 212, 213, 216, 218, 220, 221, 222, 223, 224, 225, 226, 227, 228, 229, //
    230, 231, 232, 233, 234, 235, 236, 237, 238, 239, 240, 241, 242, 243, 244, 245, 246, 247, 248, 249, //
    250, 251, 252, 253, 254, 255, 256, 257, 258, 260, 261, 262, 263, 264, 265, 266, 267, 268, 269, //
    290, 291, 297, 298, 299, //
    350, 351, 352, 353, 354, 355, 356, 357, 358, 359, 370, 371, 372, 373, 374, 375, 376, 377, 378, 379, //
    380, 381, 382, 383, 385, 386, 387, 388, 389, 420, 421, 423, //
    500, 501, 502, 503, 504, 505, 506, 507, 508, 509, 590, 591, 592, 593, 594, 595, 596, 597, 598, 599, //
    670, 672, 673, 674, 675, 676, 677, 678, 679, 680, 681, 682, 683, 685, 686, 687, 688, 689, 690, 691, 692, //
    800, 808, 850, 852, 853, 855, 856, 870, 878, 880, 881, 882, 883, 886, 888, //
    960, 961, 962, 963, 964, 965, 966, 967, 968, 970, 971, 972, 973, 974, 975, 976, 977, 979, //
    991, 992, 993, 994, 995, 996, 998,
];

/// `phone`: the country calling code if `country`, the last `right` digits, and the punctuation; other digits are `*`.
///
/// The format: `+` or not, then 7 to 15 ASCII digits (E.164) with spaces and `-./()`, a digit last. After `+` the first
/// digits must be an assigned country calling code, side by side. Of the m digits beside that code the last `right` are
/// kept only if `m - right >= max(4, ceil(m / 2))`, whether the code is shown or not.
pub fn phone(value: &str, country: bool, right: u32) -> String {
    formed(value, |value| {
        let right = within(right, RIGHT)?;
        let international = value.strip_prefix('+');
        let number = international.unwrap_or(value);
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let written = number.chars().all(|c| c.is_ascii_digit() || PUNCTUATION.contains(c));
        if !written || !(7..=15).contains(&digits) || !number.ends_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let code = match international {
            Some(number) => calling_code(number)?,
            None => 0,
        };
        let others = digits - code;
        let hidden = others.saturating_sub(right);
        let right = if hidden >= others.div_ceil(2).max(4) { right } else { 0 };
        Some(hide(value, |c| c.is_ascii_digit(), |at| (country && at < code) || at >= digits - right))
    })
}

/// The number of digits of the calling code that a number starts with; nothing if it is unknown or torn apart.
///
/// No code is the start of another, so the first that fits is the only one.
fn calling_code(number: &str) -> Option<usize> {
    let number = number.trim_start_matches(|c: char| !c.is_ascii_digit());
    if number.starts_with('0') {
        // 020 would parse as 20
        return None;
    }
    (1..=3).find(|length| {
        let code = number.get(..*length).and_then(|code| code.parse().ok());
        code.is_some_and(|code: u16| CODES.binary_search(&code).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::super::text::{FORMAT_LIMIT, FULL};
    use super::*;

    #[test]
    fn keeps_country_and_end() {
        for (value, masked) in [
            ("+33 6 39 98 01 23", "+33 * ** ** ** 23"),
            ("+1 202 555 0143", "+1 *** *** **43"),
            ("(202) 555-0143", "(***) ***-**43"),
            ("0639980123", "********23"),
            ("5550143", "*****43"),
            ("+33639980123", "+33*******23"),
            ("+ 33 (0)6.39.98/01-23", "+ 33 (*)*.**.**/**-23"),
            ("+(33) 639980123", "+(33) *******23"),
            ("+358 40 123 4567", "+358 ** *** **67"),
            ("+883 510 000 000 094", "+883 *** *** *** *94"),
            ("0033 6 39 98 01 23", "**** * ** ** ** 23"),
            (" 5550143", " *****43"),
        ] {
            assert_eq!(phone(value, true, 2), masked);
        }
        assert_eq!(phone("+33 6 39 98 01 23", false, 2), "+** * ** ** ** 23");
        assert_eq!(phone("(202) 555-0143", false, 0), "(***) ***-****");
    }

    #[test]
    fn keeps_the_end_only_if_enough_stays_hidden() {
        assert_eq!(phone("5550143", true, 4), "*******");
        assert_eq!(phone("5550143", true, 3), "****143");
        assert_eq!(phone("55501432", true, 4), "****1432");
        assert_eq!(phone("+1 555014", true, 2), "+1 ****14");
        assert_eq!(phone("+1 555014", true, 3), "+1 ******");
        assert_eq!(phone("+1 5550143", true, 4), "+1 *******");
        // four digits beside the code: any that is shown leaves three
        assert_eq!(phone("+358 1234", true, 1), "+358 ****");
        assert_eq!(phone("+358 12345", true, 1), "+358 ****5");
        // the code does not count as hidden when it is
        assert_eq!(phone("+358 12345", false, 2), "+*** *****");
        for right in [5, u32::MAX] {
            assert_eq!(phone("123456789012345", true, right), FULL);
        }
    }

    #[test]
    fn of_what_is_no_number() {
        let long = format!("1{}234567", " ".repeat(FORMAT_LIMIT - 6));
        let values = "|+|1|@|\0|911|123456|1234567890123456|+1234567890123456|+1 202 555 0143 ext 9|٠١٢٣٤٥٦٧٨٩|\
            ５５５０１４３|+0 202 555 0143|+020 2555 0143|+210 555 0143|+999 555 0143|++33639980123|33+639980123|5550143 |\
            5550143-| +33639980123|(5550143)|555\u{a0}0143|555\t0143|5550143\r\n|5550143\0|555014\u{301}3|\
            555\u{301}0143|555_0143|555,0143|tel:5550143|555*0143|-------|+2 02 555 0143|+3-3 6 39 98 01 23|\
            +35 8 40 123 4567";
        for value in values.split('|').chain([long.as_str()]) {
            assert_eq!(phone(value, true, 2), FULL, "{value:.40}");
            assert_eq!(phone(value, false, 0), FULL, "{value:.40}");
        }
        assert_ne!(phone(&long.replacen(' ', "", 1), true, 2), FULL);
    }

    #[test]
    fn no_code_is_the_start_of_another() {
        assert!(CODES.windows(2).all(|pair| pair[0] < pair[1]));
        for code in CODES {
            assert!(!CODES.contains(&(code / 10)) && !CODES.contains(&(code / 100)), "{code}");
        }
    }

    #[test]
    fn every_code_is_found_and_no_other() {
        let mut known = std::collections::BTreeSet::new();
        for number in 100..1000 {
            let length = calling_code(&format!("{number} 555"));
            let text = number.to_string();
            known.extend(length.map(|length| text[..length].parse::<u16>().unwrap()));
        }
        assert!(known.into_iter().eq(CODES));
        assert!((0..100).all(|number| calling_code(&format!("{number:03}")).is_none()));
    }
}
