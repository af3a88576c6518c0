//! Masks that a key can undo: `pseudonym_int` and `fpe`. Both are FF1 (NIST SP 800-38G) with AES-256 (FIPS 197), a
//! permutation of the values of one format, with the rule's domain as the tweak.
//!
//! The rounds and the layout of their blocks are crate `fpe`'s. The numerals are this module's own: they need no heap,
//! they are wiped, and their arithmetic is exact, where a general one would spend most of the time of a value.
//!
//! FF1 allows tweaks of up to 2^32 - 1 bytes. A domain is some 200 bytes at most and no datum reaches 1 GiB, so a
//! domain goes in whole, unhashed, and none is too long.

use std::fmt;

use aes::Aes256Enc;
use fpe::ff1::{NumeralString, Operations, FF1};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::pure::keyring::RuleKey;

use super::text::{FORMAT_LIMIT, FULL};

/// The most characters of the alphabet that `fpe` takes.
const LONGEST: usize = 64;

/// Bytes that hold any half of a numeral string: 36^32 is below 2^168.
const NUMBER: usize = 24;

/// Characters that `fpe` leaves in place.
const PUNCTUATION: &[u8] = b" -./()+";

/// HKDF label of the FF1 key under a rule's key. Frozen: a sub-processor stores what follows from it.
const LABEL: &str = "pg_airlock/ff1/1";

/// The AES-256 key of the FF1 masks of one rule, wiped on drop.
///
/// It is expanded anew for each use, some 50 ns, so that no key schedule outlives a value. Crate `aes` wipes the
/// schedule, and each copy of it that `fpe` makes for a round, on drop. What remains is what the compiler leaves on the
/// stack when it moves one, and `fpe`'s round outputs, which say nothing of the key.
pub struct Ff1Key(Zeroizing<[u8; 32]>);

impl Ff1Key {
    /// From 32 key bytes. The caller's copy stays the caller's to wipe.
    pub fn new(key: &[u8; 32]) -> Self {
        Ff1Key(Zeroizing::new(*key))
    }

    /// The key of a rule: HKDF-Expand (RFC 5869 section 2.3) of the rule's key with info `pg_airlock/ff1/1`. The rule's
    /// key holds mask name and domain already, so two masks or two domains never share one.
    pub fn derive(rule: &RuleKey) -> Self {
        Ff1Key(rule.expand(LABEL))
    }
}

impl fmt::Debug for Ff1Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ff1Key(..)")
    }
}

/// What `fpe` permutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// 0-9
    Digits,
    /// a-z
    Lower,
    /// A-Z
    Upper,
    /// 0-9 and a-z
    Alnum,
}

impl Alphabet {
    /// Every alphabet, the default first.
    pub const ALL: [Alphabet; 4] = [Alphabet::Digits, Alphabet::Lower, Alphabet::Upper, Alphabet::Alnum];

    /// The word in a scope definition.
    pub fn label(self) -> &'static str {
        match self {
            Alphabet::Digits => "digits",
            Alphabet::Lower => "lower",
            Alphabet::Upper => "upper",
            Alphabet::Alnum => "alnum",
        }
    }

    /// The alphabet of a word, exactly as [`Alphabet::label`] writes it.
    pub fn from_label(label: &str) -> Option<Alphabet> {
        Alphabet::ALL.into_iter().find(|alphabet| alphabet.label() == label)
    }

    /// Its characters, each at the place of its numeral.
    fn characters(self) -> &'static [u8] {
        match self {
            Alphabet::Digits => b"0123456789",
            Alphabet::Lower => b"abcdefghijklmnopqrstuvwxyz",
            Alphabet::Upper => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Alphabet::Alnum => b"0123456789abcdefghijklmnopqrstuvwxyz",
        }
    }

    fn radix(self) -> u32 {
        self.characters().len() as u32
    }

    /// The fewest characters: with fewer there are less than a million values, which SP 800-38G (revision 1) refuses.
    fn fewest(self) -> usize {
        match self {
            Alphabet::Digits => 6,
            Alphabet::Lower | Alphabet::Upper => 5,
            Alphabet::Alnum => 4,
        }
    }

    fn numeral(self, character: u8) -> Option<u8> {
        self.characters().iter().position(|known| *known == character).map(|at| at as u8)
    }

    fn character(self, numeral: u8) -> Option<u8> {
        self.characters().get(usize::from(numeral)).copied()
    }
}

/// `pseudonym_int`: FF1 with radix 2 on the 32 or 64 bits of the value's two's complement, the sign bit as the first
/// numeral, repeated until the sign is the value's: a permutation of the negative values and one of the others.
///
/// It ends because a permutation comes back to where it began; two turns are the average. `bits` other than 32 is 64;
/// with 32 only the lower half of a wider value counts, and the result is an `integer` all the same.
pub fn pseudonym_int(key: &Ff1Key, tweak: &[u8], value: i64, bits: u32) -> i64 {
    walk(key, tweak, value, bits, Way::Mask)
}

