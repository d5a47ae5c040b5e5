//! Long texts in pieces, so that none is ever held whole. What is written is left to the formats.

/// Bytes of one piece, about: enough that the costs of sending one do not count.
const PIECE: usize = 32 * 1_024;

/// Puts small texts together into pieces worth sending.
pub fn gathered(texts: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut texts = texts.fuse();
    std::iter::from_fn(move || {
        let mut piece = texts.next()?;
        while piece.len() < PIECE {
            let Some(text) = texts.next() else { break };
            piece.push_str(&text);
        }
        Some(piece)
    })
}

/// A list: what stands before its first element, between two, behind the last, and instead of all where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Before the first.
    pub opens: &'static str,
    /// Between two.
    pub parts: &'static str,
    /// Behind the last.
    pub closes: &'static str,
    /// Where there is none.
    pub empty: &'static str,
}

impl Frame {
    /// The list of these elements in pieces.
    pub fn around(self, elements: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
        let mut elements = elements.fuse();
        let (mut begun, mut ended) = (false, false);
        gathered(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let before = if begun { self.parts } else { self.opens };
            match elements.next() {
                Some(element) => {
                    begun = true;
                    Some(format!("{before}{element}"))
                }
                None => {
                    ended = true;
                    Some(if begun { self.closes } else { self.empty }.to_owned())
                }
            }
        }))
    }
}
