//! Arrays as PostgreSQL stores them (`utils/array.h`), read from their bytes and made of them: of one dimension from 1 on,
//! without NULL, as the log's worker writes them. Nothing of PostgreSQL is called.

/// A one-dimensional array.
pub struct Flat<'a> {
    count: usize,
    data: &'a [u8],
}

/// Why an array is not one that this file reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// More dimensions than one, or another lower bound: the same elements in another shape.
    Shape,
    /// An element is NULL, or the bytes are no array.
    Content,
}

/// The size of an array's header word, which the bytes that [`Flat::of`] takes are without.
const WORD: usize = 4;

impl<'a> Flat<'a> {
    /// The array of these bytes, which begin behind its header word.
    ///
    /// # Errors
    /// See [`Other`].
    pub fn of(bytes: &'a [u8]) -> Result<Flat<'a>, Other> {
        let word = |place: usize| {
            bytes.get(place..place + WORD).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes).ok_or(Other::Content)
        };
        // ndim, dataoffset, elemtype, then for each dimension its length, then for each its lower bound
        match word(0)? {
            0 => return Ok(Flat { count: 0, data: &[] }),
            1 if word(16)? == 1 => {}
            _ => return Err(Other::Shape),
        }
        // an offset of the data: there is a bitmap of NULLs before it
        if word(4)? != 0 {
            return Err(Other::Content);
        }
        let count = usize::try_from(word(12)?).map_err(|_| Other::Content)?;
        // 20 bytes of header and the word before them end on a multiple of eight
        let data = bytes.get(20..).ok_or(Other::Content)?;
        Ok(Flat { count, data })
    }

    /// Its elements, of a type of this many bytes, such as integer's four.
    pub fn fixed<const N: usize>(&self) -> Result<Vec<[u8; N]>, Other> {
        let (elements, _) = self.data.as_chunks::<N>();
        elements.get(..self.count).map(<[[u8; N]]>::to_vec).ok_or(Other::Content)
    }

    /// Its elements, of a type of any length that is aligned as integer is, such as text and bytea.
    pub fn varlena(&self) -> Result<Vec<&'a [u8]>, Other> {
        let (mut place, mut found) = (0usize, Vec::new());
        for _ in 0..self.count {
            place = place.next_multiple_of(WORD);
            let header = self.data.get(place..place + WORD).and_then(|b| b.try_into().ok()).ok_or(Other::Content)?;
            // neither compressed nor short nor elsewhere: what is put into an array is made plain first
            let length = plain_length(u32::from_ne_bytes(header)).ok_or(Other::Content)?;
            found.push(self.data.get(place + WORD..place + length).ok_or(Other::Content)?);
            place += length;
        }
        Ok(found)
    }
}

/// The bytes of an array of elements of any length, behind its header word; `element` is the number of their type.
pub fn of_varlena<'a>(element: u32, elements: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = begun(element, elements.len());
    for element in elements {
        bytes.extend_from_slice(&plain_header(element.len() + WORD).to_ne_bytes());
        bytes.extend_from_slice(element);
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
    }
    bytes
}

/// The same of elements of one length, as they are in memory.
pub fn of_fixed<const N: usize>(element: u32, elements: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
    let mut bytes = begun(element, elements.len());
    elements.for_each(|element| bytes.extend_from_slice(&element));
    bytes
}

/// All but the elements. An array without any has no dimension.
fn begun(element: u32, count: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + 32 * count);
    bytes.extend_from_slice(&i32::from(count > 0).to_ne_bytes());
    bytes.extend_from_slice(&[0; WORD]);
    bytes.extend_from_slice(&element.to_ne_bytes());
    if count > 0 {
        bytes.extend_from_slice(&(count as i32).to_ne_bytes());
        bytes.extend_from_slice(&1i32.to_ne_bytes());
    }
    bytes
}

/// The header word of a plain varlena of this length, its own four bytes included.
fn plain_header(length: usize) -> u32 {
    match cfg!(target_endian = "big") {
        true => length as u32,
        false => (length as u32) << 2,
    }
}