/// The value of a pseudonym of [`pseudonym_int`] under the same key, tweak and bits.
pub fn pseudonym_int_inverse(key: &Ff1Key, tweak: &[u8], value: i64, bits: u32) -> i64 {
    walk(key, tweak, value, bits, Way::Restore)
}

/// `fpe`: FF1 over the characters of the alphabet, in order; spaces and `- . / ( ) +` stay in place.
///
/// [`FULL`] for any other character, more than 64 of the alphabet, or too few for a million values: 6 digits, 5
/// letters, 4 of `alnum`.
pub fn fpe(key: &Ff1Key, tweak: &[u8], value: &str, alphabet: Alphabet) -> String {
    formed(key, tweak, value, alphabet, Way::Mask).unwrap_or_else(|| FULL.to_owned())
}

/// The value of a result of [`fpe`] under the same key, tweak and alphabet; `None` for [`FULL`] and whatever else is
/// not of the format.
pub fn fpe_inverse(key: &Ff1Key, tweak: &[u8], value: &str, alphabet: Alphabet) -> Option<String> {
    formed(key, tweak, value, alphabet, Way::Restore)
}

/// Which way a permutation is taken.
#[derive(Clone, Copy)]
enum Way {
    Mask,
    Restore,
}

/// FF1. `None` only for a radix, numeral or length that it does not take, which neither mask gives it.
fn ff1<N: NumeralString>(key: &Ff1Key, radix: u32, tweak: &[u8], numerals: &N, way: Way) -> Option<N> {
    let ff1 = FF1::<Aes256Enc>::new(&*key.0, radix).ok()?;
    match way {
        Way::Mask => ff1.encrypt(tweak, numerals).ok(),
        Way::Restore => ff1.decrypt(tweak, numerals).ok(),
    }
}

fn walk(key: &Ff1Key, tweak: &[u8], value: i64, bits: u32, way: Way) -> i64 {
    let mut number = Bits::new(value as u64, if bits == 32 { 32 } else { 64 });
    let negative = number.negative();
    loop {
        number = match ff1(key, 2, tweak, &number, way) {
            Some(number) => number,
            // FF1 takes 32 and 64 bits; if it ever did not, only the sign may show
            None => return if negative { -1 } else { 0 },
        };
        if number.negative() == negative {
            return number.signed();
        }
    }
}

fn formed(key: &Ff1Key, tweak: &[u8], value: &str, alphabet: Alphabet, way: Way) -> Option<String> {
    if value.len() > FORMAT_LIMIT {
        return None;
    }
    let mut numerals = Numerals::zeros(0);
    for byte in value.bytes() {
        match alphabet.numeral(byte) {
            Some(numeral) => numerals.push(numeral)?,
            None if PUNCTUATION.contains(&byte) => {}
            None => return None,
        }
    }
    if numerals.len < alphabet.fewest() {
        return None;
    }
    let masked = ff1(key, alphabet.radix(), tweak, &numerals, way)?;
    let mut next = masked.digits().iter();
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        let byte = if PUNCTUATION.contains(&byte) { byte } else { alphabet.character(*next.next()?)? };
        out.push(char::from(byte));
    }
    Some(out)
}

/// NUM of a half, big endian, in as many bytes as FF1 asks for.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Number {
    bytes: [u8; NUMBER],
    skip: usize,
}

impl Number {
    /// From limbs of 64 bits, the lowest first.
    fn new(limbs: &[u64; NUMBER / 8], len: usize) -> Self {
        let mut number = Number { bytes: [0; NUMBER], skip: NUMBER.saturating_sub(len) };
        for (bytes, limb) in number.bytes.rchunks_exact_mut(8).zip(limbs) {
            bytes.copy_from_slice(&limb.to_be_bytes());
        }
        number
    }
}

impl AsRef<[u8]> for Number {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.skip..).unwrap_or_default()
    }
}

/// A string of 2 to 64 bits, the first numeral highest, or half of one.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Bits {
    value: u64,
    width: u32,
}

impl Bits {
    /// The lowest `width` bits.
    fn new(value: u64, width: u32) -> Self {
        Bits { value: value & u64::MAX.checked_shr(64_u32.saturating_sub(width)).unwrap_or(0), width }
    }

    fn negative(&self) -> bool {
        self.value.checked_shr(self.width.saturating_sub(1)).unwrap_or(0) & 1 == 1
    }

    /// As two's complement.
    fn signed(&self) -> i64 {
        if self.width == 32 {
            i64::from(self.value as i32)
        } else {
            self.value as i64
        }
    }

    /// The last 64 bits of a big endian number: all that counts modulo a power of two.
    fn low(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0, |low, byte| low << 8 | u64::from(byte))
    }
}

impl NumeralString for Bits {
    type Ops = Self;

