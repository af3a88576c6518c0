//! Filters for statements that touch more persons than can be listed: split block Bloom filters as Apache Parquet
//! specifies them (`BloomFilter.md`; blocks of 256 bits, eight bits per entry, one cache line each), in layers that grow.
//!
//! A filter never misses an entry. It takes about one stranger in 2,400 for an entry when its first layer is full, and one in 800
//! when all three are.

/// Entries of a layer, in order. With the last one full, everybody may be in it.
const CAPACITY: [u64; 3] = [1 << 16, 1 << 19, 1 << 21];
/// Bits per entry of a full layer.
const BITS: u64 = 20;
/// Bytes of a block.
const BLOCK: usize = 32;
/// Odd constants of the specification: one per word of a block.
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

type Block = [u32; 8];

/// Layers of blocks, all but the last full.
#[derive(Default)]
pub struct Filter {
    layers: Vec<Vec<Block>>,
    /// Entries of the last layer.
    last: u64,
    /// Entries of all layers.
    entries: u64,
}

impl Filter {
    /// Adds an entry by its hash; false when there is no room for it, and everybody must be taken to be in.
    pub fn insert(&mut self, hash: u64) -> bool {
        let mask = mask(hash);
        // the last is the largest: who is in at all is there first of all
        if self.layers.iter().rev().any(|layer| has(layer, hash, &mask)) {
            return true;
        }
        if self.layers.is_empty() || self.last >= CAPACITY[self.layers.len() - 1] {
            let Some(capacity) = CAPACITY.get(self.layers.len()) else { return false };
            let blocks = usize::try_from(capacity * BITS / 256).unwrap_or(1);
            self.layers.push(vec![[0; 8]; blocks]);
            self.last = 0;
        }
        if let Some(layer) = self.layers.last_mut() {
            let block = place(layer.len(), hash);
            for (word, bit) in layer[block].iter_mut().zip(&mask) {
                *word |= bit;
            }
        }
        self.last += 1;
        self.entries += 1;
        true
    }

    /// How many entries went in, but for those that looked as if they were in already.
    pub fn len(&self) -> u64 {
        self.entries
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The layers as they are stored: words little-endian, as in Parquet.
    pub fn layers(&self) -> Vec<Vec<u8>> {
        let bytes = |layer: &Vec<Block>| layer.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
        self.layers.iter().map(bytes).collect()
    }
}

/// Whether an entry with this hash may be in one of the stored layers. A layer that is none holds everybody.
pub fn is_in(layers: &[Vec<u8>], hash: u64) -> bool {
    layers.iter().any(|layer| {
        let blocks = layer.len() / BLOCK;
        if blocks == 0 || layer.len() % BLOCK != 0 {
            return true;
        }
        let block = &layer[place(blocks, hash) * BLOCK..][..BLOCK];
        let words = block.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
        words.zip(mask(hash)).all(|(word, bit)| word & bit != 0)
    })
}

fn has(layer: &[Block], hash: u64, mask: &Block) -> bool {
    // all words, without a branch for each: the compiler makes one comparison of them
    layer[place(layer.len(), hash)].iter().zip(mask).fold(0, |missing, (word, bit)| missing | (!word & bit)) == 0
}

fn place(blocks: usize, hash: u64) -> usize {
    // below `blocks`, which fits a usize
    (((hash >> 32) * blocks as u64) >> 32) as usize
}

fn mask(hash: u64) -> Block {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pure::keyring::{Secret, SubjectKey};

    fn hashes(range: std::ops::Range<u64>) -> impl Iterator<Item = u64> {
        let key = SubjectKey::derive(&Secret::new([7; 32]), "test");
        range.map(move |n| key.hash(&n.to_be_bytes()))
    }

    #[test]
    fn nobody_is_missed_and_few_are_taken_for_another() {
        let mut filter = Filter::default();
        let full = CAPACITY[0] + CAPACITY[1] + 1000;
        assert!(hashes(0..full).all(|hash| filter.insert(hash)));
        let stored = filter.layers();
        assert_eq!(stored.iter().map(Vec::len).collect::<Vec<_>>(), [163_840, 1_310_720, 5_242_880]);
        assert!(hashes(0..full).all(|hash| is_in(&stored, hash)));
        assert!(filter.len() <= full && filter.len() > full - full / 500, "{}", filter.len());
        let wrong = hashes(1 << 40..(1 << 40) + 200_000).filter(|hash| is_in(&stored, *hash)).count();
        assert!(wrong < 400, "{wrong} of 200,000 strangers");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut filter = Filter { layers: vec![vec![[0; 8]; 1]; 3], last: CAPACITY[2], entries: 1 };
        assert!(!filter.insert(1));
        assert_eq!(filter.len(), 1);
    }

    #[test]
    fn bits_are_those_of_the_specification() {
        // one block: word i gets bit (low half of the hash * salt i) >> 27
        let mut filter = Filter { layers: vec![vec![[0; 8]; 1]], last: 0, entries: 0 };
        filter.insert(0xffff_ffff_0000_0001);
        let bits: Vec<u32> = filter.layers[0][0].iter().map(|w| w.trailing_zeros()).collect();
        assert_eq!(bits, SALT.map(|salt| salt >> 27));
        assert!(filter.layers[0][0].iter().all(|w| w.count_ones() == 1));
        assert_eq!(place(10, u64::MAX), 9);
        assert_eq!(place(10, u64::from(u32::MAX)), 0);
    }

    #[test]
    fn a_damaged_layer_holds_everybody() {
        assert!(!is_in(&[], 5));
        assert!(is_in(&[vec![]], 5));
        assert!(is_in(&[vec![0; 31]], 5));
        assert!(!is_in(&[vec![0; 32]], 5));
    }
}