/// The length, its own four bytes included, that the header word of a plain varlena says (`varatt.h`).
fn plain_length(header: u32) -> Option<usize> {
    let (plain, length) = match cfg!(target_endian = "big") {
        true => (header >> 30 == 0, header & 0x3fff_ffff),
        false => (header & 3 == 0, header >> 2),
    };
    (plain && length as usize >= WORD).then_some(length as usize)
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)] // reason: a test fails by panicking
mod tests {
    use super::*;
    use crate::pg::sys::varlena_bytes;
    use pgrx::datum::AnyArray;
    use pgrx::prelude::*;

    fn bytes(sql: &str) -> Vec<u8> {
        // copied before SPI ends: AnyArray is no copy, and the answer goes away with the connection
        Spi::connect(|client| {
            let rows = client.select(&format!("SELECT {sql}"), Some(1), &[]).unwrap().first();
            varlena_bytes(rows.get_one::<AnyArray>().unwrap().unwrap().datum())
        })
    }

    fn texts(sql: &str) -> Result<Vec<String>, Other> {
        let bytes = bytes(sql);
        let found = Flat::of(&bytes)?.varlena()?;
        Ok(found.into_iter().map(|e| String::from_utf8_lossy(e).into_owned()).collect())
    }

    #[pg_test]
    fn reads_what_postgres_makes() {
        assert_eq!(texts("'{}'::text[]"), Ok(vec![]));
        assert_eq!(
            texts("array['a', '', 'längere', repeat('x', 300)]"),
            Ok(vec!["a".into(), "".into(), "längere".into(), "x".repeat(300)])
        );
        assert_eq!(texts("array_fill(repeat('y', 5000), array[3])"), Ok(vec!["y".repeat(5000); 3]));
        assert_eq!(texts("array['\\x00ff41'::bytea]").map(|t| t.len()), Ok(1));
        let numbers = bytes("array[1, -2, 2147483647]");
        let found = Flat::of(&numbers).and_then(|f| f.fixed()).unwrap();
        assert_eq!(found.into_iter().map(i32::from_ne_bytes).collect::<Vec<_>>(), [1, -2, i32::MAX]);
        let ids = bytes("array['00000000-0000-0000-0000-000000000001'::uuid]");
        assert_eq!(Flat::of(&ids).and_then(|f| f.fixed::<16>()).map(|f| f[0][15]), Ok(1));
    }

    #[pg_test]
    fn makes_what_postgres_makes() {
        for elements in [vec![], vec!["a"], vec!["", "b", "four", "längere"], vec!["x"; 300]] {
            let list: Vec<String> = elements.iter().map(|e| format!("'{e}'")).collect();
            let made = of_varlena(pgrx::pg_sys::TEXTOID.to_u32(), elements.iter().map(|e| e.as_bytes()));
            assert_eq!(made, bytes(&format!("array[{}]::text[]", list.join(", "))), "{elements:?}");
        }
        let made = of_fixed(pgrx::pg_sys::INT4OID.to_u32(), [7i32, -1].into_iter().map(i32::to_ne_bytes));
        assert_eq!(made, bytes("array[7, -1]"));
        let made = of_fixed::<16>(pgrx::pg_sys::UUIDOID.to_u32(), [].into_iter());
        assert_eq!(made, bytes("'{}'::uuid[]"));
    }

    #[pg_test]
    fn other_arrays_are_refused() {
        for shape in ["'[2:2]={a}'::text[]", "array[array['a']]", "'[0:1]={a,b}'::text[]"] {
            assert_eq!(texts(shape), Err(Other::Shape), "{shape}");
        }
        assert_eq!(texts("array['a', NULL]"), Err(Other::Content));
    }

    #[pg_test]
    fn what_is_cut_off_is_no_array() {
        let whole = bytes("array['first', 'next']");
        for end in 0..whole.len() {
            let found = Flat::of(&whole[..end]).and_then(|f| f.varlena().map(|v| v.len()));
            assert_eq!(found, Err(Other::Content), "cut after {end}");
        }
        let numbers = bytes("array[1, 2]");
        assert_eq!(Flat::of(&numbers[..numbers.len() - 1]).and_then(|f| f.fixed::<4>()), Err(Other::Content));
        // a length that is a lie
        let mut lie = whole.clone();
        lie[12..16].copy_from_slice(&i32::MAX.to_ne_bytes());
        assert!(Flat::of(&lie).is_ok_and(|f| f.varlena() == Err(Other::Content)));
        lie[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(Flat::of(&lie).is_ok_and(|f| f.varlena() == Err(Other::Content)));
    }
}
