//! The quick way through a payload that is what payloads almost always are: one valid object without surprises.
//!
//! It only ever says yes. Whatever it does not say yes to, valid or not, is for the parser of the library to judge, so
//! verdicts and their texts are the library's. Eight bytes of a string are looked at together, nesting is a number.

use std::ops::Range;

use crate::metadata::METADATA_KEY;

/// Containers inside one another, the outermost included, that one number can tell apart.
const DEEPEST: u32 = 63;
const ONES: u64 = u64::from_le_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);

/// What is known of a payload that is one valid object, none of whose members can be taken for the metadata.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Skimmed {
    /// From the opening to after the closing brace.
    pub span: Range<usize>,
    /// Whether there is any member.
    pub has_members: bool,
    /// Whether there may be line breaks.
    pub breaks: bool,
}

/// Skims `payload`, which must be text. `None`: it is not valid, or has to be looked at more closely.
pub(crate) fn skim(payload: &str) -> Option<Skimmed> {
    let mut skimmer = Skimmer { bytes: payload.as_bytes(), at: 0, breaks: false };
    if skimmer.next()? != b'{' {
        return None;
    }
    let start = skimmer.at;
    let has_members = skimmer.object()?;
    let span = start..skimmer.at;
    skimmer.next().is_none().then_some(Skimmed { span, has_members, breaks: skimmer.breaks })
}

struct Skimmer<'p> {
    bytes: &'p [u8],
    at: usize,
    breaks: bool,
}

/// The open containers: a bit each, set for an object, the innermost lowest; a set bit above them all.
struct Nesting(u64);

impl Nesting {
    fn open(&mut self, object: bool) -> Option<()> {
        self.0 = (self.0.leading_zeros() > 63 - DEEPEST).then_some(self.0 << 1 | u64::from(object))?;
        Some(())
    }

    fn in_object(&self) -> bool {
        self.0 & 1 == 1
    }

    fn is_first_level(&self) -> bool {
        self.0 <= 0b11
    }
}

impl Skimmer<'_> {
    /// The next byte that is not white space, which is not taken.
    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\t' => {}
                b'\n' | b'\r' => self.breaks = true,
                byte => return Some(byte),
            }
            self.at += 1;
        }
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    /// From the opening to behind the closing brace; tells whether there are members.
    fn object(&mut self) -> Option<bool> {
        self.at += 1;
        if self.next()? == b'}' {
            self.at += 1;
            return Some(false);
        }
        let mut nesting = Nesting(0b11);
        loop {
            if nesting.in_object() {
                self.name(nesting.is_first_level())?;
                self.take(b':')?;
            }
            match self.next()? {
                b'"' => drop(self.string()?),
                b'-' | b'0'..=b'9' => self.number()?,
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    nesting.open(open == b'{')?;
                    // Two behind the opening one in ASCII: `{}` and `[]`.
                    if self.next()? != open + 2 {
                        continue;
                    }
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return None,
            }
            if self.close(&mut nesting)? {
                return Some(true);
            }
        }
    }

    /// Behind a value: takes closing brackets and a comma; `true` when the outermost one is closed.
    #[inline(always)]
    fn close(&mut self, nesting: &mut Nesting) -> Option<bool> {
        loop {
            let byte = self.next()?;
            self.at += 1;
            if byte == b',' {
                return Some(false);
            }
            if byte != if nesting.in_object() { b'}' } else { b']' } {
                return None;
            }
            nesting.0 >>= 1;
            if nesting.0 == 1 {
                return Some(true);
            }
        }
    }

    /// The name of a member. On the first level, one that might be that of the metadata is not for us.
    #[inline(always)]
    fn name(&mut self, first_level: bool) -> Option<()> {
        if self.next()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let plain = self.string()?;
        if first_level {
            let name = self.bytes.get(start..self.at - 1)?;
            let ours = name.len() == METADATA_KEY.len() && name.eq_ignore_ascii_case(METADATA_KEY.as_bytes());
            if ours || !plain || !name.is_ascii() {
                return None;
            }
        }
        Some(())
    }

    /// From the opening to behind the closing quote; tells whether there is no escape.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.at += 1;
        let mut plain = true;
        loop {
            while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
                let special = specials(u64::from_le_bytes(*chunk));
                if special != 0 {
                    self.at += (special.trailing_zeros() / 8) as usize;
                    break;
                }
                self.at += 8;
            }
            match *self.bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(plain);
                }
                b'\\' => {
                    plain = false;
                    self.escape()?;
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Option<()> {
        self.at += match self.bytes.get(self.at + 1)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            // Which code unit it is does not matter here, as it does not to the library.
            b'u' => {
                self.bytes.get(self.at + 2..self.at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(6)?
            }
            _ => return None,
        };
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// One digit at least.
    #[inline(always)]
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }
}

/// The lowest bit that is set belongs to the first byte that is a quote, a backslash or a control character; none is set
/// when there is no such byte. Above the lowest one borrows may set others.
#[inline(always)]
fn specials(word: u64) -> u64 {
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
    (below(quotes, 1) | below(backslashes, 1) | below(word, 0x20)) & HIGHS
}

#[cfg(test)]
#[path = "skim_tests.rs"]
mod tests;