    fn is_valid(&self, radix: u32) -> bool {
        radix == 2
    }

    fn numeral_count(&self) -> usize {
        self.width as usize
    }

    fn split(&self) -> (Self, Self) {
        let (first, second) = (self.width / 2, self.width - self.width / 2);
        (Bits::new(self.value.checked_shr(second).unwrap_or(0), first), Bits::new(self.value, second))
    }

    fn concat(a: Self, b: Self) -> Self {
        Bits::new(a.value.checked_shl(b.width).unwrap_or(0) | b.value, a.width.saturating_add(b.width))
    }
}

impl Operations for Bits {
    type Bytes = Number;

    fn numeral_count(&self) -> usize {
        self.width as usize
    }

    fn to_be_bytes(&self, _radix: u32, b: usize) -> Number {
        Number::new(&[self.value, 0, 0], b)
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        Bits::new(self.value.wrapping_add(Bits::low(other)), self.width)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        Bits::new(self.value.wrapping_sub(Bits::low(other)), self.width)
    }
}

/// A string of up to 64 numerals of a radix up to 36, the highest first, or half of one.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Numerals {
    numerals: [u8; LONGEST],
    len: usize,
}

impl Numerals {
    fn zeros(len: usize) -> Self {
        Numerals { numerals: [0; LONGEST], len: len.min(LONGEST) }
    }

    fn push(&mut self, numeral: u8) -> Option<()> {
        *self.numerals.get_mut(self.len)? = numeral;
        self.len += 1;
        Some(())
    }

    fn digits(&self) -> &[u8] {
        self.numerals.get(..self.len).unwrap_or_default()
    }

    /// One string after the other, as far as there is room.
    fn join(a: &[u8], b: &[u8]) -> Self {
        let mut joined = Numerals::zeros(a.len() + b.len());
        for (to, from) in joined.numerals.iter_mut().zip(a.iter().chain(b)) {
            *to = *from;
        }
        joined
    }

    /// A big endian number modulo radix^m, in words of 32 bits: no product here needs more than 64.
    fn reduce(mut bytes: impl Iterator<Item = u8>, radix: u32, m: usize) -> Self {
        let mut reduced = Numerals::zeros(m);
        loop {
            let (mut carry, mut bits) = (0_u64, 0);
            for byte in bytes.by_ref().take(4) {
                carry = carry << 8 | u64::from(byte);
                bits += 8;
            }
            if bits == 0 {
                return reduced;
            }
            for numeral in reduced.numerals.iter_mut().take(m).rev() {
                carry += u64::from(*numeral) << bits;
                *numeral = (carry % u64::from(radix)) as u8;
                carry /= u64::from(radix);
            }
        }
    }

    /// Adds, or subtracts, numeral by numeral from the lowest; what goes beyond the highest is what the modulus drops.
    fn combine(mut self, other: impl Iterator<Item = u8>, radix: u32, m: usize, subtract: bool) -> Self {
        let radix_numeral = radix as u16;
        let other = Numerals::reduce(other, radix, m);
        let mut carry = u16::from(subtract);
        for (numeral, other) in self.numerals.iter_mut().zip(&other.numerals).take(m).rev() {
            // to subtract is to add the complement and one
            let other = u16::from(*other);
            let sum = u16::from(*numeral) + carry + if subtract { radix_numeral - 1 - other } else { other };
            *numeral = (sum % radix_numeral) as u8;
            carry = sum / radix_numeral;
        }
        self
    }
}

impl NumeralString for Numerals {
    type Ops = Self;

    fn is_valid(&self, radix: u32) -> bool {
        self.digits().iter().all(|numeral| u32::from(*numeral) < radix)
    }

    fn numeral_count(&self) -> usize {
        self.len
    }

    fn split(&self) -> (Self, Self) {
        let (a, b) = self.digits().split_at_checked(self.len / 2).unwrap_or_default();
        (Numerals::join(a, &[]), Numerals::join(b, &[]))
    }

    fn concat(a: Self, b: Self) -> Self {
        Numerals::join(a.digits(), b.digits())
    }
}

impl Operations for Numerals {
    type Bytes = Number;

    fn numeral_count(&self) -> usize {
        self.len
    }

    fn to_be_bytes(&self, radix: u32, b: usize) -> Number {
        let mut limbs = Zeroizing::new([0; NUMBER / 8]);
        for numeral in self.digits() {
            let mut carry = u128::from(*numeral);
            for limb in limbs.iter_mut() {
                carry += u128::from(*limb) * u128::from(radix);
                *limb = carry as u64;
                carry >>= 64;
            }
        }
        Number::new(&limbs, b)
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, m: usize) -> Self {
        self.combine(other, radix, m, false)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, radix: u32, m: usize) -> Self {
        self.combine(other, radix, m, true)
    }
}

#[cfg(test)]
mod tests;
