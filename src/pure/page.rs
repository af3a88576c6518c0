//! The bytes of a page that no tuple uses: what is scrubbed. The layout is PostgreSQL's standard one (`bufpage.h`): line
//! pointers up to `lower`, tuples from `upper` to `special`, each at an aligned place.

use std::ops::Range;

/// Size of a page's header.
pub const HEADER: usize = 24;

/// What the header of a page says, in bytes from the page's start.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// End of the line pointers.
    pub lower: usize,
    /// Start of the tuples.
    pub upper: usize,
    /// End of the tuples.
    pub special: usize,
    /// Size of the page.
    pub size: usize,
}

impl Bounds {
    /// Whether a page in the standard layout could say this.
    pub fn sound(&self) -> bool {
        HEADER <= self.lower && self.lower <= self.upper && self.upper <= self.special && self.special <= self.size
    }
}

/// The bytes between line pointers and special space that belong to no item: the hole, gaps, and the up to seven bytes
/// of alignment behind a tuple, in which an older one may show. `items` are offset and length of what is stored.
///
/// `None` for a page that is not in the standard layout: items outside of the tuples' part, or on top of each other.
pub fn unused(bounds: Bounds, items: &[(usize, usize)]) -> Option<Vec<Range<usize>>> {
    if !bounds.sound() {
        return None;
    }
    let mut items = items.to_vec();
    items.sort_unstable();
    let mut free = Vec::new();
    let mut at = bounds.lower;
    for (offset, length) in items {
        if offset < at.max(bounds.upper) || length == 0 {
            return None;
        }
        if offset > at {
            free.push(at..offset);
        }
        at = offset + length;
    }
    if at > bounds.special {
        return None;
    }
    if at < bounds.special {
        free.push(at..bounds.special);
    }
    Some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Bounds = Bounds { lower: 32, upper: 8100, special: 8192, size: 8192 };

    fn one(range: Range<usize>) -> Option<Vec<Range<usize>>> {
        Some(std::iter::once(range).collect())
    }

    #[test]
    fn hole_gaps_and_alignment_are_unused() {
        // 8100..8120 is a gap that no line pointer names, 8155..8160 the alignment behind a tuple of 35 bytes
        assert_eq!(unused(PAGE, &[(8160, 32), (8120, 35)]), Some(vec![32..8120, 8155..8160]));
        assert_eq!(unused(PAGE, &[(8160, 27), (8100, 60)]), Some(vec![32..8100, 8187..8192]));
    }

    #[test]
    fn a_full_page_has_nothing_unused() {
        let full = Bounds { lower: 40, upper: 40, special: 8176, size: 8192 };
        assert_eq!(unused(full, &[(40, 8136)]), Some(Vec::new()));
    }

    #[test]
    fn a_page_without_tuples_is_all_unused() {
        let empty = Bounds { lower: 24, upper: 8192, ..PAGE };
        assert_eq!(unused(empty, &[]), one(24..8192));
    }

    #[test]
    fn the_special_space_is_left_alone() {
        let index = Bounds { lower: 24, upper: 8176, special: 8176, size: 8192 };
        assert_eq!(unused(index, &[]), one(24..8176));
    }

    #[test]
    fn what_is_not_the_standard_layout_is_left_alone() {
        for bounds in [
            Bounds { lower: 20, ..PAGE },
            Bounds { lower: 8101, ..PAGE },
            Bounds { upper: 8193, ..PAGE },
            Bounds { special: 8200, ..PAGE },
        ] {
            assert_eq!(unused(bounds, &[]), None, "{bounds:?}");
        }
        for items in [&[(8090, 20)][..], &[(8100, 40), (8130, 20)], &[(8180, 20)], &[(8120, 0)]] {
            assert_eq!(unused(PAGE, items), None, "{items:?}");
        }
    }
}
